"""Who may ask how much: refusals of callers, ceilings of fronts."""

from protocol.runtime.events.event import Event, Table

ADMISSION: Table = {
    "admission-store-lost": Event(
        "warning",
        "The store by which fronts count limits together cannot be reached; this front goes on by itself.",
        ("store", "trouble", "next"),
    ),
    "admission-store-reached": Event(
        "info",
        "The store by which fronts count limits together is reached.",
        ("store",),
    ),
    "ceiling-met": Event(
        "error",
        "A front, or an application of it, met a ceiling of the bridge: requests are refused, or wait.",
        ("front", "application", "ceiling", "limit", "operation"),
        once_by=("front", "application", "ceiling"),
    ),
    "denied": Event(
        "warning",
        "A caller was refused: no key, a wrong or revoked one, a scope or an address that is not granted.",
        ("code", "application", "key", "operation", "address"),
    ),
    "denied-again": Event(
        "warning",
        "The same caller was refused again, so many times.",
        ("count", "code", "application", "key", "operation", "address"),
    ),
    "denied-others": Event("warning", "More kinds of refusals than are told one by one.", ("count", "next")),
    "guessing-paused": Event(
        "warning", "A caller guesses at values and has to wait.", ("operation", "application", "address", "of")
    ),
}

"""The interfaces of the marketing system, and what is kept, fetched or asked ahead of it."""

from protocol.runtime.events.event import Event, Table

MARKETING: Table = {
    "adapter-failed": Event(
        "error",
        "An adapter raised: a defect of it. The call counts as of unknown outcome.",
        ("request_id", "operation", "exception"),
        once_by=("operation",),
    ),
    "answer-mismatch": Event(
        "error",
        "The marketing system answered about somebody or something else; nothing of it was passed on.",
        ("request_id", "operation", "reason", "in_all"),
    ),
    "answers-odd": Event(
        "warning",
        "Answers of an interface that cannot be read or do not fit; once a while, with how many.",
        ("operation", "fault", "reason", "failures", "in_all", "accounts"),
    ),
    "circuit-closed": Event(
        "warning", "An interface of the marketing system is called again.", ("operation", "failures")
    ),
    "circuit-open": Event(
        "warning",
        "An interface fails and is left alone for a while.",
        ("operation", "seconds", "reason", "odd_accounts"),
    ),
    "hot-change-not-told": Event(
        "error",
        "Other bridges of the database do not hear what has changed: their kept answers may be as old as they live.",
        ("reason",),
        once_by=("reason",),
    ),
    "import-began": Event("info", "An import begins to read.", ("name", "full")),
    "import-done": Event(
        "info", "An import is complete: what was read is answered from now on.", ("name", "read", "rows", "took_s")
    ),
    "import-failed": Event(
        "error",
        "An import cannot be read or kept. It is tried again, from where it came to; what was there is answered from.",
        ("name", "reason"),
    ),
    "import-goes-on": Event("info", "A run that was cut off goes on from where it came to.", ("name", "read")),
    "interface-failing": Event(
        "warning",
        "An interface of the marketing system fails; once a while, with how many.",
        ("operation", "fault", "reason", "failures", "in_all"),
    ),
    "interface-probed": Event(
        "info",
        "An interface in doubt was tried with the catalogue's example.",
        ("system", "operation", "outcome", "reason", "milliseconds"),
    ),
    "log-in-failed": Event(
        "warning", "The log-in to the marketing system gave no token.", ("system", "reason", "in_a_row", "again_in_s")
    ),
    "logged-in": Event("info", "Logged in at the marketing system.", ("system", "lifetime_s")),
    "prequery-ended": Event(
        "info",
        "A window of asking ahead is over: calls made, what they came to, how often every account had its turn (0: "
        "there was not time enough), and how many answers asked ahead were given to somebody since.",
        ("asked", "kept", "refused", "failed", "rested_s", "rounds", "active", "spared"),
    ),
    "prequery-goes-on": Event("info", "What made asking ahead rest is over."),
    "prequery-rests": Event(
        "warning",
        "Nothing is asked ahead for a while: an interface fails or is slow, or there is no memory left for answers.",
        ("reason", "seconds"),
    ),
    "probe-failed": Event(
        "error", "A defect: trying an interface in doubt ended with an error.", ("exception",), once_by=()
    ),
    "push-refused": Event(
        "warning",
        "A push is not taken: it is none (`field` says where), its id was used for another, or its sender may not.",
        ("reason", "push", "field", "source"),
        once_by=("reason", "push"),
    ),
    "push-table-unread": Event(
        "error",
        "A table of pushes cannot be read; it is tried again by the clock.",
        ("table", "reason"),
        once_by=("table", "reason"),
    ),
    "push-table-well-again": Event("info", "A table of pushes can be read again.", ("table",)),
    "pushes-listening": Event("info", "The port for the marketing system's pushes is open.", ("host", "port", "tls")),
    "pushes-not-listening": Event("info", "The port for the marketing system's pushes is closed, by a reload."),
    "pushes-not-taken": Event(
        "error",
        "The store could not write: the sender of these pushes is told to send them again.",
        ("count", "error"),
        once_by=("error",),
    ),
    "system-not-closed": Event("error", "A back end could not be closed in order after a reload.", ("exception",)),
    "wsdl-not-fetched": Event(
        "warning", "A WSDL could not be fetched; the saved one is used.", ("system", "reason", "used")
    ),
}

"""Notices to applications, and their callbacks."""

from protocol.runtime.events.event import Event, Table

NOTICES: Table = {
    "callback-failed": Event(
        "warning",
        "An application did not accept a callback; it is tried again.",
        ("callback", "reason", "failures"),
        once_by=("callback", "reason"),
    ),
    "notice-dead": Event(
        "error",
        "A callback was given up; `bridgectl notices redeliver` has it tried again.",
        ("notice", "callback", "reason", "attempts"),
    ),
    "notice-not-recorded": Event(
        "error",
        "What came of a callback could not be written to the database; it is made again, with the same id.",
        ("notice", "reason"),
        once_by=("reason",),
    ),
    "notice-receipt-not-sent": Event(
        "info", "The bridge was not told that notices are recorded; it sends them again.", ("count",)
    ),
    "notice-unreadable": Event(
        "error",
        "A notice cannot be opened any more: the key that it was sealed to is gone.",
        ("notice", "reason"),
        once_by=("reason",),
    ),
    "notices-not-read": Event(
        "error", "The database does not say which notices are due; it is asked again.", ("reason",), once_by=("reason",)
    ),
}

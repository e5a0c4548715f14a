"""What the bridge answers for itself: QR codes, texts to publish, its own commands, other regions' bridges."""

from protocol.runtime.events.event import Event, Table

OWN: Table = {
    "content-unreadable": Event(
        "error",
        "A published text is not as this release can answer it; it is left out until a new version is published.",
        ("kind", "number", "reason"),
    ),
    "outcomes-not-handed-over": Event(
        "error",
        "The database could not say, or record, what became of the bridge's own commands; it is tried again.",
        ("reason", "failures"),
    ),
    "outcomes-not-taken": Event(
        "error",
        "Who gave the bridge's own commands could not take their outcomes; they are kept, and handed over again.",
        ("consumer", "count", "failures", "error"),
    ),
    "outcomes-without-consumer": Event(
        "error",
        "Outcomes are kept of commands that a part gave which is not configured any more.",
        ("consumer", "meaning"),
    ),
    "own-commands-not-begun": Event(
        "error",
        "The database could not say which commands the bridge gave itself; it is asked again.",
        ("reason", "failures"),
    ),
    "peer-command-id-taken": Event(
        "error",
        "A bridge of another region asked by an id that is another command's here; it is told that nothing was done.",
        ("request_id", "operation", "region"),
    ),
    "peer-command-refused": Event(
        "warning",
        "A bridge of another region asked for what settlement.peers does not allow it, or for what fits no schema.",
        ("request_id", "operation", "region", "code"),
    ),
    "qr-batch-done": Event("info", "The ZIP of a sheet of accounts can be downloaded.", ("batch", "parts")),
    "qr-batch-failed": Event(
        "error", "A step of a batch of QR codes failed: a defect. It is tried again.", ("exception", "error")
    ),
    "qr-batch-refused": Event("info", "An uploaded sheet is none, or is not to be trusted.", ("batch", "reason")),
    "qr-batch-waits": Event("warning", "A batch of QR codes cannot go on now, and tries again.", ("reason",)),
    "qr-batches-forgotten": Event("info", "ZIPs of QR codes were deleted: their time was over.", ("count",)),
    "submission-not-made": Event(
        "error",
        "Something for another region's bridge could not be sealed; it waits until settlement.peers names that region.",
        ("request_id", "region", "reason"),
        once_by=("region", "reason"),
    ),
    "submission-not-routed": Event(
        "warning",
        "What the bridge has this front route could not be sent on; it is tried again.",
        ("reason", "failures"),
    ),
    "submission-refused": Event(
        "warning",
        "Something to be routed is not of our bridge; it is set aside.",
        ("reason",),
    ),
    "submission-unrouted": Event(
        "warning",
        "Something is for a region that submissions.regions does not name; who asks keeps it and sends it again.",
        ("region", "count"),
    ),
}

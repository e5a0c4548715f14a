"""Queries and commands: each one's line on either side, and what went wrong with one."""

from protocol.runtime.events.event import Event, Table

REQUESTS: Table = {
    "command-finished": Event(
        "info",
        "A command's outcome at the marketing system: the bridge's line of its hop.",
        ("request_id", "operation", "outcome", "code", "ms", "attempts"),
    ),
    "command-for-another-inbox": Event(
        "error",
        "A command for another inbox of the region was left on the broker.",
        ("inbox", "meant"),
        once_by=("meant",),
    ),
    "command-held": Event(
        "error", "A command waits for an administrator's decision.", ("request_id", "operation", "code", "reason")
    ),
    "command-not-accepted": Event(
        "warning",
        "A command's body does not fit the catalogue; it is failed.",
        ("request_id", "operation", "size", "sha256"),
    ),
    "commands-not-read": Event(
        "error",
        "Unfinished commands could not be read from the inbox. Those in memory go on; it is tried again for ever.",
        ("reason", "failures"),
    ),
    "command-not-recorded": Event(
        "error",
        "A command could not be written to the database and was not accepted.",
        ("request_id", "operation", "reason", "failures"),
    ),
    "command-postponed": Event(
        "error",
        "Working on a command failed inside the bridge; it is taken up again.",
        ("request_id", "operation", "state", "reason", "exception"),
        once_by=("operation", "reason"),
    ),
    "command-task-failed": Event(
        "error",
        "A defect: the work on a command ended with an error; it is taken up again.",
        ("error",),
        once_by=("error",),
    ),
    "command-unreadable": Event(
        "error",
        "A command in the inbox cannot be opened with the keys there are.",
        ("request_id", "operation", "reason"),
    ),
    "command-waits": Event(
        "info",
        "A command is called, or asked about, again later.",
        ("request_id", "operation", "next", "seconds", "reason"),
    ),
    "commands-interrupted": Event(
        "warning",
        "A bridge ended while it called the marketing system; those outcomes are unknown.",
        ("count", "of", "meaning"),
    ),
    "commands-undelivered": Event("error", "Commands reached no bridge in seven days and are held.", ("count",)),
    "commands-unknown": Event(
        "warning",
        "Commands may have been called in a past that this database does not know; they are held.",
        ("count", "meaning"),
    ),
    "inbox-bound": Event("info", "The front knows which inbox the commands of its region are for.", ("inbox",)),
    "inbox-conflict": Event(
        "error",
        "Bridges of one region keep different inboxes: commands are refused.",
        ("bound", "heard", "copied", "meaning", "inbox", "meant"),
    ),
    "inbox-conflict-over": Event("warning", "All bridges of the region keep one inbox again.", ("inbox",)),
    "ledger-not-read": Event(
        "error",
        "The ledger could not be read for a caller, who was told to come again.",
        ("request_id", "reason"),
        once_by=("reason",),
    ),
    "outcome-not-recorded": Event(
        "error",
        "A command's outcome could not be written to the database; it is written later.",
        ("reason", "failures"),
    ),
    "outcome-recorded": Event(
        "info",
        "A command's outcome is in the ledger: the front's second line of its hop.",
        ("request_id", "operation", "outcome", "code", "ms"),
    ),
    "poison-command-held": Event(
        "error", "A command that the process died over is held.", ("request_id", "operation", "reason", "crashes")
    ),
    "predecessor-never-came": Event(
        "warning",
        "A command goes on before an earlier one of its account, which did not arrive.",
        ("request_id", "operation", "after"),
    ),
    "predecessors-not-asked": Event(
        "error", "The inbox could not be asked about earlier commands; it is asked again.", ("reason", "failures")
    ),
    "others-not-told": Event(
        "warning",
        "Other bridges were not told of the end of commands they wait for: they look for themselves.",
        ("reason",),
    ),
    "not-listening": Event(
        "warning",
        "The PostgreSQL server tells this process nothing of what others say: it looks for itself, more often.",
        ("reason", "failures"),
    ),
    "query-answered": Event(
        "info",
        "A query's answer: the bridge's line of its hop (a sample of those that succeeded).",
        ("request_id", "operation", "outcome", "code", "ms", "attempts", "reason"),
    ),
    "query-failed": Event(
        "error",
        "A defect: the work on a query ended with an error; the caller's deadline answers it.",
        ("exception",),
        once_by=(),
    ),
    "receipts-not-recorded": Event(
        "error",
        "That commands are on the broker could not be written down; they are sent again.",
        ("count", "reason", "exception"),
    ),
    "replies-not-flushed": Event(
        "warning", "Replies had no receipt when the daemon stopped; they are sent again.", ("in_hand",)
    ),
    "replies-not-recorded": Event(
        "error",
        "Outcomes could not be written to the ledger; they come again.",
        ("count", "reason", "exception"),
        once_by=("reason",),
    ),
    "request-answered": Event(
        "info",
        "A caller's answer: the front's line of its hop (a sample of queries that succeeded).",
        ("request_id", "operation", "outcome", "code", "ms", "status", "reason"),
    ),
    "request-failed": Event(
        "error",
        "A defect: a request ended with an error; the caller got 500.",
        ("request_id", "operation", "exception"),
        once_by=("operation",),
    ),
    "result-too-long": Event(
        "error", "A result is longer than an envelope may be.", ("request_id", "operation", "size")
    ),
    "stored-reply-unreadable": Event(
        "warning",
        "A kept result cannot be opened with the keys there are.",
        ("request_id", "reason"),
        once_by=("reason",),
    ),
}

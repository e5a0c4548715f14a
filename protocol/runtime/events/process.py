"""The daemon itself: its start and stop, its jobs and lease, this host's clock and limits."""

from protocol.runtime.events.event import Event, Table

PROCESS: Table = {
    "clock-jumped": Event("warning", "This host's clock was set.", ("seconds",)),
    "clock-skew": Event("warning", "The clocks of the two hosts differ.", ("peer", "ahead_s", "do"), once_by=("peer",)),
    "CRASH-POINT-ARMED": Event(
        "warning",
        "A test runs: this process will kill itself at a named point. Never in service.",
        ("point", "meaning", "set_by"),
    ),
    "CRASH-POINT-REACHED": Event(
        "warning", "The test's point is reached; the process ends here.", ("point", "request_id")
    ),
    "draining": Event("info", "The daemon was asked to stop: it takes nothing new and finishes what it has.", ()),
    "few-open-files": Event(
        "warning", "The limit of open files is too low for the connections that are set.", ("allowed", "wanted", "next")
    ),
    "front-gone": Event("warning", "Another front is silent; this one answers for it.", ("name", "next")),
    "front-returned": Event("info", "A front that was silent is back.", ("name",)),
    "housekeeping-failed": Event(
        "error",
        "A job that runs from time to time failed; it is tried again.",
        ("job", "reason", "failures", "exception"),
    ),
    "housekeeping-well-again": Event("info", "A job that failed succeeded.", ("job", "failures")),
    "instance-adopted": Event(
        "warning", "Another instance is dead; this one goes on with what it had.", ("name", "by")
    ),
    "instance-not-over": Event(
        "warning", "An earlier run of this instance still holds its lease; the start waits.", ("name", "next")
    ),
    "lease-lost": Event("critical", "This instance was taken for dead: it ends at once.", ("next",)),
    "lease-not-renewed": Event(
        "error", "The lease could not be renewed in the database.", ("reason", "held"), once_by=("reason",)
    ),
    "page-failed": Event("error", "A page (documentation, status) could not be made.", ("error",), once_by=("error",)),
    "ready": Event("info", "The daemon has started.", ()),
    "rows-adopted": Event(
        "warning", "Commands of a dead instance are this one's now.", ("count", "of", "front", "unfinished", "owner")
    ),
    "rows-forgotten": Event("info", "Rows were deleted: their time was over.", ("count",)),
    "standing-still": Event(
        "critical", "What must go on has ended or stands still; systemd restarts the daemon.", ("what",)
    ),
    "start-failed": Event(
        "debug", "The start ended with an error that nobody foresaw, with its traceback.", ("exception",)
    ),
    "started": Event("debug", "A part of the daemon has started.", ("part",)),
    "statistics-lost": Event(
        "warning",
        "A front stopped while its database could not be written: what it counted last is in no statistics.",
        ("answers", "reason"),
    ),
    "stop-failed": Event("error", "A part of the daemon could not be stopped in order.", ("part", "exception")),
    "stopped": Event("info", "The daemon has stopped; at `debug`, each part of it.", ("part",)),
}

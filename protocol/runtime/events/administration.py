"""What administrators and staff do: acts, audit, decisions, maintenance, control socket, desk."""

from protocol.runtime.events.event import Event, Table

ADMINISTRATION: Table = {
    "administrative-act": Event(
        "warning", "An administrator did something that `bridgectl audit` keeps.", ("act", "by", "details")
    ),
    "audit-forwarded-again": Event("info", "The syslog server takes audit records again.", ("target",)),
    "audit-head": Event(
        "info", "The audit log's newest record: keep it, for `bridgectl audit verify --head`.", ("head",)
    ),
    "audit-not-forwarded": Event(
        "error", "The syslog server does not take audit records; they are sent when it does.", ("target", "error")
    ),
    "audit-not-written": Event(
        "error", "An administrative act could not be written into the audit log.", ("act", "by", "error")
    ),
    "command-probed": Event(
        "warning", "An administrator tried an interface of a command with the catalogue's example.", ("operation", "by")
    ),
    "control-denied": Event(
        "warning", "A user who may not asked over the control socket.", ("user",), once_by=("user",)
    ),
    "control-failed": Event(
        "error",
        "A defect: a question over the control socket could not be answered.",
        ("ask", "exception"),
        once_by=("ask",),
    ),
    "decision-answer-not-sent": Event(
        "info", "The front was not told what came of its administrator's decision; it asks again.", ("decision",)
    ),
    "decision-answered": Event(
        "warning",
        "The bridge says what came of a decision taken at the front.",
        ("decision", "standing", "state", "because"),
    ),
    "decision-not-acted-on": Event(
        "error",
        "An administrator's decision could not be carried out yet; it is tried again.",
        ("request_id", "error"),
        once_by=("error",),
    ),
    "decisions-unanswered": Event("error", "Decisions taken at the front have no answer of the bridge.", ("count",)),
    "desk-listening": Event("info", "The pages for staff of the bridge are open.", ("host", "port", "tls")),
    "maintenance-began": Event("warning", "Operations are paused for maintenance.", ("operations", "by")),
    "maintenance-ended": Event("warning", "Operations go on after maintenance.", ("operations",)),
    "maintenance-not-read": Event(
        "warning", "The pauses for maintenance could not be read from the database.", ("error",), once_by=("error",)
    ),
}

"""Every event that the daemons log: its level, what it means, and its fields. Nothing else is logged.

An event's name is the `event` of a line. A request is named by `request_id`; no field holds anything of a customer.
The table is docs/reference/events.md (`python -m scripts.tools.reference`); a test holds it and the code together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Level = Literal["debug", "info", "warning", "error", "critical"]


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of line."""

    level: Level
    """The highest that it is logged at."""
    meaning: str
    fields: tuple[str, ...] = ()
    """Those it may have besides `event`, `level`, `logger` and `timestamp`."""
    once_by: tuple[str, ...] | None = None
    """Fields that tell one fault from another: a repetition within a minute is only counted, and then told in one line
    with `repeated` (protocol/runtime/repetitions.py). None: each is a line, because each is about something else, or
    who logs it counts by itself.
    """


EVENTS: Mapping[str, Event] = {
    "adapter-failed": Event(
        "error",
        "An adapter raised: a defect of it. The call counts as of unknown outcome.",
        ("request_id", "operation", "exception"),
        once_by=("operation",),
    ),
    "administrative-act": Event(
        "warning", "An administrator did something that `bridgectl audit` keeps.", ("act", "by", "details")
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
    "attachment-for-another-inbox": Event(
        "error", "A part of a file came here that is for another inbox of the region.", ("inbox",), once_by=("inbox",)
    ),
    "attachment-not-stored": Event(
        "error",
        "A part of a file could not be written to the database; it comes again.",
        ("attachment", "reason", "failures"),
    ),
    "attachment-receipt-not-sent": Event(
        "info", "The front was not told what came of a file; it asks again.", ("attachment",)
    ),
    "attachment-receipt-refused": Event(
        "warning",
        "What the bridge says of a file cannot be opened or is not of a bridge.",
        ("reason",),
        once_by=("reason",),
    ),
    "attachment-refused": Event(
        "warning", "A whole file is not what was declared of it (length, digest or kind).", ("attachment", "fault")
    ),
    "attachment-unreadable": Event(
        "error", "A kept file cannot be opened with the keys there are.", ("attachment", "error")
    ),
    "attachments-forgotten": Event("info", "Files were deleted: their time was over.", ("count",)),
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
    "backup-failed": Event("error", "A backup of the database could not be made; it is tried again.", ("reason",)),
    "backup-made": Event(
        "info",
        "A backup of the database was made, and old ones were removed.",
        ("file", "bytes", "commands", "removed"),
    ),
    "bank-calendar-ends": Event(
        "warning",
        "The table of bank holidays ends soon, or has ended: Monday to Friday count as bank days then. Install a "
        "release that knows the next year.",
        ("last",),
    ),
    "binding-doubtful": Event(
        "warning", "Something in the bindings is allowed and may not be what was meant.", ("setting",)
    ),
    "certificate-expired": Event("warning", "A certificate's time is over.", ("file", "on"), once_by=("file",)),
    "ceiling-met": Event(
        "error",
        "A front, or an application of it, met a ceiling of the bridge: requests are refused, or wait.",
        ("front", "application", "ceiling", "limit", "operation"),
        once_by=("front", "application", "ceiling"),
    ),
    "certificate-expires": Event(
        "warning", "A certificate's time is nearly over.", ("file", "days"), once_by=("file",)
    ),
    "certificate-not-yet-valid": Event(
        "warning", "A certificate's time has not come; the clock may be wrong.", ("file", "on"), once_by=("file",)
    ),
    "certificate-unreadable": Event(
        "error", "A certificate that is in use cannot be read again.", ("file", "error"), once_by=("file",)
    ),
    "circuit-closed": Event(
        "warning", "An interface of the marketing system is called again.", ("operation", "failures")
    ),
    "circuit-open": Event(
        "warning",
        "An interface fails and is left alone for a while.",
        ("operation", "seconds", "reason", "odd_accounts"),
    ),
    "clearing-computed": Event(
        "info",
        "A statement was summed into the clearing sheets of so many companies.",
        ("channel", "day", "companies"),
    ),
    "clearing-not-booked": Event(
        "warning",
        "The ledger has this payment of a statement otherwise: the row waits for two people.",
        ("file", "line", "reason"),
    ),
    "clock-jumped": Event("warning", "This host's clock was set.", ("seconds",)),
    "clock-skew": Event("warning", "The clocks of the two hosts differ.", ("peer", "ahead_s", "do"), once_by=("peer",)),
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
    "command-probed": Event(
        "warning", "An administrator tried an interface of a command with the catalogue's example.", ("operation", "by")
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
    "content-unreadable": Event(
        "error",
        "A published text is not as this release can answer it; it is left out until a new version is published.",
        ("kind", "number", "reason"),
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
    "CRASH-POINT-ARMED": Event(
        "warning",
        "A test runs: this process will kill itself at a named point. Never in service.",
        ("point", "meaning", "set_by"),
    ),
    "CRASH-POINT-REACHED": Event(
        "warning", "The test's point is reached; the process ends here.", ("point", "request_id")
    ),
    "database-put-back": Event(
        "error",
        "The database is a copy from an earlier time: what came after it is held or asked about.",
        ("copied_at", "restored_at", "generation", "meaning"),
    ),
    "callback-failed": Event(
        "warning",
        "An application did not accept a callback; it is tried again.",
        ("callback", "reason", "failures"),
        once_by=("callback", "reason"),
    ),
    "file-accepted": Event(
        "info",
        "A file is whole at the bridge, and is what its sender said.",
        ("file", "peer", "name", "profile", "bytes"),
    ),
    "file-for-another-inbox": Event(
        "error", "A part of a file came here that is for another inbox of the region.", ("inbox",), once_by=("inbox",)
    ),
    "file-handed-over": Event(
        "info",
        "A relay has said what became of a file for a platform: laid down, or refused with a code.",
        ("file", "name", "peer", "stage", "code"),
    ),
    "file-host-key-changed": Event(
        "critical",
        "An SFTP server shows a host key that is not the pinned one: the place is left alone until that file changes.",
        ("peer", "use", "server"),
    ),
    "file-incomplete": Event(
        "info",
        "A file of a source is not whole yet by the rule that is set; it is looked at again.",
        ("peer", "name", "rule"),
    ),
    "file-laid-down": Event("info", "A file lies at its target.", ("file", "peer", "name", "bytes")),
    "file-name-cleaned": Event(
        "warning", "The name of a file had blanks in it, which were removed.", ("file", "peer", "name", "found")
    ),
    "file-not-ours": Event(
        "warning",
        "A file of a source is left where it is: its name is none, matches no profile, or it is too long.",
        ("peer", "name", "reason"),
    ),
    "file-not-stored": Event(
        "error", "A part of a file could not be written to the database; it is tried again.", ("reason", "failures")
    ),
    "file-place-fails": Event(
        "warning",
        "A source or target of files cannot be reached, or does not do what is asked; it is tried again.",
        ("peer", "use", "state", "reason"),
    ),
    "file-place-reached": Event("info", "A source or target of files works again.", ("peer", "use")),
    "file-receipt-not-sent": Event("info", "The other side was not told how a file stands; it asks again.", ("file",)),
    "file-receipt-refused": Event("warning", "What the bridge says of a file cannot be read.", ("reason",)),
    "file-refused": Event(
        "error",
        "A file was not taken; `code` says why. An operator has it sent again with `bridgectl files resend`.",
        ("file", "peer", "name", "profile", "code"),
    ),
    "file-submitted": Event(
        "info", "A file for a platform was written down, to be handed to its relay.", ("file", "name", "peer", "bytes")
    ),
    "file-unreadable": Event("error", "What is kept of a file cannot be read any more.", ("file", "reason")),
    "files-forgotten": Event("info", "Files past their time were removed.", ("count",)),
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
    "denied": Event(
        "warning",
        "A caller was refused: no key, a wrong or revoked one, a scope or an address that is not granted.",
        ("code", "application", "key", "operation", "address"),
    ),
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
    "denied-again": Event(
        "warning",
        "The same caller was refused again, so many times.",
        ("count", "code", "application", "key", "operation", "address"),
    ),
    "denied-others": Event("warning", "More kinds of refusals than are told one by one.", ("count", "next")),
    "desk-listening": Event("info", "The pages for staff of the bridge are open.", ("host", "port", "tls")),
    "draining": Event("info", "The daemon was asked to stop: it takes nothing new and finishes what it has.", ()),
    "envelope-refused": Event(
        "warning",
        "A message of a bridge cannot be opened, or is not what it says; it was set aside.",
        ("queue", "reason", "request_id"),
        once_by=("queue", "reason"),
    ),
    "few-open-files": Event(
        "warning", "The limit of open files is too low for the connections that are set.", ("allowed", "wanted", "next")
    ),
    "front-gone": Event("warning", "Another front is silent; this one answers for it.", ("name", "next")),
    "front-returned": Event("info", "A front that was silent is back.", ("name",)),
    "guessing-paused": Event(
        "warning", "A caller guesses at values and has to wait.", ("operation", "application", "address", "of")
    ),
    "statement-item-ended": Event(
        "info", "What a statement had done came to an end; held: it was refused.", ("item", "state", "code")
    ),
    "statement-read": Event("info", "A statement has its verdict.", ("file", "name", "source", "code")),
    "statement-run-compared": Event(
        "info",
        "A statement was compared with what was written off.",
        ("run", "state", "rows", "write_offs", "actions"),
    ),
    "statement-run-incomplete": Event(
        "warning", "A statement could not be compared; it is tried again.", ("run", "code", "reason")
    ),
    "statement-unreadable": Event("error", "A statement's file is not whole here any more.", ("file", "reason")),
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
    "statistics-lost": Event(
        "warning",
        "A front stopped while its database could not be written: what it counted last is in no statistics.",
        ("answers", "reason"),
    ),
    "hot-change-not-told": Event(
        "error",
        "Other bridges of the database do not hear what has changed: their kept answers may be as old as they live.",
        ("reason",),
        once_by=("reason",),
    ),
    "housekeeping-failed": Event(
        "error",
        "A job that runs from time to time failed; it is tried again.",
        ("job", "reason", "failures", "exception"),
    ),
    "housekeeping-well-again": Event("info", "A job that failed succeeded.", ("job", "failures")),
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
    "inbox-bound": Event("info", "The front knows which inbox the commands of its region are for.", ("inbox",)),
    "inbox-conflict": Event(
        "error",
        "Bridges of one region keep different inboxes: commands are refused.",
        ("bound", "heard", "copied", "meaning", "inbox", "meant"),
    ),
    "inbox-conflict-over": Event("warning", "All bridges of the region keep one inbox again.", ("inbox",)),
    "instance-adopted": Event(
        "warning", "Another instance is dead; this one goes on with what it had.", ("name", "by")
    ),
    "instance-not-over": Event(
        "warning", "An earlier run of this instance still holds its lease; the start waits.", ("name", "next")
    ),
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
    "key-files-changed": Event("warning", "Key files on the disk are others than those in use.", ("next",)),
    "lease-lost": Event("critical", "This instance was taken for dead: it ends at once.", ("next",)),
    "lease-not-renewed": Event(
        "error", "The lease could not be renewed in the database.", ("reason", "held"), once_by=("reason",)
    ),
    "ledger-not-read": Event(
        "error",
        "The ledger could not be read for a caller, who was told to come again.",
        ("request_id", "reason"),
        once_by=("reason",),
    ),
    "ledger-put-back": Event(
        "warning",
        "The front's ledger is a copy from an earlier time: what it sends again is answered from the inbox.",
        ("since", "until", "commands", "meaning"),
    ),
    "link-connected": Event("info", "Connected to a broker.", ("broker", "server", "epoch")),
    "link-handler-failed": Event(
        "error",
        "A defect: what handles a message raised; the message comes again.",
        ("error", "place"),
        once_by=("error", "place"),
    ),
    "link-lost": Event("warning", "The connection to a broker ended; it is made again.", ("broker", "reason", "epoch")),
    "link-not-renewed": Event(
        "warning",
        "A link goes on with its old connection: one with the new settings could not be made.",
        ("name", "reason"),
        once_by=("name", "reason"),
    ),
    "link-renewed": Event(
        "info", "A link changed over to a connection with the new settings.", ("broker", "server", "epoch")
    ),
    "link-subscription-refused": Event(
        "error", "The broker refused a subscription.", ("destination", "reason"), once_by=("destination", "reason")
    ),
    "log-in-failed": Event(
        "warning", "The log-in to the marketing system gave no token.", ("system", "reason", "in_a_row", "again_in_s")
    ),
    "logged-in": Event("info", "Logged in at the marketing system.", ("system", "lifetime_s")),
    "maintenance-began": Event("warning", "Operations are paused for maintenance.", ("operations", "by")),
    "maintenance-ended": Event("warning", "Operations go on after maintenance.", ("operations",)),
    "maintenance-not-read": Event(
        "warning", "The pauses for maintenance could not be read from the database.", ("error",), once_by=("error",)
    ),
    "not-quarantined": Event(
        "warning",
        "A message that cannot be used could not be moved to the dead letters yet.",
        ("queue", "reason"),
        once_by=("queue", "reason"),
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
    "page-failed": Event("error", "A page (documentation, status) could not be made.", ("error",), once_by=("error",)),
    "poison-command-held": Event(
        "error", "A command that the process died over is held.", ("request_id", "operation", "reason", "crashes")
    ),
    "poison-message-refused": Event(
        "error", "A message that the process died over three times was set aside.", ("reason", "digest")
    ),
    "predecessor-never-came": Event(
        "warning",
        "A command goes on before an earlier one of its account, which did not arrive.",
        ("request_id", "operation", "after"),
    ),
    "predecessors-not-asked": Event(
        "error", "The inbox could not be asked about earlier commands; it is asked again.", ("reason", "failures")
    ),
    "presence-changed": Event(
        "info", "The operations that this bridge serves, or their states, changed.", ("operations",)
    ),
    "probe-failed": Event(
        "error", "A defect: trying an interface in doubt ended with an error.", ("exception",), once_by=()
    ),
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
    "bills-of-two-payments": Event(
        "warning",
        "An order is paid whose bills another one pays too: what its companies refuse is refunded.",
        ("order",),
    ),
    "evidence-invalid": Event(
        "warning",
        "A notification that is not the channel's, or not as it came, was refused.",
        ("channel", "reason"),
        once_by=("channel", "reason"),
    ),
    "nothing-paid": Event(
        "info", "A channel's notification was genuine, and nothing was paid by it.", ("channel", "said")
    ),
    "outcome-of-no-order": Event(
        "error", "A command of payment orders came to an end, and there is no order that gave it.", ("request_id",)
    ),
    "payment-order-not-advanced": Event(
        "error",
        "What is next for an order could not be done: a defect. Other orders go on.",
        ("order", "exception"),
        once_by=("order",),
    ),
    "payment-orders-not-looked-at": Event(
        "error",
        "The database could not say what is due of payment orders, or take it; it is tried again.",
        ("reason", "exception"),
        once_by=("reason",),
    ),
    "proof-of-nothing-of-ours": Event(
        "warning",
        "A channel proved a payment, or a refund, of which nothing is here; its statement will say.",
        ("channel",),
    ),
    "refund-of-another-amount": Event(
        "error",
        "A channel proved a refund of another amount than was asked for (fen): it is not taken for proven.",
        ("refund", "asked", "proven"),
    ),
    "reservation-not-resolved": Event(
        "error",
        "A coupon or points could not be posted or voided: a person must look.",
        ("order", "part", "how", "code"),
    ),
    "transaction-of-two-orders": Event(
        "error",
        "A channel named one transaction for two orders: it stays the first one's.",
        ("order", "other", "channel"),
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
    "quarantined": Event(
        "warning",
        "A message that cannot be used is among the dead letters.",
        ("queue", "reason", "request_id"),
        once_by=("queue", "reason"),
    ),
    "qr-batch-done": Event("info", "The ZIP of a sheet of accounts can be downloaded.", ("batch", "parts")),
    "qr-batch-failed": Event(
        "error", "A step of a batch of QR codes failed: a defect. It is tried again.", ("exception", "error")
    ),
    "qr-batch-refused": Event("info", "An uploaded sheet is none, or is not to be trusted.", ("batch", "reason")),
    "qr-batch-waits": Event("warning", "A batch of QR codes cannot go on now, and tries again.", ("reason",)),
    "qr-batches-forgotten": Event("info", "ZIPs of QR codes were deleted: their time was over.", ("count",)),
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
    "ready": Event("info", "The daemon has started.", ()),
    "receipts-not-recorded": Event(
        "error",
        "That commands are on the broker could not be written down; they are sent again.",
        ("count", "reason", "exception"),
    ),
    "reload-failed": Event("error", "A defect: a reload ended with an error.", ("exception",)),
    "reload-refused": Event("error", "The changed configuration cannot be used; the old one goes on.", ("error", "by")),
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
    "row-not-writable": Event(
        "error",
        "The database refuses one row for what is in it; it was set aside.",
        ("request_id", "error", "operation"),
    ),
    "rows-adopted": Event(
        "warning", "Commands of a dead instance are this one's now.", ("count", "of", "front", "unfinished", "owner")
    ),
    "rows-forgotten": Event("info", "Rows were deleted: their time was over.", ("count",)),
    "schema-migrated": Event(
        "info", "The database was brought to this program's schema.", ("database", "found", "now")
    ),
    "standing-still": Event(
        "critical", "What must go on has ended or stands still; systemd restarts the daemon.", ("what",)
    ),
    "start-failed": Event(
        "debug", "The start ended with an error that nobody foresaw, with its traceback.", ("exception",)
    ),
    "started": Event("debug", "A part of the daemon has started.", ("part",)),
    "stop-failed": Event("error", "A part of the daemon could not be stopped in order.", ("part", "exception")),
    "stopped": Event("info", "The daemon has stopped; at `debug`, each part of it.", ("part",)),
    "store-failed": Event(
        "error", "The inbox could not be read or written; it is tried again.", ("error",), once_by=("error",)
    ),
    "store-failing": Event(
        "error", "The database is in trouble: full, locked, unreachable or damaged.", ("store", "trouble", "reason")
    ),
    "store-key-not-opened": Event(
        "error",
        "The bridge's keyring does not hold the key that the database's own key is sealed to: subscriptions, notices "
        "and pushes wait until it does.",
        ("reason",),
    ),
    "store-well-again": Event("warning", "The database is well again.", ("store", "was", "seconds")),
    "stored-reply-unreadable": Event(
        "warning",
        "A kept result cannot be opened with the keys there are.",
        ("request_id", "reason"),
        once_by=("reason",),
    ),
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
        "Something to be routed is not of our bridge, or for a region that is not configured; it is set aside.",
        ("reason",),
    ),
    "system-not-closed": Event("error", "A back end could not be closed in order after a reload.", ("exception",)),
    "wsdl-not-fetched": Event(
        "warning", "A WSDL could not be fetched; the saved one is used.", ("system", "reason", "used")
    ),
    "withholding-answer-refused": Event(
        "error",
        "A bank's answer has no effect; `bridgectl withholding show` says why.",
        ("batch", "file", "reason"),
    ),
    "withholding-answer-unreadable": Event(
        "error", "A bank's answer cannot be read from what is kept of the file.", ("file", "reason")
    ),
    "withholding-answered": Event(
        "info",
        "A bank's answer took effect: its lines, and of how many it said something new.",
        ("batch", "file", "lines", "filled", "findings"),
    ),
    "withholding-automatic-not-bound": Event(
        "warning",
        "Bills that were issued wait, as `withholding-agreements` is bound nowhere.",
        ("waiting",),
        once_by=(),
    ),
    "withholding-name-tidied": Event("warning", "The name of a bank's answer had blanks in it.", ("file", "name")),
    "withholding-no-files": Event("error", "A sealed batch cannot be sent: no files cross here.", ("batch",)),
    "withholding-not-booked": Event(
        "error",
        "A line is written off, and its journal could not be written: it may be booked otherwise.",
        ("line", "reason"),
    ),
    "withholding-not-checked": Event(
        "warning",
        "The marketing system does not say now what is asked of agreements and bills.",
        ("batch", "reason"),
        once_by=("batch",),
    ),
    "withholding-not-released": Event(
        "error", "The marketing system did not end its hold on a bill.", ("line", "code")
    ),
    "withholding-not-sealable": Event(
        "error", "A value would break a batch's file: it stays drafted.", ("batch", "findings")
    ),
    "withholding-not-submitted": Event("error", "A sealed batch could not be handed over.", ("batch", "reason")),
    "withholding-not-written-off": Event(
        "error", "The marketing system did not take the write-off of a charged line: it is held.", ("line", "code")
    ),
    "withholding-overdue": Event("error", "A batch was not answered in time.", ("batch", "day")),
    "withholding-sealed": Event(
        "info", "A batch's bytes are on record; what is sent is these.", ("batch", "lines", "fen", "sha256")
    ),
}

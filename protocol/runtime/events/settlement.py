"""Money: payment orders, statements, withholding, clearing."""

from protocol.runtime.events.event import Event, Table

SETTLEMENT: Table = {
    "bank-calendar-ends": Event(
        "warning",
        "The table of bank holidays ends soon, or has ended: Monday to Friday count as bank days then. Install a "
        "release that knows the next year.",
        ("last",),
    ),
    "bills-of-two-payments": Event(
        "warning",
        "An order is paid whose bills another one pays too: what its companies refuse is refunded.",
        ("order",),
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
    "refund-of-another-transaction": Event(
        "error",
        "A channel proved a refund, under a number of ours, of another transaction than it was asked for: it is not"
        " taken for proven.",
        ("refund", "order"),
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
    "statement-item-ended": Event(
        "info", "What a statement had done came to an end; held: it was refused.", ("item", "state", "code")
    ),
    "files-judged-again": Event(
        "info",
        "Files that had no effect are judged again: what they are judged by is configured otherwise.",
        ("reader", "profile", "count"),
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
    "transaction-of-two-orders": Event(
        "error",
        "A channel named one transaction for two orders: it stays the first one's.",
        ("order", "other", "channel"),
    ),
    "withholding-answer-refused": Event(
        "error",
        "A bank's answer has no effect; `bridgectl withholding show` says why.",
        ("batch", "file", "reason"),
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
    "withholding-not-frozen": Event(
        "warning", "The marketing system did not hold a bill: its line is dropped.", ("line", "code")
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

"""The kinds of notices, and what each says: strict schemas, as those of the operations."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from protocol.operations.fields import AccountNumber, Day, Fen, Model, Month, Text, Timestamp, WorkOrderNumber


class NoticeKind(StrEnum):
    """What a notice is about."""

    BILL_ISSUED = "bill-issued"
    ARREARS_REMINDER = "arrears-reminder"
    OUTAGE_NOTICE = "outage-notice"
    APPLICATION_NODE = "application-node"
    WORK_ORDER_CLOSED = "work-order-closed"
    PAYMENT_RECEIVED = "payment-received"
    WITHHOLDING_FAILED = "withholding-failed"


ShortText = Annotated[Text, StringConstraints(max_length=200)]
Number = Annotated[
    str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,40}$"), Field(description="The marketing system's number of it")
]


class BillIssued(Model):
    """A bill was issued."""

    account: AccountNumber
    month: Month
    amount_fen: Fen
    due: Day | None = None
    bill: Number | None = None


class ArrearsReminder(Model):
    """Something is due, or overdue."""

    account: AccountNumber
    amount_fen: Annotated[Fen, Field(ge=1)]
    """All that is owed, penalties included."""
    penalty_fen: Annotated[Fen, Field(ge=0)] = 0
    months: Annotated[tuple[Month, ...], Field(max_length=120)] = ()
    pay_by: Day | None = None


class OutageNotice(Model):
    """Supply to the account will be, or is, interrupted; or that is called off."""

    account: AccountNumber
    outage: Number
    planned: bool
    begins: Timestamp
    ends: Timestamp | None = None
    reason: ShortText | None = None
    cancelled: bool = False


class ApplicationNode(Model):
    """An application (new connection, more capacity) has reached a node of its way."""

    account: AccountNumber
    application: Number
    node: Annotated[Text, StringConstraints(max_length=40)]
    reached: Timestamp
    next_node: Annotated[Text, StringConstraints(max_length=40)] | None = None


class WorkOrderClosed(Model):
    """A work order is done with."""

    account: AccountNumber
    work_order: WorkOrderNumber
    closed: Timestamp
    outcome: ShortText | None = None


class PaymentReceived(Model):
    """A payment was booked to the account, whatever the channel."""

    account: AccountNumber
    amount_fen: Annotated[Fen, Field(ge=1)]
    paid: Timestamp
    channel: Annotated[str, StringConstraints(pattern=r"^[0-9a-z-]{1,32}$")] | None = None
    balance_fen: Fen | None = None


class WithholdingFailed(Model):
    """The bank did not pay a bill, and is not asked again: the customer pays it otherwise."""

    account: AccountNumber
    month: Month
    amount_fen: Annotated[Fen, Field(ge=1)]
    """With the penalty, as the bank was asked last."""
    tries: Annotated[int, Field(ge=1, le=10)]
    """How often the bank was asked."""


BODIES: dict[NoticeKind, type[Model]] = {
    NoticeKind.BILL_ISSUED: BillIssued,
    NoticeKind.ARREARS_REMINDER: ArrearsReminder,
    NoticeKind.OUTAGE_NOTICE: OutageNotice,
    NoticeKind.APPLICATION_NODE: ApplicationNode,
    NoticeKind.WORK_ORDER_CLOSED: WorkOrderClosed,
    NoticeKind.PAYMENT_RECEIVED: PaymentReceived,
    NoticeKind.WITHHOLDING_FAILED: WithholdingFailed,
}
"""The schema of each kind's `data`."""
SUMMARIES: dict[NoticeKind, tuple[str, str]] = {
    NoticeKind.BILL_ISSUED: ("A bill was issued", "账单已出"),
    NoticeKind.ARREARS_REMINDER: ("Something is due or overdue", "催费提醒"),
    NoticeKind.OUTAGE_NOTICE: ("Supply will be interrupted, or that is called off", "停送电通知"),
    NoticeKind.APPLICATION_NODE: ("An application has reached a node of its way", "业扩报装节点提醒"),
    NoticeKind.WORK_ORDER_CLOSED: ("A work order is done with", "工单办结"),
    NoticeKind.PAYMENT_RECEIVED: ("A payment was booked", "缴费到账"),
    NoticeKind.WITHHOLDING_FAILED: ("Withholding failed, and is not tried again", "代扣失败提醒"),
}
EXAMPLES: dict[NoticeKind, dict[str, Any]] = {
    NoticeKind.BILL_ISSUED: {
        "account": "3210000000001", "month": "2026-06", "amount_fen": 13579, "due": "2026-07-20",
    },
    NoticeKind.ARREARS_REMINDER: {
        "account": "3210000000001", "amount_fen": 13579, "penalty_fen": 0, "months": ["2026-06"],
        "pay_by": "2026-07-20",
    },
    NoticeKind.OUTAGE_NOTICE: {
        "account": "3210000000001", "outage": "TD2026070100012", "planned": True,
        "begins": "2026-07-03T08:00:00+08:00", "ends": "2026-07-03T17:00:00+08:00", "reason": "线路检修",
        "cancelled": False,
    },
    NoticeKind.APPLICATION_NODE: {
        "account": "3210000000001", "application": "YK2026060100001", "node": "供电方案答复",
        "reached": "2026-07-01T10:12:00+08:00", "next_node": "装表接电",
    },
    NoticeKind.WORK_ORDER_CLOSED: {
        "account": "3210000000001", "work_order": "WO2026000001", "closed": "2026-07-01T16:40:00+08:00",
    },
    NoticeKind.PAYMENT_RECEIVED: {
        "account": "3210000000001", "amount_fen": 13579, "paid": "2026-07-01T12:00:00+08:00", "channel": "alipay",
    },
    NoticeKind.WITHHOLDING_FAILED: {
        "account": "3210000000001", "month": "2026-06", "amount_fen": 13579, "tries": 3,
    },
}  # fmt: skip

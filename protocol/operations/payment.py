"""Payment: what a channel charged is written off, reversed, or kept as credit; withholding agreements; points.

A payment is known by its **natural key**: the channel and the channel's own transaction number (and the line, where one
transaction pays several accounts). Whatever Idempotency-Key a write-off comes with, the same transaction is never
written off twice: the same content is answered as the first was, another is refused (`transaction-conflict`), and one
that was reversed stays reversed (`transaction-reversed`).

`paid_at` is when the channel charged the customer: its day, in China Standard Time, fixes the penalty. `booked_on` is
the day the company's books have it on.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from protocol.operations.fields import (
    PERSONAL,
    AccountNumber,
    Day,
    Fen,
    Model,
    Month,
    PersonName,
    Text,
    Timestamp,
)
from protocol.operations.operation import Family, Kind, Operation, UnknownOutcome
from protocol.operations.refusals import ACCOUNT_CLOSED, BILL_FROZEN, INVALID_FIELD, NO_SUCH_ACCOUNT, Refusal
from protocol.times import CHINA

Channel = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$"),
    Field(description="Through what it was paid, for example alipay, wechat or unionpay"),
]
Transaction = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z._:-]{1,64}$"),
    Field(description="The channel's own number of the transaction, as it is"),
]
TransactionLine = Annotated[
    int, Field(ge=1, le=50, description="Which part of a transaction that pays several accounts; else 1")
]
Paid = Annotated[int, Field(ge=1, le=10**13, description="Money in fen (1/100 yuan), an integer above 0")]
PaymentNumber = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z-]{4,40}$"),
    Field(description="The marketing system's number of it"),
]
Points = Annotated[int, Field(ge=0, le=10**12)]
Reward = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$"), Field(description="What points are exchanged for")
]
Bank = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z-]{2,32}$"),
    Field(description="The bank, or the channel the agreement is with"),
]
BankAccount = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{8,32}$"),
    Field(description="A bank account's or card's number", json_schema_extra={"x-personal-data": True}),
    PERSONAL,
]
MaskedBankAccount = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{0,6}\*{4,26}[0-9]{1,4}$"),
    Field(
        description="A bank account's number, masked: at most the first 6 and the last 4 digits",
        json_schema_extra={"x-personal-data": True},
    ),
    PERSONAL,
]
Agreement = Annotated[
    str, StringConstraints(pattern=r"^[0-9A-Za-z-]{4,40}$"), Field(description="The withholding agreement's number")
]


class _Charged(Model):
    """What a channel charged."""

    account: AccountNumber
    amount: Paid
    channel: Channel
    transaction: Transaction
    line: TransactionLine = 1
    paid_at: Annotated[Timestamp, Field(description="When the channel charged it; its day fixes the penalty")]
    booked_on: Annotated[Day, Field(description="The day it is booked on; not before the day it was paid")]

    @model_validator(mode="after")
    def _booked_after_it_was_paid(self) -> Self:
        paid_on = datetime.fromisoformat(self.paid_at).astimezone(CHINA).date()
        if date.fromisoformat(self.booked_on) < paid_on:
            raise ValueError("booked_on must not be before the day of paid_at in China Standard Time")
        return self


class Writeoff(_Charged):
    """Write off what a channel charged.

    With `months` exactly these bills are settled, and `amount` must be what they come to, with the penalty by the day
    it was paid. Without, bills are settled whole, the oldest first; what is left is credit on the account.
    """

    months: Annotated[tuple[Month, ...], Field(min_length=1, max_length=60)] | None = None

    @model_validator(mode="after")
    def _each_month_once(self) -> Self:
        if self.months is not None and len(set(self.months)) < len(self.months):
            raise ValueError("months names a month twice")
        return self


class Prepayment(_Charged):
    """Put what a channel charged on the account as credit, whatever bills there are."""


class SettledBill(Model):
    """A bill that a payment settled."""

    month: Month
    amount: Fen
    penalty: Fen


class PaymentBooked(Model):
    """A payment is booked: `amount` is what the settled bills come to, and what was credited."""

    account: AccountNumber
    channel: Channel
    transaction: Transaction
    line: TransactionLine
    amount: Paid
    payment: PaymentNumber
    settled: tuple[SettledBill, ...]
    credited: Annotated[Fen, Field(ge=0)]
    credit_balance: Annotated[Fen, Field(description="Credit on the account after it, in fen")]


class ReversalReason(StrEnum):
    """Why a payment is taken back."""

    REFUNDED = "refunded"
    WRONG_ACCOUNT = "wrong-account"
    DUPLICATE = "duplicate"
    CHANNEL_FAILED = "channel-failed"


class Reversal(Model):
    """Take a whole payment back: its bills are open again, its credit is gone."""

    account: AccountNumber
    amount: Annotated[Paid, Field(description="The payment's whole amount, in fen")]
    channel: Channel
    transaction: Annotated[Transaction, Field(description="The transaction that was written off")]
    line: TransactionLine = 1
    reason: Annotated[ReversalReason, Field(strict=False)]
    refund: Annotated[Transaction, Field(description="The channel's own number of the refund")] | None = None
    paid_at: Annotated[Timestamp, Field(description="When the channel paid it back, or took the charge back")]
    booked_on: Day


class Reversed(Model):
    """The payment is taken back."""

    account: AccountNumber
    channel: Channel
    transaction: Transaction
    line: TransactionLine
    amount: Paid
    reversal: PaymentNumber
    reopened: Annotated[tuple[Month, ...], Field(description="Bills that are open again")]
    credit_balance: Fen


class PaymentQuery(Model):
    """A payment by the channel's transaction, or by the `request_id` of the command that booked it."""

    channel: Channel | None = None
    transaction: Transaction | None = None
    line: TransactionLine | None = None
    command: (
        Annotated[
            str,
            StringConstraints(pattern=r"^[0-9A-Za-z._:-]{1,64}$"),
            Field(description="The request_id that the write-off or prepayment was answered with"),
        ]
        | None
    ) = None

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.channel is None) != (self.transaction is None) or (self.line is not None and self.channel is None):
            raise ValueError("channel and transaction belong together, and line belongs to them")
        if (self.channel is None) == (self.command is None):
            raise ValueError("ask by channel and transaction, or by command")
        return self


class PaymentKind(StrEnum):
    """What a payment was booked as."""

    WRITEOFF = "writeoff"
    PREPAYMENT = "prepayment"


class PaymentStatus(StrEnum):
    """What became of a payment."""

    BOOKED = "booked"
    REVERSED = "reversed"


class PaymentState(Model):
    """The answer to a query for one payment."""

    channel: Channel
    transaction: Transaction
    line: TransactionLine
    command: Annotated[str, StringConstraints(max_length=64)] | None = None
    account: AccountNumber
    kind: Annotated[PaymentKind, Field(strict=False)]
    state: Annotated[PaymentStatus, Field(strict=False)]
    payment: PaymentNumber
    amount: Paid
    paid_at: Timestamp
    booked_on: Day
    settled: tuple[SettledBill, ...]
    credited: Annotated[Fen, Field(ge=0)]
    reversed_on: Day | None = None
    """The day the reversal is booked on."""


class WithholdingOrder(Model):
    """An agreement that the company may collect the account's bills from a bank account."""

    account: AccountNumber
    bank: Bank
    bank_account: BankAccount
    holder: PersonName


class WithholdingSigned(Model):
    """The agreement; it is named when it is cancelled and in the files of withholding."""

    account: AccountNumber
    agreement: Agreement
    bank: Bank
    bank_account_masked: MaskedBankAccount
    signed_on: Day


class WithholdingCancellation(Model):
    """End an agreement."""

    account: AccountNumber
    agreement: Agreement


class WithholdingCancelled(Model):
    """The agreement has ended."""

    account: AccountNumber
    agreement: Agreement
    bank: Bank
    bank_account_masked: MaskedBankAccount
    cancelled_on: Day


class PointsQuery(Model):
    """How many points an account has, and what there is for them."""

    account: AccountNumber


class RewardOffer(Model):
    """Something that points are exchanged for."""

    reward: Reward
    title: Annotated[Text, StringConstraints(max_length=60)]
    points: Annotated[int, Field(ge=1, le=10**9, description="For one")]


class PointsBalance(Model):
    """The answer to a query for points."""

    account: AccountNumber
    points: Points
    rewards: tuple[RewardOffer, ...]


class PointsExchange(Model):
    """Exchange points for a reward."""

    account: AccountNumber
    reward: Reward
    quantity: Annotated[int, Field(ge=1, le=100)] = 1


class PointsExchanged(Model):
    """The exchange."""

    account: AccountNumber
    exchange: PaymentNumber
    reward: Reward
    quantity: int
    points_used: Points
    points_left: Points


TRANSACTION_CONFLICT = Refusal(
    "transaction-conflict",
    "This transaction of the channel was booked before, with another content",
    "该渠道流水号已入账，且内容不一致",
)
TRANSACTION_REVERSED = Refusal(
    "transaction-reversed",
    "This transaction was booked and reversed; it is not booked again",
    "该渠道流水号已冲正，不可再次入账",
)
AMOUNT_MISMATCH = Refusal("amount-mismatch", "The amount is not what it should come to", "金额不符")
BILL_NOT_OPEN = Refusal("bill-not-open", "A bill does not exist or is paid", "账单不存在或已结清")
NO_SUCH_PAYMENT = Refusal("no-such-payment", "There is no such payment", "缴费记录不存在")
AGREEMENT_EXISTS = Refusal("agreement-exists", "The account has another withholding agreement", "该户已签约其他代扣")
NO_SUCH_AGREEMENT = Refusal("no-such-agreement", "The account has no such withholding agreement", "代扣协议不存在")
TOO_FEW_POINTS = Refusal("too-few-points", "The account has too few points", "积分不足")
NO_SUCH_REWARD = Refusal("no-such-reward", "There is no such reward", "兑换项不存在")

FAMILY = Family(
    "Payment",
    "缴费",
    "Write-off, reversal and credit of what channels charged; withholding; points",
    "渠道收款的销账、冲正与预存；代扣签约；积分",
)
_EXAMPLE_PAYMENT = {
    "account": "3210000000005",
    "amount": 5000,
    "channel": "alipay",
    "line": 1,
}
OPERATIONS = (
    Operation(
        name="payment-writeoff",
        kind=Kind.COMMAND,
        summary="Write off what a channel charged: settles bills, the rest is credit",
        summary_zh="销账：渠道已收款，结清账单，余额预存",
        request=Writeoff,
        response=PaymentBooked,
        example=_EXAMPLE_PAYMENT
        | {
            "transaction": "2026070222001498760000000003",
            "paid_at": "2026-07-02T09:30:00+08:00",
            "booked_on": "2026-07-02",
        },
        example_answer=_EXAMPLE_PAYMENT
        | {
            "transaction": "2026070222001498760000000003",
            "payment": "PY000000000003",
            "settled": [],
            "credited": 5000,
            "credit_balance": 10000,
        },
        refusals=(
            INVALID_FIELD,
            NO_SUCH_ACCOUNT,
            ACCOUNT_CLOSED,
            TRANSACTION_CONFLICT,
            TRANSACTION_REVERSED,
            AMOUNT_MISMATCH,
            BILL_NOT_OPEN,
            BILL_FROZEN,
        ),
        scope="payments",
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.account,
    ),
    Operation(
        name="payment-reversal",
        kind=Kind.COMMAND,
        summary="Take a payment back: its bills are open again, its credit is gone",
        summary_zh="冲正：撤销已入账的缴费",
        request=Reversal,
        response=Reversed,
        example=_EXAMPLE_PAYMENT
        | {
            "transaction": "2026070122001498760000000002",
            "reason": "refunded",
            "refund": "2026070122001498760000000002R1",
            "paid_at": "2026-07-02T10:00:00+08:00",
            "booked_on": "2026-07-02",
        },
        example_answer=_EXAMPLE_PAYMENT
        | {
            "transaction": "2026070122001498760000000002",
            "reversal": "RV000000000001",
            "reopened": [],
            "credit_balance": 0,
        },
        refusals=(INVALID_FIELD, NO_SUCH_ACCOUNT, NO_SUCH_PAYMENT, TRANSACTION_CONFLICT, AMOUNT_MISMATCH),
        scope="payments",
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.account,
    ),
    Operation(
        name="prepay",
        kind=Kind.COMMAND,
        summary="Put what a channel charged on the account as credit",
        summary_zh="预存电费：渠道已收款，记为账户余额",
        request=Prepayment,
        response=PaymentBooked,
        example=_EXAMPLE_PAYMENT
        | {
            "transaction": "2026070222001498760000000004",
            "paid_at": "2026-07-02T09:40:00+08:00",
            "booked_on": "2026-07-02",
        },
        example_answer=_EXAMPLE_PAYMENT
        | {
            "transaction": "2026070222001498760000000004",
            "payment": "PY000000000004",
            "settled": [],
            "credited": 5000,
            "credit_balance": 10000,
        },
        refusals=(INVALID_FIELD, NO_SUCH_ACCOUNT, ACCOUNT_CLOSED, TRANSACTION_CONFLICT, TRANSACTION_REVERSED),
        scope="payments",
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.account,
    ),
    Operation(
        name="payment-state",
        kind=Kind.QUERY,
        summary="One payment: whether it was booked, what it settled, whether it was reversed",
        summary_zh="按渠道流水号或请求号查询缴费结果",
        request=PaymentQuery,
        response=PaymentState,
        example={"channel": "alipay", "transaction": "2026070122001498760000000001"},
        example_answer={
            "channel": "alipay",
            "transaction": "2026070122001498760000000001",
            "line": 1,
            "account": "3210000000001",
            "kind": "prepayment",
            "state": "booked",
            "payment": "PY000000000001",
            "amount": 5000,
            "paid_at": "2026-07-01T09:00:00+08:00",
            "booked_on": "2026-07-01",
            "settled": [],
            "credited": 5000,
        },
        refusals=(NO_SUCH_PAYMENT,),
        scope="payments",
    ),
    Operation(
        name="withholding-sign",
        kind=Kind.COMMAND,
        summary="Sign an agreement that bills are collected from a bank account",
        summary_zh="签约代扣",
        request=WithholdingOrder,
        response=WithholdingSigned,
        example={
            "account": "3210000000001",
            "bank": "icbc",
            "bank_account": "6222020000000000123",
            "holder": "田娟",
        },
        example_answer={
            "account": "3210000000001",
            "agreement": "WH000000000002",
            "bank": "icbc",
            "bank_account_masked": "622202*********0123",
            "signed_on": "2026-07-02",
        },
        refusals=(INVALID_FIELD, NO_SUCH_ACCOUNT, ACCOUNT_CLOSED, AGREEMENT_EXISTS),
        scope="payments",
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.account,
    ),
    Operation(
        name="withholding-cancel",
        kind=Kind.COMMAND,
        summary="End a withholding agreement",
        summary_zh="解约代扣",
        request=WithholdingCancellation,
        response=WithholdingCancelled,
        example={"account": "3210000000004", "agreement": "WH000000000001"},
        example_answer={
            "account": "3210000000004",
            "agreement": "WH000000000001",
            "bank": "ccb",
            "bank_account_masked": "621700*********0456",
            "cancelled_on": "2026-07-02",
        },
        refusals=(INVALID_FIELD, NO_SUCH_ACCOUNT, NO_SUCH_AGREEMENT),
        scope="payments",
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.account,
    ),
    Operation(
        name="points-balance",
        kind=Kind.QUERY,
        summary="An account's points, and what they are exchanged for",
        summary_zh="查询积分与可兑换项",
        request=PointsQuery,
        response=PointsBalance,
        example={"account": "3210000000004"},
        example_answer={
            "account": "3210000000004",
            "points": 870,
            "rewards": [
                {"reward": "bill-credit", "title": "电费抵扣1元", "points": 10},
                {"reward": "led-lamp", "title": "LED节能灯", "points": 150},
            ],
        },
        refusals=(NO_SUCH_ACCOUNT, ACCOUNT_CLOSED),
        scope="payments",
    ),
    Operation(
        name="points-exchange",
        kind=Kind.COMMAND,
        summary="Exchange points for a reward",
        summary_zh="积分兑换",
        request=PointsExchange,
        response=PointsExchanged,
        example={"account": "3210000000004", "reward": "bill-credit", "quantity": 1},
        example_answer={
            "account": "3210000000004",
            "exchange": "EX000000000001",
            "reward": "bill-credit",
            "quantity": 1,
            "points_used": 10,
            "points_left": 860,
        },
        refusals=(INVALID_FIELD, NO_SUCH_ACCOUNT, ACCOUNT_CLOSED, TOO_FEW_POINTS, NO_SUCH_REWARD),
        scope="payments",
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.account,
    ),
)

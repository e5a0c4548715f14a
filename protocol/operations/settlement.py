"""What the bridge itself asks about money: the list of write-offs, holds on bills, promotions. No front offers these.

**Holds.** A bill that a withholding batch collects is frozen under the batch's name: nobody else can pay it meanwhile.
The natural key is account, month and batch: a hold that is there is answered as the first was, and one that has ended
is not made again, however late a repetition comes.

**Promotions** (coupons, red packets, points) are somebody's money that a payment uses. A *reservation* has a name, its
natural key: the same name with the same content is answered as the first was. It comes to an end once: posted (used
up), voided, or over at `until`. Voiding a name that was never reserved keeps it from being reserved later.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from protocol.operations.fields import AccountNumber, Day, Fen, Model, Month, Timestamp
from protocol.operations.operation import AskedBy, Family, Kind, Operation, UnknownOutcome
from protocol.operations.orders import COUPON_INVALID
from protocol.operations.payment import (
    BILL_NOT_OPEN,
    Agreement,
    Bank,
    BankAccount,
    Channel,
    Paid,
    PaymentKind,
    PaymentNumber,
    Transaction,
    TransactionLine,
)
from protocol.operations.refusals import (
    ACCOUNT_CLOSED,
    BILL_FROZEN,
    DAY_RANGE,
    INVALID_FIELD,
    NO_SUCH_ACCOUNT,
    Refusal,
)
from protocol.operations.spans import days_between

SCOPE = "settlement"
"""No application is granted it."""
MOST_DAYS = 62
LARGEST_PAGE = 1_000
MOST_ACCOUNTS = 100

Company = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$"),
    Field(description="Which of the companies that the marketing system serves; absent: all of it"),
]
Batch = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z._:-]{1,64}$"),
    Field(description="What holds the bills: a withholding batch, an order"),
]
BillId = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z-]{1,40}$"),
    Field(description="The marketing system's number of a bill"),
]
Months = Annotated[tuple[Month, ...], Field(min_length=1, max_length=60)]
Reservation = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z._:-]{1,64}$"),
    Field(description="What it is known by; chosen by who reserves"),
]
Promotion = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z._:-]{1,64}$"),
    Field(description="The coupon, the red packet, or the kind of points"),
]
Payer = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z._:@-]{1,64}$"),
    Field(description="The app's own name of who pays"),
]


class WriteoffListQuery(Model):
    """What the marketing system wrote off of one channel: booked, or reversed, on one of these days."""

    first_day: Day
    last_day: Day
    channel: Channel
    company: Company | None = None
    page: Annotated[int, Field(ge=1, le=100_000)] = 1
    page_size: Annotated[int, Field(ge=1, le=LARGEST_PAGE)] = 500

    @model_validator(mode="after")
    def _days_in_order(self) -> Self:
        if not 1 <= days_between(self.first_day, self.last_day) <= MOST_DAYS:
            raise ValueError(f"last_day must not be before first_day, and at most {MOST_DAYS} days may be asked for")
        return self


class WriteoffStatus(StrEnum):
    """What became of it."""

    WRITTEN_OFF = "written-off"
    REVERSED = "reversed"


class WriteoffRow(Model):
    """One payment in the marketing system's books."""

    transaction: Transaction
    merchant: (
        Annotated[
            str,
            StringConstraints(pattern=r"^[!-~]{1,64}$"),
            Field(description="The channel's number of the merchant that was paid, where the books have it"),
        ]
        | None
    ) = None
    line: TransactionLine
    command: Annotated[str, StringConstraints(max_length=64), Field(description="Its request_id, if known")] | None = (
        None
    )
    account: AccountNumber
    payment: PaymentNumber
    kind: Annotated[PaymentKind, Field(strict=False)]
    amount: Paid
    penalty: Annotated[Fen, Field(description="Of the bills it settled; part of `amount`")] | None = None
    months: Annotated[tuple[Month, ...], Field(description="The bills it settled")] = ()
    paid_at: Timestamp
    written_off_at: Annotated[Timestamp, Field(description="When it was booked")] | None = None
    booked_on: Day
    state: Annotated[WriteoffStatus, Field(strict=False)]
    reversed: Annotated[Fen, Field(ge=0, description="Of `amount`, what was taken back")] = 0
    reversed_on: Day | None = None

    @model_validator(mode="after")
    def _taken_back_is_reversed(self) -> Self:
        if self.reversed > self.amount:
            raise ValueError("reversed is more than amount")
        if self.state is WriteoffStatus.REVERSED and self.reversed != self.amount:
            raise ValueError("state reversed, and reversed is not amount")
        return self


class WriteoffList(Model):
    """A page of it, in an order that stays. `count` and `total` are of the whole list: by them a list that changed or
    broke off between two pages is noticed.
    """

    first_day: Day
    last_day: Day
    channel: Channel
    page: int
    page_size: int
    count: Annotated[int, Field(ge=0, description="Rows of all pages")]
    total: Annotated[Fen, Field(description="The sum of `amount` over all pages, reversed or not")]
    rows: tuple[WriteoffRow, ...]

    @model_validator(mode="after")
    def _page_is_whole(self) -> Self:
        left = max(0, self.count - (self.page - 1) * self.page_size)
        if len(self.rows) != min(self.page_size, left):
            raise ValueError("rows are not as many as count says for this page: the page is incomplete")
        return self


class OpenBillsQuery(Model):
    """What some accounts have to pay."""

    accounts: Annotated[tuple[AccountNumber, ...], Field(min_length=1, max_length=MOST_ACCOUNTS)]
    as_of: Annotated[Day, Field(description="The day that penalties are counted to; absent: today")] | None = None

    @model_validator(mode="after")
    def _each_account_once(self) -> Self:
        if len(set(self.accounts)) < len(self.accounts):
            raise ValueError("accounts names an account twice")
        return self


class OpenBill(Model):
    """A bill that is not paid."""

    account: AccountNumber
    bill: BillId
    month: Month
    amount: Fen
    penalty: Annotated[Fen, Field(description="As of the day; not part of `amount`")]
    due_on: Day
    frozen: Annotated[Batch, Field(description="What holds it; absent: nothing")] | None = None


class OpenBills(Model):
    """The answer: the bills by account, the oldest first. An account that has none is in neither list."""

    as_of: Day
    bills: tuple[OpenBill, ...]
    unknown: Annotated[tuple[AccountNumber, ...], Field(description="Accounts that do not exist or are closed")] = ()


class WithholdingAgreementsQuery(Model):
    """Which agreements of withholding some accounts have."""

    accounts: Annotated[tuple[AccountNumber, ...], Field(min_length=1, max_length=MOST_ACCOUNTS)]

    @model_validator(mode="after")
    def _each_account_once(self) -> Self:
        if len(set(self.accounts)) < len(self.accounts):
            raise ValueError("accounts names an account twice")
        return self


class WithholdingAgreement(Model):
    """One in force: the bank may be asked to charge the account's bills."""

    account: AccountNumber
    agreement: Agreement
    bank: Bank
    bank_account: BankAccount


class WithholdingAgreements(Model):
    """The answer: those in force. An account that has none is not in it."""

    agreements: tuple[WithholdingAgreement, ...]


class BillHold(Model):
    """Bills of an account, and what holds them."""

    account: AccountNumber
    months: Months
    batch: Batch

    @model_validator(mode="after")
    def _each_month_once(self) -> Self:
        if len(set(self.months)) < len(self.months):
            raise ValueError("months names a month twice")
        return self


class BillFreeze(BillHold):
    """Hold bills: until they are released only a payment through `channel` settles them."""

    channel: Annotated[Channel, Field(description="Through what they are being collected")]


class BillsFrozen(Model):
    """All of them are held."""

    account: AccountNumber
    batch: Batch
    frozen: tuple[Month, ...]


class BillsReleased(Model):
    """None of them is held by this batch any more."""

    account: AccountNumber
    batch: Batch
    released: Annotated[tuple[Month, ...], Field(description="Those that it held until now")]


class PromotionReserve(Model):
    """Keep a coupon, a red packet or points for a payment."""

    reservation: Reservation
    promotion: Promotion
    amount: Annotated[Paid, Field(description="What it pays, in fen")]
    payer: Payer | None = None
    account: Annotated[AccountNumber, Field(description="Whose points")] | None = None
    until: Annotated[Timestamp, Field(description="From then on it is no longer kept")]


class ReservationName(Model):
    """A reservation."""

    reservation: Reservation


class ReservationStatus(StrEnum):
    """Where a reservation stands."""

    RESERVED = "reserved"
    POSTED = "posted"
    VOIDED = "voided"


class PromotionReserved(Model):
    """It is kept."""

    reservation: Reservation
    promotion: Promotion
    amount: Paid
    until: Timestamp
    state: Annotated[ReservationStatus, Field(strict=False)]


class PromotionResolved(Model):
    """It has come to its end."""

    reservation: Reservation
    amount: Annotated[Fen, Field(ge=0, description="What it kept; 0: it never did")]
    state: Annotated[ReservationStatus, Field(strict=False)]


HOLD_ENDED = Refusal(
    "hold-ended", "This batch's hold on a bill has ended; it is not made again", "该批次的冻结已解除，不可再次冻结"
)
RESERVATION_CONFLICT = Refusal(
    "reservation-conflict", "There is a reservation of this name, with another content", "预留号重复且内容不一致"
)
RESERVATION_ENDED = Refusal(
    "reservation-ended", "The reservation was voided, or its time is over", "预留已取消或已过期"
)
RESERVATION_POSTED = Refusal(
    "reservation-posted", "The reservation is posted; it is not voided", "预留已入账，不可取消"
)
NO_SUCH_RESERVATION = Refusal("no-such-reservation", "There is no reservation of this name", "预留不存在")

FAMILY = Family(
    "Settlement",
    "结算",
    "What the bridge itself asks about money; no application can ask for it",
    "桥接服务自身发起的资金类调用，不对应用开放",
)
_EXAMPLE_HOLD = {"account": "3210000000008", "months": ("2026-05", "2026-06"), "batch": "SDDL-37101-20260715"}
_EXAMPLE_RESERVATION = {"reservation": "PO20260715000001-CP1-V1"}
OPERATIONS = (
    Operation(
        name="writeoff-list",
        kind=Kind.QUERY,
        summary="What was written off and reversed of a channel on some days, page by page",
        summary_zh="按渠道与日期分页查询销账及冲正清单",
        request=WriteoffListQuery,
        response=WriteoffList,
        example={"first_day": "2026-07-01", "last_day": "2026-07-02", "channel": "alipay", "page_size": 1},
        example_answer={
            "first_day": "2026-07-01",
            "last_day": "2026-07-02",
            "channel": "alipay",
            "page": 1,
            "page_size": 1,
            "count": 2,
            "total": 10_000,
            "rows": [
                {
                    "transaction": "2026070122001498760000000001",
                    "line": 1,
                    "command": "first-1",
                    "account": "3210000000001",
                    "payment": "PY000000000001",
                    "kind": "prepayment",
                    "amount": 5000,
                    "penalty": 0,
                    "months": [],
                    "paid_at": "2026-07-01T09:00:00+08:00",
                    "booked_on": "2026-07-01",
                    "state": "written-off",
                    "reversed": 0,
                }
            ],
        },
        refusals=(DAY_RANGE, INVALID_FIELD),
        scope=SCOPE,
        deadline_ms=15_000,
        asked_by=AskedBy.BRIDGE,
    ),
    Operation(
        name="open-bills",
        kind=Kind.QUERY,
        summary="The open bills of some accounts, with penalties and what holds them",
        summary_zh="批量查询未缴账单（含违约金与冻结状态）",
        request=OpenBillsQuery,
        response=OpenBills,
        example={"accounts": ("3210000000002", "9999999999999"), "as_of": "2026-07-15"},
        example_answer={
            "as_of": "2026-07-15",
            "bills": [
                {
                    "account": "3210000000002",
                    "bill": "3210000000002-202606",
                    "month": "2026-06",
                    "amount": 11_036,
                    "penalty": 0,
                    "due_on": "2026-07-25",
                }
            ],
            "unknown": ["9999999999999"],
        },
        refusals=(DAY_RANGE, INVALID_FIELD),
        scope=SCOPE,
        deadline_ms=15_000,
        asked_by=AskedBy.BRIDGE,
    ),
    Operation(
        name="withholding-agreements",
        kind=Kind.QUERY,
        summary="The withholding agreements in force of some accounts, with their bank accounts",
        summary_zh="批量查询生效中的代扣协议（含扣款账号）",
        request=WithholdingAgreementsQuery,
        response=WithholdingAgreements,
        example={"accounts": ("3210000000004", "9999999999999")},
        example_answer={
            "agreements": [
                {
                    "account": "3210000000004",
                    "agreement": "WH000000000001",
                    "bank": "ccb",
                    "bank_account": "6217000000000000456",
                }
            ],
        },
        refusals=(INVALID_FIELD,),
        scope=SCOPE,
        deadline_ms=15_000,
        asked_by=AskedBy.BRIDGE,
    ),
    Operation(
        name="bill-freeze",
        kind=Kind.COMMAND,
        summary="Hold bills that are being collected: nobody else can pay them",
        summary_zh="冻结账单：代扣期间不可经其他渠道缴费",
        request=BillFreeze,
        response=BillsFrozen,
        example=_EXAMPLE_HOLD | {"channel": "withholding"},
        example_answer={"account": "3210000000008", "batch": "SDDL-37101-20260715", "frozen": ["2026-05", "2026-06"]},
        refusals=(INVALID_FIELD, NO_SUCH_ACCOUNT, ACCOUNT_CLOSED, BILL_NOT_OPEN, BILL_FROZEN, HOLD_ENDED),
        scope=SCOPE,
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.account,
        asked_by=AskedBy.BRIDGE,
    ),
    Operation(
        name="bill-release",
        kind=Kind.COMMAND,
        summary="End a batch's hold on bills",
        summary_zh="解除账单冻结",
        request=BillHold,
        response=BillsReleased,
        example=_EXAMPLE_HOLD,
        example_answer={
            "account": "3210000000008",
            "batch": "SDDL-37101-20260715",
            "released": ["2026-05", "2026-06"],
        },
        refusals=(INVALID_FIELD, NO_SUCH_ACCOUNT),
        scope=SCOPE,
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.account,
        asked_by=AskedBy.BRIDGE,
    ),
    Operation(
        name="promotion-reserve",
        kind=Kind.COMMAND,
        summary="Keep a coupon, a red packet or points for a payment",
        summary_zh="预留优惠券、红包或积分",
        request=PromotionReserve,
        response=PromotionReserved,
        example=_EXAMPLE_RESERVATION
        | {"promotion": "CP0001", "amount": 1000, "payer": "demo-user", "until": "2099-01-01T00:00:00+08:00"},
        example_answer=_EXAMPLE_RESERVATION
        | {"promotion": "CP0001", "amount": 1000, "until": "2099-01-01T00:00:00+08:00", "state": "reserved"},
        refusals=(INVALID_FIELD, COUPON_INVALID, RESERVATION_CONFLICT, RESERVATION_ENDED),
        scope=SCOPE,
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.reservation,
        asked_by=AskedBy.BRIDGE,
        echoes={"reservation": "reservation", "promotion": "promotion", "amount": "amount"},
    ),
    Operation(
        name="promotion-post",
        kind=Kind.COMMAND,
        summary="Use a reservation up: its payment is proven",
        summary_zh="预留入账：使用优惠券、红包或积分",
        request=ReservationName,
        response=PromotionResolved,
        example=_EXAMPLE_RESERVATION,
        example_answer=_EXAMPLE_RESERVATION | {"amount": 1000, "state": "posted"},
        refusals=(INVALID_FIELD, NO_SUCH_RESERVATION, RESERVATION_ENDED),
        scope=SCOPE,
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.reservation,
        asked_by=AskedBy.BRIDGE,
    ),
    Operation(
        name="promotion-void",
        kind=Kind.COMMAND,
        summary="Give a reservation back: its payment did not come",
        summary_zh="取消预留",
        request=ReservationName,
        response=PromotionResolved,
        example={"reservation": "PO20260715000001-CP2-V1"},
        example_answer={"reservation": "PO20260715000001-CP2-V1", "amount": 0, "state": "voided"},
        refusals=(INVALID_FIELD, RESERVATION_POSTED),
        scope=SCOPE,
        unknown_outcome=UnknownOutcome.INQUIRE,
        ordering_key=lambda asked: asked.reservation,
        asked_by=AskedBy.BRIDGE,
    ),
)

"""Payment orders: bills of several companies paid by one payment. The bridge answers these itself
(intranet_bridge/settlement/payments).

An order has lines, one an account of a company; coupons, red packets and points may pay a part; one channel brings the
rest, which is the cash. The application creates the order, says when it sends its payer to the channel, and passes on
what the channel says: it is the channel's signature that counts. Then each line is written off at its company. A line
that a company refuses is refunded by the application, which passes on the channel's proof of that too.
"""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from protocol.operations.accounts import UserId
from protocol.operations.fields import PERSONAL, Fen, Model, Month, Timestamp
from protocol.operations.operation import AnsweredBy, Family, Kind, Operation
from protocol.operations.payment import AMOUNT_MISMATCH, Channel, Paid
from protocol.operations.refusals import ACCOUNT_CLOSED, NO_SUCH_ACCOUNT, Refusal

MOST_LINES = 50
MOST_PARTS = 5
NOTIFICATION_BYTES = 16 * 1024

Company = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$"),
    Field(description="A company, by the name that the bridge's configuration gives it"),
]
CompanyAccount = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z-]{4,20}$"),
    Field(
        description="An account number in its company's own form: text, never a number; leading zeros count",
        json_schema_extra={"x-personal-data": True},
    ),
    PERSONAL,
]
"""Not AccountNumber, whose form is that of the one company of this front."""
OrderNumber = Annotated[
    str, StringConstraints(pattern=r"^[0-9A-Za-z]{1,27}$"), Field(description="As `payment-order-create` answered it")
]
"""WeChat's numbers have 32 characters at most, a line's too: `{order}-{line}`."""
LineNumber = Annotated[int, Field(ge=1, le=MOST_LINES)]
RefundNumber = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z]{1,27}-[0-9]{1,2}-R[0-9]{1,3}$"),
    Field(description="What the channel is asked for it under: the same over all repeats"),
]
Bills = Annotated[
    tuple[Month, ...],
    Field(max_length=60, description="Which bills, by their months; none: it is a prepayment"),
]


class OrderState(StrEnum):
    """Where an order stands."""

    CREATED = "created"
    RESERVED = "reserved"
    """Its coupons and points are reserved."""
    PAYING = "paying"
    """Its payer was sent to the channel: its bills are in use."""
    PAID = "paid"
    WRITING_OFF = "writing-off"
    COMPLETED = "completed"
    COMPLETED_WITH_REFUNDS = "completed-with-refunds"
    HELD = "held"
    """A person decides: the cash is not the order's, or what became of a line is not known."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class LineState(StrEnum):
    """Where a line stands."""

    OPEN = "open"
    UNKNOWN = "unknown"
    WRITTEN_OFF = "written-off"
    REFUSED = "refused"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    CREDITED = "credited"
    HELD = "held"


class RefundState(StrEnum):
    """Where a refund stands."""

    REQUESTED = "requested"
    """The application is to have the channel do it."""
    SENT = "sent"
    PROVEN = "proven"
    FAILED = "failed"


class ReservationState(StrEnum):
    """Where the reservation of a part payment stands."""

    RESERVED = "reserved"
    POSTED = "posted"
    VOIDED = "voided"


class PartKind(StrEnum):
    """What pays a part."""

    COUPON = "coupon"
    RED_PACKET = "red-packet"
    POINTS = "points"


class AccountOf(Model):
    """An account of a company."""

    company: Company
    account: CompanyAccount


class CombinedBillQuery(Model):
    """What these accounts owe, at whichever companies."""

    accounts: Annotated[tuple[AccountOf, ...], Field(min_length=1, max_length=MOST_LINES)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({(one.company, one.account) for one in self.accounts}) < len(self.accounts):
            raise ValueError("accounts names an account twice")
        return self


class OpenBill(Model):
    """A bill that is due; it costs the sum of both."""

    bill: Month
    amount: Fen
    penalty: Fen


class AccountOwes(Model):
    """What one account owes; `total` includes the penalty."""

    company: Company
    account: CompanyAccount
    total: Fen
    bills: tuple[OpenBill, ...]


class Unanswered(Model):
    """An account of which nothing can be said, and why: the company's no, or `unavailable`."""

    company: Company
    account: CompanyAccount
    code: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]


class CombinedBill(Model):
    """What was answered, in the order asked, and what was not: `total` is of what was."""

    total: Fen
    owed: tuple[AccountOwes, ...]
    unanswered: tuple[Unanswered, ...]


class OrderLine(AccountOf):
    """What is to be paid at one company."""

    bills: Bills = ()
    amount: Annotated[Paid, Field(description="What the bills come to with their penalties, in fen; or the prepayment")]

    @model_validator(mode="after")
    def _each_bill_once(self) -> Self:
        if len(set(self.bills)) < len(self.bills):
            raise ValueError("bills names a month twice")
        return self


class OrderPart(Model):
    """A coupon, a red packet or points that pay a part."""

    id: Annotated[
        str,
        StringConstraints(pattern=r"^[0-9A-Za-z._]{1,40}$"),
        Field(description="What the promotion service knows it by"),
    ]
    kind: Annotated[PartKind, Field(strict=False)]
    funder: Annotated[Company, Field(description="Who pays for it in the end")]
    amount: Paid


class OrderCreate(Model):
    """Bills, and prepayments, to be paid by one payment."""

    channel: Channel
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=MOST_LINES)]
    parts: Annotated[tuple[OrderPart, ...], Field(max_length=MOST_PARTS)] = ()
    payer: UserId | None = None
    """Whose coupons these are, and whom risk rules count; without, they count the application's orders for nobody."""


class OrderAsked(Model):
    """One order of this application."""

    order: OrderNumber


class LineStanding(AccountOf):
    """A line, and what became of it."""

    line: LineNumber
    number: Annotated[str, Field(max_length=32, description="A combined payment gives the channel this for the line")]
    bills: Bills
    amount: Paid
    cash: Annotated[Fen, Field(ge=0, description="What the channel brings of it")]
    state: Annotated[LineState, Field(strict=False)]
    code: Annotated[str, Field(max_length=64, description="Why it was refused")] = ""


class PartStanding(OrderPart):
    """A part payment, and what became of it; without a state it is not reserved yet."""

    state: Annotated[ReservationState, Field(strict=False)] | None = None
    returned: Annotated[
        Fen,
        Field(
            ge=0,
            description="Of it, in fen, what went back to its funder in our books with refunded lines; the promotion "
            "service, which takes back nothing in part, has all of it as used",
        ),
    ] = 0


class RefundStanding(Model):
    """A refund; line 0: of a payment too many, or of another amount."""

    refund: RefundNumber
    line: Annotated[int, Field(ge=0, le=MOST_LINES)]
    channel: Channel
    transaction: Annotated[str, Field(max_length=64, description="The channel's number of the payment it is of")]
    cash: Annotated[Fen, Field(ge=0, description="What the channel is to give back, in fen")]
    state: Annotated[RefundState, Field(strict=False)]


class OrderStanding(Model):
    """An order as it stands."""

    order: OrderNumber
    channel: Channel
    state: Annotated[OrderState, Field(strict=False)]
    amount: Paid
    cash: Annotated[Paid, Field(description="What the channel is to bring, in fen")]
    expires_at: Timestamp
    lines: tuple[LineStanding, ...]
    parts: tuple[PartStanding, ...] = ()
    refunds: tuple[RefundStanding, ...] = ()


class Header(Model):
    """One header of a notification."""

    name: Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$")]
    value: Annotated[str, StringConstraints(max_length=1024)]


class ChannelNotification(Model):
    """What a channel sent, as it came: every byte counts, for it is signed."""

    headers: Annotated[
        tuple[Header, ...], Field(max_length=20, description="At least those that the channel signs or signs by")
    ] = ()
    body: Annotated[
        str,
        StringConstraints(pattern="^[0-9A-Za-z+/]*={0,2}$", min_length=1, max_length=NOTIFICATION_BYTES * 4 // 3 + 4),
        Field(description="Its body, in base 64; at most 16 KB"),
    ]


class PaymentConfirm(ChannelNotification):
    """A channel's notification, of whatever: a payment, a refund, or nothing."""

    channel: Channel


class Meant(StrEnum):
    """What a notification meant. Whatever it is, it was taken: the channel need not repeat it."""

    PAID = "paid"
    LATE = "late"
    """The order had ended: it is looked whether it can still be honoured."""
    REPEATED = "repeated"
    SURPLUS = "surplus"
    """The order is paid already: this payment is refunded."""
    AMOUNT_MISMATCH = "amount-mismatch"
    """It is not the order's cash: the order is held, nothing is written off."""
    REFUND_PROVEN = "refund-proven"
    NOT_OURS = "not-ours"
    """There is no such order, or refund, here."""
    NOTHING = "nothing"
    """Genuine, and nothing was paid by it."""


class Acknowledgement(Model):
    """What the channel is to be answered, exactly so."""

    status: Annotated[int, Field(ge=200, le=299)]
    media_type: Annotated[str, Field(max_length=64)]
    body: Annotated[str, Field(max_length=200)]


class PaymentConfirmed(Model):
    """What it meant, and what to answer the channel."""

    meant: Annotated[Meant, Field(strict=False)]
    order: OrderNumber | None = None
    refund: RefundNumber | None = None
    acknowledgement: Acknowledgement


class RefundRequest(Model):
    """Give back what was paid for a line. One that is written off is reversed at its company first."""

    order: OrderNumber
    line: LineNumber
    cash: Annotated[Paid, Field(description="A part of it, in fen; absent: all that is left")] | None = None


class RefundRequested(Model):
    """The line; as soon as its refund can be executed, it is among the order's `refunds`, and here."""

    order: OrderNumber
    line: LineNumber
    state: Annotated[LineState, Field(strict=False)]
    refund: RefundStanding | None = None


class RefundSaid(StrEnum):
    """What an application says of a refund."""

    SENT = "sent"
    FAILED = "failed"


class RefundConfirm(Model):
    """What became of a refund: by the application's word it was sent, or failed; by the channel's, it is proven."""

    refund: RefundNumber
    said: Annotated[RefundSaid, Field(strict=False)] | None = None
    proof: ChannelNotification | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.said is None) == (self.proof is None):
            raise ValueError("either said or proof")
        return self


NOT_OFFERED = Refusal("payments-not-offered", "No payment orders are taken here", "本单位未开通合并缴费")
NO_SUCH_ORDER = Refusal("no-such-order", "There is no such order", "订单不存在")
NO_SUCH_COMPANY = Refusal("no-such-company", "There is no such company here", "收费单位不存在")
NO_SUCH_CHANNEL = Refusal("no-such-channel", "No such channel is set up here", "支付渠道未配置")
BILL_CHANGED = Refusal("bill-changed", "A bill is not open, or comes to something else now", "账单已变化，请重新查询")
BILL_IN_USE = Refusal("bill-in-use", "A bill is being paid or collected already", "账单正在缴费或代扣中")
BILLS_UNKNOWN = Refusal("bills-unknown", "A company cannot say now what is owed", "暂时无法核实账单")
COUPON_INVALID = Refusal("coupon-invalid", "A coupon or points cannot be used so", "优惠券或积分不可用")
TOO_MANY_LINES = Refusal("too-many-lines", "The channel does not combine so many", "合并笔数超过渠道上限")
ORDER_EXPIRED = Refusal("order-expired", "The order has expired, or was cancelled", "订单已过期或已取消")
ORDER_PAID = Refusal("order-paid", "The order is paid: what was paid can be refunded", "订单已支付")
NOT_RESERVED = Refusal("not-reserved", "Its coupons and points are not reserved yet", "优惠尚未锁定，请稍后")
EVIDENCE_INVALID = Refusal("evidence-invalid", "It is not the channel's, or not as it came", "支付凭证无效")
RISK_REFUSED = Refusal("risk-refused", "It is not taken", "交易被拒绝")
LINE_NOT_REFUNDABLE = Refusal("line-not-refundable", "What became of the line does not allow it", "该笔不可退款")
REFUND_IN_FLIGHT = Refusal("refund-in-flight", "A refund of it is under way", "退款处理中")
REFUND_TOO_LARGE = Refusal("refund-too-large", "So much was not paid, or is refunded already", "退款金额超限")
NO_SUCH_REFUND = Refusal("no-such-refund", "There is no such refund", "退款不存在")
REFUND_NOT_SO = Refusal("refund-not-so", "It has not been sent, or is proven already", "退款状态不符")

SCOPE, REFUND_SCOPE = "orders", "refunds"
_ORDER = "01J1QF3VJ8ZK4M7N9P0R2S5T6V"
_EXPIRES = "2026-07-02T09:45:00+08:00"
_LINE: dict[str, Any] = {"company": "power", "account": "3210000000003", "bills": ("2026-06",), "amount": 8861}
_STANDING = {
    "order": _ORDER,
    "channel": "wechat",
    "state": "created",
    "amount": 8861,
    "cash": 8861,
    "expires_at": _EXPIRES,
    "lines": [_LINE | {"line": 1, "number": f"{_ORDER}-1", "cash": 8861, "state": "open"}],
}
_REFUND = {
    "refund": f"{_ORDER}-1-R1",
    "line": 1,
    "channel": "wechat",
    "transaction": "4200000001202607021234567890",
    "cash": 8861,
    "state": "requested",
}

FAMILY = Family(
    "Payment orders",
    "合并缴费",
    "Bills of several companies paid by one payment, written off one by one, and refunded where that is refused; the "
    "bridge answers these itself",
    "多单位账单一次支付、逐笔销账，销账被拒的逐笔退款；由内网桥接程序直接应答",
)
OPERATIONS = (
    Operation(
        name="combined-bill",
        kind=Kind.QUERY,
        summary="What up to 50 accounts of several companies owe; names those that did not answer",
        summary_zh="合并账单：多单位户号的欠费（列出未应答者）",
        request=CombinedBillQuery,
        response=CombinedBill,
        example={"accounts": ({"company": "power", "account": "3210000000003"},)},
        example_answer={
            "total": 8861,
            "owed": [
                {
                    "company": "power",
                    "account": "3210000000003",
                    "total": 8861,
                    "bills": [{"bill": "2026-06", "amount": 8861, "penalty": 0}],
                }
            ],
            "unanswered": [],
        },
        refusals=(NOT_OFFERED,),
        scope="bills",
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="payment-order-create",
        kind=Kind.COMMAND,
        summary="Create a payment order: 1 to 50 lines, up to 5 coupons, red packets or points, one channel",
        summary_zh="创建合并缴费订单",
        request=OrderCreate,
        response=OrderStanding,
        example={"channel": "wechat", "lines": (_LINE,)},
        example_answer=_STANDING,
        refusals=(
            NOT_OFFERED,
            NO_SUCH_CHANNEL,
            NO_SUCH_COMPANY,
            NO_SUCH_ACCOUNT,
            ACCOUNT_CLOSED,
            TOO_MANY_LINES,
            AMOUNT_MISMATCH,
            COUPON_INVALID,
            BILL_CHANGED,
            BILL_IN_USE,
            BILLS_UNKNOWN,
            RISK_REFUSED,
        ),
        scope=SCOPE,
        expires_ms=300_000,
        echoes={"channel": "channel"},
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="payment-order",
        kind=Kind.QUERY,
        summary="A payment order as it stands: its lines, part payments and refunds",
        summary_zh="查询合并缴费订单",
        request=OrderAsked,
        response=OrderStanding,
        example={"order": _ORDER},
        example_answer=_STANDING,
        refusals=(NOT_OFFERED, NO_SUCH_ORDER),
        scope=SCOPE,
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="payment-order-pay",
        kind=Kind.COMMAND,
        summary="The payer is sent to the channel: from now on the order's bills are in use",
        summary_zh="订单转入支付（账单锁定）",
        request=OrderAsked,
        response=OrderStanding,
        example={"order": _ORDER},
        example_answer=_STANDING | {"state": "paying"},
        refusals=(NOT_OFFERED, NO_SUCH_ORDER, ORDER_EXPIRED, ORDER_PAID, NOT_RESERVED, BILL_IN_USE),
        scope=SCOPE,
        expires_ms=300_000,
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="payment-confirm",
        kind=Kind.COMMAND,
        summary="Pass on a channel's signed notification; says what to answer the channel",
        summary_zh="支付通知：转交渠道签名原文，返回应答渠道的内容",
        request=PaymentConfirm,
        response=PaymentConfirmed,
        example={"channel": "wechat", "headers": ({"name": "Wechatpay-Serial", "value": "00"},), "body": "e30="},
        example_answer={
            "meant": "paid",
            "order": _ORDER,
            "acknowledgement": {"status": 200, "media_type": "application/json", "body": '{"code":"SUCCESS"}'},
        },
        refusals=(NOT_OFFERED, NO_SUCH_CHANNEL, EVIDENCE_INVALID),
        scope=SCOPE,
        echoes={},
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="payment-cancel",
        kind=Kind.COMMAND,
        summary="Cancel an order that is not paid; proof of payment that comes later still counts",
        summary_zh="取消未支付的订单",
        request=OrderAsked,
        response=OrderStanding,
        example={"order": _ORDER},
        example_answer=_STANDING | {"state": "cancelled"},
        refusals=(NOT_OFFERED, NO_SUCH_ORDER, ORDER_PAID),
        scope=SCOPE,
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="refund-request",
        kind=Kind.COMMAND,
        summary="Ask for the refund of a line; what is written off is reversed at its company first",
        summary_zh="申请退款（已销账的先冲正）",
        request=RefundRequest,
        response=RefundRequested,
        example={"order": _ORDER, "line": 1},
        example_answer={"order": _ORDER, "line": 1, "state": "refunding", "refund": _REFUND},
        refusals=(
            NOT_OFFERED,
            NO_SUCH_ORDER,
            LINE_NOT_REFUNDABLE,
            REFUND_IN_FLIGHT,
            REFUND_TOO_LARGE,
            RISK_REFUSED,
        ),
        scope=REFUND_SCOPE,
        answered_by=AnsweredBy.BRIDGE,
    ),
    Operation(
        name="refund-confirm",
        kind=Kind.COMMAND,
        summary="A refund was sent to the channel, failed there, or is proven by the channel's notification",
        summary_zh="退款回报：已提交、失败，或渠道凭证",
        request=RefundConfirm,
        response=RefundStanding,
        example={"refund": f"{_ORDER}-1-R1", "said": "sent"},
        example_answer=_REFUND | {"state": "sent"},
        refusals=(NOT_OFFERED, NO_SUCH_REFUND, EVIDENCE_INVALID, REFUND_NOT_SO),
        scope=REFUND_SCOPE,
        answered_by=AnsweredBy.BRIDGE,
    ),
)

"""Payment orders: one payment, many write-offs. Their states, their shares, and what may happen to them. Pure.

::

    created ─► reserved ─► paying ─► paid ─► writing-off ─► completed | completed-with-refunds | held
        └──────────┴─────────┴──► expired | cancelled ──(proof of payment)──► paid

    line    open ─► written-off | unknown | refused        unknown ─► (inquire) ─► written-off | refused | held
            refused ─► refunding ─► refunded               refused ─► credited
            written-off ─► refunding                       (reversed at its company)
    refund  requested ─► sent ─► proven | failed           failed ─► requested
    reservation  reserved ─► posted | voided               at most once

Proof counts in every state before: who has paid is not asked whether we were told first. Cash that is not the order's
is `held`, and nothing is written off. A table says which move is allowed; any other raises IllegalMove.

Amounts are fen. What a coupon, a red packet or points pay is split over the lines' amounts, the rest of a line is cash.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from intranet_bridge.settlement.money import shares
from intranet_bridge.settlement.payments.evidence import PaidPart
from protocol.errors import BridgeError, IllegalMove
from protocol.operations.orders import LineState, OrderState, RefundState, ReservationState
from protocol.values import immutable

MOST_LINES = 50
MOST_PARTS = 5
EXPIRES_MS = 15 * 60_000
RESERVED_MS = 20 * 60_000
ACCOUNT_PATTERN = "[0-9]{10,13}"
Bill = tuple[str, str, str]
"""Company, account, and what the bill is called there."""
STATEMENTS_FOR_PROOF = 3
"""A refund that so many statements do not prove is critical."""


class Refusal(StrEnum):
    """Why something that is asked for an order is refused."""

    BILL_CHANGED = "bill-changed"
    BILL_IN_USE = "bill-in-use"
    COUPON_INVALID = "coupon-invalid"
    TOO_MANY_LINES = "too-many-lines"
    ORDER_EXPIRED = "order-expired"
    AMOUNT_MISMATCH = "amount-mismatch"
    EVIDENCE_INVALID = "evidence-invalid"
    RISK_REFUSED = "risk-refused"
    NO_SUCH_COMPANY = "no-such-company"
    NO_SUCH_ACCOUNT = "no-such-account"
    REFUND_IN_FLIGHT = "refund-in-flight"
    REFUND_TOO_LARGE = "refund-too-large"
    LINE_NOT_REFUNDABLE = "line-not-refundable"


class OrderRefused(BridgeError):
    """What cannot be done, and about which line."""

    def __init__(self, code: Refusal, line: int | None = None) -> None:
        super().__init__(f"{code}, line {line}" if line is not None else str(code))
        self.code, self.line = code, line


class OrderEvent(StrEnum):
    """What can happen to one."""

    RESERVE = "reserve"
    PAY = "pay"
    PROVE = "prove"
    WRITE_OFF = "write-off"
    COMPLETE = "complete"
    COMPLETE_WITH_REFUNDS = "complete-with-refunds"
    HOLD = "hold"
    GO_ON = "go-on"
    """What it was held for is decided, or a line is refunded that was written off."""
    EXPIRE = "expire"
    CANCEL = "cancel"


class LineEvent(StrEnum):
    """What can happen to one."""

    APPLY = "apply"
    REFUSE = "refuse"
    LOSE = "lose"
    HOLD = "hold"
    REFUND = "refund"
    PROVE = "prove"
    CREDIT = "credit"
    REVERSE = "reverse"


class RefundEvent(StrEnum):
    """What can happen to one."""

    SEND = "send"
    PROVE = "prove"
    FAIL = "fail"
    REPEAT = "repeat"


class ReservationEvent(StrEnum):
    """What can happen to one."""

    POST = "post"
    VOID = "void"


_BEFORE = {OrderEvent.PROVE: OrderState.PAID, OrderEvent.HOLD: OrderState.HELD}
"""Proof, and proof of another amount, come when they come."""
_UNPAID = {OrderEvent.EXPIRE: OrderState.EXPIRED, OrderEvent.CANCEL: OrderState.CANCELLED, **_BEFORE}
ORDERS: Mapping[OrderState, Mapping[OrderEvent, OrderState]] = {
    OrderState.CREATED: {OrderEvent.RESERVE: OrderState.RESERVED, **_UNPAID},
    OrderState.RESERVED: {OrderEvent.PAY: OrderState.PAYING, **_UNPAID},
    OrderState.PAYING: _UNPAID,
    OrderState.EXPIRED: _BEFORE,
    OrderState.CANCELLED: _BEFORE,
    OrderState.PAID: {OrderEvent.WRITE_OFF: OrderState.WRITING_OFF},
    OrderState.WRITING_OFF: {
        OrderEvent.COMPLETE: OrderState.COMPLETED,
        OrderEvent.COMPLETE_WITH_REFUNDS: OrderState.COMPLETED_WITH_REFUNDS,
        OrderEvent.HOLD: OrderState.HELD,
    },
    OrderState.HELD: {
        OrderEvent.GO_ON: OrderState.WRITING_OFF,
        OrderEvent.COMPLETE_WITH_REFUNDS: OrderState.COMPLETED_WITH_REFUNDS,  # a payment of another amount went back
    },
    OrderState.COMPLETED: {OrderEvent.GO_ON: OrderState.WRITING_OFF},
    OrderState.COMPLETED_WITH_REFUNDS: {OrderEvent.GO_ON: OrderState.WRITING_OFF},
}
LINES: Mapping[LineState, Mapping[LineEvent, LineState]] = {
    LineState.OPEN: {
        LineEvent.APPLY: LineState.WRITTEN_OFF,
        LineEvent.LOSE: LineState.UNKNOWN,
        LineEvent.REFUSE: LineState.REFUSED,
    },
    LineState.UNKNOWN: {
        LineEvent.APPLY: LineState.WRITTEN_OFF,
        LineEvent.REFUSE: LineState.REFUSED,
        LineEvent.HOLD: LineState.HELD,
    },
    LineState.HELD: {LineEvent.APPLY: LineState.WRITTEN_OFF, LineEvent.REFUSE: LineState.REFUSED},
    LineState.REFUSED: {LineEvent.REFUND: LineState.REFUNDING, LineEvent.CREDIT: LineState.CREDITED},
    LineState.WRITTEN_OFF: {LineEvent.REVERSE: LineState.REFUNDING},
    LineState.REFUNDING: {LineEvent.PROVE: LineState.REFUNDED},
    LineState.REFUNDED: {},
    LineState.CREDITED: {},
}
REFUNDS: Mapping[RefundState, Mapping[RefundEvent, RefundState]] = {
    # what is proven is proven, whether or not we heard that it was sent, or that it failed
    RefundState.REQUESTED: {RefundEvent.SEND: RefundState.SENT, RefundEvent.PROVE: RefundState.PROVEN},
    RefundState.SENT: {RefundEvent.PROVE: RefundState.PROVEN, RefundEvent.FAIL: RefundState.FAILED},
    RefundState.FAILED: {RefundEvent.REPEAT: RefundState.REQUESTED, RefundEvent.PROVE: RefundState.PROVEN},
    RefundState.PROVEN: {},
}
RESERVATIONS: Mapping[ReservationState, Mapping[ReservationEvent, ReservationState]] = {
    ReservationState.RESERVED: {
        ReservationEvent.POST: ReservationState.POSTED,
        ReservationEvent.VOID: ReservationState.VOIDED,
    },
    ReservationState.POSTED: {},
    ReservationState.VOIDED: {},
}
S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


def moved(table: Mapping[S, Mapping[E, S]], state: S, event: E) -> S:
    """The state that follows. Raises IllegalMove when the table has no such move."""
    try:
        return table[state][event]
    except KeyError:
        raise IllegalMove(f"what is {state} cannot {event}") from None


# --- what an order is -------------------------------------------------------------------------------------


@immutable
class Company:
    """A company whose bills can be paid here."""

    name: str
    region: str = ""
    """Of the bridge that has its marketing system; empty: this one."""
    account_pattern: str = ACCOUNT_PATTERN


@immutable
class Line:
    """What is paid at one company."""

    number: int
    company: str
    account: str
    amount: int
    bills: tuple[str, ...] = ()
    """Empty: a prepayment."""
    state: LineState = LineState.OPEN
    code: str = ""
    """Why it was refused."""


@immutable
class Part:
    """A coupon, a red packet or points."""

    id: str
    funder: str
    amount: int
    reservation: ReservationState | None = None
    attempt: int = 1
    """Of reserving: a reservation that was voided is none again, a later one is another."""

    def name(self, order: str) -> str:
        """What the reservation is called at who keeps coupons and points."""
        return f"{order}-{self.id}-V{self.attempt}"


@immutable
class Payment:
    """A payment that is proven."""

    channel: str
    parts: tuple[PaidPart, ...]

    @property
    def cash(self) -> int:
        """In fen."""
        return sum(part.cash for part in self.parts)

    @property
    def transactions(self) -> frozenset[str]:
        """Its numbers at the channel."""
        return frozenset(part.transaction for part in self.parts)


@immutable
class Refund:
    """A refund of a line; line 0: of a payment too many, or of another amount than the order's."""

    line: int
    number: str
    cash: int
    state: RefundState = RefundState.REQUESTED
    statements: int = 0
    """That were accepted since it was requested."""
    channel: str = ""
    """That brought the money, and takes it back."""
    transaction: str = ""
    """At the channel, of the payment that it is of: a combined payment has one a line, each refunded by itself."""
    payment: int = 1
    """Which of the order's payments that is, counted from 1."""

    @property
    def overdue(self) -> bool:
        """Whether a person must look: it is not proven by then."""
        return self.state is not RefundState.PROVEN and self.statements >= STATEMENTS_FOR_PROOF


@immutable
class Order:
    """An order with its rows."""

    number: str
    channel: str
    lines: tuple[Line, ...]
    parts: tuple[Part, ...] = ()
    state: OrderState = OrderState.CREATED
    expires_at: int = 0
    honoured: bool = True
    """False: its payment came too late, and all of it goes back; its part payments are never used up."""
    payments: tuple[Payment, ...] = ()
    """The first is the order's; further ones are surplus."""
    refunds: tuple[Refund, ...] = ()

    @property
    def amount(self) -> int:
        """Of all lines."""
        return sum(line.amount for line in self.lines)

    @property
    def cash(self) -> int:
        """What the channel has to bring."""
        return self.amount - sum(part.amount for part in self.parts)

    def line(self, number: int) -> Line:
        """One of its lines. Raises KeyError."""
        for line in self.lines:
            if line.number == number:
                return line
        raise KeyError(number)


@immutable
class Share:
    """What pays a line: cash, and a share of each part payment in their order."""

    line: int
    cash: int
    parts: tuple[int, ...]


def shared(lines: Sequence[Line], parts: Sequence[Part]) -> tuple[Share, ...]:
    """What pays each line: each part payment is split over the lines' amounts.

    Several part payments that nearly pay all could so, by their fen left over, come to more than a small line. Then
    each is split over what the ones before it have left of the lines. Raises ValueError if they exceed the order.
    """
    amounts = [line.amount for line in lines]
    split = [shares(part.amount, amounts) for part in parts]
    left = [amount - sum(of) for amount, of in zip(amounts, _across(split, len(lines)), strict=True)]
    if any(cash < 0 for cash in left):
        left, split = amounts, []
        for part in parts:
            of_part = shares(part.amount, left)
            left = [rest - of for rest, of in zip(left, of_part, strict=True)]
            split.append(of_part)
        if any(cash < 0 for cash in left):
            raise ValueError("the part payments exceed the order")
    return tuple(
        Share(line.number, cash, of) for line, cash, of in zip(lines, left, _across(split, len(lines)), strict=True)
    )


def fees(fee: int, of: Sequence[Share]) -> list[int]:
    """A channel's fee split over the lines' cash."""
    return shares(fee, [share.cash for share in of])


def _across(split: Sequence[Sequence[int]], lines: int) -> list[tuple[int, ...]]:
    return [tuple(of[line] for of in split) for line in range(lines)]


# --- creating ---------------------------------------------------------------------------------------------


def judged(order: Order, companies: Mapping[str, Company], max_lines: int = MOST_LINES) -> None:
    """See that an order can be. `max_lines`: how many its channel combines. Raises OrderRefused."""
    if not order.lines or len(order.lines) > min(max_lines, MOST_LINES):
        raise OrderRefused(Refusal.TOO_MANY_LINES)
    bills: set[Bill] = set()
    for line in order.lines:
        company = companies.get(line.company)
        if company is None:
            raise OrderRefused(Refusal.NO_SUCH_COMPANY, line.number)
        if not re.fullmatch(company.account_pattern, line.account):
            raise OrderRefused(Refusal.NO_SUCH_ACCOUNT, line.number)
        if line.amount <= 0:
            raise OrderRefused(Refusal.AMOUNT_MISMATCH, line.number)
        named = {(line.company, line.account, bill) for bill in line.bills}
        if len(named) != len(line.bills) or named & bills:
            raise OrderRefused(Refusal.BILL_IN_USE, line.number)
        bills |= named
    if len(order.parts) > MOST_PARTS or any(part.amount <= 0 for part in order.parts):
        raise OrderRefused(Refusal.COUPON_INVALID)
    if order.cash <= 0 or len({part.id for part in order.parts}) != len(order.parts):
        raise OrderRefused(Refusal.COUPON_INVALID)


def bills_judged(
    order: Order,
    owed: Mapping[Bill, int],
    in_use: Mapping[Bill, str] | None = None,
    unseen: Container[int] = (),
) -> None:
    """See that the bills are as the payer saw them, and nobody else's now. Raises OrderRefused.

    `owed`: what is open of each now. `in_use`: the order that is being paid, or the sent batch, that has it. `unseen`:
    lines whose bills cannot be seen from here; their company's write-off says.
    """
    for line in order.lines:
        bills = [(line.company, line.account, bill) for bill in line.bills]
        if any((in_use or {}).get(bill, order.number) != order.number for bill in bills):
            raise OrderRefused(Refusal.BILL_IN_USE, line.number)
        if bills and line.number not in unseen and sum(owed.get(bill, 0) for bill in bills) != line.amount:
            raise OrderRefused(Refusal.BILL_CHANGED, line.number)


# --- refunds ----------------------------------------------------------------------------------------------


def refund(order: Order, number: int, cash: int | None = None) -> Refund:
    """The next refund of a line: `cash` of it, by default all that is left. Raises OrderRefused.

    A line whose outcome is not known is not refunded, nor one that is written off and not reversed: first it is known,
    or reversed. One is in flight a line. A repeat of one that failed keeps its number, by which a channel refunds once.
    """
    line = order.line(number)
    if line.state not in (LineState.REFUSED, LineState.REFUNDING) or not order.payments:
        raise OrderRefused(Refusal.LINE_NOT_REFUNDABLE, number)
    of_line = [one for one in order.refunds if one.line == number]
    if any(one.state is not RefundState.PROVEN for one in of_line):
        raise OrderRefused(Refusal.REFUND_IN_FLIGHT, number)
    (share,) = (one for one in shared(order.lines, order.parts) if one.line == number)
    left = share.cash - sum(one.cash for one in of_line)
    wanted = left if cash is None else cash
    channel, brought = order.payments[0].channel, paid_by(order, number)
    of_it = ((one.channel, one.transaction, one.cash) for one in order.refunds)
    gone = sum(cash for *which, cash in of_it if which == [channel, brought.transaction])
    if not 0 <= wanted <= min(left, brought.cash - gone):
        raise OrderRefused(Refusal.REFUND_TOO_LARGE, number)
    name = f"{order.number}-{number}-R{len(of_line) + 1}"
    return Refund(number, name, wanted, channel=channel, transaction=brought.transaction)


def parts_returned(order: Order, refund: Refund) -> tuple[int, ...]:
    """What goes back to each part payment with a refund: the line's shares, with the refund that completes its cash."""
    if refund.line == 0:
        return ()
    (share,) = (one for one in shared(order.lines, order.parts) if one.line == refund.line)
    others = sum(one.cash for one in order.refunds if one.line == refund.line and one.number != refund.number)
    return share.parts if order.honoured and others + refund.cash == share.cash else ()


def returned(order: Order) -> tuple[int, ...]:
    """What went back of each part payment, in the books, with the lines whose cash is refunded whole."""
    back = [0] * len(order.parts)
    for share in shared(order.lines, order.parts):
        of_line = [one for one in order.refunds if one.line == share.line]
        if of_line and order.honoured and sum(one.cash for one in of_line) == share.cash:
            back = [total + of for total, of in zip(back, share.parts, strict=True)]
    return tuple(back)


def paid_by(order: Order, line: int) -> PaidPart:
    """What paid a line: of a combined payment its own part. A line that only coupons and points paid is counted to the
    first part, as statements do.
    """
    parts, name = order.payments[0].parts, f"{order.number}-{line}"
    first = min(parts, key=lambda part: (len(part.reference), part.reference))
    return next((part for part in parts if part.reference == name), first)


def whole_refunds(order: Order, payment: Payment, number: int) -> tuple[Refund, ...]:
    """The refunds of a whole payment, of what was paid already or of another amount: one a transaction of it, as no
    channel gives back on one what another brought. `number`: which of the order's payments it is, counted from 1.
    """
    before = sum(one.line == 0 for one in order.refunds)
    return tuple(
        Refund(
            0, f"{order.number}-0-R{at}", part.cash, channel=payment.channel, transaction=part.transaction,
            payment=number,
        )
        for at, part in enumerate(payment.parts, before + 1)
    )  # fmt: skip


def repeated(refund: Refund) -> Refund:
    """One that failed, once more, under its number. Raises IllegalMove while it is in flight, or when it is proven."""
    state = moved(REFUNDS, refund.state, RefundEvent.REPEAT)
    return replace(refund, state=state)

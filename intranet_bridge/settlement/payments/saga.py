"""What to do next for a payment order, given its rows: decisions as values. Pure; who acts on them writes down first.

A saga with reservations, not two-phase commit: marketing systems cannot reserve. Each line is a write-off of its own,
with its own request id and natural key, so that a step that is done again after a crash is found to be done. So:

- coupons and points are reserved, posted when the order is paid, voided when it expires or is cancelled;
- each line is written off; one that is refused is refunded or credited; one of unknown outcome is inquired about, then
  held, and never refunded while it is not known. Lines wait for none of each other;
- a payment after expiry is honoured while its bills are open and its part payments can be reserved again, else all of
  it is refunded; a second payment, by whatever channel, is surplus and refunded; cash that is not the order's holds it.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

from intranet_bridge.settlement import events
from intranet_bridge.settlement.payments.evidence import PaymentProof
from intranet_bridge.settlement.payments.orders import (
    RESERVED_MS,
    Line,
    Order,
    OrderEvent,
    OrderRefused,
    Payment,
    Refund,
    paid_by,
    parts_returned,
    refund,
    shared,
    whole_refunds,
)
from protocol.operations.orders import LineState, OrderState, RefundState, ReservationState
from protocol.values import immutable

_ENDED = frozenset({LineState.WRITTEN_OFF, LineState.CREDITED, LineState.REFUNDED})
_UNPAID = frozenset({OrderState.CREATED, OrderState.RESERVED, OrderState.PAYING})
_DEAD = frozenset({OrderState.EXPIRED, OrderState.CANCELLED})
_OF_OTHER_CASH = frozenset({OrderState.HELD, OrderState.COMPLETED_WITH_REFUNDS})


# --- a proof of payment comes -----------------------------------------------------------------------------


class Taken(StrEnum):
    """What a proof of payment means for its order."""

    PAID = "paid"
    LATE = "late"
    """After its end, or before its part payments are reserved: it is looked whether it can be honoured."""
    REPEATED = "repeated"
    """It is known. Answered as success, as everything here."""
    SURPLUS = "surplus"
    """Paid already, by another payment."""
    MISMATCH = "amount-mismatch"


@immutable
class Taking:
    """What is written down for a proof, in one transaction."""

    taken: Taken
    payment: Payment | None = None
    """A row that is new."""
    event: OrderEvent | None = None
    refunds: tuple[Refund, ...] = ()
    """Of a payment too many: one a transaction of it."""
    book: tuple[events.Event, ...] = ()


def on_proof(order: Order, channel: str, proof: PaymentProof) -> Taking:
    """What a proof means. Never an error: money that came is written down, whatever we think of it."""
    payment = Payment(channel, proof.payments)
    for known in order.payments:
        if known.channel == channel and known.transactions & payment.transactions:
            return Taking(Taken.REPEATED)
    if order.payments:
        back = whole_refunds(order, payment, len(order.payments) + 1)
        surplus = tuple(events.Surplus(channel, one.transaction, one.cash) for one in back)
        return Taking(Taken.SURPLUS, payment, refunds=back, book=surplus)
    if not _fits(order, payment):
        only_cash = events.Paid(order.number, channel, payment.cash)  # its part payments are not posted
        return Taking(Taken.MISMATCH, payment, OrderEvent.HOLD, book=(only_cash,))
    if order.state in _DEAD or any(part.reservation is not ReservationState.RESERVED for part in order.parts):
        return Taking(Taken.LATE, payment)
    return Taking(Taken.PAID, payment, OrderEvent.PROVE, book=(paid(order, channel),))


def _fits(order: Order, payment: Payment) -> bool:
    """Whether it is the order's cash; of a combined one, each line's."""
    if len(payment.parts) > 1:
        said = {part.reference: part.cash for part in payment.parts}
        return said == {f"{order.number}-{line}": cash for line, cash in cash_of(order).items() if cash}
    return payment.cash == order.cash


def paid(order: Order, channel: str) -> events.Paid:
    """What is booked when an order is paid: its cash, and its part payments."""
    return events.Paid(
        order.number, channel, order.cash, tuple(events.Part(part.funder, part.amount) for part in order.parts)
    )


@immutable
class Honoured:
    """What becomes of a payment that came after its order's end."""

    event: OrderEvent
    book: events.Event
    refused: str = ""
    """Why all of it is refunded, every line refused so, and the order not honoured; empty: it is honoured."""


def late(order: Order, channel: str, bills_open: bool, parts_reserved: bool) -> Honoured:
    """A late payment is honoured, or refunded whole: cash alone, for its part payments are not posted."""
    if bills_open and parts_reserved:
        return Honoured(OrderEvent.PROVE, paid(order, channel))
    why = "coupon-invalid" if bills_open else "bill-changed"
    return Honoured(OrderEvent.PROVE, events.Paid(order.number, channel, order.cash), why)


# --- what is next -----------------------------------------------------------------------------------------


@immutable
class Reserve:
    """Have a part payment reserved, until then."""

    part: str
    name: str
    amount: int
    until: int


@immutable
class Post:
    """Have a reservation posted: it is used up."""

    part: str
    name: str


@immutable
class Void:
    """Have a reservation voided."""

    part: str
    name: str


@immutable
class WriteOff:
    """Have a line written off."""

    line: int
    request: str
    natural_key: str
    """Channel transaction and line."""


@immutable
class Inquire:
    """Ask what became of a line, under the request id of its write-off."""

    line: int
    request: str


@immutable
class RequestRefund:
    """Ask the application for a refund: it is written down, with what goes back to the part payments."""

    refund: Refund
    parts: tuple[int, ...]
    """What goes back to each part payment, in their order; empty: nothing."""
    book: events.Event | None


@immutable
class Credit:
    """Have the money of a refused line taken as a prepayment at its company."""

    line: int
    request: str


@immutable
class Move:
    """Move the order on."""

    event: OrderEvent


@immutable
class Alarm:
    """A refund that is not proven in time: a person must look."""

    number: str


Step = Reserve | Post | Void | WriteOff | Inquire | RequestRefund | Credit | Move | Alarm


def steps(order: Order, now: int, credits: Callable[[Line], bool] = lambda line: False) -> tuple[Step, ...]:
    """All that can be done now, in any order, side by side. Nothing: the order waits for others, or has ended.

    `credits`: whether the money of a refused line is credited at its company instead of refunded.
    """
    if order.state in _UNPAID and now >= order.expires_at:
        return (Move(OrderEvent.EXPIRE),)
    if order.state in _DEAD:
        return () if order.payments else _let_go(order)
    if order.state is OrderState.CREATED:
        wanted = [part for part in order.parts if part.reservation is None]
        if wanted:
            until = now + RESERVED_MS
            return tuple(Reserve(part.id, part.name(order.number), part.amount, until) for part in wanted)
        if all(part.reservation is ReservationState.RESERVED for part in order.parts):
            return (Move(OrderEvent.RESERVE),)
    found: list[Step] = [Alarm(one.number) for one in order.refunds if one.overdue]
    if order.state in _OF_OTHER_CASH and order.payments and not _fits(order, order.payments[0]):
        return (*found, *_let_go(order))  # all that can become of it is that it goes back
    if order.state is OrderState.PAID:
        return (*found, *_post(order), Move(OrderEvent.WRITE_OFF))
    if order.state is OrderState.WRITING_OFF:
        if not _fits(order, order.payments[0]):
            return (*found, Move(OrderEvent.HOLD))
        found += _post(order)
        for line in order.lines:
            found += _of_line(order, line, credits)
        if (event := _end(order)) is not None:
            found.append(Move(event))
    return tuple(found)


def _let_go(order: Order) -> tuple[Step, ...]:
    reserved = (part for part in order.parts if part.reservation is ReservationState.RESERVED)
    return tuple(Void(part.id, part.name(order.number)) for part in reserved)


def _post(order: Order) -> list[Step]:
    if not order.honoured:
        return list(_let_go(order))
    reserved = (part for part in order.parts if part.reservation is ReservationState.RESERVED)
    return [Post(part.id, part.name(order.number)) for part in reserved]


def _of_line(order: Order, line: Line, credits: Callable[[Line], bool]) -> Sequence[Step]:
    request = f"{order.number}-{line.number}"
    if line.state is LineState.OPEN:
        return [WriteOff(line.number, request, f"{paid_by(order, line.number).transaction}-{line.number}")]
    if line.state is LineState.UNKNOWN:
        return [Inquire(line.number, request)]
    if line.state is LineState.REFUSED:
        if credits(line):
            return [Credit(line.number, f"{request}-C")]
        return _refund(order, line)
    return []


def _refund(order: Order, line: Line) -> Sequence[Step]:
    try:
        back = refund(order, line.number)
    except OrderRefused:  # in flight
        return []
    return [RequestRefund(back, parts_returned(order, back), refund_due(order, back))]


def refund_due(order: Order, back: Refund) -> events.Event | None:
    """What is booked when the refund of a line is asked for; None: nothing moves."""
    returned = parts_returned(order, back)
    parts = tuple(
        events.Part(part.funder, of) for part, of in zip(order.parts, returned or (0,) * len(order.parts), strict=True)
    )
    due = events.RefundDue(back.number, order.number, back.channel, back.cash, parts)
    return due if back.cash or any(returned) else None


def _end(order: Order) -> OrderEvent | None:
    """How an order ends whose lines have ended."""
    states = [line.state for line in order.lines]
    if any(state not in _ENDED and state is not LineState.HELD for state in states):
        return None
    if any(one.line and one.state is not RefundState.PROVEN for one in order.refunds):
        return None
    if LineState.HELD in states:
        return OrderEvent.HOLD
    if LineState.REFUNDED in states:
        return OrderEvent.COMPLETE_WITH_REFUNDS
    return OrderEvent.COMPLETE


def line_booked(order: Order, line: Line, state: LineState) -> events.Event | None:
    """What is booked when a line comes into a state."""
    match state:
        case LineState.WRITTEN_OFF:
            return events.WrittenOff(order.number, line.number, line.company, line.amount)
        case LineState.CREDITED:
            return events.Credited(order.number, line.number, line.company, line.amount)
        case LineState.REFUNDING if line.state is LineState.WRITTEN_OFF:
            return events.Reversed(order.number, line.number, line.company, line.amount)
    return None


def refund_proven(one: Refund) -> events.Event | None:
    """What is booked when a refund is proven; None: it has no cash."""
    return events.RefundProven(one.number, one.channel, one.cash) if one.cash else None


def cash_of(order: Order) -> dict[int, int]:
    """Cash by line."""
    return {share.line: share.cash for share in shared(order.lines, order.parts)}

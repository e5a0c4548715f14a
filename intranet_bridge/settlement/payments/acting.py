"""What is done about payment orders, each within one transaction: a proof is taken, what is next is begun, an outcome
is taken. Everything that changes a marketing system is written down as a command in the same transaction.

The commands' ids say what they are for, so that an outcome finds its place: `{order}-{line}` the write-off of a line,
`-C` after it the prepayment in its place, `-X` its reversal (`-X2` the second one, after a no);
`{order}-P{part}-V{attempt}-reserve|post|void` what is done about a reservation.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from intranet_bridge.commands.internal import InternalCommand, InternalOutcome
from intranet_bridge.settlement.days import day_of
from intranet_bridge.settlement.payments import proofs, saga
from intranet_bridge.settlement.payments.evidence import PaymentProof, RefundProof
from intranet_bridge.settlement.payments.orders import (
    RESERVED_MS,
    Line,
    LineEvent,
    OrderEvent,
    RefundEvent,
    Refusal,
    refund,
)
from intranet_bridge.settlement.payments.records import (
    BILLS_TO_SEE,
    PARTS_TO_SEE,
    UNPAID,
    Stored,
    load,
    order_of_refund,
    order_of_transactions,
)
from protocol.lifecycle import State
from protocol.operations import CATALOGUE, payment
from protocol.operations.orders import LineState, Meant, OrderState, RefundState, ReservationState
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.times import CHINA
from protocol.values import immutable

log = logger(__name__)

CONSUMER = "payment-orders"
RISK_REVIEW = "risk-review"
"""Why an order is held that a person has to look at before anything is written off."""
RETRY_MS = 30_000
"""A company that cannot say what is owed is asked again after so long."""
_LINE = re.compile(r"([0-9A-Za-z]+)-([0-9]{1,2})(|-C|-X(?:[1-9][0-9]*)?)")
_PART = re.compile(r"([0-9A-Za-z]+)-(P[1-5])-V[0-9]+-(reserve|post|void)")
Record = Callable[[Connection, Sequence[InternalCommand]], None]


class Acting:
    """Acts on one order that is loaded and locked. Nothing here waits for anything."""

    def __init__(
        self, stored: Stored, record: Record, credit: Collection[str] = (), regions: "Regions" = lambda company: ""
    ) -> None:
        """`record`: writes commands down in this transaction. `credit`: companies of which a refused line becomes a
        prepayment. `regions`: of a company's marketing system; empty: this one's.
        """
        self.at, self._record, self._credit, self._regions = stored, record, credit, regions

    # --- proofs --------------------------------------------------------------------------------------------

    def prove(self, channel: str, proof: PaymentProof, evidence: str, source: str) -> Meant:
        """A payment of this order is proven: it is written down, whatever it means. See `saga.on_proof`."""
        at, transactions = self.at, {part.transaction for part in proof.payments}
        owner = order_of_transactions(at.connection, channel, transactions)
        if owner is not None and owner != at.number:
            log.error("transaction-of-two-orders", order=at.number, other=owner, channel=channel)
            return Meant.NOT_OURS
        taking = saga.on_proof(at.order, channel, proof)
        paid_at = int(proof.paid_at.timestamp() * 1000)
        if taking.payment is not None:
            at.add_payment(taking.payment, paid_at, taking.taken, evidence, source, at.now)
        if taking.event is OrderEvent.HOLD:
            at.move(taking.event, "amount-mismatch")
        elif taking.event is not None:
            self._paid()
        if taking.taken is saga.Taken.LATE:
            at.set_late(BILLS_TO_SEE)
        for event in taking.book:
            at.book(event, day_of(paid_at))
        for back in taking.refunds:
            at.add_refund(back)
        if taking.payment is not None:
            at.put(due_at=at.now)
        reach(Point.BRIDGE_PROOF_UNCOMMITTED, at.number)
        return Meant(taking.taken)

    def _paid(self) -> None:
        if not self.at.use_bills():  # the money is here: what is paid already its company refuses, and is refunded
            log.warning("bills-of-two-payments", order=self.at.number)
        self.at.move(OrderEvent.PROVE)

    # --- what is next --------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Begin all that can be begun now, until it waits for others or has ended."""
        at = self.at
        if at.late == BILLS_TO_SEE:  # its companies are asked first
            return
        if at.late == PARTS_TO_SEE:
            self._late_parts()
        while at.late == "":
            todo = [step for step in saga.steps(at.order, at.now, self._credits) if self._new(step)]
            if at.code == RISK_REVIEW and at.order.state is OrderState.WRITING_OFF:
                todo = [saga.Move(OrderEvent.HOLD)]
            if not todo:
                break
            self._do(todo[0])
        waits = at.order.state in UNPAID and not at.order.payments
        at.put(due_at=max(at.order.expires_at, at.now + 1) if waits else None)
        reach(Point.BRIDGE_ORDER_UNCOMMITTED, at.number)

    def _credits(self, line: Line) -> bool:
        # what its payment did not pay in time is nobody's prepayment
        return self.at.order.honoured and line.company in self._credit and self.at.lines[line.number].credit

    def _new(self, step: saga.Step) -> bool:
        """Whether it was not begun yet."""
        match step:
            case saga.WriteOff(line, _, _) | saga.Credit(line, _):
                return not self.at.lines[line].asked
            case saga.Reserve(id, _, _, _) | saga.Post(id, _) | saga.Void(id, _):
                return not self.at.parts[id].asked and not self.at.parts[id].code
            case saga.Inquire() | saga.Alarm():  # the command's own path inquires; alarms are told of by reports
                return False
            case _:
                return True

    def _do(self, step: saga.Step) -> None:
        at = self.at
        match step:
            case saga.Move(event):
                at.move(event)
            case saga.Reserve(id, name, amount, until):
                self._reserve(id, name, amount, until)
            case saga.Post(id, name):
                self._resolve(id, name, "post")
            case saga.Void(id, name):
                self._resolve(id, name, "void")
            case saga.WriteOff(line, request, _):
                self._pay(at.order.line(line), request)
            case saga.Credit(line, request):
                self._pay(at.order.line(line), request, prepay=True)
            case saga.RequestRefund(back, _, book):
                at.line(back.line, LineEvent.REFUND)
                at.book(book)
                at.add_refund(back)

    def _reserve(self, id: str, name: str, amount: int, until: int) -> None:
        of = self.at.parts[id]
        said = {
            "reservation": name, "promotion": of.promotion, "amount": amount, "payer": self.at.payer or None,
            "until": timestamp(until),
        }  # fmt: skip
        self.at.put_part(id, asked=f"{name}-reserve")
        self._command(f"{name}-reserve", "promotion-reserve", said)

    def _resolve(self, id: str, name: str, how: str) -> None:
        self.at.put_part(id, asked=f"{name}-{how}")
        self._command(f"{name}-{how}", f"promotion-{how}", {"reservation": name})

    def _pay(self, line: Line, request: str, *, prepay: bool = False) -> None:
        at = self.at
        charged = {
            "account": line.account, "amount": line.amount, "channel": at.order.payments[0].channel,
            "transaction": at.transaction(line.number), "line": line.number, "paid_at": timestamp(at.paid_at),
            "booked_on": str(max(day_of(at.now), day_of(at.paid_at))),
        }  # fmt: skip
        at.put_line(line.number, asked=request)
        if prepay or not line.bills:
            self._command(request, "prepay", charged, line.company)
        else:
            self._command(request, "payment-writeoff", charged | {"months": line.bills}, line.company)

    def reverse(self, line: Line) -> None:
        """Have a line that is written off taken back at its company; its refund follows."""
        at, number = self.at, self.at.lines[line.number].reversals + 1
        request = f"{at.number}-{line.number}-X{number if number > 1 else ''}"  # one id is recorded once
        said = {
            "account": line.account, "amount": line.amount, "channel": at.order.payments[0].channel,
            "transaction": at.transaction(line.number), "line": line.number,
            "reason": payment.ReversalReason.REFUNDED, "paid_at": timestamp(at.now), "booked_on": str(day_of(at.now)),
        }  # fmt: skip
        at.put_line(line.number, asked=request, code="", reversals=number)
        self._command(request, "payment-reversal", said, line.company)

    def _command(self, id: str, operation: str, said: Mapping[str, Any], company: str = "") -> None:
        body = CATALOGUE[operation].requests.validate_python(said)
        region = self._regions(company) if company else ""
        self._record(self.at.connection, [InternalCommand(id, operation, body, CONSUMER, region)])

    # --- a payment that came too late ----------------------------------------------------------------------

    def bills_seen(self, *, are_open: bool) -> None:
        """What the companies say of the bills of a late payment."""
        at = self.at
        if at.late != BILLS_TO_SEE:
            return
        if are_open and at.use_bills():
            at.set_late(PARTS_TO_SEE)
        else:
            self._decide_late(bills_open=False, parts_reserved=False)
        at.put(due_at=at.now)

    def _late_parts(self) -> None:
        at = self.at
        for part in at.order.parts:
            of = at.parts[part.id]
            if of.asked or of.code:
                continue
            if part.reservation is ReservationState.VOIDED:
                at.part(part.id, None)
                (part,) = (one for one in at.order.parts if one.id == part.id)
            if part.reservation is None:
                self._reserve(part.id, part.name(at.number), part.amount, at.now + RESERVED_MS)
        if any(of.code for of in at.parts.values()):
            self._decide_late(bills_open=True, parts_reserved=False)
        elif any(of.asked for of in at.parts.values()):
            return  # what is still reserved may be given back just now
        elif all(part.reservation is ReservationState.RESERVED for part in at.order.parts):
            self._decide_late(bills_open=True, parts_reserved=True)

    def _decide_late(self, *, bills_open: bool, parts_reserved: bool) -> None:
        at = self.at
        found = saga.late(at.order, at.order.payments[0].channel, bills_open, parts_reserved)
        at.set_late("")
        at.move(found.event)
        at.book(found.book, day_of(at.paid_at))
        if found.refused:
            at.not_honoured()
            for line in at.order.lines:
                at.line(line.number, LineEvent.REFUSE, found.refused)

    # --- outcomes of commands ------------------------------------------------------------------------------

    def line_outcome(self, number: int, outcome: InternalOutcome) -> None:
        """What became of a line's write-off, prepayment or reversal."""
        at = self.at
        if at.lines[number].asked != outcome.id:
            return  # it was taken before
        if "-X" in outcome.id:
            self._reversed(number, outcome)
        elif outcome.id.endswith("-C"):
            if outcome.state is not State.HELD:
                at.put_line(number, asked="", credit=outcome.state is State.SUCCEEDED)
            if outcome.state is State.SUCCEEDED:
                at.line(number, LineEvent.CREDIT)
        else:
            self._written_off(number, outcome)

    def _written_off(self, number: int, outcome: InternalOutcome) -> None:
        at, state = self.at, self.at.order.line(number).state
        if outcome.state is State.HELD or outcome.code == payment.TRANSACTION_CONFLICT.code:
            # the latter: this payment is written off already, otherwise; money that is there is not sent back
            if state is LineState.OPEN:
                at.line(number, LineEvent.LOSE)
                at.line(number, LineEvent.HOLD, outcome.code)
            return
        at.put_line(number, asked="")
        if state is LineState.HELD and at.order.state is OrderState.HELD:
            at.move(OrderEvent.GO_ON)
        if outcome.state is State.SUCCEEDED:
            at.line(number, LineEvent.APPLY)
        else:
            at.line(number, LineEvent.REFUSE, outcome.code or str(outcome.state))

    def _reversed(self, number: int, outcome: InternalOutcome) -> None:
        at = self.at
        if outcome.state is State.HELD:
            return
        at.put_line(number, asked="")
        if outcome.state is not State.SUCCEEDED:  # it stays written off, and the application may ask again
            at.put_line(number, code=outcome.code or str(outcome.state), refund_request="")
            return
        if at.order.state in (OrderState.COMPLETED, OrderState.COMPLETED_WITH_REFUNDS):
            at.move(OrderEvent.GO_ON)
        at.line(number, LineEvent.REVERSE)
        self.request_refund(number, None)

    def request_refund(self, number: int, cash: int | None) -> None:
        """The next refund of a line that is reversed. Raises OrderRefused."""
        at = self.at
        back = refund(at.order, number, cash)
        at.book(saga.refund_due(at.order, back))
        at.add_refund(back)

    def part_outcome(self, id: str, how: str, outcome: InternalOutcome) -> None:
        """What became of a reservation."""
        at = self.at
        if at.parts[id].asked != outcome.id or outcome.state is State.HELD:
            return
        if outcome.state is State.SUCCEEDED:
            at.part(id, _RESOLVED[how], asked="")
            return
        at.put_part(id, asked="", code=outcome.code or str(outcome.state))
        if how != "reserve":
            log.error("reservation-not-resolved", order=at.number, part=id, how=how, code=outcome.code)
        elif at.order.state is OrderState.CREATED and not at.late:
            at.move(OrderEvent.CANCEL, Refusal.COUPON_INVALID)


Regions = Callable[[str], str]
_RESOLVED = {
    "reserve": ReservationState.RESERVED, "post": ReservationState.POSTED, "void": ReservationState.VOIDED,
}  # fmt: skip


@immutable
class Place:
    """What the outcome of a command is about."""

    order: str
    line: int = 0
    part: str = ""
    how: str = ""


def place_of(id: str) -> Place | None:
    """By a command's id."""
    if found := _LINE.fullmatch(id):
        return Place(found[1], int(found[2]))
    if found := _PART.fullmatch(id):
        return Place(found[1], part=found[2], how=found[3])
    return None


def take(
    connection: Connection, outcomes: Sequence[InternalOutcome], now: int, acting: Callable[[Stored], Acting]
) -> None:
    """Take the outcomes of commands, and begin what follows. Called again with the same, it changes nothing more."""
    for outcome in outcomes:
        place = place_of(outcome.id)
        stored = load(connection, place.order, now) if place else None
        if place is None or stored is None:
            log.error("outcome-of-no-order", request_id=outcome.id)
            continue
        acts = acting(stored)
        if place.line:
            acts.line_outcome(place.line, outcome)
        else:
            acts.part_outcome(place.part, place.how, outcome)
        acts.advance()


def prove_refund(
    connection: Connection, channel: str, said: RefundProof, now: int, acting: Callable[[Stored], Acting]
) -> tuple[Meant, str]:
    """A refund is proven: by the channel's notification, or by a row of its statement. Returns what it means, and the
    order.
    """
    order = order_of_refund(connection, said.number)
    stored = load(connection, order, now) if order else None
    if stored is None or stored.find_refund(said.number).channel != channel:
        return Meant.NOT_OURS, ""
    meant = _refund_proven(stored, said)
    if meant is Meant.REFUND_PROVEN:
        acting(stored).advance()
    return meant, stored.number


def take_statements(connection: Connection, now: int, acting: Callable[[Stored], Acting], order: str = "") -> int:
    """Refunds that accepted statements prove are proven, of one order or of all. Returns how many."""
    found = proofs.in_statements(connection, order)
    meant = [prove_refund(connection, channel, said, now, acting)[0] for channel, said in found]
    return meant.count(Meant.REFUND_PROVEN)


def _refund_proven(stored: Stored, said: RefundProof) -> Meant:
    one = stored.find_refund(said.number)
    if one.cash != said.cash:
        log.error("refund-of-another-amount", refund=said.number, asked=one.cash, proven=said.cash)
        return Meant.AMOUNT_MISMATCH
    if said.transaction and said.transaction != one.transaction:  # what was to go back is there still
        log.error("refund-of-another-transaction", refund=said.number, order=stored.number)
        return Meant.NOT_OURS
    if one.state is RefundState.PROVEN:
        return Meant.REPEATED
    stored.refund(said.number, RefundEvent.PROVE, said.proven_at.astimezone(CHINA).date())
    reach(Point.BRIDGE_PROOF_UNCOMMITTED, stored.number)
    return Meant.REFUND_PROVEN


def tell_refund(stored: Stored, number: str, event: RefundEvent) -> None:
    """The application says that a refund was sent, or failed. Raises IllegalMove."""
    state = stored.find_refund(number).state
    if event is RefundEvent.FAIL and state is RefundState.REQUESTED:
        stored.refund(number, RefundEvent.SEND)
    elif event is RefundEvent.SEND and state is RefundState.FAILED:  # once more, under its number
        stored.refund(number, RefundEvent.REPEAT)
    elif (event is RefundEvent.SEND and state in (RefundState.SENT, RefundState.PROVEN)) or (
        event is RefundEvent.FAIL and state is RefundState.FAILED
    ):
        return
    stored.refund(number, event)


def timestamp(ms: int) -> str:
    """As operations write it: China's time, to the second."""
    return datetime.fromtimestamp(ms // 1000, CHINA).isoformat()

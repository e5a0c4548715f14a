"""One payment order within a transaction: read whole and locked, changed by its tables of moves alone, written at once.

What is decided is orders.py's and saga.py's; here a move becomes rows and a booking, in one transaction.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from sqlalchemy import Connection, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from intranet_bridge.settlement import events, ledger
from intranet_bridge.settlement.bank_lines import with_a_bank
from intranet_bridge.settlement.days import day_of
from intranet_bridge.settlement.payments import proofs, saga
from intranet_bridge.settlement.payments.evidence import PaidPart
from intranet_bridge.settlement.payments.orders import (
    LINES as LINE_MOVES,
)
from intranet_bridge.settlement.payments.orders import (
    ORDERS as ORDER_MOVES,
)
from intranet_bridge.settlement.payments.orders import (
    REFUNDS as REFUND_MOVES,
)
from intranet_bridge.settlement.payments.orders import (
    RESERVATIONS,
    Bill,
    Line,
    LineEvent,
    Order,
    OrderEvent,
    Part,
    Payment,
    Refund,
    RefundEvent,
    ReservationEvent,
    moved,
    paid_by,
)
from intranet_bridge.settlement.payments.rows import BILLS, LINES, ORDERS, PARTS, PAYMENTS, REFUNDS, TRANSACTIONS
from protocol.operations import orders as catalogue
from protocol.operations.orders import LineState, OrderState, RefundState, ReservationState
from protocol.runtime.crash_points import Point, reach
from protocol.times import CHINA

_O, _L, _B, _P, _Y, _T, _R = (table.c for table in (ORDERS, LINES, BILLS, PARTS, PAYMENTS, TRANSACTIONS, REFUNDS))
LET_GO = frozenset({LineState.WRITTEN_OFF, LineState.REFUSED, LineState.REFUNDED, LineState.CREDITED})
"""The bills of such a line are in use no more."""
DEAD = frozenset({OrderState.EXPIRED, OrderState.CANCELLED})
UNPAID = frozenset({OrderState.CREATED, OrderState.RESERVED, OrderState.PAYING})
_PART = re.compile("P([1-5])")
BILLS_TO_SEE, PARTS_TO_SEE = "bills", "parts"
"""What is still to be seen of a late payment."""


@dataclass(slots=True)
class Made:
    """What a new order has besides what is decided by."""

    request: str
    application: str
    payer: str = field(repr=False)
    promotions: Sequence[catalogue.OrderPart] = field(repr=False)
    code: str = ""


@dataclass(slots=True)
class OfLine:
    """What a line has besides."""

    asked: str = ""
    """The command that is under way for it."""
    credit: bool = True
    """A prepayment in place of a refund was not refused yet."""
    refund_request: str = ""
    reversals: int = 0
    """How often its company was asked to reverse it."""


@dataclass(slots=True)
class OfPart:
    """What a part payment has besides."""

    number: int
    promotion: str
    kind: str
    asked: str = ""
    code: str = ""


@dataclass(slots=True)
class OfPayment:
    """What a payment has besides."""

    number: int
    paid_at: int


class Stored:
    """An order, as it stands in this transaction."""

    def __init__(self, connection: Connection, row: Any, order: Order, now: int) -> None:
        """See `load`."""
        self.connection, self.order, self.now = connection, order, now
        self.request, self.application, self.payer = row.request, row.application, row.payer
        self.code, self.late, self.created_at = row.code, row.late, row.created_at
        self.lines: dict[int, OfLine] = {}
        self.parts: dict[str, OfPart] = {}
        self.payments: list[OfPayment] = []

    @property
    def number(self) -> str:
        """Of the order."""
        return self.order.number

    @property
    def paid_at(self) -> int:
        """Epoch ms, of the payment that is the order's."""
        return self.payments[0].paid_at

    # --- moves ---------------------------------------------------------------------------------------------

    def put(self, **values: Any) -> None:
        """Columns of the order's row."""
        self.connection.execute(update(ORDERS).where(_O.number == self.number).values(updated_at=self.now, **values))

    def move(self, event: OrderEvent, code: str | None = None) -> None:
        """The order comes into its next state. Raises IllegalMove."""
        before = self.order.state
        state = moved(ORDER_MOVES, before, event)
        self.order = replace(self.order, state=state)
        if code is not None:
            self.code = code
        self.put(state=state, code=self.code)
        if state in DEAD or (before is OrderState.HELD and event is OrderEvent.COMPLETE_WITH_REFUNDS):
            self._let_go()  # the latter: none of its lines has ended, and none will

    def set_late(self, what: str) -> None:
        """What is still to be seen of a late payment; empty: nothing."""
        self.late = what
        self.put(late=what)

    def line(self, number: int, event: LineEvent, code: str = "") -> None:
        """A line comes into its next state, and that is booked. Raises IllegalMove."""
        line = self.order.line(number)
        state = moved(LINE_MOVES, line.state, event)
        self.book(saga.line_booked(self.order, line, state))
        self._replace(line, replace(line, state=state, code=code or line.code))
        self.put_line(number, state=state, code=code or line.code, ended_at=self.now if state in LET_GO else 0)
        if state in LET_GO:
            self._let_go(number)

    def put_line(self, number: int, **values: Any) -> None:
        """Columns of a line's row; those of OfLine are known here too."""
        for name in ("asked", "credit", "refund_request", "reversals"):
            if name in values:
                setattr(self.lines[number], name, values[name])
        if "code" in values:
            line = self.order.line(number)
            self._replace(line, replace(line, code=values["code"]))
        where = (_L.order_no == self.number, _L.line == number)
        self.connection.execute(update(LINES).where(*where).values(**values))

    def part(self, id: str, state: ReservationState | None, **values: Any) -> None:
        """A part payment's reservation comes into a state (None: there is none again). Raises IllegalMove."""
        (part,) = (one for one in self.order.parts if one.id == id)
        if part.reservation is not None and state is not None:
            moved(RESERVATIONS, part.reservation, _RESOLVES[state])
        attempt = part.attempt if state is not None or part.reservation is None else part.attempt + 1
        made = replace(part, reservation=state, attempt=attempt)
        self.order = replace(self.order, parts=tuple(made if one is part else one for one in self.order.parts))
        self.put_part(id, state=state or "", attempt=attempt, **values)

    def put_part(self, id: str, **values: Any) -> None:
        """Columns of a part payment's row; those of OfPart are known here too."""
        of = self.parts[id]
        for name in ("asked", "code"):
            if name in values:
                setattr(of, name, values[name])
        where = (_P.order_no == self.number, _P.part == of.number)
        self.connection.execute(update(PARTS).where(*where).values(**values))

    def not_honoured(self) -> None:
        """Its payment came too late."""
        self.order = replace(self.order, honoured=False)
        self.put(honoured=False)

    def add_payment(self, payment: Payment, paid_at: int, taken: str, evidence: str, source: str, now: int) -> None:
        """A payment that is proven, with its transactions."""
        number = len(self.payments) + 1
        row = {
            "order_no": self.number, "payment": number, "channel": payment.channel, "cash": payment.cash,
            "taken": taken, "paid_at": paid_at, "received_at": now, "evidence": evidence, "source": source,
        }  # fmt: skip
        self.connection.execute(PAYMENTS.insert(), row)
        self.connection.execute(
            TRANSACTIONS.insert(),
            [
                {
                    "channel": payment.channel, "transaction_no": one.transaction, "order_no": self.number,
                    "payment": number, "number": at, "reference": one.reference, "cash": one.cash,
                }
                for at, one in enumerate(payment.parts, 1)
            ],
        )  # fmt: skip
        self.order = replace(self.order, payments=(*self.order.payments, payment))
        self.payments.append(OfPayment(number, paid_at))

    def add_refund(self, one: Refund) -> None:
        """A refund is asked for; what a statement has of it already proves it at once. The database refuses a second
        one in flight, and more of a transaction than it brought.
        """
        row = {
            "number": one.number, "order_no": self.number, "line": one.line, "payment": one.payment,
            "channel": one.channel, "transaction_no": one.transaction, "cash": one.cash, "state": one.state,
            "statements": 0, "requested_at": self.now, "updated_at": self.now,
        }  # fmt: skip
        self.connection.execute(REFUNDS.insert(), row)
        reach(Point.BRIDGE_REFUND_UNCOMMITTED, one.number)
        self.order = replace(self.order, refunds=(*self.order.refunds, one))
        if not one.cash:  # only part payments paid it: there is nothing that a channel could do
            self.refund(one.number, RefundEvent.PROVE, day_of(self.now))
        for _, said in proofs.in_statements(self.connection, refund=one.number):  # its money is back already
            self.refund(one.number, RefundEvent.PROVE, said.proven_at.astimezone(CHINA).date())

    def refund(self, number: str, event: RefundEvent, day: date | None = None) -> None:
        """A refund comes into its next state; with its proof, of a day, its line too. Raises IllegalMove."""
        one = self.find_refund(number)
        made = replace(one, state=moved(REFUND_MOVES, one.state, event))
        self.order = replace(self.order, refunds=tuple(made if each is one else each for each in self.order.refunds))
        values = {"state": made.state, "updated_at": self.now}
        self.connection.execute(update(REFUNDS).where(_R.number == number).values(**values))
        if event is not RefundEvent.PROVE:
            return
        self.book(saga.refund_proven(made), day)
        if one.line:
            proven = sum(
                each.cash for each in self.order.refunds if each.line == one.line and each.state is RefundState.PROVEN
            )
            if proven == saga.cash_of(self.order)[one.line]:
                self.line(one.line, LineEvent.PROVE)
        elif one.payment == 1 and self.order.state is OrderState.HELD:
            back = [each for each in self.order.refunds if each.payment == 1 and each.state is RefundState.PROVEN]
            if sum(each.cash for each in back) == self.order.payments[0].cash:
                self.move(OrderEvent.COMPLETE_WITH_REFUNDS)  # a payment of another amount went back whole

    def find_refund(self, number: str) -> Refund:
        """Raises KeyError."""
        for one in self.order.refunds:
            if one.number == number:
                return one
        raise KeyError(number)

    def book(self, event: events.Event | None, day: date | None = None) -> None:
        """In the books, on its settlement day (today, where it has none of the platform's), or the first open one."""
        if event is not None:
            on = ledger.open_day(self.connection, day or day_of(self.now))
            ledger.book(self.connection, events.posting(event, on), self.now)

    # --- bills ---------------------------------------------------------------------------------------------

    def use_bills(self) -> bool:
        """Its bills are in use from now on. False: another order has one of them, or a bank is asked to charge it."""
        open_lines = [line.number for line in self.order.lines if line.state is LineState.OPEN]
        where = (_B.order_no == self.number, _B.line.in_(open_lines))
        if set(in_use(self.connection, bills_of(self.order.lines)).values()) - {self.number}:
            return False
        try:
            with self.connection.begin_nested():
                self.connection.execute(update(BILLS).where(*where).values(in_use=True))
                # once more: what was waited for may be a batch that was sealed meanwhile (withholding/sealing.py)
                if with_a_bank(self.connection, bills_of(self.order.lines)):
                    raise _WithABank
        except (IntegrityError, _WithABank):  # somebody else was quicker
            return False
        return True

    def _let_go(self, line: int | None = None) -> None:
        where = [_B.order_no == self.number, _B.in_use.is_(True)]
        if line is not None:
            where.append(_B.line == line)
        self.connection.execute(update(BILLS).where(*where).values(in_use=False))

    # --- what follows from it ------------------------------------------------------------------------------

    def transaction(self, line: int) -> str:
        """The channel's number of what paid a line."""
        return paid_by(self.order, line).transaction

    def _replace(self, line: Line, made: Line) -> None:
        self.order = replace(self.order, lines=tuple(made if one is line else one for one in self.order.lines))


_RESOLVES: Mapping[ReservationState, ReservationEvent] = {
    ReservationState.POSTED: ReservationEvent.POST,
    ReservationState.VOIDED: ReservationEvent.VOID,
}


def bills_of(lines: Iterable[Line]) -> list[Bill]:
    """What they pay."""
    return [(line.company, line.account, bill) for line in lines for bill in line.bills]


class _WithABank(Exception):
    """A bank is asked to charge one of the bills."""


def in_use(connection: Connection, bills: Sequence[Bill]) -> dict[Bill, str]:
    """Of these bills those that are being paid, with the order that has each, or the line that a bank has of it."""
    if not bills:
        return {}
    wanted = tuple_(_B.company, _B.account, _B.bill).in_(bills)
    rows = connection.execute(select(BILLS).where(wanted, _B.in_use.is_(True)))
    return with_a_bank(connection, bills) | {(row.company, row.account, row.bill): row.order_no for row in rows}


def create(connection: Connection, order: Order, made: Made, now: int) -> None:
    """Write a new order down. Raises IntegrityError if the request has one."""
    row = {
        "number": order.number, "request": made.request, "application": made.application, "channel": order.channel,
        "payer": made.payer, "state": order.state, "code": made.code, "honoured": True, "late": "",
        "expires_at": order.expires_at, "due_at": now, "created_at": now, "updated_at": now,
    }  # fmt: skip
    connection.execute(ORDERS.insert(), row)
    lines = [
        {
            "order_no": order.number, "line": line.number, "company": line.company, "account": line.account,
            "amount": line.amount, "state": line.state, "code": "", "asked": "", "credit": True,
            "refund_request": "", "ended_at": 0,
        }
        for line in order.lines
    ]  # fmt: skip
    connection.execute(LINES.insert(), lines)
    bills = [
        {
            "order_no": order.number, "line": line.number, "bill": bill, "company": line.company,
            "account": line.account, "in_use": False,
        }
        for line in order.lines
        for bill in line.bills
    ]  # fmt: skip
    if bills:
        connection.execute(BILLS.insert(), bills)
    parts = [
        {
            "order_no": order.number, "part": number, "promotion": part.id, "kind": part.kind, "funder": part.funder,
            "amount": part.amount, "state": "", "attempt": 1, "asked": "", "code": "",
        }
        for number, part in enumerate(made.promotions, 1)
    ]  # fmt: skip
    if parts:
        connection.execute(PARTS.insert(), parts)


def number_of_request(connection: Connection, request: str) -> str | None:
    """The order that a request made."""
    return connection.execute(select(_O.number).where(_O.request == request)).scalar()


def order_of_refund(connection: Connection, refund: str) -> str | None:
    """The order that a refund is of."""
    return connection.execute(select(_R.order_no).where(_R.number == refund)).scalar()


def order_of_transactions(connection: Connection, channel: str, transactions: Iterable[str]) -> str | None:
    """The order that has one of these transactions of a channel."""
    where = (_T.channel == channel, _T.transaction_no.in_(sorted(transactions)))
    return connection.execute(select(_T.order_no).where(*where).limit(1)).scalar()


def due(connection: Connection, now: int, most: int) -> list[tuple[str, str]]:
    """Orders that are to be looked at, with what is to be seen of a late payment."""
    statement = select(_O.number, _O.late).where(_O.due_at <= now).order_by(_O.due_at).limit(most)
    return [(row.number, row.late) for row in connection.execute(statement)]


def load(connection: Connection, number: str, now: int, *, lock: bool = True) -> Stored | None:
    """An order with all its rows; locked, nobody else changes it until the transaction ends."""
    statement = select(ORDERS).where(_O.number == number)
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    if row is None:
        return None
    bills: dict[int, list[str]] = {}
    of_order = select(_B.line, _B.bill).where(_B.order_no == number).order_by(_B.line, _B.bill)
    for line, bill in connection.execute(of_order):
        bills.setdefault(line, []).append(bill)
    lines = connection.execute(select(LINES).where(_L.order_no == number).order_by(_L.line)).all()
    parts = connection.execute(select(PARTS).where(_P.order_no == number).order_by(_P.part)).all()
    payments = connection.execute(select(PAYMENTS).where(_Y.order_no == number).order_by(_Y.payment)).all()
    transactions: dict[int, list[PaidPart]] = {}
    for one in connection.execute(select(TRANSACTIONS).where(_T.order_no == number).order_by(_T.payment, _T.number)):
        transactions.setdefault(one.payment, []).append(PaidPart(one.transaction_no, one.reference, one.cash))
    refunds = connection.execute(
        select(REFUNDS).where(_R.order_no == number).order_by(_R.requested_at, func.length(_R.number), _R.number)
    ).all()
    order = Order(
        number,
        row.channel,
        tuple(
            Line(
                one.line, one.company, one.account, one.amount, tuple(bills.get(one.line, ())),
                LineState(one.state), one.code,
            )
            for one in lines
        ),
        tuple(
            Part(
                f"P{one.part}", one.funder, one.amount, ReservationState(one.state) if one.state else None,
                one.attempt,
            )
            for one in parts
        ),
        OrderState(row.state),
        row.expires_at,
        row.honoured,
        tuple(Payment(one.channel, tuple(transactions[one.payment])) for one in payments),
        tuple(
            Refund(
                one.line, one.number, one.cash, RefundState(one.state), one.statements, one.channel,
                one.transaction_no, one.payment,
            )
            for one in refunds
        ),
    )  # fmt: skip
    stored = Stored(connection, row, order, now)
    stored.lines = {one.line: OfLine(one.asked, one.credit, one.refund_request, one.reversals) for one in lines}
    stored.parts = {f"P{one.part}": OfPart(one.part, one.promotion, one.kind, one.asked, one.code) for one in parts}
    stored.payments = [OfPayment(one.payment, one.paid_at) for one in payments]
    return stored

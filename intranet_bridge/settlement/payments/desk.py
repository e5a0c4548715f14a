"""What people see of payment orders, and decide: `bridgectl orders`, the accountant's pages, and what the bridge's
report says of them.

Whoever decides is named by the caller, who has checked it; each decision is written into the audit.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, func, or_, select

from intranet_bridge.settlement import events
from intranet_bridge.settlement.payments import told
from intranet_bridge.settlement.payments.acting import RISK_REVIEW, Acting
from intranet_bridge.settlement.payments.orders import STATEMENTS_FOR_PROOF, LineEvent, OrderEvent, whole_refunds
from intranet_bridge.settlement.payments.records import Stored, load
from intranet_bridge.settlement.payments.rows import LINES, ORDERS, PARTS, PAYMENTS, REFUNDS
from intranet_bridge.settlement.ports import Ports
from protocol.administration import ListOrders, OrderOf, OrderVerdict, SettleOrder, asked
from protocol.errors import BridgeError
from protocol.operations.orders import LineState, OrderStanding, OrderState, RefundState, ReservationState
from protocol.reports.settlement import PaymentOrdersReport
from protocol.runtime.control import Answer, Peer
from protocol.runtime.crash_points import Point, reach
from protocol.times import CHINA
from protocol.values import immutable

_O, _L, _P, _Y, _R = ORDERS.c, LINES.c, PARTS.c, PAYMENTS.c, REFUNDS.c
_LATE_MS = 3_600_000
"""A late payment of which nobody can say for so long whether its bills are open waits for a person."""
_NAMED = 20
MOST_ORDERS = 1_000
"""Of one page; of what waits for a person, more than that is as much."""
_NO_ORDER = "there is no such order"


class Waits(StrEnum):
    """Why an order waits for a person."""

    AMOUNT = "amount-mismatch"
    """What was paid is not what the order comes to."""
    RISK = "risk-review"
    LINE = "line-held"
    """What became of a line's write-off is not known, or its company has the payment otherwise."""
    BILLS = "bills-not-seen"
    """It was paid too late, and its companies have not said for an hour whether its bills are open."""
    PART = "part-not-resolved"
    """A coupon or points could not be used up."""


@immutable
class OrderView:
    """An order in figures. Amounts are fen, times epoch ms; 0: not yet."""

    number: str
    state: OrderState
    code: str
    waits: Waits | None
    channel: str
    application: str
    lines: int
    amount: int
    created_at: int
    paid_at: int
    updated_at: int


@immutable
class PaymentView:
    """A payment that is proven; the second one of an order is surplus."""

    number: int
    channel: str
    cash: int
    paid_at: int
    transactions: tuple[str, ...]


@immutable
class RefundView:
    """A refund. Line 0: of a payment too many, or of another amount."""

    number: str
    order: str
    line: int
    channel: str
    transaction: str
    cash: int
    state: RefundState
    statements: int
    """Of its channel that were accepted since it was asked for, and do not have it."""
    requested_at: int
    updated_at: int

    @property
    def unproven(self) -> bool:
        """Whether somebody has to ask the channel."""
        return self.state is not RefundState.PROVEN and self.statements >= STATEMENTS_FOR_PROOF


@immutable
class Sayable:
    """What a person may say of an order now."""

    verdict: OrderVerdict
    line: int = 0


@immutable
class OrderDetail:
    """All of an order."""

    order: OrderView
    standing: OrderStanding
    payments: tuple[PaymentView, ...]
    refunds: tuple[RefundView, ...]
    sayable: tuple[Sayable, ...]


class OrdersDesk:
    """What people do with orders."""

    def __init__(self, ports: Ports, acts: Callable[[Stored], Acting], hurry: Callable[[], None]) -> None:
        self._ports, self._acts, self._hurry = ports, acts, hurry

    def answers(self) -> Mapping[str, Answer]:
        """What an administrator of this host can ask."""
        return {"orders-list": self._list, "orders-show": self._show, "orders-settle": self._settle}

    # --- seeing ---------------------------------------------------------------------------------------------

    async def orders(
        self, *, states: Collection[OrderState] = (), waiting: bool = False, day: date | None = None,
        before: str = "", limit: int = 100,
    ) -> Sequence[OrderView]:  # fmt: skip
        """The latest first; the next page is `before` the last one's number. `waiting`: those that wait for a person
        alone. `day`: paid on it.
        """
        now = self._ports.clock()
        asked = _views(now).order_by(_O.number.desc()).limit(min(limit, MOST_ORDERS))
        if states:
            asked = asked.where(_O.state.in_(tuple(states)))
        if waiting:
            asked = asked.where(_waiting(now))
        if day is not None:
            asked = asked.where(_Y.paid_at.between(*_bounds(day)))
        if before:
            asked = asked.where(_O.number < before)
        return await self._ports.store.read(lambda connection: [_view(row) for row in connection.execute(asked)])

    async def order(self, number: str) -> OrderDetail:
        """One. Raises BridgeError if there is none."""
        now = self._ports.clock()
        refunds = select(REFUNDS).where(_R.order_no == number).order_by(_R.requested_at, _R.number)

        def look(connection: Connection) -> OrderDetail | None:
            row = connection.execute(_views(now).where(_O.number == number)).first()
            stored = load(connection, number, now, lock=False)
            if row is None or stored is None:
                return None
            return OrderDetail(
                _view(row), told.standing(stored), _payments(stored),
                tuple(_refund(one) for one in connection.execute(refunds)), sayable(stored),
            )  # fmt: skip

        found = await self._ports.store.snapshot(look)
        if found is None:
            raise BridgeError(_NO_ORDER)
        return found

    async def unproven(self, day: date | None = None) -> Sequence[RefundView]:
        """Refunds that so many statements do not prove, the oldest first. `day`: asked for on it."""
        asked = select(REFUNDS).where(_UNPROVEN).order_by(_R.requested_at, _R.number).limit(MOST_ORDERS)
        if day is not None:
            asked = asked.where(_R.requested_at.between(*_bounds(day)))
        return await self._ports.store.read(lambda connection: [_refund(row) for row in connection.execute(asked)])

    # --- deciding -------------------------------------------------------------------------------------------

    async def settle(self, number: str, verdict: OrderVerdict, line: int, note: str, who: str) -> OrderState:
        """Say of an order that is held how it goes on; gives its state. Raises BridgeError that says why not."""

        def work(connection: Connection) -> OrderState:
            stored = load(connection, number, self._ports.clock())
            if stored is None:
                raise BridgeError(_NO_ORDER)
            settled(stored, verdict, line)
            self._acts(stored).advance()
            return stored.order.state

        said = {"order": number, "line": line, "verdict": verdict, "note": note}
        state = await self._ports.transact(work, "order-settle", who, lambda _: said)
        reach(Point.BRIDGE_DESK_COMMITTED, number)
        self._ports.commands().begin()
        self._hurry()
        return state

    # --- an administrator's ---------------------------------------------------------------------------------

    async def _list(self, request: Mapping[str, Any], _peer: Peer) -> Any:
        question = asked(ListOrders, request)
        return await self._ports.store.snapshot(
            partial(_listed, state=question.state, limit=question.limit, now=self._ports.clock())
        )

    async def _show(self, request: Mapping[str, Any], _peer: Peer) -> Any:
        number = asked(OrderOf, request).order
        now = self._ports.clock()
        stored = await self._ports.store.snapshot(lambda connection: load(connection, number, now, lock=False))
        if stored is None:
            raise BridgeError(_NO_ORDER)
        order = told.standing(stored).model_dump(mode="json")
        payments = [
            {
                "payment": one.number, "channel": one.channel, "cash": one.cash, "paid_at": one.paid_at,
                "transactions": list(one.transactions),
            }
            for one in _payments(stored)
        ]  # fmt: skip
        more = {"code": stored.code, "late": stored.late, "application": stored.application}
        return {**order, **more, "created_at": stored.created_at, "payments": payments}

    async def _settle(self, request: Mapping[str, Any], peer: Peer) -> Any:
        question = asked(SettleOrder, request)
        who = peer.behind(question.sudo_user)
        state = await self.settle(question.order, question.verdict, question.line, question.note, who)
        return {"order": question.order, "state": str(state)}

    async def report(self) -> PaymentOrdersReport:
        """What a person has to look at."""
        return await self._ports.store.snapshot(partial(_report, now=self._ports.clock()))


def sayable(at: Stored) -> tuple[Sayable, ...]:
    """What `settled` takes of an order as it stands."""
    if at.order.state is not OrderState.HELD:
        return ()
    found = [Sayable(OrderVerdict.GO_ON)] if at.code == RISK_REVIEW else []
    if at.code == Waits.AMOUNT and not _given_back(at):
        found.append(Sayable(OrderVerdict.GIVE_BACK))
    for line in at.order.lines:
        if line.state is LineState.HELD:
            found += [Sayable(OrderVerdict.WRITTEN_OFF, line.number), Sayable(OrderVerdict.REFUSED, line.number)]
    return tuple(found)


def settled(at: Stored, verdict: OrderVerdict, number: int) -> None:
    """What a person says of an order that is held. Raises BridgeError for what cannot be said of it."""
    if at.order.state is not OrderState.HELD:
        raise BridgeError(f"the order is {at.order.state}: only of one that is held can anything be said")
    match verdict:
        case OrderVerdict.GO_ON:
            if at.code != RISK_REVIEW:
                raise BridgeError("it is not held for a look at its risk")
            at.move(OrderEvent.GO_ON, "")
        case OrderVerdict.GIVE_BACK:
            _give_back(at)
        case _:
            if number not in at.lines or at.order.line(number).state is not LineState.HELD:
                raise BridgeError("that line is not held")
            at.move(OrderEvent.GO_ON)
            at.put_line(number, asked="")
            if verdict is OrderVerdict.WRITTEN_OFF:
                at.line(number, LineEvent.APPLY)
            else:
                at.line(number, LineEvent.REFUSE, "settled-refused")


def _give_back(at: Stored) -> None:
    """A payment of another amount than the order's goes back whole."""
    payment = at.order.payments[0]
    if at.code != Waits.AMOUNT:
        raise BridgeError("its payment is the order's: what it paid is refunded line by line")
    if _given_back(at):
        raise BridgeError("it is given back already: its refund is under way")
    for back in whole_refunds(at.order, payment, 1):
        at.book(events.RefundDue(back.number, at.number, back.channel, back.cash))
        at.add_refund(back)


def _given_back(at: Stored) -> bool:
    return any(one.payment == 1 for one in at.order.refunds)


def _payments(at: Stored) -> tuple[PaymentView, ...]:
    return tuple(
        PaymentView(of.number, one.channel, one.cash, of.paid_at, tuple(part.transaction for part in one.parts))
        for of, one in zip(at.payments, at.order.payments, strict=True)
    )


def _bounds(day: date) -> tuple[int, int]:
    """The first and the last millisecond of a day in China."""
    first = datetime.combine(day, time(), CHINA)
    return int(first.timestamp() * 1000), int((first + timedelta(1)).timestamp() * 1000) - 1


def _late(now: int) -> ColumnElement[bool]:
    received = select(_Y.order_no).where(_Y.received_at < now - _LATE_MS).correlate(None)
    return (_O.late == "bills") & _O.number.in_(received)


_UNRESOLVED = _O.number.in_(
    select(_P.order_no).where(_P.code != "", _P.state == ReservationState.RESERVED)
) & _O.state.in_((OrderState.WRITING_OFF, OrderState.COMPLETED, OrderState.COMPLETED_WITH_REFUNDS))
_UNPROVEN = (_R.state != RefundState.PROVEN) & (_R.statements >= STATEMENTS_FOR_PROOF)


def _waiting(now: int) -> ColumnElement[bool]:
    """Whether an order waits for a person."""
    return or_(_O.state == OrderState.HELD, _late(now), _UNRESOLVED)


def _views(now: int) -> Any:
    why = case(
        ((_O.state == OrderState.HELD) & _O.code.in_((Waits.AMOUNT, Waits.RISK)), _O.code),
        (_O.state == OrderState.HELD, Waits.LINE.value),
        (_late(now), Waits.BILLS.value),
        (_UNRESOLVED, Waits.PART.value),
        else_="",
    )
    lines = select(func.count()).where(_L.order_no == _O.number).scalar_subquery()
    amount = select(func.sum(_L.amount)).where(_L.order_no == _O.number).scalar_subquery()
    columns = (ORDERS, _Y.paid_at, lines.label("lines"), amount.label("amount"), why.label("why"))
    return select(*columns).outerjoin(PAYMENTS, (_Y.order_no == _O.number) & (_Y.payment == 1))


def _view(row: Row[Any]) -> OrderView:
    return OrderView(
        row.number, OrderState(row.state), row.code, Waits(row.why) if row.why else None, row.channel,
        row.application, row.lines, int(row.amount), row.created_at, row.paid_at or 0, row.updated_at,
    )  # fmt: skip


def _refund(row: Row[Any]) -> RefundView:
    return RefundView(
        row.number, row.order_no, row.line, row.channel, row.transaction_no, row.cash, RefundState(row.state),
        row.statements, row.requested_at, row.updated_at,
    )  # fmt: skip


def _listed(connection: Connection, state: str, limit: int, now: int) -> list[dict[str, Any]]:
    lines = select(func.count()).where(_L.order_no == _O.number).scalar_subquery()
    amount = select(func.sum(_L.amount)).where(_L.order_no == _O.number).scalar_subquery()
    columns = (
        _O.number, _O.state, _O.code, _O.channel, _O.created_at, lines.label("lines"), amount.label("amount"),
    )  # fmt: skip
    statement = select(*columns).order_by(_O.created_at.desc(), _O.number).limit(limit)
    statement = statement.where(_O.state == state) if state else statement
    return [{**row._mapping, "amount": int(row.amount)} for row in connection.execute(statement)]


def _report(connection: Connection, now: int) -> PaymentOrdersReport:
    held = select(_O.number).where(_waiting(now)).order_by(_O.updated_at)
    unproven = select(_R.number).where(_UNPROVEN).order_by(_R.requested_at, _R.number)
    cash = select(func.coalesce(func.sum(_R.cash), 0)).where(_UNPROVEN)
    return PaymentOrdersReport(
        enabled=True,
        held=tuple(connection.execute(held.limit(_NAMED)).scalars()),
        unproven=tuple(connection.execute(unproven.limit(_NAMED)).scalars()),
        unproven_fen=int(connection.execute(cash).scalar_one()),
    )

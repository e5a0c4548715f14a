"""What people see of payment orders, and decide: `bridgectl orders`, and what the bridge's report says of them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Connection, func, or_, select

from intranet_bridge.settlement import events
from intranet_bridge.settlement.payments import told
from intranet_bridge.settlement.payments.acting import RISK_REVIEW, Acting
from intranet_bridge.settlement.payments.orders import STATEMENTS_FOR_PROOF, LineEvent, OrderEvent, whole_refunds
from intranet_bridge.settlement.payments.records import Stored, load
from intranet_bridge.settlement.payments.rows import LINES, ORDERS, PARTS, PAYMENTS, REFUNDS
from intranet_bridge.settlement.ports import Ports
from protocol.administration import ListOrders, OrderOf, OrderVerdict, SettleOrder, asked
from protocol.errors import BridgeError
from protocol.operations.orders import LineState, OrderState, RefundState, ReservationState
from protocol.reports.settlement import PaymentOrdersReport
from protocol.runtime.control import Answer, Peer
from protocol.runtime.crash_points import Point, reach

_O, _L, _P, _Y, _R = ORDERS.c, LINES.c, PARTS.c, PAYMENTS.c, REFUNDS.c
_LATE_MS = 3_600_000
"""A late payment of which nobody can say for so long whether its bills are open waits for a person."""
_NAMED = 20


class OrdersDesk:
    """What people do with orders."""

    def __init__(self, ports: Ports, acts: Callable[[Stored], Acting], hurry: Callable[[], None]) -> None:
        self._ports, self._acts, self._hurry = ports, acts, hurry

    def answers(self) -> Mapping[str, Answer]:
        """What an administrator of this host can ask."""
        return {"orders-list": self._list, "orders-show": self._show, "orders-settle": self._settle}

    async def _list(self, request: Mapping[str, Any], _peer: Peer) -> Any:
        question = asked(ListOrders, request)
        return await self._ports.store.read(
            partial(_listed, state=question.state, limit=question.limit, now=self._ports.clock())
        )

    async def _show(self, request: Mapping[str, Any], _peer: Peer) -> Any:
        number = asked(OrderOf, request).order
        now = self._ports.clock()
        stored = await self._ports.store.read(lambda connection: load(connection, number, now, lock=False))
        if stored is None:
            raise BridgeError("there is no such order")
        order = told.standing(stored).model_dump(mode="json")
        payments = [
            {
                "payment": of.number, "channel": one.channel, "cash": one.cash, "paid_at": of.paid_at,
                "transactions": [part.transaction for part in one.parts],
            }
            for of, one in zip(stored.payments, stored.order.payments, strict=True)
        ]  # fmt: skip
        more = {"code": stored.code, "late": stored.late, "application": stored.application}
        return {**order, **more, "created_at": stored.created_at, "payments": payments}

    async def _settle(self, request: Mapping[str, Any], peer: Peer) -> Any:
        question = asked(SettleOrder, request)

        def work(connection: Connection) -> str:
            stored = load(connection, question.order, self._ports.clock())
            if stored is None:
                raise BridgeError("there is no such order")
            settled(stored, question.verdict, question.line)
            self._acts(stored).advance()
            return str(stored.order.state)

        state = await self._ports.store.write(work)
        reach(Point.BRIDGE_DESK_COMMITTED, question.order)
        self._ports.commands().begin()
        self._hurry()
        await self._ports.act(
            "order-settle", peer.behind(question.sudo_user), order=question.order, line=question.line,
            verdict=question.verdict, note=question.note,
        )  # fmt: skip
        return {"order": question.order, "state": state}

    async def report(self) -> PaymentOrdersReport:
        """What a person has to look at."""
        return await self._ports.store.read(partial(_report, now=self._ports.clock()))


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
    if at.code != "amount-mismatch":
        raise BridgeError("its payment is the order's: what it paid is refunded line by line")
    if any(one.payment == 1 for one in at.order.refunds):
        raise BridgeError("it is given back already: its refund is under way")
    for back in whole_refunds(at.order, payment, 1):
        at.book(events.RefundDue(back.number, at.number, back.channel, back.cash))
        at.add_refund(back)


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
    late = (_O.late == "bills") & _O.number.in_(select(_Y.order_no).where(_Y.received_at < now - _LATE_MS))
    unresolved = _O.number.in_(
        select(_P.order_no).where(_P.code != "", _P.state == ReservationState.RESERVED)
    ) & _O.state.in_((OrderState.WRITING_OFF, OrderState.COMPLETED, OrderState.COMPLETED_WITH_REFUNDS))
    held = select(_O.number).where(or_(_O.state == OrderState.HELD, late, unresolved)).order_by(_O.updated_at)
    unproven = (
        select(_R.number)
        .where(_R.state != RefundState.PROVEN, _R.statements >= STATEMENTS_FOR_PROOF)
        .order_by(_R.requested_at, _R.number)
    )
    cash = select(func.coalesce(func.sum(_R.cash), 0)).where(
        _R.state != RefundState.PROVEN, _R.statements >= STATEMENTS_FOR_PROOF
    )
    return PaymentOrdersReport(
        enabled=True,
        held=tuple(connection.execute(held.limit(_NAMED)).scalars()),
        unproven=tuple(connection.execute(unproven.limit(_NAMED)).scalars()),
        unproven_fen=int(connection.execute(cash).scalar_one()),
    )

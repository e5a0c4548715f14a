"""Pages of payment orders: those that wait for a person with why, one with all there is of it, what is decided of it;
and refunds that no statement proves.

What is said of an order is what `bridgectl orders settle` takes: one person with the role `settle` says it, and why.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date

from starlette.exceptions import HTTPException
from starlette.responses import Response

from intranet_bridge.desk.money.common import NOT_THERE, PAGE, READ, SETTLE, Waiting, asked, asked_day, id_of
from intranet_bridge.settlement.days import day_of
from intranet_bridge.settlement.payments.desk import OrderDetail, OrdersDesk, RefundView, Sayable
from protocol.administration import LONGEST_NOTE, OrderVerdict
from protocol.desk.pages import NotDone, Page, Visit, see
from protocol.errors import BridgeError
from protocol.operations.orders import LineState, OrderState, RefundState

WAITING = "waiting"
"""Of the list: those that wait for a person, whatever their state."""
_TONES = {
    OrderState.HELD: "bad", OrderState.COMPLETED: "good", OrderState.COMPLETED_WITH_REFUNDS: "good",
    OrderState.PAID: "accent", OrderState.WRITING_OFF: "accent",
}  # fmt: skip
_LINE_TONES = {
    LineState.HELD: "bad", LineState.UNKNOWN: "warn", LineState.REFUSED: "warn", LineState.REFUNDING: "accent",
    LineState.WRITTEN_OFF: "good", LineState.REFUNDED: "good", LineState.CREDITED: "good",
}  # fmt: skip
NO_NOTE = "What you have found: say it, in 1 to 400 characters."
NO_DECISION = "Decision: choose one."


def tone(state: OrderState) -> str:
    """How a state is coloured."""
    return _TONES.get(state, "plain")


def of_line(state: LineState) -> str:
    """How a line is coloured."""
    return _LINE_TONES.get(state, "plain")


def of_refund(one: RefundView) -> str:
    """How a refund is coloured."""
    if one.unproven:
        return "bad"
    return "good" if one.state is RefundState.PROVEN else "warn" if one.state is RefundState.FAILED else "accent"


class Orders:
    """The pages."""

    def __init__(self, desk: OrdersDesk) -> None:
        self._desk = desk

    def pages(self) -> tuple[Page, ...]:
        """Those there are, by role."""
        return (
            Page("/orders", self._list, READ, menu="Payment orders"),
            Page("/orders/{id}", self._order, READ),
            Page("/orders/{id}/settle", self._settle, SETTLE, ("POST",)),
        )

    async def waiting(self) -> list[Waiting]:
        """What needs somebody."""
        orders, refunds = await self._desk.orders(waiting=True, limit=PAGE * 20), await self._desk.unproven()
        found = []
        if orders:
            path = f"/desk/orders/{orders[0].number}" if len(orders) == 1 else "/desk/orders"
            amount = sum(one.amount for one in orders)
            found.append(Waiting("payment orders are held: somebody decides", len(orders), path, amount=amount))
        if refunds:
            path = f"/desk/orders/{refunds[0].order}" if len(refunds) == 1 else "/desk/orders#refunds"
            amount = sum(one.cash for one in refunds)
            words = "refunds that three statements do not prove: have the channel asked"
            found.append(Waiting(words, len(refunds), path, amount=amount))
        return found

    async def by_day(self) -> Mapping[date, int]:
        """How many wait for a person: orders by the day they were paid on, refunds by the day they were asked for."""
        days = [day_of(one.paid_at) for one in await self._desk.orders(waiting=True, limit=PAGE * 20) if one.paid_at]
        return Counter([*days, *(day_of(one.requested_at) for one in await self._desk.unproven())])

    # --- looking --------------------------------------------------------------------------------------------

    async def _list(self, visit: Visit) -> Response:
        day, before = asked_day(visit), asked(visit, "before")
        state = asked(visit, "state") if "state" in visit.request.query_params else WAITING
        states = (OrderState(state),) if state in set(OrderState) else ()
        waiting = state == WAITING
        found = await self._desk.orders(states=states, waiting=waiting, day=day, before=before, limit=PAGE + 1)
        return visit.shown(
            "money/orders.html", "Payment orders", found=found[:PAGE], more=len(found) > PAGE, first=not before,
            state=state if states or waiting else "", states=tuple(OrderState), day=day, tone=tone,
            refunds=await self._desk.unproven(day) if waiting else None, of_refund=of_refund, waiting=waiting,
        )  # fmt: skip

    async def _found(self, visit: Visit) -> OrderDetail:
        try:
            return await self._desk.order(id_of(visit))
        except BridgeError as error:
            raise HTTPException(404, NOT_THERE) from error

    async def _order(self, visit: Visit) -> Response:
        return self._shown(visit, await self._found(visit))

    def _shown(self, visit: Visit, found: OrderDetail, refused: str = "", status: int = 409) -> Response:
        given = {name: visit.text(name) for name in ("decision", "note")}
        if len(found.sayable) == 1 and not given["decision"]:
            given["decision"] = written(found.sayable[0])
        return visit.shown(
            "money/order.html", "Payment order", status=status if refused else 200, refused=refused, found=found,
            order=found.order, tone=tone, of_line=of_line, of_refund=of_refund, written=written, given=given,
            decides=bool(found.sayable) and SETTLE in visit.session.roles, most=LONGEST_NOTE,
            lines={line.line: line for line in found.standing.lines},
        )  # fmt: skip

    # --- deciding -------------------------------------------------------------------------------------------

    async def _settle(self, visit: Visit) -> Response:
        found = await self._found(visit)
        decision, note = visit.text("decision"), visit.text("note")
        if not decision:
            return self._shown(visit, found, NO_DECISION, 422)
        verdict, _, line = decision.partition(".")
        if verdict not in set(OrderVerdict) or not line.isascii() or not line.isdigit() or len(line) > 2:
            raise NotDone(NOT_THERE, 404)
        if not 1 <= len(note) <= LONGEST_NOTE:
            return self._shown(visit, found, NO_NOTE, 422)
        number = found.order.number
        try:
            await self._desk.settle(number, OrderVerdict(verdict), int(line), note, visit.session.name)
        except BridgeError as error:
            return self._shown(visit, await self._found(visit), str(error))
        return see(f"/desk/orders/{number}")


def written(one: Sayable) -> str:
    """As the form sends it."""
    return f"{one.verdict}.{one.line}"

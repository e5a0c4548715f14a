"""The two bold things that a statement may ask for: a payment is written off, a write-off is reversed. Each is a
command of the bridge's own, recorded in the transaction that says it was asked for, under a key that is the payment's
for ever. What an order of ours paid for, the order does itself (orders.py).

An item is `acting` until the outcome of each of its commands is final. Nothing is booked here: what a channel charged
and paid back is booked from its statement's rows (clearing), whatever the marketing system had of it.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, Row, func, select

from intranet_bridge.commands.internal import InternalCommand, InternalCommands, InternalOutcome
from intranet_bridge.settlement.days import day_of as today_of
from intranet_bridge.settlement.payments.rows import ORDERS
from intranet_bridge.settlement.rows import FILES, LINES
from intranet_bridge.settlement.statements.comparing import paid_at
from intranet_bridge.settlement.statements.items import ItemState
from intranet_bridge.settlement.statements.matching import ACTING, Action
from intranet_bridge.settlement.statements.orders import COUNT, PROOF, REVERSAL, Orders, Verdict
from intranet_bridge.settlement.statements.profiles import Kind, Status
from intranet_bridge.settlement.statements.records import counts
from intranet_bridge.settlement.statements.run_records import RunState, moved
from intranet_bridge.settlement.statements.run_rows import ACTIONS, ITEMS, RUNS
from protocol.lifecycle import FINAL, State
from protocol.operations.payment import Reversal, ReversalReason, Writeoff
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.store_statements import insert_new
from protocol.values import immutable

log = logger(__name__)

CONSUMER = "statements"
OPERATIONS: Mapping[Action, str] = {Action.WRITE_OFF: "payment-writeoff", Action.REVERSE: "payment-reversal"}
"""What an item of no order takes."""
_AT_ONCE = 20
"""Items whose commands are recorded in one transaction."""
_LONGEST_ID = 64
_NUMBER = 26
"""Characters of an order's number."""
_ID = re.compile(r"[0-9A-Za-z._:-]{1,64}")
_REFUND = re.compile(r"[0-9A-Za-z._:-]{1,64}")
_ACT, _I, _R, _F, _L = ACTIONS.c, ITEMS.c, RUNS.c, FILES.c, LINES.c


@immutable
class Command:
    """One that an item takes."""

    id: str
    key: str
    operation: str
    line: int
    amount: int
    body: BaseModel


class NotActionable(Exception):
    """What is known does not suffice for the command; says what lacks."""


def key_of(item: Any) -> str:
    """The action's, as §8 of the specification has it."""
    refund = "" if item.kind == Kind.PAY else "all" if item.whole else "+".join(json.loads(item.refunds))
    whose = f"{item.merchant}:" if item.merchant else ""
    return f"recon:{item.channel}:{whose}{item.transaction_no}:{item.kind}:{refund}"


def command_id(key: str, line: int, lines: int) -> str:
    """The request's id: the key, with the line where a payment has several; its digest, where it is longer than an id
    may be, or has characters that one has not.
    """
    text = key if lines == 1 else f"{key}:{line}"
    if _ID.fullmatch(text):
        return text
    return f"recon:{hashlib.sha256(text.encode()).hexdigest()}"[:_LONGEST_ID]


def commands_of(item: Any, today: date) -> list[Command]:
    """What an item takes. `item`: its row. Raises NotActionable."""
    steps: list[tuple[int, str, int]] = [(line, account, amount) for line, account, amount in json.loads(item.steps)]
    if not steps:
        raise NotActionable("what is to be written off, or reversed, is not known")
    if not item.paid_at:
        raise NotActionable("when it was paid is not known")
    if any(not account for _, account, _ in steps):
        raise NotActionable("whose account it is for is not known, or it was reversed in part already")
    at = paid_at(datetime.fromisoformat(item.paid_at) if "T" in item.paid_at else date.fromisoformat(item.paid_at))
    key = key_of(item)
    found = []
    for line, account, amount in steps:
        told: dict[str, Any] = {
            "account": account, "amount": amount, "channel": item.channel, "transaction": item.transaction_no,
            "line": line, "paid_at": at.isoformat(), "booked_on": max(today, at.date()).isoformat(),
        }  # fmt: skip
        try:
            body: BaseModel
            if item.action not in OPERATIONS:
                raise NotActionable(f"what is done about {item.action} is an order's to do")
            if item.action == Action.REVERSE:
                refunds = json.loads(item.refunds)
                named = refunds[0] if len(refunds) == 1 and _REFUND.fullmatch(refunds[0]) else None
                body = Reversal(reason=ReversalReason.REFUNDED, refund=named, **told)
            else:
                body = Writeoff(**told)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "what is asked"
            raise NotActionable(f"{place}: {first['msg']}") from None
        operation = OPERATIONS[Action(item.action)]
        found.append(Command(command_id(key, line, len(steps)), key, operation, line, amount, body))
    return found


class Acting:
    """Gives the commands of a run's items, and takes what came of them."""

    def __init__(self, commands: Callable[[], InternalCommands], clock: Clock, orders: Orders | None = None) -> None:
        """`orders` None: there are none of ours."""
        self._commands, self._clock, self._orders = commands, clock, orders

    def act(self, connection: Connection, run: Row[Any]) -> bool:
        """Give the commands of some items of a run that may act. False: there are no more, and the run is done."""
        mine = connection.execute(select(RUNS).where(_R.id == run.id).with_for_update()).one()
        if mine.state != RunState.ACTING:
            return False
        if not counts(connection, run.file):
            values = {"state": RunState.SUPERSEDED, "claimed_by": "", "updated_at": self._clock()}
            connection.execute(RUNS.update().where(_R.id == run.id).values(values))
            return False
        asked = (
            select(ITEMS)
            .where(_I.run == run.id, _I.state == ItemState.OPEN, _I.action.in_([one.value for one in ACTING]))
            .order_by(_I.id)
            .limit(_AT_ONCE)
            .with_for_update()
        )
        items = connection.execute(asked).all()
        now = self._clock()
        if not items:
            values = {"state": RunState.DONE, "claimed_by": "", "updated_at": now}
            connection.execute(RUNS.update().where(_R.id == run.id).values(values))
            return False
        given: list[InternalCommand] = []
        for item in items:
            given += self._begin(connection, item, run.created_at, now)
        if given:
            self._commands().record(connection, given)
        reach(Point.BRIDGE_STATEMENT_ACTING_UNCOMMITTED, run.id)
        return True

    def _begin(self, connection: Connection, item: Row[Any], asked_at: int, now: int) -> list[InternalCommand]:
        verdict = self._orders.look(connection, item, now, asked_at) if self._orders is not None else None
        if verdict is not None:
            operation = REVERSAL if item.action == Action.REVERSE else PROOF
            row = {
                "id": f"order:{item.id}", "item": item.id, "key": key_of(item), "operation": operation, "line": 0,
                "amount": item.amount, "state": "asked", "code": "", "asked_at": now, "ended_at": 0,
            }  # fmt: skip
            insert_new(connection, ACTIONS, [row])
            state = moved(ItemState.OPEN, ItemState.ACTING)
            connection.execute(ITEMS.update().where(_I.id == item.id).values(state=state, updated_at=now))
            self._by_order(connection, item.id, verdict, now)
            return []
        if item.action != Action.REVERSE and _back(connection, item):
            # since its run was compared: another run, of a later statement, did not wait for its approval
            values = {"state": moved(ItemState.OPEN, ItemState.HELD), "code": "refunded-already", "updated_at": now}
            connection.execute(ITEMS.update().where(_I.id == item.id).values(values))
            return []
        try:
            commands = commands_of(item, today_of(now))
        except NotActionable as lacking:
            values = {"state": moved(ItemState.OPEN, ItemState.HELD), "code": "not-actionable", "updated_at": now}
            if not item.why:
                values["why"] = str(lacking)
            connection.execute(ITEMS.update().where(_I.id == item.id).values(values))
            return []
        rows = [
            {
                "id": one.id, "item": item.id, "key": one.key, "operation": one.operation, "line": one.line,
                "amount": one.amount, "state": "asked", "code": "", "asked_at": now, "ended_at": 0,
            }
            for one in sorted(commands, key=lambda one: one.id)
        ]  # fmt: skip
        new = insert_new(connection, ACTIONS, rows)
        state = moved(ItemState.OPEN, ItemState.ACTING)
        connection.execute(ITEMS.update().where(_I.id == item.id).values(state=state, updated_at=now))
        return [InternalCommand(one.id, one.operation, one.body, CONSUMER) for one in commands if one.id in new]

    def go_on(self, connection: Connection, after: str = "", since: int = 0) -> str:
        """See how far orders are with some items, in the order of their actions; returns the last action that was seen.
        Empty: there are no more after `after`. `since`: only orders that have changed from then on, epoch ms.
        """
        if self._orders is None:
            return ""
        asked = (
            select(ACTIONS)
            .where(_ACT.state == "asked", _ACT.operation.in_((PROOF, REVERSAL)), _ACT.id > after)
            .order_by(_ACT.id)
            .limit(_AT_ONCE)
        )
        if since:
            number = func.substr(_I.order_no, 1, _NUMBER)  # what names a line of it has that behind
            asked = (
                asked.join(ITEMS, _I.id == _ACT.item)
                .join(ORDERS, ORDERS.c.number == number)
                .where(ORDERS.c.updated_at >= since)
            )
        now, last = self._clock(), ""
        for action in connection.execute(asked).all():
            last = action.id
            item = connection.execute(select(ITEMS).where(_I.id == action.item).with_for_update()).one()
            if item.state == ItemState.ACTING:
                verdict = self._orders.look(connection, item, now)
                self._by_order(connection, item.id, verdict or Verdict(ItemState.HELD, "no-such-order"), now)
        if last:
            reach(Point.BRIDGE_STATEMENT_ORDER_UNCOMMITTED, last)
        return last

    def _by_order(self, connection: Connection, item: str, verdict: Verdict, now: int) -> None:
        if verdict.state is ItemState.ACTING:
            return
        state = "done" if verdict.state is ItemState.DONE else "refused"
        values = {"state": state, "code": verdict.code[:64], "ended_at": now}
        connection.execute(ACTIONS.update().where(_ACT.id == f"order:{item}").values(values))
        self._settle(connection, item, now)

    def take(self, connection: Connection, outcomes: Sequence[InternalOutcome]) -> None:
        """Take outcomes, in the transaction that marks them as taken. One that was taken changes nothing."""
        touched: list[str] = []
        now = self._clock()
        for outcome in outcomes:
            state = _STATES.get(outcome.state) or ("refused" if outcome.state in FINAL else "asked")
            values = {"state": state, "code": outcome.code[:64], "ended_at": now if outcome.state in FINAL else 0}
            asked = ACTIONS.update().where(_ACT.id == outcome.id, _ACT.state.in_(("asked", "held"))).values(values)
            touched += connection.execute(asked.returning(_ACT.item)).scalars().all()
        for item in sorted(set(touched)):
            self._settle(connection, item, now)
        if outcomes:
            reach(Point.BRIDGE_STATEMENT_OUTCOME_UNCOMMITTED, outcomes[0].id)

    def _settle(self, connection: Connection, id: str, now: int) -> None:
        item = connection.execute(select(ITEMS).where(_I.id == id).with_for_update()).one()
        if item.state != ItemState.ACTING:
            return
        actions = connection.execute(select(ACTIONS).where(_ACT.item == id)).all()
        if any(one.state in ("asked", "held") for one in actions):
            return
        refused = next((one for one in actions if one.state == "refused"), None)
        if refused is not None:
            moved(moved(ItemState.ACTING, ItemState.REFUSED), ItemState.HELD)
            values: dict[str, Any] = {"state": ItemState.HELD, "code": refused.code or "refused"}
        else:
            values = {"state": moved(ItemState.ACTING, ItemState.DONE), "code": ""}
        connection.execute(ITEMS.update().where(_I.id == id).values(updated_at=now, **values))
        log.info("statement-item-ended", item=id, state=str(values["state"]), code=values["code"])


def _back(connection: Connection, item: Row[Any]) -> bool:
    """Whether an accepted statement has a refund of the item's payment, or one that may come."""
    asked = (
        select(_L.line)
        .join(FILES, _F.id == _L.file)
        .where(
            _F.channel == item.channel, _F.state.in_(COUNT), _L.transaction_no == item.transaction_no,
            _L.kind.in_((Kind.REFUND, Kind.REVOKE)), _L.status != Status.FAILED,
        )
        .limit(1)
    )  # fmt: skip
    return bool(item.transaction_no) and connection.execute(asked).first() is not None


_STATES: Mapping[State, str] = {State.SUCCEEDED: "done", State.HELD: "held"}

"""Items of orders of ours. A statement writes nothing off for an order, and reverses nothing of it: it hands what it
proves to the order, whose saga does it under the ids of its own lines. So one payment is written off once, whether the
channel's notification comes first, or the statement, or both at once.

What the order is to do is decided as a value (`of_payment`, `of_refund`); an item of an order is `acting` until its
lines have ended. Of refunds one thing is decided here: that what is written off and went back, though nobody asked us,
is reversed. That a statement proves a refund is decided in payments/proofs.py alone, whoever asked for it.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, select

from intranet_bridge.settlement.payments import saga
from intranet_bridge.settlement.payments.acting import Acting, take_statements
from intranet_bridge.settlement.payments.evidence import PaidPart, PaymentProof
from intranet_bridge.settlement.payments.orders import Line, Order
from intranet_bridge.settlement.payments.records import Stored, load
from intranet_bridge.settlement.payments.rows import LINES as ORDER_LINES
from intranet_bridge.settlement.payments.rows import TRANSACTIONS
from intranet_bridge.settlement.rows import BOOKS, FILES, LINES
from intranet_bridge.settlement.statements.comparing import paid_at
from intranet_bridge.settlement.statements.items import ItemState
from intranet_bridge.settlement.statements.life import FileState
from intranet_bridge.settlement.statements.matching import Action
from intranet_bridge.settlement.statements.profiles import Kind, Status
from protocol.operations.orders import LineState, Meant, OrderState
from protocol.values import immutable

NAME = re.compile(r"([0-9A-HJKMNP-TV-Z]{26})(?:-([1-9][0-9]?))?")
"""What a row of an order of ours names: the order, or one line of it, where lines are paid in one combined payment."""
PROOF, REVERSAL = "payment-proof", "order-reversal"
"""What an action's operation says, of an item that an order acts for."""
_F, _L, _T, _O, _J = FILES.c, LINES.c, TRANSACTIONS.c, ORDER_LINES.c, BOOKS.journals.c
COUNT = (FileState.ACCEPTED, FileState.MATCHED, FileState.CLOSED)
_ENDED = frozenset({LineState.WRITTEN_OFF, LineState.CREDITED, LineState.REFUNDED})
_AT_ONCE = 500


class Do(StrEnum):
    """What is next for an item, or for a line of it."""

    PROVE = "prove"
    REVERSE = "reverse"
    WAIT = "wait"
    DONE = "done"
    HOLD = "hold"


@immutable
class Next:
    """With why, where it is held."""

    do: Do
    code: str = ""


@immutable
class Verdict:
    """Where an item of an order is: `acting`, `done` or `held`."""

    state: ItemState
    code: str = ""


def of_payment(
    order: Order, late: str, code: str, channel: str, transaction: str, lines: Collection[int], missed: bool = False,
    cash: int | None = None,
) -> Next:  # fmt: skip
    """What a payment in a statement asks of its order. `late`, `code`: of the order. `lines`: that are not written off,
    as the books say; empty: all. `missed`: one of them was, as the order says, before the books were asked. `cash`:
    what the statement says that it brought, where it is another amount than the order's.
    """
    paid = [at for at, one in enumerate(order.payments) if one.channel == channel and transaction in one.transactions]
    if not paid:
        return Next(Do.PROVE)
    proven = sum(part.cash for part in order.payments[paid[0]].parts if part.transaction == transaction)
    if cash is not None and cash != proven:  # the channel has said both
        return Next(Do.HOLD, "amount-differs")
    if paid[0] > 0:
        return Next(Do.DONE, "surplus")
    if missed:
        return Next(Do.HOLD, "not-in-the-books")
    if late:
        return Next(Do.WAIT)
    concerned = [line for line in order.lines if not lines or line.number in lines]
    for line in concerned:
        if line.state is LineState.HELD:
            return Next(Do.HOLD, line.code or "line-held")
        if line.state is LineState.OPEN and order.state is OrderState.HELD:
            return Next(Do.HOLD, code or "order-held")
    if order.state is OrderState.COMPLETED_WITH_REFUNDS and all(line.state is LineState.OPEN for line in order.lines):
        return Next(Do.DONE)  # it was of another amount, and went back whole
    return Next(Do.DONE if all(line.state in _ENDED for line in concerned) else Do.WAIT)


def of_refund(line: Line, asked: str, *, begins: bool, stands: bool = False) -> Next:
    """What the whole refund of a line in a statement asks of its order, where the books have the line written off.
    `asked`: the command that is under way for the line. `stands`: it was not reversed after the books were asked.
    """
    match line.state:
        case LineState.REFUNDED | LineState.REFUNDING if stands:  # its money went back, and its company has it too
            return Next(Do.HOLD, "still-in-the-books")
        case LineState.REFUNDED:
            return Next(Do.DONE)
        case LineState.REFUNDING:
            return Next(Do.WAIT)
        case LineState.WRITTEN_OFF if asked:
            return Next(Do.WAIT)
        case LineState.WRITTEN_OFF if begins and not line.code:
            return Next(Do.REVERSE)
        case LineState.WRITTEN_OFF:
            return Next(Do.HOLD, line.code or "not-reversed")
    return Next(Do.HOLD, f"line-{line.state}")


def proof_of(order: Order, name: str, charged: Iterable[tuple[str, PaidPart, datetime]]) -> PaymentProof | Next:
    """The proof that rows of statements make: of a payment as a whole, or of a combined one, whose rows are all to be
    there. `charged`: the transactions of rows that name the order, by that name.
    """
    if name == order.number:
        needed = {name}
    else:
        needed = {f"{order.number}-{line}" for line, cash in saga.cash_of(order).items() if cash}
    found: dict[str, tuple[PaidPart, datetime]] = {}
    for called, part, at in charged:
        if called not in needed:
            continue
        if called in found:
            return Next(Do.HOLD, "paid-twice")
        found[called] = (part, at)
    if needed - set(found):
        return Next(Do.WAIT)
    parts = tuple(part for _, (part, _) in sorted(found.items(), key=lambda one: (len(one[0]), one[0])))
    return PaymentProof(order.number, parts, max(at for _, at in found.values()))


class Orders:
    """Hands items to their orders."""

    def __init__(self, acts: Callable[[Stored], Acting], hurry: Callable[[], None]) -> None:
        """`acts`: on an order (payments/looking.py). `hurry`: something is due of one."""
        self._acts, self.hurry = acts, hurry

    def look(self, connection: Connection, item: Row[Any], now: int, asked_at: int | None = None) -> Verdict | None:
        """Have an item's order do what the statement licenses, as far as it is not done, and say where the item is.
        None: it is of no order of ours. `asked_at`: the item begins, and the books were asked no sooner than then.
        """
        found = NAME.fullmatch(item.order_no)
        stored = load(connection, found[1], now) if found else None
        if stored is None:
            return None
        lines: list[int] = _lines(item)
        if item.action == Action.REVERSE:
            return self._reversed(connection, stored, item, lines, asked_at)
        if item.action == Action.REVERSE_PART:
            return Verdict(ItemState.HELD, "partial-refund")
        return self._paid(connection, stored, item, lines, asked_at)

    def _paid(
        self, connection: Connection, stored: Stored, item: Row[Any], lines: Collection[int], asked_at: int | None
    ) -> Verdict:
        missed = asked_at is not None and _ended_before(connection, stored.number, lines, asked_at)
        following = _of_payment(stored, item, lines, missed)
        if following.do is not Do.PROVE:
            return _verdict(following)
        proof = self._proof(connection, stored, item)
        if isinstance(proof, Next):
            return _verdict(proof)
        file, digest = _evidence(connection, item)
        meant = self._acts(stored).prove(item.channel, proof, digest, f"statement:{file}")
        if meant is Meant.NOT_OURS:
            return Verdict(ItemState.HELD, "transaction-of-two-orders")
        return _verdict(_of_payment(stored, item, lines, missed=False))

    def _proof(self, connection: Connection, stored: Stored, item: Row[Any]) -> PaymentProof | Next:
        order, single = stored.order, item.order_no == stored.number
        names = [order.number] if single else [f"{order.number}-{line.number}" for line in order.lines]
        where = [_F.channel == item.channel, _F.state.in_(COUNT)]
        rows = (
            select(_L.order_no, _L.transaction_no, _L.file, _L.gross, _L.at)
            .join(FILES, _F.id == _L.file)
            .where(*where, _L.order_no.in_(names), _L.kind == Kind.PAY, _L.status == Status.PROVEN)
            .order_by(_L.file, _L.line)
        )
        charged: dict[tuple[str, str], tuple[str, int, datetime]] = {}
        # those of payments that are known prove no other one: what is left of a combined order paid twice is whole
        known = {one for payment in order.payments if payment.channel == item.channel for one in payment.transactions}
        for row in connection.execute(rows):
            if row.transaction_no in known or (single and row.transaction_no != item.transaction_no):
                continue
            key = row.order_no, row.transaction_no
            file, cash, at = charged.get(key, (row.file, 0, _at(row.at)))
            if file == row.file:  # of some statements each line of a payment is a row
                charged[key] = file, cash + row.gross, at
        back = (
            select(_L.refund_no)
            .join(FILES, _F.id == _L.file)
            .where(
                *where, _L.transaction_no.in_(sorted({transaction for _, transaction in charged})),
                _L.kind.in_((Kind.REFUND, Kind.REVOKE)), _L.status != Status.FAILED,
            )
            .limit(1)
        )  # fmt: skip
        if connection.execute(back).first() is not None:  # which lines that was of nobody knows
            return Next(Do.HOLD, "refunded-already")
        parts = [
            (name, PaidPart(transaction, name, cash), at)
            for (name, transaction), (_, cash, at) in charged.items()
        ]  # fmt: skip
        return proof_of(order, item.order_no, parts)

    def _reversed(
        self, connection: Connection, stored: Stored, item: Row[Any], lines: Collection[int], asked_at: int | None
    ) -> Verdict:
        order = stored.order
        ours = order.payments[0].transactions if order.payments else frozenset[str]()
        if item.transaction_no not in ours or not lines:
            return Verdict(ItemState.HELD, "other-payment")
        if take_statements(connection, stored.now, self._acts, stored.number):
            again = load(connection, stored.number, stored.now)
            assert again is not None, "it was just locked"
            stored = again
        found: list[Next] = []
        for number in sorted(lines):
            stands = asked_at is not None and not _reversed_since(connection, stored.number, number, asked_at)
            following = of_refund(
                stored.order.line(number), stored.lines[number].asked, begins=asked_at is not None, stands=stands
            )
            if following.do is Do.REVERSE:
                self._acts(stored).reverse(stored.order.line(number))
                following = Next(Do.WAIT)
            found.append(following)
        for do in (Do.HOLD, Do.WAIT):
            if one_of := [one for one in found if one.do is do]:
                return _verdict(one_of[0])
        return Verdict(ItemState.DONE)


def lines_of(connection: Connection, channel: str, transactions: Collection[str]) -> dict[str, list[int]]:
    """Which lines of orders of ours transactions have paid: each is a write-off of its own under the transaction."""
    found: dict[str, list[int]] = {}
    names = sorted(transactions)
    for at in range(0, len(names), _AT_ONCE):
        asked = (
            select(_T.transaction_no, _T.reference, _T.order_no, _O.line)
            .join(ORDER_LINES, _O.order_no == _T.order_no)
            .where(_T.channel == channel, _T.transaction_no.in_(names[at : at + _AT_ONCE]), _T.payment == 1)
            .order_by(_T.transaction_no, _O.line)
        )
        for row in connection.execute(asked):
            if row.reference in ("", row.order_no, f"{row.order_no}-{row.line}"):
                found.setdefault(row.transaction_no, []).append(row.line)
    return found


def _of_payment(stored: Stored, item: Row[Any], lines: Collection[int], missed: bool) -> Next:
    said = json.loads(item.platform) if item.field == "cash" else None
    return of_payment(stored.order, stored.late, stored.code, item.channel, item.transaction_no, lines, missed, said)


_STATES: Mapping[Do, ItemState] = {Do.DONE: ItemState.DONE, Do.HOLD: ItemState.HELD}


def _verdict(following: Next) -> Verdict:
    return Verdict(_STATES.get(following.do, ItemState.ACTING), following.code)


def _ended_before(connection: Connection, number: str, lines: Collection[int], before: int) -> bool:
    """Whether one of the lines was written off, as the order says, before then."""
    asked = select(_O.line).where(
        _O.order_no == number, _O.state == LineState.WRITTEN_OFF, _O.ended_at < before, _O.line.in_(sorted(lines))
    )
    return connection.execute(asked.limit(1)).first() is not None


def _reversed_since(connection: Connection, number: str, line: int, since: int) -> bool:
    """Whether a line's write-off was taken back, as the order says, not before then."""
    taken_back = (_J.event_key == f"reversed:{number}-{line}:all", _J.booked_at >= since)
    return connection.execute(select(_J.id).where(*taken_back)).first() is not None


def _evidence(connection: Connection, item: Row[Any]) -> tuple[str, str]:
    """The statement that has the payment: its id, and its digest."""
    asked = (
        select(_F.id, _F.sha256)
        .join(LINES, _F.id == _L.file)
        .where(_F.channel == item.channel, _F.state.in_(COUNT), _L.transaction_no == item.transaction_no)
        .where(_L.order_no == item.order_no, _L.kind == Kind.PAY)
        .order_by(_F.id)
        .limit(1)
    )
    row = connection.execute(asked).one()
    return row.id, row.sha256


def _lines(item: Row[Any]) -> list[int]:
    found: list[int] = json.loads(item.lines)
    return found


def _at(text: str) -> datetime:
    return paid_at(datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text))

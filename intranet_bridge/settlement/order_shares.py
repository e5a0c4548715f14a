"""What matching statements has to know of payment orders: which share of the cash each line has."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select

from intranet_bridge.settlement.payments.orders import Line, Part, shared
from intranet_bridge.settlement.payments.rows import LINES, PARTS
from intranet_bridge.settlement.statements import sides
from intranet_bridge.settlement.statements.orders import NAME

_AT_ONCE = 500


def orders_to_match(connection: Connection, names: Iterable[str]) -> Callable[[str], sides.Order | None]:
    """Finds orders of ours for who compares statements, by what rows call them (statements/worker.py)."""
    numbers = sorted({found[1] if found[2] else name for name in names if (found := NAME.fullmatch(name))})
    return _Ahead(connection, numbers).order if numbers else lambda name: None


class _Ahead:
    """Reads some hundred orders at a time, as they come in the order of their numbers, and keeps no more."""

    def __init__(self, connection: Connection, numbers: Sequence[str]) -> None:
        self._connection, self._numbers = connection, numbers
        self._page: dict[str, tuple[list[Any], list[Part]] | None] = {}

    def order(self, name: str) -> sides.Order | None:
        """The order, or the lines of it that one payment of a combined one paid."""
        found = NAME.fullmatch(name)
        if found is None:
            return None
        if found[1] not in self._page:
            self._read(found[1])
        known = self._page.get(found[1])
        return _to_match(name, int(found[2] or 0), *known) if known is not None else None

    def _read(self, number: str) -> None:
        at = bisect_left(self._numbers, number)
        some = self._numbers[at : at + _AT_ONCE]
        self._page = dict.fromkeys(some)
        rows: dict[str, list[Any]] = {}
        asked = select(LINES).where(LINES.c.order_no.in_(some)).order_by(LINES.c.order_no, LINES.c.line)
        for row in self._connection.execute(asked):
            rows.setdefault(row.order_no, []).append(row)
        parts: dict[str, list[Part]] = {}
        if rows:
            paid = select(PARTS).where(PARTS.c.order_no.in_(list(rows))).order_by(PARTS.c.order_no, PARTS.c.part)
            for row in self._connection.execute(paid):
                parts.setdefault(row.order_no, []).append(Part(f"P{row.part}", row.funder, row.amount))
        self._page.update({name: (lines, parts.get(name, [])) for name, lines in rows.items()})


def _to_match(name: str, only: int, rows: Sequence[Any], parts: Sequence[Part]) -> sides.Order | None:
    """`only`: the line that a payment of a combined one is of; 0: all."""
    cash = {row.line: row.amount for row in rows}
    if parts:
        lines = [Line(row.line, row.company, row.account, row.amount) for row in rows]
        cash = {share.line: share.cash for share in shared(lines, parts)}
    first = next((line for line, amount in cash.items() if amount), 0)
    # what only coupons and points paid is written off under the first payment of a combined one
    wanted = [row for row in rows if not only or row.line == only or (only == first and not cash[row.line])]
    if only and only not in cash:
        return None
    return sides.Order(
        name,
        sum(cash[row.line] for row in wanted),
        tuple(
            sides.OrderLine(
                row.line, row.account, cash[row.line], row.amount,
            )
            for row in wanted
        ),
    )  # fmt: skip

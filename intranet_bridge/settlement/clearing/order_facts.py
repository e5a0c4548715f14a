"""The orders of ours as clearing needs them, read from the tables of payment orders and from the books."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Row, Table, select

from intranet_bridge.settlement.clearing.books import PAGE, known_keys
from intranet_bridge.settlement.clearing.counting import OrderFacts, OrderLine
from intranet_bridge.settlement.payments.orders import Line, Part, shared
from intranet_bridge.settlement.payments.rows import LINES, ORDERS, PARTS, TRANSACTIONS
from protocol.operations.orders import LineState

_GONE = frozenset({LineState.REFUNDING, LineState.REFUNDED})


def known_orders(connection: Connection, numbers: Collection[str]) -> Mapping[str, OrderFacts]:
    """Those of these numbers that there are."""
    found: dict[str, OrderFacts] = {}
    wanted = sorted(numbers)
    for at in range(0, len(wanted), PAGE):
        found |= _some(connection, wanted[at : at + PAGE])
    return found


def _some(connection: Connection, numbers: Collection[str]) -> dict[str, OrderFacts]:
    orders = connection.execute(select(ORDERS.c.number, ORDERS.c.honoured).where(ORDERS.c.number.in_(numbers))).all()
    if not orders:
        return {}
    names = [row.number for row in orders]
    lines = _by_order(connection, LINES, "line", names)
    parts = _by_order(connection, PARTS, "part", names)
    transactions = _by_order(connection, TRANSACTIONS, "payment", names)
    keys = known_keys(
        connection,
        {key for rows in lines.values() for row in rows for key in (*_written(row), _reversed(row))},
    )
    return {
        row.number: OrderFacts(
            row.number,
            _lines(lines.get(row.number, []), parts.get(row.number, []) if row.honoured else [], keys),
            _first(transactions.get(row.number, [])),
        )
        for row in orders
    }


def _by_order(connection: Connection, table: Table, order: str, numbers: Collection[str]) -> dict[str, list[Row[Any]]]:
    asked = select(table).where(table.c.order_no.in_(numbers)).order_by(table.c.order_no, table.c[order])
    found: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(asked):
        found.setdefault(row.order_no, []).append(row)
    return found


def _written(line: Row[Any]) -> tuple[str, str]:
    return f"written-off:{line.order_no}-{line.line}", f"credited:{line.order_no}-{line.line}"


def _reversed(line: Row[Any]) -> str:
    return f"reversed:{line.order_no}-{line.line}:all"


def _lines(lines: Collection[Row[Any]], parts: Collection[Row[Any]], keys: Collection[str]) -> tuple[OrderLine, ...]:
    of = [Line(row.line, row.company, row.account, row.amount) for row in lines]
    funders = [row.funder for row in parts]
    shares = shared(of, [Part(f"P{row.part}", row.funder, row.amount) for row in parts])
    return tuple(
        OrderLine(
            row.line,
            row.company,
            share.cash,
            tuple((funder, amount) for funder, amount in zip(funders, share.parts, strict=True) if amount),
            written=any(key in keys for key in _written(row)),
            reversed=_reversed(row) in keys,
            gone=row.state in _GONE,
        )
        for row, share in zip(lines, shares, strict=True)
    )


def _first(transactions: Collection[Row[Any]]) -> frozenset[str]:
    """Of the payment that is the order's: further ones are surplus."""
    first = min((row.payment for row in transactions), default=0)
    return frozenset(row.transaction_no for row in transactions if row.payment == first)

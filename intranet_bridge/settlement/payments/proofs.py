"""Refunds that statements prove: a channel that says nothing of a refund by itself, or whose word was lost, still has
it in its statement. And those that no statement proves are counted for, until a person must look.

This is the one way in which a statement proves a refund, whoever began it. A row that has its number, transaction and
amount proves it. So do rows by which all of its transaction went back, whatever they call it: what was refunded at the
channel's own desk has no number of ours, and of a payment that is gone whole nothing is left to refund (what seems to
be more is a person's). It is looked for when a refund is asked for (records.py, `Stored.add_refund`), when an item of a
statement is looked at (statements/orders.py), and now and then for all (looking.py). What a statement asks of an order
besides, such as to reverse what nobody asked us to refund, is decided in statements/orders.py, which proves nothing.
"""

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, distinct, func, select, update

from intranet_bridge.settlement.payments.evidence import RefundProof
from intranet_bridge.settlement.payments.rows import REFUNDS, TRANSACTIONS
from intranet_bridge.settlement.rows import FILES, LINES
from protocol.operations.orders import RefundState
from protocol.times import CHINA

ACCEPTED = ("accepted", "matched", "closed")
"""Of a file whose rows count (statements/life.py)."""
_PROVEN, _REFUND, _REVOKE = "proven", "refund", "revoke"
_R, _F, _L, _T = REFUNDS.c, FILES.c, LINES.c, TRANSACTIONS.c


def in_statements(connection: Connection, order: str = "", refund: str = "") -> list[tuple[str, RefundProof]]:
    """Refunds that are not proven, and that rows of accepted statements of their channel prove, with the channel; of
    one order, or one refund, or all.
    """
    columns = (_R.number, _R.channel, _R.transaction_no, _R.cash, _T.cash.label("brought"), _L.kind, _L.refund_no)
    statement = (
        select(*columns, _L.file, func.sum(_L.gross).label("gross"), func.max(_L.at).label("at"))
        .join(TRANSACTIONS, (_T.channel == _R.channel) & (_T.transaction_no == _R.transaction_no))
        .join(LINES, _L.transaction_no == _R.transaction_no)
        .join(FILES, (_F.id == _L.file) & (_F.channel == _R.channel))
        .where(_R.state != RefundState.PROVEN, _F.state.in_(ACCEPTED))
        .where(_L.kind.in_((_REFUND, _REVOKE)), _L.status == _PROVEN)
        .group_by(*columns, _L.file)
        .order_by(_R.number)
    )
    if order:
        statement = statement.where(_R.order_no == order)
    if refund:
        statement = statement.where(_R.number == refund)
    found = []
    for _, rows in groupby(connection.execute(statement), key=lambda row: str(row.number)):
        if proof := _proof(list(rows)):
            found.append(proof)
    return found


def _proof(rows: list[Any]) -> tuple[str, RefundProof] | None:
    """`rows`: of one refund, what each file has of each refund of its transaction."""
    one = rows[0]
    proving = [row for row in rows if (row.kind, row.refund_no, row.gross) == (_REFUND, one.number, one.cash)]
    if not proving and _gone(rows) == one.brought:
        proving = rows
    if not proving:
        return None
    return one.channel, RefundProof(one.number, one.transaction_no, one.cash, max(_at(row.at) for row in proving))


def _gone(rows: Iterable[Any]) -> int:
    """What went back of a transaction; a refund that two files have went back once."""
    by_refund: dict[tuple[str, str], int] = {}
    for row in rows:
        key = row.kind, row.refund_no
        by_refund[key] = max(by_refund.get(key, 0), int(row.gross))
    return sum(by_refund.values())


def counted(connection: Connection, now: int) -> int:
    """How many statements of its channel each refund that is not proven has seen since it was asked for. Returns how
    many refunds have seen one more.
    """
    days = (
        select(func.count(distinct(_F.day)))
        .where(_F.channel == _R.channel, _F.state.in_(ACCEPTED), _F.received_at > _R.requested_at)
        .scalar_subquery()
    )
    statement = update(REFUNDS).where(_R.state != RefundState.PROVEN, _R.statements < days)
    return connection.execute(statement.values(statements=days, updated_at=now)).rowcount


def _at(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=CHINA)

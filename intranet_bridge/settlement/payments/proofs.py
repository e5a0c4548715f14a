"""Refunds that statements prove: a channel that says nothing of a refund by itself, or whose word was lost, still has
it in its statement. And those that no statement proves are counted for, until a person must look.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, distinct, func, select, update

from intranet_bridge.settlement.payments import acting
from intranet_bridge.settlement.payments.acting import Acting
from intranet_bridge.settlement.payments.evidence import RefundProof
from intranet_bridge.settlement.payments.records import Stored
from intranet_bridge.settlement.payments.rows import REFUNDS
from intranet_bridge.settlement.rows import FILES, LINES
from protocol.operations.orders import Meant, RefundState
from protocol.times import CHINA

ACCEPTED = ("accepted", "matched", "closed")
"""Of a file whose rows count (statements/life.py)."""
_PROVEN, _REFUND = "proven", "refund"
_MOST = 200
_R, _F, _L = REFUNDS.c, FILES.c, LINES.c


def in_statements(connection: Connection) -> list[tuple[str, RefundProof]]:
    """Refunds that are not proven, and that a row of an accepted statement of their channel proves, with it."""
    statement = (
        select(_R.number, _R.channel, _L.transaction_no, _L.gross, _L.at)
        .join(LINES, _L.refund_no == _R.number)
        .join(FILES, (_F.id == _L.file) & (_F.channel == _R.channel))
        .where(_R.state != RefundState.PROVEN, _F.state.in_(ACCEPTED), _L.kind == _REFUND, _L.status == _PROVEN)
        .where(_L.transaction_no == _R.transaction_no, _L.gross == _R.cash)
        .order_by(_R.number)
        .limit(_MOST)
    )
    return [
        (row.channel, RefundProof(row.number, row.transaction_no, row.gross, _at(row.at)))
        for row in connection.execute(statement)
    ]


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


def taken(connection: Connection, now: int, acts: Callable[[Stored], Acting]) -> int:
    """Take what statements prove, then count. Returns how many refunds were proven."""
    proven = 0
    for channel, proof in in_statements(connection):
        meant, _ = acting.prove_refund(connection, channel, proof, now, acts)
        proven += meant is Meant.REFUND_PROVEN
    counted(connection, now)
    return proven


def _at(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=CHINA)

"""An extra batch: what waits for later days is sent today, because a person says so.

Lines go from the drafted batches of later days into today's, which is then due as any other (sealing.py): checked,
frozen, sealed once. Their numbers stay what their callers were told. Batches of earlier days are left: they are being
sealed, or cannot be, and their bills may be frozen under their name.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, case, select

from intranet_bridge.settlement.days import day_of
from intranet_bridge.settlement.withholding import records
from intranet_bridge.settlement.withholding.files import MOST_LINES
from intranet_bridge.settlement.withholding.life import BatchState, LineState, sealing_due, why_no_extra
from intranet_bridge.settlement.withholding.records import Arrangement, B, L
from intranet_bridge.settlement.withholding.rows import BATCHES, LINES
from protocol.errors import BridgeError
from protocol.values import immutable


@immutable
class Extra:
    """Today's batch, as it is going to be sealed."""

    batch: str
    lines: int
    moved: int
    """Of them, those that waited for a later day."""
    at: str
    """When it is sealed, in China; empty: now."""


def gather(connection: Connection, arrangement: Arrangement, now: int) -> Extra:
    """Put all lines that wait into today's batch, as many as it takes. Raises BridgeError that says why not: then
    nothing of the transaction may stay.
    """
    day = day_of(now)
    id = arrangement.batch(day)
    records.begin(connection, arrangement, day, now)
    today = records.batch_of(connection, id, lock=True)
    later = _later(connection, arrangement, day)
    if why := why_no_extra(BatchState(today.state), today.count + sum(one.count for one in later)):
        raise BridgeError(f"{arrangement.name}: {why}")
    moved = 0
    for batch in later:
        moved += _moved(connection, batch.id, id, day, MOST_LINES - today.count - moved, now)
    records.touched(connection, id, now, fewer=-moved)
    due = sealing_due(day, arrangement.seal_at, datetime.fromtimestamp(now / 1000, UTC))
    return Extra(id, today.count + moved, moved, "" if due else arrangement.section.seal_at)


def _later(connection: Connection, arrangement: Arrangement, day: date) -> Sequence[Any]:
    section = arrangement.section
    mine = B.name == arrangement.name, B.org == section.org, B.unit == section.unit
    wanted = select(BATCHES.c.id, B.count).where(*mine, B.day > day, B.state == BatchState.DRAFTED)
    return connection.execute(wanted.order_by(B.day).with_for_update()).all()


def _moved(connection: Connection, batch: str, to: str, day: date, room: int, now: int) -> int:
    """Lines of a batch whose day has not come: none of them is checked or frozen yet."""
    free = select(L.id).where(L.batch == batch, L.state == LineState.WAITING).order_by(L.id).limit(max(room, 0))
    # a retry keeps the day that its bill was first asked for: its next one is counted from there
    first = case((L.first_day > day, day), else_=L.first_day)
    going = LINES.update().where(L.id.in_(free)).values(batch=to, first_day=first, updated_at=now)
    count = connection.execute(going).rowcount
    if count:
        records.touched(connection, batch, now, fewer=count)
    return count

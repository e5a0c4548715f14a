"""An extra batch: what waits for later days is sent today, because a person says so.

Lines go from the drafted batches of later days into today's, which is then due as any other (sealing.py): checked,
frozen, sealed once. Their numbers stay what their callers were told. Batches of earlier days are left: they are being
sealed, or cannot be, and their bills may be frozen under their name.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, case, func, select

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


@immutable
class Foreseen:
    """What an extra batch would be now. Fen."""

    batch: str
    lines: int
    moved: int
    """Of them, those that wait for a later day."""
    total: int
    at: str
    """When it would be sealed, in China; empty: now."""
    why_not: str
    """Why there can be none; empty: there can."""

    @property
    def seen(self) -> str:
        """What of it a person saw: lines and fen."""
        return f"{self.lines}.{self.total}"


def foresee(connection: Connection, arrangement: Arrangement, now: int) -> Foreseen:
    """What `gather` would make; nothing is changed."""
    day = day_of(now)
    id = arrangement.batch(day)
    today = records.batch_of(connection, id)
    state, count = (BatchState(today.state), today.count) if today is not None else (BatchState.DRAFTED, 0)
    room, total = max(MOST_LINES - count, 0), _total(connection, id, count)
    moved = 0
    for batch in _later(connection, arrangement, day, lock=False):
        going = min(batch.count, room - moved)
        total += _total(connection, batch.id, going)
        moved += going
    due = sealing_due(day, arrangement.seal_at, datetime.fromtimestamp(now / 1000, UTC))
    at = "" if due else arrangement.section.seal_at
    return Foreseen(id, count + moved, moved, total, at, why_no_extra(state, count + moved))


def _total(connection: Connection, batch: str, count: int) -> int:
    """Fen of the first so many lines that wait in a batch."""
    if count <= 0:
        return 0
    first = select((L.amount + L.penalty).label("fen")).where(L.batch == batch, L.state == LineState.WAITING)
    of = first.order_by(L.id).limit(count).subquery()
    return int(connection.execute(select(func.coalesce(func.sum(of.c.fen), 0))).scalar_one())


def gather(connection: Connection, arrangement: Arrangement, now: int) -> Extra:
    """Put all lines that wait into today's batch, as many as it takes. Raises BridgeError that says why not: then
    nothing of the transaction may stay.
    """
    day = day_of(now)
    id = arrangement.batch(day)
    records.begin(connection, arrangement, day, now)
    today = records.batch_of(connection, id, lock=True)
    later = _later(connection, arrangement, day, lock=True)
    if why := why_no_extra(BatchState(today.state), today.count + sum(one.count for one in later)):
        raise BridgeError(f"{arrangement.name}: {why}")
    moved = 0
    for batch in later:
        moved += _moved(connection, batch.id, id, day, MOST_LINES - today.count - moved, now)
    records.touched(connection, id, now, fewer=-moved)
    due = sealing_due(day, arrangement.seal_at, datetime.fromtimestamp(now / 1000, UTC))
    return Extra(id, today.count + moved, moved, "" if due else arrangement.section.seal_at)


def _later(connection: Connection, arrangement: Arrangement, day: date, *, lock: bool) -> Sequence[Any]:
    section = arrangement.section
    mine = B.name == arrangement.name, B.org == section.org, B.unit == section.unit
    wanted = select(BATCHES.c.id, B.count).where(*mine, B.day > day, B.state == BatchState.DRAFTED)
    wanted = wanted.order_by(B.day)
    return connection.execute(wanted.with_for_update() if lock else wanted).all()


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

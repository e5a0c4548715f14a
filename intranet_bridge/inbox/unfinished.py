"""A bridge's unfinished rows, read a page at a time, by indexes that hold these rows alone."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select, text

from intranet_bridge.inbox.ordering import OWN_KEY, QueuedCommand
from intranet_bridge.inbox.rows import INBOX, UNFINISHED
from protocol.lifecycle import State

_C = INBOX.c
QUEUED = (_C.id, _C.operation, _C.subject, _C.state, _C.attempts, _C.after, _C.crashes)
"""What `queued` makes a command of."""
_EARLIER = INBOX.alias("earlier")
_BEFORE = (
    select(_EARLIER.c.id)
    .where(_EARLIER.c.owner == _C.owner, _EARLIER.c.subject == _C.subject, _EARLIER.c.sequence < _C.sequence)
    .where(text(f"earlier.{UNFINISHED}"))
    .order_by(_EARLIER.c.sequence.desc())
    .limit(1)
    .correlate(INBOX)
    .scalar_subquery()
)
"""Of a row that names no predecessor (wire version 1, the bridge's own): the unfinished one of its key that was
recorded last before it."""
_ANY_OPERATION = _C.operation > ""
"""True of every row, and makes SQLite count in the index of these rows, not in that of all rows by their state."""
_OPERATION = (
    select(_C.operation)
    .where(text(f"inbox.{UNFINISHED}"), _C.owner == bindparam("owner"), _C.operation > bindparam("last"))
    .order_by(_C.operation)
    .limit(1)
)


def queued(row: Any) -> QueuedCommand:
    """A row that was found, for the ordering."""
    state, crashes = State(row.state), row.crashes
    return QueuedCommand(
        row.id, row.operation, row.subject, state, row.attempts, recovered=True, crashes=crashes, after=row.after
    )


def _rows(owner: str) -> Select[Any]:
    """What an operator has decided is begun with by `CommandWorkers.act_on_decisions`."""
    columns: list[ColumnElement[Any]] = [column for column in QUEUED if column is not _C.after]
    after = func.coalesce(_C.after, _BEFORE, "").label("after")
    ours = text(f"inbox.{UNFINISHED}"), _C.owner == owner, _C.decided_at.is_(None)
    return select(*columns, after, _C.sequence).where(*ours)


def page(
    connection: Connection, owner: str, operation: str, after: int, most: int
) -> tuple[list[QueuedCommand], int | None]:
    """Rows of an operation that were recorded later than the one of sequence `after`, in the order of their recording;
    and the sequence of the last, None if that was all.
    """
    rows, is_all = earliest(connection, _rows(owner).where(_C.operation == operation, _C.sequence > after), most)
    return [queued(row) for row in rows], None if is_all else rows[-1].sequence


def earliest(connection: Connection, rows: Select[Any], most: int) -> tuple[Sequence[Any], bool]:
    """The rows of the lowest sequences, and whether that is all of them.

    What was adopted may have sequences of our own rows: those of one sequence are not parted, or who reads on from it
    would pass over the others. To sort by the id too would make PostgreSQL read all that there is of a new table.
    """
    found = connection.execute(rows.order_by(_C.sequence).limit(most + 1)).all()
    if len(found) <= most:
        return found, True
    whole = [row for row in found if row.sequence != found[-1].sequence]
    return (whole, False) if whole else earliest(connection, rows, 2 * most)


def of(connection: Connection, owner: str, ids: Sequence[str]) -> list[QueuedCommand]:
    """Those of some ids, in the order of their recording."""
    return [queued(row) for row in connection.execute(_rows(owner).where(_C.id.in_(ids)).order_by(_C.sequence))]


def operations(connection: Connection, owner: str) -> list[str]:
    """Which operations there are rows of, by one look into the index for each."""
    found = [""]
    while (operation := connection.execute(_OPERATION, {"owner": owner, "last": found[-1]}).scalar()) is not None:
        found.append(operation)
    return found[1:]


def count(connection: Connection, owner: str) -> tuple[int, int]:
    """How many there are, and how many of them no front gave."""
    every = select(func.count()).where(text(f"inbox.{UNFINISHED}"), _C.owner == owner, _ANY_OPERATION)
    every = every.select_from(INBOX)
    own = every.where(_C.subject >= OWN_KEY, _C.subject.startswith(OWN_KEY, autoescape=True))
    return connection.execute(every).scalar_one(), connection.execute(own).scalar_one()


def latest(connection: Connection, owner: str) -> int:
    """The highest sequence; 0: there is no row."""
    last = select(_C.sequence).where(text(f"inbox.{UNFINISHED}"), _C.owner == owner).order_by(_C.sequence.desc())
    each = (last.where(_C.operation == operation).limit(1) for operation in operations(connection, owner))
    return max((connection.execute(one).scalar() or 0 for one in each), default=0)


def oldest(connection: Connection, owner: str, paused: Collection[str]) -> int:
    """When the first row of them came, of operations that are not `paused`; epoch ms, 0: there is none."""
    first = select(_C.received_at).where(text(f"inbox.{UNFINISHED}"), _C.owner == owner).order_by(_C.sequence)
    each = (
        first.where(_C.operation == operation).limit(1)
        for operation in operations(connection, owner)
        if operation not in paused
    )
    return min((connection.execute(one).scalar() or 0 for one in each), default=0)

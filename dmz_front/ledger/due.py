"""Which commands of the ledger are to be sent (again), and which is the oldest without an outcome: by looks into an
index, however many wait.

A backlog is of few operations, each sent so many times. Within such a group the rows lie in the index by when they
were sent, so those that are due stand at its beginning, and one look tells that none is::

    requests_open   front ─ state ─ operation ─ sends ─ sent_at ─ id
                    ╰────────── a group ─────────────╯  ╰─ its order ─╯
"""

from collections.abc import Collection, Iterator, Sequence
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, bindparam, select, text, tuple_

from dmz_front.ledger.rows import OPEN, REQUESTS, WAITING, entry_of
from protocol.lifecycle import State
from protocol.runtime.outbox import Entry

_C = REQUESTS.c
_PAGE = 500
"""Rows of a group that are read at once: of each group there may be so many that are not needed."""
_GROUP = (
    select(_C.operation, _C.sends)
    .where(text(OPEN), _C.front == bindparam("front"), _C.state == bindparam("state"))
    .where(tuple_(_C.operation, _C.sends) > tuple_(bindparam("operation"), bindparam("sends")))
    .order_by(_C.operation, _C.sends)
    .limit(1)
)
_OLDEST = (
    select(_C.operation, _C.accepted_at)
    .where(text(WAITING), _C.operation > bindparam("last"))
    .order_by(_C.operation, _C.id)  # ids begin with the time
    .limit(1)
)
"""Of the next operation. Not a look for the operation first: of one that is given, a PostgreSQL server may take the
index of ids, and go through what is final."""


def due(
    connection: Connection,
    *,
    front: str,
    now: int,
    resend_after_ms: int,
    limit: int,
    paused: Collection[str],
    may: Sequence[ColumnElement[bool]],
) -> list[Entry]:
    """See `Ledger.due`; `may`: what is true of every row that may be sent."""
    waiting: list[Iterator[Any]] = []
    for operation, sends in _groups(connection, front, State.ACCEPTED):
        if operation not in paused:
            group = (*_group(front, State.ACCEPTED, operation, sends), _C.sent_at.is_(None))
            waiting.append(_pages(connection, _C.accepted_at, (_C.id,), [*group, *may]))
    for operation, sends in _groups(connection, front, State.SENT):
        if operation not in paused:
            group = _group(front, State.SENT, operation, sends)
            long_ago = _C.sent_at < now - resend_after_ms * max(1, sends * sends)
            for waited in (long_ago, _C.sent_at > now + resend_after_ms):
                waiting.append(_pages(connection, _C.sent_at, (_C.sent_at, _C.id), [*group, waited, *may]))
    return [entry_of(row) for row in islice(merge(*waiting, key=attrgetter("since", "id")), limit)]


def oldest_waiting(connection: Connection, paused: Collection[str]) -> int:
    """When the oldest command without an outcome was accepted, of operations that are not `paused`; 0: none."""
    oldest: list[int] = []
    operation = ""
    while (found := connection.execute(_OLDEST, {"last": operation}).first()) is not None:
        operation, accepted_at = found
        if operation not in paused:
            oldest.append(accepted_at)
    return min(oldest, default=0)


def _groups(connection: Connection, front: str, state: State) -> Iterator[tuple[str, int]]:
    """Operation and number of sendings of what there is, by one look into the index for each."""
    operation, sends = "", -1
    while True:
        last = {"front": front, "state": state, "operation": operation, "sends": sends}
        found = connection.execute(_GROUP, last).first()
        if found is None:
            return
        operation, sends = found
        yield operation, sends


def _group(front: str, state: State, operation: str, sends: int) -> tuple[ColumnElement[bool], ...]:
    return text(OPEN), _C.front == front, _C.state == state, _C.operation == operation, _C.sends == sends  # type: ignore[return-value]


def _pages(
    connection: Connection,
    since: Column[Any],
    key: tuple[Column[Any], ...],
    conditions: Sequence[ColumnElement[bool]],
) -> Iterator[Any]:
    """Rows of a group in its order, each with the time since when it waits; read as far as they are asked for. `key`:
    what is different of them, and ascends.
    """
    page = select(_C.id, _C.destination, _C.envelope, _C.sent_at, since.label("since")).where(*conditions)
    page = page.order_by(_C.sent_at, _C.id).limit(_PAGE)
    rows = connection.execute(page).all()
    while rows:
        yield from rows
        if len(rows) < _PAGE:
            return
        last = [getattr(rows[-1], column.name) for column in key]
        rows = connection.execute(page.where(tuple_(*key) > tuple_(*last))).all()

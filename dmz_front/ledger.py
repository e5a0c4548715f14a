"""The front's book of commands: a row is committed before its caller hears 200 or 202.

A row holds the request sealed for the bridge and, in the end, the reply sealed for the fronts, exactly as they
travel: whoever reads this database reads no customer's data. Idempotency keys and bodies are kept as keyed
hashes.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    bindparam,
    cast,
    func,
    select,
    text,
)
from sqlalchemy import Row as SqlRow
from sqlalchemy.sql.selectable import TableValuedAlias

from protocol.envelope import MAX_AGE_MS
from protocol.lifecycle import FINAL, State, told
from protocol.messages import LOWEST_VERSION
from protocol.runtime.applications import METADATA as APPLICATIONS_METADATA
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.lease import instances
from protocol.runtime.logs import logger
from protocol.runtime.outbox import Entry
from protocol.runtime.store import Store, insert_new
from protocol.runtime.suspects import suspects_table

log = logger(__name__)

METADATA: MetaData = APPLICATIONS_METADATA
"""The front's tables live in one database with the applications' keys."""

INSTANCES = instances(METADATA)

_IN_ORDER = "subject <> '' AND state IN ('accepted', 'sent')"
"""Rows a later one of the same subject comes after: what is final or held keeps nobody waiting. As text, because a
partial index is used only by a query that says the same."""

REQUESTS = Table(
    "requests",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("front", String(64), nullable=False),
    Column("application", String(64), nullable=False),
    Column("idempotency_key", String(64), nullable=False),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("operation", String(64), nullable=False),
    Column("destination", String(160), nullable=False),
    Column("state", String(16), nullable=False),
    Column("code", String(64), nullable=False, default=""),
    Column("envelope", LargeBinary, nullable=False),
    Column("reply", LargeBinary),
    Column("accepted_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("sends", Integer, nullable=False, default=0),
    Column("subject", String(64), nullable=False, default="", server_default=text("''")),
    Column("position", Integer, nullable=False, default=0, server_default="0"),
    Index("requests_idempotency", "application", "idempotency_key", unique=True),
    Index("requests_state", "state", "sent_at"),
    Index("requests_order", "subject", "position", sqlite_where=text(_IN_ORDER), postgresql_where=text(_IN_ORDER)),
)

SUSPECTS = suspects_table(METADATA)

_SENT = (
    REQUESTS.update()
    .where(REQUESTS.c.id == bindparam("of"), (REQUESTS.c.state == State.ACCEPTED) | (REQUESTS.c.state == State.SENT))
    .values(state=State.SENT, sent_at=bindparam("now"), updated_at=bindparam("now"), sends=REQUESTS.c.sends + 1)
)
_TOLD = (
    REQUESTS.update()
    .where(REQUESTS.c.id == bindparam("of"))
    .values(
        state=bindparam("to"),
        code=bindparam("because"),
        reply=bindparam("sealed"),
        updated_at=bindparam("now"),
    )
)


UNDELIVERED_MS = MAX_AGE_MS - 3_600_000
"""A command is sent for so long after its acceptance: up to an hour before its envelope is too old to be opened."""


@dataclass(frozen=True, slots=True)
class Row:
    """A command as the ledger holds it."""

    id: str
    front: str
    application: str
    idempotency_key: str
    """Keyed hash of the caller's Idempotency-Key."""
    fingerprint: bytes = field(repr=False)
    """Keyed hash of operation and body: the same key with another one is a mistake of the caller's."""
    operation: str = ""
    destination: str = ""
    state: State = State.ACCEPTED
    code: str = ""
    envelope: bytes = field(default=b"", repr=False)
    reply: bytes | None = field(default=None, repr=False)
    accepted_at: int = 0
    updated_at: int = 0
    expires_at: int = 0
    subject: str = ""
    """Pseudonym of the ordering key, or empty: no order."""
    position: int = 0
    """Grows along the unfinished rows of a subject."""

    def entry(self) -> Entry:
        """What the outbox has to send for this row."""
        # Without its expiry: what the broker drops, the bridge never sees, and nobody tells the front that it expired
        return Entry(self.id, self.destination, self.envelope)


Seal = Callable[[str], bytes]
"""Makes a row's envelope from the id of its predecessor, or an empty one. May be called more than once."""


@dataclass(frozen=True, slots=True)
class News:
    """What a reply says of a command."""

    id: str
    state: State
    code: str
    sealed: bytes = field(repr=False)


_OPEN = sorted(State(state) for state in (State.ACCEPTED, State.SENT, State.HELD))
"""The ledger's states that are not final."""
_NAMES = tuple(Row.__dataclass_fields__)
_COLUMNS = [REQUESTS.c[name] for name in _NAMES]


def _row(found: SqlRow[Any]) -> Row:
    values = dict(found._mapping)
    return Row(**values | {"state": State(values["state"])})


def _same_key(row: Row) -> Select[Any]:
    return select(*_COLUMNS).where(
        REQUESTS.c.application == row.application, REQUESTS.c.idempotency_key == row.idempotency_key
    )


_Asked = tuple[Row, Seal | None]


def _accept(connection: Connection, asked: Sequence[_Asked]) -> Sequence[Row]:
    """Rows of one subject go in one after another, each sealed with the one before it as its predecessor."""
    last = _last(connection, sorted({row.subject for row, _ in asked if row.subject}))
    held: dict[str, Row] = {}
    left = asked
    while left:
        turn, left = _turn(left)
        rows = [_placed(row, seal, last.get(row.subject)) for row, seal in turn]
        rows.sort(key=lambda row: (row.application, row.idempotency_key))  # the same at every front
        new = insert_new(connection, REQUESTS, [{name: getattr(row, name) for name in _NAMES} for row in rows])
        for row in rows:
            if row.id in new:
                held[row.id] = row
                if row.subject:
                    last[row.subject] = row.id, row.position
            else:
                held[row.id] = _row(connection.execute(_same_key(row)).one())
    reach(Point.FRONT_ACCEPT_UNCOMMITTED)
    return [held[row.id] for row, _ in asked]


def _turn(asked: Sequence[_Asked]) -> tuple[Sequence[_Asked], Sequence[_Asked]]:
    """The first row of each subject, and the others: which of them become rows is known only when the first has."""
    turn: list[_Asked] = []
    left: list[_Asked] = []
    subjects: set[str] = set()
    for row, seal in asked:
        (left if row.subject in subjects else turn).append((row, seal))
        if row.subject:
            subjects.add(row.subject)
    return turn, left


def _placed(row: Row, seal: Seal | None, last: tuple[str, int] | None) -> Row:
    after, position = last or ("", 0)
    if seal is None and not row.subject:
        return row
    return replace(row, envelope=row.envelope if seal is None else seal(after), position=position + 1)


def _last(connection: Connection, subjects: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Id and position of the last row in order of each subject that has one."""
    if not subjects:
        return {}
    given = {"subjects": json.dumps(subjects)}
    dialect = connection.dialect.name
    if dialect == "postgresql":
        # Two fronts that accept for one subject at once would both name the same predecessor, and the next row
        # only one of the two. The lock lasts until the commit; the sorted order keeps fronts from a deadlock.
        connection.execute(_LOCK, given)
    return {row.subject: (row.id, row.position) for row in connection.execute(_LAST[dialect], given)}


def _last_of(wanted: TableValuedAlias) -> Select[Any]:
    last = (
        select(REQUESTS.c.id)
        .where(REQUESTS.c.subject == wanted.c.value, text(_IN_ORDER))
        .order_by(REQUESTS.c.position.desc())
        .limit(1)
        .correlate(wanted)
        .scalar_subquery()
    )
    return select(REQUESTS.c.subject, REQUESTS.c.id, REQUESTS.c.position).where(
        REQUESTS.c.id.in_(select(last).select_from(wanted))
    )


_SUBJECTS = bindparam("subjects", type_=String)
_LAST = {
    # one search of the index for each subject, in one statement
    "sqlite": _last_of(func.json_each(_SUBJECTS).table_valued("value", name="wanted")),
    "postgresql": _last_of(func.json_array_elements_text(cast(_SUBJECTS, JSON)).table_valued("value", name="wanted")),
}
_LOCK = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(value, 61616))"
    " FROM json_array_elements_text(CAST(:subjects AS JSON))"
)


class Ledger:
    """The `requests` table."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.backlog = 0
        """Commands of this front that are not final, as it counts them itself."""

    async def count_backlog(self, front: str) -> None:
        """Count what this front accepted or adopted, held rows included, for they become final one day too.

        Done now and then: another front may have been told an outcome of ours, or adopted by us.
        """
        statement = select(func.count()).where(REQUESTS.c.front == front, REQUESTS.c.state.in_(_OPEN))
        before = self.backlog
        count = await self._store.read(lambda connection: connection.execute(statement).scalar_one())
        self.backlog = max(0, count + self.backlog - before)

    async def wire_version(self) -> int:
        """Of the youngest envelope, whose first byte says it; the lowest there is if there is none."""
        statement = select(REQUESTS.c.envelope).order_by(REQUESTS.c.id.desc()).limit(1)  # ids begin with the time
        found = await self._store.read(lambda connection: connection.execute(statement).scalar())
        return int(found[0]) if found else LOWEST_VERSION

    async def fronts(self) -> list[str]:
        """Whose rows are not final."""
        statement = select(REQUESTS.c.front).where(REQUESTS.c.state.in_(_OPEN)).distinct()
        return await self._store.read(lambda connection: list(connection.execute(statement).scalars()))

    def adopt(self, connection: Connection, fronts: Sequence[str], me: str) -> int:
        """Make ours what dead fronts accepted and is not final; returns how many rows."""
        theirs = REQUESTS.c.front.in_(fronts) & REQUESTS.c.state.in_(_OPEN)
        count = connection.execute(REQUESTS.update().where(theirs).values(front=me)).rowcount
        if count:
            log.warning("rows-adopted", count=count, of=fronts, front=me)
        return count

    async def accept(self, row: Row, seal: Seal | None = None) -> Row:
        """Commit a new row and return it with its envelope, or the row that has its idempotency key already.

        Without `seal` the row has its envelope already. `seal` is told the row's predecessor: the unfinished row of
        the same subject accepted last, by whichever front of this database. So whoever heard of one acceptance
        before it asked for the next has them in order.
        """
        (held,) = await self._store.gather(_accept, [(row, seal)])
        if held.id == row.id:  # not `is`: a commit that failed after it was done is done again, and finds its own row
            self.backlog += 1
        return held

    async def known(self, row: Row) -> Row | None:
        """The row that has the idempotency key of `row` already."""
        found = await self._store.read(lambda connection: connection.execute(_same_key(row)).first())
        return None if found is None else _row(found)

    async def find(self, id: str, application: str) -> Row | None:
        """One application's row."""
        statement = select(*_COLUMNS).where(REQUESTS.c.id == id, REQUESTS.c.application == application)
        found = await self._store.read(lambda connection: connection.execute(statement).first())
        return None if found is None else _row(found)

    async def sent(self, ids: Sequence[str]) -> None:
        """The broker has these on its disk."""
        now = self._clock()
        rows = ({"of": id, "now": now} for id in sorted(ids))
        await self._store.execute(_SENT, *rows, point=Point.FRONT_SENT_UNCOMMITTED)

    async def told(self, news: Sequence[News]) -> int:
        """Write what replies say; final rows never change. Returns how many rows became final."""
        finished = sum(await self._store.gather(self._tell, news))
        self.backlog = max(0, self.backlog - finished)
        return finished

    def _tell(self, connection: Connection, news: Sequence[News]) -> Sequence[bool]:
        ids = [item.id for item in news]
        # Locked, in one order for all: another front may be told of the same command at this moment
        rows = connection.execute(
            select(REQUESTS.c.id, REQUESTS.c.state)
            .where(REQUESTS.c.id.in_(ids))
            .order_by(REQUESTS.c.id)
            .with_for_update()
        )
        states = {row.id: State(row.state) for row in rows}
        now = self._clock()
        changes: list[dict[str, Any]] = []
        finished: list[bool] = []
        for item in news:
            state = states.get(item.id)
            to = None if state is None else told(state, item.state)
            finished.append(to in FINAL)
            if to is not None:
                states[item.id] = to
                changes.append({"of": item.id, "to": to, "because": item.code, "sealed": item.sealed, "now": now})
        if changes:
            connection.execute(_TOLD, changes)
            reach(Point.FRONT_TOLD_UNCOMMITTED)
        return finished

    async def due(self, front: str, resend_after_ms: int, limit: int) -> list[Entry]:
        """Rows of this front to be sent: never receipted, or receipted long ago and still unanswered.

        Each further sending waits longer (1, 4, 9 … times `resend_after_ms`): a backlog that waits for a
        marketing system must not become a flood. What was sent in the future, before the clock was put back, has
        waited long enough.
        """
        now, sent_at, sends = self._clock(), REQUESTS.c.sent_at, REQUESTS.c.sends
        never = REQUESTS.c.state == State.ACCEPTED
        long_ago = (sent_at < now - resend_after_ms) & (sent_at + resend_after_ms * sends * sends < now)
        waited = (REQUESTS.c.state == State.SENT) & (long_ago | (sent_at > now + resend_after_ms))
        young = REQUESTS.c.accepted_at > now - UNDELIVERED_MS
        statement = (
            select(*_COLUMNS)
            .where(REQUESTS.c.front == front, young, never | waited)
            .order_by(REQUESTS.c.id)
            .limit(limit)
        )
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        return [_row(row).entry() for row in rows]

    async def hold_undelivered(self, front: str) -> int:
        """Name unknown what was not answered in UNDELIVERED_MS: a bridge would refuse it as stale now, and it
        may have been done long ago, so only an operator can tell. Returns how many rows that were.
        """
        now = self._clock()
        statement = (
            REQUESTS.update()
            .where(REQUESTS.c.front == front, REQUESTS.c.accepted_at <= now - UNDELIVERED_MS)
            .where(REQUESTS.c.state.in_([State.ACCEPTED, State.SENT]))
            .values(state=State.HELD, code="undelivered", updated_at=now)
        )

        def hold(connection: Connection) -> int:
            held = connection.execute(statement).rowcount
            if held:
                reach(Point.FRONT_HOLD_UNCOMMITTED)
            return held

        return await self._store.write(hold)

    async def forget(self, before_ms: int) -> int:
        """Delete final rows not touched since `before_ms`."""
        statement = REQUESTS.delete().where(REQUESTS.c.state.in_(sorted(FINAL)), REQUESTS.c.updated_at < before_ms)
        return await self._store.write(lambda connection: connection.execute(statement).rowcount)

    async def counts(self) -> dict[str, int]:
        """Rows by state."""
        statement = select(REQUESTS.c.state, func.count()).group_by(REQUESTS.c.state)
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        return dict(rows)

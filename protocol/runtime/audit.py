"""The audit log of a daemon: a hash-chained table in its own database (the records: protocol/audit.py).

What was accepted is written in the transaction that accepts it, a record for up to 20 commands: it costs no commit of
its own, and there is no command without its record. Administrative acts go through `Audit.act`, which also logs them.
Records older than `[audit] retention_days` are deleted; an anchor keeps the hash the oldest one left refers to.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import AfterValidator, Field
from sqlalchemy import BigInteger, Column, Connection, Index, MetaData, String, Table, Text, select
from sqlalchemy.exc import SQLAlchemyError

from protocol.audit import ACCEPTED, ACT, GENESIS, PRUNED, WITNESSED, Head, Stored, following
from protocol.errors import BridgeError
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.settings import Section
from protocol.runtime.store import Store, Work
from protocol.runtime.syslog import SyslogForward, Target

log = logger(__name__)

T = TypeVar("T")

_DAY_MS = 86_400_000
_PATIENCE_S = 5.0
"""For an act to be written: what mends a locked database must not wait for it."""
_A_RECORD = 20
"""So many accepted commands are in one record: it fits a datagram of syslog."""


class AuditSection(Section):
    """What becomes of the audit log."""

    retention_days: Annotated[float, Field(ge=1, le=3650)] = 200.0
    """How long records are kept: laws often ask for six months."""
    syslog: Annotated[str, AfterValidator(lambda text: text and str(Target.parsed(text)))] = ""
    """Where each record is sent too, as RFC 5424: `udp://HOST:PORT`, `tcp://HOST:PORT` or `unix:/dev/log`."""


@dataclass(frozen=True, slots=True)
class AuditTables:
    """The two tables of a database."""

    records: Table
    chains: Table


def audit_tables(metadata: MetaData) -> AuditTables:
    """Of a database."""
    records = Table(
        "audit",
        metadata,
        Column("chain", String(64), primary_key=True),
        Column("sequence", BigInteger, primary_key=True, autoincrement=False),
        Column("at", BigInteger, nullable=False),
        Column("event", String(40), nullable=False),
        Column("record", Text, nullable=False),  # its canonical text, of which `hash` is
        Column("hash", String(64), nullable=False),
        Index("audit_at", "at"),
    )
    chains = Table(
        "audit_chains",
        metadata,
        Column("chain", String(64), primary_key=True),
        Column("sequence", BigInteger, nullable=False),  # of the last record that was deleted; 0: none was
        Column("hash", String(64), nullable=False),  # of that
        Column("forwarded", BigInteger),  # the last record that the syslog server was sent
    )
    return AuditTables(records, chains)


def head_of(connection: Connection, tables: AuditTables, chain: str) -> Head:
    """The newest record of a chain; the anchor, or the beginning, if there is none."""
    dialect = connection.dialect.name
    row = connection.exec_driver_sql(_NEWEST[dialect], (chain,)).first()
    return anchor_of(connection, tables, chain) if row is None else Head(chain, row[0], row[1])


def anchor_of(connection: Connection, tables: AuditTables, chain: str) -> Head:
    """The last record that was pruned, or the chain's beginning."""
    row = connection.execute(select(tables.chains).where(tables.chains.c.chain == chain)).first()
    return Head(chain, 0, GENESIS) if row is None else Head(chain, row.sequence, row.hash)


def append(
    connection: Connection, tables: AuditTables, chain: str, at: int, event: str, *details: Mapping[str, Any]
) -> None:
    """Add records, in the caller's transaction."""
    append_after(head_of(connection, tables, chain), connection, at, event, *details)


def append_after(head: Head, connection: Connection, at: int, event: str, *details: Mapping[str, Any]) -> Head:
    """Add records after the newest one of their chain, in the caller's transaction; returns the new head."""
    values = []
    for each in details:
        record = following(head, at, event, each)
        values.append((record.chain, record.sequence, record.at, record.event, record.text, record.hash))
        head = record.head
    connection.exec_driver_sql(_INSERT[connection.dialect.name], values if len(values) > 1 else values[0])
    return head


# As text: on the way of each accepted command, where composing a statement would cost several times its execution
_NEWEST = {
    "sqlite": "SELECT sequence, hash FROM audit WHERE chain = ? ORDER BY sequence DESC LIMIT 1",
    "postgresql": "SELECT sequence, hash FROM audit WHERE chain = $1 ORDER BY sequence DESC LIMIT 1",
}
_INSERT = {
    "sqlite": "INSERT INTO audit (chain, sequence, at, event, record, hash) VALUES (?, ?, ?, ?, ?, ?)",
    "postgresql": "INSERT INTO audit (chain, sequence, at, event, record, hash) VALUES ($1, $2, $3, $4, $5, $6)",
}


def chains_of(connection: Connection, tables: AuditTables) -> list[str]:
    """Their names."""
    found = select(tables.records.c.chain).union(select(tables.chains.c.chain))
    return sorted(connection.execute(found).scalars())


def records_of(connection: Connection, tables: AuditTables, chain: str, after: int, limit: int) -> list[Stored]:
    """The next records of a chain after number `after`."""
    c = tables.records.c
    statement = select(tables.records).where(c.chain == chain, c.sequence > after).order_by(c.sequence).limit(limit)
    return [
        Stored(row.chain, row.sequence, row.at, row.event, row.record, row.hash)
        for row in connection.execute(statement)
    ]


class Act(Protocol):
    """Writes down an administrative act."""

    def __call__(self, act: str, by: str, /, **details: Any) -> Awaitable[None]:
        """`details`: identifiers and counts, nothing of a customer."""
        ...


class Transact(Protocol):
    """Does what somebody decides and writes the act down, in one transaction."""

    def __call__(self, work: Work[T], act: str, by: str, details: Callable[[T], Mapping[str, Any]], /) -> Awaitable[T]:
        """`details`: of what `work` gave; identifiers and counts, nothing of a customer. Raises as Store.write."""
        ...


async def logged(act: str, by: str, /, **details: Any) -> None:
    """An administrative act, into the log alone."""
    log.warning("administrative-act", act=act, by=by, details=json.dumps(details, ensure_ascii=False))


class Audit:
    """One daemon's chain."""

    def __init__(self, store: Store, tables: AuditTables, chain: str, clock: Clock) -> None:
        self._store, self._tables, self._chain, self._clock = store, tables, chain, clock
        self._said_on = ""
        self._witnessed: dict[str, int] = {}
        self._newest: Head | None = None
        """After the writer's last transaction, or within the one that is open; None: it is to be read."""
        self._rollbacks = 0
        """Of the store, as `_newest` was kept: after another one it may be a record that is not there."""
        self.head = Head(chain)
        """As of the last `look`."""

    def append_in(self, connection: Connection, event: str, *details: Mapping[str, Any]) -> Head:
        """Add records in somebody else's writing transaction of the store; returns the chain's head after them.

        The head is kept from one to the next: nobody else writes this chain while the instance holds its lease, and
        whoever did all the same has taken the next number, so that the insert fails and is done again with what is
        there.
        """
        store = self._store
        head = self._newest if self._rollbacks == store.rollbacks else None
        if head is None:
            head = head_of(connection, self._tables, self._chain)
        head = append_after(head, connection, self._clock(), event, *details)
        # what is written within a savepoint may be undone though the transaction is committed
        self._newest = None if connection.in_nested_transaction() else head
        self._rollbacks = store.rollbacks
        return head

    def accepted_in(self, connection: Connection, commands: Sequence[tuple[str, str, str]]) -> None:
        """Commands are accepted in this transaction: request id, operation and application of each."""
        if commands:
            parts = (commands[at : at + _A_RECORD] for at in range(0, len(commands), _A_RECORD))
            self.append_in(connection, ACCEPTED, *({"commands": part} for part in parts))

    async def write(self, event: str, details: Mapping[str, Any]) -> None:
        """Add a record. Raises SQLAlchemyError, Fenced."""
        await self._store.gather(self._append_all, [(event, details)], patience_s=_PATIENCE_S)

    def _append_all(self, connection: Connection, records: Sequence[tuple[str, Mapping[str, Any]]]) -> Sequence[None]:
        for event, details in records:
            self.append_in(connection, event, details)
        return [None] * len(records)

    async def act(self, act: str, by: str, /, **details: Any) -> None:
        """Write down, and log, what an administrator does. A database that cannot be written is logged, and stops
        nobody from mending it.
        """
        await logged(act, by, **details)
        try:
            await self.write(ACT, {"act": act, "by": by, **details})
        except (SQLAlchemyError, BridgeError) as error:
            log.error("audit-not-written", act=act, by=by, error=type(error).__name__)

    async def transact(self, work: Work[T], act: str, by: str, details: Callable[[T], Mapping[str, Any]], /) -> T:
        """Do `work`, and write down that somebody did it, in one transaction: whenever the process dies, neither is
        there without the other. Raises what Store.write raises.

        `work` is done once: if a commit was done and seemed to fail, its record is there, and tells it.
        """
        before: list[tuple[Head, T, Mapping[str, Any]]] = []

        def both(connection: Connection) -> tuple[T, Mapping[str, Any]]:
            for head, result, said in before:
                if self._has(connection, head):
                    return result, said
            result = work(connection)
            said = details(result)
            before.append((self.append_in(connection, ACT, {"act": act, "by": by, **said}), result, said))
            return result, said

        result, said = await self._store.write(both)
        await logged(act, by, **said)
        return result

    def _has(self, connection: Connection, head: Head) -> bool:
        c = self._tables.records.c
        there = select(c.sequence).where(c.chain == head.chain, c.sequence == head.sequence, c.hash == head.hash)
        return connection.execute(there).first() is not None

    async def strictly(self, act: str, by: str, /, **details: Any) -> None:
        """The same for what must not be done unrecorded. Raises BridgeError."""
        await logged(act, by, **details)
        try:
            await self.write(ACT, {"act": act, "by": by, **details})
        except SQLAlchemyError as error:
            raise BridgeError(f"the audit log cannot be written: {type(error).__name__}; nothing was done") from None

    async def look(self) -> Head:
        """The head; once a day (UTC) it goes into the journal, where whoever writes the database does not reach."""
        self.head = await self._store.read(lambda connection: head_of(connection, self._tables, self._chain))
        today = datetime.fromtimestamp(self._clock() / 1000, UTC).date().isoformat()
        if today != self._said_on and self.head.sequence:
            self._said_on = today
            log.info("audit-head", head=str(self.head))
        return self.head

    async def witness(self, said: str) -> None:
        """Keep the head of another's chain, as it says it, the first one of a day (UTC)."""
        today = self._clock() // _DAY_MS
        chain = said.partition(":")[0]
        if not said or self._witnessed.get(chain) == today:
            return
        try:
            head = Head.parsed(said)
        except BridgeError:
            return
        await self.write(WITNESSED, {"chain": head.chain, "hash": head.hash, "sequence": head.sequence})
        self._witnessed[chain] = today

    async def after(self, sequence: int, limit: int) -> Sequence[Stored]:
        """The next records."""
        return await self._store.read(
            lambda connection: records_of(connection, self._tables, self._chain, sequence, limit)
        )

    async def forget(self, retention_days: float) -> int:
        """Delete what is older; the chain says so, and goes on from the last one deleted. Returns how many."""
        before, c = self._clock() - int(retention_days * _DAY_MS), self._tables.records.c

        def prune(connection: Connection) -> int:
            # A record is never older than the one before it by more than a clock's error: what goes is a beginning
            kept = select(c.sequence).where(c.chain == self._chain, c.at >= before).order_by(c.sequence).limit(1)
            first = connection.execute(kept).scalar()
            last = select(c.sequence, c.hash).where(c.chain == self._chain)
            last = last if first is None else last.where(c.sequence < first)
            row = connection.execute(last.order_by(c.sequence.desc()).limit(1)).first()
            if row is None:
                return 0
            self.append_in(connection, PRUNED, {"hash": row.hash, "through": row.sequence})
            self._note(connection, sequence=row.sequence, hash=row.hash)
            gone = self._tables.records.delete().where(c.chain == self._chain, c.sequence <= row.sequence)
            return connection.execute(gone).rowcount

        return await self._store.write(prune)

    async def forwarded(self) -> int:
        """The last record that was sent to the syslog server; the newest there is if none was."""
        chains = self._tables.chains.c
        of = select(chains.forwarded).where(chains.chain == self._chain)
        found = await self._store.read(lambda connection: connection.execute(of).scalar())
        return (await self.look()).sequence if found is None else found

    async def note_forwarded(self, sequence: int) -> None:
        """It was sent as far as this."""
        await self._store.write(lambda connection: self._note(connection, forwarded=sequence))

    def _note(self, connection: Connection, **values: Any) -> None:
        chains = self._tables.chains
        changed = connection.execute(chains.update().where(chains.c.chain == self._chain).values(values))
        if not changed.rowcount:
            begun = {"chain": self._chain, "sequence": 0, "hash": GENESIS}
            connection.execute(chains.insert().values(begun | values))


def forward_of(section: AuditSection, program: str, audit: Audit) -> SyslogForward | None:
    """What sends the records of a chain to a syslog server, if one is set."""
    if not section.syslog:
        return None
    return SyslogForward(
        Target.parsed(section.syslog), program, after=audit.after, start=audit.forwarded, sent=audit.note_forwarded
    )

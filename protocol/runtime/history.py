"""Whether a database is an older copy of itself: then it has forgotten what was done since, and somebody must know.

One row counts. ``beat`` grows every few seconds while the daemon runs; the same number stands in a small file beside
an SQLite database (`NAME.mark`), written after it. So a database whose number is behind its mark's was put back, by
whatever means, and `bridgectl restore` says so in the row itself (`pending`), which is all there is with PostgreSQL. ::

    generation ─ beat ─ marked_at          a copy is made           it is put back
                                           │                        │
    ───────────────────────────────────────┴────────────────────────┴──────────────►
                                           └──────── the gap ───────┘
                                       copied_at               restored_at

What follows from a gap is for each side to say (docs/explanation/restore.md). A mark that is missing or torn
tells nothing.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import BigInteger, Boolean, Column, Connection, Integer, MetaData, Table, select

from protocol.envelope import SKEW_MS
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.store import Store
from protocol.runtime.store_statements import insert_new

log = logger(__name__)

MARK_S = 5.0
"""How often it is counted on: a copy put back by hand that is not older than this is not noticed."""


def history_table(metadata: MetaData) -> Table:
    """The `history` table of a database."""
    return Table(
        "history",
        metadata,
        Column("only", Integer, primary_key=True, autoincrement=False),  # 1: there is one row
        Column("generation", BigInteger, nullable=False),  # grows with each copy put back
        Column("beat", BigInteger, nullable=False),
        Column("marked_at", BigInteger, nullable=False),
        Column("copied_at", BigInteger, nullable=False),  # of the copy that was put back last; 0: none was
        Column("restored_at", BigInteger, nullable=False),
        Column("pending", Boolean, nullable=False),  # put back, and no daemon has started on it since
    )


@dataclass(frozen=True, slots=True)
class Gap:
    """What happened between these instants (epoch ms) is forgotten."""

    since: int
    until: int

    def holds(self, at: int) -> bool:
        """Whether something of that instant may be forgotten: clocks may be a little apart."""
        return self.since - SKEW_MS <= at <= self.until + SKEW_MS


@dataclass(frozen=True, slots=True)
class _Mark:
    generation: int
    beat: int


class History:
    """The row, and the mark beside the database."""

    def __init__(self, store: Store, table: Table, file: Path | None, guard_ms: int, clock: Clock) -> None:
        """`file`: of SQLite. `guard_ms`: how long after a copy was put back what was forgotten may come up."""
        self._store, self._table, self._clock, self._guard_ms = store, table, clock, guard_ms
        self._file = file.with_name(file.name + ".mark") if file is not None else None
        self._gap: Gap | None = None
        self._mark = _Mark(0, 0)

    @property
    def gap(self) -> Gap | None:
        """What is forgotten and may still come up."""
        gap = self._gap
        return gap if gap is not None and self._clock() < gap.until + self._guard_ms else None

    async def open(self, put_back: Callable[[Connection], None]) -> None:
        """Find out, before anything is done with the rows; `put_back` is done in the transaction that notes it."""
        mark = await asyncio.to_thread(self._read)
        gap, self._mark = await self._store.write(lambda connection: self._opened(connection, mark, put_back))
        self._gap = Gap(*gap) if gap[1] else None
        await asyncio.to_thread(self._write)

    async def mark(self) -> None:
        """Count on."""
        table, now = self._table, self._clock()

        def count(connection: Connection) -> _Mark:
            connection.execute(table.update().values(beat=table.c.beat + 1, marked_at=now))
            row = connection.execute(select(table)).one()
            return _Mark(row.generation, row.beat)

        self._mark = await self._store.write(count)
        await asyncio.to_thread(self._write)

    def _opened(
        self, connection: Connection, mark: _Mark | None, put_back: Callable[[Connection], None]
    ) -> tuple[tuple[int, int], _Mark]:
        table, now = self._table, self._clock()
        new = {
            "only": 1, "generation": 0, "beat": 0, "marked_at": 0, "copied_at": 0, "restored_at": 0, "pending": False,
        }  # fmt: skip
        insert_new(connection, table, [new])
        row = connection.execute(select(table).with_for_update()).one()
        behind = mark is not None and (row.generation, row.beat) < (mark.generation, mark.beat)
        since, until, generation = row.copied_at, row.restored_at, row.generation
        if row.pending or behind:
            copied = since if row.pending else row.marked_at
            # an earlier gap of this very copy is not over with it
            since = min(since, copied) if until and not row.pending and now < until + self._guard_ms else copied
            until, generation = now, max(generation, mark.generation if mark else 0) + 1
            put_back(connection)
            log.error(
                "database-put-back", copied_at=since, restored_at=until, generation=generation,
                meaning="what was done between is forgotten here; docs/explanation/restore.md says what that means",
            )  # fmt: skip
        beat = max(row.beat, mark.beat if mark else 0) + 1
        changes = {
            "generation": generation, "beat": beat, "marked_at": now, "copied_at": since, "restored_at": until,
            "pending": False,
        }  # fmt: skip
        connection.execute(table.update().values(changes))
        return (since, until), _Mark(generation, beat)

    def _read(self) -> _Mark | None:
        if self._file is None:
            return None
        with contextlib.suppress(OSError, ValueError):
            generation, beat = self._file.read_text(encoding="ascii").split()
            return _Mark(int(generation), int(beat))
        return None

    def _write(self) -> None:
        if self._file is None:
            return
        line = f"{self._mark.generation} {self._mark.beat}".ljust(40) + "\n"  # of one length: it is written in place
        with contextlib.suppress(OSError):  # an older mark tells less, and nothing that is not so
            mark = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(mark, line.encode("ascii"), 0)
            finally:
                os.close(mark)


def id_time(id: str) -> int | None:
    """When a request's id was made (RFC 9562 UUIDv7), epoch ms; None for another id."""
    digits = id.replace("-", "")
    if len(digits) != 32 or digits[12] != "7":
        return None
    try:
        return int(digits[:12], 16)
    except ValueError:
        return None

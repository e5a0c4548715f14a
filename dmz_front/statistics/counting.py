"""Counts answers and the ends of commands in memory, and writes what is new to the ledger database now and then.

A request adds to one number. What a kill -9 loses is what was counted since the last writing. What is counted over
midnight between two writings belongs to the day on which it began.
"""

import math
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.exc import SQLAlchemyError

from protocol.errors import BridgeError
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.statistics import PER_BIN, Bins, Kind, StatisticsTables, packed, unpacked
from protocol.runtime.store import Store
from protocol.runtime.store_statements import insert_or_set

log = logger(__name__)

_LEAST_S = 1e-6
_TURNED_AWAY = -1_000_000
"""Stands for a latency where there is none: to be turned away says nothing of how long an operation takes."""
_PATIENCE_S = 5.0
"""What the last writing may wait for the database."""

Answer = tuple[str, str, int, str, int]
"""Operation, application, HTTP status, outcome, bin of the latency."""
End = tuple[str, str, str]
"""Operation, application, outcome."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was counted in one interval."""

    day: str
    answers: Mapping[Answer, int]
    ends: Mapping[End, int]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Statistics:
    """Of one front."""

    def __init__(
        self, store: Store, tables: StatisticsTables, front: str, clock: Clock, zone: tzinfo | None = None
    ) -> None:
        """`zone`: whose days these are; by default this host's."""
        self._store, self._tables, self._front, self._clock, self._zone = store, tables, front, clock, zone
        self._answers: Counter[Answer] = Counter()
        self._ends: Counter[End] = Counter()
        self._waiting: list[Batch] = []
        self._since = clock()

    def answered(self, operation: str, application: str, status: int, outcome: str, took_s: float) -> None:
        """An answer over HTTP, and how long it took from the request's head. `application`: empty if nobody's."""
        if 400 <= status < 500:
            bin = _TURNED_AWAY
        else:
            bin = math.ceil(math.log(took_s if took_s > _LEAST_S else _LEAST_S) * PER_BIN)
        self._answers[operation, application, status, outcome, bin] += 1

    def ended(self, operation: str, application: str, outcome: str) -> None:
        """A command came to its end."""
        self._ends[operation, application, outcome] += 1

    async def write(self, patience_s: float | None = None) -> None:
        """Write what is new. Raises as `Store.gather`; then it is kept, and written at the next turn."""
        self._take()
        while self._waiting:
            await self._store.gather(self._write, self._waiting[:1], patience_s=patience_s)
            del self._waiting[:1]

    async def close(self) -> None:
        """Write it for the last time; a database that cannot be written holds up no stop."""
        try:
            await self.write(_PATIENCE_S)
        except (SQLAlchemyError, BridgeError) as error:
            lost = sum(sum(batch.answers.values()) for batch in self._waiting)
            log.warning("statistics-lost", answers=lost, reason=type(error).__name__)

    async def forget(self, retention_days: int) -> None:
        """Forget the days that are older."""
        oldest = (self._day(self._clock()) - timedelta(days=retention_days)).isoformat()

        def forget(connection: Connection) -> None:
            for table in (self._tables.counts, self._tables.latencies):
                connection.execute(delete(table).where(table.c.day < oldest))

        await self._store.write(forget)

    def _day(self, ms: int) -> date:
        return datetime.fromtimestamp(ms / 1000, self._zone).date()

    def _take(self) -> None:
        day = self._day(self._since).isoformat()
        self._since = self._clock()
        if not (self._answers or self._ends):
            return
        if self._waiting and self._waiting[-1].day == day and len(self._waiting) > 1:
            # the database has been failing for long: what waits behind the first, which may have been written, is one
            last = self._waiting.pop()
            self._answers.update(last.answers)
            self._ends.update(last.ends)
        self._waiting.append(Batch(day, self._answers, self._ends))
        self._answers, self._ends = Counter(), Counter()

    def _write(self, connection: Connection, batches: Sequence[Batch]) -> Sequence[None]:
        for batch in batches:
            self._write_one(connection, batch)
        return [None] * len(batches)

    def _write_one(self, connection: Connection, batch: Batch) -> None:
        written = self._tables.written
        mine = written.c.front == self._front
        last = connection.execute(select(written.c.batch).where(mine)).scalar()
        if last == batch.id:  # a commit whose confirmation was lost
            return
        if last is None:
            connection.execute(written.insert(), {"front": self._front, "batch": batch.id})
        else:
            connection.execute(written.update().where(mine).values(batch=batch.id))
        self._add_counts(connection, batch)
        self._add_latencies(connection, batch)

    def _add_counts(self, connection: Connection, batch: Batch) -> None:
        table, names = self._tables.counts, ("operation", "application", "kind", "status", "outcome")
        new: Counter[tuple[str, str, str, int, str]] = Counter()
        for (operation, application, status, outcome, _), number in batch.answers.items():
            new[operation, application, Kind.ANSWER.value, status, outcome] += number
        for (operation, application, outcome), number in batch.ends.items():
            new[operation, application, Kind.END.value, 0, outcome] += number
        mine = (table.c.day == batch.day, table.c.front == self._front)
        columns = [table.c[name] for name in names]
        known = {tuple(row) for row in connection.execute(select(*columns).where(*mine))}
        add = table.update().where(*mine, *(table.c[name] == bindparam(f"of_{name}") for name in names))
        add = add.values(number=table.c.number + bindparam("more"))
        if old := [key for key in new if key in known]:
            rows = [
                {f"of_{name}": value for name, value in zip(names, key, strict=True)} | {"more": new[key]}
                for key in old
            ]  # fmt: skip
            connection.execute(add, rows)
        if fresh := [key for key in new if key not in known]:
            rows = [
                dict(zip(names, key, strict=True)) | {"day": batch.day, "front": self._front, "number": new[key]}
                for key in fresh
            ]  # fmt: skip
            connection.execute(table.insert(), rows)

    def _add_latencies(self, connection: Connection, batch: Batch) -> None:
        table = self._tables.latencies
        new: dict[tuple[str, str], Bins] = {}
        for (operation, application, _, _, bin), number in batch.answers.items():
            if bin != _TURNED_AWAY:
                new.setdefault((operation, application), Counter())[bin] += number
        mine = (table.c.day == batch.day, table.c.front == self._front)
        found = connection.execute(select(table.c.operation, table.c.application, table.c.bins).where(*mine))
        known = {(row.operation, row.application): row.bins for row in found}
        rows = [
            {
                "day": batch.day, "front": self._front, "operation": key[0], "application": key[1],
                "bins": packed(unpacked(known[key]) + bins if key in known else bins),
            }
            for key, bins in new.items()
        ]  # fmt: skip
        if rows:
            insert_or_set(connection, table, rows)

"""Pushes that are read from a table of the marketing system's.

How far each was read is kept with the pushes that were read, in one transaction; so it goes on there after a kill. A
row that is no push, or whose id was used for another, is refused, said in the log, and passed over: it must not hold up
those after it. Several bridges of one database read the same rows, and each push has its effect once all the same.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from intranet_bridge.at_rest import StoreKeyClosed
from intranet_bridge.marketing.expressions.mapping import MappingError, compiled
from intranet_bridge.marketing.kind import System
from intranet_bridge.marketing.sql.database import Lost, NotSent
from intranet_bridge.marketing.sql.kind import OpenSqlSystem
from intranet_bridge.marketing.sql.reading import Reading
from intranet_bridge.marketing.sql.values import UnreadableRows
from intranet_bridge.pushes.bodies import Push, Unfit, push_of
from intranet_bridge.pushes.rows import CURSORS
from intranet_bridge.pushes.taking import Pushes
from intranet_bridge.settings import PushesSection, PushTableSection
from protocol.errors import Fenced
from protocol.reports.marketing_data import PushTableReport
from protocol.runtime.clock import Clock
from protocol.runtime.jobs import Jobs
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.store import Store
from protocol.runtime.store_health import said
from protocol.runtime.store_statements import insert_new

log = logger(__name__)

Cursor = int | str


class Unread(Exception):
    """A table cannot be read now. Says nothing of its content."""


@dataclass(frozen=True, slots=True)
class _Row:
    cursor: Cursor
    push: Push | None
    """None: it is none."""
    field: str = ""


class PushTable:
    """One table."""

    def __init__(
        self, name: str, section: PushTableSection, *, pushes: Pushes, store: Store, clock: Clock,
        system: Callable[[], System | None], allowed: Callable[[], bool],
    ) -> None:  # fmt: skip
        """`system`: its database, as bound now. `allowed`: whether this bridge may call others now."""
        self.name, self.section = name, section
        self._pushes, self._store, self._clock, self._system, self._allowed = pushes, store, clock, system, allowed
        self._reading = Reading({"rows": section.query}, section.batch, {one.lower() for one in section.json_columns})
        self._push = compiled(section.push)
        self._read_at, self._lag_s, self._error, self._failing_since = 0, 0.0, "", 0

    async def look(self) -> None:
        """Read what is new, to its end."""
        try:
            while self._allowed() and await self._batch():
                pass
        except (Unread, UnreadableRows) as error:
            self._failed(str(error))
        except (SQLAlchemyError, Fenced, StoreKeyClosed) as error:  # of our own store
            self._failed(f"the bridge's store: {said(error)}")
        else:
            if self._error:
                log.info("push-table-well-again", table=self.name)
            self._error, self._failing_since = "", 0

    def report(self) -> PushTableReport:
        """As it stands now."""
        return PushTableReport(
            name=self.name, read=self._read_at, lag_s=round(self._lag_s, 1), error=self._error,
            failing_since=self._failing_since,
        )  # fmt: skip

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        labels = {"table": self.name}
        text = "How old the last row is that was read of a table of pushes, while there are more; 0: read to its end"
        yield "intranet_bridge_push_table_lag_seconds", text, labels, self._lag_s
        text = "When a table of pushes was last read without an error; 0: not since the start"
        yield "intranet_bridge_push_table_read_timestamp_seconds", text, labels, self._read_at / 1000

    async def _batch(self) -> bool:
        """Read one batch. Returns whether there may be more. Raises Unread and what the store raises."""
        cursor = await self._store.read(partial(_cursor, name=self.name))
        after = self.section.start if cursor is None else cursor
        rows = await self._rows(after)
        more = len(rows) >= self.section.batch
        if more and len(rows) > 1:
            del rows[-1]  # it is read once more with those after it: one of the same cursor among them is seen
        if rows:
            for row in rows:
                if row.push is None:
                    self._pushes.refuse("invalid", f"cursor {row.cursor}", row.field, f"table {self.name}")
            last = rows[-1].cursor
            move = partial(_move, name=self.name, before=cursor, value=last, now=self._clock())
            await self._pushes.take([row.push for row in rows if row.push is not None], move)
        self._read_at = self._clock()
        self._lag_s = self._age_s(rows) if more else 0.0
        return more

    async def _rows(self, after: Cursor) -> list[_Row]:
        system = self._system()
        if not isinstance(system, OpenSqlSystem):
            raise Unread(f"there is no database {self.section.system}")
        given = {"cursor": after, "batch": self.section.batch}
        try:
            answer = await system.read(self._reading, given, self.section.timeout_s)
        except NotSent as error:
            raise Unread(str(error)) from None
        except Lost as lost:
            raise Unread(lost.reason) from None
        except SQLAlchemyError as error:
            raise Unread(system.failure(error)) from None
        rows = [self._row(row) for row in answer["rows"]]
        _grows(after, [row.cursor for row in rows])
        return rows

    def _row(self, row: Mapping[str, Any]) -> _Row:
        cursor = row.get("cursor")
        if not isinstance(cursor, int | str) or isinstance(cursor, bool):
            raise Unread("a row has no column cursor that is a number or a text")
        try:
            return _Row(cursor, push_of(self._push(row)))
        except Unfit as error:
            return _Row(cursor, None, error.field)
        except MappingError:
            return _Row(cursor, None, "push")

    def _age_s(self, rows: Sequence[_Row]) -> float:
        times = [row.push.at for row in rows if row.push is not None]
        if not times:
            return self._lag_s
        return max(0.0, self._clock() / 1000 - datetime.fromisoformat(times[-1]).timestamp())

    def _failed(self, reason: str) -> None:
        if reason != self._error:
            log.error("push-table-unread", table=self.name, reason=reason)
        self._error, self._failing_since = reason, self._failing_since or self._clock()


class PushTables:
    """All of them, by the clock."""

    def __init__(self, tables: Sequence[PushTable]) -> None:
        self.tables, self._jobs, self._started = tables, Jobs(), False

    async def start(self) -> None:
        """Read each now and then."""
        self._started = True
        for table in self.tables:
            self._jobs.every(table.section.every_s, f"push table {table.name}", table.look)
        if self.tables:
            self._jobs.start()

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return self._jobs.standing()

    async def use(self, tables: Sequence[PushTable]) -> None:
        """Read these from now on, each from where one of its name was read last. One that is as it was goes on."""
        before = {table.name: table for table in self.tables}
        kept = [
            old if (old := before.get(table.name)) is not None and old.section == table.section else table
            for table in tables
        ]
        await self._jobs.close()
        self.tables, self._jobs = kept, Jobs()
        if self._started:
            await self.start()

    async def close(self) -> None:
        """Read no more; what is being read comes to its end."""
        self._started = False
        await self._jobs.close()

    def reports(self) -> list[PushTableReport]:
        """As each stands now."""
        return [table.report() for table in self.tables]

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        for table in self.tables:
            yield from table.samples()


def tables_of(
    section: PushesSection, *, pushes: Pushes, store: Store, clock: Clock, system: Callable[[str], System | None],
    allowed: Callable[[], bool],
) -> list[PushTable]:  # fmt: skip
    """Those that are configured. `system`: a database by its name, as bound now."""
    return [
        PushTable(
            name, table, pushes=pushes, store=store, clock=clock, system=partial(system, table.system), allowed=allowed
        )
        for name, table in section.tables.items()
    ]


def _grows(after: Cursor, cursors: Sequence[Cursor]) -> None:
    """Raises Unread for rows that are out of order, or not after where we were: some would never be read, or for ever.

    Texts are ordered by the database's own collation, so of them only a standstill is seen.
    """
    for before, cursor in zip([after, *cursors], cursors, strict=False):
        if type(before) is not type(cursor) and before is not after:
            raise Unread("the column cursor is of several types")
        if before == cursor:
            raise Unread("the column cursor does not grow from row to row: it must be another in each")
        if isinstance(before, int) and isinstance(cursor, int) and cursor < before:
            raise Unread("the rows do not come in the order of their column cursor, after :cursor")


def _cursor(connection: Connection, name: str) -> Cursor | None:
    kept = connection.execute(select(CURSORS.c.value).where(CURSORS.c.name == name)).scalar()
    if kept is None:
        return None
    value: Cursor = json.loads(kept)
    return value


def _move(connection: Connection, name: str, before: Cursor | None, value: Cursor, now: int) -> None:
    """Go on from `value`, unless another bridge did so meanwhile: then it is read from there."""
    moved = {"value": json.dumps(value), "moved_at": now}
    if before is None and insert_new(connection, CURSORS, [{"name": name, **moved}]):
        return
    where = CURSORS.c.name == name, CURSORS.c.value == json.dumps(before)
    connection.execute(CURSORS.update().where(*where).values(moved))

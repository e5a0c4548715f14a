"""One import: when it runs, how far it has come, and what is there to answer from.

Each page is written with the place where the next one begins, in one transaction: a run that was cut off, by a kill as
well, goes on there. A full run writes a generation of its own, and one statement makes it the live one at its end; the
old one goes afterwards. Of several bridges of one database one runs an import; if it writes nothing for ADOPT_MS,
another goes on. Whoever loses that race writes nothing: a page counts only after the page it was read after.
"""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any

from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import Connection, Row, func, select, tuple_
from sqlalchemy.exc import SQLAlchemyError

from intranet_bridge.at_rest import AtRest, StoreKeyClosed
from intranet_bridge.imports.rows import IMPORTS, ROWS
from intranet_bridge.imports.section import MOST_TOGETHER, ImportSection
from intranet_bridge.imports.sources import Page, Source, Unread
from protocol.errors import Fenced
from protocol.reports.marketing_data import ImportReport
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.store import BATCH, Store
from protocol.runtime.store_health import said
from protocol.runtime.store_statements import insert_new

log = logger(__name__)

ADOPT_MS = 60_000
RETRY_S = 30.0
_IN_LIST = 500

State = Row[Any]
"""Of the table `imports`."""


class Import:
    """One."""

    def __init__(
        self, name: str, section: ImportSection, source: Source, *, store: Store, at_rest: AtRest, runner: str,
        clock: Clock, zone: Callable[[], tzinfo], allowed: Callable[[], bool], quiet: Callable[[], bool],
        changed: Callable[[], object], now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:  # fmt: skip
        """`runner`: this bridge. `allowed`: whether it may call others now. `quiet`: whether it is the marketing
        system's quiet hours. `changed`: called when what is answered from is another.
        """
        self.name, self.section = name, section
        self._source, self._store, self._at_rest, self._runner = source, store, at_rest, runner
        self._clock, self._zone, self._allowed, self._quiet = clock, zone, allowed, quiet
        self._changed, self._now, self._sleep = changed, now, sleep
        self._fingerprint = _fingerprint(section)
        self._together = any(not answer.by for answer in section.answers.values())
        self._state: State | None = None
        self._edition: tuple[int, int] = (0, 0)
        self.rows: Sequence[Mapping[str, Any]] = ()
        """All that is live, if an answer is made of all."""
        self._wanted, self._wanted_full = False, False
        self._retry_at, self._error = 0.0, ""
        self.runs = 0
        """Brought to their end by this bridge since the start."""

    # --- answering --------------------------------------------------------------------------------------------

    @property
    def fresh(self) -> bool:
        """Whether it may be answered from."""
        state = self._state
        return state is not None and bool(state.live) and self._age_ms(state) <= self.section.max_age_hours * 3_600_000

    async def find(self, key: str) -> Mapping[str, Any] | None:
        """The live row of a key. Raises what the store raises, and StoreKeyClosed."""
        kept = self._key(key)
        live = select(IMPORTS.c.live).where(IMPORTS.c.name == self.name).scalar_subquery()
        statement = select(ROWS.c.body).where(ROWS.c.of == self.name, ROWS.c.generation == live, ROWS.c.key == kept)
        body = await self._store.read(lambda connection: connection.execute(statement).scalar())
        return None if body is None else self._opened(kept, bytes(body))

    # --- running ----------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Do what is due. Raises nothing but defects: what fails is said, and tried again."""
        try:
            await self._refresh()
            if self._quiet() or not self._allowed() or self._now() < self._retry_at:
                return
            state = await self._taken()
            if state is not None:
                await self._run(state)
        except (Unread, _TooMany) as error:
            self._failed(str(error))
        except (SQLAlchemyError, Fenced, StoreKeyClosed) as error:
            self._failed(f"the bridge's store: {said(error)}")

    def want(self, *, full: bool) -> None:
        """Run it now, whenever it is due."""
        self._wanted, self._wanted_full, self._retry_at = True, full, 0.0

    async def _taken(self) -> State | None:
        """The run that is to be gone on with, begun now if one is due; None: nothing is to be done here."""
        state, now = self._state, self._clock()
        if state is not None and state.loading:
            other = state.runner != self._runner and now - state.moved_at < ADOPT_MS
            if other:
                return None
            if state.source == self._fingerprint:
                log.info("import-goes-on", name=self.name, read=state.run_rows)
                return state
        elif not self._wanted and not self._due(state, now):
            return None
        begun = await self._store.write(partial(self._begin, before=state, now=now, full=self._wanted_full))
        self._wanted = self._wanted_full = False
        if begun is not None:
            log.info("import-began", name=self.name, full=begun.loading != begun.live)
        return begun

    def _due(self, state: State | None, now: int) -> bool:
        return state is None or self._next(state) <= now

    def _next(self, state: State) -> int:
        trigger = CronTrigger.from_crontab(self.section.cron, timezone=self._zone())
        found = trigger.get_next_fire_time(None, datetime.fromtimestamp(state.began_at / 1000 + 1, UTC))
        return int(found.timestamp() * 1000) if found else 1 << 62

    async def _run(self, state: State) -> None:
        """Page by page, to the end or until something stops it; it is gone on with at the next look."""
        while True:
            page = await self._source.page(json.loads(state.run_cursor))
            moved = await self._store.write(partial(self._take, before=state, page=page))
            if moved is None:
                return  # another bridge goes on with it
            state = self._state = moved
            if not page.more:
                break
            await self._sleep(len(page.rows) / self.section.rate)
            if self._quiet() or not self._allowed():
                return
        count = await self._store.scan(partial(self._count, generation=state.loading))
        if self._together and count > MOST_TOGETHER:
            raise _TooMany(f"{count} rows: an answer is made of all, and of {MOST_TOGETHER} at most")
        ended = await self._store.write(partial(self._end, before=state, count=count))
        if ended is None:
            return
        self.runs += 1
        took_s = round((self._clock() - state.began_at) / 1000, 1)
        log.info("import-done", name=self.name, read=state.run_rows, rows=count, took_s=took_s)
        self._error = ""
        await self._refresh()
        await self._store.in_batches(self._old, self._delete)

    def _failed(self, reason: str) -> None:
        self._retry_at = self._now() + RETRY_S
        if reason != self._error:
            log.error("import-failed", name=self.name, reason=reason)
        self._error = reason

    async def _refresh(self) -> None:
        """Know how it stands, and have in memory what is answered from, if an answer is made of all."""
        state = self._state = await self._store.read(self._read)
        edition = (state.live, state.edition) if state is not None else (0, 0)
        if edition == self._edition:
            return
        if self._together and state is not None:
            self.rows = await self._store.scan(self._all)
        self._edition = edition
        self._changed()

    # --- in the database --------------------------------------------------------------------------------------

    def _read(self, connection: Connection) -> State | None:
        return connection.execute(select(IMPORTS).where(IMPORTS.c.name == self.name)).one_or_none()

    def _all(self, connection: Connection) -> list[Mapping[str, Any]]:
        live = select(IMPORTS.c.live).where(IMPORTS.c.name == self.name).scalar_subquery()
        statement = select(ROWS.c.key, ROWS.c.body).where(ROWS.c.of == self.name, ROWS.c.generation == live)
        rows = connection.execute(statement.order_by(ROWS.c.key).limit(MOST_TOGETHER))
        return [self._opened(row.key, bytes(row.body)) for row in rows]

    def _count(self, connection: Connection, generation: int) -> int:
        statement = select(func.count()).where(ROWS.c.of == self.name, ROWS.c.generation == generation)
        return int(connection.execute(statement).scalar_one())

    def _begin(self, connection: Connection, before: State | None, now: int, *, full: bool) -> State | None:
        """Begin a run, unless another bridge did. An increment, if there is something that it adds to."""
        empty = dict.fromkeys(("live", "as_of", "rows", "edition", "loading", "run_rows", "began_at", "moved_at"), 0)
        texts = {"cursor": "null", "run_cursor": "null", "runner": "", "source": ""}
        if before is None:
            insert_new(connection, IMPORTS, [{"name": self.name, **empty, **texts}])
            before = self._read(connection)
            assert before is not None, "just written"
        adds = self.section.mode == "incremental" and before.live and before.source == self._fingerprint and not full
        values = {
            "loading": before.live if adds else max(now, before.live + 1, before.loading + 1),
            "run_cursor": before.cursor if adds else json.dumps(self.section.start),
            "run_rows": 0, "began_at": now, "moved_at": now, "runner": self._runner, "source": self._fingerprint,
        }  # fmt: skip
        return self._moved(connection, before, values)

    def _take(self, connection: Connection, before: State, page: Page) -> State | None:
        """Write one page, unless it was written, or the run is another's by now."""
        added = before.loading == before.live
        values = {
            "run_cursor": json.dumps(page.cursor), "run_rows": before.run_rows + len(page.rows),
            "moved_at": self._clock(), "runner": self._runner,
            "edition": before.edition + (added and bool(page.rows)),
        }  # fmt: skip
        moved = self._moved(connection, before, values)
        if moved is None:
            return None
        bodies = {self._key(row.key): row.body for row in page.rows}  # of one that is there twice the last counts
        keys = list(bodies)
        here = ROWS.c.of == self.name, ROWS.c.generation == before.loading
        for first in range(0, len(keys), _IN_LIST):
            connection.execute(ROWS.delete().where(*here, ROWS.c.key.in_(keys[first : first + _IN_LIST])))
        rows = [
            {"of": self.name, "generation": before.loading, "key": key, "body": self._closed(key, body)}
            for key, body in bodies.items()
            if body is not None
        ]
        if rows:
            connection.execute(ROWS.insert(), rows)
        return moved

    def _end(self, connection: Connection, before: State, count: int) -> State | None:
        """What was read is what is answered from, from this commit on."""
        values = {
            "live": before.loading, "as_of": before.began_at, "rows": count, "edition": before.edition + 1,
            "cursor": before.run_cursor, "loading": 0, "moved_at": self._clock(),
        }  # fmt: skip
        return self._moved(connection, before, values)

    def _moved(self, connection: Connection, before: State, values: Mapping[str, Any]) -> State | None:
        """The state with these values; None if it is not as it was before."""
        columns = IMPORTS.c
        same = [getattr(columns, name) == getattr(before, name) for name in ("loading", "run_cursor", "began_at")]
        done = connection.execute(IMPORTS.update().where(columns.name == self.name, *same).values(**values))
        return self._read(connection) if done.rowcount else None

    def _old(self, connection: Connection) -> Sequence[tuple[int, str]]:
        """Rows of generations that nobody reads."""
        state = self._read(connection)
        if state is None:
            return ()
        statement = select(ROWS.c.generation, ROWS.c.key).where(
            ROWS.c.of == self.name, ROWS.c.generation.not_in([state.live, state.loading])
        )
        return [(row.generation, row.key) for row in connection.execute(statement.limit(BATCH))]

    def _delete(self, connection: Connection, keys: Sequence[tuple[int, str]]) -> Sequence[int]:
        these = ROWS.c.of == self.name, tuple_(ROWS.c.generation, ROWS.c.key).in_(list(keys))
        connection.execute(ROWS.delete().where(*these))
        return [1] * len(keys)

    # --- at rest ----------------------------------------------------------------------------------------------

    def _key(self, key: str) -> str:
        return self._at_rest.pseudonym(f"{self.name}/{key}") if self.section.personal else key

    def _closed(self, key: str, body: Mapping[str, Any]) -> bytes:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=str).encode()
        return self._at_rest.seal(text, f"import {self.name}/{key}") if self.section.personal else text

    def _opened(self, key: str, body: bytes) -> Mapping[str, Any]:
        text = self._at_rest.unseal(body, f"import {self.name}/{key}") if self.section.personal else body
        found: Mapping[str, Any] = json.loads(text)
        return found

    # --- told -------------------------------------------------------------------------------------------------

    def _age_ms(self, state: State) -> int:
        return max(0, self._clock() - int(state.as_of))

    def report(self) -> ImportReport:
        """As it stands now."""
        state = self._state
        running = state is not None and bool(state.loading)
        return ImportReport(
            name=self.name, mode=self.section.mode, answers=tuple(sorted(self.section.answers)),
            rows=state.rows if state else 0, as_of=state.as_of if state else 0, fresh=self.fresh,
            running=running, read=state.run_rows if state and running else 0,
            began=state.began_at if state and running else 0, moved=state.moved_at if state and running else 0,
            runner=state.runner if state and running else "", quiet=self._quiet(), error=self._error,
            following=self._next(state) if state else 0,
        )  # fmt: skip


class _TooMany(Exception):
    pass


def _fingerprint(section: ImportSection) -> str:
    """What a run reads: with another, what it has read is of no use."""
    said = section.model_dump_json(
        include={"system", "query", "operation", "requests", "items", "row", "json_columns", "start", "personal"}
    )
    return base64.urlsafe_b64encode(hashlib.sha256(said.encode()).digest()[:16]).decode().rstrip("=")

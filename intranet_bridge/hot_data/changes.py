"""Bridges of one database tell each other what has made their kept answers old.

::

    a command's call ended ─┐  written before its outcome, or with it
    a push took effect      ├─► hot_changes ─► read by each other bridge, once a second ─► dropped there
    an operator said so     ─┘

So another bridge's answer is older than a command by a second at most, and not by its lifetime. Queries cost nothing.

Ids are given when a row is written and seen when it is committed: one may come after a greater one. So what was read in
the last minute is read again, and what is known is passed over; after a pause, all since the last minute before it. A
bridge that starts begins with what was written some minutes before. Who cannot read for long keeps nothing meanwhile.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from intranet_bridge.at_rest import AtRest, StoreKeyClosed
from intranet_bridge.hot_data.hot import HotData
from intranet_bridge.hot_data.rows import CHANGES
from protocol.envelope import SKEW_MS
from protocol.errors import Fenced
from protocol.runtime.clock import Clock
from protocol.runtime.jobs import Jobs
from protocol.runtime.logs import logger
from protocol.runtime.store import Store
from protocol.runtime.store_health import said

log = logger(__name__)

READ_S = 1.0
_AGAIN_S = 60.0
"""No transaction that writes here takes longer."""
_UNHEARD_S = 10.0
"""Who has not read for so long does not know what is old."""
KEPT_MS = 3_600_000
_PAGE = 500
_SEALED_FOR = "hot_changes"
ELSEWHERE = "elsewhere"

Change = tuple[str | None, Collection[str] | None, float]
"""(account and the like, or None: whatever it is about; operations, or None: all; seconds until it is settled)"""


class Changes:
    """Of one bridge."""

    def __init__(
        self, *, store: Store, at_rest: AtRest, hot: HotData, name: str, shared: bool, clock: Clock,
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`shared`: whether there may be other bridges. Without any nothing is written, and nothing read."""
        self._store, self._at_rest, self._hot, self._name, self.shared = store, at_rest, hot, name, shared
        self._clock, self._now = clock, now
        self._floors: deque[tuple[float, int]] = deque()
        """When, and the greatest id that was seen then."""
        self._known: set[int] = set()
        self._read_at = now()
        self._writing: set[asyncio.Future[Any]] = set()
        self._jobs = Jobs()

    @property
    def _on(self) -> bool:
        return self.shared and bool(self._hot.policies)

    async def start(self) -> None:
        """Nothing is kept yet, so of what was said before only that counts which is not settled."""
        if not self.shared:
            return
        # what is not committed yet has a greater id than what was written before it could have begun
        settled = CHANGES.c.made_at < self._clock() - int(_AGAIN_S * 1000) - SKEW_MS
        latest = select(CHANGES.c.id).where(settled).order_by(CHANGES.c.id.desc()).limit(1)
        floor = await self._store.read(lambda connection: connection.execute(latest).scalar())
        self._floors.append((self._now(), floor or 0))
        self._jobs.every(READ_S, "hot changes", self.read)
        self._jobs.start()

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return self._jobs.standing()

    async def close(self) -> None:
        """Read no more; what was said is on disk."""
        await self._jobs.close()
        await asyncio.gather(*self._writing, return_exceptions=True)

    def tell(self, changes: Sequence[Change]) -> None:
        """Have the others hear of it. It is on disk before what is written after this call, or with it."""
        if not self._on or not changes:
            return
        try:
            written = self._store.begin(partial(self.write_in, changes=changes))
        except StoreKeyClosed:
            return
        self._writing.add(written)
        written.add_done_callback(self._written)

    def write_in(self, connection: Connection, changes: Iterable[Change]) -> None:
        """Write it in somebody's transaction. Raises what the store raises, and StoreKeyClosed."""
        if not self._on:
            return
        now = self._clock()
        rows = [
            {
                "owner": self._name, "made_at": now, "settle_ms": round(settle_s * 1000),
                "about": None if about is None else self._at_rest.seal(about.encode(), _SEALED_FOR),
                "operations": "" if operations is None else json.dumps(sorted(operations)),
            }
            for about, operations, settle_s in changes
        ]  # fmt: skip
        if rows:
            connection.execute(CHANGES.insert(), rows)

    async def read(self) -> None:
        """Drop what others say is old. Raises what the store raises."""
        if not self._on:
            self._read_at = self._now()
            return
        began = self._now()
        try:
            while await self._page():
                pass
        except (SQLAlchemyError, StoreKeyClosed):
            if self._now() - self._read_at > _UNHEARD_S:
                self._hot.clear(by=ELSEWHERE)
            raise
        # only now: what was being committed at the next floor was there as this reading began, and was read by it
        while len(self._floors) > 1 and self._floors[1][0] <= began - _AGAIN_S:
            self._floors.popleft()
        self._read_at = self._now()

    async def forget(self, now_ms: int) -> None:
        """Delete what every bridge has read."""
        if self.shared:
            old = CHANGES.delete().where(CHANGES.c.made_at < now_ms - KEPT_MS)
            await self._store.write(lambda connection: connection.execute(old).rowcount)

    async def _page(self) -> bool:
        """Read some. Returns whether there may be more."""
        floor, known, own = self._floors[0][1], self._known, CHANGES.c.owner == self._name
        after = select(CHANGES.c.id).where(CHANGES.c.id > floor, ~own).order_by(CHANGES.c.id)

        def read(connection: Connection) -> list[Any]:
            fresh = [id for id in connection.execute(after).scalars() if id not in known][:_PAGE]
            if not fresh:
                return []
            return list(connection.execute(select(CHANGES).where(CHANGES.c.id.in_(fresh)).order_by(CHANGES.c.id)))

        rows = await self._store.read(read)
        for row in rows:
            self._apply(row)
        self._known = {id for id in known if id > floor} | {row.id for row in rows}
        self._floors.append((self._now(), max([self._floors[-1][1], *(row.id for row in rows)])))
        return len(rows) == _PAGE

    def _apply(self, row: Any) -> None:
        operations = json.loads(row.operations) if row.operations else None
        if row.about is None:
            self._hot.clear(operations, by=ELSEWHERE)
            return
        try:
            about = self._at_rest.unseal(bytes(row.about), _SEALED_FOR).decode()
        except ValueError:
            self._hot.clear(operations, by=ELSEWHERE)  # whomever it is about
            return
        self._hot.invalidate(about, operations, by=ELSEWHERE, settle_s=row.settle_ms / 1000)

    def _written(self, future: asyncio.Future[Any]) -> None:
        self._writing.discard(future)
        error = None if future.cancelled() else future.exception()
        if error is not None and not isinstance(error, Fenced):
            log.error("hot-change-not-told", reason=said(error) if isinstance(error, Exception) else "")

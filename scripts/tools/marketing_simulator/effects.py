"""Every write: the effect and its journal entry, in one durable transaction.

Group commit: the requests that arrive while the disk is busy share the next transaction; each is answered
after the commit that holds it. The statements run on the event loop's thread (microseconds); only COMMIT,
which waits for the disk, runs on a thread of its own.

The journal is the evidence. It counts how often each request was *applied*, and the plain interface applies
a request as often as it comes: a bridge that calls twice shows up here. A request that finds its work done, by a key of
the business such as a transaction number, is in the journal with nothing applied.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.responses import Refusal

LARGEST_GROUP = 256  # requests a transaction
STORED_ANSWER = "SELECT answer FROM journal WHERE request_id = ?"
COUNT_IN_JOURNAL = (
    "INSERT INTO journal (request_id, operation, applied, at, answer) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (request_id) DO UPDATE SET applied = applied + excluded.applied"
)


@dataclass(frozen=True, slots=True)
class AlreadyDone:
    """A response body for what another request did before: nothing was written."""

    answer: str


Perform = Callable[[sqlite3.Connection], str | AlreadyDone]
"""Performs the effect inside the open transaction and returns the response body. It may raise a Refusal: then
nothing of it is applied, unless it keeps something, whatever else the transaction holds.
"""


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of a request; `newly` is False when a stored response was given instead of a new effect."""

    body: bytes
    newly: bool


@dataclass(frozen=True, slots=True)
class _Waiting:
    request_id: str
    operation: str
    once: bool
    perform: Perform
    outcome: asyncio.Future[Applied]


class EffectWriter:
    """The only writer of the database."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None
        self.listener: Callable[[bytes], None] | None = None
        """Told every answer that is committed, before whoever waits for it."""
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")

    async def apply(self, request_id: str, operation: str, perform: Perform, *, once: bool) -> Applied:
        """Apply one request and return when it is on the disk; with `once`, not again if its id is known."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(request_id, operation, once, perform, loop.create_future())
        self._waiting.append(waiting)
        if self._writing is None:
            self._writing = loop.create_task(self._write_all())
        return await waiting.outcome

    async def close(self) -> None:
        """Write what is still waiting, then close the database."""
        if self._writing is not None:
            await self._writing
        self._disk.shutdown()
        self._connection.close()

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
                await self._write(group)
        finally:
            self._writing = None

    async def _write(self, group: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            at = self._clock.now().isoformat(timespec="milliseconds")
            results = [self._perform(waiting, at) for waiting in group]
            await loop.run_in_executor(self._disk, self._connection.execute, "COMMIT")
        except Exception as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for waiting in group:
                if not waiting.outcome.done():
                    waiting.outcome.set_exception(error)
            return
        for waiting, result in zip(group, results, strict=True):
            if self.listener is not None and isinstance(result, Applied):
                self.listener(result.body)
            if waiting.outcome.done():  # the caller may have hung up; the effect remains
                continue
            if isinstance(result, Refusal):
                waiting.outcome.set_exception(result)
            else:
                waiting.outcome.set_result(result)

    def _perform(self, waiting: _Waiting, at: str) -> Applied | Refusal:
        if waiting.once:
            stored = self._connection.execute(STORED_ANSWER, (waiting.request_id,)).fetchone()
            if stored is not None:
                return Applied(stored[0].encode(), newly=False)
        self._connection.execute("SAVEPOINT one")
        try:
            performed = waiting.perform(self._connection)
        except Refusal as refusal:
            if not refusal.keeps:
                self._connection.execute("ROLLBACK TO one")
            self._connection.execute("RELEASE one")
            return refusal
        self._connection.execute("RELEASE one")
        newly = isinstance(performed, str)
        answer = performed if isinstance(performed, str) else performed.answer
        self._connection.execute(COUNT_IN_JOURNAL, (waiting.request_id, waiting.operation, int(newly), at, answer))
        return Applied(answer.encode(), newly=newly)

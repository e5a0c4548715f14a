"""The database behind a ledger: SQLAlchemy over SQLite (embedded default) or PostgreSQL, with group commit.

Every commit waits for the disk, so one commit a request would bound the daemon by the disk's patience.
Instead one writer thread takes all the work that waits at that moment, does it in one transaction and commits
once; a caller is answered after the commit that holds its rows. ::

    caller ─┐                         ┌ work 1 ┐
    caller ─┼─► waiting ─► writer ─► BEGIN  …  COMMIT ─► callers answered
    caller ─┘   (thread)              └ work n ┘

If any work in a group fails, the whole group is rolled back and each is done again by itself, so that a
failure reaches only its own caller; work must therefore depend on nothing but the database. A lost connection is
nobody's own: the group is done again once on a new one (its first commit may have been done, so work must also
bear being done twice), and if there is no new one all its callers are told.

PostgreSQL runs at READ COMMITTED: work that reads and then writes locks the rows it read (`with_for_update`). Two
processes whose groups wait for each other are a deadlock, which the server ends; that group is done again too.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Executable, make_url
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    SQLAlchemyError,
    StatementError,
)

from protocol.errors import ConfigurationError, Fenced
from protocol.reports.daemon import StoreReport
from protocol.runtime.crash_points import reach
from protocol.runtime.store_engine import engine, is_file, libpq, looks_often
from protocol.runtime.store_health import (
    Ill,
    StoreHealth,
    Trouble,
    Unwritten,
    disconnected,
    disk_usage,
    illness,
    said,
    sqlstate,
    took_too_long,
)
from protocol.runtime.timeouts import Timeouts

T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Connection], T]
Batch = Callable[[Connection, Sequence[Item]], Sequence[Result]]
"""Work for many items at once, with a result for each."""

GROUP_LIMIT = 512
"""The most callers in one transaction: bounds how long the first of them waits."""
LOCK_PATIENCE_S = 10.0
"""How long a group waits for an SQLite database that another process holds."""
BATCH = 50
"""Rows of one of many batches. With millions of rows each needs pages that are not in memory: 200 took up to 130 ms."""
_BATCH_PAUSE_S = 0.005
STALLED_S = 2.0
"""A transaction that takes longer is trouble."""


@dataclass(slots=True)
class _Task:
    """What one caller wants done."""

    future: asyncio.Future[Any]
    batch: Batch[Any, Any]
    items: Sequence[Any]
    withdrawn: bool = False
    """Its caller waits no longer: it is left out, if it is not being done already."""


@dataclass(frozen=True, slots=True)
class _Executes:
    """The batch that executes one statement for all rows."""

    statement: Executable
    point: str | None = None

    def __call__(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Sequence[None]:
        connection.execute(self.statement, rows)
        if self.point is not None:
            reach(self.point)
        return [None] * len(rows)


class Store:
    """One database, one writer thread, one reader thread."""

    def __init__(self, url: str, prepare: Callable[[Engine], object], timeouts: Timeouts | None = None) -> None:
        """`prepare` sees to the schema, in a thread, before anything else (see `migrate.Migrations.prepare`).

        `timeouts`: of the sessions at a PostgreSQL server, except `scan`'s, of which no statement is ended.
        """
        timeouts = timeouts or Timeouts()
        self._engine = engine(url, timeouts)
        scans = self._engine if is_file(self._engine) else engine(url, replace(timeouts, statement_s=0))
        # Made once: an engine with options costs two fifths of a small read
        self._reads, self._scans = (
            one.execution_options(isolation_level="AUTOCOMMIT") for one in (self._engine, scans)
        )
        self._prepare = prepare
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_for_ever, name="store-writer", daemon=True)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._scanner = ThreadPoolExecutor(1, thread_name_prefix="store-scanner")
        self._loop: asyncio.AbstractEventLoop | None = None
        address = make_url(str(self._engine.url))
        of_file = address.get_backend_name() == "sqlite" and address.database
        self._file = Path(str(address.database)) if of_file else None
        place = str(self._file) if self._file else address.render_as_string(hide_password=True)
        self.health = StoreHealth(place, self._file)
        self._busy_since: float | None = None
        self.guard: Work[object] | None = None
        """Done first in every writing transaction; when it raises Fenced, nothing of that group is written."""
        self.commits = 0
        self.rollbacks = 0
        """Writing transactions that were undone, or of which it is not known whether they were."""
        self.rows_written = 0
        """Items of all committed transactions: a row each, mostly."""

    async def start(self) -> None:
        """See to the schema, and take work from now on. Raises ConfigurationError."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._loop.run_in_executor(self._reader, self._prepare, self._engine)
        except SQLAlchemyError as error:
            if (damaged := self.health.damaged(error)) is not None:
                raise ConfigurationError(str(damaged)) from error
            told = f"the database cannot be opened: {error.__cause__ or error}"
            raise ConfigurationError(told, file=str(self._file) if self._file else None) from error
        except ConfigurationError as error:
            if error.file is not None or self._file is None:
                raise
            raise ConfigurationError(str(error), file=str(self._file)) from error
        if self._file is not None:  # from now on the writer waits for locks itself, and looks who still waits
            looks_often(self._engine)
        self._writer.start()

    @property
    def url(self) -> str:
        """The database's address, with its password: for a process of ours that reads beside this one."""
        return self._engine.url.render_as_string(hide_password=False)

    def libpq(self) -> dict[str, Any] | None:
        """What libpq is told for a connection beside the pool's; None: there is no server."""
        return libpq(self._engine)

    @property
    def trouble(self) -> Trouble | None:
        """What is wrong with the database now: by the latest failure, or because a transaction does not end."""
        found, since = self.health.trouble, self._busy_since
        if found is None and since is not None and time.monotonic() - since > STALLED_S:
            waits = round(time.monotonic() - since)
            return Trouble(Ill.LOCKED, f"a write waits for {waits} s: somebody holds it", since)
        return found

    @property
    def damaged(self) -> bool:
        """Its content is not what was written: nothing that it says, or does not say, can be relied on."""
        return self.health.trouble is not None and self.health.trouble.ill is Ill.DAMAGED

    async def prove(self) -> None:
        """While something is wrong, find out whether it still is: by a write that takes as much room as any."""
        trouble = self.trouble
        if trouble is None or trouble.ill is Ill.DAMAGED or self._busy_since is not None:
            return
        with contextlib.suppress(SQLAlchemyError, Fenced):  # said already, by who failed first
            if self._file is None:
                await self.gather(_each(_nothing), (None,), patience_s=STALLED_S)
            else:
                await self.gather(_each(_take_room), (None,), patience_s=STALLED_S)
                await self.gather(_each(_give_room), (None,), patience_s=STALLED_S)
            self.health.succeeded(proven=True)

    async def close(self) -> None:
        """Finish the work that waits, then close."""
        if self._writer.is_alive():
            self._tasks.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._writer.join)
        self._reader.shutdown(wait=False)
        self._scanner.shutdown(wait=False)
        self._engine.dispose()
        self._scans.dispose()

    async def write(self, work: Work[T]) -> T:
        """Do `work` in a transaction; return its result once that is on disk. Work may be run twice.

        Raises what `work` raises, SQLAlchemyError when the database cannot do it, Fenced when `guard` forbids it; then
        nothing of it is written.
        """
        (result,) = await self.gather(lambda connection, _: [work(connection)], (None,))
        return result

    def begin(self, work: Work[T]) -> asyncio.Future[T]:
        """The same, begun at once: what is written after this call is written later, or in the same transaction. Who
        calls looks at what came of it.
        """
        done = asyncio.get_running_loop().create_future()
        task = self._submit(lambda connection, _: [work(connection)], (None,))

        def ended(written: asyncio.Future[Any]) -> None:
            if done.cancelled():
                return
            if written.cancelled():
                done.cancel()
            elif (error := written.exception()) is not None:
                done.set_exception(error)
            else:
                done.set_result(written.result()[0])

        task.future.add_done_callback(ended)
        return done

    async def gather(
        self, batch: Batch[Item, Result], items: Sequence[Item], *, patience_s: float | None = None
    ) -> Sequence[Result]:
        """Do `batch` for some items, together with what others bring for the same `batch` at the same moment.

        Items of one batch keep the order in which they were brought; between different batches of a group no order
        is promised, so who needs one thing done before another waits for it. The results are this caller's alone.
        Raises as `write`; Unwritten after `patience_s`: if it was not begun by then, it is not done.
        """
        if not items:
            return ()
        task = self._submit(batch, items)
        found: Sequence[Result]
        if patience_s is None:
            found = await task.future
            return found
        # not asyncio.timeout, which costs 2 µs more: each accepted command goes through here
        timer = task.future.get_loop().call_later(patience_s, self._withdraw, task, patience_s)
        try:
            found = await task.future
            return found
        finally:
            timer.cancel()

    def _withdraw(self, task: _Task, patience_s: float) -> None:
        if not task.future.done():
            task.withdrawn = True
            trouble = self.trouble
            words = trouble.words if trouble else f"not written within {patience_s:g} s"
            task.future.set_exception(Unwritten(words))

    async def execute(self, statement: Executable, *rows: Mapping[str, Any], point: str | None = None) -> None:
        """Execute one statement for some rows, joined with equal statements of the same group. Without any row nothing
        is executed.

        `point` is reached between the statement and the commit. Raises as `write`.
        """
        await self.gather(_Executes(statement, point), rows)

    async def read(self, work: Work[T]) -> T:
        """Read what is committed, outside any transaction of the writer: one read at a time, each on a snapshot of its
        own statement. Raises SQLAlchemyError.
        """
        assert self._loop is not None, "start() first"
        return await self._loop.run_in_executor(self._reader, self._read, self._reads, work)

    async def snapshot(self, work: Work[T]) -> T:
        """The same, all of `work` on one snapshot: what it reads by several statements fits together."""
        return await self.read(_on_snapshot(work))

    def standing(self) -> str:
        """What is wrong for ever (watchdog.py): the thread that writes has ended. A lock or a full disk may pass."""
        return "" if self._writer.is_alive() else "the thread that writes has ended"

    async def scan(self, work: Work[T]) -> T:
        """The same for what looks at many rows: beside the other reads, which do not wait for it, and however long it
        takes.
        """
        assert self._loop is not None, "start() first"
        return await self._loop.run_in_executor(self._scanner, self._read, self._scans, work)

    async def in_batches(self, page: Work[Sequence[Any]], change: Batch[Any, int]) -> int:
        """Change many rows, a few at a time, so that nobody waits long for a commit; returns how many were changed.

        `page` reads the keys of the next ones, none at the end; `change` does these, in a transaction, and returns for
        each whether it was changed. `page` is asked again after each; what was changed must not be in it any more.
        """
        changed = 0
        while keys := await self.scan(page):
            done = sum(await self.gather(change, keys))
            changed += done
            if not done:
                break  # others did it, or it cannot be done: it would come again for ever
            await asyncio.sleep(_BATCH_PAUSE_S)
        return changed

    async def report(self, timeout_s: float) -> StoreReport:
        """How it does: a transaction of nothing is committed now, behind what waits."""
        began, ill, words = time.monotonic(), "", ""
        try:
            await self.gather(_each(_nothing), (None,), patience_s=timeout_s)
        except Unwritten:
            ill, words = Ill.LOCKED.value, f"a write waits for more than {timeout_s:g} s"
        except Fenced:
            ill, words = Ill.FAILING.value, "the lease is over: another instance may own the rows"
        except SQLAlchemyError as error:
            ill, words = (illness(error, self._file) or Ill.FAILING).value, said(error)
        took_ms = (time.monotonic() - began) * 1000
        if (trouble := self.health.trouble) is not None:  # a small write may succeed where others do not
            ill, words = trouble.ill.value, trouble.words
        disk = await asyncio.to_thread(disk_usage, self._file) if self._file else None
        return StoreReport(
            place=self.health.place, ill=ill, trouble=words, write_ms=round(took_ms, 1),
            free_bytes=disk.free if disk else None, total_bytes=disk.total if disk else None,
        )  # fmt: skip

    def _submit(self, batch: Batch[Any, Any], items: Sequence[Any]) -> _Task:
        assert self._loop is not None, "start() first"
        task = _Task(self._loop.create_future(), batch, items)
        self._tasks.put(task)
        return task

    def _read(self, database: Engine, work: Work[T]) -> T:
        def read() -> T:
            with database.connect() as connection:
                return work(connection)

        try:
            found = _twice(read)
        except Exception as error:
            if not took_too_long(error):
                self.health.failed(error)
            if (damaged := self.health.damaged(error)) is not None:
                raise damaged from error
            raise
        if self.health.trouble is not None:
            self._read_again()
        return found

    def _read_again(self) -> None:
        """A read says nothing of whether anything can be written: only what reads find is over with it."""
        trouble = self.health.trouble
        if trouble is not None and trouble.ill is Ill.UNREACHABLE:
            self.health.succeeded()

    def _write_for_ever(self) -> None:
        stopping = False
        while not stopping:
            group: list[_Task] = []
            task = self._tasks.get()
            while True:
                if task is None:
                    stopping = True
                    break
                group.append(task)
                if len(group) >= GROUP_LIMIT:
                    break
                try:
                    task = self._tasks.get_nowait()
                except queue.Empty:
                    break
            if group:
                self._commit(group)

    def _commit(self, group: list[_Task]) -> None:
        outcomes: list[tuple[_Task, Any, Exception | None]] = []
        self._busy_since = time.monotonic()
        try:
            group, results = self._unlocked(group)
            outcomes = [(task, result, None) for task, result in zip(group, results, strict=True)]
        except Exception as failure:
            self.health.failed(failure)
            # alone, none of them would fare better
            beyond_us = illness(failure) in (Ill.UNREACHABLE, Ill.LOCKED) or took_too_long(failure)
            if isinstance(failure, Fenced) or beyond_us:
                outcomes = [(task, None, failure) for task in group]
            else:
                for task in group:
                    try:
                        outcomes.append((task, self._try([task])[0], None))
                    except Exception as error:
                        outcomes.append((task, None, self.health.damaged(error) or error))
        self._busy_since = None
        if any(error is None for _, _, error in outcomes):
            self.health.succeeded()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(_answer, outcomes)

    def _unlocked(self, group: list[_Task]) -> tuple[list[_Task], list[Any]]:
        """Do a group's work, waiting for a database that another process holds as long as somebody of it waits.

        Returns those whose work was done, and its results. Who waits no longer is left out, and nothing of theirs is
        done.
        """
        end = time.monotonic() + LOCK_PATIENCE_S
        while True:
            waiting = [task for task in group if not task.withdrawn]
            try:
                return waiting, self._try(waiting) if waiting else []
            except DBAPIError as error:
                if illness(error) is not Ill.LOCKED or time.monotonic() > end:
                    raise

    def _try(self, group: list[_Task]) -> list[Any]:
        return _twice(lambda: self._do(group))

    def _do(self, group: list[_Task]) -> list[Any]:
        try:
            with self._engine.begin() as connection:
                results, items = self._done_in(connection, group)
        except BaseException:
            self.rollbacks += 1
            raise
        self.commits += 1
        self.rows_written += items
        return results

    def _done_in(self, connection: Connection, group: list[_Task]) -> tuple[list[Any], int]:
        """The results, and how many items were done."""
        results: dict[int, Sequence[Any]] = {}
        items = 0
        if self.guard is not None:
            self.guard(connection)
        joined: dict[Batch[Any, Any], list[_Task]] = {}
        for task in group:
            if not task.withdrawn:  # it may have waited for the lock, and its caller no longer
                joined.setdefault(task.batch, []).append(task)
        for batch, tasks in joined.items():
            done = batch(connection, [item for task in tasks for item in task.items])
            at = 0
            for task in tasks:
                results[id(task)] = done[at : at + len(task.items)]
                at += len(task.items)
            items += at
        return [results.get(id(task)) for task in group], items


def _nothing(connection: Connection) -> None:
    """A write that changes nothing, and needs the lock and the disk as others do."""
    if connection.dialect.name == "sqlite":
        version = connection.exec_driver_sql("PRAGMA user_version").scalar()
        connection.exec_driver_sql(f"PRAGMA user_version = {int(version or 0)}")
    else:
        connection.exec_driver_sql("SELECT pg_current_xact_id()")


def _take_room(connection: Connection) -> None:
    """As much as the longest command. What was begun and not ended by an earlier proof is ended first."""
    _give_room(connection)
    connection.exec_driver_sql("CREATE TABLE store_proof (content BLOB)")
    connection.exec_driver_sql("INSERT INTO store_proof VALUES (zeroblob(65536))")


def _give_room(connection: Connection) -> None:
    connection.exec_driver_sql("DROP TABLE IF EXISTS store_proof")


@dataclass(frozen=True, slots=True)
class _each:  # used as a function; a class, so that equal ones are joined
    """The batch that does one work for each item."""

    work: Work[Any]

    def __call__(self, connection: Connection, items: Sequence[Any]) -> Sequence[Any]:
        return [self.work(connection) for _ in items]


def _answer(outcomes: list[tuple[_Task, Any, Exception | None]]) -> None:
    for task, result, error in outcomes:
        if task.future.done():
            continue
        if error is not None:
            task.future.set_exception(error)
        else:
            task.future.set_result(result)


def _twice(do: Callable[[], T]) -> T:
    """`do()`, once more if what failed it has passed by then: a connection that was lost, a deadlock."""
    try:
        return do()
    except DBAPIError as error:
        if not (disconnected(error) or sqlstate(error) in _CONFLICTS):
            raise
        return do()


_CONFLICTS = ("40001", "40P01")
"""Serialization failure, deadlock: the server undid the transaction, and it may well succeed now."""
UNWRITABLE = "unwritable"
"""Why a message is set aside whose row the database refuses."""


def of_the_row(error: BaseException) -> bool:
    """Whether it is what is in a row that the database, or its driver, refuses, and would refuse for ever.

    A full disk, a lock or a lost connection may pass; a value that is too long, out of range or not text does not.
    """
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError | IntegrityError) and not disconnected(error)
    # raised before the database saw it: an integer beyond SQLite's 64 bits, a lone surrogate, a parameter of no type
    return isinstance(error, StatementError | OverflowError | ValueError | TypeError)


_SNAPSHOT = {"sqlite": "BEGIN", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"}


def _on_snapshot(work: Work[T]) -> Work[T]:
    def whole(connection: Connection) -> T:
        connection.exec_driver_sql(_SNAPSHOT[connection.dialect.name])
        found = work(connection)
        connection.exec_driver_sql("COMMIT")  # of one that fails, the pool ends the transaction
        return found

    return whole

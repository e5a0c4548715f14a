"""The database behind a ledger: SQLAlchemy over SQLite (embedded default) or PostgreSQL, with group commit.

Every commit waits for the disk, so one commit a request would bound the daemon by the disk's patience.
Instead one writer thread takes all the work that waits at that moment, does it in one transaction and commits
once; a caller is answered after the commit that holds its rows. ::

    caller ─┐                         ┌ work 1 ┐
    caller ─┼─► waiting ─► writer ─► BEGIN  …  COMMIT ─► callers answered
    caller ─┘   (thread)              └ work n ┘

If any work in a group fails, the whole group is rolled back and each is done again by itself, so that a
failure reaches only its own caller; work must therefore depend on nothing but the database.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Executable, MetaData, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from protocol.errors import ConfigurationError

T = TypeVar("T")
Work = Callable[[Connection], T]

GROUP_LIMIT = 512
"""The most pieces of work in one transaction: bounds how long the first of them waits."""


@dataclass(slots=True)
class _Task:
    """One caller's wish: either `work`, or a `statement` that may be joined with others like it."""

    future: asyncio.Future[Any]
    work: Work[Any] | None = None
    statement: Executable | None = None
    rows: Sequence[Mapping[str, Any]] = ()


class Store:
    """One database, one writer thread, one reader thread."""

    def __init__(self, url: str, metadata: MetaData) -> None:
        self._engine = engine(url)
        self._metadata = metadata
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_for_ever, name="store-writer", daemon=True)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._loop: asyncio.AbstractEventLoop | None = None
        self.commits = 0
        self.rows_written = 0

    async def start(self) -> None:
        """Create what tables are missing, and take work from now on. Raises ConfigurationError."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._loop.run_in_executor(self._reader, self._metadata.create_all, self._engine)
        except SQLAlchemyError as error:
            raise ConfigurationError(f"the database cannot be opened: {error.__cause__ or error}") from error
        self._writer.start()

    async def close(self) -> None:
        """Finish the work that waits, then close."""
        if self._writer.is_alive():
            self._tasks.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._writer.join)
        self._reader.shutdown(wait=False)
        self._engine.dispose()

    async def write(self, work: Work[T]) -> T:
        """Do `work` in a transaction; return its result once that is on disk. Work may be run twice."""
        return await self._submit(_Task(self._future(), work=work))  # type: ignore[no-any-return]

    async def execute(self, statement: Executable, *rows: Mapping[str, Any]) -> None:
        """Execute one statement for some rows, joined with equal statements of the same group."""
        await self._submit(_Task(self._future(), statement=statement, rows=rows))

    async def read(self, work: Work[T]) -> T:
        """Read outside any transaction of the writer."""
        assert self._loop is not None, "start() first"
        return await self._loop.run_in_executor(self._reader, self._read, work)

    def _future(self) -> asyncio.Future[Any]:
        assert self._loop is not None, "start() first"
        return self._loop.create_future()

    def _submit(self, task: _Task) -> asyncio.Future[Any]:
        self._tasks.put(task)
        return task.future

    def _read(self, work: Work[T]) -> T:
        with self._engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            return work(connection)

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
        try:
            outcomes = [(task, result, None) for task, result in zip(group, self._do(group), strict=True)]
        except Exception:
            for task in group:
                try:
                    outcomes.append((task, self._do([task])[0], None))
                except Exception as error:
                    outcomes.append((task, None, error))
        assert self._loop is not None
        self._loop.call_soon_threadsafe(_answer, outcomes)

    def _do(self, group: list[_Task]) -> list[Any]:
        results: list[Any] = []
        with self._engine.begin() as connection:
            at = 0
            while at < len(group):
                task = group[at]
                if task.work is not None:
                    results.append(task.work(connection))
                    at += 1
                    continue
                assert task.statement is not None
                rows: list[Mapping[str, Any]] = []
                while at < len(group) and group[at].statement is task.statement:
                    rows.extend(group[at].rows)
                    results.append(None)
                    at += 1
                connection.execute(task.statement, rows)
                self.rows_written += len(rows)
        self.commits += 1
        return results


def _answer(outcomes: list[tuple[_Task, Any, Exception | None]]) -> None:
    for task, result, error in outcomes:
        if task.future.done():
            continue
        if error is not None:
            task.future.set_exception(error)
        else:
            task.future.set_result(result)


def engine(url: str) -> Engine:
    """An engine with the settings our promises need. Raises ConfigurationError."""
    try:
        engine = create_engine(url, hide_parameters=True, pool_pre_ping=not url.startswith("sqlite"))
    except (SQLAlchemyError, ImportError) as error:
        raise ConfigurationError(f"the database URL cannot be used: {error}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_connected(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver's guess
    # FULL, not NORMAL: in WAL mode NORMAL may lose the last commits at a power cut, and a commit is our promise
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: Connection) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        # IMMEDIATE takes the write lock at once: a deferred one can fail in the middle when bridgectl writes too
        connection.exec_driver_sql("BEGIN IMMEDIATE")

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
import contextlib
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Executable, MetaData, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from protocol.errors import ConfigurationError

T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Connection], T]
Batch = Callable[[Connection, Sequence[Item]], Sequence[Result]]
"""Work for many items at once, with a result for each."""

GROUP_LIMIT = 512
"""The most callers in one transaction: bounds how long the first of them waits."""


@dataclass(slots=True)
class _Task:
    """What one caller wants done."""

    future: asyncio.Future[Any]
    batch: Batch[Any, Any]
    items: Sequence[Any]


@dataclass(frozen=True, slots=True)
class _Executes:
    """The batch that executes one statement for all rows."""

    statement: Executable

    def __call__(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Sequence[None]:
        connection.execute(self.statement, rows)
        return [None] * len(rows)


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
        (result,) = await self.gather(lambda connection, _: [work(connection)], (None,))
        return result

    async def gather(self, batch: Batch[Item, Result], items: Sequence[Item]) -> Sequence[Result]:
        """Do `batch` for some items, together with what others bring for the same `batch` at the same moment.

        Items of one batch keep the order in which they were brought; between different batches of a group no order
        is promised, so who needs one thing done before another waits for it. The results are this caller's alone.
        """
        return await self._submit(batch, items) if items else ()

    async def execute(self, statement: Executable, *rows: Mapping[str, Any]) -> None:
        """Execute one statement for some rows, joined with equal statements of the same group."""
        await self.gather(_Executes(statement), rows)

    async def read(self, work: Work[T]) -> T:
        """Read outside any transaction of the writer."""
        assert self._loop is not None, "start() first"
        return await self._loop.run_in_executor(self._reader, self._read, work)

    def _submit(self, batch: Batch[Any, Any], items: Sequence[Any]) -> asyncio.Future[Any]:
        assert self._loop is not None, "start() first"
        task = _Task(self._loop.create_future(), batch, items)
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
        joined: dict[Batch[Any, Any], list[_Task]] = {}
        for task in group:
            joined.setdefault(task.batch, []).append(task)
        results: dict[int, Sequence[Any]] = {}
        with self._engine.begin() as connection:
            for batch, tasks in joined.items():
                done = batch(connection, [item for task in tasks for item in task.items])
                at = 0
                for task in tasks:
                    results[id(task)] = done[at : at + len(task.items)]
                    at += len(task.items)
                self.rows_written += at
        self.commits += 1
        return [results[id(task)] for task in group]


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
        if engine.url.database not in (None, "", ":memory:"):
            # SQLite makes the file, and the two beside it, as the umask lets it. Where the folder is not there, or not
            # ours to write in, connecting says so.
            with contextlib.suppress(OSError):
                Path(str(engine.url.database)).touch(mode=0o600)
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


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> set[Any]:
    """Insert the rows that conflict with no other; returns the primary keys of those that were inserted."""
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[connection.dialect.name]
    statement = dialect.insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return set(connection.execute(statement, rows).scalars())

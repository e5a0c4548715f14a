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
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Executable, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
)

from protocol.errors import ConfigurationError, Fenced
from protocol.reports import StoreReport
from protocol.runtime.crash_points import reach

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
    point: str | None = None

    def __call__(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Sequence[None]:
        connection.execute(self.statement, rows)
        if self.point is not None:
            reach(self.point)
        return [None] * len(rows)


class Store:
    """One database, one writer thread, one reader thread."""

    def __init__(self, url: str, prepare: Callable[[Engine], object]) -> None:
        """`prepare` sees to the schema, in a thread, before anything else (see `migrate.Migrations.prepare`)."""
        self._engine = engine(url)
        self._prepare = prepare
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_for_ever, name="store-writer", daemon=True)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._loop: asyncio.AbstractEventLoop | None = None
        self.guard: Work[object] | None = None
        """Done first in every writing transaction; when it raises Fenced, nothing of that group is written."""
        self.commits = 0
        self.rows_written = 0

    async def start(self) -> None:
        """See to the schema, and take work from now on. Raises ConfigurationError."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._loop.run_in_executor(self._reader, self._prepare, self._engine)
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
        """Do `work` in a transaction; return its result once that is on disk. Work may be run twice.

        Raises what `work` raises, SQLAlchemyError when the database cannot do it, Fenced when `guard` forbids it; then
        nothing of it is written.
        """
        (result,) = await self.gather(lambda connection, _: [work(connection)], (None,))
        return result

    async def gather(self, batch: Batch[Item, Result], items: Sequence[Item]) -> Sequence[Result]:
        """Do `batch` for some items, together with what others bring for the same `batch` at the same moment.

        Items of one batch keep the order in which they were brought; between different batches of a group no order
        is promised, so who needs one thing done before another waits for it. The results are this caller's alone.
        Raises as `write`.
        """
        return await self._submit(batch, items) if items else ()

    async def execute(self, statement: Executable, *rows: Mapping[str, Any], point: str | None = None) -> None:
        """Execute one statement for some rows, joined with equal statements of the same group.

        `point` is reached between the statement and the commit. Raises as `write`.
        """
        await self.gather(_Executes(statement, point), rows)

    async def read(self, work: Work[T]) -> T:
        """Read what is committed, outside any transaction of the writer: one read at a time, each on a snapshot of its
        own statement. Raises SQLAlchemyError.
        """
        assert self._loop is not None, "start() first"
        return await self._loop.run_in_executor(self._reader, self._read, work)

    def standing(self) -> str:
        """What is wrong for ever (watchdog.py): the thread that writes has ended. A lock or a full disk may pass."""
        return "" if self._writer.is_alive() else "the thread that writes has ended"

    async def report(self, timeout_s: float) -> StoreReport:
        """How it does: a transaction of nothing is committed now, behind what waits."""
        url = make_url(str(self._engine.url))
        file = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
        place = str(file) if file else url.render_as_string(hide_password=True)
        began, trouble = time.monotonic(), ""
        try:
            async with asyncio.timeout(timeout_s):
                await self.write(_nothing)
        except TimeoutError:
            trouble = f"a write waits for more than {timeout_s:g} s"
        except Fenced:
            trouble = "the lease is over: another instance may own the rows"
        except SQLAlchemyError as error:
            trouble = (str(getattr(error, "orig", None) or error).splitlines() or [""])[0] or type(error).__name__
        took_ms = (time.monotonic() - began) * 1000
        disk = await asyncio.to_thread(_disk, file) if file else None
        return StoreReport(
            place=place, trouble=trouble, write_ms=round(took_ms, 1),
            free_bytes=disk.free if disk else None, total_bytes=disk.total if disk else None,
        )  # fmt: skip

    def _submit(self, batch: Batch[Any, Any], items: Sequence[Any]) -> asyncio.Future[Any]:
        assert self._loop is not None, "start() first"
        task = _Task(self._loop.create_future(), batch, items)
        self._tasks.put(task)
        return task.future

    def _read(self, work: Work[T]) -> T:
        def read() -> T:
            with self._engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                return work(connection)

        return _twice(read)

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
            outcomes = [(task, result, None) for task, result in zip(group, self._try(group), strict=True)]
        except Exception as failure:
            if isinstance(failure, Fenced) or disconnected(failure):  # alone, none of them would fare better
                outcomes = [(task, None, failure) for task in group]
            else:
                for task in group:
                    try:
                        outcomes.append((task, self._try([task])[0], None))
                    except Exception as error:
                        outcomes.append((task, None, error))
        assert self._loop is not None
        self._loop.call_soon_threadsafe(_answer, outcomes)

    def _try(self, group: list[_Task]) -> list[Any]:
        return _twice(lambda: self._do(group))

    def _do(self, group: list[_Task]) -> list[Any]:
        joined: dict[Batch[Any, Any], list[_Task]] = {}
        for task in group:
            joined.setdefault(task.batch, []).append(task)
        results: dict[int, Sequence[Any]] = {}
        with self._engine.begin() as connection:
            if self.guard is not None:
                self.guard(connection)
            for batch, tasks in joined.items():
                done = batch(connection, [item for task in tasks for item in task.items])
                at = 0
                for task in tasks:
                    results[id(task)] = done[at : at + len(task.items)]
                    at += len(task.items)
                self.rows_written += at
        self.commits += 1
        return [results[id(task)] for task in group]


def _nothing(connection: Connection) -> None:
    """A write that changes nothing, and needs the lock and the disk as others do."""
    if connection.dialect.name == "sqlite":
        version = connection.exec_driver_sql("PRAGMA user_version").scalar()
        connection.exec_driver_sql(f"PRAGMA user_version = {int(version or 0)}")
    else:
        connection.exec_driver_sql("SELECT pg_current_xact_id()")


def _disk(file: Path) -> Any:
    try:
        return shutil.disk_usage(file.parent)
    except OSError:
        return None


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
        if not (disconnected(error) or _sqlstate(error) in _CONFLICTS):
            raise
        return do()


_CONFLICTS = ("40001", "40P01")
"""Serialization failure, deadlock: the server undid the transaction, and it may well succeed now."""
_DISCONNECTED = ("08", "57P")
"""SQLSTATE classes: connection exception; the server shuts down, crashed or cannot accept connections yet."""
_IDLE_TOO_LONG = "25P03"


def disconnected(error: BaseException) -> bool:
    """Whether it was the connection to the database that failed, and not what was asked of it."""
    if not isinstance(error, DBAPIError):
        return False
    state = _sqlstate(error)
    if error.connection_invalidated or state == _IDLE_TOO_LONG or state.startswith(_DISCONNECTED):
        return True
    # libpq's own failures (refused, no such host, timeout) have no SQLSTATE; SQLite's errors have no such attribute
    return getattr(error.orig, "sqlstate", "") is None and isinstance(error, OperationalError)


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


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def engine(url: str) -> Engine:
    """An engine with the settings our promises need. Raises ConfigurationError."""
    try:
        address = make_url(url)
        arguments = _POSTGRESQL if address.get_backend_name() == "postgresql" else {}
        arguments = {name: value for name, value in arguments.items() if name not in address.query}
        # No ping before use: it would cost each commit a round trip, and a lost connection is mended by `_twice`.
        engine = create_engine(address, hide_parameters=True, connect_args=arguments)
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
    elif engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _postgresql_connected)
    return engine


_POSTGRESQL: dict[str, Any] = {
    # A server that vanished without a word (cable, power) is noticed in seconds, not by TCP's two hours
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""libpq's settings, unless the URL says otherwise."""

_SESSION = (
    # A process that is stopped in the middle of a transaction must not keep its rows locked against who adopts them;
    # and who waits for such a lock is told before its own lease is over.
    "SET idle_in_transaction_session_timeout = '5s'",
    "SET lock_timeout = '5s'",
    # A commit is our promise: an installation that turned its durability off gets it back. Stricter ones stay.
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
)


def _postgresql_connected(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        for statement in _SESSION:
            cursor.execute(statement)
    connection.commit()


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
    """Insert the rows that conflict with no other; returns the primary keys of those that were inserted.

    A row that another process is inserting is waited for, so bring rows in an order that all processes share (that
    of the unique key): else two can wait for each other.
    """
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[connection.dialect.name]
    statement = dialect.insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return set(connection.execute(statement, rows).scalars())

"""One database: its connections, each with a thread, and what is known of a job when its time is over.

Drivers block, so a job is done on a thread; the event loop waits for it until the deadline, then breaks it off and goes
on. As many threads as connections: a job waits for one in the event loop, never in the pool.

A statement's time is bounded three times: by the deadline here, by the server's own time-out (set once a connection, to
the longest of all operations), and, should the connection be cut, by the server looking for us where it can.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from intranet_bridge.marketing import always
from intranet_bridge.marketing.sql.binding import DRIVERS, SqlSystem
from intranet_bridge.marketing.sql.dialects import BreakOff, Dialect, dialect_of, sqlite_connection
from intranet_bridge.marketing.sql.values import UnreadableRows
from protocol.errors import ConfigurationError

T = TypeVar("T")
_BREAK_OFF, _USED = "break_off", "used"
"""What is kept with a connection: how to break it off; whether a job was done on it."""


class NotSent(Exception):
    """Surely nothing was handed over."""

    def __init__(self, reason: str, *, denied: bool = False) -> None:
        super().__init__(reason)
        self.denied = denied


class Lost(Exception):
    """Something may have been handed over, and what became of it is not known."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.timed_out = reason, timed_out


class Attempt:
    """One job on a thread, seen from both sides: whether it may still hand something over, and how to break it off."""

    def __init__(self, may_send: Callable[[], bool]) -> None:
        self._may_send, self._lock = may_send, threading.Lock()
        self._break_off: BreakOff | None = None
        self._given_up = False
        self.handed_over = False

    def hand_over(self) -> None:
        """Asked by the thread right before its first statement. Raises NotSent."""
        with self._lock:
            if self._given_up:
                raise NotSent("no connection in time")
            if not self.handed_over and not self._may_send():
                raise NotSent("no longer allowed")
            self.handed_over = True

    def holds(self, break_off: BreakOff | None) -> None:
        """The thread has a connection now (or, None, has none any more). Raises NotSent if nobody waits for it."""
        with self._lock:
            self._break_off = break_off
            if break_off is not None and self._given_up:
                raise NotSent("no connection in time")

    def give_up(self) -> bool:
        """Nobody waits any more. Returns whether something may have been handed over."""
        with self._lock:
            self._given_up = True
            if self._break_off is not None:
                self._break_off()
            return self.handed_over


Job = Callable[[Connection, Attempt], T]
"""Done on a thread, with a connection on which no transaction has begun. It ends the one it begins. Calls
`Attempt.hand_over` before its first statement. Raises DBAPIError, NotSent and what is its own."""


class Database:
    """One database. For one event loop."""

    def __init__(self, system: SqlSystem, password: str = "") -> None:
        """Connects to nothing yet. Raises ConfigurationError for a driver or TLS files that cannot be used."""
        self.dialect: Dialect = dialect_of(system)
        self._system = system
        self._longest_s = system.timeout_s
        self._engine = _engine(system, self.dialect.arguments(system, password))
        self._free = asyncio.Semaphore(system.connections)
        self._threads = ThreadPoolExecutor(system.connections, thread_name_prefix="sql")
        self._running: set[Attempt] = set()
        self._closed = False
        self._local = threading.local()
        self.made = 0
        event.listen(self._engine, "do_connect", self._connect)
        event.listen(self._engine, "connect", self._prepare)

    @property
    def open(self) -> int:
        """Connections that are there."""
        pool = self._engine.pool
        assert isinstance(pool, QueuePool), "as it was made"
        return pool.checkedin() + pool.checkedout()

    def failure(self, error: SQLAlchemyError) -> str:
        """What may be told of an error: its class and the database's code, never its text."""
        code = self.dialect.code(error) if isinstance(error, DBAPIError) else ""
        return f"{type(error).__name__} {code}".rstrip()

    def bound(self, timeout_s: float) -> None:
        """An operation may take so long. Called before the first connection."""
        self._longest_s = max(self._longest_s, timeout_s)

    async def perform(
        self, job: Job[T], timeout_s: float, may_send: Callable[[], bool] = always, *, repeatable: bool = False
    ) -> T:
        """What a job gives. `repeatable`: it is done once more if a kept connection turns out to be dead.

        Raises NotSent, Lost, and what the job raises.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                await self._free.acquire()
        except TimeoutError:
            raise NotSent("no free connection") from None
        if self._closed:
            self._free.release()
            raise NotSent("closed")
        attempt = Attempt(may_send)
        self._running.add(attempt)
        running = loop.run_in_executor(self._threads, self._perform, job, attempt, repeatable)
        running.add_done_callback(lambda done: self._ended(attempt, done))
        try:
            await asyncio.wait({running}, timeout=deadline - loop.time())
        except asyncio.CancelledError:
            attempt.give_up()
            raise
        if running.done():
            return running.result()
        if attempt.give_up():
            raise Lost("timeout", timed_out=True)
        raise NotSent("no connection in time")

    async def close(self) -> None:
        """Break off what runs, close the connections."""
        self._closed = True
        for attempt in tuple(self._running):
            attempt.give_up()
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._engine.dispose)

    def _ended(self, attempt: Attempt, running: "asyncio.Future[Any]") -> None:
        self._running.discard(attempt)
        self._free.release()
        if not running.cancelled():
            running.exception()  # nobody may be waiting any more, and its text is nobody's to log

    # --- on a thread --------------------------------------------------------------------------------------

    def _perform(self, job: Job[T], attempt: Attempt, repeatable: bool) -> T:
        self._local.attempt = attempt
        try:
            connection = self._taken(attempt, alive=not repeatable)
            kept = connection.connection.info[_USED]
            try:
                return self._done(job, connection, attempt)
            except DBAPIError as error:
                if not (repeatable and kept and error.connection_invalidated):
                    raise
            # it was dead, and so are those of its age: SQLAlchemy gives none of them out again
            return self._done(job, self._taken(attempt, alive=False), attempt)
        finally:
            self._local.attempt = None

    def _taken(self, attempt: Attempt, *, alive: bool) -> Connection:
        """A connection. `alive`: one that was kept is asked first. Raises NotSent."""
        while True:
            try:
                connection = self._engine.connect()
            except DBAPIError as error:
                raise NotSent(f"no connection: {self.failure(error)}", denied=self.dialect.denies(error)) from None
            except NotSent:
                raise
            except Exception as error:  # a driver's own, of the settings of a new connection
                raise NotSent(f"no connection: {type(error).__name__}") from None
            info = connection.connection.info
            try:
                attempt.holds(info[_BREAK_OFF])
                if not (alive and info[_USED]) or self._answers(connection):
                    return connection
            except BaseException:
                connection.close()
                raise
            attempt.holds(None)
            connection.invalidate()
            connection.close()

    def _answers(self, connection: Connection) -> bool:
        raw = connection.connection.dbapi_connection
        assert raw is not None, "just taken"
        dialect = self._engine.dialect
        try:
            return bool(dialect.do_ping(raw))
        except dialect.loaded_dbapi.Error:
            return False

    def _done(self, job: Job[T], connection: Connection, attempt: Attempt) -> T:
        connection.connection.info[_USED] = True
        try:
            return job(connection, attempt)
        except (SQLAlchemyError, NotSent, Lost, UnreadableRows):
            raise
        except Exception as error:  # a driver whose connection was broken off may stumble
            connection.invalidate()
            raise Lost(type(error).__name__) from None
        finally:
            try:
                if connection.in_transaction() and not connection.invalidated:
                    connection.rollback()
            except DBAPIError:
                connection.invalidate()
            finally:
                attempt.holds(None)
                if self._closed and not connection.invalidated:
                    connection.invalidate()
                connection.close()

    def _connect(self, dialect: Any, record: Any, positional: Any, named: dict[str, Any]) -> Any:
        raw = sqlite_connection(self._system) if self._system.file else dialect.connect(*positional, **named)
        self.made += 1
        record.info[_USED] = False
        record.info[_BREAK_OFF] = break_off = self.dialect.break_off(raw)
        attempt: Attempt | None = getattr(self._local, "attempt", None)
        if attempt is not None:
            attempt.holds(break_off)  # what SQLAlchemy asks a new connection may hang too
        return raw

    def _prepare(self, raw: Any, _record: Any) -> None:
        self.dialect.prepare(raw, self._longest_s)


def _engine(system: SqlSystem, arguments: dict[str, Any]) -> Engine:
    """What keeps the connections. Nothing is sent when one is given back: jobs end their transactions."""
    try:
        return create_engine(
            system.address,
            connect_args=arguments,
            hide_parameters=True,
            poolclass=QueuePool,
            pool_size=system.connections,
            max_overflow=0,
            pool_recycle=system.recycle_s,
            pool_reset_on_return=None,
            pool_use_lifo=True,
        )
    except (ImportError, NoSuchModuleError) as error:
        driver = system.address.drivername
        how = DRIVERS.get(driver, ("", ""))[1]
        raise ConfigurationError(f"what {driver}:// needs is not installed here ({error}): {how}") from None
    except SQLAlchemyError as error:
        raise ConfigurationError(f"the database's url cannot be used: {error}") from None

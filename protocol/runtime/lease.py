"""Who may work: each instance holds a lease on its name; what a dead instance left is adopted by a living one.

All instances of a side (fronts, or bridges) share a database, and in it one row each::

    instances   name ─ incarnation ─ lease_until ─ place
                       │             │             └ host and lock of the process: is it surely dead?
                       │             └ by the database's clock, so that no two hosts' clocks are compared
                       └ new at every start and at every adoption: the fencing token

- **Renewed** at a third of `lease_s`. The holder counts its time from *before* it asked (its own clock, which also
  runs while the machine is suspended), and takes a tenth off: `held()` turns false before anybody may adopt.
- **Guarded**: every writing transaction first locks and reads its own row (`Store.guard`). An incarnation that is no
  longer ours raises Fenced: nothing of that transaction is written, and the process ends at once. So whoever slept
  through its lease, however long and at whatever line, writes nothing afterwards, and no row needs to be asked
  whose it is.
- **Adopted** by an instance that has itself held its lease without a gap for a whole lease: after the database was
  away, all that live get the time to say so. One transaction gives the dead a new incarnation and its rows to the
  adopter; two adopters wait for each other on the row, and the second finds nothing.
- **At start** a name whose lease is over, or given back by an orderly stop, is taken. One that is alive is taken at
  once if its process is surely dead: on this very host, its lock (an abstract Unix socket, which the kernel lets go
  of with the process) is free. Else it is waited for; if it is renewed meanwhile, it is a living twin, and the start
  is refused.

SQLite is the same with one instance: it holds the database file's lock (`only_one`), so that every other row of the
table is surely dead, and what an earlier name left behind is adopted at once.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, MetaData, String, Table, select, text
from sqlalchemy.exc import SQLAlchemyError

from protocol.errors import ConfigurationError, Fenced
from protocol.runtime.logs import logger
from protocol.runtime.store import Store
from protocol.runtime.store_health import said
from protocol.runtime.store_statements import insert_new
from protocol.runtime.watchdog import ended

log = logger(__name__)

T = TypeVar("T")

MARGIN = 0.1
"""Of a lease: taken off by who holds it, waited in addition by who adopts. Clocks may differ in speed by as much."""
_RETRY = 0.05
"""Of a lease: the pause after a renewal that failed."""


# As text: at the head of every transaction, where composing the statement would cost several times its execution
_OURS = {
    "sqlite": "SELECT incarnation FROM instances WHERE name = ?",
    "postgresql": "SELECT incarnation FROM instances WHERE name = $1 FOR SHARE",
}


def instances(metadata: MetaData) -> Table:
    """The table, in one side's database."""
    return Table(
        "instances",
        metadata,
        Column("name", String(64), primary_key=True),
        Column("incarnation", BigInteger, nullable=False),
        Column("lease_until", BigInteger, nullable=False),
        Column("place", String(160), nullable=False),
    )


@dataclass(frozen=True, slots=True)
class Holder:
    """What the table says of an instance."""

    name: str
    incarnation: int
    lease_until: int
    """Database time, epoch ms; 0: given back, or adopted."""
    place: str

    def over(self, now: int, margin_ms: int) -> bool:
        """Whether its lease is over for everybody else."""
        return self.lease_until + margin_ms < now or self.lease_until == 0


def _boot_clock() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def database_now(connection: Connection) -> int:
    """The database's clock, epoch ms. (SQLite's is this host's.)"""
    if connection.dialect.name == "postgresql":
        clock = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    else:
        clock = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    return int(connection.execute(text(clock)).scalar_one())


@dataclass(frozen=True, slots=True)
class Clocks:
    """What a lease is timed by."""

    ticks: Callable[[], float] = _boot_clock
    """Seconds of a clock that only goes forward."""
    now: Callable[[Connection], int] = database_now
    """The database's, epoch ms."""


class Lease:
    """One instance's lease, and its way to what the dead left."""

    def __init__(
        self,
        store: Store,
        table: Table,
        name: str,
        lease_s: float,
        *,
        alone: bool,
        lost: Callable[[], object] | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        """`alone`: the database is this process's own (`only_one`). `lost` is called, on the loop, when the lease was
        taken by another; by default the process ends.
        """
        self._store, self._table, self._name, self._lease_s, self._alone = store, table, name, lease_s, alone
        self._lost = lost or _end_process
        clocks = clocks or Clocks()
        self._ticks, self._now = clocks.ticks, clocks.now
        self._incarnation = 0
        self._held_until = self._held_since = 0.0
        self._lock = ProcessLock()
        self._renewing: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- holding --------------------------------------------------------------------------------------------

    async def take(self) -> None:
        """Hold the lease and keep it renewed. Raises ConfigurationError when another process of this name lives."""
        self._loop = asyncio.get_running_loop()
        first: Holder | None = None
        while True:
            sent = self._ticks()
            holder = await self._store.write(self._try_take)
            if holder is None:
                break
            if first is None:
                first = holder
                log.warning("instance-not-over", name=self._name, next="waiting until its lease is over")
            elif holder != first:
                raise ConfigurationError(
                    f"another instance named {self._name} is running (it renewed its lease just now); "
                    "every instance needs a name of its own"
                )
            await asyncio.sleep(self._lease_s * _RETRY)
        self._held_since, self._held_until = sent, sent + self._lease_s
        self._store.guard = self._guard
        self._renewing = self._loop.create_task(self._renew_for_ever(), name="lease")

    async def release(self) -> None:
        """Give the lease back: what is unfinished may be adopted at once."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        if self._store.guard is not None:
            self._held_until = 0.0
            with contextlib.suppress(SQLAlchemyError, Fenced):  # not told: it ends by itself
                await self._store.write(self._give_back)
        self._lock.close()

    def held(self) -> bool:
        """Whether nobody can have taken the lease yet, by our own clock."""
        return self._ticks() < self._held_until - MARGIN * self._lease_s

    def standing(self) -> str:
        """What stands still for ever (watchdog.py)."""
        return ended(self._renewing, "its renewal")

    async def renew(self) -> None:
        """Once; raises what the database raises."""
        sent = self._ticks()
        if sent > self._held_until:
            self._held_since = sent  # there was a gap: others may have had one too, for the same reason
        await self._store.write(self._extend)
        self._held_until = sent + self._lease_s

    async def _renew_for_ever(self) -> None:
        pause, told = self._lease_s / 3, None
        while True:
            await asyncio.sleep(pause)
            try:
                await self.renew()
                pause, told = self._lease_s / 3, None
            except Fenced:
                return  # `lost` was called
            except Exception as error:
                if told != (held := self.held()):
                    log.error("lease-not-renewed", reason=said(error), held=held)
                    told = held
                pause = self._lease_s * _RETRY

    def _guard(self, connection: Connection) -> None:
        if connection.exec_driver_sql(_OURS[connection.dialect.name], (self._name,)).scalar() != self._incarnation:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._lost)
            raise Fenced(f"the lease of {self._name} was taken by another process")

    def _try_take(self, connection: Connection) -> Holder | None:
        """None: it is ours now."""
        table, now = self._table, self._now(connection)
        row = {"name": self._name, "incarnation": now, "lease_until": self._until(now), "place": self._lock.text}
        if insert_new(connection, table, [row]):
            self._incarnation = now
            return None
        (holder,) = self._holders(connection, table.c.name == self._name, lock=True)
        over = holder.over(now, self._margin_ms)
        # that we are it already: by a commit that was done and seemed to fail
        ours = self._lock.text and holder.place == self._lock.text
        if not (over or self._alone or ours or self._lock.surely_dead(holder.place)):
            return holder
        incarnation = row["incarnation"] = max(now, holder.incarnation + 1)
        connection.execute(table.update().where(table.c.name == self._name), row)
        self._incarnation = incarnation
        return None

    def _extend(self, connection: Connection) -> None:
        until = self._until(self._now(connection))
        connection.execute(self._table.update().where(self._table.c.name == self._name).values(lease_until=until))

    def _give_back(self, connection: Connection) -> None:
        connection.execute(self._table.update().where(self._table.c.name == self._name).values(lease_until=0))

    # --- adopting -------------------------------------------------------------------------------------------

    async def know(self, names: Sequence[str]) -> None:
        """Enter names that own rows and are not in the table (of a time before it): as given back."""
        rows = [{"name": name, "incarnation": 0, "lease_until": 0, "place": ""} for name in sorted(names)]
        if rows:
            await self._store.write(lambda connection: insert_new(connection, self._table, rows))

    async def others(self) -> list[str]:
        """Instances that are not running, by name."""
        return await self._store.read(lambda connection: [holder.name for holder in self._over(connection)])

    async def living(self) -> int:
        """How many instances are running, this one included."""
        if self._alone:
            return 1

        def read(connection: Connection) -> int:
            now = self._now(connection)
            holders = self._holders(connection, self._table.c.name != self._name, lock=False)
            return 1 + sum(not holder.over(now, self._margin_ms) for holder in holders)

        return await self._store.read(read)

    async def adopt(self, take: Callable[[Connection, Sequence[str]], T]) -> T | None:
        """Give each instance whose lease is over a new incarnation, and `take` its rows in the same transaction.

        `take` may be done twice. None when there is nobody to adopt, or we cannot be sure of that ourselves.
        """
        may = self.held() and (self._alone or self._ticks() - self._held_since >= self._lease_s)
        if not may or not await self.others():
            return None
        return await self._store.write(lambda connection: self._adopt(connection, take))

    def _adopt(self, connection: Connection, take: Callable[[Connection, Sequence[str]], T]) -> T | None:
        table = self._table
        names: list[str] = []
        # One that is locked is writing, or being adopted by another: its next turn comes
        for holder in self._over(connection, lock=True):
            names.append(holder.name)
            if holder.lease_until:
                fenced = {"incarnation": holder.incarnation + 1, "lease_until": 0}
                connection.execute(table.update().where(table.c.name == holder.name).values(fenced))
                log.warning("instance-adopted", name=holder.name, by=self._name)
        return take(connection, names) if names else None

    def _over(self, connection: Connection, *, lock: bool = False) -> list[Holder]:
        now = self._now(connection)
        holders = self._holders(connection, self._table.c.name != self._name, lock=lock, skip=True)
        return [holder for holder in holders if self._alone or holder.over(now, self._margin_ms)]

    def _holders(
        self, connection: Connection, where: ColumnElement[bool], *, lock: bool, skip: bool = False
    ) -> list[Holder]:
        statement = select(self._table).where(where).order_by(self._table.c.name)
        if lock:
            statement = statement.with_for_update(skip_locked=skip)
        return [Holder(**row._mapping) for row in connection.execute(statement)]

    @property
    def _margin_ms(self) -> int:
        return int(MARGIN * self._lease_s * 1000)

    def _until(self, now: int) -> int:
        return now + int(self._lease_s * 1000)


class ProcessLock:
    """Where a process runs, so that a later one on the same host can tell whether it still does."""

    def __init__(self) -> None:
        self._host, lock = _host(), secrets.token_hex(16)
        self._socket = _bound(lock) if self._host else None
        self.text = f"{self._host}/{lock}" if self._socket else ""

    def surely_dead(self, place: str) -> bool:
        """Whether the process that wrote `place` has surely ended. A stopped process has not."""
        host, _, lock = place.rpartition("/")
        if not lock or host != self._host:
            return False
        probe = _bound(lock)
        if probe is None:
            return False
        probe.close()
        return True

    def close(self) -> None:
        """Let go of the lock."""
        if self._socket is not None:
            self._socket.close()


def _bound(lock: str) -> socket.socket | None:
    """A socket bound to an abstract name (not listening), or None when a living process has it."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        channel.bind(f"\0dmz-bridge-{lock}")
    except OSError:
        channel.close()
        return None
    return channel


def _host() -> str:
    """One boot of one kernel and one network namespace: where an abstract name means the same socket."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/net').readlink()}"
    except OSError:
        return ""


def _end_process() -> None:
    """Whatever this process still meant to do belongs to another now; so not even a drain."""
    log.critical("lease-lost", next="ending at once: another instance has adopted what this one was doing")
    os._exit(75)  # EX_TEMPFAIL; the service manager starts it anew


def only_one(store: Path, program: str) -> IO[bytes]:
    """Hold the lock of an SQLite store while the returned file is open (the system lets go of it with the process).

    Two processes on one SQLite file would both resume its commands. Raises ConfigurationError.
    """
    path = store.with_name(store.name + ".lock")
    try:
        file = path.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigurationError(f"another {program} is running on this database", file=str(store)) from error
    except OSError as error:
        raise ConfigurationError(f"cannot be locked: {error.strerror}", file=str(path)) from error
    return file

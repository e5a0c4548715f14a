"""Whether a database takes and gives rows, by what came of the latest work: what readiness, status and metrics ask.

A trouble is what would befall everybody's work, not what is wrong with one row. It begins with a failure, is logged
once, and ends as follows:

===========  =====================================================================================================
locked       with the next transaction that succeeds
unreachable  the same
failing      the same
full         only with a write that really takes room (`Store.prove`): a small one may fit where an order does not
damaged      never while the daemon runs: a page that was overwritten does not come right. It takes a restore
===========  =====================================================================================================
"""

import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DataError, DBAPIError, OperationalError, SQLAlchemyError, StatementError

from protocol.errors import BridgeError
from protocol.runtime.logs import logger, words

log = logger(__name__)

DAMAGE_PAGE = "docs/runbooks/database-damaged.md"
_NO_ROOM = 64 << 10
"""With less than this free, SQLite's I/O errors are those of a full disk (it tells so for some of its files only)."""


class Ill(StrEnum):
    """What is wrong with a database."""

    FULL = "full"
    LOCKED = "locked"
    DAMAGED = "damaged"
    UNREACHABLE = "unreachable"
    FAILING = "failing"


class Damaged(BridgeError, SQLAlchemyError):
    """The database's content is not what was written; says which file, and what to do."""


class Unwritten(SQLAlchemyError):
    """A write was given up before it was begun, or nobody knows yet whether it was done."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, in the database's own words, and since when by the monotonic clock."""

    ill: Ill
    words: str
    since: float


_SQLITE = {
    sqlite3.SQLITE_BUSY: Ill.LOCKED, sqlite3.SQLITE_LOCKED: Ill.LOCKED, sqlite3.SQLITE_FULL: Ill.FULL,
    sqlite3.SQLITE_CORRUPT: Ill.DAMAGED, sqlite3.SQLITE_NOTADB: Ill.DAMAGED, sqlite3.SQLITE_IOERR: Ill.FAILING,
    sqlite3.SQLITE_CANTOPEN: Ill.FAILING, sqlite3.SQLITE_READONLY: Ill.FAILING, sqlite3.SQLITE_PERM: Ill.FAILING,
    sqlite3.SQLITE_PROTOCOL: Ill.LOCKED, sqlite3.SQLITE_NOMEM: Ill.FAILING,
}  # fmt: skip
_TOOK_TOO_LONG = "57014"
_POSTGRESQL = {
    "53100": Ill.FULL, "55P03": Ill.LOCKED, "XX001": Ill.DAMAGED, "XX002": Ill.DAMAGED, "25006": Ill.FAILING,
    _TOOK_TOO_LONG: Ill.FAILING,
}  # fmt: skip
"""SQLSTATEs: disk full, lock not available, data and index corrupted, read-only transaction (a standby), a statement
that took too long."""
_DISCONNECTED = ("08", "57P")
"""SQLSTATE classes: connection exception; the server shuts down, crashed or cannot accept connections yet."""
_IDLE_TOO_LONG = "25P03"


def disconnected(error: BaseException) -> bool:
    """Whether it was the connection to the database that failed, and not what was asked of it."""
    if not isinstance(error, DBAPIError):
        return False
    state = sqlstate(error)
    if error.connection_invalidated or state == _IDLE_TOO_LONG or state.startswith(_DISCONNECTED):
        return True
    # libpq's own failures (refused, no such host, timeout) have no SQLSTATE; SQLite's errors have no such attribute
    return getattr(error.orig, "sqlstate", "") is None and isinstance(error, OperationalError)


def took_too_long(error: BaseException) -> bool:
    """Whether the server ended a statement by its time-out. Of a read that says nothing of the whole database."""
    return isinstance(error, DBAPIError) and sqlstate(error) == _TOOK_TOO_LONG


def sqlstate(error: DBAPIError) -> str:
    """PostgreSQL's five characters; empty if there are none."""
    return getattr(error.orig, "sqlstate", None) or ""


def illness(error: BaseException, file: Path | None = None) -> Ill | None:
    """What a failure says of the whole database; None if it is about what was asked of it."""
    if isinstance(error, Damaged):
        return Ill.DAMAGED
    if disconnected(error):
        return Ill.UNREACHABLE
    found = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(found, sqlite3.Error):
        code = getattr(found, "sqlite_errorcode", None)  # None: raised by the driver itself
        ill = _SQLITE.get(code & 0xFF) if code is not None else None
        disk = disk_usage(file) if ill is Ill.FAILING and file is not None else None
        return Ill.FULL if disk is not None and disk.free < _NO_ROOM else ill
    return _POSTGRESQL.get(sqlstate(error)) if isinstance(error, DBAPIError) else None


def disk_usage(file: Path) -> Any:
    """Of the disk that a file is on: `total`, `used`, `free`, in bytes; None if it cannot be found out."""
    try:
        return shutil.disk_usage(file.parent)
    except OSError:
        return None


def said(error: BaseException) -> str:
    """What a database says of a failure, in one short line without statement, parameters and values; of any other
    exception what may be logged of it.
    """
    if not isinstance(error, SQLAlchemyError):
        return words(error) or type(error).__name__
    orig = getattr(error, "orig", None)
    if isinstance(error, DataError) or (isinstance(error, StatementError) and not isinstance(error, DBAPIError)):
        return type(orig or error).__name__  # `invalid input syntax for type integer: "..."`
    lines = str(orig or error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]


class StoreHealth:
    """Of one database. Written by the threads that use it, read by any."""

    def __init__(self, place: str, file: Path | None, now: Callable[[], float] = time.monotonic) -> None:
        """`place`: what it is called in the log."""
        self.place, self.file, self._now = place, file, now
        self._trouble: Trouble | None = None

    @property
    def trouble(self) -> Trouble | None:
        """What is wrong now."""
        return self._trouble

    def failed(self, error: BaseException) -> None:
        """A read or a transaction failed."""
        ill = illness(error, self.file)
        if ill is None:
            return
        before = self._trouble
        if before is not None and (before.ill is ill or before.ill is Ill.DAMAGED):
            return
        self._trouble = Trouble(ill, said(error), self._now())
        log.error("store-failing", store=self.place, trouble=ill, reason=said(error))

    def succeeded(self, *, proven: bool = False) -> None:
        """One was done; `proven`: it took as much room as any."""
        before = self._trouble
        if before is None or before.ill is Ill.DAMAGED or (before.ill is Ill.FULL and not proven):
            return
        self._trouble = None
        log.warning("store-well-again", store=self.place, was=before.ill, seconds=round(self._now() - before.since, 1))

    def damaged(self, error: BaseException) -> Damaged | None:
        """What to raise instead of `error`, if it tells of damage: that says of which file, and what mends it."""
        if isinstance(error, Damaged) or illness(error) is not Ill.DAMAGED:
            return None
        return Damaged(f"{self.place} is damaged ({said(error)}): restore a backup of it, {DAMAGE_PAGE} says how")

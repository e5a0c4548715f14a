"""What differs between databases: connecting, read-only transactions, time-outs, breaking off, what an error means."""

import math
import os
import socket
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from intranet_bridge.marketing.sql.binding import SqlSystem
from protocol.link.tls import outward_context

BreakOff = Callable[[], object]
"""Ends what a connection is doing, from another thread and without waiting."""


class Said(Enum):
    """What a database said of a statement it did not do."""

    DUPLICATE = "duplicate key"
    UNFIT = "the values do not fit"
    DENIED = "not as it is configured"
    TIMEOUT = "its time is over"
    NO = "declined"
    LOST = "connection lost"
    """Or anything else after which nobody knows."""


class Dialect:
    """A database of which only the standard is known: DM."""

    def arguments(self, system: SqlSystem, password: str) -> dict[str, Any]:
        """What the driver needs to connect, besides the URL. Raises ConfigurationError for TLS files."""
        return {"password": password} if password else {}

    def prepare(self, raw: Any, timeout_s: float) -> None:
        """A new connection, on which no statement takes longer than `timeout_s`."""
        if hasattr(raw, "call_timeout"):  # python-oracledb
            raw.call_timeout = math.ceil(timeout_s * 1000)

    def break_off(self, raw: Any) -> BreakOff:
        """How to break off what is done on a connection."""
        cancel = getattr(raw, "cancel", None)
        return cancel if callable(cancel) else lambda: None

    def begin_reading(self, connection: Connection, *, snapshot: bool) -> None:
        """A transaction that cannot write; with `snapshot` its statements see one state."""
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    def begin_writing(self, connection: Connection) -> None:
        """A transaction that can."""

    def code(self, error: DBAPIError) -> str:
        """The database's own code, for an operator."""
        return ""

    def said(self, error: DBAPIError) -> Said:
        """What an error of a statement means."""
        if error.connection_invalidated:
            return Said.LOST
        if isinstance(error, IntegrityError):
            return Said.DUPLICATE  # or another rule of the table's: polling finds nothing then
        return Said.DENIED if isinstance(error, ProgrammingError) else Said.LOST

    def said_at_commit(self, error: DBAPIError) -> Said:
        """What an error of a commit means: LOST unless it is sure that nothing was committed."""
        return Said.LOST

    def denies(self, error: DBAPIError) -> bool:
        """Whether a failed connection was turned away, rather than not reached."""
        return False


class Oracle(Dialect):
    """Oracle, by python-oracledb, which has one class for most errors: the code tells them apart."""

    def code(self, error: DBAPIError) -> str:
        """See `Dialect`: as `ORA-00942`."""
        arguments = error.orig.args if error.orig is not None else ()
        return str(getattr(arguments[0], "full_code", "") or "") if arguments else ""

    def said(self, error: DBAPIError) -> Said:
        """See `Dialect` (https://docs.oracle.com/en/error-help/db/). A statement that fails has done nothing."""
        code = self.code(error)
        if error.connection_invalidated:
            return Said.LOST
        if code.startswith("ORA-20"):  # a trigger's own: RAISE_APPLICATION_ERROR
            return Said.NO
        return _ORACLE.get(code, Said.LOST)

    def denies(self, error: DBAPIError) -> bool:
        """See `Dialect`: user or password, an account that is locked, no right to a session."""
        return self.code(error) in ("ORA-01017", "ORA-28000", "ORA-28001", "ORA-01045")


_ORACLE = {
    "ORA-00001": Said.DUPLICATE,
    **dict.fromkeys(
        (
            "ORA-01400", "ORA-01438", "ORA-01461", "ORA-01722", "ORA-01843", "ORA-01861", "ORA-02290", "ORA-02291",
            "ORA-12899",
        ),
        Said.UNFIT,
    ),
    **dict.fromkeys(("ORA-00904", "ORA-00913", "ORA-00942", "ORA-00947", "ORA-01031", "ORA-01950"), Said.DENIED),
    **dict.fromkeys(("ORA-00054", "ORA-00060", "ORA-01653", "ORA-08177"), Said.NO),
}  # fmt: skip
"""What each says of a statement; after any other nobody knows."""


class Postgres(Dialect):
    """PostgreSQL, by psycopg."""

    def arguments(self, system: SqlSystem, password: str) -> dict[str, Any]:
        """See `Dialect`."""
        given = super().arguments(system, password)
        given["connect_timeout"] = max(2, math.ceil(system.connect_timeout_s))  # libpq's least
        given["prepare_threshold"] = None  # plans kept by the server break when a table is altered, and with poolers
        if system.tls is not None:
            given |= {"sslmode": "verify-full", "sslrootcert": str(system.tls.ca or "system")}
            if system.tls.certificate is not None:
                given |= {"sslcert": str(system.tls.certificate), "sslkey": str(system.tls.key)}
        return given

    def prepare(self, raw: Any, timeout_s: float) -> None:
        """See `Dialect`. The server looks every second whether we are still there."""
        milliseconds = math.ceil(timeout_s * 1000)
        raw.execute(f"SET statement_timeout = {milliseconds}")
        if raw.info.server_version >= 140000:
            raw.execute("SET client_connection_check_interval = 1000")
        raw.commit()

    def break_off(self, raw: Any) -> BreakOff:
        """See `Dialect`."""
        return _shutdown(raw.pgconn.socket)

    def begin_reading(self, connection: Connection, *, snapshot: bool) -> None:
        """See `Dialect`. Both go with psycopg's BEGIN."""
        options: dict[str, Any] = {"postgresql_readonly": True}
        if snapshot:
            options["isolation_level"] = "REPEATABLE READ"
        connection.execution_options(**options)

    def code(self, error: DBAPIError) -> str:
        """See `Dialect`: SQLSTATE."""
        return str(getattr(error.orig, "sqlstate", None) or "")

    def said(self, error: DBAPIError) -> Said:
        """See `Dialect` (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
        code = self.code(error)
        if error.connection_invalidated or code == "40003":
            return Said.LOST
        if code == "57014":
            return Said.TIMEOUT
        match code[:2]:
            case "" | "08" | "57" | "58" | "XX":
                return Said.LOST
            case "23":
                return Said.DUPLICATE if code == "23505" else Said.UNFIT
            case "22":
                return Said.UNFIT
            case "42" | "3F" | "28" | "0A" | "25":
                return Said.DENIED
        return Said.NO

    def said_at_commit(self, error: DBAPIError) -> Said:
        """See `Dialect`: constraints checked at the end, and conflicts of transactions, roll back."""
        code = self.code(error)
        return self.said(error) if code[:2] in ("23", "40") and code != "40003" else Said.LOST

    def denies(self, error: DBAPIError) -> bool:
        """See `Dialect`. libpq gives no code of a connection that failed."""
        return "authentication failed" in str(error.orig)


_STRICT = "SET SESSION sql_mode = CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), 'STRICT_ALL_TABLES')"
"""A server without it (the default before MySQL 5.7 and MariaDB 10.2.4) cuts a text that is too long, and makes the
nearest number of one that is too large, with a warning that nobody reads: a request would be handed over that nobody
made.
"""


class MySql(Dialect):
    """MySQL and MariaDB, by PyMySQL."""

    def arguments(self, system: SqlSystem, password: str) -> dict[str, Any]:
        """See `Dialect`."""
        given = super().arguments(system, password)
        given |= {"connect_timeout": max(1, math.ceil(system.connect_timeout_s)), "charset": "utf8mb4"}
        if system.tls is not None:
            given["ssl"] = outward_context(system.tls.ca, system.tls.certificate, system.tls.key)
        return given

    def prepare(self, raw: Any, timeout_s: float) -> None:
        """See `Dialect`."""
        with raw.cursor() as cursor:
            if "mariadb" in raw.get_server_info().lower():
                cursor.execute("SET SESSION max_statement_time = %s", (timeout_s,))
            else:
                cursor.execute("SET SESSION max_execution_time = %s", (math.ceil(timeout_s * 1000),))
            cursor.execute("SET SESSION innodb_lock_wait_timeout = %s", (max(1, math.ceil(timeout_s)),))
            cursor.execute(_STRICT)

    def break_off(self, raw: Any) -> BreakOff:
        """See `Dialect`."""
        return _shutdown(raw._sock.fileno())

    def begin_reading(self, connection: Connection, *, snapshot: bool) -> None:
        """See `Dialect`."""
        options = "WITH CONSISTENT SNAPSHOT, READ ONLY" if snapshot else "READ ONLY"
        connection.exec_driver_sql(f"START TRANSACTION {options}")

    def code(self, error: DBAPIError) -> str:
        """See `Dialect`: the error number."""
        number = error.orig.args[0] if error.orig is not None and error.orig.args else None
        return str(number) if isinstance(number, int) else ""

    def said(self, error: DBAPIError) -> Said:
        """See `Dialect` (https://mariadb.com/kb/en/mariadb-error-code-reference/)."""
        number = int(self.code(error) or 0)
        # 2000 and up are the client's own; 1053, 1927: the server shuts down, the connection was killed
        if error.connection_invalidated or number < 1000 or 2000 <= number < 3000 or number in (1053, 1927):
            return Said.LOST
        if number in (1062, 1586):
            return Said.DUPLICATE
        if number in (1205, 1969, 3024):
            return Said.TIMEOUT
        if number in (1044, 1045, 1049, 1054, 1064, 1142, 1143, 1146, 1290, 1792):
            return Said.DENIED
        if number in (1048, 1136, 1264, 1292, 1364, 1366, 1406, 1452, 3819, 4025):
            return Said.UNFIT
        return Said.NO

    def said_at_commit(self, error: DBAPIError) -> Said:
        """See `Dialect`: a deadlock, as a Galera cluster finds it at the end, rolls back."""
        return Said.NO if self.code(error) == "1213" else Said.LOST

    def denies(self, error: DBAPIError) -> bool:
        """See `Dialect`."""
        return self.code(error) in ("1044", "1045", "1049", "1698")


class Sqlite(Dialect):
    """An SQLite file."""

    def arguments(self, system: SqlSystem, password: str) -> dict[str, Any]:
        """See `Dialect`."""
        return {}

    def prepare(self, raw: Any, timeout_s: float) -> None:
        """See `Dialect`: waiting for a lock. What computes is broken off."""
        raw.execute(f"PRAGMA busy_timeout = {math.ceil(timeout_s * 1000)}")

    def break_off(self, raw: Any) -> BreakOff:
        """See `Dialect`."""
        interrupt: BreakOff = raw.interrupt
        return interrupt

    def begin_reading(self, connection: Connection, *, snapshot: bool) -> None:
        """See `Dialect`."""
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")

    def begin_writing(self, connection: Connection) -> None:
        """See `Dialect`."""
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def code(self, error: DBAPIError) -> str:
        """See `Dialect`: its name."""
        return str(getattr(error.orig, "sqlite_errorname", ""))

    def said(self, error: DBAPIError) -> Said:
        """See `Dialect` (https://www.sqlite.org/rescode.html). Nothing is done before COMMIT, whatever it says."""
        code = self.code(error)
        if code in ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_ROWID"):
            return Said.DUPLICATE
        if code.startswith(("SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG")):
            return Said.UNFIT
        if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_INTERRUPT")):
            return Said.TIMEOUT
        if code in ("SQLITE_ERROR", "SQLITE_READONLY", "SQLITE_AUTH", "SQLITE_PERM"):
            return Said.DENIED
        return Said.NO if code else Said.LOST

    def said_at_commit(self, error: DBAPIError) -> Said:
        """See `Dialect`: who waits for a lock there has committed nothing."""
        return Said.TIMEOUT if self.code(error).startswith("SQLITE_BUSY") else Said.LOST


def sqlite_connection(system: SqlSystem) -> sqlite3.Connection:
    """A connection to an SQLite file that is there; transactions are begun by hand. Raises sqlite3.OperationalError."""
    return sqlite3.connect(
        f"file:{quote(str(system.file))}?mode=rw", uri=True, timeout=0, isolation_level=None, check_same_thread=False
    )


def dialect_of(system: SqlSystem) -> Dialect:
    """The one of a system."""
    name = system.address.get_backend_name()
    if name == "postgresql":
        return Postgres()
    if name in ("mysql", "mariadb"):
        return MySql()
    if name == "oracle":
        return Oracle()
    return Sqlite() if name == "sqlite" else Dialect()


def _shutdown(descriptor: int) -> BreakOff:
    """Shuts a connection's socket down. It keeps a descriptor of its own: the driver's may be another's by then."""
    own = socket.socket(fileno=os.dup(descriptor))

    def shutdown() -> None:
        with suppress(OSError):  # gone already
            own.shutdown(socket.SHUT_RDWR)

    return shutdown

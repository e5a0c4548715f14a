"""How a store's database is connected to: what our promises need of SQLite and of PostgreSQL."""

import contextlib
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import SQLAlchemyError

from protocol.errors import ConfigurationError
from protocol.runtime.timeouts import Timeouts

LOCK_LOOK_S = 0.25
"""How often a store looks who still waits, while another process holds an SQLite database."""


def engine(url: str, timeouts: Timeouts | None = None) -> Engine:
    """An engine with the settings our promises need; `timeouts`: at a PostgreSQL server. Raises ConfigurationError."""
    try:
        address = make_url(url)
        of_server = _of_server(address) if address.get_backend_name() == "postgresql" else {}
        # No ping before use: it would cost each commit a round trip, and the store redoes what a lost connection ended.
        engine = create_engine(address, hide_parameters=True, **of_server)
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
        event.listen(engine, "connect", partial(_postgresql_connected, timeouts or Timeouts()))
    return engine


def _of_server(address: URL) -> dict[str, Any]:
    """How a PostgreSQL server is spoken to. Raises ImportError without its driver."""
    from psycopg import RawCursor  # an extra

    arguments = {name: value for name, value in _POSTGRESQL.items() if name not in address.query}
    # Statements name their parameters as the server does ($1): the driver's own names (%(name)s) have it take each
    # statement apart again, which of an INSERT of many rows costs half of what its transaction costs altogether
    return {"connect_args": {"cursor_factory": RawCursor, **arguments}, "paramstyle": "numeric_dollar"}


_POSTGRESQL: dict[str, Any] = {
    # A server that vanished without a word (cable, power) is noticed in seconds, not by TCP's two hours
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""libpq's settings, unless the URL says otherwise."""


def libpq(engine: Engine) -> dict[str, Any] | None:
    """What libpq is told for a connection beside the pool's; None: there is no server."""
    if is_file(engine):
        return None
    _, arguments = engine.dialect.create_connect_args(engine.url)
    return {**_POSTGRESQL, **arguments}


_SESSION = """
SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false),
    set_config('idle_in_transaction_session_timeout', $3, false),
    -- A commit is our promise: an installation that turned its durability off gets it back. Stricter ones stay.
    CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END
"""


def _postgresql_connected(timeouts: Timeouts, connection: Any, _record: object) -> None:
    times = (timeouts.statement_s, timeouts.lock_s, timeouts.idle_s)
    with connection.cursor() as cursor:
        cursor.execute(_SESSION, [f"{round(seconds * 1000)}ms" for seconds in times])
    connection.commit()


def is_file(engine: Engine) -> bool:
    """Whether it is SQLite's."""
    return engine.dialect.name == "sqlite"


def _sqlite_connected(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver's guess
    # FULL, not NORMAL: in WAL mode NORMAL may lose the last commits at a power cut, and a commit is our promise
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def looks_often(engine: Engine) -> None:
    """Have SQLite itself wait for a lock no longer than LOCK_LOOK_S, from the next connection on."""
    engine.dispose()
    event.listen(engine, "connect", _sqlite_looks_often)


def _sqlite_looks_often(connection: Any, _record: object) -> None:
    connection.execute(f"PRAGMA busy_timeout={int(LOCK_LOOK_S * 1000)}")


def _sqlite_begin(connection: Connection) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        # IMMEDIATE takes the write lock at once: a deferred one can fail in the middle when bridgectl writes too
        connection.exec_driver_sql("BEGIN IMMEDIATE")

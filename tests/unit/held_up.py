"""What one transaction does while another is held open."""

import asyncio
from typing import Any

from sqlalchemy import text

from protocol.runtime.store_engine import engine
from tests.unit.carried import until

_WAITS = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


async def held_up(database_url: str, other: "asyncio.Future[Any]") -> None:
    """Return when the other is done, or a PostgreSQL server has a session of this database wait for a lock.

    Of SQLite at once: the first has the only transaction that writes.
    """
    database = engine(database_url)
    try:
        if database.dialect.name == "postgresql":

            def begun() -> bool:
                with database.connect() as connection:
                    return other.done() or connection.execute(_WAITS).scalar_one() > 0

            await until(lambda: asyncio.to_thread(begun))
    finally:
        database.dispose()

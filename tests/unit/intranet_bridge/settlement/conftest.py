"""A database with the bridge's tables, on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from intranet_bridge.store import MIGRATIONS
from protocol.runtime.store_engine import engine


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    made = engine(database_url)
    MIGRATIONS.prepare(made)
    yield made
    made.dispose()

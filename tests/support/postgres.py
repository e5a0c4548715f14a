"""The PostgreSQL servers of tests: the session's, or one that a test may break."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from scripts.tools.testbed.postgres import Postgres, Unavailable, postgres_server
from tests.support.reaper import scratch

__all__ = ["Postgres", "Unavailable"]


@contextmanager
def server_or_skip(*, durable: bool = True) -> Iterator[Postgres]:
    """A running server of the test's own, that it may break; skips the test where there can be none."""
    try:
        with postgres_server(durable=durable, scratch=partial(scratch, "dmz-pg-")) as server:
            yield server
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The session's server, for tests that leave it running."""
    with server_or_skip(durable=False) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new empty database: the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite3'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.database()

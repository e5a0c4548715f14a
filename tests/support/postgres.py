"""The PostgreSQL servers of tests: the session's, or one that a test may break."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from scripts.tools.testbed.postgres import Postgres, Unavailable, postgres_server
from tests.support.reaper import scratch
from tests.support.reuse import Reused

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


@pytest.fixture(scope="session")
def reused(postgres: Postgres) -> Reused:
    """Databases of the session's server that one test has after the other."""
    return Reused(postgres)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of this test alone: the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.sqlite3'}"
        return
    databases: Reused = request.getfixturevalue("reused")
    url = databases.lent()
    yield url
    databases.given_back(url)

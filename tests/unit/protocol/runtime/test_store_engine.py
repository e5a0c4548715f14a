"""How databases are connected to: whose files they are, and what a session at a server is told."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine

from protocol.errors import ConfigurationError
from protocol.runtime.store_engine import LOCK_LOOK_S, engine, is_file, libpq, looks_often
from tests.support.postgres import Postgres


@pytest.mark.parametrize("url", ["nothing", "oracle9i://x", "sqlite+nothing:///x"])
def test_a_url_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigurationError, match="the database URL cannot be used"):
        engine(url)


def test_others_cannot_read_the_database_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        private = engine(f"sqlite:///{tmp_path / 'private.sqlite3'}")
        with private.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE things (id INTEGER)")
            for ending in ("", "-wal", "-shm"):
                assert os.stat(f"{tmp_path}/private.sqlite3{ending}").st_mode & 0o777 == 0o600  # noqa: PTH116
        private.dispose()
    finally:
        os.umask(before)


def test_a_file_s_commits_are_durable_and_its_locks_are_waited_for_by_looks_once_a_store_does_so(
    tmp_path: Path,
) -> None:
    file = engine(f"sqlite:///{tmp_path / 'a.sqlite3'}")
    assert is_file(file)
    assert libpq(file) is None
    waits_ms = []
    steps: tuple[Callable[[Engine], object], ...] = (is_file, looks_often)
    for step in steps:
        step(file)
        with file.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            waits_ms.append(connection.exec_driver_sql("PRAGMA busy_timeout").scalar())
    assert waits_ms == [10_000, LOCK_LOOK_S * 1000]
    file.dispose()


def test_sessions_are_durable_and_never_keep_rows_locked_for_long(postgres: Postgres) -> None:
    url = postgres.database()
    name = url.partition("@/")[2].partition("?")[0]
    with closing(postgres._connect("postgres")) as admin:
        admin.autocommit = True
        admin.execute(f"ALTER ROLE {name} SET synchronous_commit = off".encode())
    server = engine(url)
    assert not is_file(server)

    def settings(connection: Connection) -> list[str | None]:
        wanted = ("synchronous_commit", "idle_in_transaction_session_timeout", "lock_timeout", "transaction_isolation")
        return [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in wanted]

    with server.connect() as connection:
        assert settings(connection) == ["on", "5s", "5s", "read committed"]
    told = libpq(server)
    assert told is not None
    assert (told["keepalives_idle"], told["dbname"]) == (5, name)
    server.dispose()

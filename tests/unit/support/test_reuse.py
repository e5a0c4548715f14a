"""Databases of the tests' PostgreSQL that are lent again: what the next test is given is what a new one would be."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

import intranet_bridge.app  # noqa: F401 - with it the tables of all parts are in METADATA
from intranet_bridge.inbox.rows import METADATA
from intranet_bridge.store import MIGRATIONS
from protocol.runtime.store_engine import engine
from tests.support import reuse
from tests.support.postgres import Postgres
from tests.support.reuse import Reused

OID = "SELECT 'inbox'::regclass::oid::bigint"
ROW = "INSERT INTO closed_day VALUES ('2026-11-24', 0, 'd', 1)"


def used(url: str, *statements: str) -> int:
    """Migrated, and whatever a test does there; which table it had."""
    database = engine(url)
    MIGRATIONS.prepare(database)
    with database.begin() as connection:
        assert MIGRATIONS.differences(database, METADATA) == []
        found: int = connection.execute(text(OID)).scalar_one()
        for statement in statements:
            connection.execute(text(statement))
    database.dispose()
    return found


def rows(postgres: Postgres, url: str) -> dict[str, int]:
    named = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    tables = [name for (name,) in postgres.query(url, named)]
    counts = {name: postgres.query(url, f"SELECT count(*) FROM {name}")[0][0] for name in tables}
    return {name: count for name, count in counts.items() if count}


def test_the_next_one_has_the_tables_and_nothing_of_what_was_written(postgres: Postgres) -> None:
    databases = Reused(postgres)
    first = databases.lent()
    table = used(first)
    new = rows(postgres, first)
    assert new == {"alembic_version_bridge": 1, "content_edition": 1}
    databases.given_back(first)
    second = databases.lent()
    assert used(second, "CREATE TABLE told (id INT)", "UPDATE content_edition SET number = 5", ROW) == table
    assert "closed_day" in rows(postgres, second)  # of which its triggers let nobody take a row away
    databases.given_back(second)
    third = databases.lent()
    assert postgres.query(third, "SELECT 1 FROM pg_class WHERE relname = 'told'") == []
    assert rows(postgres, third) == {}
    assert used(third) == table
    assert rows(postgres, third) == new
    assert postgres.query(third, "SELECT number FROM content_edition") == [(0,)]


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE content_edition",
        "ALTER TABLE inbox ADD COLUMN more INT",
        "DROP INDEX inbox_state",
        "ALTER TABLE inbox ALTER COLUMN note DROP NOT NULL",
        "DROP TRIGGER journal_open ON journal",
        "CREATE FUNCTION more() RETURNS INT LANGUAGE sql AS 'SELECT 1'",
        "ALTER ROLE CURRENT_USER SET work_mem = '1MB'",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 1024', current_database()); END $$",
    ],
)
def test_what_is_defined_otherwise_is_made_anew(postgres: Postgres, change: str) -> None:
    databases = Reused(postgres)
    first = databases.lent()
    table = used(first, change)
    databases.given_back(first)
    assert used(databases.lent()) != table


def test_what_is_set_for_another_one_does_not_matter(postgres: Postgres) -> None:
    databases = Reused(postgres)
    other, first = (databases.lent() for _ in range(2))
    used(other, "ALTER ROLE CURRENT_USER SET work_mem = '1MB'")
    table = used(first)
    databases.given_back(first)
    assert used(databases.lent()) == table


def test_what_another_process_has_made_is_made_anew(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    databases = Reused(postgres)
    first = databases.lent()
    table = used(first)
    monkeypatch.setattr(reuse, "_rows", {})  # as where a test forked the process that migrated
    databases.given_back(first)
    second = databases.lent()
    assert used(second) != table
    assert rows(postgres, second) == {"alembic_version_bridge": 1, "content_edition": 1}


def test_who_had_it_finds_it_no_more(postgres: Postgres) -> None:
    databases = Reused(postgres)
    url = databases.lent()
    late = engine(url)
    connection = late.connect()
    connection.execute(text("SELECT 1"))
    databases.given_back(url)
    with pytest.raises(OperationalError):
        connection.execute(text("SELECT 1"))
    connection.invalidate()
    with pytest.raises(OperationalError):
        late.connect()
    late.dispose()

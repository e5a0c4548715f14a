"""Statements that SQLAlchemy has only by dialect, on each database."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, select

from protocol.runtime.store_engine import engine
from protocol.runtime.store_statements import alike, insert_new, insert_or_set

METADATA = MetaData()
THINGS = Table("things", METADATA, Column("id", Integer, primary_key=True), Column("name", String(10), nullable=False))


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """Within a transaction, on SQLite, and on PostgreSQL where there is one."""
    database = engine(database_url)
    with database.begin() as connection:
        METADATA.create_all(connection)
        yield connection
    database.dispose()


def names(connection: Connection) -> dict[int, str]:
    return {row.id: row.name for row in connection.execute(select(THINGS))}


def test_insert_or_set_inserts_what_is_new_and_sets_the_rest(connection: Connection) -> None:
    connection.execute(THINGS.insert(), [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
    insert_or_set(connection, THINGS, [{"id": 2, "name": "c"}, {"id": 3, "name": "d"}])
    assert names(connection) == {1: "a", 2: "c", 3: "d"}


def test_insert_new_skips_what_conflicts_even_within_one_call(connection: Connection) -> None:
    rows = [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}, {"id": 2, "name": "c"}]
    assert insert_new(connection, THINGS, rows) == {1, 2}
    assert insert_new(connection, THINGS, rows) == set()
    assert names(connection) == {1: "a", 2: "c"}


def test_rows_that_are_changed_alike_are_one_statement_s_and_keep_their_order() -> None:
    assert alike([("b", 1), ("a", 2), ("c", 1)]) == {1: ["b", "c"], 2: ["a"]}
    assert alike([]) == {}

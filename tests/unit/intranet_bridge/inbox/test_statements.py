"""What is written of one command is found by its id, also by a PostgreSQL server to which the table is new."""

import pytest
from sqlalchemy import create_engine
from sqlalchemy.sql.dml import Update

from intranet_bridge.inbox import inbox
from intranet_bridge.inbox.rows import METADATA
from tests.support.postgres import Postgres

STATEMENTS = {
    name: statement
    for name, statement in vars(inbox).items()
    if isinstance(statement, Update) and name != "_ROW" and "of" in statement.compile().params
}


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    url = postgres.database("inbox")
    database = create_engine(url)
    METADATA.create_all(database)
    database.dispose()
    return url


@pytest.mark.parametrize("name", STATEMENTS)
def test_of_a_new_table_the_index_of_ids_is_taken_and_no_other(url: str, name: str) -> None:
    # a prepared statement keeps the plan that it was given first: of a table that is new, for minutes
    database = create_engine(url)
    compiled = STATEMENTS[name].compile(dialect=database.dialect)
    with database.connect() as connection:
        asked = compiled.params | {name: "x" for name in ("of", "me", "said") if name in compiled.params}
        rows = connection.exec_driver_sql(f"EXPLAIN {compiled}", asked).scalars()
        plan = "\n".join(rows)
    database.dispose()
    assert "inbox_pkey" in plan, plan
    assert plan.count("Scan") == 1, plan

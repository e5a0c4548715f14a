"""A PostgreSQL server takes the indexes that statements are written for, whether it knows what rows there are or not.

A statement that is prepared keeps the plan that it was given first: of a new table until the server looks at it, which
may be minutes. To find one row among none any index is as good as another, and so is a walk over all there are.
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from sqlalchemy import Table, select

from dmz_front.ledger.rows import REQUESTS
from intranet_bridge.inbox.rows import INBOX
from scripts.tools.benchmark import growth, retention
from scripts.tools.benchmark.retention import Side
from tests.support.postgres import Postgres
from tests.unit.benchmark.plans import plans_of

pytestmark = pytest.mark.anyio
ROWS = 3_000
OPENERS: dict[str, Callable[[str], Awaitable[Side]]] = {
    "requests": retention.ledger_at,
    "inbox": retention.inbox_at,
}
TABLES: dict[str, Table] = {"requests": REQUESTS, "inbox": INBOX}
OF_A_COMMAND = {
    "requests": {"using requests_pkey", "Backward using requests_order"},
    "inbox": {"using inbox_pkey"},
}
"""How the rows of one command are found."""


def scans(plans: Mapping[str, set[str]], table: str) -> dict[str, set[str]]:
    """Statement → the ways in which it goes to the rows of a table."""
    found: dict[str, set[str]] = {}
    for statement, plan in plans.items():
        ways = {step.partition(f" on {table}")[0].removeprefix("->").strip() for step in plan if f" on {table}" in step}
        found[statement] = ways - {"Update", "Insert", "Delete"}
    return found


@pytest.mark.parametrize("table", sorted(OPENERS))
async def test_of_a_new_table_the_rows_of_a_command_are_found_by_its_id(table: str, postgres: Postgres) -> None:
    side = await OPENERS[table](postgres.database("new"))
    with plans_of(side.store) as plans:
        await side.command(1)
    await side.store.close()
    found = {way.partition("Scan ")[2] for ways in scans(plans, table).values() for way in ways}
    assert found == OF_A_COMMAND[table]
    for plan in plans.values():
        for step in plan:
            assert not step.startswith("Index Cond: ((application"), plan


@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize("table", sorted(OPENERS))
async def test_a_backlog_is_not_walked_over(table: str, analysed: bool, postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.database("backlog")
    side = await OPENERS[table](url)
    await backlog(table, postgres, url, tmp_path / "filled.sqlite3")
    if analysed:
        postgres.connect(url).execute("ANALYZE")
    control = f"SELECT id FROM {table} WHERE code = 'x' ORDER BY code"  # one that does
    with plans_of(side.store) as plans:
        for what, look in side.clockwork.items():
            if what != "the count of the backlog":
                await look()
        await side.store.read(lambda connection: connection.exec_driver_sql(control).all())
    await side.store.close()
    looks = {statement: ways for statement, ways in scans(plans, table).items() if "count(" not in statement}
    assert [statement for statement, ways in looks.items() if "Seq Scan" in ways] == [control]
    assert len(looks) > 4


async def backlog(table: str, postgres: Postgres, url: str, file: Path) -> None:
    """Fill a database with rows without an outcome, which SQLite makes."""
    made = await {"requests": retention.ledger_side, "inbox": retention.inbox_side}[table](file)
    await growth.filled(made, table, ROWS, "backlog")
    rows = await made.store.read(lambda connection: connection.execute(select(TABLES[table])).all())
    await made.store.close()
    columns = ", ".join(f'"{column.name}"' for column in TABLES[table].columns)
    with postgres.connect(url).cursor().copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copying:
        for row in rows:
            copying.write_row(tuple(row))

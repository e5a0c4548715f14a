"""docs/adapters/sql.md, done as it says: its tables, its user with the least rights, its binding."""

import asyncio
import json
import re
import tomllib
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from intranet_bridge.marketing import Absent, Answered, Refused
from intranet_bridge.marketing.sql.binding import SqlBinding, SqlSystem
from intranet_bridge.marketing.sql.kind import KIND, OpenSqlSystem
from protocol.operations import CATALOGUE
from scripts.tools.testbed.layout import ROOT
from tests.support.databases import World, asked
from tests.support.mariadb import MariaDb

pytestmark = pytest.mark.anyio
PAGE = (ROOT / "docs" / "adapters" / "sql.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"<!-- example: (\S+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))
BINDINGS: dict[str, Any] = tomllib.loads(EXAMPLES["sql.toml"])["operations"]
ARREARS, READING = CATALOGUE["arrears-query"], CATALOGUE["meter-reading-submit"]
OWN = "3210000000001"
ROWS = (
    f"INSERT INTO INF_CONS VALUES ('{OWN}')",
    f"INSERT INTO INF_OWE VALUES ('{OWN}', '202512', 300, 40, 340, '2026-01-15')",
)
APPLIED = text(
    "UPDATE INF_REQ SET STATUS = '1', RTN_CODE = '0000', RTN_MSG = '', RSP_DATA = :answer WHERE REQ_ID = :id"
)
WRITES = (
    "UPDATE INF_REQ SET STATUS = '1'",
    "DELETE FROM INF_REQ",
    "INSERT INTO INF_REQ (REQ_ID, BIZ_CODE, REQ_DATA, STATUS) VALUES ('a', 'b', 'c', '1')",
    "INSERT INTO INF_OWE (CONS_NO, AMT_YM) VALUES ('1', '2')",
)


def statements(name: str) -> list[str]:
    return [one.strip() for one in EXAMPLES[name].split(";") if one.strip()]


def test_it_binds_a_query_and_a_command_in_less_than_30_lines() -> None:
    lines = [line for line in EXAMPLES["sql.toml"].splitlines() if line.strip()]
    assert len(lines) < 30
    section = tomllib.loads(EXAMPLES["sql.toml"])["marketing"]
    assert SqlSystem.model_validate(section, strict=False).address.username == "dmz"
    for name, table in BINDINGS.items():
        assert [*KIND.complaints(CATALOGUE[name], SqlBinding.model_validate(table, strict=False))] == []
    with pytest.raises(ValidationError):
        SqlBinding.model_validate(BINDINGS["arrears-query"] | {"statements": {"cons": WRITES[0]}}, strict=False)


def carry_out(world: World) -> None:
    """The marketing system takes its requests, and answers each in the transaction that applies it."""
    with world.engine.begin() as connection:
        waiting = text("SELECT REQ_ID, REQ_DATA FROM INF_REQ WHERE STATUS = '0'")
        for id, data in connection.execute(waiting).fetchall():
            answer = {**json.loads(data), "reqId": id, "acceptTime": "2026-07-15 09:30:00"}
            connection.execute(APPLIED, {"id": id, "answer": json.dumps(answer)})


@pytest.fixture
def least(world: World, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings of a user with the rights that the page asks for, once its tables are there."""
    world.do(*statements("tables.sql"), *ROWS)
    if world.kind == "sqlite":
        return world.settings
    user = f"dmz_{world.engine.url.database}"
    grants = [one.replace("dmz", user) for one in statements(f"{world.kind}.sql")]
    if world.kind == "postgresql":
        url = make_url(world.settings["url"]).set(username=user).difference_update_query(["passfile"])
        request.getfixturevalue("postgres").execute(str(url.database), *grants)
    else:
        server: MariaDb = request.getfixturevalue("mariadb")
        url = make_url(world.settings["url"]).set(username=user)
        with server.administrator() as connection, connection.cursor() as cursor:
            for one in grants:
                one = one.replace("interface.", f"{url.database}.").replace("'10.20.0.5'", "localhost")
                cursor.execute(one)
    file = request.getfixturevalue("tmp_path") / "least.password"
    file.write_text("chosen by the keeper\n")
    return {"url": url.render_as_string(), "password_file": file}


@pytest.mark.parametrize("world", ["sqlite", "postgresql", "mariadb"], indirect=True)
async def test_it_serves_with_the_least_rights(world: World, least: dict[str, Any]) -> None:
    system = OpenSqlSystem("marketing", SqlSystem.model_validate({"adapter": "sql"} | least))
    query, command = (
        system.adapter(one, SqlBinding.model_validate(BINDINGS[one.name], strict=False)) for one in (ARREARS, READING)
    )
    try:
        unpaid = b'[{"month":"2025-12","amount":300,"penalty":40}]'
        expected = b'{"account":"%b","as_of":"2026-01-15","total":340,"unpaid":%b}' % (OWN.encode(), unpaid)
        assert await query.call(asked(), 5) == Answered(expected)
        assert await query.call(asked(account="3210000000009"), 5) == Refused("no-such-account")
        reading = asked(READING, reading="5770", read_on="2026-07-15")
        assert await command.inquire(reading, 5) == Absent()
        call = asyncio.ensure_future(command.call(reading, 5))
        while not call.done():
            await asyncio.sleep(0.01)
            carry_out(world)
        outcome = await call
        assert isinstance(outcome, Answered), outcome
        assert await command.inquire(reading, 5) == outcome
        world.do("UPDATE INF_REQ SET RTN_CODE = '1023', RTN_MSG = '小于上次示数'")
        assert await command.inquire(reading, 5) == Refused("reading-below-last", "小于上次示数")
    finally:
        await system.close()
    if world.kind == "sqlite":
        return  # who may write the file may write all of it
    password = least["password_file"].read_text().strip()
    engine = create_engine(make_url(least["url"]).set(password=password))
    for statement in WRITES:
        with engine.connect() as connection, pytest.raises(DBAPIError, match="denied"):
            connection.exec_driver_sql(statement)
    engine.dispose()

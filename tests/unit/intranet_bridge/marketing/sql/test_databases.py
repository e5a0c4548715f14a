"""The adapter on SQLite, PostgreSQL and MariaDB: what each error is taken for, and that time-outs leave nothing."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from intranet_bridge.marketing import Absent, Answered, Fault, NotApplied, Outcome, Refused, Rejected, Unknown
from intranet_bridge.marketing.sql.binding import SqlSystem
from intranet_bridge.marketing.sql.dialects import dialect_of
from intranet_bridge.marketing.sql.reading import Reading
from scripts.tools.testbed.layout import ROOT
from tests.support.databases import ARREARS, ORDER, World, asked

pytestmark = pytest.mark.anyio
every = pytest.mark.parametrize("world", ["sqlite", "postgresql", "mariadb"], indirect=True)
servers = pytest.mark.parametrize("world", ["postgresql", "mariadb"], indirect=True)
postgresql = pytest.mark.parametrize("world", ["postgresql"], indirect=True)
mariadb = pytest.mark.parametrize("world", ["mariadb"], indirect=True)

OWED = (
    b'{"account":"3210000000001","as_of":null,"total":345,"unpaid":[{"month":"2025-11","amount":5,"penalty":0},'
    b'{"month":"2025-12","amount":300,"penalty":40}]}'
)
DONE = "UPDATE req SET done = 1, no = 'WO0001', at = '2026-07-01 09:30:00' WHERE id = '01a2-req'"
ROW = "INSERT INTO req (id, acct) VALUES ('01a2-req', '3210000000001')"
PAGE = (ROOT / "docs" / "adapters" / "sql.md").read_text(encoding="utf-8")
REGISTERED = Answered(b'{"work_order":"WO0001","accepted_at":"2026-07-01 09:30:00"}')


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Nobody else reads or writes the tables meanwhile."""
    with world.engine.connect() as connection:
        match world.kind:
            case "sqlite":
                connection.exec_driver_sql("BEGIN EXCLUSIVE")
            case "postgresql":
                connection.exec_driver_sql("LOCK TABLE req, owed, bill IN ACCESS EXCLUSIVE MODE")
            case _:
                connection.exec_driver_sql("LOCK TABLES req WRITE, owed WRITE, bill WRITE")
        yield
        if world.kind == "mariadb":
            connection.exec_driver_sql("UNLOCK TABLES")
        connection.rollback()


@every
async def test_the_statements_of_a_query_are_one_answer(world: World) -> None:
    adapter = world.adapter()
    assert await adapter.call(asked(), 5) == Answered(OWED)
    nobody = await adapter.call(asked(account="3210000000009"), 5)
    assert isinstance(nobody, Unknown)
    assert nobody.fault is Fault.ANSWER


@every
async def test_what_is_handed_over_is_data_and_its_result_is_polled(world: World) -> None:
    adapter = world.adapter(ORDER)
    call = asyncio.ensure_future(adapter.call(asked(ORDER), 5))
    rows = await world.handed_over()
    assert rows == [("3210000000001", "停电'); DROP TABLE req; --")]
    world.do(DONE)
    assert await call == REGISTERED
    assert await adapter.inquire(asked(ORDER), 5) == REGISTERED


@every
async def test_a_request_that_was_handed_over_before_is_not_again(world: World) -> None:
    world.do(ROW, DONE)
    adapter = world.adapter(ORDER)
    for _ in range(2):
        assert await adapter.call(asked(ORDER), 5) == REGISTERED
    assert world.rows("SELECT count(*) FROM req") == [(1,)]


@every
async def test_what_is_stored_as_refused_or_not_applied_or_failed_is_found_so(world: World) -> None:
    adapter = world.adapter(ORDER)
    assert await adapter.inquire(asked(ORDER), 5) == Absent()
    world.do(ROW)
    undecided = await adapter.inquire(asked(ORDER), 5)
    assert undecided == Unknown("undecided inquiry")
    world.do("UPDATE req SET done = 1, code = '44', msg = '户号不存在'")
    for outcome in (await adapter.call(asked(ORDER), 5), await adapter.inquire(asked(ORDER), 5)):
        assert outcome == Refused("no-such-account", "户号不存在")
    world.do("UPDATE req SET code = '77'")
    assert await adapter.call(asked(ORDER), 5) == NotApplied("declined for the moment", reached=True)
    assert await adapter.inquire(asked(ORDER), 5) == Absent()
    world.do("UPDATE req SET code = '99'")
    assert await adapter.call(asked(ORDER), 5) == Unknown("failure answer")
    assert await adapter.inquire(asked(ORDER), 5) == Unknown("inquiry: failure answer")


@every
async def test_values_that_do_not_fit_are_rejected(world: World) -> None:
    adapter = world.adapter(ORDER, parameters="{id: request_id, acct: `null`, content: content}")
    outcome = await adapter.call(asked(ORDER), 5)
    code = {"sqlite": "SQLITE_CONSTRAINT_NOTNULL", "postgresql": "23502", "mariadb": "1048"}[world.kind]
    assert outcome == Rejected(f"its values do not fit: IntegrityError {code}")
    assert world.rows("SELECT count(*) FROM req") == [(0,)]


@servers
async def test_a_text_that_is_too_long_is_rejected(world: World) -> None:
    outcome = await world.adapter(ORDER).call(asked(ORDER, content="停" * 41), 5)
    assert isinstance(outcome, Rejected)


@mariadb
async def test_a_server_that_would_cut_what_is_too_long_is_not_let(world: World) -> None:
    """As MySQL does by default before 5.7, MariaDB before 10.2.4: the request would be another than was made."""
    loose = make_url(world.settings["url"]).update_query_dict({"sql_mode": "NO_ENGINE_SUBSTITUTION"})
    adapter = world.adapter(ORDER, world.system(url=loose.render_as_string()))
    assert isinstance(await adapter.call(asked(ORDER, content="停" * 41), 5), Rejected)
    assert world.rows("SELECT count(*) FROM req") == [(0,)]


@mariadb
async def test_gbk_in_a_column_that_says_latin1_is_read_by_the_statement_that_the_page_has(world: World) -> None:
    world.do(
        "CREATE TABLE cons (acct VARCHAR(32) CHARACTER SET ascii PRIMARY KEY, name VARCHAR(80) CHARACTER SET latin1)",
        f"INSERT INTO cons VALUES ('3210000000001', CONVERT(X'{'张三'.encode('gbk').hex()}' USING latin1))",
    )
    said = "CONVERT(CAST(NAME AS BINARY) USING gbk)"
    assert said in PAGE
    reading = Reading({"rows": f"SELECT {said} AS name FROM cons"}, 10, ())
    assert await world.system().read(reading, {}, 5) == {"rows": [{"name": "张三"}]}


@every
async def test_a_statement_that_the_database_does_not_have_is_a_configuration_that_is_wrong(world: World) -> None:
    insert = "INSERT INTO nowhere (id, acct, content) VALUES (:id, :acct, :content)"
    outcome = await world.adapter(ORDER, insert=insert).call(asked(ORDER), 5)
    assert isinstance(outcome, NotApplied)
    assert (outcome.reached, outcome.denied) == (False, True)
    query = await world.adapter(statements={"owed": "SELECT * FROM nowhere WHERE a = :account"}).call(asked(), 5)
    code = {"sqlite": "OperationalError SQLITE_ERROR", "postgresql": "ProgrammingError 42P01"}
    assert query == Unknown(code.get(world.kind, "ProgrammingError 1146"))
    assert query.fault is Fault.INTERFACE


@every
async def test_a_query_cannot_write_and_leaves_its_connection_able_to(world: World) -> None:
    match world.kind:
        case "sqlite":
            statement = "WITH x AS (SELECT 1) INSERT INTO bill (acct) SELECT :account"
        case "postgresql":
            statement = "WITH x AS (INSERT INTO bill (acct) VALUES (:account) RETURNING 1) SELECT * FROM x"
        case _:
            world.do(
                "CREATE FUNCTION writes(acct VARCHAR(32)) RETURNS INT MODIFIES SQL DATA"
                " BEGIN INSERT INTO bill (acct) VALUES (acct); RETURN 1; END"
            )
            statement = "SELECT writes(:account)"
    system = world.system(connections=1)
    writing = world.adapter(ARREARS, system, statements={"owed": statement})
    assert isinstance(await writing.call(asked(), 5), Unknown)
    assert world.rows("SELECT count(*) FROM bill") == [(2,)]
    world.do(ROW, DONE)
    for _ in range(2):
        assert await world.adapter(ORDER, system).call(asked(ORDER), 5) == REGISTERED
        assert isinstance(await writing.call(asked(), 5), Unknown)
    outcome = await world.adapter(ORDER, system).call(asked(ORDER, "another"), 0.3)
    assert isinstance(outcome, Unknown)
    assert outcome.timed_out
    assert world.rows("SELECT count(*) FROM req") == [(2,)]


@every
async def test_the_deadline_is_kept_and_what_waited_for_a_lock_is_not_done_later(world: World) -> None:
    system = world.system(connections=1)
    query, command = world.adapter(ARREARS, system), world.adapter(ORDER, system)
    assert await query.call(asked(), 5) == Answered(OWED)  # and so there is a connection
    with locked(world):
        for adapter, operation in ((query, ARREARS), (command, ORDER)):
            async with asyncio.timeout(20):  # the lock is held until it is over
                outcome = await adapter.call(asked(operation), 0.3)
            # the second may have had no connection: the first's thread is still being broken off
            assert outcome == Unknown("timeout", timed_out=True) or isinstance(outcome, NotApplied)
    assert await query.call(asked(account="3210000000001"), 10) == Answered(OWED)
    assert world.rows("SELECT count(*) FROM req") == [(0,)]
    assert await command.inquire(asked(ORDER), 5) == Absent()


@every
async def test_the_databases_own_time_out_leaves_nothing_applied(world: World) -> None:
    system = world.system(timeout_s=0.4)
    query, command = world.adapter(ARREARS, system), world.adapter(ORDER, system)
    with locked(world):
        outcomes: list[Outcome] = [await query.call(asked(), 20), await command.call(asked(ORDER), 20)]
    assert isinstance(outcomes[0], Unknown)
    assert outcomes[0].timed_out
    assert isinstance(outcomes[1], NotApplied)
    assert outcomes[1].reached
    assert world.rows("SELECT count(*) FROM req") == [(0,)]


@every
async def test_who_finds_no_connection_in_time_has_handed_nothing_over(world: World) -> None:
    system = world.system(connections=1)
    with locked(world):
        first = asyncio.ensure_future(world.adapter(ARREARS, system).call(asked(), 60))
        await asyncio.sleep(0.1)
        outcome = await world.adapter(ORDER, system).call(asked(ORDER), 0.2)
        assert outcome == NotApplied("no free connection", reached=False)
    await first


@every
async def test_what_may_not_be_sent_is_not(world: World) -> None:
    adapter = world.adapter(ORDER)
    outcome = await adapter.call(asked(ORDER, may_send=lambda: False), 5)
    assert outcome == NotApplied("no longer allowed", reached=False)
    assert world.rows("SELECT count(*) FROM req") == [(0,)]


@servers
async def test_what_runs_is_broken_off_when_the_system_is_closed(world: World) -> None:
    system = world.system(connections=2)
    with locked(world):
        calls = [asyncio.ensure_future(world.adapter(ARREARS, system).call(asked(), 600)) for _ in range(3)]
        await asyncio.sleep(0.2)
        async with asyncio.timeout(60):  # a tenth of what the calls have
            await system.close()
    outcomes = await asyncio.gather(*calls)
    assert not any(isinstance(outcome, Answered) for outcome in outcomes), outcomes


def sessions(world: World) -> list[int]:
    """Of the adapter: all but the owner's own."""
    if world.kind == "postgresql":
        found = world.rows("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'")
    else:
        found = world.rows("SELECT id FROM information_schema.processlist WHERE id <> connection_id()")
    return [id for (id,) in found]


def kill(world: World) -> None:
    """The administrator ends the adapter's sessions."""
    world.engine.dispose()
    for id in sessions(world):
        world.do(f"SELECT pg_terminate_backend({id})" if world.kind == "postgresql" else f"KILL {id}")


@servers
async def test_a_kept_connection_that_is_dead_is_replaced(world: World) -> None:
    system = world.system()
    query, command = world.adapter(ARREARS, system), world.adapter(ORDER, system)
    world.do(ROW, DONE)
    for adapter, operation, outcome in ((query, ARREARS, Answered(OWED)), (command, ORDER, REGISTERED)):
        assert await adapter.call(asked(operation), 5) == outcome
        kill(world)
        assert await adapter.call(asked(operation), 5) == outcome
    [made] = [
        value for name, _, _, value in system.samples() if name == "intranet_bridge_marketing_connections_made_total"
    ]
    assert made == 3


@servers
async def test_a_password_that_is_wrong_is_a_denial(world: World, tmp_path: Path) -> None:
    file = tmp_path / "wrong.password"
    file.write_text("wrong-5512907734")
    url = str(world.settings["url"])
    if world.kind == "postgresql":
        url = url.partition("&passfile=")[0]
    system = world.system(url=url, password_file=file)
    outcome = await world.adapter(ORDER, system).call(asked(ORDER), 5)
    assert isinstance(outcome, NotApplied)
    assert (outcome.reached, outcome.denied) == (False, True)
    assert "5512907734" not in repr(outcome) + repr(system)


@servers
async def test_a_right_that_is_missing_is_a_denial(world: World, request: pytest.FixtureRequest) -> None:
    if world.kind == "postgresql":
        world.do("REVOKE INSERT ON req FROM CURRENT_USER")
    else:
        name = world.engine.url.database
        with request.getfixturevalue("mariadb").administrator() as connection, connection.cursor() as cursor:
            cursor.execute(f"REVOKE INSERT ON {name}.* FROM {name}@localhost")
    outcome = await world.adapter(ORDER).call(asked(ORDER), 5)
    assert isinstance(outcome, NotApplied)
    assert (outcome.reached, outcome.denied) == (False, True)


@postgresql
async def test_a_constraint_that_is_checked_at_the_end_is_told_apart(world: World) -> None:
    world.do(
        "ALTER TABLE req DROP CONSTRAINT req_pkey",
        "ALTER TABLE req ADD CONSTRAINT late UNIQUE (id) DEFERRABLE INITIALLY DEFERRED",
        ROW,
        DONE,
    )
    adapter = world.adapter(ORDER)
    assert await adapter.call(asked(ORDER), 5) == REGISTERED
    world.do(
        "DELETE FROM req",
        "ALTER TABLE req ADD FOREIGN KEY (content) REFERENCES owed (acct) DEFERRABLE INITIALLY DEFERRED",
    )
    assert await adapter.call(asked(ORDER), 5) == Rejected("its values do not fit: IntegrityError 23503")
    assert world.rows("SELECT count(*) FROM req") == [(0,)]


@postgresql
async def test_a_trigger_that_says_no_has_applied_nothing(world: World) -> None:
    world.do(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'closed'; END $$",
        "CREATE TRIGGER no BEFORE INSERT ON req FOR EACH ROW EXECUTE FUNCTION no()",
    )
    outcome = await world.adapter(ORDER).call(asked(ORDER), 5)
    assert isinstance(outcome, NotApplied)
    assert outcome.reached


TYPES = {
    "postgresql": """SELECT 12.50::numeric AS a, 3::numeric AS b, TIMESTAMP '2026-03-31 10:30:00' AS c,
        DATE '2026-03-31' AS d, '{"x": [1]}'::jsonb AS e, '\\x61'::bytea AS f, TRUE AS g, 1.5::float8 AS h,
        ARRAY['a', 'b'] AS i, NULL AS j, INTERVAL '2 minutes' AS k""",
    "mariadb": """SELECT CAST(12.50 AS DECIMAL(9, 2)) AS a, CAST(3 AS DECIMAL(9, 0)) AS b,
        TIMESTAMP '2026-03-31 10\\:30\\:00' AS c, DATE '2026-03-31' AS d, '{"x"\\: [1]}' AS e, CAST('a' AS BINARY) AS f,
        1 AS g, 1.5e0 AS h, NULL AS j, CAST('00\\:02\\:00' AS TIME) AS k""",
}


@servers
async def test_types_come_as_they_are_meant(world: World) -> None:
    adapter = world.adapter(
        statement=TYPES[world.kind], statements=None, json_columns=["e"], parameters="{request_id: request_id}"
    )
    assert adapter._query is not None
    answer = await adapter._read(adapter._query, {}, 5)
    [row] = answer["rows"]
    assert row.pop("i", ["a", "b"]) == ["a", "b"]
    assert row.pop("g") == 1
    assert row == {
        "a": "12.50", "b": 3, "c": "2026-03-31 10:30:00", "d": "2026-03-31", "e": {"x": [1]}, "f": "a", "h": 1.5,
        "j": None, "k": 120.0,
    }  # fmt: skip


@mariadb
async def test_a_server_without_tls_is_not_spoken_to_where_tls_is_demanded(world: World) -> None:
    outcome = await world.adapter(ORDER, world.system(tls={})).call(asked(ORDER), 5)
    assert isinstance(outcome, NotApplied)
    assert not outcome.reached
    assert world.rows("SELECT count(*) FROM req") == [(0,)]


@postgresql
async def test_libpq_is_told_to_demand_tls_and_to_check_the_name(world: World, tmp_path: Path) -> None:
    tls = {"ca": tmp_path / "ca.pem", "certificate": tmp_path / "own.pem", "key": tmp_path / "own.key"}
    system = SqlSystem.model_validate({"adapter": "sql", "tls": tls} | world.settings)
    assert dialect_of(system).arguments(system, "") == {
        "connect_timeout": 3, "prepare_threshold": None, "sslmode": "verify-full", "sslrootcert": str(tls["ca"]),
        "sslcert": str(tls["certificate"]), "sslkey": str(tls["key"]),
    }  # fmt: skip

"""The adapter on an SQLite file: what needs no particular database."""

import asyncio
import json
from typing import Any

import pytest

from intranet_bridge.marketing import Absent, Answered, Fault, NotApplied, Outcome, Rejected, Unknown
from intranet_bridge.marketing.kind import Observer
from intranet_bridge.marketing.masking import Mask
from intranet_bridge.marketing.sql.binding import SqlBinding, SqlSystem
from intranet_bridge.marketing.sql.kind import KIND
from protocol.errors import ConfigurationError
from tests.support.databases import ARREARS, COMMAND, ORDER, QUERY, World, asked

pytestmark = pytest.mark.anyio
DONE = (
    "INSERT INTO req (id, acct, done, no, at) VALUES ('01a2-req', 'x', 1, 'WO0001', '2026-07-01 09:30:00')",
    "CREATE TABLE log (req VARCHAR(64), order_no VARCHAR(20), booked VARCHAR(19))",
    "INSERT INTO log VALUES ('01a2-req', 'WO0001', '2026-07-01 09:30:00')",
)
REGISTERED = Answered(b'{"work_order":"WO0001","accepted_at":"2026-07-01 09:30:00"}')


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ("{account: [account]}", "request not mapped: the parameter account: a list"),
        ("{account: {a: account}}", "request not mapped: the parameter account: an object"),
        ("account", "request not mapped: parameters gave no object"),
        ("{account: to_number(abs(account))}", "request not mapped"),
    ],
)
async def test_what_is_no_value_of_a_parameter_is_not_sent(world: World, parameters: str, why: str) -> None:
    outcome = await world.adapter(parameters=parameters).call(asked(), 5)
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith(why)
    assert not outcome.asked


async def test_too_many_rows_are_no_answer(world: World) -> None:
    system = world.system(row_limit=1)
    outcome = await world.adapter(ARREARS, system).call(asked(), 5)
    assert outcome == Unknown("bills: more than 1 rows")
    assert outcome.fault is Fault.ANSWER
    assert isinstance(await world.adapter(ARREARS, world.system(row_limit=2)).call(asked(), 5), Answered)


async def test_an_inquiry_may_have_statements_of_its_own(world: World) -> None:
    world.do(*DONE)
    inquire: dict[str, Any] = {
        "statement": "SELECT req, order_no, booked FROM log WHERE req = :id",
        "found": "rows[0].req != ''",
        "not_found": "length(rows) == `0`",
        "response": "rows[0].{work_order: order_no, accepted_at: booked}",
    }
    adapter = world.adapter(ORDER, request_id="rows[0].req || rows[0].id", inquire=inquire)
    assert await adapter.inquire(asked(ORDER), 5) == REGISTERED
    assert await adapter.inquire(asked(ORDER, "another"), 5) == Absent()
    several = {
        "statements": {"rows": COMMAND["poll"], "log": "SELECT count(*) AS times FROM log WHERE req = :id"},
        "not_found": "log[0].times == `0`",
    }
    adapter = world.adapter(ORDER, inquire=several)
    assert await adapter.inquire(asked(ORDER), 5) == REGISTERED
    assert await adapter.inquire(asked(ORDER, "another"), 5) == Absent()


async def test_an_inquiry_that_fails_decides_nothing(world: World) -> None:
    adapter = world.adapter(ORDER, inquire={"statement": "SELECT 1 FROM nowhere", "not_found": "length(rows) == `0`"})
    outcome = await adapter.inquire(asked(ORDER), 5)
    assert outcome == Unknown("inquiry: OperationalError SQLITE_ERROR")
    outcome = await world.adapter(ORDER, inquire=None).inquire(asked(ORDER), 5)
    assert outcome == Unknown("no inquiry is configured")


async def test_a_result_about_another_request_is_not_believed(world: World) -> None:
    world.do(*DONE)
    adapter = world.adapter(ORDER, poll="SELECT 'another' AS id, done, code, msg, no, at FROM req WHERE id = :id")
    for outcome in (await adapter.call(asked(ORDER), 5), await adapter.inquire(asked(ORDER), 5)):
        assert isinstance(outcome, Unknown)
        assert outcome.fault is Fault.MISMATCH


async def test_polls_go_on_until_it_is_done(world: World) -> None:
    adapter = world.adapter(ORDER)
    call = asyncio.ensure_future(adapter.call(asked(ORDER), 5))
    await world.handed_over()
    world.do("ALTER TABLE req RENAME TO away")  # a poll that fails is repeated
    await asyncio.sleep(0.1)
    assert not call.done()
    world.do("ALTER TABLE away RENAME TO req", "UPDATE req SET done = 1, no = 'WO0001', at = '2026-07-01 09:30:00'")
    assert await call == REGISTERED


async def test_what_is_not_done_in_time_is_unknown_and_says_why(world: World) -> None:
    adapter = world.adapter(ORDER, poll="SELECT id, done FROM nowhere WHERE id = :id")
    outcome = await adapter.call(asked(ORDER), 0.4)
    assert outcome == Unknown("handed over, not done in time; poll: OperationalError SQLITE_ERROR", timed_out=True)
    assert outcome.fault is Fault.INTERFACE


async def test_a_poll_that_does_not_find_what_was_handed_over_is_told(world: World) -> None:
    """As of a key in a column of fixed length, which is filled up with blanks."""
    adapter = world.adapter(ORDER, poll="SELECT id, done FROM req WHERE id || ' ' = :id")
    outcome = await adapter.call(asked(ORDER), 0.4)
    assert outcome == Unknown("handed over, not done in time; the poll finds no row", timed_out=True)
    assert world.rows("SELECT count(*) FROM req") == [(1,)]


async def test_a_file_that_is_not_there_is_not_reached(world: World) -> None:
    file = world.settings["file"]
    system = world.system()
    file.rename(file.with_suffix(".away"))
    outcomes: list[Outcome] = [
        await world.adapter(ARREARS, system).call(asked(), 5), await world.adapter(ORDER, system).call(asked(ORDER), 5)
    ]  # fmt: skip
    for outcome in outcomes:
        assert outcome == NotApplied("no connection: OperationalError SQLITE_CANTOPEN", reached=False)
    assert not file.exists()


# --- intranet-bridge try ---------------------------------------------------------------------------------------


class Heard(Observer):
    """Keeps what it is told."""

    def __init__(self, saved: bytes | None = None) -> None:
        self.mask, self.sends, self.saved, self.inquiry = Mask(show=False), saved is None, saved, False
        self.told: list[str] = []

    def request(self, lines: Any) -> None:
        self.told += [f"request {line}" for line in lines]

    def answer(self, lines: Any) -> None:
        self.told += [f"answer {line}" for line in lines]

    def step(self, name: str, gave: Any) -> None:
        self.told.append(f"{name}: {self.mask.json(gave)}")


async def tried(world: World, heard: Heard, table: dict[str, Any], operation: Any) -> Outcome:
    system = KIND.open("test", SqlSystem.model_validate({"adapter": "sql"} | world.settings), heard)
    try:
        adapter = system.adapter(operation, SqlBinding.model_validate(table))
        return await adapter.call(asked(operation), 0.4)
    finally:
        await system.close()


async def test_a_trial_hears_each_statement_and_no_value(world: World) -> None:
    heard = Heard()
    assert isinstance(await tried(world, heard, QUERY, ARREARS), Answered)
    assert heard.told[:3] == [
        "request SELECT acct, total FROM owed WHERE acct = :account",
        "request SELECT ym, amount, penalty FROM bill WHERE acct = :account ORDER BY ym",
        'request parameters: {"account": "<text of 13>"}',
    ]
    assert heard.told[3].startswith('answer {\n  "owed": [')
    assert "3210000000001" not in "".join(heard.told)


async def test_a_trial_hears_what_polls_give_once(world: World) -> None:
    heard = Heard()
    assert isinstance(await tried(world, heard, COMMAND, ORDER), Unknown)
    assert len([line for line in heard.told if line.startswith("answer")]) == 1
    assert heard.told[-1] == "done: false"


async def test_a_saved_answer_is_judged_in_place_of_the_databases(world: World) -> None:
    row = {"id": "01a2-req", "done": 1, "no": "WO0001", "at": "2026-07-01 09:30:00"}
    assert await tried(world, Heard(json.dumps([row]).encode()), COMMAND, ORDER) == REGISTERED
    outcome = await tried(world, Heard(json.dumps([row | {"done": 0}]).encode()), COMMAND, ORDER)
    assert outcome == Unknown("handed over, not done in time", timed_out=True)
    assert world.rows("SELECT count(*) FROM req") == [(0,)]
    with pytest.raises(ConfigurationError, match="the saved answer is not JSON"):
        await tried(world, Heard(b"<html>"), QUERY, ARREARS)

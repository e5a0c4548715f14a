"""A bridge that keeps answers: what it asks the marketing system, and what it says of that."""

import asyncio
import json
from typing import Any

import pytest

from bridgectl.control import ask as ask_socket
from intranet_bridge.hot_data.hot import HotData
from intranet_bridge.marketing import Answered, Refused, Unknown
from protocol.errors import BridgeError
from protocol.freshness import Freshness, Way, heard
from protocol.lifecycle import State
from protocol.messages import Reply
from tests.unit.intranet_bridge.harness import BILL_BODY, DONE, LOST, ORDER_BODY, Stage, scene, until, wall

BILLS = b'{"account":"3210000000001","bills":[]}'
HOT: dict[str, Any] = {"bill-query": {"lifetime_s": 60, "no_cache": True}}
ORDER = json.dumps(json.loads(ORDER_BODY) | {"account": "3210000000001"}).encode()


async def started(stage: Stage, **changes: Any) -> None:
    stage.changes |= {"hot": {"operations": HOT}} | changes
    stage.marketing["bill-query"].default = Answered(BILLS)
    await stage.start()


async def bills(stage: Stage, **changes: Any) -> Reply:
    id, envelope = stage.envelope("bill-query", **({"body": BILL_BODY} | changes))
    await stage.ask(envelope)
    return await stage.reply(id)


def way(reply: Reply) -> Freshness | None:
    return heard(reply.detail)


@scene
async def test_the_second_query_costs_no_call_and_its_caller_is_told(stage: Stage) -> None:
    await started(stage)
    first, second = await bills(stage), await bills(stage)
    assert way(first) == Freshness(Way.MISS, left_s=59, stored=True)
    hit = way(second)
    assert hit is not None
    assert (hit.way, hit.age_s) == (Way.HIT, 0)
    assert (second.state, second.code, second.result) == (State.SUCCEEDED, "", BILLS)
    assert len(stage.marketing["bill-query"].calls) == 1
    anew = way(await bills(stage, after="no-cache", version=2))
    assert anew is not None
    assert anew.way is Way.REQUEST
    assert len(stage.marketing["bill-query"].calls) == 2


@scene
async def test_queries_in_flight_that_ask_the_same_cost_one_call_and_one_slot(stage: Stage) -> None:
    await started(stage, **{"queries.slots": 2})
    marketing = stage.marketing["bill-query"]
    marketing.gate = asyncio.Event()
    same = [stage.envelope("bill-query", BILL_BODY) for _ in range(50)]
    other = stage.envelope("bill-query", BILL_BODY.replace(b"0001", b"0002"))
    await stage.ask(*(envelope for _, envelope in same))
    await stage.ask(other[1])
    await until(lambda: marketing.running == 2)  # those who wait for the first hold no slot
    assert stage.bridge.queries.in_hand == 2 + 49
    marketing.gate.set()
    replies = [await stage.reply(id) for id, _ in same]
    assert {reply.result for reply in replies} == {BILLS}
    assert sum(reply.detail == Freshness(Way.MISS, collapsed=True).said() for reply in replies) == 49
    assert len(marketing.calls) == 2
    assert stage.bridge.queries.outcomes["bill-query", "succeeded"] == 51


@scene
async def test_nobody_waits_for_a_query_that_ended_without_an_answer(stage: Stage) -> None:
    await started(stage)
    queries, begun, end = stage.bridge.queries, asyncio.Event(), asyncio.Event()
    ask = queries._ask

    async def defect(*_: Any) -> Any:
        begun.set()
        await end.wait()
        raise LookupError

    queries._ask = defect  # type: ignore[method-assign, assignment]
    _, first = stage.envelope("bill-query", BILL_BODY)
    await stage.ask(first)
    await begun.wait()
    joined, second = stage.envelope("bill-query", BILL_BODY)
    await stage.ask(second)
    await until(lambda: stage.bridge.hot.joined == 1)
    queries._ask = ask  # type: ignore[method-assign]
    end.set()
    assert (await stage.reply(joined)).code == "marketing-unavailable"
    assert (await bills(stage)).result == BILLS
    assert stage.bridge.hot.joined == 0


@scene
async def test_a_failure_is_shared_but_not_a_time_out_of_who_had_less_time(stage: Stage) -> None:
    await started(stage)
    marketing = stage.marketing["bill-query"]
    marketing.gate = asyncio.Event()
    marketing.script = [Unknown("HTTP 500")]
    same = [stage.envelope("bill-query", BILL_BODY) for _ in range(3)]
    await stage.ask(*(envelope for _, envelope in same))
    await until(lambda: marketing.running == 1)
    marketing.gate.set()
    assert {(await stage.reply(id)).code for id, _ in same} == {"marketing-failed"}
    assert len(marketing.calls) == 1
    marketing.gate.clear()
    marketing.script = [Unknown("deadline", timed_out=True)]
    short = stage.envelope("bill-query", BILL_BODY, deadline=wall() + 1_000)
    long = [stage.envelope("bill-query", BILL_BODY) for _ in range(2)]
    await stage.ask(short[1], *(envelope for _, envelope in long))
    await until(lambda: marketing.running == 1)
    marketing.gate.set()
    assert (await stage.reply(short[0])).code == "marketing-timeout"
    assert {(await stage.reply(id)).state for id, _ in long} == {State.SUCCEEDED}
    assert len(marketing.calls) == 3


@scene
async def test_who_waits_for_one_that_finds_no_place_is_told_too(stage: Stage) -> None:
    operations = {"bill-query": {"path": "/", "response": "@", "concurrency": 1}}
    await started(stage, operations=operations)
    marketing = stage.marketing["bill-query"]
    marketing.gate = asyncio.Event()
    first = stage.envelope("bill-query", BILL_BODY)
    other = BILL_BODY.replace(b"0001", b"0002")
    second = [stage.envelope("bill-query", other, deadline=wall() + 500) for _ in range(2)]
    await stage.ask(first[1])
    await until(lambda: marketing.running == 1)
    await stage.ask(*(envelope for _, envelope in second))
    assert {(await stage.reply(id)).code for id, _ in second} == {"overloaded"}
    marketing.gate.set()
    assert (await stage.reply(first[0])).state is State.SUCCEEDED
    assert stage.bridge.hot.joined == 0


@scene
async def test_a_refusal_is_asked_for_each_time(stage: Stage) -> None:
    await started(stage)
    stage.marketing["bill-query"].default = Refused("no-such-account", "户号不存在")
    for _ in range(2):
        assert (await bills(stage)).detail == "户号不存在"
    assert len(stage.marketing["bill-query"].calls) == 2


@scene
async def test_a_command_ends_what_is_kept_of_its_account_before_its_reply(stage: Stage) -> None:
    await started(stage)
    await bills(stage)
    id = await stage.command("repeatable", body=ORDER)
    await stage.reply(id)
    stage.marketing["bill-query"].default = Answered(BILLS.replace(b"[]", b'["new"]'))
    assert b"new" in (await bills(stage)).result
    stage.marketing["delicate"].script = [LOST]
    await stage.command("delicate", body=ORDER)
    await until(lambda: stage.bridge.hot.invalidated["command"] == 2)  # its outcome is unknown: it may have changed it
    assert len(stage.marketing["bill-query"].calls) == 2


@scene
async def test_without_hot_operations_nobody_asks_what_is_kept(stage: Stage) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("question", "kept", "join", "begin", "landed", "heard"):
            patch.setattr(HotData, name, None)
        stage.marketing["bill-query"].default = Answered(BILLS)
        await stage.start()
        assert (await bills(stage)).detail == ""
        assert (await stage.reply(await stage.command())).state is State.SUCCEEDED


@scene
async def test_an_operator_sees_and_clears_and_the_audit_does_not_say_whose(stage: Stage) -> None:
    await started(stage, control={"socket": str(stage.folder / "control.sock")})
    await bills(stage)
    await bills(stage)

    async def asked(question: str, **more: Any) -> Any:
        return await asyncio.to_thread(ask_socket, stage.folder / "control.sock", question, 5.0, **more)

    (told,) = (await asked("hot"))["operations"]
    assert (told["operation"], told["kept"], told["hit"], told["miss"]) == ("bill-query", 1, 1, 1)
    assert await asked("clear-hot", operation="bill-query", account="3210000000009") == {"dropped": 0}
    assert await asked("clear-hot", operation="bill-query", account="3210000000001") == {"dropped": 1}
    with pytest.raises(BridgeError, match="no answers of outlets are kept; those that are: bill-query"):
        await asked("clear-hot", operation="outlets")
    records = await stage.bridge.store.read(lambda connection: connection.exec_driver_sql("select * from audit").all())
    assert "clear-cache" in str(records)
    assert "3210000000001" not in str(records)
    assert DONE not in [reply.result for reply in stage.replies]


@scene
async def test_what_is_asked_ahead_is_a_hit_for_who_asks_and_shares_its_call_with_who_asks_meanwhile(
    stage: Stage,
) -> None:
    await started(
        stage, maintenance={"zone": "UTC"}, hot={
            "operations": HOT,
            "prequery": {
                "requests": {"bill-query": {"first_month": "2026-01", "last_month": "2026-06"}},
                "windows": [{"from": "00:00", "to": "00:00"}],
            },
        },
    )  # fmt: skip
    bridge, marketing = stage.bridge, stage.marketing["bill-query"]
    marketing.gate = asyncio.Event()
    bridge.prequery.active.seen("3210000000001")
    turn = asyncio.create_task(bridge.prequery.turn())
    await until(lambda: marketing.running == 1)
    id, envelope = stage.envelope("bill-query", BILL_BODY)
    await stage.ask(envelope)
    await until(lambda: bridge.hot.joined == 1)
    marketing.gate.set()
    assert (await stage.reply(id)).result == BILLS
    await turn
    hit = way(await bills(stage))
    assert hit is not None
    assert (hit.way, len(marketing.calls), bridge.hot.spared["bill-query"]) == (Way.HIT, 1, 1)
    assert bridge.hot.counts["bill-query", "miss"] == 0
    assert bridge.queries.outcomes["bill-query", "succeeded"] == 2
    report = await bridge.hot_administration.report({}, None)  # type: ignore[arg-type]
    assert (report["prequery"]["active"], report["prequery"]["now"]["kept"]) == (1, 1)


@scene
async def test_only_who_has_asked_is_active_and_nothing_is_remembered_unless_it_is_asked_ahead(stage: Stage) -> None:
    await started(stage)
    await bills(stage)
    assert (len(stage.bridge.prequery.active), stage.bridge.prequery.report()) == (0, None)
    await stage.bridge.prequery.turn()
    assert len(stage.marketing["bill-query"].calls) == 1

"""Queries: an answer within the deadline, or a clear problem at once; the database is never touched."""

import asyncio
from typing import cast

import pytest

from protocol import destinations
from protocol.envelope import Kind
from protocol.errors import Overloaded
from protocol.lifecycle import State
from protocol.link.memory import MemoryLink
from protocol.presence import Availability
from tests.unit.clock import Clock
from tests.unit.dmz_front.harness import BILL, QUERY, SHORT_MS, Harness, Say, code_of, problem_of, turns

pytestmark = pytest.mark.anyio

BILLS = b'{"account":"3210000000001","bills":[]}'
ANSWER = Say(result=BILLS)


@pytest.fixture
def harness(harness: Harness) -> Harness:
    harness.bridge.script = lambda _: ANSWER
    return harness


async def waits_in_vain(harness: Harness) -> None:
    harness.alter(QUERY, deadline_ms=SHORT_MS)
    harness.bridge.script = lambda _: None
    await harness.start()


async def test_an_answer_goes_out_byte_for_byte_and_nothing_is_written(harness: Harness) -> None:
    await harness.start()
    before = harness.front.store.commits
    answer = await harness.ask()
    assert answer.status_code == 200
    id = answer.headers["request-id"].encode()
    assert answer.content == b'{"request_id":"%b","status":"succeeded","result":%b}' % (id, BILLS)
    assert answer.headers["content-type"] == "application/json"
    assert harness.front.store.commits == before
    assert len(harness.front.query_waiters) == 0


async def test_what_the_bridge_hears(harness: Harness, clock: Clock) -> None:
    await harness.start()
    await harness.ask()
    await harness.ask(prefer="wait=9")
    first, second = (taken.attributes for taken in harness.bridge.taken)
    assert (first.source, first.type, first.subject) == ("front-1/wechat", QUERY, "")
    assert first.reply_to == destinations.query_replies("front-1")
    assert (first.deadline, second.deadline) == (clock.now + 5_000, clock.now + 9_000)
    assert first.id != second.id
    # the broker may drop what nobody waits for any more
    assert harness.bridge.expiries == [str(clock.now + 5_000), str(clock.now + 9_000)]


async def test_queries_are_not_persistent(harness: Harness) -> None:
    await waits_in_vain(harness)
    await harness.bridge.link.close()
    await harness.ask()
    assert harness.broker.depth(destinations.queries("main")) == 1
    harness.broker.stop()
    assert harness.broker.depth(destinations.queries("main")) == 0


async def test_what_is_asked_at_the_same_moment_shares_a_frame(harness: Harness) -> None:
    await harness.start()
    await asyncio.gather(*(harness.ask() for _ in range(10)))
    assert sum(harness.bridge.frames) == 10
    assert len(harness.bridge.frames) < 10


async def test_each_caller_gets_its_own_answer(harness: Harness) -> None:
    harness.bridge.script = lambda asked: Say(result=b'{"echo":%b}' % asked.payload)
    await harness.start()
    accounts = [f"32100000000{number:02}" for number in range(30)]
    answers = await asyncio.gather(*(harness.ask(BILL | {"account": account}) for account in accounts))
    assert [answer.json()["result"]["echo"]["account"] for answer in answers] == accounts


async def test_a_refusal_is_a_business_answer(harness: Harness) -> None:
    harness.bridge.script = lambda _: Say(State.REFUSED, "no-such-account", "查无此户")
    await harness.start()
    answer = await harness.ask()
    assert answer.status_code == 200
    assert answer.json()["refusal"] == {"code": "no-such-account", "message": "查无此户"}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("marketing-unavailable", 503),
        ("marketing-timeout", 504),
        ("marketing-failed", 502),
        ("marketing-rejected", 502),
        ("overloaded", 503),
        ("invalid-request", 502),
    ],
)
async def test_a_failure_at_the_bridge(harness: Harness, code: str, status: int) -> None:
    harness.bridge.script = lambda _: Say(State.FAILED, code)
    await harness.start()
    answer = await harness.ask()
    assert code_of(answer) == (status, code)
    assert ("retry-after" in answer.headers) is (status == 503)
    assert problem_of(answer)["request_id"] == answer.headers["request-id"]


async def test_no_bridge(harness: Harness) -> None:
    await harness.start(bridge=False)
    answer = await harness.ask()
    assert code_of(answer) == (502, "no-bridge")
    assert answer.headers["retry-after"] == "5"
    assert harness.broker.depth(destinations.queries("main")) == 0


async def test_a_bridge_that_fell_silent_is_no_bridge(harness: Harness, clock: Clock) -> None:
    await harness.start()
    clock.now += 6_999
    assert (await harness.ask()).status_code == 200
    clock.now += 1
    assert code_of(await harness.ask()) == (502, "no-bridge")


async def test_attached_but_not_served(harness: Harness) -> None:
    await harness.start()
    harness.bridge.announce({"arrears-query": Availability.UP})
    await turns()
    assert code_of(await harness.ask()) == (502, "operation-not-served")


async def test_paused(harness: Harness) -> None:
    await harness.start()
    harness.bridge.announce({QUERY: Availability.PAUSED})
    await turns()
    answer = await harness.ask()
    assert code_of(answer) == (503, "operation-paused")
    assert answer.headers["retry-after"] == "5"
    assert harness.bridge.taken == []


async def test_no_answer_in_time(harness: Harness) -> None:
    await waits_in_vain(harness)
    assert code_of(await harness.ask()) == (504, "no-answer-in-time")
    assert len(harness.front.query_waiters) == 0
    # the answer that comes now finds nobody, and harms nobody
    harness.bridge.reply(harness.bridge.taken[0], ANSWER)
    await turns()
    assert harness.front.router.late == 1


async def test_respond_async_and_wait_0_mean_nothing_to_a_query(harness: Harness) -> None:
    await waits_in_vain(harness)
    for prefer in ("respond-async", "wait=0"):
        assert code_of(await harness.ask(prefer=prefer)) == (504, "no-answer-in-time")


async def test_the_bridge_left_while_it_waited(harness: Harness) -> None:
    await waits_in_vain(harness)
    asking = asyncio.ensure_future(harness.ask())
    while not harness.bridge.taken:
        await turns(1)
    harness.bridge.announce({}, leaving=True)
    assert code_of(await asking) == (502, "no-bridge")


async def test_the_link_is_down(harness: Harness) -> None:
    await harness.start()
    harness.broker.stop()
    answer = await harness.ask()
    assert code_of(answer) == (503, "broker-unreachable")
    assert answer.headers["retry-after"] == "5"
    assert len(harness.front.query_waiters) == 0
    harness.broker.start()
    await turns()
    assert (await harness.ask()).status_code == 200


async def test_the_broker_refuses_the_message(harness: Harness) -> None:
    await harness.start()  # the wait is 5 s: this test would be slow if the refusal did not end it
    harness.broker.refused.add(destinations.queries("main"))
    assert code_of(await harness.ask()) == (503, "broker-refused")


async def test_a_lost_receipt_does_not_end_the_wait(harness: Harness) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    harness.broker.swallowed.add(destinations.queries("main"))
    asking = asyncio.ensure_future(harness.ask())
    while not harness.bridge.taken:
        await turns(1)
    # the receipt's outcome is unknown from here on
    cast(MemoryLink, harness.front.links["queries"]).lose("connection lost")
    await turns()
    assert not asking.done()
    harness.bridge.reply(harness.bridge.taken[0], ANSWER)
    assert (await asking).status_code == 200


async def test_too_many_in_flight(harness: Harness) -> None:
    harness.options["limits"] = {"queries_in_flight": 3}
    harness.bridge.script = lambda _: None
    await harness.start()
    asking = [asyncio.ensure_future(harness.ask()) for _ in range(3)]
    while len(harness.bridge.taken) < 3:
        await turns(1)
    answer = await harness.ask()
    assert code_of(answer) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    for taken in harness.bridge.taken:
        harness.bridge.reply(taken, ANSWER)
    assert [one.status_code for one in await asyncio.gather(*asking)] == [200, 200, 200]
    harness.bridge.script = lambda _: ANSWER
    assert (await harness.ask()).status_code == 200


@pytest.mark.parametrize("where", ["post", "send"])
async def test_a_full_send_queue(harness: Harness, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    await harness.start()

    def full(*_: object) -> None:
        raise Overloaded("full")

    front = harness.front
    target = front.links["queries"] if where == "send" else front.api._queries._lane
    monkeypatch.setattr(target, where, full)
    assert code_of(await harness.ask()) == (503, "overloaded")
    assert len(front.query_waiters) == 0


async def test_a_caller_that_goes_away_leaves_no_waiter(harness: Harness) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    asking = asyncio.ensure_future(harness.ask())
    while not harness.bridge.taken:
        await turns(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(harness.front.query_waiters) == 0


async def test_an_answer_for_another_kind_or_an_unknown_id_wakes_nobody(harness: Harness, clock: Clock) -> None:
    await waits_in_vain(harness)
    asking = asyncio.ensure_future(harness.ask())
    while not harness.bridge.taken:
        await turns(1)
    id = harness.bridge.taken[0].attributes.id
    replies = destinations.query_replies("front-1")
    harness.bridge.send(replies, harness.bridge.sealed(id, ANSWER, kind=Kind.PRESENCE))
    harness.bridge.send(replies, harness.bridge.sealed("another", ANSWER))
    assert code_of(await asking) == (504, "no-answer-in-time")
    assert harness.front.router.refused["wrong-kind"] == 1
    assert harness.front.router.late == 1


async def test_a_query_that_would_be_answered_too_late_is_refused_before_it_is_queued(harness: Harness) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    harness.bridge.announce(query_slots=2, query_ms=2_000)  # one a second
    await turns()
    asking = [asyncio.ensure_future(harness.ask()) for _ in range(3)]  # 2 s at once, 3 s for the third
    while len(harness.bridge.taken) < 3:
        await turns(1)
    answer = await harness.ask()  # 4 s: more than 70 % of its 5 s
    assert code_of(answer) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    assert len(harness.bridge.taken) == 3
    assert code_of(await harness.ask(prefer="wait=1")) == (503, "overloaded")  # 4 s, and it has 1
    asking.append(asyncio.ensure_future(harness.ask(prefer="wait=20")))  # who has time is taken
    while len(harness.bridge.taken) < 4:
        await turns(1)
    assert harness.front.queries.shed == 2
    for taken in harness.bridge.taken:
        harness.bridge.reply(taken, ANSWER)
    assert [one.status_code for one in await asyncio.gather(*asking)] == [200] * 4


async def test_a_callers_no_cache_reaches_a_bridge_that_can_hear_it(harness: Harness) -> None:
    await harness.start()
    harness.bridge.script = lambda _: Say(detail="cache hit 12 48 -", result=BILLS)
    answer = await harness.ask(cache_control="max-age=0, No-Cache")
    assert (answer.headers["cache-status"], answer.headers["age"]) == ("intranet-bridge; hit; ttl=48", "12")
    await harness.ask(cache_control="max-age=0")
    await harness.ask()
    versions = [taken.attributes.version for taken in harness.bridge.taken]
    assert [taken.attributes.after for taken in harness.bridge.taken] == [
        "no-cache" if versions[0] > 1 else "", "", "",
    ]  # fmt: skip

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
from tests.unit.dmz_front.stand import BILL, QUERY, SHORT_MS, Say, StandIn, code_of, problem_of, turns

pytestmark = pytest.mark.anyio

BILLS = b'{"account":"3210000000001","bills":[]}'
ANSWER = Say(result=BILLS)


@pytest.fixture
def stand(stand: StandIn) -> StandIn:
    stand.bridge.script = lambda _: ANSWER
    return stand


async def waits_in_vain(stand: StandIn) -> None:
    stand.alter(QUERY, deadline_ms=SHORT_MS)
    stand.bridge.script = lambda _: None
    await stand.start()


async def test_an_answer_goes_out_byte_for_byte_and_nothing_is_written(stand: StandIn) -> None:
    await stand.start()
    before = stand.front.store.commits
    answer = await stand.ask()
    assert answer.status_code == 200
    id = answer.headers["request-id"].encode()
    assert answer.content == b'{"request_id":"%b","status":"succeeded","result":%b}' % (id, BILLS)
    assert answer.headers["content-type"] == "application/json"
    assert stand.front.store.commits == before
    assert len(stand.front.query_waiters) == 0


async def test_what_the_bridge_hears(stand: StandIn, clock: Clock) -> None:
    await stand.start()
    await stand.ask()
    await stand.ask(prefer="wait=9")
    first, second = (taken.attributes for taken in stand.bridge.taken)
    assert (first.source, first.type, first.subject) == ("front-1/wechat", QUERY, "")
    assert first.reply_to == destinations.query_replies("front-1")
    assert (first.deadline, second.deadline) == (clock.now + 5_000, clock.now + 9_000)
    assert first.id != second.id
    # the broker may drop what nobody waits for any more
    assert stand.bridge.expiries == [str(clock.now + 5_000), str(clock.now + 9_000)]


async def test_queries_are_not_persistent(stand: StandIn) -> None:
    await waits_in_vain(stand)
    await stand.bridge.link.close()
    await stand.ask()
    assert stand.broker.depth(destinations.queries("main")) == 1
    stand.broker.stop()
    assert stand.broker.depth(destinations.queries("main")) == 0


async def test_what_is_asked_at_the_same_moment_shares_a_frame(stand: StandIn) -> None:
    await stand.start()
    await asyncio.gather(*(stand.ask() for _ in range(10)))
    assert sum(stand.bridge.frames) == 10
    assert len(stand.bridge.frames) < 10


async def test_each_caller_gets_its_own_answer(stand: StandIn) -> None:
    stand.bridge.script = lambda asked: Say(result=b'{"echo":%b}' % asked.payload)
    await stand.start()
    accounts = [f"32100000000{number:02}" for number in range(30)]
    answers = await asyncio.gather(*(stand.ask(BILL | {"account": account}) for account in accounts))
    assert [answer.json()["result"]["echo"]["account"] for answer in answers] == accounts


async def test_a_refusal_is_a_business_answer(stand: StandIn) -> None:
    stand.bridge.script = lambda _: Say(State.REFUSED, "no-such-account", "查无此户")
    await stand.start()
    answer = await stand.ask()
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
async def test_a_failure_at_the_bridge(stand: StandIn, code: str, status: int) -> None:
    stand.bridge.script = lambda _: Say(State.FAILED, code)
    await stand.start()
    answer = await stand.ask()
    assert code_of(answer) == (status, code)
    assert ("retry-after" in answer.headers) is (status == 503)
    assert problem_of(answer)["request_id"] == answer.headers["request-id"]


async def test_no_bridge(stand: StandIn) -> None:
    await stand.start(bridge=False)
    answer = await stand.ask()
    assert code_of(answer) == (502, "no-bridge")
    assert answer.headers["retry-after"] == "5"
    assert stand.broker.depth(destinations.queries("main")) == 0


async def test_a_bridge_that_fell_silent_is_no_bridge(stand: StandIn, clock: Clock) -> None:
    await stand.start()
    clock.now += 6_999
    assert (await stand.ask()).status_code == 200
    clock.now += 1
    assert code_of(await stand.ask()) == (502, "no-bridge")


async def test_attached_but_not_served(stand: StandIn) -> None:
    await stand.start()
    stand.bridge.announce({"arrears-query": Availability.UP})
    await turns()
    assert code_of(await stand.ask()) == (502, "operation-not-served")


async def test_paused(stand: StandIn) -> None:
    await stand.start()
    stand.bridge.announce({QUERY: Availability.PAUSED})
    await turns()
    answer = await stand.ask()
    assert code_of(answer) == (503, "operation-paused")
    assert answer.headers["retry-after"] == "5"
    assert stand.bridge.taken == []


async def test_no_answer_in_time(stand: StandIn) -> None:
    await waits_in_vain(stand)
    assert code_of(await stand.ask()) == (504, "no-answer-in-time")
    assert len(stand.front.query_waiters) == 0
    # the answer that comes now finds nobody, and harms nobody
    stand.bridge.reply(stand.bridge.taken[0], ANSWER)
    await turns()
    assert stand.front.router.late == 1


async def test_respond_async_and_wait_0_mean_nothing_to_a_query(stand: StandIn) -> None:
    await waits_in_vain(stand)
    for prefer in ("respond-async", "wait=0"):
        assert code_of(await stand.ask(prefer=prefer)) == (504, "no-answer-in-time")


async def test_the_bridge_left_while_it_waited(stand: StandIn) -> None:
    await waits_in_vain(stand)
    asking = asyncio.ensure_future(stand.ask())
    while not stand.bridge.taken:
        await turns(1)
    stand.bridge.announce({}, leaving=True)
    assert code_of(await asking) == (502, "no-bridge")


async def test_the_link_is_down(stand: StandIn) -> None:
    await stand.start()
    stand.broker.stop()
    answer = await stand.ask()
    assert code_of(answer) == (503, "broker-unreachable")
    assert answer.headers["retry-after"] == "5"
    assert len(stand.front.query_waiters) == 0
    stand.broker.start()
    await turns()
    assert (await stand.ask()).status_code == 200


async def test_the_broker_refuses_the_message(stand: StandIn) -> None:
    await stand.start()  # the wait is 5 s: this test would be slow if the refusal did not end it
    stand.broker.refused.add(destinations.queries("main"))
    assert code_of(await stand.ask()) == (503, "broker-refused")


async def test_a_lost_receipt_does_not_end_the_wait(stand: StandIn) -> None:
    stand.bridge.script = lambda _: None
    await stand.start()
    stand.broker.swallowed.add(destinations.queries("main"))
    asking = asyncio.ensure_future(stand.ask())
    while not stand.bridge.taken:
        await turns(1)
    cast(MemoryLink, stand.front.query_link).lose("connection lost")  # the receipt's outcome is unknown from here on
    await turns()
    assert not asking.done()
    stand.bridge.reply(stand.bridge.taken[0], ANSWER)
    assert (await asking).status_code == 200


async def test_too_many_in_flight(stand: StandIn) -> None:
    stand.options["limits"] = {"queries_in_flight": 3}
    stand.bridge.script = lambda _: None
    await stand.start()
    asking = [asyncio.ensure_future(stand.ask()) for _ in range(3)]
    while len(stand.bridge.taken) < 3:
        await turns(1)
    answer = await stand.ask()
    assert code_of(answer) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    for taken in stand.bridge.taken:
        stand.bridge.reply(taken, ANSWER)
    assert [one.status_code for one in await asyncio.gather(*asking)] == [200, 200, 200]
    stand.bridge.script = lambda _: ANSWER
    assert (await stand.ask()).status_code == 200


@pytest.mark.parametrize("where", ["post", "send"])
async def test_a_full_send_queue(stand: StandIn, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    await stand.start()

    def full(*_: object) -> None:
        raise Overloaded("full")

    front = stand.front
    target = front.query_link if where == "send" else front.api._queries._lane
    monkeypatch.setattr(target, where, full)
    assert code_of(await stand.ask()) == (503, "overloaded")
    assert len(front.query_waiters) == 0


async def test_a_caller_that_goes_away_leaves_no_waiter(stand: StandIn) -> None:
    stand.bridge.script = lambda _: None
    await stand.start()
    asking = asyncio.ensure_future(stand.ask())
    while not stand.bridge.taken:
        await turns(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(stand.front.query_waiters) == 0


async def test_an_answer_for_another_kind_or_an_unknown_id_wakes_nobody(stand: StandIn, clock: Clock) -> None:
    await waits_in_vain(stand)
    asking = asyncio.ensure_future(stand.ask())
    while not stand.bridge.taken:
        await turns(1)
    id = stand.bridge.taken[0].attributes.id
    replies = destinations.query_replies("front-1")
    stand.bridge.send(replies, stand.bridge.sealed(id, ANSWER, kind=Kind.PRESENCE))
    stand.bridge.send(replies, stand.bridge.sealed("another", ANSWER))
    assert code_of(await asking) == (504, "no-answer-in-time")
    assert stand.front.router.refused["wrong-kind"] == 1
    assert stand.front.router.late == 1


async def test_a_query_that_would_be_answered_too_late_is_refused_before_it_is_queued(stand: StandIn) -> None:
    stand.bridge.script = lambda _: None
    await stand.start()
    stand.bridge.announce(query_slots=2, query_ms=2_000)  # one a second
    await turns()
    asking = [asyncio.ensure_future(stand.ask()) for _ in range(3)]  # 2 s at once, 3 s for the third
    while len(stand.bridge.taken) < 3:
        await turns(1)
    answer = await stand.ask()  # 4 s: more than 70 % of its 5 s
    assert code_of(answer) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    assert len(stand.bridge.taken) == 3
    assert code_of(await stand.ask(prefer="wait=1")) == (503, "overloaded")  # 4 s, and it has 1
    asking.append(asyncio.ensure_future(stand.ask(prefer="wait=20")))  # who has time is taken
    while len(stand.bridge.taken) < 4:
        await turns(1)
    assert stand.front.queries.shed == 2
    for taken in stand.bridge.taken:
        stand.bridge.reply(taken, ANSWER)
    assert [one.status_code for one in await asyncio.gather(*asking)] == [200] * 4

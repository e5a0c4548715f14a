"""A front whose operations are paused, by a bridge or by itself: what callers are told, and what is sent when."""

import asyncio

import pytest

from protocol.lifecycle import State
from protocol.maintenance import Pause
from protocol.operations import OFFERED
from protocol.presence import Availability
from protocol.runtime.control import Peer
from tests.unit.clock import Clock
from tests.unit.dmz_front.harness import COMMAND, DONE, ORDER, QUERY, Harness, code_of, turns

pytestmark = pytest.mark.anyio

ROOT = Peer(0, 1)
NO_WAIT = {"prefer": "respond-async"}


async def told(harness: Harness, *names: str, until: int) -> None:
    """The bridge says that these are paused."""
    operations = {name: Availability.PAUSED if name in names else Availability.UP for name in OFFERED}
    pause = Pause(operations=names, since=1, until=until, by="ops")
    harness.bridge.announce(operations, maintenance=(pause,) if names else ())
    await turns()


async def test_a_query_is_told_when_it_is_over(harness: Harness, clock: Clock) -> None:
    await harness.start()
    await told(harness, QUERY, until=clock.now + 90_000)
    answer = await harness.ask()
    assert code_of(answer) == (503, "maintenance")
    assert answer.headers["retry-after"] == "90"
    assert harness.bridge.taken == []
    await told(harness, until=0)
    assert (await harness.ask()).status_code == 200


async def test_commands_are_accepted_and_sent_to_the_bridge_that_keeps_them(harness: Harness, clock: Clock) -> None:
    await harness.start()
    harness.bridge.script = lambda _: None
    await told(harness, COMMAND, until=clock.now + 90_000)
    assert (await harness.order()).status_code == 202
    await harness.settle()
    assert len(harness.bridge.taken) == 1
    report = await harness.front.ledger.report(harness.front.bridges.maintained())
    assert (report.by_state, report.oldest_unfinished) == ({"sent": 1}, 0)


async def test_commands_are_refused_where_it_is_configured_so_and_known_keys_are_answered(
    harness: Harness, clock: Clock
) -> None:
    harness.options = {"maintenance": {"commands": "refuse"}}
    await harness.start()
    known = await harness.order(key="known")
    await told(harness, COMMAND, until=clock.now + 90_000)
    assert (await harness.order(key="known")).content == known.content
    answer = await harness.order(key="new")
    assert code_of(answer) == (503, "maintenance")
    assert answer.headers["retry-after"] == "90"
    assert await harness.front.ledger.counts() == {"succeeded": 1}


async def test_a_front_that_pauses_by_itself_keeps_what_is_paused_and_what_comes_after_it(
    harness: Harness, clock: Clock
) -> None:
    await harness.start()
    await harness.front.maintenance.pause({"operations": [COMMAND], "until": clock.now + 60_000}, ROOT)
    reading = dict(OFFERED["meter-reading-submit"].example)
    mine, others = ORDER["account"], "3210000000099"
    assert (await harness.order(key="a", **NO_WAIT)).status_code == 202
    for key, account in (("b", mine), ("c", others)):
        body = reading | {"account": account}
        answer = await harness.call("POST", "/v1/meter-reading-submit", body, idempotency_key=key, **NO_WAIT)
        assert answer.status_code == 202
    await harness.front.outbox.sweep()
    await harness.settle()
    assert [taken.attributes.type for taken in harness.bridge.taken] == ["meter-reading-submit"]  # of the other account
    assert await harness.front.administration.resend({}, ROOT) == {"sent": 0, "more": False}
    clock.now += 60_000
    await harness.front.maintenance.look()
    await harness.front._sweeping
    await harness.settle()
    assert [taken.attributes.type for taken in harness.bridge.taken] == [
        "meter-reading-submit",
        COMMAND,
        "meter-reading-submit",
    ]
    assert await harness.front.ledger.counts() == {State.SUCCEEDED: 3}


async def test_a_fronts_own_pause_outlasts_it(harness: Harness) -> None:
    await harness.start()
    await harness.front.maintenance.pause({"every": True}, ROOT)
    await harness.restart()
    await harness.front.maintenance.look()
    answer = await harness.ask()
    assert code_of(answer) == (503, "maintenance")
    assert answer.headers["retry-after"] == "60"
    await harness.front.maintenance.resume({"every": True}, ROOT)
    assert (await harness.ask()).status_code == 200


async def test_the_report_says_it(harness: Harness, clock: Clock) -> None:
    await harness.start()
    await told(harness, QUERY, until=clock.now + 90_000)
    await harness.front.maintenance.pause({"operations": [COMMAND]}, ROOT)
    report = await harness.front.reporter.report({}, ROOT)
    assert [pause["operations"] for pause in report["maintenance"]] == [[COMMAND]]  # type: ignore[attr-defined]
    assert report["bridges"][0]["maintenance"][0]["operations"] == [QUERY]  # type: ignore[index]


async def test_a_drained_front_answers_who_waits_and_takes_nothing_new(harness: Harness) -> None:
    await harness.start()
    harness.front.draining.ready = True
    harness.bridge.script = lambda _: None
    waiting = asyncio.get_running_loop().create_task(harness.order(prefer="wait=20"))
    while not harness.bridge.taken:  # noqa: ASYNC110 - the store's thread is in between
        await asyncio.sleep(0.002)
    told = await harness.front.draining.drain({}, ROOT)
    assert (told["safe"], told["drain"]["by"], told["drain"]["running"]["commands"]) == (False, "root", 1)
    assert code_of(await harness.ask()) == (503, "shutting-down")
    assert harness.front.readiness()["accepting"] == "draining"
    harness.bridge.reply(harness.bridge.taken[-1], DONE)
    assert (await waiting).status_code == 200
    await harness.settle()
    assert (await harness.front.draining.drain({"look": True}, ROOT))["safe"]
    assert (await harness.front.draining.drain({"undo": True}, ROOT))["drain"] is None
    harness.bridge.script = lambda _: DONE
    assert (await harness.ask()).status_code == 200

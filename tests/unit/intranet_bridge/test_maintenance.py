"""A bridge whose operations are paused: nothing is called; commands wait, keep their order, outlast a restart."""

import asyncio
from typing import Any

import pytest

from intranet_bridge.marketing import NotApplied
from protocol.destinations import commands, queries
from protocol.errors import BridgeError
from protocol.lifecycle import State
from protocol.messages import Reply
from protocol.presence import Availability
from protocol.runtime.control import Peer
from tests.unit.intranet_bridge.harness import BILL_BODY, Stage, scene, until, wall

ROOT = Peer(0, 1)
QUEUES = (queries("main"), commands("main"))


async def pause(stage: Stage, *names: str, until: int = 0) -> None:
    question = {"operations": names, "every": not names, "until": until, "reason": "new release"}
    await stage.bridge.maintenance.pause(question, ROOT)


async def resume(stage: Stage, *names: str) -> None:
    await stage.bridge.maintenance.resume({"operations": names, "every": not names}, ROOT)


@scene
async def test_commands_wait_over_a_restart_and_go_on_in_their_order(stage: Stage) -> None:
    await stage.start()
    await pause(stage, "work-order")
    first = await stage.command(subject="s")
    await stage.until_state(first, "received")
    second = await stage.command(subject="s")
    other = await stage.command("repeatable", subject="s")
    await stage.until_state(second, "received")
    await stage.until_state(other, "received")
    await stage.kill()
    bridge = await stage.start()
    assert [pause.operations for pause in bridge.maintenance.pauses] == [("work-order",)]
    await asyncio.sleep(0.2)
    assert stage.marketing["work-order"].calls == []
    assert stage.marketing["repeatable"].calls == []  # it came after them
    await resume(stage, "work-order")
    for id in (first, second, other):
        assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [first, second]


@scene
async def test_what_is_not_paused_goes_on(stage: Stage) -> None:
    await stage.start()
    await pause(stage, "work-order")
    assert (await stage.reply(await stage.command("repeatable"))).state is State.SUCCEEDED


@scene
async def test_a_pause_ends_at_its_time(stage: Stage) -> None:
    await stage.start()
    await pause(stage, "work-order", until=wall() + 300)
    id = await stage.command()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert [stage.marketing["work-order"].calls, stage.bridge.maintenance.pauses] == [[id], ()]


@scene
async def test_a_query_that_comes_all_the_same_is_answered_without_a_call(stage: Stage) -> None:
    await stage.start()
    await pause(stage)
    id, envelope = stage.envelope("bill-query", BILL_BODY)
    await stage.ask(envelope)
    reply: Reply = await stage.reply(id)
    assert (reply.state, reply.code) == (State.FAILED, "marketing-unavailable")
    assert stage.marketing["bill-query"].calls == []


@scene
async def test_presence_says_what_is_paused_and_older_fronts_take_it_for_paused(stage: Stage) -> None:
    await stage.start()
    await until(lambda: stage.presences)
    await pause(stage, "bill-query", until=wall() + 60_000)
    await until(lambda: stage.presences[-1].maintenance)
    told = stage.presences[-1]
    [paused] = told.maintenance
    assert (paused.operations, paused.by, paused.reason) == (("bill-query",), "root", "new release")
    assert told.operations["bill-query"] is Availability.PAUSED
    assert told.operations["work-order"] is Availability.UP
    await resume(stage, "bill-query")
    await until(lambda: not stage.presences[-1].maintenance)
    assert stage.presences[-1].operations["bill-query"] is Availability.UP


@scene
async def test_a_held_command_of_a_paused_operation_is_not_asked_about(stage: Stage) -> None:
    bridge = await stage.start()
    await pause(stage, "work-order")
    asked = bridge.administration._calls
    found = await asked.inquire("work-order", asked.request("x", None, ""))
    assert (repr(found), stage.marketing["work-order"].inquiries) == (
        "Unknown(reason='paused for maintenance', timed_out=False, fault=<Fault.INTERFACE: 'interface'>)", [],
    )  # fmt: skip


@scene
async def test_what_waits_for_the_end_of_a_pause_is_not_told_as_waiting_for_long(stage: Stage) -> None:
    bridge = await stage.start()
    await pause(stage, "work-order")
    id = await stage.command()
    await stage.until_state(id, "received")
    report = await bridge.inbox.report()
    assert (report.by_state, report.oldest_unfinished) == ({"received": 1}, 0)
    await resume(stage)
    await stage.reply(id)


async def drain(stage: Stage, **question: bool) -> tuple[bool, dict[str, int]]:
    told = await stage.bridge.draining.drain(question, ROOT)
    return told["safe"], told["drain"]["running"] if told["drain"] else {}


@scene
async def test_a_drained_bridge_finishes_what_runs_leaves_the_rest_and_takes_it_all_again(stage: Stage) -> None:
    await stage.start()
    stage.marketing["work-order"].gate = asyncio.Event()
    running = await stage.command()
    await until(lambda: stage.marketing["work-order"].calls)
    assert await drain(stage) == (False, {"queries": 0, "commands": 1, "replies": 0})
    await until(lambda: stage.presences[-1].leaving)
    later = await stage.command("repeatable")
    id, envelope = stage.envelope("bill-query", BILL_BODY)
    await stage.ask(envelope)
    stage.marketing["work-order"].gate.set()
    assert (await stage.reply(running)).state is State.SUCCEEDED
    await stage.until_replied(running)
    assert await drain(stage, look=True) == (True, {"queries": 0, "commands": 0, "replies": 0})
    assert [stage.broker.depth(queue) for queue in QUEUES] == [1, 1]
    assert stage.marketing["repeatable"].calls == stage.marketing["bill-query"].calls == []
    assert await drain(stage, undo=True) == (False, {})
    for one in (later, id):
        assert (await stage.reply(one)).state is State.SUCCEEDED
    await until(lambda: not stage.presences[-1].leaving)


@scene
async def test_commands_of_the_inbox_are_not_begun_by_a_drained_bridge(stage: Stage) -> None:
    await stage.start()
    await pause(stage, "work-order")
    id = await stage.command()
    await stage.until_state(id, "received")
    await drain(stage)
    await resume(stage)
    await asyncio.sleep(0.1)
    assert (stage.marketing["work-order"].calls, await stage.state(id)) == ([], "received")
    await drain(stage, undo=True)
    assert (await stage.reply(id)).state is State.SUCCEEDED


@scene
async def test_a_bridge_that_is_stopping_is_not_drained(stage: Stage) -> None:
    await stage.start()
    stage.bridge.draining.ready = False
    with pytest.raises(BridgeError, match="starting or stopping"):
        await drain(stage)
    assert await drain(stage, look=True) == (False, {})


@scene
async def test_an_administrator_closes_a_circuit_and_what_waited_goes_on(stage: Stage) -> None:
    stage.changes["breaker"] = {"failures": 1, "open_min_s": 60, "open_max_s": 60}
    stage.marketing["work-order"].script = [NotApplied("connect: Connection refused", reached=False)]
    bridge = await stage.start()
    id = await stage.command()
    await until(lambda: bridge.health["work-order"].opened_at)
    [report] = [one for one in (await _report(stage))["interfaces"] if one["operation"] == "work-order"]
    assert (report["circuit"], report["fault"], report["reason"]) == (
        "open",
        "interface",
        "connect: Connection refused",
    )
    assert 0 < report["next_probe"] - wall() <= 60_000
    assert abs(report["opened"] - wall()) < 30_000
    await bridge.circuits.close({"operation": "work-order"}, ROOT)
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert bridge.health["work-order"].opened_at == 0
    with pytest.raises(BridgeError, match="is not bound here"):
        await bridge.circuits.close({"operation": "nothing"}, ROOT)


async def _report(stage: Stage) -> dict[str, Any]:
    return dict(await stage.bridge.reporter.report({}, ROOT))

"""A front that was taken over, with its keys, at a bridge: what it asks beyond its ceilings is stopped and told."""

import asyncio
import json
from typing import Any
from unittest.mock import patch

from intranet_bridge.commands import workers
from intranet_bridge.marketing import Answered
from protocol.destinations import queries
from protocol.lifecycle import State
from protocol.messages import retry_after_of
from tests.unit.intranet_bridge.harness import BILL_BODY, DONE, Stage, scene, until

_FIELDS = {"type": "fault-repair", "account": "#", "contact_name": "张伟", "contact_phone": "13800000001"}
ORDER = json.dumps(_FIELDS | {"address": "人民路1号", "content": "家里没电了"}).encode()
CITY: dict[str, Any] = {"front-1": {"applications": {"test": {}}}}


def bill(stage: Stage, account: int, **changes: Any) -> tuple[str, bytes]:
    return stage.envelope("bill-query", BILL_BODY.replace(b"3210000000001", b"%013d" % account), **changes)


def order(stage: Stage, account: int = 1, **changes: Any) -> tuple[str, bytes]:
    return stage.envelope("work-order", ORDER.replace(b"#", b"%013d" % account), **changes)


@scene
async def test_accounts_beyond_the_ceiling_are_not_asked(stage: Stage) -> None:
    stage.changes |= {"ceilings.application_accounts": 20, "fronts": CITY}
    stage.marketing["bill-query"].default = Answered(b"{}")
    await stage.start()
    asked = [bill(stage, number) for number in range(200)]
    for at in range(0, 200, 50):
        await stage.ask(*(envelope for _, envelope in asked[at : at + 50]))
    replies = [await stage.reply(id) for id, _ in asked]
    refused = [reply for reply in replies if reply.state is State.FAILED]
    assert (len(stage.marketing["bill-query"].calls), len(refused)) == (20, 180)
    assert {reply.code for reply in refused} == {"ceiling-met"}
    assert all(0 < (retry_after_of(reply) or 0) <= 3600 for reply in refused)
    (told,) = stage.bridge.ceilings.report()
    assert (told.front, told.application, told.ceiling, told.limit, told.count) == (
        "front-1",
        "test",
        "accounts",
        20,
        180,
    )


@scene
async def test_orders_of_an_application_that_does_not_exist_are_failed_and_never_called(stage: Stage) -> None:
    stage.changes |= {"fronts": CITY}
    await stage.start()
    ids = []
    for at in range(20):
        several = [order(stage, at, source="front-1/ghost") for _ in range(10)]
        ids += [id for id, _ in several]
        await stage.send(*(envelope for _, envelope in several))
    replies = [await stage.reply(id) for id in ids]
    assert {(reply.state, reply.code) for reply in replies} == {(State.FAILED, "not-admitted")}
    assert stage.marketing["work-order"].calls == []
    row = await stage.row(ids[0])
    assert (row.state, row.source, row.envelope) == ("failed", "front-1/ghost", b"")
    honest, envelope = order(stage)
    await stage.send(envelope)
    assert (await stage.reply(honest)).state is State.SUCCEEDED
    query = stage.envelope("bill-query", BILL_BODY, source="front-1/ghost")
    await stage.ask(query[1])
    reply = await stage.reply(query[0])
    assert (reply.state, reply.code, retry_after_of(reply)) == (State.FAILED, "not-admitted", None)


@scene
async def test_what_would_be_answered_to_another_front_is_set_aside(stage: Stage) -> None:
    stage.changes |= {"fronts": CITY}
    await stage.start()
    await stage.send(order(stage, reply_to="/queue/bridge.reply.command.front-9")[1])
    await stage.send(order(stage, source="front-9/test", reply_to="/queue/bridge.reply.command.front-9")[1])
    await until(lambda: len(stage.dead_letters) == 2)
    assert {letter.headers["reason"] for letter in stage.dead_letters} == {"not-admitted"}
    assert b"sha256" in stage.dead_letters[0].body  # a digest: it fills no disk
    await stage.ask(bill(stage, 1, source="front-9/test", reply_to="/queue/bridge.reply.query.front-9")[1])
    await until(lambda: stage.bridge.queries.dropped["not-admitted"] == 1)
    await until(lambda: stage.broker.depth(queries("main")) == 0)


@scene
async def test_commands_beyond_a_rate_wait_for_their_turn_and_are_done(stage: Stage) -> None:
    stage.changes |= {"ceilings.application_rate": 20, "ceilings.burst_s": 0}
    await stage.start()
    loop = asyncio.get_running_loop()
    several = [order(stage, number) for number in range(11)]
    began = loop.time()
    await stage.send(*(envelope for _, envelope in several))
    replies = [await stage.reply(id) for id, _ in several]
    assert loop.time() - began >= 0.5
    assert {reply.state for reply in replies} == {State.SUCCEEDED}
    assert stage.bridge.ceilings.report()[0].ceiling == "rate"


@scene
async def test_commands_about_too_many_accounts_wait_over_a_restart_too(stage: Stage) -> None:
    stage.changes |= {"ceilings.application_accounts": 3}
    await stage.start()
    several = [order(stage, number) for number in range(10)]
    await stage.send(*(envelope for _, envelope in several))
    await until(lambda: stage.bridge.ceilings.report() and stage.bridge.ceilings.report()[0].count == 7)
    await until(lambda: len(stage.marketing["work-order"].calls) == 3)
    for id in stage.marketing["work-order"].calls:
        await stage.until_replied(id)
    await stage.kill()
    stage.changes |= {"ceilings.application_accounts": 1}
    stage.marketing["work-order"].default = Answered(DONE)
    await stage.start()
    await until(lambda: stage.bridge.ceilings.report() and stage.bridge.ceilings.report()[0].count == 6)
    await until(lambda: len(stage.marketing["work-order"].calls) == 4)
    await stage.until_replied(stage.marketing["work-order"].calls[-1])
    states = [await stage.state(id) for id, _ in several]
    assert sorted(map(str, states)) == ["received"] * 6 + ["succeeded"] * 4


@scene
async def test_a_command_is_read_once_for_its_ceilings_and_its_call(stage: Stage) -> None:
    await stage.start()
    with patch.object(workers, "_read", wraps=workers._read) as read:
        id, envelope = order(stage, 1)
        await stage.send(envelope)
        assert (await stage.reply(id)).state is State.SUCCEEDED
    assert (stage.marketing["work-order"].calls, read.call_count) == ([id], 1)


@scene
async def test_a_decision_of_a_front_nobody_knows_is_set_aside(stage: Stage) -> None:
    stage.changes |= {"fronts": CITY}
    await stage.start()
    _, envelope = stage.envelope(
        "decision", b"{}", source="front-9/operator", reply_to="/queue/bridge.reply.command.front-1"
    )
    await stage.send(envelope)
    await until(lambda: len(stage.dead_letters) == 1)
    assert stage.dead_letters[0].headers["reason"] == "not-admitted"

"""Commands the bridge dies of: tried three times, alone from the second time on, then held. Real SIGKILLs in forks."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import update

from intranet_bridge.inbox.rows import INBOX
from intranet_bridge.marketing import Unknown
from protocol.lifecycle import State
from tests.unit.intranet_bridge.harness import Stage, until


@pytest.mark.parametrize("operation", ["work-order", "repeatable"])
def test_the_guilty_one_alone_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    """Twenty are in hand at the first death."""
    stage = Stage(tmp_path, monkeypatch)
    sent = [stage.envelope(operation) for _ in range(20)]
    guilty, envelopes = sent[7][0], [envelope for _, envelope in sent]

    async def afterwards() -> None:
        await stage.open()
        bridge = await stage.start()
        await stage.send(*envelopes)
        for id, _ in sent:
            reply = await stage.reply(id, 20)
            expected = (State.HELD, "kills-worker") if id == guilty else (State.SUCCEEDED, "")
            assert (reply.state, reply.code) == expected
        row = await stage.row(guilty)
        assert (row.state, row.code, row.crashes) == ("held", "kills-worker", 3)
        assert guilty not in stage.marketing[operation].calls
        assert bridge.workers.set_aside == 1
        await stage.kill()

    for _ in range(3):
        stage.dies_at(f"bridge.called:id={guilty}", *envelopes)
    asyncio.run(afterwards())


def test_one_that_kills_whoever_inquires_about_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, monkeypatch)
    stage.marketing["work-order"].script = [Unknown("lost")]
    id, envelope = stage.envelope()

    async def afterwards() -> None:
        await stage.open()
        await stage.start()
        assert (await stage.reply(id, 20)).code == "kills-worker"
        assert not stage.marketing["work-order"].inquiries
        await stage.kill()

    for _ in range(3):
        stage.dies_at("bridge.inquired", envelope)
    asyncio.run(afterwards())


def test_an_operator_may_have_it_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And then it has three lives again."""
    stage = Stage(tmp_path, monkeypatch)
    id, envelope = stage.envelope()

    async def afterwards() -> None:
        await stage.open()
        await stage.start()
        assert (await stage.reply(id, 20)).code == "kills-worker"
        statement = update(INBOX).where(INBOX.c.id == id, INBOX.c.state == "held")
        statement = statement.values(state="received", decided_at=1, note="the adapter is mended")
        await stage.bridge.store.write(lambda connection: connection.execute(statement))
        await stage.until_state(id, "succeeded", 20)
        assert (await stage.row(id)).crashes == 0
        await stage.kill()

    for _ in range(3):
        stage.dies_at("bridge.calling-committed", envelope)
    asyncio.run(afterwards())


def test_a_suspect_is_worked_on_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others wait while a suspect is called, and a sleeping suspect keeps nobody waiting."""
    stage = Stage(tmp_path, monkeypatch)
    marketing = stage.marketing["repeatable"]
    poison = [stage.envelope("repeatable") for _ in range(3)]
    others = [stage.envelope("repeatable") for _ in range(10)]

    async def afterwards() -> None:
        await stage.open()
        marketing.gate = asyncio.Event()
        bridge = await stage.start()
        await stage.send(*(envelope for _, envelope in others))
        await until(lambda: marketing.calls, 20)
        await until(lambda: len(bridge.ordering) == 13, 20)
        if marketing.calls[0] in {id for id, _ in poison}:
            await asyncio.sleep(0.1)
            assert marketing.running == 1
        marketing.gate.set()
        for id, _ in poison + others:
            assert (await stage.reply(id, 20)).state is State.SUCCEEDED
        await stage.kill()

    marketing.gate = asyncio.Event()  # none of the three is finished when the third is about to be called
    stage.dies_at("bridge.calling-committed:3", *(envelope for _, envelope in poison))
    asyncio.run(afterwards())


def test_a_stop_that_cuts_a_call_off_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, monkeypatch)
    stage.changes["drain_s"] = 0

    async def play() -> None:
        await stage.open()
        id, envelope = stage.envelope("repeatable")
        for _ in range(4):
            stage.marketing["repeatable"].gate = asyncio.Event()
            stage.marketing["repeatable"].calls.clear()
            await stage.start()
            await stage.send(envelope)
            await until(lambda: stage.marketing["repeatable"].calls, 20)
            stage.marketing["repeatable"].gate.clear()
            await stage.stop()
        stage.marketing["repeatable"].gate = None
        await stage.start()
        assert (await stage.reply(id, 20)).state is State.SUCCEEDED
        await stage.kill()

    asyncio.run(play())

"""Commands of one key are called in the order the fronts accepted them, however they arrive. Real store, in-memory
broker, scripted marketing.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.inbox.rows import Received
from intranet_bridge.marketing import Answered, NotApplied, Unknown
from protocol.lifecycle import State
from protocol.messages import WIRE_VERSION
from tests.unit.hostile import hostile
from tests.unit.intranet_bridge.harness import DONE, Stage, scene, until

SUBJECT = "mA1x9Zk3Qe7Yt2Lw5Vb8Ng"


def chain(stage: Stage, count: int, operation: str = "work-order", **changes: Any) -> list[tuple[str, bytes]]:
    """Commands as a front makes them, each with the one before it as its predecessor."""
    made: list[tuple[str, bytes]] = []
    for _ in range(count):
        after = made[-1][0] if made else ""
        fields: dict[str, Any] = {"subject": SUBJECT, "version": 2, "after": after} | changes
        made.append(stage.envelope(operation, **fields))
    return made


@scene
async def test_whatever_the_order_of_arrival(stage: Stage) -> None:
    await stage.start()
    made = chain(stage, 6)
    for at in (5, 0, 3, 1, 4, 2):
        await stage.send(made[at][1])
    for id, _ in made:
        assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [id for id, _ in made]
    assert stage.bridge.predecessors.out_of_order == 0


@scene
async def test_within_one_frame_too(stage: Stage) -> None:
    await stage.start()
    made = chain(stage, 5)
    await stage.send(*(envelope for _, envelope in reversed(made)))
    for id, _ in made:
        await stage.reply(id)
    assert stage.marketing["work-order"].calls == [id for id, _ in made]


@scene
async def test_one_that_never_comes_holds_its_key_for_so_long_and_no_other(stage: Stage) -> None:
    stage.changes["commands.order_patience_s"] = 0.5
    await stage.start()
    (_, _), (second, envelope) = chain(stage, 2)
    await stage.send(envelope)
    other = await stage.command(subject="another", version=2)
    await stage.reply(other)
    assert await stage.state(second) == "received"
    assert stage.bridge.ordering.blocked == 1
    assert (await stage.reply(second)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [other, second]
    assert stage.bridge.predecessors.out_of_order == 1
    assert stage.bridge.ordering.blocked == 0


@scene
async def test_one_finished_or_held_long_ago_is_not_waited_for(stage: Stage) -> None:
    """By this bridge before it was started again, so that only the inbox knows."""
    stage.marketing["delicate"].script = [Unknown("lost")]
    await stage.start()
    (first, envelope), (second, later) = chain(stage, 2)
    await stage.send(envelope)
    await stage.reply(first)
    held, sealed = stage.envelope("delicate", subject="other", version=2)
    await stage.send(sealed)
    assert (await stage.reply(held)).state is State.HELD
    await stage.kill()
    await stage.start()
    await stage.send(later)
    follower = await stage.command(subject="other", version=2, after=held)
    assert (await stage.reply(second)).state is State.SUCCEEDED
    assert (await stage.reply(follower)).state is State.SUCCEEDED
    assert stage.bridge.predecessors.out_of_order == 0


@scene
async def test_one_that_another_bridge_works_on_is_waited_for_beyond_patience(stage: Stage) -> None:
    """Two bridges on one inbox: the other one's row is written here as that bridge would."""
    stage.changes["commands.order_patience_s"] = 0.1
    await stage.start()
    (first, envelope), (second, later) = chain(stage, 2)
    other = Inbox(stage.bridge.store, "bridge-2", stage.clock)
    await other.record([Received(first, "work-order", "front-1/test", SUBJECT, "/queue/x", 0, envelope, "")])
    await stage.send(later)
    await until(lambda: stage.bridge.ordering.blocked == 1)
    await asyncio.sleep(0.5)  # several patiences
    assert stage.marketing["work-order"].calls == []
    await other.finished(first, State.SUCCEEDED, 1, "", "", b"sealed")
    assert (await stage.reply(second)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [second]
    assert stage.bridge.predecessors.out_of_order == 0


@scene
async def test_a_restart_in_the_middle_changes_nothing(stage: Stage) -> None:
    marketing = stage.marketing["work-order"]
    await stage.start()
    made = chain(stage, 5)
    for at in (4, 2, 1):
        await stage.send(made[at][1])
    await until(lambda: len(stage.bridge.ordering) == 3)
    await stage.kill()
    await stage.start()
    assert marketing.calls == []
    await stage.send(made[3][1])
    marketing.script = [NotApplied("busy", reached=True), NotApplied("away", reached=False)]
    await stage.send(made[0][1])
    for id, _ in made:
        await stage.reply(id)
    first = made[0][0]
    assert marketing.calls == [first, first, first, *(id for id, _ in made[1:])]


@scene
async def test_one_set_aside_at_intake_is_passed_after_the_patience(stage: Stage) -> None:
    stage.changes["commands.order_patience_s"] = 0.3
    await stage.start()
    (bad, envelope), (second, later) = chain(stage, 2)
    await stage.send(envelope[:-1] + bytes([envelope[-1] ^ 1]))
    await stage.send(later)
    await stage.reply(second)
    assert stage.marketing["work-order"].calls == [second]
    assert len(stage.dead_letters) == 1
    assert not stage.of(bad)


@scene
async def test_an_inbox_that_cannot_be_read_lets_nobody_overtake(stage: Stage) -> None:
    stage.changes["commands.order_patience_s"] = 0.01
    await stage.start()
    asked = 0
    real = stage.bridge.inbox.settled

    async def fails(ids: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked < 4:
            raise OSError("disk")
        return await real(ids)

    stage.bridge.predecessors._settled = fails
    (_, first), (_, second) = chain(stage, 2)
    await stage.send(second)
    await until(lambda: asked == 3)
    await stage.send(first)
    await until(lambda: len(stage.replies) == 2)
    assert stage.bridge.predecessors.out_of_order == 0


@scene
async def test_version_1_keeps_the_order_of_arrival(stage: Stage) -> None:
    stage.marketing["work-order"].default = Answered(DONE)
    await stage.start()
    ids = [await stage.command(subject=SUBJECT) for _ in range(5)]
    for id in ids:
        reply = await stage.reply(id)
        assert reply.attributes.version == 1
    assert stage.marketing["work-order"].calls == ids


@scene
async def test_a_reply_is_in_the_version_of_its_request(stage: Stage) -> None:
    await stage.start()
    for version in (1, 2):
        id = await stage.command(version=version)
        assert (await stage.reply(id)).attributes.version == version
        id, envelope = stage.envelope("bill-query", b'{"account":"3210000000001","first_month":"2026-01",'
                                      b'"last_month":"2026-06"}', version=version)  # fmt: skip
        await stage.ask(envelope)
        assert (await stage.reply(id)).attributes.version == version
    await until(lambda: stage.presences)
    assert stage.presences[-1].version == WIRE_VERSION


@scene
async def test_a_bridge_told_to_speak_version_1_says_so_and_sets_aside_the_rest(stage: Stage) -> None:
    stage.changes["wire.version_max"] = 1
    await stage.start()
    await until(lambda: stage.presences)
    assert stage.presences[-1].version == 1
    await stage.command(version=2)
    await until(lambda: stage.dead_letters)
    assert stage.dead_letters[0].headers["reason"] == "unknown-version"
    assert (await stage.reply(await stage.command())).state is State.SUCCEEDED


@scene
async def test_a_predecessor_that_is_no_id_is_set_aside(stage: Stage) -> None:
    await stage.start()
    await stage.send(hostile(stage.front_ring, after="x" * 65))
    await until(lambda: stage.dead_letters)
    assert stage.dead_letters[0].headers["reason"] == "out-of-range"


def test_the_patience_must_be_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, monkeypatch)
    stage.changes["commands.order_patience_s"] = 0
    with pytest.raises(ValueError, match="order_patience_s"):
        stage.settings()

"""Decisions that operators take at fronts, as they arrive at the bridge: carried out once, and answered; and commands
that are taken back, which are never called.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from intranet_bridge.commands.rulings import Memory
from intranet_bridge.marketing import Answered, NotApplied
from protocol.administration import Choice
from protocol.decisions import TYPE, Decision, LedgerEntry, Standing
from protocol.destinations import command_replies
from protocol.envelope import Kind, Sealer
from protocol.errors import BridgeError
from protocol.lifecycle import State
from protocol.messages import Attributes, Reply, uuid7
from protocol.runtime.control import Peer
from tests.unit.intranet_bridge.harness import DONE, LOST, OPERATIONS, Stage, until, wall

DAY = 86_400_000

NEVER = "00000000-0000-7000-8000-000000000000"
"""Of a command that never came."""


def scene(play: Callable[[Stage], Awaitable[None]]) -> Callable[[Path, pytest.MonkeyPatch], None]:
    @wraps(play)
    def test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async def life() -> None:
            stage = Stage(tmp_path, monkeypatch)
            monkeypatch.setattr("protocol.decisions.CATALOGUE", OPERATIONS)
            stage.changes |= {"breaker.failures": 1000, "commands.retry_max_s": 0.1}
            async with asyncio.timeout(180):
                await stage.open()
                await stage.start()
                await play(stage)
                await stage.stop()

        asyncio.run(life())

    del test.__wrapped__  # pytest would ask for a fixture `stage`
    return test


async def turn() -> None:
    await asyncio.sleep(0.01)


async def held(stage: Stage) -> str:
    stage.marketing["delicate"].script = [LOST]
    id = await stage.command("delicate")
    assert (await stage.reply(id)).state is State.HELD
    await stage.until_replied(id)
    return id


def decision(stage: Stage, request: str, choice: str, envelope: bytes = b"", **more: Any) -> tuple[str, bytes]:
    """Its id, and the envelope."""
    now = wall()
    entry = LedgerEntry(
        operation="work-order", source="front-1/wechat", reply_to=command_replies("front-1"),
        accepted_at=more.pop("accepted_at", now),
    )  # fmt: skip
    said = Decision(
        request=request, choice=Choice(choice), by="root (alice)", note="asked there", at=now, command=entry,
        **more,
    )  # fmt: skip
    id = uuid7(now, os.urandom(10))
    about = Attributes(id, "front-1/operator", TYPE, now, reply_to=command_replies("front-1"))
    return id, stage.sealer.seal(Kind.REQUEST, about, said.payload(envelope), now_ms=now)


async def answered(stage: Stage, request: str, choice: str, **more: Any) -> Reply:
    id, sealed = decision(stage, request, choice, **more)
    await stage.send(sealed)
    return await stage.reply(id)


def standing(reply: Reply) -> State | None:
    return Standing.from_result(reply.result).state


@scene
async def test_a_decision_of_a_front_does_what_one_taken_here_does(stage: Stage) -> None:
    for choice, state, extra in (
        ("applied", State.SUCCEEDED, {"result": DONE.decode()}),
        ("not-applied", State.FAILED, {}),
    ):
        id = await held(stage)
        reply = await answered(stage, id, choice, **extra)
        assert (reply.state, standing(reply)) == (State.SUCCEEDED, state)
        await until(lambda id=id: len(stage.of(id)) == 2)  # type: ignore[misc]
        assert stage.of(id)[1].state is state
        [line] = (await stage.bridge.administration.show({"id": id}, Peer(0, 1)))["decisions"]
        assert (line["choice"], line["by"], line["note"]) == (choice, "root (alice) at front-1", "asked there")
    id = await held(stage)
    assert (await answered(stage, id, "call-again")).state is State.SUCCEEDED
    await until(lambda: len(stage.of(id)) == 2)
    assert stage.marketing["delicate"].calls.count(id) == 2
    assert stage.dead_letters == []


@scene
async def test_one_that_arrives_again_is_answered_and_not_carried_out_again(stage: Stage) -> None:
    id = await held(stage)
    stage.marketing["delicate"].script = [LOST, Answered(DONE)]  # held once more, and then the repeat would call it
    mine, sealed = decision(stage, id, "call-again")
    await stage.send(sealed, sealed)
    await until(lambda: len(stage.of(id)) == 2)
    await stage.send(sealed)
    await until(lambda: len(stage.of(mine)) == 3)
    assert {reply.state for reply in stage.of(mine)} == {State.SUCCEEDED}
    assert stage.marketing["delicate"].calls.count(id) == 2
    assert await stage.state(id) == "held"


@scene
async def test_a_refusal_stays_one_though_it_could_be_done_later(stage: Stage) -> None:
    gate = stage.marketing["delicate"].gate = asyncio.Event()
    stage.marketing["delicate"].script = [LOST]
    id = await stage.command("delicate")
    await stage.until_state(id, "calling")
    mine, sealed = decision(stage, id, "applied")
    await stage.send(sealed)
    refused = await stage.reply(mine)
    assert (refused.state, standing(refused)) == (State.REFUSED, State.CALLING)
    assert "is calling, not held" in refused.detail
    gate.set()
    await stage.until_state(id, "held")
    await stage.send(sealed)
    await until(lambda: len(stage.of(mine)) == 2)
    assert stage.of(mine)[1].state is State.REFUSED
    assert await stage.state(id) == "held"


@scene
async def test_one_about_what_is_over_has_its_outcome_sent_again(stage: Stage) -> None:
    id = await stage.command()
    await stage.reply(id)
    await stage.until_replied(id)
    reply = await answered(stage, id, "not-applied")
    assert (reply.state, standing(reply)) == (State.REFUSED, State.SUCCEEDED)
    await until(lambda: len(stage.of(id)) == 2)
    assert stage.of(id)[1].state is State.SUCCEEDED


@scene
async def test_what_waits_is_taken_back_and_never_called(stage: Stage) -> None:
    marketing = stage.marketing["work-order"]
    marketing.default = NotApplied("down", reached=False)  # it waits, and is tried again
    ids = [await stage.command(subject="one-customer") for _ in range(3)]
    await until(lambda: len(marketing.calls) > 2)
    await until(lambda: stage.bridge.workers.in_flight == 0)
    for id in (ids[1], ids[0]):  # one behind another, and the one whose turn it is
        while (reply := await answered(stage, id, "cancel")).state is State.REFUSED:
            await turn()  # it was being called at that instant
        assert standing(reply) is State.FAILED
        await until(lambda id=id: stage.of(id))  # type: ignore[misc]
        assert (stage.of(id)[0].state, stage.of(id)[0].code) == (State.FAILED, "cancelled")
    before = marketing.calls.count(ids[0])
    marketing.default = Answered(DONE)
    assert (await stage.reply(ids[2])).state is State.SUCCEEDED
    assert (marketing.calls.count(ids[0]), ids[1] in marketing.calls) == (before, False)
    assert len(stage.bridge.ordering) == 0
    assert (await stage.row(ids[0])).envelope == b""


@scene
async def test_what_a_worker_has_in_hand_is_not_called_once_it_is_taken_back(stage: Stage) -> None:
    """The instant between the worker's taking it and its row saying so."""
    inbox, asked, go = stage.bridge.inbox, asyncio.Event(), asyncio.Event()
    calling = inbox.calling

    async def late(*arguments: Any) -> bool:
        asked.set()
        await go.wait()
        return await calling(*arguments)

    inbox.calling = late  # type: ignore[assignment]
    id = await stage.command()
    await asked.wait()
    assert (await answered(stage, id, "cancel")).state is State.SUCCEEDED
    go.set()
    await until(lambda: len(stage.bridge.ordering) == 0)
    assert stage.marketing["work-order"].calls == []
    assert (await stage.state(id), (await stage.row(id)).code) == ("failed", "cancelled")


@scene
async def test_what_may_have_been_called_is_not_taken_back(stage: Stage) -> None:
    id = await held(stage)
    done = await stage.command()
    await stage.reply(done)
    for request, said in ((id, "is held"), (done, "is succeeded")):
        reply = await answered(stage, request, "cancel")
        assert reply.state is State.REFUSED
        assert f"{said}, so it may have been called" in reply.detail
    with pytest.raises(BridgeError, match="cannot be taken back"):
        await stage.bridge.administration.resolve({"id": id, "choice": "cancel", "note": "n"}, Peer(0, 1))


@scene
async def test_what_never_came_is_ended_before_it_comes(stage: Stage) -> None:
    for choice, code in (("cancel", "cancelled"), ("not-applied", "not-applied")):
        id, late = stage.envelope()
        reply = await answered(stage, id, choice)
        assert (reply.state, standing(reply)) == (State.SUCCEEDED, State.FAILED)
        assert "it never came" in reply.detail
        await until(lambda id=id: stage.of(id))  # type: ignore[misc]
        await stage.send(late)  # which the broker had all the time
        await until(lambda id=id: len(stage.of(id)) == 2)  # type: ignore[misc]
        assert {(one.state, one.code) for one in stage.of(id)} == {(State.FAILED, code)}
    assert stage.marketing["work-order"].calls == []


@scene
async def test_what_comes_to_another_bridge_at_that_moment_is_not_said_to_be_ended(stage: Stage) -> None:
    record, recorded = stage.bridge.inbox.record_in, list[str]()

    def at_both(connection: Any, rows: Any) -> Any:
        if rows[0].failed is not None and rows[0].id not in recorded:  # as the other's commit, between look and insert
            recorded.append(rows[0].id)
            record(connection, [replace(rows[0], failed=None, envelope=b"sealed")])
        return record(connection, rows)

    stage.bridge.inbox.record_in = at_both  # type: ignore[method-assign]
    for choice, came_to, state in (
        ("not-applied", State.REFUSED, State.RECEIVED), ("cancel", State.SUCCEEDED, State.FAILED),
    ):  # fmt: skip
        id, _ = stage.envelope()
        reply = await answered(stage, id, choice)
        assert (reply.state, standing(reply)) == (came_to, state)
        assert await stage.state(id) == state
        assert "never came" not in reply.detail


@scene
async def test_what_the_inbox_may_have_forgotten_is_given_up_by_force_alone(stage: Stage) -> None:
    id, _ = stage.envelope()
    old = wall() - 40 * DAY
    reply = await answered(stage, id, "not-applied", accepted_at=old)
    assert (reply.state, standing(reply)) == (State.REFUSED, None)
    assert "may have forgotten" in reply.detail
    forced = await answered(stage, id, "not-applied", accepted_at=old, force=True)
    assert (forced.state, standing(forced)) == (State.SUCCEEDED, State.FAILED)


@scene
async def test_what_a_front_sends_again_after_a_week_is_called_if_it_was_surely_never_here(stage: Stage) -> None:
    ids = []
    for days, calls in ((10, 1), (40, 0)):
        then = wall() - days * DAY
        id = uuid7(then, os.urandom(10))
        about = Attributes(id, "front-1/wechat", "work-order", then, reply_to=command_replies("front-1"))
        sealer = Sealer(stage.front_ring, stage.bridge_sealer._keyring.role)
        _, body = stage.envelope()
        payload = stage.bridge.rulings._judge._opener.authentic(body).payload
        old = sealer.seal(Kind.REQUEST, about, payload, now_ms=then)
        await stage.send(old)
        await until(lambda: stage.dead_letters and stage.dead_letters[-1].headers["reason"] == "stale")
        reply = await answered(stage, id, "resend", envelope=old, accepted_at=then)
        assert reply.state is State.SUCCEEDED, reply.detail
        assert ("is called now" if calls else "unknown outcome") in reply.detail
        assert (await stage.reply(id)).state is State.SUCCEEDED
        marketing = stage.marketing["work-order"]
        # the older one may have been here: it was inquired about first, and only then called
        assert (marketing.calls.count(id), marketing.inquiries.count(id)) == (1, 1 - calls)
        ids.append(id)
    again = await answered(stage, ids[0], "resend", accepted_at=wall() - 10 * DAY)
    assert (again.state, again.detail) == (State.SUCCEEDED, "the bridge has it: it is succeeded")


@scene
async def test_what_cannot_be_carried_out_is_refused_and_changes_nothing(stage: Stage) -> None:
    id = await held(stage)
    before = (await stage.row(id)).state
    for request, choice, more, said in (
        (id, "ask-again", {}, "cannot ask"),
        (id, "applied", {"result": "{}"}, "work_order"),
        (id, "call-again", {"result": "{}"}, "applied alone"),
        (NEVER, "call-again", {}, "the inbox has it not"),
        (NEVER, "resend", {}, "cannot be opened any more: malformed"),
    ):
        reply = await answered(stage, request, choice, **more)
        assert reply.state is State.REFUSED
        assert said in reply.detail
    assert (await stage.row(id)).state == before


@scene
async def test_a_bridge_may_take_no_decisions_of_fronts(stage: Stage) -> None:
    id = await held(stage)
    stage.bridge.rulings._from_fronts = lambda: False
    reply = await answered(stage, id, "not-applied")
    assert (reply.state, "on its own host" in reply.detail) == (State.REFUSED, True)
    assert await stage.state(id) == "held"
    assert stage.bridge.presence().decides


@scene
async def test_what_is_no_decision_is_set_aside(stage: Stage) -> None:
    now = wall()
    about = Attributes("d-1", "front-1/operator", TYPE, now, reply_to=command_replies("front-1"))
    elsewhere = Attributes("d-2", "front-1/operator", TYPE, now, reply_to="/queue/bridge.reply.query.front-1")
    _, good = decision(stage, "0-never", "cancel")
    payload = stage.bridge.rulings._judge._opener.authentic(good).payload
    await stage.send(
        stage.sealer.seal(Kind.REQUEST, about, b'{"request":"x"}', now_ms=now),
        stage.sealer.seal(Kind.REQUEST, elsewhere, payload, now_ms=now),
    )
    await until(lambda: len(stage.dead_letters) == 2)
    assert {letter.headers["reason"] for letter in stage.dead_letters} == {"malformed"}


@scene
async def test_what_is_taken_decided_and_revealed_is_in_the_audit_log(stage: Stage) -> None:
    id, sealed = stage.envelope("delicate")
    stage.marketing["delicate"].script = [LOST]
    await stage.send(sealed, sealed)
    await stage.reply(id)
    await stage.until_replied(id)
    await stage.send(sealed)  # once more
    await until(lambda: len(stage.of(id)) >= 2)
    office = stage.bridge.administration
    await office.show({"id": id, "reveal": True}, Peer(0, 1))
    await office.resolve({"id": id, "choice": "not-applied", "note": "张三 says no", "sudo_user": "alice"}, Peer(0, 1))
    records = [record.as_dict() for record in await stage.bridge.audit.after(0, 100)]
    accepted = [one["details"]["commands"] for one in records if one["event"] == "accepted"]
    assert accepted == [[[id, "delicate", "front-1/test"]]]
    acts = [one["details"] for one in records if one["event"] == "act"]
    assert acts == [
        {"act": "reveal", "by": "root", "request_id": id},
        {"act": "decide", "by": "root (alice)", "request_id": id, "operation": "delicate", "choice": "not-applied"},
    ]
    assert "张三" not in str(records)  # the note is kept with the decision
    head = await stage.bridge.audit.look()
    assert stage.bridge.presence().audit == str(head)


def test_how_far_an_inbox_can_tell_what_it_had() -> None:
    now = 100 * DAY
    memory = Memory(retention_ms=30 * DAY, since=75 * DAY)
    assert memory.covers(80 * DAY, now)
    assert not memory.covers(74 * DAY, now)  # it may have been in the inbox before this one
    assert not Memory(retention_ms=30 * DAY).covers(70 * DAY, now)  # it may be forgotten

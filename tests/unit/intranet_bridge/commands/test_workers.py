"""Commands: never lost, never applied twice, whatever dies when. Real store, in-memory broker, scripted marketing."""

import asyncio
import sqlite3
import time
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from intranet_bridge.inbox.rows import INBOX
from intranet_bridge.marketing import Absent, Answered, Fault, NotApplied, Refused, Rejected, Unknown
from protocol.destinations import command_replies, commands
from protocol.envelope import Kind, Sealer
from protocol.errors import ConfigurationError
from protocol.frames import pack
from protocol.lifecycle import State
from protocol.link.dead_letter import dead_letter
from protocol.link.port import Outgoing
from protocol.messages import Attributes, Reply, Role, uuid7
from protocol.runtime.lease import Lease, only_one
from tests.unit.intranet_bridge.harness import DONE, LOST, ORDER_BODY, Stage, scene, until, wall

QUEUE = commands("main")


@scene
async def test_a_command_is_done_once_answered_and_acknowledged(stage: Stage) -> None:
    await stage.start()
    id = await stage.command()
    reply = await stage.reply(id)
    assert (reply.state, reply.result, reply.attributes.source) == (State.SUCCEEDED, DONE, "bridge-1")
    await until(lambda: stage.broker.depth(QUEUE) == 0)
    assert stage.marketing["work-order"].calls == [id]
    row = await stage.row(id)
    assert row.state == "succeeded"
    assert row.attempts == 1
    assert ORDER_BODY not in row.envelope  # sealed on our disk too


@scene
async def test_a_refusal_is_a_business_answer(stage: Stage) -> None:
    stage.marketing["work-order"].script = [Refused("no-such-account", "户号不存在")]
    await stage.start()
    reply = await stage.reply(await stage.command())
    assert (reply.state, reply.code, reply.detail) == (State.REFUSED, "no-such-account", "户号不存在")


@scene
async def test_the_row_is_on_disk_before_the_message_is_acknowledged(stage: Stage) -> None:
    bridge = await stage.start()
    stage.marketing["work-order"].gate = asyncio.Event()
    acked: list[str | None] = []
    id, envelope = stage.envelope()
    link, ack = bridge.links["commands"], bridge.links["commands"].ack

    def watched(delivery: Any) -> bool:
        acked.append(id if bridge.store.rows_written or bridge.store.commits else None)
        return ack(delivery)

    link.ack = watched  # type: ignore[method-assign]
    await stage.send(envelope)
    await until(lambda: acked)
    assert acked == [id]
    assert await stage.state(id) in ("received", "calling")


@scene
async def test_the_steps_of_many_commands_share_their_transactions(stage: Stage) -> None:
    """A statement that cannot be executed for several rows at once would undo the group, and do each row by itself."""
    bridge = await stage.start()
    asked = [stage.envelope() for _ in range(20)]
    await stage.send(*(envelope for _, envelope in asked))
    for id, _ in asked:
        assert (await stage.reply(id)).state is State.SUCCEEDED
    assert bridge.store.rollbacks == 0


@scene
async def test_killed_before_the_row_is_on_disk_the_broker_delivers_again(stage: Stage) -> None:
    bridge = await stage.start()

    async def stuck(rows: Any) -> Any:
        await asyncio.Event().wait()

    bridge.inbox.record = stuck  # type: ignore[method-assign]
    id = await stage.command()
    await until(lambda: bridge.command_intake.messages == 1)
    await stage.kill()
    assert stage.broker.depth(QUEUE) == 1
    await stage.start()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [id]


@scene
async def test_killed_after_received_it_is_resumed(stage: Stage) -> None:
    bridge = await stage.start()
    bridge.workers._closed = True  # recorded and acknowledged, never started
    id = await stage.command()
    await until(lambda: stage.broker.depth(QUEUE) == 0 and bridge.command_intake.taken == 1)
    assert await stage.state(id) == "received"
    await stage.kill()
    await stage.start()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [id]


async def killed_while_calling(stage: Stage, operation: str) -> str:
    await stage.start()
    stage.marketing[operation].gate = asyncio.Event()
    id = await stage.command(operation)
    await until(lambda: stage.marketing[operation].calls == [id])
    await until(lambda: stage.broker.depth(QUEUE) == 0)
    assert await stage.state(id) == "calling"
    await stage.kill()
    stage.marketing[operation].gate = None
    return id


@scene
async def test_killed_while_calling_with_rule_inquire_and_it_was_applied(stage: Stage) -> None:
    id = await killed_while_calling(stage, "work-order")
    stage.marketing["work-order"].findings = [Answered(DONE)]
    await stage.start()
    assert (await stage.reply(id)).result == DONE
    assert stage.marketing["work-order"].calls == [id]  # never called again
    assert stage.marketing["work-order"].inquiries == [id]


@scene
async def test_killed_while_calling_with_rule_inquire_and_it_was_not_applied(stage: Stage) -> None:
    id = await killed_while_calling(stage, "work-order")
    stage.marketing["work-order"].findings = [Unknown("down"), Unknown("down"), Absent()]
    await stage.start()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].inquiries == [id] * 3  # a failed inquiry decides nothing
    assert stage.marketing["work-order"].calls == [id] * 2
    assert (await stage.row(id)).attempts == 2


@scene
async def test_killed_while_calling_with_rule_repeat_calls_again(stage: Stage) -> None:
    id = await killed_while_calling(stage, "repeatable")
    await stage.start()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["repeatable"].calls == [id] * 2


@scene
async def test_killed_while_calling_with_rule_hold_waits_for_an_operator(stage: Stage) -> None:
    id = await killed_while_calling(stage, "delicate")
    await stage.start()
    assert (await stage.reply(id)).state is State.HELD
    assert stage.marketing["delicate"].calls == [id]
    assert await stage.state(id) == "held"


@scene
async def test_killed_while_unknown_it_is_inquired_about_not_called(stage: Stage) -> None:
    stage.marketing["work-order"].script = [LOST]
    stage.marketing["work-order"].settle_s = 60
    await stage.start()
    id = await stage.command()
    await stage.until_state(id, "unknown")
    await stage.kill()
    stage.marketing["work-order"].settle_s = 0.01
    stage.marketing["work-order"].findings = [Answered(DONE)]
    await stage.start()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [id]


@scene
async def test_an_inquiry_waits_until_the_lost_call_must_have_ended(stage: Stage) -> None:
    stage.marketing["work-order"].script = [LOST]
    stage.marketing["work-order"].settle_s = 0.3
    await stage.start()
    started = time.monotonic()
    await stage.reply(await stage.command())
    assert stage.marketing["work-order"].inquired_at[0] - started >= 0.3


@scene
async def test_killed_after_the_outcome_the_reply_goes_out_without_a_call(stage: Stage) -> None:
    bridge = await stage.start()
    bridge.outbox.offer = lambda entry: False  # type: ignore[method-assign]  # dies right after the commit
    bridge.housekeeping.stop()
    id = await stage.command()
    await stage.until_state(id, "succeeded")
    assert not stage.of(id)
    await stage.kill()
    await stage.start()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [id]


@scene
async def test_a_lost_receipt_sends_the_same_reply_again(stage: Stage) -> None:
    stage.broker.swallowed.add(command_replies("front-1"))
    bridge = await stage.start()
    id = await stage.command()
    await stage.reply(id)
    assert (await stage.row(id)).replied_at is None
    stage.broker.swallowed.clear()
    bridge.links["command-replies"].lose("receipt lost")  # type: ignore[attr-defined]
    await until(lambda: len(stage.of(id)) >= 2)
    first, second = stage.of(id)[:2]
    assert (first.state, first.result) == (second.state, second.result)
    await stage.until_replied(id)
    assert stage.marketing["work-order"].calls == [id]


@scene
async def test_replies_wait_for_a_broker_that_is_away(stage: Stage) -> None:
    await stage.start()
    stage.marketing["work-order"].gate = asyncio.Event()
    id = await stage.command()
    await until(lambda: stage.marketing["work-order"].calls)
    stage.broker.stop()
    stage.marketing["work-order"].gate.set()
    await stage.until_state(id, "succeeded")
    stage.broker.start()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [id]


@scene
async def test_the_same_request_again_is_answered_from_the_store(stage: Stage) -> None:
    await stage.start()
    id, envelope = stage.envelope()
    await stage.send(envelope)
    first = await stage.reply(id)
    await stage.send(envelope)
    await until(lambda: len(stage.of(id)) == 2)
    assert stage.of(id)[1].result == first.result
    await stage.until_replied(id)
    await stage.kill()
    await stage.start()  # and after a restart too
    await stage.send(envelope)
    await until(lambda: len(stage.of(id)) >= 3)
    assert stage.marketing["work-order"].calls == [id]
    assert stage.bridge.command_intake.duplicates == 1


@scene
async def test_the_same_request_again_from_another_front_is_answered_there(stage: Stage) -> None:
    await stage.start()
    id, envelope = stage.envelope()
    await stage.send(envelope)
    await stage.reply(id)
    other = command_replies("front-2")
    _, moved = stage.envelope(id=id, reply_to=other)
    await stage.send(moved)
    await until(lambda: stage.broker.depth(other) == 1)
    assert (await stage.row(id)).reply_to == other


@scene
async def test_the_same_request_while_it_runs_is_only_acknowledged(stage: Stage) -> None:
    await stage.start()
    stage.marketing["work-order"].gate = asyncio.Event()
    id, envelope = stage.envelope()
    await stage.send(envelope, envelope)  # twice in one message, and once more
    await stage.send(envelope)
    await until(lambda: stage.broker.depth(QUEUE) == 0 and stage.marketing["work-order"].calls)
    stage.marketing["work-order"].gate.set()
    await stage.reply(id)
    await asyncio.sleep(0.05)
    assert stage.marketing["work-order"].calls == [id]
    assert len(stage.of(id)) == 1


@scene
async def test_a_redelivery_after_a_lost_connection_is_not_done_again(stage: Stage) -> None:
    bridge = await stage.start()
    ids = []
    link = bridge.links["commands"]
    real = link.ack
    link.ack = lambda delivery: False  # type: ignore[method-assign]  # no acknowledgement gets through
    for _ in range(5):
        ids.append(await stage.command())
    for id in ids:
        await stage.reply(id)
    link.ack = real  # type: ignore[method-assign]
    link.lose("cable pulled")  # type: ignore[attr-defined]
    await until(lambda: stage.broker.depth(QUEUE) == 0)
    assert sorted(stage.marketing["work-order"].calls) == sorted(ids)


@scene
async def test_unreachable_is_retried_for_ever_and_counts_for_nothing(stage: Stage) -> None:
    down = NotApplied("connect: refused", reached=False)
    stage.changes["breaker.failures"] = 1000
    stage.changes["breaker.failure_rate"] = 1
    stage.changes["breaker.window"] = 1000
    stage.marketing["work-order"].script = [down] * 20
    await stage.start()
    id = await stage.command()
    reply = await stage.reply(id, 10)
    assert reply.state is State.SUCCEEDED
    assert len(stage.marketing["work-order"].calls) == 21  # attempts is 3, yet it went on
    assert (await stage.row(id)).attempts == 1


@scene
async def test_reached_and_surely_not_applied_is_tried_three_times(stage: Stage) -> None:
    stage.marketing["work-order"].default = NotApplied("HTTP 429", reached=True)
    await stage.start()
    id = await stage.command()
    reply = await stage.reply(id)
    assert (reply.state, reply.code) == (State.FAILED, "marketing-failed")
    assert stage.marketing["work-order"].calls == [id] * 3


@scene
async def test_never_there_after_all_attempts_is_failed(stage: Stage) -> None:
    stage.marketing["work-order"].default = LOST  # and every inquiry says Absent
    await stage.start()
    id = await stage.command()
    reply = await stage.reply(id)
    assert (reply.state, reply.code) == (State.FAILED, "marketing-failed")
    assert stage.marketing["work-order"].calls == [id] * 3
    assert stage.marketing["work-order"].inquiries == [id] * 3


@scene
async def test_rejected_and_invalid_and_a_defective_adapter(stage: Stage) -> None:
    stage.marketing["work-order"].script = [Rejected("HTTP 404"), RuntimeError("defect")]
    stage.marketing["work-order"].findings = [Answered(DONE)]
    await stage.start()
    reply = await stage.reply(await stage.command())
    assert (reply.state, reply.code) == (State.FAILED, "marketing-rejected")
    reply = await stage.reply(await stage.command(body=b'{"type":"nonsense"}'))
    assert (reply.state, reply.code) == (State.FAILED, "invalid-request")
    reply = await stage.reply(await stage.command())  # what a defect did is not known: it is inquired about
    assert reply.state is State.SUCCEEDED
    assert len(stage.marketing["work-order"].inquiries) == 1


@scene
async def test_a_command_past_its_expiry_is_not_called(stage: Stage) -> None:
    await stage.start()
    reply = await stage.reply(await stage.command(deadline=wall() - 1))
    assert reply.state is State.EXPIRED
    assert not stage.marketing["work-order"].calls


@scene
async def test_unknown_and_expired_with_rule_repeat_is_held(stage: Stage) -> None:
    stage.marketing["repeatable"].default = Unknown("timeout", timed_out=True)
    await stage.start()
    id = await stage.command("repeatable", deadline=wall() + 60_000)
    await until(lambda: stage.marketing["repeatable"].calls)
    stage.clock = lambda: wall() + 60_001
    assert (await stage.reply(id)).state is State.HELD


@scene
async def test_a_repetition_that_did_nothing_makes_no_expired_command_of_one_that_may_be_applied(stage: Stage) -> None:
    marketing = stage.marketing["repeatable"]
    marketing.script = [Unknown("the bridge's store: timeout")]
    marketing.default = NotApplied("the lease may be over", reached=False)
    await stage.start()
    id = await stage.command("repeatable", deadline=wall() + 60_000)
    await until(lambda: len(marketing.calls) > 1)
    stage.clock = lambda: wall() + 60_001
    assert (await stage.reply(id)).state is State.HELD


@scene
async def test_an_outcome_that_cannot_be_read_is_held_loudly(stage: Stage) -> None:
    stage.changes["commands.unreadable_max"] = 4
    marketing = stage.marketing["work-order"]
    marketing.script = [Unknown("answer: not JSON", fault=Fault.ANSWER)]
    marketing.findings = [Unknown("HTTP 503") for _ in range(5)]
    marketing.findings += [Unknown("inquiry: not JSON", fault=Fault.ANSWER) for _ in range(3)]
    bridge = await stage.start()
    with capture_logs() as logs:
        reply = await stage.reply(await stage.command())
    assert (reply.state, reply.code) == (State.HELD, "outcome-unreadable")
    assert "operator" in reply.detail
    assert (len(marketing.calls), len(marketing.inquiries)) == (1, 8)
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert (line["event"], line["code"]) == ("command-held", "outcome-unreadable")
    held = [
        (labels, number)
        for name, _, labels, number in bridge.samples()
        if name == "intranet_bridge_commands_held_total"
    ]
    assert held == [({"operation": "work-order", "code": "outcome-unreadable"}, 1)]


@scene
async def test_a_commands_answer_about_another_is_an_unknown_outcome(stage: Stage) -> None:
    marketing = stage.marketing["work-order"]
    marketing.script = [Unknown("mismatch at request_id", fault=Fault.MISMATCH)]
    marketing.findings = [Unknown("inquiry: mismatch at request_id", fault=Fault.MISMATCH), Answered(DONE)]
    await stage.start()
    assert (await stage.reply(await stage.command())).state is State.SUCCEEDED
    assert (len(marketing.calls), len(marketing.inquiries)) == (1, 2)


@scene
async def test_operator_decides_a_held_row(stage: Stage) -> None:
    stage.marketing["delicate"].script = [LOST, LOST]
    await stage.start()
    again, known = await stage.command("delicate"), await stage.command("delicate")
    assert {(await stage.reply(id)).state for id in (again, known)} == {State.HELD}
    for id, state in ((again, "received"), (known, "succeeded")):
        await stage.until_replied(id)  # or the reply that it has would be sent once more
        decided = update(INBOX).where(INBOX.c.id == id, INBOX.c.state == "held")
        statement = decided.values(state=state, note="seen in the system", decided_at=wall())
        await stage.bridge.store.write(methodcaller("execute", statement))
    await until(lambda: len(stage.of(again)) == 2 and len(stage.of(known)) == 2)
    assert stage.of(again)[1].result == DONE
    assert (stage.of(known)[1].state, stage.of(known)[1].result) == (State.SUCCEEDED, b"")
    assert stage.marketing["delicate"].calls.count(again) == 2
    assert stage.marketing["delicate"].calls.count(known) == 1
    assert (await stage.row(again)).decided_at is None


@scene
async def test_one_key_runs_in_order_and_keys_side_by_side(stage: Stage) -> None:
    await stage.start()
    marketing = stage.marketing["work-order"]
    marketing.script = [NotApplied("HTTP 429", reached=True)]  # the first of its key is retried meanwhile
    sent = [stage.envelope(subject=f"key-{n % 3}") for n in range(30)]
    await stage.send(*(envelope for _, envelope in sent))
    for id, _ in sent:
        await stage.reply(id)
    for key in range(3):
        mine = [id for n, (id, _) in enumerate(sent) if n % 3 == key]
        done = list(dict.fromkeys(id for id in marketing.calls if id in mine))
        assert done == mine
    assert marketing.most == 3


@scene
async def test_order_holds_across_a_restart(stage: Stage) -> None:
    marketing = stage.marketing["work-order"]
    await stage.start()
    marketing.gate = asyncio.Event()
    sent = [stage.envelope(subject="key") for _ in range(5)]
    await stage.send(*(envelope for _, envelope in sent))
    await until(lambda: marketing.calls)
    await stage.kill()
    marketing.gate = None
    marketing.calls.clear()
    await stage.start()
    await stage.reply(sent[4][0])
    assert marketing.calls == [id for id, _ in sent]


@scene
async def test_a_held_row_does_not_block_its_key(stage: Stage) -> None:
    stage.marketing["delicate"].script = [LOST]
    await stage.start()
    first, second = stage.envelope("delicate", subject="key"), stage.envelope("delicate", subject="key")
    await stage.send(first[1], second[1])
    assert (await stage.reply(first[0])).state is State.HELD
    assert (await stage.reply(second[0])).state is State.SUCCEEDED


@scene
async def test_one_bad_member_is_quarantined_among_good_ones(stage: Stage) -> None:
    bridge = await stage.start()
    good = [stage.envelope() for _ in range(3)]
    tampered = bytearray(stage.envelope()[1])
    tampered[-1] ^= 1
    bad = {
        "tampered": bytes(tampered),
        "unknown-operation": stage.envelope("nothing")[1],
        "wrong-lane": stage.envelope("bill-query")[1],
        "reply-to": stage.envelope(reply_to="/queue/bridge.command.main")[1],
        "malformed": stage.envelope(traceparent="no-trace")[1],
        "unknown-key": stage.envelope()[1][:2] + bytes(8) + stage.envelope()[1][10:],
        "unknown-version": b"\x09" + stage.envelope()[1][1:],
    }
    await stage.send(good[0][1], *bad.values(), good[1][1], good[2][1])
    for id, _ in good:
        assert (await stage.reply(id)).state is State.SUCCEEDED
    await until(lambda: len(stage.dead_letters) == len(bad) and stage.broker.depth(QUEUE) == 0)
    assert sorted(letter.headers["reason"] for letter in stage.dead_letters) == sorted(bad)
    kept = {dead_letter(QUEUE, pack([envelope]), reason).body for reason, envelope in bad.items()}
    assert {letter.body for letter in stage.dead_letters} == kept
    assert bridge.dead_letters.by_reason == dict.fromkeys(bad, 1)
    assert len(stage.marketing["work-order"].calls) == 3


@scene
async def test_a_body_that_is_no_frame_is_quarantined_and_the_queue_goes_on(stage: Stage) -> None:
    await stage.start()
    await stage.link.send(Outgoing(QUEUE, b"garbage", persistent=True))
    id = await stage.command()
    await stage.reply(id)
    await until(lambda: stage.dead_letters)
    assert stage.dead_letters[0].headers["reason"] == "malformed"


@scene
async def test_nothing_is_acknowledged_while_the_dead_letters_refuse(stage: Stage) -> None:
    stage.broker.refused.add("/queue/DLQ.bridge.command.main")
    await stage.start()
    id, good = stage.envelope()
    await stage.send(good, stage.envelope("nothing")[1])
    await stage.reply(id)
    assert stage.broker.depth(QUEUE) == 1
    stage.broker.refused.clear()
    await until(lambda: stage.broker.depth(QUEUE) == 0 and len(stage.dead_letters) == 1)
    assert stage.marketing["work-order"].calls == [id]


@scene
async def test_dead_letters_of_a_lost_connection_are_left_to_the_next_delivery(stage: Stage) -> None:
    stage.broker.refused.add("/queue/DLQ.bridge.command.main")
    bridge = await stage.start()
    id, good = stage.envelope()
    await stage.send(good, stage.envelope("nothing")[1], stage.envelope("nothing")[1])
    await stage.reply(id)
    stage.broker.drop()
    await until(lambda: bridge.command_intake.messages == 2)
    stage.broker.refused.clear()
    await until(lambda: stage.broker.depth(QUEUE) == 0)
    await until(lambda: not bridge.command_intake._running)
    await until(lambda: len(stage.dead_letters) == 2)
    await stage.reply(await stage.command())
    assert len(stage.dead_letters) == 2
    assert stage.marketing["work-order"].calls.count(id) == 1


@scene
async def test_a_failing_store_acknowledges_nothing_and_calls_nothing(stage: Stage) -> None:
    bridge = await stage.start()
    real = bridge.store.gather

    async def full(batch: Any, items: Any) -> Any:
        raise OSError("disk full")

    bridge.store.gather = full  # type: ignore[method-assign, assignment]
    id = await stage.command()
    await asyncio.sleep(0.05)
    assert stage.broker.depth(QUEUE) == 1
    assert not stage.marketing["work-order"].calls
    bridge.store.gather = real  # type: ignore[method-assign]
    assert (await stage.reply(id)).state is State.SUCCEEDED


@scene
async def test_a_command_of_a_front_whose_clock_is_ahead_is_done_in_its_turn(stage: Stage) -> None:
    await stage.start()
    ahead = wall() + 600_000
    id = uuid7(ahead, bytes(10))
    attributes = Attributes(id, "front-1/test", "work-order", ahead, "key", reply_to=command_replies("front-1"))
    sealer = Sealer(stage.front_ring, to=Role.BRIDGE)
    sealed = sealer.seal(Kind.REQUEST, attributes, ORDER_BODY, now_ms=ahead)
    later, envelope = stage.envelope(subject="key")
    await stage.send(sealed)
    await stage.send(envelope)
    await stage.reply(later)
    assert stage.marketing["work-order"].calls == [id, later]
    assert stage.dead_letters == []


@scene
async def test_order_holds_while_the_store_fails_for_a_time(stage: Stage) -> None:
    bridge = await stage.start()
    marketing, real, failures = stage.marketing["work-order"], bridge.store.gather, iter(range(3))

    async def full_for_a_time(batch: Any, items: Any) -> Any:
        if next(failures, None) is not None:
            raise OSError("disk full")
        return await real(batch, items)

    bridge.store.gather = full_for_a_time  # type: ignore[method-assign, assignment]
    sent: list[tuple[str, bytes]] = []
    for _ in range(5):
        sent.append(stage.envelope(subject="key", version=2, after=sent[-1][0] if sent else ""))
    for _, envelope in sent:
        await stage.send(envelope)
        await asyncio.sleep(0.06)  # deliveries of their own: the first waits 0.1 s and more for its next try
    await stage.reply(sent[4][0])
    assert marketing.calls == [id for id, _ in sent]


@scene
async def test_a_row_that_can_never_be_written_stops_no_other(stage: Stage) -> None:
    bridge = await stage.start()
    real, gate = bridge.inbox.record, asyncio.Event()
    poison, poisoned = stage.envelope(subject="poison")
    sent = [stage.envelope() for _ in range(3)]

    async def picky(rows: Any) -> Any:
        await gate.wait()
        if any(row.id == poison for row in rows):
            raise ValueError("no column takes this")
        return await real(rows)

    bridge.inbox.record = picky  # type: ignore[method-assign]
    for envelope in (sent[0][1], sent[1][1], poisoned, sent[2][1]):
        await stage.send(envelope)
    gate.set()
    for id, _ in sent:
        await stage.reply(id)
    assert await stage.row(poison) is None


@scene
async def test_an_outcome_that_cannot_be_stored_is_not_forgotten(stage: Stage) -> None:
    bridge = await stage.start()
    real, failures = bridge.inbox.finished, 3

    async def flaky(*arguments: Any, **named: Any) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise OSError("disk full")
        await real(*arguments, **named)

    bridge.inbox.finished = flaky  # type: ignore[method-assign]
    id = await stage.command()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [id]


@scene
async def test_a_call_is_not_made_unless_calling_is_on_disk(stage: Stage) -> None:
    bridge = await stage.start()
    real, failures = bridge.inbox.calling, 2

    async def flaky(*arguments: Any, **named: Any) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise OSError("disk full")
        assert not stage.marketing["work-order"].calls
        return await real(*arguments, **named)

    bridge.inbox.calling = flaky  # type: ignore[method-assign]
    id = await stage.command()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [id]


@scene
async def test_a_defect_after_the_call_never_calls_again(stage: Stage) -> None:
    bridge = await stage.start()
    real, defects = bridge.replies.sealed, [1]

    def sealed(*arguments: Any, **options: Any) -> bytes:
        if defects:
            defects.pop()
            raise RuntimeError("defect")
        return real(*arguments, **options)

    bridge.replies.sealed = sealed  # type: ignore[method-assign]
    stage.marketing["work-order"].findings = [Answered(DONE)]
    id = await stage.command()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [id]


@scene
async def test_workers_bound_the_calls_and_the_backlog_bounds_what_is_taken(stage: Stage) -> None:
    stage.changes |= {"commands.workers": 3, "commands.backlog": 10, "commands.prefetch": 5}
    stage.changes["commands.sweep_s"] = 600  # what was held back is taken when there is room, not at the next sweep
    bridge = await stage.start()
    marketing = stage.marketing["work-order"]
    marketing.gate = asyncio.Event()
    ids = [await stage.command() for _ in range(40)]
    await until(lambda: len(marketing.calls) == 3)
    await asyncio.sleep(0.1)
    assert len(bridge.ordering) <= 10 + 5
    assert bridge.ordering.own == 0
    assert stage.broker.depth(QUEUE) >= 25
    marketing.gate.set()
    for id in ids:
        await stage.reply(id)
    assert marketing.most == 3
    assert sorted(marketing.calls) == sorted(ids)


@scene
async def test_what_is_held_back_does_not_grow_with_each_connection(stage: Stage) -> None:
    stage.changes |= {"commands.backlog": 1, "commands.prefetch": 5}
    bridge = await stage.start()
    marketing, link = stage.marketing["work-order"], bridge.links["commands"]
    marketing.gate = asyncio.Event()
    ids = [await stage.command()]
    await until(lambda: marketing.calls)
    ids += [await stage.command() for _ in range(10)]
    for _ in range(4):
        epoch = link.epoch
        await until(lambda: len(bridge.command_intake._held_back) >= 5)
        link.lose("cut")  # type: ignore[attr-defined]
        await until(lambda epoch=epoch: link.epoch > epoch)  # type: ignore[misc]
    await until(lambda: {one.epoch for one in bridge.command_intake._held_back} == {link.epoch})
    assert len(bridge.command_intake._held_back) <= 5
    marketing.gate.set()
    for id in ids:
        await stage.reply(id)
    assert sorted(marketing.calls) == sorted(ids)


@scene
async def test_what_waits_for_a_database_does_not_grow_with_each_connection(stage: Stage) -> None:
    stage.changes["commands.prefetch"] = 5
    bridge = await stage.start()
    intake, record, link = bridge.command_intake, bridge.inbox.record, bridge.links["commands"]
    away = True

    async def refused(rows: Any) -> Any:
        if away:
            raise OSError("the database is away")
        return await record(rows)

    bridge.inbox.record = refused  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("intranet_bridge.intake.commands._AT_ONCE", 8)
        ids = [await stage.command() for _ in range(10)]
        for _ in range(4):
            epoch = link.epoch
            await until(lambda: len(intake._running) + len(intake._held_back) >= 5)
            link.lose("cut")  # type: ignore[attr-defined]
            await until(lambda epoch=epoch: link.epoch > epoch)  # type: ignore[misc]
        await until(lambda: len(intake._held_back) == 5)
        assert len(intake._running) == 8
        away = False
        for id in ids:
            await stage.reply(id)
    assert sorted(stage.marketing["work-order"].calls) == sorted(ids)


@scene
async def test_an_outcome_on_its_way_to_the_disk_keeps_no_other_from_its_call(stage: Stage) -> None:
    """Up to three for each worker: a disk that takes no outcome must not make the bridge call all there are."""
    stage.changes["commands.workers"] = 1
    bridge = await stage.start()
    real, gate = bridge.inbox.finished, asyncio.Event()

    async def slow(*arguments: Any, **named: Any) -> None:
        await gate.wait()
        await real(*arguments, **named)

    bridge.inbox.finished = slow  # type: ignore[method-assign]
    marketing = stage.marketing["work-order"]
    ids = [await stage.command() for _ in range(5)]
    await until(lambda: bridge.command_intake.taken == 5 and len(marketing.calls) == 3)
    bridge.workers.pump()
    assert (bridge.workers.in_flight, bridge.ordering.ready("work-order")) == (3, 2)
    gate.set()
    for id in ids:
        assert (await stage.reply(id)).state is State.SUCCEEDED
    assert marketing.most == 1
    assert sorted(marketing.calls) == sorted(ids)


@scene
async def test_an_open_circuit_pauses_one_operation_and_probes_it(stage: Stage) -> None:
    stage.changes |= {"breaker.failures": 3, "breaker.open_min_s": 1.0, "breaker.open_max_s": 1.0}
    down = NotApplied("connect: refused", reached=False)
    broken, sound = stage.marketing["work-order"], stage.marketing["repeatable"]
    broken.default = down
    bridge = await stage.start()
    ids = [await stage.command() for _ in range(5)]
    await until(lambda: stage.presences and stage.presences[-1].operations["work-order"] == "paused")
    assert stage.presences[-1].operations["repeatable"] == "up"
    calls, since = len(broken.calls), time.monotonic()
    assert (await stage.reply(await stage.command("repeatable"))).state is State.SUCCEEDED
    assert len(sound.calls) == 1
    assert len(broken.calls) <= calls + 1 + (time.monotonic() - since) / 1.0  # a probe a second
    broken.default = Answered(DONE)
    for id in ids:
        assert (await stage.reply(id)).state is State.SUCCEEDED
    await until(lambda: stage.presences[-1].operations["work-order"] == "up")
    assert bridge.health["work-order"].breaker.wait_s(time.monotonic()) == 0


@scene
async def test_drain_finishes_what_runs_and_leaves_the_rest_resumable(stage: Stage) -> None:
    stage.changes |= {"commands.workers": 1, "drain_s": 60}
    bridge = await stage.start()
    marketing = stage.marketing["work-order"]
    marketing.gate = asyncio.Event()
    first, second = await stage.command(), await stage.command()
    await until(lambda: marketing.calls == [first] and bridge.command_intake.taken == 2)
    stopping = asyncio.create_task(stage.stop())
    await until(lambda: stage.presences[-1].leaving and bridge.command_intake.closed)
    third = await stage.command()  # comes after intake has stopped: stays on the broker
    await asyncio.sleep(0.05)
    marketing.gate.set()
    await stopping
    assert stage.of(first)[0].state is State.SUCCEEDED
    assert marketing.calls == [first]
    assert stage.broker.depth(QUEUE) == 1
    await stage.start()
    for id in (second, third):
        assert (await stage.reply(id)).state is State.SUCCEEDED
    assert marketing.calls == [first, second, third]
    assert len(stage.of(first)) == 1  # its receipt was recorded before the store closed


@scene
async def test_drain_cuts_a_call_that_takes_too_long_and_it_is_unknown_then(stage: Stage) -> None:
    stage.changes["drain_s"] = 0.1
    await stage.start()
    marketing = stage.marketing["work-order"]
    marketing.gate = asyncio.Event()
    id = await stage.command()
    await until(lambda: marketing.calls)
    await stage.stop()
    marketing.gate = None
    marketing.findings = [Answered(DONE)]
    await stage.start()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert marketing.calls == [id]


@scene
async def test_drain_undoes_no_outcome_that_was_being_written_as_it_ended(stage: Stage) -> None:
    """The disk takes longer than the drain: who waited for the commit is cut off, and the commit is done."""
    stage.changes["drain_s"] = 0.1
    bridge = await stage.start()
    marketing = stage.marketing["delicate"]
    marketing.gate = asyncio.Event()
    id = await stage.command("delicate")
    await until(lambda: marketing.calls)
    finished, moved = bridge.inbox.finished, bridge.inbox.moved
    holder, locked = sqlite3.connect(stage.folder / "bridge.sqlite3", isolation_level=None), asyncio.Event()

    async def behind_a_lock(*arguments: Any) -> None:
        holder.execute("BEGIN IMMEDIATE")
        locked.set()
        await finished(*arguments)

    async def once_there_is_none(*arguments: Any) -> None:
        asyncio.get_running_loop().call_soon(holder.rollback)
        await moved(*arguments)

    bridge.inbox.finished = behind_a_lock  # type: ignore[method-assign, assignment]
    bridge.inbox.moved = once_there_is_none  # type: ignore[method-assign, assignment]
    marketing.gate.set()
    await locked.wait()
    await stage.stop()
    holder.close()
    await stage.start()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert await stage.state(id) == "succeeded"
    assert marketing.calls == [id]


@scene
async def test_what_expires_after_a_commit_that_seemed_to_fail_is_not_left_in_a_call(stage: Stage) -> None:
    """`calling` is on its row, and no call was made: the database answered with an error."""
    bridge = await stage.start()
    calling, now = bridge.inbox.calling, wall()
    stage.clock = lambda: now

    async def done_and_not_heard_of(*arguments: Any) -> bool:
        nonlocal now
        await calling(*arguments)
        now += 60_000
        raise OSError("the server closed the connection")

    bridge.inbox.calling = done_and_not_heard_of  # type: ignore[method-assign, assignment]
    id = await stage.command(deadline=now + 30_000)
    assert (await stage.reply(id)).state is State.EXPIRED
    assert stage.marketing["work-order"].calls == []
    assert await stage.state(id) == "expired"


@scene
async def test_an_operation_not_bound_any_more_waits_in_the_inbox(stage: Stage) -> None:
    bridge = await stage.start()
    bridge.workers._closed = True
    id = await stage.command("repeatable")
    await until(lambda: bridge.command_intake.taken == 1)
    await stage.kill()
    unbound = stage.marketing.pop("repeatable")
    await stage.start()
    other = await stage.command()
    await stage.reply(other)
    await stage.command("repeatable")
    await until(lambda: stage.dead_letters)
    assert stage.dead_letters[0].headers["reason"] == "not-bound"
    await stage.kill()
    stage.marketing["repeatable"] = unbound
    await stage.start()
    assert (await stage.reply(id)).state is State.SUCCEEDED


@scene
async def test_a_clock_that_is_far_ahead_at_the_start_ends_no_memory_of_what_was_done(stage: Stage) -> None:
    await stage.start()
    id, envelope = stage.envelope()
    await stage.send(envelope)
    await stage.reply(id)
    await stage.until_replied(id)
    for ahead_days in (31, 0):
        await stage.kill()
        stage.clock = lambda ahead_days=ahead_days: wall() + ahead_days * 24 * 3_600_000  # type: ignore[misc]
        await stage.start()
    await stage.send(envelope)
    await until(lambda: len(stage.of(id)) == 2)
    assert stage.marketing["work-order"].calls == [id]


@scene
async def test_old_replied_rows_are_forgotten_and_only_those(stage: Stage) -> None:
    bridge = await stage.start()
    id = await stage.command()
    await stage.reply(id)
    await stage.until_replied(id)
    await bridge.housekeeping.forget()
    assert await stage.state(id) == "succeeded"
    stage.clock = lambda: wall() + 31 * 24 * 3_600_000
    await bridge.housekeeping.forget()
    assert await stage.state(id) is None


@scene
async def test_a_renamed_instance_finishes_what_it_had_accepted(stage: Stage) -> None:
    bridge = await stage.start()
    bridge.workers._closed = True
    id = await stage.command()
    await until(lambda: bridge.command_intake.taken == 1)
    await stage.kill()
    stage.changes["name"] = "bridge-renamed"
    await stage.start()
    assert (await stage.reply(id)).state is State.SUCCEEDED


def test_two_bridges_cannot_run_on_one_file(tmp_path: Path) -> None:
    path, program = tmp_path / "bridge.sqlite3", "intranet-bridge"
    with only_one(path, program), pytest.raises(ConfigurationError, match="another intranet-bridge"):
        only_one(path, program)
    only_one(path, program).close()


def unheard(stage: Stage, times: int) -> list[int]:
    """The next `times` commits are done, and said to have failed; grows with each commit."""
    dialect = stage.bridge.store._engine.dialect
    commit, done = dialect.do_commit, []

    def done_but_said_to_have_failed(dbapi_connection: Any) -> None:
        commit(dbapi_connection)
        done.append(1)
        if len(done) <= times:
            raise sqlite3.OperationalError("connection lost")

    dialect.do_commit = done_but_said_to_have_failed  # type: ignore[method-assign]
    return done


@scene
async def test_a_row_whose_commit_was_done_but_not_heard_of_is_worked_on(stage: Stage) -> None:
    """The second commit finds the row of the first: it is ours, and nobody else would begin with it."""
    await stage.start()
    unheard(stage, 1)
    id = await stage.command()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [id]


@scene
async def test_a_lost_connection_does_not_leave_a_row_to_nobody(stage: Stage) -> None:
    """The row is there and its commit was not heard of, then the broker's connection is lost: the broker delivers
    again, to a bridge that finds a row with an owner. So the owner must go on by itself."""
    bridge = await stage.start()
    done = unheard(stage, 2)  # of the group, and of its member by itself
    id = await stage.command()
    await until(lambda: len(done) >= 2)
    bridge.links["commands"].lose("cut")  # type: ignore[attr-defined]
    for consumer in bridge.subscriptions._unsubscribe:
        consumer()  # the redelivery goes elsewhere
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [id]


@scene
async def test_nothing_is_called_while_the_lease_may_be_over(stage: Stage) -> None:
    bridge = await stage.start()
    bridge.lease._held_until = 0.0
    id = await stage.command()
    await until(lambda: bridge.workers.steps["work-order", "retry"] >= 2)
    assert stage.marketing["work-order"].calls == []
    await bridge.lease.renew()
    assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [id]


@scene
async def test_what_a_dead_bridge_left_is_adopted_state_by_state(stage: Stage) -> None:
    """`received` is called; `calling` is unknown, so inquired; a reply that was not sent is sent."""
    bridge = await stage.start()
    bridge.workers._closed = True
    received, calling, replied = [await stage.command() for _ in range(3)]
    await until(lambda: bridge.command_intake.taken == 3)
    request = Attributes(replied, "bridge-2", "work-order", wall())
    sealed = stage.bridge_sealer.seal(
        Kind.REPLY, request, Reply(request, State.SUCCEEDED, "", "", DONE).payload(), now_ms=wall()
    )

    def alter(connection: Any) -> None:
        other = INBOX.update().values(owner="bridge-2")
        connection.execute(other)
        connection.execute(other.where(INBOX.c.id == calling).values(state="calling", attempts=1))
        connection.execute(other.where(INBOX.c.id == replied).values(state="succeeded", attempts=1, reply=sealed))

    await bridge.store.write(alter)
    await stage.kill()
    await stage.start()
    for id in (received, calling, replied):
        assert (await stage.reply(id)).state is State.SUCCEEDED
    marketing = stage.marketing["work-order"]
    assert marketing.inquiries == [calling]
    assert sorted(marketing.calls) == sorted([received, calling])
    assert {(await stage.row(id)).owner for id in (received, calling, replied)} == {"bridge-1"}


@scene
async def test_what_was_adopted_is_worked_on_though_the_commit_is_done_twice(stage: Stage) -> None:
    """The second time there is nobody to adopt from."""
    await adopted_unheard(stage, None)


@scene
async def test_what_was_adopted_is_worked_on_though_the_commit_seemed_to_fail(stage: Stage) -> None:
    await adopted_unheard(stage, OSError("the server closed the connection"))


async def adopted_unheard(stage: Stage, error: Exception | None) -> None:
    bridge = await stage.start()
    bridge.workers._closed = True
    id = await stage.command()
    await until(lambda: bridge.command_intake.taken == 1)
    await bridge.store.write(lambda connection: connection.execute(INBOX.update().values(owner="bridge-2")))
    await stage.kill()
    adopt = Lease.adopt

    async def done_and_not_heard_of(lease: Lease, take: Any) -> Any:
        await adopt(lease, take)
        await adopt(lease, take)
        if error is not None:
            raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lease, "adopt", done_and_not_heard_of)
        await stage.start()
        assert (await stage.reply(id)).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [id]


@scene
async def test_what_exceeds_an_operations_places_stays_in_the_inbox_and_holds_no_worker(stage: Stage) -> None:
    inquiry = {"path": "/", "request": "{id: request_id}", "found": "found == 'y'", "not_found": "found == 'n'"}
    stage.changes |= {
        "commands.workers": 2,
        "operations.work-order": {"path": "/", "response": "@", "concurrency": 1, "inquire": inquiry},
    }
    bridge = await stage.start()
    slow = stage.marketing["work-order"]
    slow.gate = asyncio.Event()
    orders = [await stage.command() for _ in range(3)]
    await until(lambda: slow.running == 1 and bridge.ordering.ready("work-order") == 2)
    for _ in range(3):
        assert (await stage.reply(await stage.command("repeatable"))).state is State.SUCCEEDED
    assert (bridge.workers.in_flight, slow.running) == (1, 1)
    assert [await stage.state(id) for id in orders] == ["calling", "received", "received"]
    slow.script = [LOST]  # the first one's outcome is inquired about, which takes a place too
    slow.gate.set()
    for id in orders:
        assert (await stage.reply(id)).state is State.SUCCEEDED
    assert slow.most == 1
    assert sorted(set(slow.calls)) == sorted(orders)
    await until(lambda: bridge.workers.in_flight == 0)
    assert bridge.places["work-order"].in_use == 0
    assert not bridge.workers._placed

"""Queries: answered within their deadline or told clearly; bounded; nothing bad stops the queue."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from intranet_bridge.intake.conflict import InboxConflict
from intranet_bridge.intake.dead_letters import DeadLetters
from intranet_bridge.intake.queries import QueryIntake
from intranet_bridge.marketing import Answered, Fault, NotApplied, Refused, Rejected, Unknown
from intranet_bridge.queries.workers import REPLY_S, hopeless
from protocol.destinations import presence, queries
from protocol.frames import pack, unpack
from protocol.lifecycle import State
from protocol.link.every import EveryBroker
from protocol.link.memory import MemoryBroker, MemoryLink
from protocol.link.port import AckMode, Delivery, Link, Outgoing, Subscription
from protocol.operations import INTERNAL
from tests.unit.intranet_bridge.harness import BILL_BODY, Stage, scene, until, wall

QUEUE = queries("main")
BILLS = b'{"account":"3210000000001","bills":[]}'
METER = {
    "path": "/",
    "response": "@",
    "inquire": {"path": "/", "request": "{id: request_id}", "found": "found == 'y'", "not_found": "found == 'n'"},
}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def bill(stage: Stage, **changes: Any) -> tuple[str, bytes]:
    return stage.envelope("bill-query", **({"body": BILL_BODY} | changes))


async def started(stage: Stage) -> Any:
    stage.marketing["bill-query"].default = Answered(BILLS)
    return await stage.start()


@scene
async def test_a_query_is_answered_and_acknowledged(stage: Stage) -> None:
    await started(stage)
    id, envelope = bill(stage, traceparent=TRACE)
    await stage.ask(envelope)
    reply = await stage.reply(id)
    assert (reply.state, reply.result) == (State.SUCCEEDED, BILLS)
    assert (reply.attributes.traceparent, reply.attributes.source) == (TRACE, "bridge-1")
    assert reply.attributes.deadline > wall()
    await until(lambda: stage.broker.depth(QUEUE) == 0)


@scene
async def test_every_outcome_has_its_word(stage: Stage) -> None:
    await started(stage)
    wanted = [
        (Refused("no-such-account", "户号不存在"), State.REFUSED, "no-such-account"),
        (Rejected("HTTP 404"), State.FAILED, "marketing-rejected"),
        (Unknown("timeout", timed_out=True), State.FAILED, "marketing-timeout"),
        (Unknown("HTTP 500"), State.FAILED, "marketing-failed"),
        (NotApplied("HTTP 429", reached=True), State.FAILED, "marketing-unavailable"),
        (Unknown("mismatch at account", fault=Fault.MISMATCH), State.FAILED, "answer-mismatch"),
        (ValueError("an adapter promises not to"), State.FAILED, "marketing-failed"),
    ]
    for outcome, state, code in wanted:
        stage.marketing["bill-query"].script = [outcome]
        id, envelope = bill(stage)
        await stage.ask(envelope)
        reply = await stage.reply(id)
        assert (reply.state, reply.code) == (state, code)
        if state is State.FAILED:
            assert reply.detail == ""  # what went wrong inside is for our log


@scene
async def test_unreached_is_tried_again_while_time_remains(stage: Stage) -> None:
    await started(stage)
    down = NotApplied("connect: refused", reached=False)
    stage.marketing["bill-query"].script = [down, down]
    id, envelope = bill(stage)
    await stage.ask(envelope)
    assert (await stage.reply(id)).state is State.SUCCEEDED
    stage.marketing["bill-query"].default = down
    now = wall()
    # there are 0.3 s left, and not fewer, until the next pause would take as long
    stage.clock = stage.front_clock = lambda: now
    id, envelope = bill(stage, deadline=now + 300)
    await stage.ask(envelope)
    assert (await stage.reply(id)).code == "marketing-unavailable"  # and not "marketing-timeout": before its deadline


@scene
async def test_what_is_late_replayed_or_bad_does_not_stop_the_queue(stage: Stage) -> None:
    bridge = await started(stage)
    good, again = bill(stage), bill(stage)
    late = bill(stage, deadline=wall() - 1)
    never = bill(stage, deadline=0)
    wrong = stage.envelope("work-order", reply_to="/queue/bridge.reply.query.front-1")
    hostile = bill(stage, reply_to="/queue/bridge.reply.query.front-1,/queue/other")
    other_lane = bill(stage, reply_to="/queue/bridge.reply.command.front-1")
    broken = again[1][:-1] + bytes([again[1][-1] ^ 1])
    members = [late[1], wrong[1], hostile[1], again[1], again[1], broken, other_lane[1], never[1], good[1]]
    await stage.link.send(Outgoing(QUEUE, b"no frame", persistent=True))
    await stage.ask(*members)
    assert (await stage.reply(good[0])).state is State.SUCCEEDED
    await stage.reply(again[0])
    await until(lambda: len(stage.dead_letters) == 5)
    reasons = ["malformed", "reply-to", "reply-to", "tampered", "wrong-lane"]
    assert sorted(letter.headers["reason"] for letter in stage.dead_letters) == reasons
    assert bridge.queries.dropped == {"expired": 2, "replayed": 1}
    assert sorted(stage.marketing["bill-query"].calls) == sorted([good[0], again[0]])
    await until(lambda: stage.broker.depth(QUEUE) == 0)


@scene
async def test_invalid_and_unserved_are_answered_at_once(stage: Stage) -> None:
    del stage.marketing["arrears-query"]
    await started(stage)
    id, envelope = bill(stage, body=b'{"account":"1"}')
    await stage.ask(envelope)
    assert (await stage.reply(id)).code == "invalid-request"
    id, envelope = stage.envelope("arrears-query", body=b'{"account":"3210000000001"}')
    await stage.ask(envelope)
    assert (await stage.reply(id)).code == "marketing-unavailable"
    assert not stage.marketing["bill-query"].calls


@scene
async def test_overload_waits_on_the_broker_and_late_ones_are_dropped(stage: Stage) -> None:
    stage.changes |= {"queries.slots": 2, "queries.prefetch": 3}
    now = [wall()]
    stage.clock = lambda: now[0]
    bridge = await started(stage)
    marketing = stage.marketing["bill-query"]
    marketing.gate = asyncio.Event()
    sent = [bill(stage, deadline=now[0] + 400) for _ in range(20)]
    for _, envelope in sent:
        await stage.ask(envelope)
    await until(lambda: marketing.running == 2)
    await asyncio.sleep(0.02)
    assert bridge.query_intake.waiting <= 3
    assert stage.broker.depth(QUEUE) == 18  # two are taken; the rest the broker still has
    now[0] += 500
    marketing.gate.set()
    fresh = bill(stage)
    await stage.ask(fresh[1])
    assert (await stage.reply(fresh[0])).state is State.SUCCEEDED
    assert marketing.most == 2
    assert len(marketing.calls) == 3
    assert bridge.queries.dropped["expired"] == 18


def test_a_call_is_spared_only_if_it_is_hopeless_and_another_waits() -> None:
    assert hopeless(0.05, 0.1, waiting=1)
    assert not hopeless(0.1, 0.1, waiting=1)
    assert not hopeless(0.05, 0.1, waiting=0)
    assert not hopeless(0.001, 0.0, waiting=9)  # nothing measured yet


@scene
async def test_a_query_with_too_little_time_left_makes_way(stage: Stage) -> None:
    stage.changes |= {"queries.slots": 1}
    bridge = await started(stage)
    bridge.queries.service_s = 3.0
    marketing = stage.marketing["bill-query"]
    marketing.gate = asyncio.Event()
    first, hopeless_one, last = bill(stage), bill(stage, deadline=wall() + 1_000), bill(stage, deadline=wall() + 9_000)
    await stage.ask(first[1], hopeless_one[1], last[1])
    await until(lambda: marketing.running == 1)
    marketing.gate.set()
    assert (await stage.reply(hopeless_one[0])).code == "overloaded"
    assert (await stage.reply(last[0])).state is State.SUCCEEDED
    assert marketing.calls == [first[0], last[0]]
    assert bridge.queries.dropped == {"hopeless": 1}
    assert 0 < bridge.queries.service_s < 3.0
    assert bridge.presence().query_slots == 1
    assert bridge.presence().query_ms > 0


@scene
async def test_an_open_circuit_answers_at_once(stage: Stage) -> None:
    stage.changes |= {"breaker.failures": 2, "breaker.open_min_s": 0.3}
    await started(stage)
    marketing = stage.marketing["bill-query"]
    marketing.default = Unknown("HTTP 500")
    for _ in range(4):
        id, envelope = bill(stage)
        await stage.ask(envelope)
        await stage.reply(id)
    assert len(marketing.calls) == 2
    assert [reply.code for reply in stage.replies] == ["marketing-failed"] * 2 + ["marketing-unavailable"] * 2
    await until(lambda: stage.presences[-1].operations["bill-query"] == "paused")
    marketing.default = Answered(BILLS)
    await until(lambda: stage.presences[-1].operations["bill-query"] == "up")  # half open: it may be probed
    id, envelope = bill(stage)
    await stage.ask(envelope)
    assert (await stage.reply(id)).state is State.SUCCEEDED


@scene
async def test_one_odd_account_keeps_nobody_out_and_is_counted_apart(stage: Stage) -> None:
    stage.changes |= {"breaker.failures": 2, "breaker.open_min_s": 60}
    bridge = await started(stage)
    marketing = stage.marketing["bill-query"]
    marketing.script = [Unknown("answer: total: int_type", fault=Fault.ANSWER)] * 9
    with capture_logs() as logs:
        for number in range(9):
            months = b'"first_month":"2026-01","last_month":"2026-0%d"}' % (number % 6 + 1)
            id, envelope = bill(stage, body=b'{"account":"3210000000001",' + months)
            await stage.ask(envelope)
            assert (await stage.reply(id)).code == "marketing-failed"
    assert bridge.health["bill-query"].breaker.wait_s(time.monotonic()) == 0
    id, envelope = bill(stage)
    await stage.ask(envelope)
    assert (await stage.reply(id)).state is State.SUCCEEDED
    counted = {
        labels["fault"]: number
        for name, _, labels, number in bridge.samples()
        if name == "intranet_bridge_interface_failures_total" and labels["operation"] == "bill-query"
    }
    assert counted == {"interface": 0, "answer": 9}
    said = [line for line in logs if line["event"] == "answers-odd"]
    assert [(line["log_level"], line["failures"], line["accounts"]) for line in said] == [("warning", 1, 1)]


@scene
async def test_answers_that_cannot_be_read_for_most_accounts_open_the_circuit(stage: Stage) -> None:
    stage.changes |= {"breaker.failures": 3, "breaker.open_min_s": 60}
    bridge = await started(stage)
    stage.marketing["bill-query"].default = Unknown("answer: not JSON", fault=Fault.ANSWER)
    for number in range(3):
        body = BILL_BODY.replace(b"3210000000001", b"321000000000%d" % number)
        id, envelope = bill(stage, body=body)
        await stage.ask(envelope)
        await stage.reply(id)
    assert bridge.health["bill-query"].breaker.wait_s(time.monotonic()) > 0


@scene
async def test_an_answer_about_another_is_loud_without_its_values(stage: Stage) -> None:
    bridge = await started(stage)
    stage.marketing["bill-query"].script = [Unknown("mismatch at account", fault=Fault.MISMATCH)]
    id, envelope = bill(stage)
    with capture_logs() as logs:
        await stage.ask(envelope)
        reply = await stage.reply(id)
    assert (reply.code, reply.detail, reply.result) == ("answer-mismatch", "", b"")
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert (line["event"], line["request_id"], line["reason"]) == ("answer-mismatch", id, "mismatch at account")
    assert "3210000000001" not in str(logs)
    counted = {
        labels["operation"]: number
        for name, _, labels, number in bridge.samples()
        if name == "intranet_bridge_answer_mismatches_total"
    }
    assert counted["bill-query"] == 1


@scene
async def test_the_second_refusal_of_our_credentials_is_enough(stage: Stage) -> None:
    stage.changes |= {"breaker.failures": 100}
    await started(stage)
    marketing = stage.marketing["bill-query"]
    marketing.script = [NotApplied("HTTP 302", reached=False, denied=True)] * 2
    id, envelope = bill(stage)
    await stage.ask(envelope)
    assert (await stage.reply(id)).code == "marketing-unavailable"
    assert len(marketing.calls) == 2
    marketing.script = [NotApplied("HTTP 401", reached=False, denied=True)]  # a session that ended
    id, envelope = bill(stage)
    await stage.ask(envelope)
    assert (await stage.reply(id)).state is State.SUCCEEDED


@scene
async def test_failures_of_an_interface_are_warnings_with_their_count_and_no_line_each(stage: Stage) -> None:
    stage.changes |= {"breaker.failures": 20, "breaker.open_min_s": 60}
    bridge = await started(stage)
    stage.marketing["bill-query"].default = Unknown("HTTP 500")
    with capture_logs() as logs:
        for number in range(20):
            if number == 10:
                bridge.health["bill-query"]._said_at.clear()  # as some seconds later
            id, envelope = bill(stage)
            await stage.ask(envelope)
            await stage.reply(id)
    lines = [(line["event"], line.get("failures")) for line in logs if line["log_level"] == "warning"]
    assert lines == [("interface-failing", 1), ("interface-failing", 10), ("circuit-open", None)]


@scene
async def test_a_query_with_hardly_any_time_does_not_open_the_circuit(stage: Stage) -> None:
    stage.changes["breaker.failures"] = 1
    bridge = await started(stage)
    stage.marketing["bill-query"].script = [Unknown("timeout", timed_out=True)]
    now = wall()
    stage.clock = stage.front_clock = lambda: now
    id, envelope = bill(stage, deadline=now + 300)
    await stage.ask(envelope)
    assert (await stage.reply(id)).code == "marketing-timeout"
    assert bridge.health["bill-query"].breaker.wait_s(time.monotonic()) == 0


@scene
async def test_presence_tells_what_works_and_that_the_bridge_leaves(stage: Stage) -> None:
    await started(stage)
    await until(lambda: len(stage.presences) >= 3)
    said = stage.presences[-1]
    assert (said.instance, said.leaving, said.capacity) == ("bridge-1", False, 64 + 32)
    assert set(said.operations) == set(stage.marketing) - INTERNAL
    assert set(said.operations.values()) == {"up"}
    await stage.stop()
    await until(lambda: stage.presences[-1].leaving)


@scene
async def test_drain_answers_what_runs_and_leaves_what_waits(stage: Stage) -> None:
    stage.changes |= {"queries.slots": 1, "drain_s": 60}
    await started(stage)
    marketing = stage.marketing["bill-query"]
    marketing.gate = asyncio.Event()
    first, second = bill(stage), bill(stage)
    await stage.ask(first[1])
    await stage.ask(second[1])
    await until(lambda: marketing.running == 1)
    stopping = asyncio.create_task(stage.stop())
    await asyncio.sleep(0.05)
    marketing.gate.set()
    await stopping
    assert stage.of(first[0])
    assert not stage.of(second[0])
    assert stage.broker.depth(QUEUE) == 1  # for another bridge


@scene
async def test_a_bad_message_behind_waiting_ones_does_not_acknowledge_them(stage: Stage) -> None:
    stage.changes |= {"queries.slots": 1, "queries.prefetch": 5}
    await started(stage)
    marketing = stage.marketing["bill-query"]
    marketing.gate = asyncio.Event()
    first, second = bill(stage), bill(stage)
    await stage.ask(first[1])
    await stage.ask(second[1])
    await stage.link.send(Outgoing(QUEUE, b"no frame", persistent=True))
    await until(lambda: marketing.running == 1)
    await asyncio.sleep(0.02)
    assert stage.broker.depth(QUEUE) == 2
    marketing.gate.set()
    await stage.reply(second[0])
    await until(lambda: stage.dead_letters and stage.broker.depth(QUEUE) == 0)


async def acknowledged(taken: int) -> list[bytes]:
    """Bodies acknowledged, and those acknowledged by them, when `taken` of four queries from two brokers are taken."""
    brokers = (MemoryBroker(), MemoryBroker())
    link = EveryBroker([MemoryLink(broker) for broker in brokers])
    senders = [MemoryLink(broker) for broker in brokers]
    intake = QueryIntake(link, DeadLetters(link), InboxConflict(lambda: ""), prefetch=4)
    link.subscribe(Subscription(QUEUE, intake.handle, AckMode.CUMULATIVE, 10))
    links: tuple[Link, ...] = (link, *senders)
    for one in links:
        await one.start()
    for sender, bodies in zip(senders, ((b"a1", b"a2"), (b"b1", b"b2")), strict=True):
        await sender.ready()
        for body in bodies:
            await sender.send(Outgoing(QUEUE, pack([body])))
    await until(lambda: intake.waiting == 4)
    for _ in range(taken):
        await intake.next()
    await link.close()  # what was not acknowledged is the broker's again
    left = [unpack(stored.message.body)[0] for broker in brokers for stored in broker.stored(QUEUE)]
    return sorted({b"a1", b"a2", b"b1", b"b2"} - set(left))


@pytest.mark.anyio
async def test_queries_of_two_brokers_are_acknowledged_to_both() -> None:
    """One acknowledgement for many is enough for one connection, and not for two."""
    assert await acknowledged(0) == []
    assert await acknowledged(1) == [b"a1"]
    assert await acknowledged(3) == [b"a1", b"a2", b"b1"]
    assert await acknowledged(4) == [b"a1", b"a2", b"b1", b"b2"]


@scene
async def test_a_fronts_clock_is_measured_even_by_what_comes_too_late(stage: Stage) -> None:
    for ahead_ms, reason in ((30_000, "expired"), (-150_000, "stale")):
        stage.clock = lambda ahead_ms=ahead_ms: wall() + ahead_ms  # type: ignore[misc]
        bridge = await started(stage)
        await stage.ask(bill(stage)[1])
        await until(lambda: stage.bridge.queries.dropped)
        assert bridge.queries.dropped == {reason: 1}
        [(labels, seconds)] = [
            (labels, value)
            for name, _, labels, value in bridge.samples()
            if name == "intranet_bridge_clock_skew_seconds"
        ]
        assert labels == {"front": "front-1"}
        assert -5 < seconds + ahead_ms / 1000 <= 0  # the way took some time, never less than none
        await stage.stop()


@scene
async def test_presence_does_not_expire_by_the_brokers_clock(stage: Stage) -> None:
    headers: list[Mapping[str, str]] = []

    def take(delivery: Delivery) -> None:
        headers.append(delivery.headers)

    stage.link.subscribe(Subscription(presence("main"), take, AckMode.AUTO))
    stage.clock = lambda: wall() - 60_000
    await started(stage)
    await until(lambda: headers)
    assert "expires" not in headers[0]


def one_at_a_time(stage: Stage, operation: str = "bill-query", **changes: Any) -> None:
    stage.changes[f"operations.{operation}"] = {"path": "/", "response": "@", "concurrency": 1} | changes


@scene
async def test_what_exceeds_an_operations_places_waits_and_holds_no_slot(stage: Stage) -> None:
    one_at_a_time(stage)
    stage.changes |= {"queries.slots": 2}
    stage.marketing["arrears-query"].default = Answered(b'{"account":"3210000000001","total":0,"unpaid":[]}')
    bridge = await started(stage)
    marketing = stage.marketing["bill-query"]
    marketing.gate = asyncio.Event()
    bills = [bill(stage) for _ in range(4)]
    await stage.ask(*(envelope for _, envelope in bills))
    await until(lambda: bridge.places["bill-query"].waiting == 3)
    for _ in range(3):
        id, envelope = stage.envelope("arrears-query", body=b'{"account":"3210000000001"}')
        await stage.ask(envelope)
        assert (await stage.reply(id)).state is State.SUCCEEDED
    samples = {
        name: number
        for name, _, labels, number in bridge.samples()
        if name.startswith("intranet_bridge_places") and labels == {"operation": "bill-query"}
    }
    assert samples == {
        "intranet_bridge_places": 1,
        "intranet_bridge_places_in_use": 1,
        "intranet_bridge_places_waited_for": 3,
    }
    assert (bridge.queries.in_flight, marketing.running) == (1, 1)
    marketing.gate.set()
    for id, _ in bills:
        assert (await stage.reply(id)).state is State.SUCCEEDED
    assert marketing.most == 1
    assert marketing.calls == [id for id, _ in bills]
    assert bridge.places["bill-query"].in_use == 0


@scene
async def test_who_would_wait_too_long_is_told_before_the_deadline_and_no_failure_is_counted(stage: Stage) -> None:
    one_at_a_time(stage)
    stage.changes |= {"breaker.failures": 1}
    bridge = await started(stage)
    marketing, places = stage.marketing["bill-query"], bridge.places["bill-query"]
    marketing.gate = asyncio.Event()
    now = wall()
    stage.clock = stage.front_clock = lambda: now  # a deadline is as far away when a query lines up as when it was made
    first, patient = bill(stage, deadline=now + 600_000), bill(stage, deadline=now + 600_000)
    impatient = bill(stage, deadline=now + 400)
    await stage.ask(first[1], impatient[1], patient[1])
    await until(lambda: len(bridge.queries._waiting) == 2 or places.turned_away)
    for query in bridge.queries._waiting:
        if query.request.id == impatient[0]:
            assert query.timer is not None
            assert query.timer.when() - asyncio.get_running_loop().time() <= 0.4 - REPLY_S  # before its deadline
    assert (await stage.reply(impatient[0])).code == "overloaded"
    assert places.turned_away == 1
    places.call_s = 1_000.0  # as if calls were slow now: another would wait for nothing, and is told at once
    hopeless_one = bill(stage, deadline=now + 600_000)
    await stage.ask(hopeless_one[1])
    assert (await stage.reply(hopeless_one[0])).code == "overloaded"
    marketing.gate.set()
    for id in (first[0], patient[0]):
        assert (await stage.reply(id)).state is State.SUCCEEDED
    assert marketing.calls == [first[0], patient[0]]
    assert (places.turned_away, places.waiting, places.in_use) == (2, 0, 0)
    assert bridge.health["bill-query"].failures.total() == 0
    assert 0 < places.call_s < 1_000.0


@scene
async def test_nobody_waits_for_an_interface_that_is_left_alone(stage: Stage) -> None:
    one_at_a_time(stage)
    stage.changes |= {"breaker.failures": 1, "breaker.open_min_s": 60}
    await started(stage)
    marketing = stage.marketing["bill-query"]
    marketing.gate, marketing.default = asyncio.Event(), Unknown("HTTP 500")
    first, waiting = bill(stage), bill(stage)
    await stage.ask(first[1], waiting[1])
    await until(lambda: stage.bridge.places["bill-query"].waiting == 1)
    marketing.gate.set()
    assert (await stage.reply(first[0])).code == "marketing-failed"
    assert (await stage.reply(waiting[0])).code == "marketing-unavailable"
    assert len(marketing.calls) == 1


@scene
async def test_who_waits_when_the_bridge_stops_is_answered(stage: Stage) -> None:
    one_at_a_time(stage)
    stage.changes |= {"drain_s": 0.2}
    await started(stage)
    stage.marketing["bill-query"].gate = asyncio.Event()
    first, waiting = bill(stage), bill(stage)
    await stage.ask(first[1], waiting[1])
    await until(lambda: stage.bridge.places["bill-query"].waiting == 1)
    await stage.stop()
    assert (await stage.reply(waiting[0])).code == "overloaded"


@scene
async def test_a_systems_places_are_shared_by_its_operations_and_kinds(stage: Stage) -> None:
    one_at_a_time(stage, concurrency=None)
    stage.changes |= {"marketing.concurrency": 1, "operations.meter-reading-submit": METER}
    bridge = await started(stage)
    bills, readings = stage.marketing["bill-query"], stage.marketing["meter-reading-submit"]
    readings.default = Answered(b"{}")
    bills.gate, readings.gate = asyncio.Event(), asyncio.Event()
    first, second = bill(stage), bill(stage)
    await stage.ask(first[1], second[1])
    await until(lambda: bills.running == 1)
    body = b'{"account":"3210000000001","reading":"1","read_on":"2026-07-14"}'
    command = await stage.command("meter-reading-submit", body=body)
    await until(lambda: bridge.ordering.ready("meter-reading-submit") == 1)
    assert (readings.running, bridge.workers.in_flight, bridge.queries.in_flight) == (0, 0, 1)
    bills.gate.set()
    await stage.reply(first[0])
    await until(lambda: readings.running == 1 or stage.of(second[0]))
    readings.gate.set()
    assert (await stage.reply(second[0])).state is State.SUCCEEDED
    assert (await stage.reply(command)).state is State.SUCCEEDED
    assert bridge.places["bill-query"].system.in_use == 0

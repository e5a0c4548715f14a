"""What every link promises (protocol/link/port.py), asked of the real broker and of the in-memory twin alike."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from protocol.errors import LinkDown, OutcomeUnknown, Overloaded, SendRefused
from protocol.link.port import AckMode, Delivery, Outgoing, Subscription

pytestmark = pytest.mark.anyio

PATIENCE = 30.0
"""Seconds anything may take before a test fails."""
QUIET = 0.3
"""Seconds of waiting for what must not come."""


class Inbox:
    """A subscription's handler: collects, and lets a test wait for what it expects."""

    def __init__(self, then: Callable[[Delivery], None] | None = None) -> None:
        self.all: list[Delivery] = []
        self._then = then
        self._news = asyncio.Event()

    def __call__(self, delivery: Delivery) -> None:
        self.all.append(delivery)
        self._news.set()
        if self._then is not None:
            self._then(delivery)

    @property
    def bodies(self) -> list[bytes]:
        return [delivery.body for delivery in self.all]

    async def has(self, count: int) -> list[Delivery]:
        """The first `count` deliveries, once they are here."""
        async with asyncio.timeout(PATIENCE):
            while len(self.all) < count:
                self._news.clear()
                await self._news.wait()
        return self.all[:count]

    async def stays_at(self, count: int) -> None:
        """Nothing comes beyond `count` deliveries."""
        await self.has(count)
        try:
            async with asyncio.timeout(QUIET):
                while len(self.all) == count:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return
        pytest.fail(f"{len(self.all) - count} deliveries too many")


async def sent(link: Any, *messages: Outgoing) -> None:
    """Send, and wait for every receipt."""
    async with asyncio.timeout(PATIENCE):
        for receipt in [link.send(message) for message in messages]:
            await receipt


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a state no event tells of."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  (the state of another object: it has no event to wait for)
            await asyncio.sleep(0.005)


# --- connecting ------------------------------------------------------------------------------------------------


async def test_start_returns_at_once_and_ready_when_connected(world: Any) -> None:
    link = await world.link("front", started=False)
    seen: list[bool] = []
    link.watch(seen.append)
    assert (link.connected, link.epoch, link.server, seen) == (False, 0, "", [False])
    await link.start()
    assert not link.connected
    await asyncio.wait_for(link.ready(), PATIENCE)
    assert (link.connected, link.epoch, seen) == (True, 1, [False, True])
    assert link.server


async def test_the_next_broker_of_the_list_is_tried_when_the_first_is_dead(world: Any) -> None:
    link = await world.link("front", dead_first=True)
    assert (link.connected, link.epoch) == (True, 1)


async def test_sending_before_the_connection_fails_with_link_down(world: Any, queue: str) -> None:
    link = await world.link("front", started=False)
    with pytest.raises(LinkDown):
        await link.send(Outgoing(queue, b"x"))


async def test_after_close_nothing_goes_out_and_watchers_know(world: Any, queue: str) -> None:
    link = await world.link("front")
    seen: list[bool] = []
    link.watch(seen.append)
    await link.close()
    assert (link.connected, seen) == (False, [True, False])
    with pytest.raises(LinkDown):
        await link.send(Outgoing(queue, b"x"))
    await link.close()  # twice is no harm


async def test_close_flushes_what_was_sent(world: Any, queue: str) -> None:
    front, bridge = await world.link("front"), await world.link("bridge")
    receipts = [front.send(Outgoing(queue, b"%d" % n, persistent=True)) for n in range(20)]
    await front.close()
    for receipt in receipts:
        await asyncio.wait_for(receipt, PATIENCE)
    inbox = Inbox()
    bridge.subscribe(Subscription(queue, inbox, AckMode.AUTO, prefetch=100))
    assert [d.body for d in await inbox.has(20)] == [b"%d" % n for n in range(20)]


# --- sending and receiving -------------------------------------------------------------------------------------

BODIES = {
    "nul": b"\0before\0\0after\n\n\0",
    "chinese": "电费账单：张三，应缴 123.45 元".encode(),
    "empty": b"",
    "frame-like": b"SEND\ndestination:/queue/x\n\nbody\0\n",
    "every-byte": bytes(range(256)) * 4,
    "200-kilobytes": bytes(range(251)) * 800,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_body_arrives_as_it_was_sent(world: Any, queue: str, body: bytes) -> None:
    front, bridge = await world.link("front"), await world.link("bridge")
    inbox = Inbox()
    bridge.subscribe(Subscription(queue, inbox))
    await sent(front, Outgoing(queue, body))
    [delivery] = await inbox.has(1)
    assert isinstance(delivery.body, bytes)
    assert delivery.body == body
    assert delivery.destination == queue
    assert bridge.current(delivery)
    assert bridge.ack(delivery) is True


async def test_many_messages_arrive_in_order(world: Any, queue: str) -> None:
    front, bridge = await world.link("front"), await world.link("bridge")
    inbox = Inbox(then=lambda delivery: bridge.ack(delivery))
    bridge.subscribe(Subscription(queue, inbox, prefetch=50))
    await sent(front, *(Outgoing(queue, b"%d" % n) for n in range(500)))
    assert [d.body for d in await inbox.has(500)] == [b"%d" % n for n in range(500)]


async def test_headers_arrive_as_they_were_sent(world: Any, queue: str) -> None:
    front, bridge = await world.link("front"), await world.link("bridge")
    inbox = Inbox()
    bridge.subscribe(Subscription(queue, inbox, AckMode.AUTO))
    headers = {"note": "a:b\\c\nd", "traceparent": "00-4bf9-00f0-01", "city": "大连"}
    await sent(front, Outgoing(queue, b"x", headers=headers))
    [delivery] = await inbox.has(1)
    assert {key: delivery.headers[key] for key in headers} == headers


async def test_persistence_and_expiry_are_told_to_the_broker(world: Any, queue: str) -> None:
    front, bridge = await world.link("front"), await world.link("bridge")
    inbox = Inbox()
    bridge.subscribe(Subscription(queue, inbox, AckMode.AUTO, prefetch=10))
    later = int(time.time() * 1000) + 60_000
    await sent(front, Outgoing(queue, b"1"), Outgoing(queue, b"2", persistent=True, expires=later))
    # ActiveMQ keeps what is persistent and what is not apart: between the two there is no order.
    plain, persistent = sorted(await inbox.has(2), key=lambda delivery: delivery.body)
    assert plain.headers.get("persistent") != "true"
    assert persistent.headers["persistent"] == "true"
    assert persistent.headers["expires"] == str(later)


async def test_what_has_expired_is_not_delivered(world: Any, queue: str) -> None:
    front, bridge = await world.link("front"), await world.link("bridge")
    inbox = Inbox()
    bridge.subscribe(Subscription(queue, inbox, AckMode.AUTO, prefetch=10))
    past = int(time.time() * 1000) - 5_000
    await sent(front, Outgoing(queue, b"dead", expires=past), Outgoing(queue, b"alive"))
    assert [d.body for d in await inbox.has(1)] == [b"alive"]


async def test_a_topic_reaches_every_subscriber_and_none_later(world: Any, topic: str, queue: str) -> None:
    bridge = await world.link("bridge")
    fronts = [await world.link("front") for _ in range(2)]
    await sent(bridge, Outgoing(topic, b"nobody listens"))
    inboxes = [Inbox() for _ in fronts]
    for front, inbox in zip(fronts, inboxes, strict=True):
        front.subscribe(Subscription(topic, inbox, AckMode.AUTO, prefetch=10))
        await sent(front, Outgoing(queue, b"-"))  # a connection's frames are handled in order: subscribed now
    await sent(bridge, Outgoing(topic, b"hello"))
    for inbox in inboxes:
        await inbox.stays_at(1)
        assert inbox.bodies == [b"hello"]


async def test_a_failing_handler_harms_nobody(world: Any, queue: str) -> None:
    front, bridge = await world.link("front"), await world.link("bridge")

    def fail(_: Delivery) -> None:
        raise ZeroDivisionError

    inbox = Inbox(then=fail)
    bridge.subscribe(Subscription(queue, inbox, AckMode.AUTO, prefetch=10))
    await sent(front, Outgoing(queue, b"1"), Outgoing(queue, b"2"))
    await inbox.has(2)
    assert (bridge.connected, bridge.epoch, bridge.counters.handler_errors) == (True, 1, 2)


# --- acknowledging ---------------------------------------------------------------------------------------------


async def test_prefetch_bounds_what_is_delivered_without_acknowledgement(world: Any, queue: str) -> None:
    front, bridge = await world.link("front"), await world.link("bridge")
    inbox = Inbox()
    bridge.subscribe(Subscription(queue, inbox, prefetch=3))
    await sent(front, *(Outgoing(queue, b"%d" % n) for n in range(10)))
    await inbox.stays_at(3)
    assert bridge.ack(inbox.all[0])
    await inbox.stays_at(4)


async def test_consumers_compete_for_a_queue(world: Any, queue: str) -> None:
    front = await world.link("front")
    bridges = [await world.link("bridge") for _ in range(2)]
    inboxes = [Inbox(then=bridge.ack) for bridge in bridges]
    for bridge, inbox in zip(bridges, inboxes, strict=True):
        bridge.subscribe(Subscription(queue, inbox, prefetch=1))
    await sent(front, *(Outgoing(queue, b"%d" % n) for n in range(20)))
    await until(lambda: sum(len(inbox.all) for inbox in inboxes) == 20)
    assert sorted(inboxes[0].bodies + inboxes[1].bodies) == sorted(b"%d" % n for n in range(20))


@pytest.mark.parametrize(
    ("mode", "acknowledged", "again"),
    [
        (AckMode.AUTO, [], []),
        (AckMode.INDIVIDUAL, [1, 3], [b"0", b"2", b"4"]),
        (AckMode.CUMULATIVE, [2], [b"3", b"4"]),
        (AckMode.INDIVIDUAL, [], [b"0", b"1", b"2", b"3", b"4"]),
    ],
    ids=["auto", "individual", "cumulative", "none"],
)
async def test_what_was_not_acknowledged_comes_again_after_a_disconnect(
    world: Any, queue: str, mode: AckMode, acknowledged: list[int], again: list[bytes]
) -> None:
    front, bridge = await world.link("front"), await world.link("bridge")
    inbox = Inbox()
    bridge.subscribe(Subscription(queue, inbox, mode, prefetch=10))
    await sent(front, *(Outgoing(queue, b"%d" % n, persistent=True) for n in range(5)))
    deliveries = await inbox.has(5)
    assert [d.body for d in deliveries] == [b"%d" % n for n in range(5)]
    for index in acknowledged:
        assert bridge.ack(deliveries[index]) is True
    await bridge.close()

    second = await world.link("bridge")
    rest = Inbox(then=second.ack)
    second.subscribe(Subscription(queue, rest, prefetch=10))
    await rest.stays_at(len(again))
    assert rest.bodies == again
    assert all(delivery.headers.get("redelivered") == "true" for delivery in rest.all)


async def test_acknowledging_an_auto_delivery_is_no_harm(world: Any, queue: str) -> None:
    front, bridge = await world.link("front"), await world.link("bridge")
    inbox = Inbox(then=bridge.ack)
    bridge.subscribe(Subscription(queue, inbox, AckMode.AUTO, prefetch=10))
    await sent(front, Outgoing(queue, b"1"), Outgoing(queue, b"2"))
    await inbox.has(2)
    assert (bridge.connected, bridge.epoch) == (True, 1)


async def test_acknowledging_twice_ends_the_connection(world: Any, queue: str) -> None:
    """ActiveMQ answers ERROR; the link takes that as the connection's end, so that nothing stays half acknowledged."""
    front, bridge = await world.link("front"), await world.link("bridge")
    inbox = Inbox()
    bridge.subscribe(Subscription(queue, inbox))
    await sent(front, Outgoing(queue, b"1"))
    [delivery] = await inbox.has(1)
    assert bridge.ack(delivery) is True
    assert bridge.ack(delivery) is True  # known only when the broker answers
    await until(lambda: bool(bridge.epoch == 2))
    await sent(front, Outgoing(queue, b"2"))
    await inbox.stays_at(2)
    assert inbox.bodies == [b"1", b"2"]


async def test_after_unsubscribing_the_rest_is_for_others(world: Any, queue: str) -> None:
    front, bridge = await world.link("front"), await world.link("bridge")
    other = await world.link("bridge")
    inbox, others = Inbox(), Inbox()
    unsubscribe = bridge.subscribe(Subscription(queue, inbox, prefetch=1))
    await sent(front, Outgoing(queue, b"1"), Outgoing(queue, b"2"))
    [first] = await inbox.has(1)
    unsubscribe()
    unsubscribe()  # twice is no harm
    assert bridge.ack(first) is False  # it went back: acknowledging it now would be a lie
    other.subscribe(Subscription(queue, others, prefetch=10))
    await others.stays_at(2)
    assert sorted(others.bodies) == [b"1", b"2"]
    assert inbox.bodies == [b"1"]


# --- what goes wrong -------------------------------------------------------------------------------------------


async def test_a_refused_send_fails_alone(world: Any, queue: str, forbidden: str, topic: str) -> None:
    bridge = await world.link("bridge")
    refused = bridge.send(Outgoing(forbidden, b"x"))
    allowed = bridge.send(Outgoing(topic, b"x"))
    with pytest.raises(SendRefused):
        await asyncio.wait_for(refused, PATIENCE)
    await asyncio.wait_for(allowed, PATIENCE)
    assert (bridge.connected, bridge.epoch, bridge.counters.refused) == (True, 1, 1)


async def test_a_lost_connection_comes_back_with_its_subscriptions(world: Any, queue: str) -> None:
    front, bridge = await world.link("front"), await world.link("bridge")
    inbox, seen = Inbox(), list[bool]()
    bridge.watch(seen.append)
    bridge.subscribe(Subscription(queue, inbox, prefetch=10))
    await sent(front, Outgoing(queue, b"1"))
    [old] = await inbox.has(1)
    await world.drop()
    await until(lambda: bool(bridge.epoch == 2 and front.epoch == 2 and front.connected))

    assert bridge.ack(old) is False  # another connection delivered it
    [_, again] = await inbox.has(2)
    assert (again.body, again.headers.get("redelivered")) == (b"1", "true")
    assert (bridge.current(old), bridge.current(again)) == (False, True)
    assert bridge.ack(again) is True
    await sent(front, Outgoing(queue, b"2"))
    await inbox.stays_at(3)
    assert inbox.bodies == [b"1", b"1", b"2"]
    assert seen == [True, False, True]
    assert (bridge.counters.reconnects, bridge.counters.stale_acks) == (1, 1)


async def test_the_broker_is_killed_and_comes_back(world: Any, queue: str) -> None:
    front, bridge = await world.link("front"), await world.link("bridge")
    await sent(front, Outgoing(queue, b"kept", persistent=True), Outgoing(queue, b"lost"))
    await world.stop()
    await until(lambda: not front.connected and not bridge.connected)
    with pytest.raises(LinkDown):
        await front.send(Outgoing(queue, b"-"))
    inbox = Inbox(then=bridge.ack)
    bridge.subscribe(Subscription(queue, inbox, prefetch=10))
    await world.start()
    await asyncio.wait_for(asyncio.gather(front.ready(), bridge.ready()), PATIENCE)
    await sent(front, Outgoing(queue, b"new"))
    await inbox.stays_at(2)
    assert inbox.bodies == [b"kept", b"new"]


async def test_sends_outstanding_at_the_loss_have_an_unknown_outcome(world: Any, queue: str) -> None:
    front = await world.link("front")
    world.stall()
    receipts = [front.send(Outgoing(queue, b"x", persistent=True)) for _ in range(3)]
    await world.drop()
    for receipt in receipts:
        with pytest.raises(OutcomeUnknown):
            await asyncio.wait_for(receipt, PATIENCE)
    assert front.outstanding == 0
    world.flow()


async def test_a_receipt_that_misses_its_deadline_is_an_unknown_outcome(world: Any, queue: str) -> None:
    front = await world.link("front", receipt_timeout=0.1)
    world.stall()
    with pytest.raises(OutcomeUnknown):
        await asyncio.wait_for(front.send(Outgoing(queue, b"x")), PATIENCE)
    assert (front.connected, front.outstanding, front.counters.receipts_missed) == (True, 0, 1)
    world.flow()
    async with asyncio.timeout(PATIENCE):
        while True:  # it goes on: a busy broker may miss that deadline too
            with contextlib.suppress(OutcomeUnknown):
                await front.send(Outgoing(queue, b"y"))
                break
    assert (front.connected, front.outstanding) == (True, 0)


async def test_too_many_outstanding_sends_are_turned_away_at_once(world: Any, queue: str) -> None:
    front = await world.link("front", max_outstanding=5)
    world.stall()
    receipts = [front.send(Outgoing(queue, b"x")) for _ in range(5)]
    with pytest.raises(Overloaded):
        front.send(Outgoing(queue, b"x"))
    world.flow()
    await asyncio.wait_for(asyncio.gather(*receipts), PATIENCE)
    await sent(front, Outgoing(queue, b"y"))
    assert front.counters.overloaded == 1


async def test_too_many_bytes_are_turned_away_at_once(world: Any, queue: str) -> None:
    front = await world.link("front", max_pending_bytes=1_000_000)
    world.stall()
    receipts = []

    async def flood() -> None:
        for _ in range(200):  # the sockets' own buffers take some
            receipts.append(front.send(Outgoing(queue, bytes(200_000))))
            await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await flood()
    world.flow()
    await asyncio.wait_for(asyncio.gather(*receipts), PATIENCE)


async def test_a_caller_may_ignore_what_it_sent(world: Any, queue: str) -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    front = await world.link("front")
    world.stall()
    front.send(Outgoing(queue, b"x"))
    front.send(Outgoing(queue, b"x")).cancel()
    await world.drop()
    await until(lambda: bool(front.outstanding == 0))
    world.flow()
    assert complaints == []

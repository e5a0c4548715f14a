"""A receiver at every broker of a list: what reaches any of them reaches it, and is acknowledged where it came from.

That one broker works as through one link is shown by tests/contract.
"""

import asyncio

import pytest

from protocol.errors import LinkDown
from protocol.link.every import EveryBroker
from protocol.link.memory import MemoryBroker, MemoryLink
from protocol.link.port import AckMode, Delivery, Link, Outgoing, Subscription

pytestmark = pytest.mark.anyio

QUEUE = "/queue/bridge.command.main"


async def turns(count: int = 8) -> None:
    """Let the event loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


class Pair:
    """Two brokers, a receiver at both, a sender at each."""

    def __init__(self) -> None:
        self.brokers = (MemoryBroker(), MemoryBroker())
        self.members = tuple(MemoryLink(broker) for broker in self.brokers)
        self.receiver = EveryBroker(self.members)
        self.senders = tuple(MemoryLink(broker) for broker in self.brokers)
        self.got: list[Delivery] = []

    async def start(self, ack: AckMode = AckMode.INDIVIDUAL, prefetch: int = 10) -> None:
        self.end = self.receiver.subscribe(Subscription(QUEUE, self.got.append, ack, prefetch))
        links: tuple[Link, ...] = (self.receiver, *self.senders)
        for link in links:
            await link.start()
        await self.receiver.ready()
        await turns()

    async def send(self, place: int, *bodies: bytes) -> None:
        for body in bodies:
            await self.senders[place].send(Outgoing(QUEUE, body, persistent=True))
        await turns()

    def bodies(self) -> list[bytes]:
        return sorted(delivery.body for delivery in self.got)

    def depths(self) -> list[int]:
        return [broker.depth(QUEUE) for broker in self.brokers]


@pytest.fixture
def pair() -> Pair:
    return Pair()


async def test_what_reaches_any_broker_is_received(pair: Pair) -> None:
    await pair.start()
    await pair.send(0, b"a")
    await pair.send(1, b"b")
    assert pair.bodies() == [b"a", b"b"]
    assert [pair.receiver.ack(delivery) for delivery in pair.got] == [True, True]
    assert pair.depths() == [0, 0]


async def test_an_acknowledgement_goes_where_the_message_came_from(pair: Pair) -> None:
    """Both brokers count epochs and message ids from one: only the place tells them apart."""
    await pair.start()
    await pair.send(0, b"a")
    await pair.send(1, b"b")
    (a,) = (delivery for delivery in pair.got if delivery.body == b"a")
    assert pair.receiver.ack(a)
    pair.brokers[0].drop()
    pair.brokers[1].drop()
    await turns()
    assert pair.bodies() == [b"a", b"b", b"b"]  # what was not acknowledged came again, and nothing else


async def test_cumulative_acknowledgement_is_each_brokers_own(pair: Pair) -> None:
    await pair.start(AckMode.CUMULATIVE)
    await pair.send(0, b"a1", b"a2")
    await pair.send(1, b"b1", b"b2")
    last = {delivery.epoch: delivery for delivery in pair.got}
    assert len(last) == 2
    assert [pair.receiver.ack(delivery) for delivery in last.values()] == [True, True]
    pair.brokers[0].drop()
    pair.brokers[1].drop()
    await turns()
    assert len(pair.got) == 4


async def test_one_broker_lost_is_not_the_link_lost(pair: Pair) -> None:
    told: list[bool] = []
    pair.receiver.watch(told.append)
    await pair.start()
    await pair.send(0, b"a")
    await pair.send(1, b"b")
    a, b = sorted(pair.got, key=lambda delivery: delivery.body)
    pair.brokers[0].stop()
    await turns()
    assert pair.receiver.connected
    assert pair.receiver.server == "memory/1"
    assert pair.receiver.current(b)
    assert pair.receiver.ack(b)
    pair.brokers[1].stop()
    await turns()
    assert not pair.receiver.connected
    with pytest.raises(LinkDown):
        await pair.receiver.send(Outgoing(QUEUE, b"x"))
    pair.brokers[0].start()
    await turns()
    assert not pair.receiver.current(a)
    assert not pair.receiver.ack(a)
    assert pair.bodies() == [b"a", b"a", b"b"]
    assert told == [False, True, False, True]
    assert pair.receiver.epoch == 3
    assert pair.receiver.counters.reconnects == 1


async def test_it_sends_to_one_that_is_connected(pair: Pair) -> None:
    await pair.start()
    pair.end()
    pair.brokers[0].stop()
    await pair.receiver.send(Outgoing(QUEUE, b"x"))
    assert pair.depths() == [0, 1]
    pair.brokers[0].start()
    await turns()
    await pair.receiver.send(Outgoing(QUEUE, b"y"))
    assert pair.depths() == [1, 1]
    assert pair.got == []


async def test_closing_closes_all(pair: Pair) -> None:
    await pair.start()
    await pair.receiver.close()
    assert [member.connected for member in pair.members] == [False, False]
    await pair.send(0, b"a")
    assert pair.got == []

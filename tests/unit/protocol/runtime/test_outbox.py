"""The outbox: sent until receipted, more than once if need be, never not at all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from protocol.errors import Overloaded
from protocol.frames import unpack
from protocol.link.lane import Lane
from protocol.link.memory import MemoryBroker, MemoryLink
from protocol.link.port import AckMode, Delivery, Subscription
from protocol.runtime.outbox import Entry, Outbox
from tests.unit.clock import NOW

pytestmark = pytest.mark.anyio

QUEUE = "/queue/bridge.command.main"


class Rows:
    """The store's side: which rows have no receipt."""

    def __init__(self, count: int = 0) -> None:
        self.unsent = {f"id-{number:03}": entry(number) for number in range(count)}
        self.marks: list[list[str]] = []
        self.broken = False

    async def sent(self, ids: Sequence[str]) -> None:
        if self.broken:
            raise RuntimeError("disk is full")
        self.marks.append(list(ids))
        for id in ids:
            self.unsent.pop(id, None)

    async def read(self, limit: int) -> list[Entry]:
        return list(self.unsent.values())[:limit]


def entry(number: int, expires: int = 0) -> Entry:
    return Entry(f"id-{number:03}", QUEUE, f"sealed {number:03}".encode(), expires)


class World:
    def __init__(self) -> None:
        self.broker = MemoryBroker(now_ms=lambda: NOW)
        self.link = MemoryLink(self.broker)
        self.lane = Lane(self.link, persistent=True)
        self.rows = Rows()
        self.arrived: list[bytes] = []

    def outbox(self, **options: Any) -> Outbox:
        return Outbox(self.lane, sent=self.rows.sent, unsent=self.rows.read, **options)

    def take(self, delivery: Delivery) -> None:
        assert delivery.headers["persistent"] == "true"
        self.arrived += unpack(delivery.body)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.link.start()
    await world.link.ready()
    world.link.subscribe(Subscription(QUEUE, world.take, AckMode.AUTO))
    yield world
    await world.link.close()


async def turns() -> None:
    for _ in range(40):
        await asyncio.sleep(0)


async def test_what_is_offered_arrives_and_its_receipt_is_recorded(world: World) -> None:
    world.rows = Rows(3)
    outbox = world.outbox()
    for number in range(3):
        outbox.offer(entry(number))
    assert outbox.in_hand == 3
    await outbox.drain()
    await turns()
    assert world.arrived == [b"sealed 000", b"sealed 001", b"sealed 002"]
    assert world.rows.marks == [["id-000", "id-001", "id-002"]]  # one frame, one receipt, one write
    assert (outbox.in_hand, outbox.failures) == (0, 0)


async def test_receipts_that_may_linger_are_recorded_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.rows = Rows(2)
    waited, real = asyncio.Event(), asyncio.sleep

    async def sleep(seconds: float) -> None:
        await (waited.wait() if seconds == 0.5 else real(seconds))

    monkeypatch.setattr("protocol.runtime.outbox.asyncio.sleep", sleep)
    outbox = world.outbox(linger_s=0.5)
    for number in range(2):
        outbox.offer(entry(number))
        await turns()
    assert (outbox.in_hand, world.rows.marks) == (2, [])
    assert await outbox.sweep() == 0  # the broker has them
    outbox.offer(entry(1))  # somebody asks for it again
    waited.set()
    await outbox.drain()
    assert (outbox.in_hand, world.rows.marks[0][:2]) == (0, ["id-000", "id-001"])
    assert world.arrived == [b"sealed 000", b"sealed 001", b"sealed 001"]


async def test_what_is_in_hand_is_not_offered_twice(world: World) -> None:
    world.rows = Rows(2)
    outbox = world.outbox()
    outbox.offer(entry(0))
    outbox.offer(entry(0))
    assert await outbox.sweep() == 1
    await outbox.drain()
    await turns()
    assert world.arrived == [b"sealed 000", b"sealed 001"]


async def test_a_sweep_sends_what_an_earlier_run_left(world: World) -> None:
    world.rows = Rows(150)
    outbox = world.outbox()
    assert await outbox.sweep() == 150
    await outbox.drain()
    await turns()
    assert sorted(world.arrived) == [entry(number).envelope for number in range(150)]
    assert world.rows.unsent == {}
    assert await outbox.sweep() == 0


async def test_without_a_connection_the_row_waits_for_the_next_sweep(world: World) -> None:
    world.rows = Rows(1)
    outbox = world.outbox()
    world.broker.stop()
    outbox.offer(entry(0))
    await turns()
    assert (outbox.in_hand, outbox.failures, world.rows.marks) == (0, 1, [])
    world.broker.start()
    await turns()
    assert await outbox.sweep() == 1
    await outbox.drain()
    await turns()
    assert (world.arrived, world.rows.unsent) == ([b"sealed 000"], {})


async def test_an_unknown_outcome_is_sent_again(world: World) -> None:
    world.rows = Rows(1)
    outbox = world.outbox()
    world.broker.swallowed.add(QUEUE)
    outbox.offer(entry(0))
    await turns()
    world.broker.drop()
    world.broker.swallowed.clear()
    await turns()
    assert (outbox.failures, world.rows.marks) == (1, [])
    await outbox.sweep()
    await outbox.drain()
    await turns()
    assert world.arrived == [b"sealed 000"] * 2
    assert world.rows.unsent == {}


async def test_a_refused_message_stays_unsent(world: World) -> None:
    world.rows = Rows(1)
    world.broker.refused.add(QUEUE)
    outbox = world.outbox()
    outbox.offer(entry(0))
    await outbox.drain()
    assert (outbox.failures, outbox.in_hand, set(world.rows.unsent)) == (1, 0, {"id-000"})


async def test_a_receipt_that_cannot_be_recorded_means_sent_again(world: World) -> None:
    world.rows = Rows(1)
    world.rows.broken = True
    outbox = world.outbox()
    outbox.offer(entry(0))
    await outbox.drain()
    assert (set(world.rows.unsent), outbox.in_hand) == ({"id-000"}, 0)
    world.rows.broken = False
    await outbox.sweep()
    await outbox.drain()
    assert world.rows.unsent == {}


async def test_memory_is_bounded(world: World) -> None:
    world.rows = Rows(10)
    outbox = world.outbox(capacity=4)
    world.broker.pause()
    for number in range(10):
        outbox.offer(entry(number))
    assert outbox.in_hand == 4
    world.broker.resume()
    while world.rows.unsent:
        await outbox.drain()
        await outbox.sweep()
    await turns()
    assert sorted(world.arrived) == [entry(number).envelope for number in range(10)]


async def test_a_full_link_is_no_failure_of_the_callers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise Overloaded("full")

    monkeypatch.setattr(world.lane, "post", full)
    outbox = world.outbox()
    outbox.offer(entry(0))
    assert (outbox.in_hand, outbox.failures) == (0, 1)


async def test_drain_waits_for_receipts_and_their_recording(world: World) -> None:
    world.rows = Rows(1)
    outbox = world.outbox()
    world.broker.pause()
    outbox.offer(entry(0))
    draining = asyncio.ensure_future(outbox.drain())
    await turns()
    assert not draining.done()
    world.broker.resume()
    await draining
    assert world.rows.marks == [["id-000"]]


async def test_an_expiry_is_told_to_the_broker(world: World) -> None:
    outbox = world.outbox()
    outbox.offer(entry(0, expires=NOW))
    await outbox.drain()
    await turns()
    assert (world.arrived, world.broker.expired) == ([], 1)

"""What the in-memory twin does beyond the contract: its fault switches, its clock, its strictness."""

import asyncio

import pytest

from protocol.errors import OutcomeUnknown, SendRefused
from protocol.link.memory import MemoryBroker, MemoryLink
from protocol.link.port import AckMode, Delivery, Outgoing, Subscription

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def connected(broker: MemoryBroker, **bounds: float) -> MemoryLink:
    link = MemoryLink(broker, **bounds)  # type: ignore[arg-type]
    await link.start()
    await link.ready()
    return link


async def turns(count: int = 6) -> None:
    """Let the event loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_expiry_follows_the_injected_clock() -> None:
    now = 1000
    broker = MemoryBroker(now_ms=lambda: now)
    link = await connected(broker)
    got: list[bytes] = []
    for expires in (1500, 2500, 0):
        await link.send(Outgoing("/queue/a", b"%d" % expires, expires=expires))
    now = 2000
    link.subscribe(Subscription("/queue/a", lambda d: got.append(d.body), AckMode.AUTO))
    await turns()
    assert (got, broker.expired) == ([b"2500", b"0"], 1)


async def test_a_swallowed_receipt_leaves_the_message_stored() -> None:
    broker = MemoryBroker()
    link = await connected(broker, receipt_timeout=0.01)
    broker.swallowed.add("/queue/a")
    with pytest.raises(OutcomeUnknown):
        await link.send(Outgoing("/queue/a", b"x"))
    assert broker.depth("/queue/a") == 1


async def test_a_refused_message_is_not_stored() -> None:
    broker = MemoryBroker()
    link = await connected(broker)
    broker.refused.add("/queue/a")
    with pytest.raises(SendRefused):
        await link.send(Outgoing("/queue/a", b"x"))
    assert broker.depth("/queue/a") == 0


async def test_acknowledging_twice_ends_the_connection_as_activemq_does() -> None:
    broker = MemoryBroker()
    link = await connected(broker)
    got: list[Delivery] = []
    link.subscribe(Subscription("/queue/a", got.append))
    await link.send(Outgoing("/queue/a", b"x"))
    await turns()
    assert link.ack(got[0]) is True
    assert link.ack(got[0]) is True
    assert not link.connected
    await link.ready()
    assert link.epoch == 2


async def test_a_restart_keeps_what_is_persistent() -> None:
    broker = MemoryBroker()
    link = await connected(broker)
    await link.send(Outgoing("/queue/a", b"1", persistent=True))
    await link.send(Outgoing("/queue/a", b"2"))
    broker.stop()
    assert (link.connected, broker.depth("/queue/a")) == (False, 1)
    broker.start()
    await link.ready()
    assert [stored.message.body for stored in broker.stored("/queue/a")] == [b"1"]


async def test_a_paused_broker_reads_and_delivers_nothing() -> None:
    broker = MemoryBroker()
    link = await connected(broker)
    got: list[bytes] = []
    link.subscribe(Subscription("/queue/a", lambda d: got.append(d.body), AckMode.AUTO))
    broker.pause()
    receipt = link.send(Outgoing("/queue/a", b"x"))
    await turns()
    assert (receipt.done(), got, link.pending_bytes) == (False, [], 1)
    broker.resume()
    await receipt
    await turns()
    assert got == [b"x"]

import asyncio

import pytest

from intranet_bridge.intake.conflict import InboxConflict
from intranet_bridge.intake.dead_letters import DeadLetters
from intranet_bridge.intake.queries import QueryIntake
from protocol.frames import pack
from protocol.link.memory import MemoryBroker, MemoryLink
from protocol.link.port import AckMode, Outgoing, Subscription
from tests.unit.intranet_bridge.harness import until

QUEUE = "/queue/bridge.query.main"


async def intake_of(messages: int, prefetch: int) -> tuple[QueryIntake, MemoryBroker]:
    """An intake to which so many messages of one query each were delivered."""
    broker = MemoryBroker()
    link = MemoryLink(broker)
    intake = QueryIntake(link, DeadLetters(link), InboxConflict(lambda: ""), prefetch)
    link.subscribe(Subscription(QUEUE, intake.handle, AckMode.CUMULATIVE, prefetch))
    await link.start()
    await link.ready()
    for number in range(messages):
        await link.send(Outgoing(QUEUE, pack([b"%d" % number])))
    await until(lambda: intake.waiting == messages)
    return intake, broker


@pytest.mark.anyio
async def test_a_quarter_of_what_may_come_ahead_is_acknowledged_at_once() -> None:
    intake, broker = await intake_of(messages=6, prefetch=16)
    for _ in range(3):
        await intake.next()
    assert broker.depth(QUEUE) == 6
    await intake.next()
    assert broker.depth(QUEUE) == 2


@pytest.mark.anyio
async def test_what_is_taken_is_acknowledged_soon_however_little_it_is() -> None:
    intake, broker = await intake_of(messages=2, prefetch=16)
    await intake.next()
    assert broker.depth(QUEUE) == 2
    await until(lambda: broker.depth(QUEUE) == 1)
    await intake.next()
    await until(lambda: broker.depth(QUEUE) == 0)


@pytest.mark.anyio
async def test_with_one_ahead_the_next_one_waits_for_no_timer() -> None:
    intake, broker = await intake_of(messages=1, prefetch=1)
    await intake.next()
    assert broker.depth(QUEUE) == 0


@pytest.mark.anyio
async def test_what_was_taken_is_acknowledged_before_the_subscription_ends() -> None:
    intake, broker = await intake_of(messages=3, prefetch=16)
    await intake.next()
    intake.close()
    await asyncio.sleep(0)
    assert broker.depth(QUEUE) == 2  # for another bridge

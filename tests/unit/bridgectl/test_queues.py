"""`bridgectl queues`: what the broker's statistics plugin says, made readable."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridgectl.commands.queues import _table
from bridgectl.queues import BrokerUsage, QueueHealth, ask, decode, health, usage
from protocol.errors import BridgeError
from protocol.link.memory import MemoryBroker, MemoryLink
from protocol.link.port import AckMode, Delivery, Outgoing, Subscription

NOW = 1_772_000_000_000

# As ActiveMQ 5.17 writes it (XStream over Jettison): a string value makes a list, others are keyed by their kind.
RAW = rb"""{"map":{"entry":[
{"string":["vmURL","vm:\/\/localhost"]},{"string":"memoryUsage","long":0},{"string":"averageEnqueueTime","double":1.5},
{"string":"consumerCount","long":2},{"string":["destinationName","queue:\/\/bridge.query.main"]},
{"string":"size","long":3},{"string":"firstMessageTimestamp","long":1771999999000}]}}"""


def answer(name: str, **numbers: int) -> dict[str, Any]:
    return {"destinationName": f"queue://{name}", "size": 0} | numbers


def test_decode() -> None:
    assert decode(RAW) == {
        "vmURL": "vm://localhost",
        "memoryUsage": 0,
        "averageEnqueueTime": 1.5,
        "consumerCount": 2,
        "destinationName": "queue://bridge.query.main",
        "size": 3,
        "firstMessageTimestamp": NOW - 1_000,
    }


def test_health() -> None:
    [found] = health([decode(RAW)], NOW)
    assert found == QueueHealth("bridge.query.main", 3, 2, 0, 0, 0, 0, 1.0, 0)
    full = answer(
        "bridge.command.main",
        size=4,
        consumerCount=1,
        inflightCount=2,
        enqueueCount=10,
        dequeueCount=6,
        expiredCount=5,
        firstMessageTimestamp=NOW - 90_500,
    )
    assert health([full], NOW) == [QueueHealth("bridge.command.main", 4, 1, 2, 10, 6, 5, 90.5, 0)]


def test_dead_letters_stand_with_their_queue() -> None:
    answers = [
        answer("b", size=1),
        answer("DLQ.b", size=7),
        answer("a"),
        answer("DLQ.a"),
        answer("DLQ.only-dead", size=2),
        answer("DLQ.neither"),
        answer("bridge.admin.ctl-1"),
        {"destinationName": "topic://bridge.presence.main", "size": 9},
        {"brokerName": "localhost", "size": 9},
    ]
    found = health(answers, NOW)
    assert [(one.name, one.depth, one.dead_letters) for one in found] == [("a", 0, 0), ("b", 1, 7), ("only-dead", 0, 2)]


@pytest.mark.parametrize(
    ("numbers", "oldest"),
    [
        ({"size": 0, "firstMessageTimestamp": NOW - 5}, None),
        ({"size": 1}, None),
        ({"size": 1, "firstMessageTimestamp": 0}, None),
        ({"size": 1, "firstMessageTimestamp": NOW + 60_000}, 0.0),
        ({"size": 1, "firstMessageTimestamp": NOW - 60_000}, 60.0),
    ],
)
def test_the_age_of_the_oldest(numbers: dict[str, int], oldest: float | None) -> None:
    assert health([answer("a", **numbers)], NOW)[0].oldest_s == oldest


def test_what_the_broker_uses() -> None:
    itself = {"brokerName": "b", "storePercentUsage": 97, "tempPercentUsage": 1, "memoryPercentUsage": 30}
    assert usage([answer("a"), itself]) == BrokerUsage(97, 1, 30)
    assert usage([answer("a")]) is None


def test_the_table() -> None:
    lines = _table(health([answer("a"), answer("b", size=1, firstMessageTimestamp=NOW - 1_500)], NOW)).splitlines()
    assert lines[0].startswith("QUEUE")
    assert lines[1].split() == ["a", *"000000", "-", "0"]
    assert lines[2].split() == ["b", "1", *"00000", "1.5", "s", "0"]


# --- asking -----------------------------------------------------------------------------------------------


class Plugin:
    """The statistics plugin, as far as we use it."""

    def __init__(self, broker: MemoryBroker, *, silent: bool = False, first: int | None = NOW) -> None:
        self.link = MemoryLink(broker)
        self.asked: list[str] = []
        self.silent = silent
        self.dated = {} if first is None else {"firstMessageTimestamp": first}

    async def start(self) -> None:
        for pattern in ("Destination.bridge.>", "Destination.front.>", "Destination.DLQ.>", "Broker"):
            queue = f"/queue/ActiveMQ.Statistics.{pattern}"
            self.link.subscribe(Subscription(queue, self._answer, AckMode.AUTO))
        await self.link.start()
        await self.link.ready()

    def _answer(self, delivery: Delivery) -> None:
        self.asked.append(delivery.destination.rpartition("Statistics.")[2])
        if self.silent:
            return
        found = {
            "Destination.bridge.>": [{"destinationName": "queue://bridge.query.main", "size": 3} | self.dated],
            "Destination.DLQ.>": [{"destinationName": "queue://DLQ.bridge.query.main", "size": 1} | self.dated],
            "Broker": [{"brokerName": "localhost", "size": 4}],
        }[self.asked[-1]]
        for one in found:
            entries = [
                {"string": [name, value]} if isinstance(value, str) else {"string": name, "long": value}
                for name, value in one.items()
            ]
            body = json.dumps({"map": {"entry": entries}}).encode()
            self.link.send(Outgoing(delivery.headers["reply-to"], body))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
async def link(broker: MemoryBroker) -> AsyncIterator[MemoryLink]:
    link = MemoryLink(broker)
    await link.start()
    await link.ready()
    yield link
    await link.close()


@pytest.mark.anyio
async def test_ask(broker: MemoryBroker, link: MemoryLink) -> None:
    plugin = Plugin(broker)
    await plugin.start()
    for _ in range(2):  # the reply queue is given back each time
        answers = await ask(link, "ctl-1", 5)
        assert health(answers, NOW + 500) == [QueueHealth("bridge.query.main", 3, 0, 0, 0, 0, 0, 0.5, 1)]
    assert plugin.asked == ["Destination.bridge.>", "Destination.front.>", "Destination.DLQ.>", "Broker"] * 2
    assert broker.depth("/queue/bridge.admin.ctl-1") == 0
    await plugin.link.close()


@pytest.mark.anyio
async def test_a_broker_whose_statistics_do_not_tell_the_age(broker: MemoryBroker, link: MemoryLink) -> None:
    plugin = Plugin(broker, first=None)
    await plugin.start()
    for queue in ("/queue/bridge.query.main", "/queue/DLQ.bridge.query.main"):
        await link.send(Outgoing(queue, b"first", headers={"timestamp": str(NOW - 2_000)}))
        await link.send(Outgoing(queue, b"second", headers={"timestamp": str(NOW)}))
    [found] = health(await ask(link, "ctl-1", 5), NOW)
    assert found.oldest_s is None  # only who may take messages could look: the asker's role may not
    assert broker.depth("/queue/bridge.query.main") == 2  # looked at, not taken
    await plugin.link.close()


@pytest.mark.anyio
async def test_no_plugin(broker: MemoryBroker, link: MemoryLink) -> None:
    plugin = Plugin(broker, silent=True)
    await plugin.start()
    with pytest.raises(BridgeError, match="statistics plugin did not answer"):
        await ask(link, "ctl-1", 0.02)
    await plugin.link.close()


@pytest.mark.anyio
async def test_not_allowed_to_ask(broker: MemoryBroker, link: MemoryLink) -> None:
    broker.refused.add("/queue/ActiveMQ.Statistics.Destination.bridge.>")
    with pytest.raises(BridgeError, match="not authorised"):
        async with asyncio.timeout(30):
            await ask(link, "ctl-1", 60)

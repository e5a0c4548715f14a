"""Queue health, asked of the broker's statistics plugin over the one port there is.

A message to `ActiveMQ.Statistics.Destination.<pattern>` is answered on its `reply-to` by one message for each
matching destination; with the STOMP header `transformation: jms-map-json` the answers are JSON. An answer about
the broker as a whole, asked for last, marks the end.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bridgectl.language import tr
from protocol.errors import BridgeError
from protocol.link.port import AckMode, Delivery, Link, Outgoing, Subscription

_FIRST = "ActiveMQ.Statistics.Destination.Include.First.Message.Timestamp"
_TIMESTAMP = "firstMessageTimestamp"
_DEAD = "DLQ."


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """One queue as the broker sees it. Counts are since the broker's start."""

    name: str
    depth: int
    """Messages in it; a message may carry up to 64 requests."""
    consumers: int
    in_flight: int
    """Delivered and not yet acknowledged."""
    enqueued: int
    dequeued: int
    expired: int
    oldest_s: float | None
    """Age of the oldest message, seconds; None when it is empty, or the broker's statistics do not tell (5.17)."""
    dead_letters: int
    """Messages in its dead-letter queue."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def decode(body: bytes) -> dict[str, Any]:
    """A JMS map as the broker's XStream JSON writes it.

    ::

        {"map":{"entry":[{"string":"size","long":3},{"string":["destinationName","queue:\\/\\/a"]}, ...]}}
    """
    found: dict[str, Any] = {}
    for entry in json.loads(body)["map"]["entry"]:
        key = entry["string"]
        if isinstance(key, list):
            found[key[0]] = key[1]
        else:
            found[key] = next(value for kind, value in entry.items() if kind != "string")
    return found


def health(answers: Iterable[Mapping[str, Any]], now_ms: int) -> list[QueueHealth]:
    """One line for each queue that carries requests or replies; dead-letter queues are folded into theirs."""
    queues = {
        answer["destinationName"].removeprefix("queue://"): answer
        for answer in answers
        if str(answer.get("destinationName", "")).startswith("queue://")
    }
    dead = {name.removeprefix(_DEAD): int(answer["size"]) for name, answer in queues.items() if name.startswith(_DEAD)}
    names = {name for name in queues if not name.startswith((_DEAD, "bridge.admin."))} | {
        name for name, count in dead.items() if count
    }
    return [_one(name, queues.get(name, {}), dead.get(name, 0), now_ms) for name in sorted(names)]


@dataclass(frozen=True, slots=True)
class BrokerUsage:
    """How much of what the broker may use is used, percent. What is full, it takes no more of."""

    store: int
    """Of the messages on its disk."""
    temp: int
    memory: int


def usage(answers: Iterable[Mapping[str, Any]]) -> BrokerUsage | None:
    """By the broker's answer about itself; None without one."""
    for answer in answers:
        if "storePercentUsage" in answer:
            return BrokerUsage(*(int(answer.get(f"{part}PercentUsage", 0)) for part in ("store", "temp", "memory")))
    return None


def _one(name: str, answer: Mapping[str, Any], dead: int, now_ms: int) -> QueueHealth:
    def number(key: str) -> int:
        return int(answer.get(key, 0))

    first = number(_TIMESTAMP)
    waiting = number("size") > 0 and first > 0
    return QueueHealth(
        name=name,
        depth=number("size"),
        consumers=number("consumerCount"),
        in_flight=number("inflightCount"),
        enqueued=number("enqueueCount"),
        dequeued=number("dequeueCount"),
        expired=number("expiredCount"),
        oldest_s=round(max(0, now_ms - first) / 1000, 1) if waiting else None,
        dead_letters=dead,
    )


async def ask(link: Link, name: str, timeout_s: float) -> list[dict[str, Any]]:
    """What the broker says of all our queues, and of itself. Raises BridgeError when it says nothing in time.

    `name` makes the reply queue this asker's own.
    """
    reply_to = f"/queue/bridge.admin.{name}"
    answers: list[dict[str, Any]] = []
    ended = asyncio.Event()

    def take(delivery: Delivery) -> None:
        answer = decode(delivery.body)
        answers.append(answer)
        if "destinationName" not in answer:
            ended.set()

    unsubscribe = link.subscribe(Subscription(reply_to, take, AckMode.AUTO, 1000, {"transformation": "jms-map-json"}))
    try:
        async with asyncio.timeout(timeout_s):
            for pattern in ("Destination.bridge.>", "Destination.front.>", "Destination.DLQ.>", "Broker"):
                destination = f"/queue/ActiveMQ.Statistics.{pattern}"
                await link.send(Outgoing(destination, b"", headers={"reply-to": reply_to, _FIRST: "true"}))
            await ended.wait()
    except TimeoutError:
        raise BridgeError(
            tr("the broker's statistics plugin did not answer; is it configured as in activemq/?")
        ) from None
    finally:
        unsubscribe()
    return answers

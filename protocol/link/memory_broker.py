"""The in-memory twin of the broker, for tests: same behaviour, no sockets, no sleeping, no surprises.

What it models of ActiveMQ: queues with competing consumers and prefetch, topics, three acknowledgement modes,
redelivery at disconnect (header `redelivered:true`), expiry at dispatch, receipts in order, loss of what is not
persistent at a restart. What it leaves out: wildcards, transactions, NACK, selectors, dead letters, disk.

Every step runs by `call_soon`, so an order of events in a test is the same in every run.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from protocol.link.port import AckMode, Outgoing, Subscription


class Client(Protocol):
    """What the broker asks of a link."""

    def try_soon(self) -> None:
        """Try to connect, at the next turn of the loop."""

    def step_soon(self) -> None:
        """Let the broker read what was sent, at the next turn of the loop."""

    def lose(self, reason: str) -> None:
        """The connection is gone."""

    def deliver(self, consumer: "Consumer", stored: "Stored") -> None:
        """A message for one of its subscriptions."""


@dataclass(slots=True)
class Stored:
    """A message the broker has taken."""

    message: Outgoing
    number: int
    redelivered: bool = False


@dataclass(slots=True, eq=False)
class Consumer:
    """A subscription of one connected link."""

    link: Client
    name: str
    subscription: Subscription
    unacked: dict[str, Stored] = field(default_factory=dict)
    backlog: deque[Stored] = field(default_factory=deque)
    """A topic's messages for this consumer; a queue's wait in the queue."""

    @property
    def has_room(self) -> bool:
        return self.subscription.ack is AckMode.AUTO or len(self.unacked) < self.subscription.prefetch


class MemoryBroker:
    """The broker. Its public attributes are the fault switches; change them at any time."""

    def __init__(self, *, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        """`now_ms` is the clock that expires messages."""
        self.refused: set[str] = set()
        """Destinations a send to which is answered by ERROR (not authorised)."""
        self.swallowed: set[str] = set()
        """Destinations whose messages are stored but whose receipts never come."""
        self.expired = 0
        """Messages dropped because their time was over."""
        self._now_ms = now_ms
        self._reachable = True
        self.paused = False
        """See `pause`."""
        self._queues: dict[str, deque[Stored]] = {}
        self._consumers: dict[str, deque[Consumer]] = {}
        self._links: dict[Client, None] = {}  # a set that keeps its order
        self._callers: dict[Client, None] = {}  # links that wait for the broker to come up
        self._next_message = 0
        self._pumps: set[str] = set()

    # --- fault switches --------------------------------------------------------------------------------------

    @property
    def reachable(self) -> bool:
        """Whether links can connect."""
        return self._reachable

    def stop(self) -> None:
        """Kill the broker: connections drop, what is not persistent is lost, links keep trying."""
        self._reachable = False
        self.drop()
        for destination, queue in self._queues.items():
            self._queues[destination] = deque(stored for stored in queue if stored.message.persistent)

    def start(self) -> None:
        """Bring the broker back; waiting links connect."""
        self._reachable = True
        callers, self._callers = self._callers, {}
        for link in callers:
            link.try_soon()

    def drop(self) -> None:
        """Lose every connection. Links connect again by themselves if the broker is reachable."""
        for link in list(self._links):
            link.lose("connection lost: dropped by the test")

    def pause(self) -> None:
        """Stop reading and delivering, with connections up (a blocked broker)."""
        self.paused = True

    def resume(self) -> None:
        """Go on after `pause`."""
        self.paused = False
        for link in self._links:
            link.step_soon()
        for destination in self._consumers:
            self.pump_soon(destination)

    def depth(self, destination: str) -> int:
        """Messages of a queue, those delivered but not acknowledged included."""
        unacked = sum(len(consumer.unacked) for consumer in self._consumers.get(destination, ()))
        return len(self._queues.get(destination, ())) + unacked

    def stored(self, destination: str) -> list[Stored]:
        """The messages of a queue that wait for a consumer, in order."""
        return list(self._queues.get(destination, ()))

    # --- for the link ----------------------------------------------------------------------------------------

    def accept(self, link: Client) -> bool:
        if not self._reachable:
            self._callers[link] = None
            return False
        self._links[link] = None
        return True

    def forget(self, link: Client) -> None:
        self._links.pop(link, None)
        self._callers.pop(link, None)

    def store(self, message: Outgoing) -> None:
        self._next_message += 1
        if message.destination.startswith("/topic/"):
            for consumer in self._consumers.get(message.destination, ()):
                consumer.backlog.append(Stored(message, self._next_message))
        else:
            self._queues.setdefault(message.destination, deque()).append(Stored(message, self._next_message))
        self.pump_soon(message.destination)

    def attach(self, consumer: Consumer) -> None:
        self._consumers.setdefault(consumer.subscription.destination, deque()).append(consumer)
        self.pump_soon(consumer.subscription.destination)

    def detach(self, consumer: Consumer) -> None:
        """What the consumer had and did not acknowledge goes back to the front of the queue, in order."""
        destination = consumer.subscription.destination
        self._consumers[destination].remove(consumer)
        if not destination.startswith("/topic/"):
            again = [replace(stored, redelivered=True) for stored in consumer.unacked.values()]
            self._queues.setdefault(destination, deque()).extendleft(reversed(again))
        consumer.unacked.clear()
        self.pump_soon(destination)

    def pump_soon(self, destination: str) -> None:
        if destination not in self._pumps:
            self._pumps.add(destination)
            asyncio.get_running_loop().call_soon(self._pump, destination)

    def _pump(self, destination: str) -> None:
        """Deliver while there is a message and a consumer with room; consumers of a queue take turns."""
        self._pumps.discard(destination)
        consumers = self._consumers.get(destination, deque())
        if destination.startswith("/topic/"):
            for consumer in list(consumers):
                while self._deliver_from(consumer.backlog, consumer):
                    pass
            return
        queue = self._queues.get(destination)
        idle = 0
        while queue and idle < len(consumers):
            consumer = consumers[0]
            consumers.rotate(-1)
            idle = 0 if self._deliver_from(queue, consumer) else idle + 1

    def _deliver_from(self, queue: deque[Stored], consumer: Consumer) -> bool:
        while queue and 0 < queue[0].message.expires <= self._now_ms():
            queue.popleft()
            self.expired += 1
        if not queue or not consumer.has_room or self.paused:
            return False
        consumer.link.deliver(consumer, queue.popleft())
        return True

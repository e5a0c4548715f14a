"""The in-memory twin of the link, for tests; `MemoryBroker` (memory_broker.py) says what is modelled.

broker = MemoryBroker()
front, bridge = MemoryLink(broker), MemoryLink(broker)
"""

import asyncio
from collections import deque
from collections.abc import Callable

from protocol.errors import LinkDown, OutcomeUnknown, Overloaded
from protocol.link.memory_broker import Consumer, MemoryBroker, Stored
from protocol.link.port import AckMode, Delivery, Outgoing, Subscription
from protocol.link.receipts import Receipts, failed
from protocol.link.settings import LinkCounters

__all__ = ["MemoryBroker", "MemoryLink"]


class MemoryLink:
    """`port.Link` to the first reachable of some memory brokers."""

    def __init__(
        self,
        *brokers: MemoryBroker,
        receipt_timeout: float = 10.0,
        max_outstanding: int = 4096,
        max_pending_bytes: int = 8 * 1024 * 1024,
    ) -> None:
        self.counters = LinkCounters()
        self._brokers = brokers
        self._broker: MemoryBroker | None = None
        self._receipt_timeout = receipt_timeout
        self._max_outstanding, self._max_pending_bytes = max_outstanding, max_pending_bytes
        self._epoch = 0
        self._subscriptions: dict[str, Subscription] = {}
        self._consumers: dict[str, Consumer] = {}
        self._next_subscription = 0
        self._watchers: list[Callable[[bool], None]] = []
        self._up = asyncio.Event()
        self._outbox: deque[tuple[Outgoing, str]] = deque()
        self._started = self._closed = False

    @property
    def connected(self) -> bool:
        """Whether frames can go out now."""
        return self._broker is not None

    @property
    def epoch(self) -> int:
        """Counts connections made."""
        return self._epoch

    @property
    def server(self) -> str:
        """The broker's name for itself."""
        return "memory/1" if self._epoch else ""

    def standing(self) -> str:
        """Nothing here can."""
        return ""

    @property
    def trouble(self) -> str:
        """Why it is not connected."""
        return "" if self.connected else "the broker is down"

    @property
    def outstanding(self) -> int:
        """Sends without receipt."""
        return len(self._receipts) if self._started else 0

    @property
    def pending_bytes(self) -> int:
        """Bytes of frames the broker has not read."""
        return sum(len(message.body) for message, _ in self._outbox)

    def watch(self, callback: Callable[[bool], None]) -> None:
        """Call `callback(connected)` at each change, and once now."""
        self._watchers.append(callback)
        self._guard(callback, self.connected)

    async def start(self) -> None:
        """Begin connecting; returns at once. Raises RuntimeError if called twice."""
        if self._started or self._closed:
            raise RuntimeError("a link is started once")
        self._started = True
        self._receipts = Receipts(asyncio.get_running_loop(), self._receipt_timeout, self.counters)
        self.try_soon()

    async def ready(self) -> None:
        """Return when connected."""
        await self._up.wait()

    async def close(self) -> None:
        """Flush (a paused broker excepted), disconnect, fail what is outstanding."""
        if self._closed or not self._started:
            self._closed = True
            return
        self._closed = True
        self._step()
        for broker in self._brokers:
            broker.forget(self)
        self.lose("closed")
        self._receipts.fail_all(lambda: OutcomeUnknown("closed"))

    def subscribe(self, subscription: Subscription) -> Callable[[], None]:
        """Subscribe now and after every reconnect; returns the function that unsubscribes (once)."""
        self._next_subscription += 1
        name = str(self._next_subscription)
        self._subscriptions[name] = subscription
        if self._broker is not None:
            self._attach(self._broker, name, subscription)

        def unsubscribe() -> None:
            self._subscriptions.pop(name, None)
            consumer = self._consumers.pop(name, None)
            if consumer is not None and self._broker is not None:
                self._broker.detach(consumer)

        return unsubscribe

    def current(self, delivery: Delivery) -> bool:
        """Whether no connection was made since that delivery."""
        return delivery.epoch == self._epoch

    def ack(self, delivery: Delivery) -> bool:
        """Acknowledge; False if its connection or its subscription is gone."""
        consumer = self._consumers.get(delivery.headers.get("subscription", ""))
        if self._broker is None or delivery.epoch != self._epoch or consumer is None:
            self.counters.stale_acks += 1
            return False
        if not delivery.ack_id:
            return True
        if delivery.ack_id not in consumer.unacked:
            self.lose("connection lost: unexpected ACK")
            return True  # like the real link, which hears of it later
        cumulative = consumer.subscription.ack is AckMode.CUMULATIVE
        for ack_id in list(consumer.unacked) if cumulative else [delivery.ack_id]:
            del consumer.unacked[ack_id]
            if ack_id == delivery.ack_id:
                break
        self._broker.pump_soon(consumer.subscription.destination)
        return True

    def send(self, message: Outgoing) -> "asyncio.Future[None]":
        """Send with a receipt; see `port.Link.send`."""
        if self._broker is None or self._closed:
            return failed(asyncio.get_running_loop(), LinkDown("not connected to any broker"))
        if (
            len(self._receipts) >= self._max_outstanding
            or self.pending_bytes + len(message.body) > self._max_pending_bytes
        ):
            self.counters.overloaded += 1
            raise Overloaded(f"{len(self._receipts)} sends without receipt, {self.pending_bytes} bytes queued")
        receipt, future = self._receipts.expect()
        self._outbox.append((message, receipt))
        self.counters.frames_out += 1
        self.step_soon()
        return future

    # --- for the broker --------------------------------------------------------------------------------------

    def try_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._try)

    def _try(self) -> None:
        if self._closed or self._broker is not None:
            return
        self._broker = next((broker for broker in self._brokers if broker.accept(self)), None)
        if self._broker is None:
            self.counters.connect_failures += 1
            return
        self._epoch += 1
        self.counters.reconnects += self._epoch > 1
        for name, subscription in self._subscriptions.items():
            self._attach(self._broker, name, subscription)
        self._up.set()
        self._tell(True)

    def lose(self, reason: str) -> None:
        broker, self._broker = self._broker, None
        if broker is None:
            return
        broker.forget(self)
        consumers, self._consumers = self._consumers, {}
        for consumer in consumers.values():
            broker.detach(consumer)
        self._outbox.clear()
        self._up.clear()
        self._receipts.fail_all(lambda: OutcomeUnknown(reason))
        self._tell(False)
        if not self._closed:
            self.try_soon()

    def _attach(self, broker: MemoryBroker, name: str, subscription: Subscription) -> None:
        self._consumers[name] = Consumer(self, name, subscription)
        broker.attach(self._consumers[name])

    def step_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._step)

    def _step(self) -> None:
        """The broker reads what this link has sent."""
        while self._outbox and self._broker is not None and not self._broker.paused:
            message, receipt = self._outbox.popleft()
            if message.destination in self._broker.refused:
                self._receipts.refuse(receipt, f"not authorised to write to {message.destination}")
                continue
            self._broker.store(message)
            if message.destination not in self._broker.swallowed:
                self._receipts.settle(receipt)

    def deliver(self, consumer: Consumer, stored: Stored) -> None:
        message, subscription = stored.message, consumer.subscription
        self.counters.frames_in += 1
        headers = {
            **message.headers,
            "destination": message.destination,
            "message-id": f"memory:{stored.number}",
            "subscription": consumer.name,
            "content-length": str(len(message.body)),
        }
        if message.persistent:
            headers["persistent"] = "true"
        if message.expires:
            headers["expires"] = str(message.expires)
        if stored.redelivered:
            headers["redelivered"] = "true"
        ack_id = ""
        if subscription.ack is not AckMode.AUTO:
            ack_id = headers["ack"] = f"{self._epoch}:{consumer.name}:{stored.number}"
            consumer.unacked[ack_id] = stored
        try:
            subscription.handler(Delivery(message.destination, message.body, headers, self._epoch, ack_id))
        except Exception:  # the contract: a handler's exception harms nobody
            self.counters.handler_errors += 1

    def _tell(self, connected: bool) -> None:
        for callback in list(self._watchers):
            self._guard(callback, connected)

    def _guard(self, callback: Callable[[bool], None], connected: bool) -> None:
        try:
            callback(connected)
        except Exception:  # as above
            self.counters.handler_errors += 1

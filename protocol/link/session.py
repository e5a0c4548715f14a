"""The link over STOMP 1.2: keeps a connection up for ever, renews subscriptions, matches receipts.

What happens to whom, when a connection is lost: subscriptions are renewed on the next one; sends without receipt
fail with OutcomeUnknown; deliveries not yet acknowledged come again from the broker, and acknowledging the old
ones does nothing (their epoch is over). Each of the decisions is a pure function elsewhere: backoff.py,
heartbeat.py, codec.py.
"""

import asyncio
import contextlib
import random
import traceback
from collections.abc import Callable

import structlog

from protocol.backoff import delay, next_attempt
from protocol.errors import LinkDown, OutcomeUnknown, Overloaded, SendRefused
from protocol.link.codec import ProtocolViolation, Received
from protocol.link.connection import BrokerError, Connection, either, error_text
from protocol.link.port import Delivery, Outgoing, Subscription
from protocol.link.receipts import Receipts, failed
from protocol.link.settings import LinkCounters, LinkSettings
from protocol.link.tls import explain

log = structlog.get_logger("protocol.link")

_FRAME_OVERHEAD = 4096
"""What the header of a frame may add to its body, at most, for the purpose of `max_frame_bytes`."""


class StompLink:
    """`port.Link` over a STOMP 1.2 broker. All methods belong to the event loop `start` was called on."""

    def __init__(self, settings: LinkSettings, *, chance: Callable[[], float] = random.random) -> None:
        """`chance` gives numbers in [0, 1) for the jitter of reconnects."""
        self.counters = LinkCounters()
        self._settings, self._chance = settings, chance
        self._log = log.bind(link=settings.client_name)
        self._connection: Connection | None = None
        self._epoch = 0
        self._trouble: dict[str, str] = {}  # broker → why it was not reached, or was lost
        self._server = ""
        self._subscriptions: dict[str, Subscription] = {}
        self._next_subscription = 0
        self._watchers: list[Callable[[bool], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._closed = False

    # --- state -----------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether frames can go out now."""
        return self._connection is not None

    @property
    def epoch(self) -> int:
        """Counts connections made."""
        return self._epoch

    @property
    def server(self) -> str:
        """The broker's name for itself, e.g. `ActiveMQ/5.19.10`; of the last connection while there is none."""
        return self._server

    @property
    def outstanding(self) -> int:
        """Sends (and subscriptions) without receipt."""
        return len(self._receipts) if self._task else 0

    @property
    def pending_bytes(self) -> int:
        """Bytes of frames queued because the broker does not read."""
        return self._connection.transport.queued_bytes if self._connection else 0

    @property
    def trouble(self) -> str:
        """See `port.Link`: the last reason for each broker."""
        return "" if self.connected else "; ".join(f"{where}: {reason}" for where, reason in self._trouble.items())

    def standing(self) -> str:
        """See `port.Link`."""
        return "" if self._task is None or self._closed or not self._task.done() else "nobody connects any more"

    def watch(self, callback: Callable[[bool], None]) -> None:
        """Call `callback(connected)` at each change, and once now."""
        self._watchers.append(callback)
        self._guard(callback, self.connected)

    # --- life ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin connecting; returns at once. Raises RuntimeError if called twice."""
        if self._task is not None or self._closed:
            raise RuntimeError("a link is started once")
        self._loop = asyncio.get_running_loop()
        self._receipts = Receipts(self._loop, self._settings.receipt_timeout, self.counters)
        self._task = self._loop.create_task(self._run(), name=f"link {self._settings.client_name}")

    async def ready(self) -> None:
        """Return when connected."""
        await self._up.wait()

    async def close(self) -> None:
        """Flush, DISCONNECT with a receipt, close; within `close_timeout`. What has no receipt then is unknown."""
        if self._closed:
            return
        self._closed = True
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        connection = self._connection
        if connection is not None:
            # ActiveMQ answers in order: the receipt of DISCONNECT comes after those of all sends before it.
            receipt, future = self._receipts.expect()
            # Not Protocol12.disconnect: in stomp.py 9.0.0 it calls a method only its Connection classes have.
            connection.protocol.send_frame("DISCONNECT", {"receipt": receipt})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.close_timeout):
                    await either(future, connection.transport.lost)
                    connection.transport.close()
                    await asyncio.wait({connection.transport.lost})
            connection.transport.fail(ConnectionAbortedError("closed"))
        self._went_down("closed")

    async def _run(self) -> None:
        """Connect, wait for the loss, connect again, for ever."""
        attempt, stable = 0, self._settings.backoff_max
        said = self._trouble
        while True:
            lasted = 0.0
            for broker in self._settings.brokers:
                where = f"{broker[0]}:{broker[1]}"
                try:
                    connection = await Connection.open(broker, self._settings, self.counters, self._on_frame)
                # Any reason not to connect is a reason to try again; a link that stops trying is a dead daemon.
                except Exception as error:
                    self.counters.connect_failures += 1
                    # Said once as long as it stays so: the passive broker of a pair is unreachable for months.
                    say = self._log.debug if said.get(where) == _reason(error) else self._log.warning
                    say("link.connect_failed", broker=where, reason=_reason(error), attempt=attempt)
                    said[where] = _reason(error)
                    continue
                said.pop(where, None)
                began = self._loop.time()
                self._came_up(connection, where)
                lost = connection.transport.lost
                await asyncio.wait({lost})  # not `await lost`: our cancellation must not become its result
                reason = _reason(lost.result())
                self._log.warning("link-lost", broker=where, reason=reason, epoch=self._epoch)
                self._went_down(f"connection lost: {reason}")
                said[where] = f"connection lost: {reason}"
                lasted = self._loop.time() - began
                break
            attempt = next_attempt(attempt, lasted, stable)
            pause = delay(attempt, self._settings.backoff_min, self._settings.backoff_max, self._chance())
            await asyncio.sleep(pause)

    def _came_up(self, connection: Connection, where: str) -> None:
        self._connection, self._server = connection, connection.server
        self._epoch += 1
        self.counters.reconnects += self._epoch > 1
        self._log.info("link-connected", broker=where, server=self._server, epoch=self._epoch)
        for name, subscription in self._subscriptions.items():
            self._send_subscribe(connection, name, subscription)
        self._up.set()
        self._tell(True)

    def _went_down(self, reason: str) -> None:
        was_up, self._connection = self._connection is not None, None
        self._up.clear()
        self._receipts.fail_all(lambda: OutcomeUnknown(reason))
        if was_up:
            self._tell(False)

    def _tell(self, connected: bool) -> None:
        for callback in list(self._watchers):
            self._guard(callback, connected)

    # --- sending -----------------------------------------------------------------------------------------------

    def send(self, message: Outgoing) -> "asyncio.Future[None]":
        """Send with a receipt; see `port.Link.send`. A body over `max_frame_bytes` is refused here."""
        connection, settings = self._connection, self._settings
        if connection is None or self._closed or connection.transport.lost.done():
            return failed(asyncio.get_running_loop(), LinkDown("not connected to any broker"))
        size = len(message.body)
        if (
            len(self._receipts) >= settings.max_outstanding
            or connection.transport.queued_bytes + size > settings.max_pending_bytes
        ):
            self.counters.overloaded += 1
            raise Overloaded(f"{len(self._receipts)} sends without receipt, {self.pending_bytes} bytes queued")
        if size + _FRAME_OVERHEAD > settings.max_frame_bytes:
            self.counters.refused += 1
            return failed(self._loop, SendRefused(f"a body of {size} bytes does not fit into a frame"))
        receipt, future = self._receipts.expect()
        headers = dict(message.headers)
        # Always given: without it ActiveMQ makes a text message of the body and ends it at its first NUL.
        headers["content-length"] = str(size)
        headers["receipt"] = receipt
        if message.persistent:
            headers["persistent"] = "true"
        if message.expires:
            headers["expires"] = str(message.expires)
        connection.protocol.send(message.destination, message.body, headers=headers)
        return future

    def current(self, delivery: Delivery) -> bool:
        """Whether no connection was made since that delivery."""
        return delivery.epoch == self._epoch

    def ack(self, delivery: Delivery) -> bool:
        """Acknowledge; False (and nothing sent) if its connection or its subscription is gone."""
        connection = self._connection
        if (
            connection is None
            or connection.transport.lost.done()
            or delivery.epoch != self._epoch
            or delivery.headers.get("subscription") not in self._subscriptions
        ):
            self.counters.stale_acks += 1
            return False
        if delivery.ack_id:  # AUTO deliveries have none
            connection.protocol.ack(delivery.ack_id)
        return True

    # --- receiving -----------------------------------------------------------------------------------------------

    def subscribe(self, subscription: Subscription) -> Callable[[], None]:
        """Subscribe now and after every reconnect; returns the function that unsubscribes (once)."""
        self._next_subscription += 1
        name = str(self._next_subscription)
        self._subscriptions[name] = subscription
        if self._connection is not None:
            self._send_subscribe(self._connection, name, subscription)

        def unsubscribe() -> None:
            if self._subscriptions.pop(name, None) and self._connection is not None:
                self._connection.protocol.unsubscribe(name)

        return unsubscribe

    def _send_subscribe(self, connection: Connection, name: str, subscription: Subscription) -> None:
        receipt, future = self._receipts.expect()
        headers = dict(subscription.headers)
        # The default is 1000 (ActiveMQ): more than a worker can hold, and unfair between workers.
        headers["activemq.prefetchSize"] = str(subscription.prefetch)
        headers["receipt"] = receipt
        connection.protocol.subscribe(subscription.destination, name, subscription.ack.value, headers=headers)

        def done(answer: "asyncio.Future[None]") -> None:
            error = answer.exception()
            if isinstance(error, SendRefused):
                self._log.error("link-subscription-refused", destination=subscription.destination, reason=str(error))

        future.add_done_callback(done)

    def _on_frame(self, frame: Received) -> None:
        match frame.cmd:
            case "MESSAGE":
                headers = frame.headers
                get = headers.get
                subscription = self._subscriptions.get(get("subscription", ""))
                if subscription is None:
                    return  # unsubscribed meanwhile: the broker gives it to another
                delivery = Delivery(get("destination", ""), frame.body, headers, self._epoch, get("ack", ""))
                try:
                    subscription.handler(delivery)
                except Exception as error:
                    self._handler_failed(error)
            case "RECEIPT":
                self._receipts.settle(frame.headers.get("receipt-id", ""))
            case "ERROR":
                self._on_error(frame)
            case _:
                self._fail(ProtocolViolation(f"unexpected frame {frame.cmd[:20]!r}"))

    def _on_error(self, frame: Received) -> None:
        """An ERROR naming a receipt refuses that send: ActiveMQ keeps the connection open after it.

        Any other is about the connection, and the specification ends it ("the server MUST close"). ActiveMQ often
        does not; we do, because an acknowledgement it rejected would hold a place of the prefetch for ever.
        """
        receipt = frame.headers.get("receipt-id")
        if receipt is None or not self._receipts.refuse(receipt, error_text(frame)):
            self._fail(BrokerError(error_text(frame)))

    def _fail(self, error: Exception) -> None:
        if self._connection is not None:
            self._connection.transport.fail(error)

    def _guard(self, callback: Callable[[bool], None], connected: bool) -> None:
        try:
            callback(connected)
        except Exception as error:
            self._handler_failed(error)

    def _handler_failed(self, error: Exception) -> None:
        """Log where, never what: the text of an exception may quote a body (pydantic's does)."""
        self.counters.handler_errors += 1
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        self._log.error("link-handler-failed", error=type(error).__name__, place=place)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError):
        return explain(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

"""The link over STOMP 1.2: keeps a connection up for ever, renews subscriptions, matches receipts.

What happens to whom, when a connection is lost: subscriptions are renewed on the next one; sends without receipt
fail with OutcomeUnknown; deliveries not yet acknowledged come again from the broker, and acknowledging the old
ones does nothing (their epoch is over). Each of the decisions is a pure function elsewhere: backoff.py,
heartbeat.py, codec.py.

A connection can also be *replaced* (`renew`), by one with another certificate or to another broker, and nothing fails::

    open the new one ─► subscribe there, send there ─► its subscriptions stand ─► unsubscribe the old one ─► take what
    it still brings, and its receipts ─► DISCONNECT
"""

import asyncio
import contextlib
import errno
import random
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from protocol.backoff import delay, next_attempt
from protocol.errors import ConfigurationError, LinkDown, LinkError, OutcomeUnknown, Overloaded, SendRefused
from protocol.link.codec import ProtocolViolation, Received
from protocol.link.connection import BrokerError, Connection, either, error_text
from protocol.link.port import Delivery, Outgoing, Subscription
from protocol.link.receipts import Receipts, failed
from protocol.link.settings import LinkCounters, LinkSettings
from protocol.link.tls import explain

log = structlog.get_logger("protocol.link")

_ON_THEIR_WAY_S = 0.1
"""How long a connection that is let go is listened to after its last subscription ended: the broker writes messages
and receipts from different threads."""
_FRAME_OVERHEAD = 4096
"""What the header of a frame may add to its body, at most, for the purpose of `max_frame_bytes`."""


@dataclass(slots=True)
class _Leaving:
    """A connection that was replaced and is not gone yet."""

    connection: Connection
    epoch: int
    last_receipt: int
    """All receipts up to this one come by it, or not at all."""
    subscribed: bool = True
    """What it delivered may be acknowledged."""


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
        self._leaving: _Leaving | None = None
        self._replaced: asyncio.Future[None] | None = None
        self._where = ""
        self._renewing = asyncio.Lock()

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

    @property
    def settings(self) -> LinkSettings:
        """What the next connection is made with."""
        return self._settings

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
        if self._leaving is not None:
            self._leaving.connection.transport.fail(ConnectionAbortedError("closed"))
        connection = self._connection
        if connection is not None:
            await self._disconnect(connection)
        self._went_down("closed")

    async def _disconnect(self, connection: Connection) -> None:
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

    async def renew(self, settings: LinkSettings) -> None:
        """Go on with other settings: another certificate, another authority, another order of the brokers.

        A connection that is up is replaced by a new one, and is let go when that has taken over; nothing sent fails,
        nothing delivered is lost. Returns when the old one is gone. Raises OSError or LinkError if no new connection
        can be made while there is an old one: that stays, and the next one is made with these settings (`tried` says
        beforehand whether they are good).
        """
        async with self._renewing:
            self._settings = settings
            if self._task is not None:
                self._receipts.timeout = settings.receipt_timeout
            old = self._connection
            if old is None or self._closed:
                return  # the next connection is made with these
            new, where = await self._opened(settings)
            if self._connection is not old or self._closed:  # it was lost meanwhile, and is made anew already
                new.transport.fail(ConnectionAbortedError("not needed"))
                return
            await self._let_go(*self._take_over(old, new, where))

    async def _opened(self, settings: LinkSettings) -> tuple[Connection, str]:
        """A connection to the first broker that answers. Raises what the last one's failure was."""
        failure: Exception = OSError("there is no broker")
        for broker in settings.brokers:
            try:
                connection = await Connection.open(broker, settings, self.counters, self._on_frame)
            except (OSError, LinkError) as error:
                failure = error
                continue
            return connection, f"{broker[0]}:{broker[1]}"
        raise failure

    def _take_over(self, old: Connection, new: Connection, where: str) -> "tuple[_Leaving, list[asyncio.Future[None]]]":
        """From now on the new connection is the link's; the old one is listened to until it is let go."""
        leaving = self._leaving = _Leaving(old, self._epoch, self._receipts.last)
        old.transport.on_frame = partial(self._on_leaving_frame, leaving)
        self._connection, self._server, self._where = new, new.server, where
        self._epoch += 1
        self.counters.reconnects += 1
        self._log.info("link-renewed", broker=where, server=self._server, epoch=self._epoch)
        subscribed = [self._send_subscribe(new, name, one) for name, one in self._subscriptions.items()]
        if self._replaced is not None and not self._replaced.done():
            self._replaced.set_result(None)
        return leaving, subscribed

    async def _let_go(self, leaving: _Leaving, subscribed: "list[asyncio.Future[None]]") -> None:
        old = leaving.connection
        try:
            if subscribed:
                await asyncio.wait(subscribed)  # each has its deadline
            # What it delivered and nobody acknowledged, the broker delivers again, by the new connection.
            leaving.subscribed = False
            if not old.transport.lost.done():
                ended = []
                for name in list(self._subscriptions):
                    receipt, future = self._receipts.expect()
                    old.protocol.unsubscribe(name, headers={"receipt": receipt})
                    ended.append(future)
                if ended:
                    await either(asyncio.gather(*ended, return_exceptions=True), old.transport.lost)
                    await asyncio.sleep(_ON_THEIR_WAY_S)
                await self._disconnect(old)
        finally:
            old.transport.fail(ConnectionAbortedError("let go"))
            self._leaving = None
            self._receipts.fail_until(leaving.last_receipt, lambda: OutcomeUnknown("its connection was let go"))

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
                reason = _reason(await self._loss())
                where = self._where
                self._log.warning("link-lost", broker=where, reason=reason, epoch=self._epoch)
                self._went_down(f"connection lost: {reason}")
                said[where] = f"connection lost: {reason}"
                lasted = self._loop.time() - began
                break
            attempt = next_attempt(attempt, lasted, stable)
            pause = delay(attempt, self._settings.backoff_min, self._settings.backoff_max, self._chance())
            await asyncio.sleep(pause)

    async def _loss(self) -> Exception:
        """Why the connection was lost, that of now or one that replaces it."""
        while True:
            connection = self._connection
            assert connection is not None
            lost, self._replaced = connection.transport.lost, self._loop.create_future()
            # not `await lost`: our cancellation must not become its result
            await either(lost, self._replaced)
            if self._connection is connection:
                return lost.result()

    def _came_up(self, connection: Connection, where: str) -> None:
        self._connection, self._server, self._where = connection, connection.server, where
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
        """Whether the connection that delivered is still there."""
        return delivery.epoch == self._epoch or self._leaving_of(delivery) is not None

    def _leaving_of(self, delivery: Delivery) -> Connection | None:
        """The connection that delivered, if it was replaced and still takes acknowledgements."""
        leaving = self._leaving
        if leaving is None or leaving.epoch != delivery.epoch or not leaving.subscribed:
            return None
        return leaving.connection

    def ack(self, delivery: Delivery) -> bool:
        """Acknowledge; False (and nothing sent) if its connection or its subscription is gone."""
        connection = self._connection
        if delivery.epoch != self._epoch:
            connection = self._leaving_of(delivery)
        if (
            connection is None
            or connection.transport.lost.done()
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

    def _send_subscribe(self, connection: Connection, name: str, subscription: Subscription) -> "asyncio.Future[None]":
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
        return future

    def _on_leaving_frame(self, leaving: _Leaving, frame: Received) -> None:
        """A frame of a connection that was replaced."""
        receipt = frame.headers.get("receipt-id", "")
        if frame.cmd == "MESSAGE":
            self._deliver(frame, leaving.epoch)
        elif frame.cmd == "RECEIPT":
            self._receipts.settle(receipt)
        elif frame.cmd != "ERROR" or not self._receipts.refuse(receipt, error_text(frame)):
            leaving.connection.transport.fail(BrokerError(error_text(frame)))

    def _deliver(self, frame: Received, epoch: int) -> None:
        headers = frame.headers
        get = headers.get
        subscription = self._subscriptions.get(get("subscription", ""))
        if subscription is None:
            return  # unsubscribed meanwhile: the broker gives it to another
        delivery = Delivery(get("destination", ""), frame.body, headers, epoch, get("ack", ""))
        try:
            subscription.handler(delivery)
        except Exception as error:
            self._handler_failed(error)

    def _on_frame(self, frame: Received) -> None:
        match frame.cmd:
            case "MESSAGE":
                self._deliver(frame, self._epoch)
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


async def tried(settings: LinkSettings) -> dict[str, str]:
    """Connect to each broker, and leave again: whether these settings are good.

    Returns why a broker could not be reached at all, by its address: that says nothing of the settings. Raises
    ConfigurationError when one was reached and does not take us, or we not it.
    """
    away: dict[str, str] = {}
    for broker in settings.brokers:
        where = f"{broker[0]}:{broker[1]}"
        try:
            connection = await Connection.open(broker, settings, LinkCounters(), lambda _frame: None)
        except (ConnectionRefusedError, TimeoutError, socket.gaierror) as error:
            away[where] = _reason(error)
        except (OSError, LinkError) as error:
            if isinstance(error, OSError) and error.errno in _NO_WAY:
                away[where] = _reason(error)
                continue
            raise ConfigurationError(f"{where} cannot be used with them: {_reason(error)}") from None
        else:
            connection.protocol.send_frame("DISCONNECT", {})
            connection.transport.close()
    return away


_NO_WAY = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})

"""One connection to one broker: TCP, TLS, STOMP's CONNECT, heart-beats, DISCONNECT. Never reused."""

import asyncio
from collections.abc import Callable
from typing import Any

from protocol.errors import LinkError
from protocol.link.codec import ProtocolViolation, Received
from protocol.link.dial import dial, options
from protocol.link.heartbeat import Beats, agree
from protocol.link.settings import LinkCounters, LinkSettings
from protocol.link.stomppy import Protocol12
from protocol.link.transport import StompTransport


class BrokerError(LinkError):
    """The broker sent an ERROR that belongs to no send: it is about the connection."""


class Silent(LinkError):
    """Neither frame nor heart-beat for too long: the broker, or the way to it, is dead."""


def error_text(frame: Received) -> str:
    """What an ERROR frame says, fit for a log line: its `message` header or the first line of its body."""
    message = frame.headers.get("message") or frame.body.decode(errors="replace").partition("\n")[0]
    return " ".join(message.split())[:300]


async def either(first: "asyncio.Future[Any]", second: "asyncio.Future[Any]") -> None:
    """Return when one of them is done; raises nothing of theirs."""
    await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)


class Connection:
    """A connection that is up: made by `open`, over when `transport.lost` is done."""

    def __init__(self, transport: StompTransport, protocol: Protocol12, beats: Beats, server: str) -> None:
        self.transport, self.protocol, self.server = transport, protocol, server
        self._beats = beats
        self._loop = asyncio.get_running_loop()
        self._last_check = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        if beats.period:
            self._timer = self._loop.call_later(beats.period, self._check)
            transport.lost.add_done_callback(self._stop)

    @classmethod
    async def open(
        cls,
        broker: tuple[str, int],
        settings: LinkSettings,
        counters: LinkCounters,
        on_frame: Callable[[Received], None],
    ) -> "Connection":
        """Connect within `settings.connect_timeout`. `on_frame` gets every frame after CONNECTED.

        Raises OSError (TimeoutError and ssl.SSLError are), BrokerError or ProtocolViolation.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Received] = loop.create_future()

        def first(frame: Received) -> None:
            if not answer.done():
                answer.set_result(frame)
                # Frames may follow CONNECTED in the same chunk; nothing was asked for yet, so none should.
                transport.on_frame = on_frame

        transport = StompTransport(loop, broker, settings.max_frame_bytes, counters, first)
        try:
            async with asyncio.timeout(settings.connect_timeout):
                await loop.create_connection(
                    lambda: transport,
                    sock=await dial(broker, attempt_s=settings.dial_timeout, options=options(settings.heartbeat_ms)),
                    ssl=settings.ssl,
                    server_hostname=broker[0] if settings.ssl else None,
                    ssl_shutdown_timeout=settings.close_timeout if settings.ssl else None,
                )
                protocol = Protocol12(transport)
                protocol.connect(headers={"heart-beat": "{},{}".format(*settings.heartbeat_ms)})
                await either(answer, transport.lost)
        except TimeoutError as error:
            transport.fail(TimeoutError())
            raise TimeoutError(str(error) or f"not connected within {settings.connect_timeout:g} s") from None
        except BaseException:
            transport.fail(ConnectionAbortedError())
            raise
        if not answer.done():
            raise transport.lost.result()
        try:
            frame = answer.result()
            if frame.cmd == "ERROR":
                raise BrokerError(error_text(frame))
            if frame.cmd != "CONNECTED" or frame.headers.get("version") != "1.2":
                raise ProtocolViolation(f"{frame.cmd!r} is not CONNECTED for version 1.2")
            beats = agree(settings.heartbeat_ms, frame.headers.get("heart-beat", "0,0"))
        except LinkError as error:
            transport.fail(error)
            raise
        return cls(transport, protocol, beats, frame.headers.get("server", ""))

    def _check(self) -> None:
        """The heart-beat timer: send when idle, give up on a silent peer."""
        now, transport = self._loop.time(), self.transport
        if self._beats.dead(now, transport.last_received, self._last_check):
            transport.fail(Silent(f"nothing received for {now - transport.last_received:.1f} s"))
            return
        if self._beats.due(now, transport.last_sent):
            transport.beat()
        self._last_check = now
        self._timer = self._loop.call_later(self._beats.period, self._check)

    def _stop(self, _: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

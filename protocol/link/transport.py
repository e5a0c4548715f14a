"""stomp.py's transport contract over an asyncio TLS transport: `Protocol12` drives it, frames come out of it.

What is overridden, and why (docs/decisions/0001-stomp-frames-over-asyncio.md): stomp.py's `transmit` takes a condition
and sorts its listeners for every frame, and its socket loop is a thread that polls. Here `transmit` appends to a list
that is written once per turn of the event loop (one TLS record, one system call for all frames of that turn), and
frames are parsed as the bytes arrive.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from protocol.link.codec import ProtocolViolation, Received, Splitter, encode
from protocol.link.settings import LinkCounters
from protocol.link.stomppy import BaseTransport, Frame

HIGH_WATER = 256 * 1024
"""Bytes asyncio may hold for a broker that does not read, before frames stay in our own bounded queue."""


class StompTransport(BaseTransport, asyncio.Protocol):  # type: ignore[misc]  # stomp.py is untyped
    """One TCP (TLS) connection carrying STOMP frames. Belongs to one event loop; never reused.

    `on_frame` gets every frame received; `lost` resolves, with the reason, when the connection is gone.
    """

    vhost: str | None = None  # asked for by Protocol12.connect

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        broker: tuple[str, int],
        max_frame_bytes: int,
        counters: LinkCounters,
        on_frame: Callable[[Received], None],
    ) -> None:
        super().__init__(auto_decode=False)
        self.current_host_and_port = broker
        self.on_frame = on_frame
        self.lost: asyncio.Future[Exception] = loop.create_future()
        self.last_received = self.last_sent = loop.time()
        self._loop, self._counters = loop, counters
        self._splitter = Splitter(max_frame_bytes)
        self._socket: asyncio.Transport | None = None
        self._queue: list[bytes] = []
        self._flush_scheduled = self._paused = False
        self.queued_bytes = 0
        """Bytes of frames that asyncio has not taken yet: grows while the broker does not read."""

    # --- what Protocol12 calls ---------------------------------------------------------------------------------

    def transmit(self, frame: Frame) -> None:
        """The first frame of a turn of the event loop goes out at once, the turn's others together at its end."""
        data = encode(frame)
        self._counters.frames_out += 1
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)
            if not self._queue and not self._paused:
                self._write(data)
                return
        self._queue.append(data)
        self.queued_bytes += len(data)

    def process_frame(self, f: Received, frame_str: bytes) -> None:
        """Hand a received frame on. (stomp.py's own takes a lock and sorts its listeners for each.)"""
        self._counters.frames_in += 1
        self.on_frame(f)

    # --- sending -------------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Send a heart-beat: one line end."""
        if not self._queue and not self._paused:
            self._write(b"\n")

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self._queue and not self._paused:
            data = b"".join(self._queue) if len(self._queue) > 1 else self._queue[0]
            self._queue.clear()
            self.queued_bytes = 0
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._socket is not None and not self._socket.is_closing():
            self._counters.bytes_out += len(data)
            self.last_sent = self._loop.time()
            self._socket.write(data)

    def close(self) -> None:
        """Write what is queued, then close TLS and TCP."""
        self._flush()
        # Once: asyncio's TLS transport of Python 3.11.2 (Debian 12) cannot be aborted after a second close.
        if self._socket is not None and not self._socket.is_closing():
            self._socket.close()

    def fail(self, error: Exception) -> None:
        """Give the connection up at once, for this reason."""
        if not self.lost.done():
            self.lost.set_result(error)
        if self._socket is not None:
            self._socket.abort()

    # --- what asyncio calls --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._socket = _as_transport(transport)
        self._socket.set_write_buffer_limits(high=HIGH_WATER)
        plain: Any = transport.get_extra_info("socket")
        if plain is not None:  # both loops set it by themselves; 40 ms a round trip if one ever did not
            with contextlib.suppress(OSError):
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.set_connected(True)

    def data_received(self, data: bytes) -> None:
        self.last_received = self._loop.time()
        self._counters.bytes_in += len(data)
        lost = self.lost
        try:
            for frame in self._splitter.feed(data):
                if lost.done():
                    return  # given up while an earlier frame of this chunk was handled
                self.process_frame(frame, b"")
        except ProtocolViolation as error:
            self.fail(error)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.set_connected(False)
        self._socket = None
        self._queue.clear()
        self.queued_bytes = 0
        if not self.lost.done():
            self.lost.set_result(exc or ConnectionResetError("closed by the broker"))


def _as_transport(transport: asyncio.BaseTransport) -> asyncio.Transport:
    """uvloop's transports are asyncio's in all but inheritance."""
    result: Any = transport
    return result  # type: ignore[no-any-return]

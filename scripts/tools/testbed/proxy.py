"""A TCP proxy whose connections can be disturbed: the network's faults, without touching the network.

It works on bytes, so what runs over it may be TLS. A direction is `UP` (client to server) or `DOWN`.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

UP, DOWN = "up", "down"
BOTH = (UP, DOWN)
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on and 0: closing sends RST and throws away what waits (socket(7))."""


@dataclass
class _Way:
    """What happens to bytes in one direction, on every connection."""

    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    swallowing: bool = False
    delay_s: float = 0.0
    reset_after: int | None = None
    """Bytes that still get through before the connection that carries them is reset."""


@dataclass(eq=False)
class _Pair:
    """One client's connection and the one to the server that belongs to it."""

    task: asyncio.Task[None]
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    ended: set[str] = field(default_factory=set)
    """Directions that were half-closed."""

    def sink(self, way: str) -> asyncio.StreamWriter | None:
        return self.server if way == UP else self.client


class Proxy:
    """Passes bytes on between clients and one server, until told otherwise."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._pairs: set[_Pair] = set()
        self._ways = {way: _Way() for way in BOTH}
        self._refusing = False
        self.port = 0
        self.accepted = 0
        """Connections taken since the start."""
        self.flow()

    async def start(self, port: int = 0) -> None:
        """Listen on loopback, on a free port unless one is given."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, cut everything."""
        self._server.close()
        await self.cut()

    # --- faults ----------------------------------------------------------------------------------------------

    async def cut(self) -> None:
        """Lose every connection at once, by RST."""
        tasks = [pair.task for pair in self._pairs]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stall(self, *ways: str) -> None:
        """Let nothing through (in these directions; default both), keep it; connections stay up."""
        for way in self._chosen(ways):
            way.flowing.clear()

    def swallow(self, *ways: str) -> None:
        """Throw away what comes (in these directions; default both); connections stay up and nobody is told."""
        for way in self._chosen(ways):
            way.swallowing = True

    def delay(self, seconds: float, *ways: str) -> None:
        """Keep every piece back for so long."""
        for way in self._chosen(ways):
            way.delay_s = seconds

    def reset_within(self, size: int, *ways: str) -> None:
        """Let `size` bytes more through in each direction, then reset the connection that carries the next one."""
        for way in self._chosen(ways):
            way.reset_after = size

    def half_close(self, way: str) -> None:
        """Send FIN in one direction of every connection there is, and pass nothing more that way."""
        for pair in self._pairs:
            sink = pair.sink(way)
            if sink is not None and way not in pair.ended:
                pair.ended.add(way)
                with contextlib.suppress(OSError, RuntimeError):
                    sink.write_eof()

    def refuse(self) -> None:
        """Reset every new connection at once."""
        self._refusing = True

    def flow(self) -> None:
        """Let everything through again. What was swallowed is gone; connections stay as they are."""
        self._refusing = False
        for way in self._ways.values():
            way.flowing.set()
            way.swallowing, way.delay_s, way.reset_after = False, 0.0, None

    # --- connections -----------------------------------------------------------------------------------------

    def _chosen(self, ways: tuple[str, ...]) -> Iterator[_Way]:
        return (self._ways[way] for way in ways or BOTH)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        pair = _Pair(task, writer)
        self._pairs.add(pair)
        self.accepted += 1
        try:
            if self._refusing:
                return
            answers, pair.server = await asyncio.open_connection(*self._target)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._copy(pair, UP, reader, pair.server))
                both.create_task(self._copy(pair, DOWN, answers, writer))
        except (OSError, ExceptionGroup, asyncio.CancelledError):  # cut() ends this task, which nobody awaits
            pass
        finally:
            self._pairs.discard(pair)
            for end in (writer, pair.server):
                if end is not None:
                    _reset(end)

    async def _copy(self, pair: _Pair, name: str, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        way = self._ways[name]
        while data := await source.read(65536):
            await way.flowing.wait()
            if way.delay_s:
                await asyncio.sleep(way.delay_s)
            if way.swallowing or name in pair.ended:
                continue
            if way.reset_after is not None:
                if len(data) > way.reset_after:
                    sink.write(data[: way.reset_after])
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.2):  # the first part shall arrive before the reset
                            await sink.drain()
                            await asyncio.sleep(0.02)
                    raise ConnectionResetError
                way.reset_after -= len(data)
            sink.write(data)
            await sink.drain()
        raise ConnectionResetError


def _reset(end: asyncio.StreamWriter) -> None:
    plain = end.get_extra_info("socket")
    with contextlib.suppress(OSError, RuntimeError):
        if plain is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.transport.abort()

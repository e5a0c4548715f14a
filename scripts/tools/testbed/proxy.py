"""A TCP proxy that injects network faults into its connections, without touching the network.

It works on bytes, so it may carry TLS. A direction is `UP` (client to server) or `DOWN`.
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
"""SO_LINGER on and 0: closing sends RST and discards unsent data (socket(7))."""


@dataclass
class _Direction:
    """What happens to bytes in one direction, on every connection."""

    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    swallowing: bool = False
    delay_s: float = 0.0
    reset_after: int | None = None
    """Bytes that still get through before the connection that carries them is reset."""


@dataclass(eq=False)
class _Pair:
    """A client's connection and its counterpart to the server."""

    task: asyncio.Task[None]
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    ended: set[str] = field(default_factory=set)
    """Directions that were half-closed."""

    def sink(self, direction: str) -> asyncio.StreamWriter | None:
        return self.server if direction == UP else self.client


class Proxy:
    """Forwards bytes between clients and one server, unless a fault is set."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._pairs: set[_Pair] = set()
        self._directions = {direction: _Direction() for direction in BOTH}
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
        """Stop listening and reset every connection."""
        self._server.close()
        await self.cut()

    # --- faults ----------------------------------------------------------------------------------------------

    async def cut(self) -> None:
        """Reset every connection at once."""
        tasks = [pair.task for pair in self._pairs]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stall(self, *directions: str) -> None:
        """Hold back all data (in these directions; default both); connections stay up."""
        for direction in self._selected(directions):
            direction.flowing.clear()

    def swallow(self, *directions: str) -> None:
        """Discard all data (in these directions; default both); connections stay up and no end is told."""
        for direction in self._selected(directions):
            direction.swallowing = True

    def delay(self, seconds: float, *directions: str) -> None:
        """Delay every piece of data by so long."""
        for direction in self._selected(directions):
            direction.delay_s = seconds

    def reset_within(self, size: int, *directions: str) -> None:
        """Forward `size` more bytes in each direction, then reset the connection that carries the next one."""
        for direction in self._selected(directions):
            direction.reset_after = size

    def half_close(self, direction: str) -> None:
        """Send FIN in one direction of every existing connection, and forward nothing more in it."""
        for pair in self._pairs:
            sink = pair.sink(direction)
            if sink is not None and direction not in pair.ended:
                pair.ended.add(direction)
                with contextlib.suppress(OSError, RuntimeError):
                    sink.write_eof()

    def refuse(self) -> None:
        """Reset every new connection at once."""
        self._refusing = True

    def flow(self) -> None:
        """End every fault. Discarded data stay lost; connections stay as they are."""
        self._refusing = False
        for direction in self._directions.values():
            direction.flowing.set()
            direction.swallowing, direction.delay_s, direction.reset_after = False, 0.0, None

    # --- connections -----------------------------------------------------------------------------------------

    def _selected(self, directions: tuple[str, ...]) -> Iterator[_Direction]:
        return (self._directions[direction] for direction in directions or BOTH)

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
        direction = self._directions[name]
        while data := await source.read(65536):
            await direction.flowing.wait()
            if direction.delay_s:
                await asyncio.sleep(direction.delay_s)
            if direction.swallowing or name in pair.ended:
                continue
            if direction.reset_after is not None:
                if len(data) > direction.reset_after:
                    sink.write(data[: direction.reset_after])
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.2):  # the first part shall arrive before the reset
                            await sink.drain()
                            await asyncio.sleep(0.02)
                    raise ConnectionResetError
                direction.reset_after -= len(data)
            sink.write(data)
            await sink.drain()
        raise ConnectionResetError


def _reset(end: asyncio.StreamWriter) -> None:
    plain = end.get_extra_info("socket")
    with contextlib.suppress(OSError, RuntimeError):
        if plain is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.transport.abort()

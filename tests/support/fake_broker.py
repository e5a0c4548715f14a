"""A STOMP server on loopback that does what a test tells it, right or wrong."""

import asyncio
from collections.abc import Callable

from protocol.link.codec import Received, Splitter, encode
from protocol.link.stomppy import Frame

PATIENCE = 30.0
"""Seconds anything may take before a test fails."""


class FakeBroker:
    """Plain TCP. `answer` gets each frame and returns the frames to send back; by default a polite broker's."""

    def __init__(self, answer: Callable[["FakeBroker", Received], list[Frame | bytes]] | None = None) -> None:
        self.answer = answer or (lambda broker, frame: broker.polite(frame))
        self.heartbeat = "0,0"
        self.received: list[Received] = []
        self.connections = 0
        self.beats = 0
        self.port = 0
        self._news = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "FakeBroker":
        self._server = await asyncio.start_server(self._serve, "localhost", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def polite(self, frame: Received) -> list[Frame | bytes]:
        """What a good broker answers."""
        if frame.cmd == "STOMP":
            headers = {"version": "1.2", "heart-beat": self.heartbeat, "server": "Fake/1"}
            return [Frame("CONNECTED", headers)]
        if "receipt" in frame.headers:
            return [Frame("RECEIPT", {"receipt-id": frame.headers["receipt"]})]
        return []

    def push(self, data: bytes) -> None:
        """Send these bytes to the client that connected last."""
        self._writers[-1].write(data)

    def cut(self) -> None:
        """Close all connections."""
        for writer in self._writers:
            writer.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that came in makes `condition` true."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def commands(self) -> list[str]:
        """The commands received so far."""
        return [frame.cmd for frame in self.received]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        splitter = Splitter(2**20)
        try:
            while data := await reader.read(65536):
                if data == b"\n":
                    self.beats += 1
                for frame in splitter.feed(data):
                    self.received.append(frame)
                    for reply in self.answer(self, frame):
                        writer.write(reply if isinstance(reply, bytes) else encode(reply))
                self._news.set()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._news.set()

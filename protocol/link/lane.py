"""The batcher: puts envelopes that wait for the link at the same moment, for the same queue, into one frame.

    post ──► open frame of its destination ──► (window has room, end of this turn) ──► link.send ──► receipt
                  ▲ filled further while `window` frames are without receipt                           │
                  └──────────────────────── a receipt frees a place ◄───────────────────────────────────┘

So the broker's receipts clock the frames: at rest a message holds one envelope and waits for nobody; under load
frames grow by themselves to what arrives in one receipt's time, and the broker's cost for each request falls.
There is no timer and no batching delay to tune.
"""

import asyncio
from collections import deque
from collections.abc import Generator, Mapping
from functools import partial
from typing import Any

from protocol.errors import OutcomeUnknown, Overloaded
from protocol.frames import MAX_ENVELOPES, MEMBER_OVERHEAD, pack
from protocol.link.port import Link, Outgoing
from protocol.link.receipts import fail


class FrameReceipt(asyncio.Future[None]):
    """The receipt of one frame, shared by all its members: one future a frame, not one an envelope.

    A waiter that is cancelled or times out leaves it untouched for the others. An exception nobody looks at is
    not logged: a sender of queries may ignore it, its own deadline says enough.
    """

    def __await__(self) -> Generator[Any, None, None]:
        """Wait for the frame's receipt; the waiter's cancellation stays its own."""
        if not self.done():
            return asyncio.shield(self).__await__()
        return super().__await__()

    def cancel(self, msg: Any | None = None) -> bool:
        """Refused: the frame belongs to its other members too."""
        return False


class _Frame:
    """A frame being filled, or waiting for its receipt."""

    __slots__ = ("envelopes", "expires", "receipt", "size")

    def __init__(self, loop: asyncio.AbstractEventLoop, expires: int) -> None:
        self.envelopes: list[bytes] = []
        self.expires = expires
        self.receipt = FrameReceipt(loop=loop)
        self.size = 0


class Lane:
    """One kind of traffic over one link. All methods belong to the link's event loop.

    A lane is fair: destinations take turns, a frame each.
    """

    def __init__(
        self,
        link: Link,
        *,
        persistent: bool,
        window: int | None = None,
        max_members: int | None = None,
        max_bytes: int = 256 * 1024,
        max_pending_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        """`window`: frames that may be without receipt; `max_bytes`: of a frame (a larger envelope goes alone);
        `max_pending_bytes`: of envelopes not yet handed to the link, beyond which `post` raises Overloaded.

        The default window is 1 if persistent, else 2. ActiveMQ stores a connection's persistent frames one after
        the other, each with its disk sync, so a second one in flight only makes both smaller: measured at 128
        outstanding, 28,000 round trips a second with a window of 1, 22,000 with 2, 13,700 with 8. Without
        persistence 1 to 4 measure alike; 2 hides the way to the broker.

        The default for `max_members` is 64 if persistent (each frame is a disk sync), else 32: a full frame goes
        out at once, so the next process on the way works on the first half while this one makes the second.
        Measured through the whole pair at 128 connections: 4,400 queries a second with 64, 7,100 with 32, 6,000
        with 16.
        """
        if window is None:
            window = 1 if persistent else 2
        if max_members is None:
            max_members = MAX_ENVELOPES if persistent else MAX_ENVELOPES // 2
        if window < 1 or not 1 <= max_members <= MAX_ENVELOPES:
            raise ValueError(f"a lane needs a window of at least 1 and 1 to {MAX_ENVELOPES} members a frame")
        self.outstanding = 0
        """Frames sent and without receipt."""
        self.headers: Mapping[str, str] = {}
        """STOMP headers of the frames sent from now on."""
        self.pending_bytes = 0
        """Bytes of envelopes not yet handed to the link."""
        self._link, self._persistent, self._window = link, persistent, window
        self._max_members, self._max_bytes, self._max_pending = max_members, max_bytes, max_pending_bytes
        self._loop: asyncio.AbstractEventLoop | None = None
        # Insertion order is the order of turns. No destination is here without a frame.
        self._waiting: dict[str, deque[_Frame]] = {}
        self._flush_scheduled = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def connected(self) -> bool:
        """Whether the link is."""
        return self._link.connected

    def post(self, destination: str, envelope: bytes, expires: int = 0) -> FrameReceipt:
        """Put `envelope` into the next frame for `destination`; returns the receipt it shares with that frame.

        `expires` is epoch ms, 0 for never; a frame lives as long as its longest-lived member. The receipt fails
        as `Link.send` does. Raises Overloaded at once when `max_pending_bytes` wait already.
        """
        if not envelope:
            raise ValueError("an envelope is not empty")
        size = len(envelope) + MEMBER_OVERHEAD
        if self.pending_bytes + size > self._max_pending:
            raise Overloaded(f"{self.pending_bytes} bytes wait for the link")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        frames = self._waiting.get(destination)
        if frames is None:
            frames = self._waiting[destination] = deque()
            self._idle.clear()
        frame = frames[-1] if frames else None
        if frame is None or len(frame.envelopes) >= self._max_members or frame.size + size > self._max_bytes:
            frame = _Frame(self._loop, expires)
            frames.append(frame)
        frame.envelopes.append(envelope)
        frame.size += size
        self.pending_bytes += size
        if expires == 0 or frame.expires == 0:
            frame.expires = 0
        elif expires > frame.expires:
            frame.expires = expires
        if len(frame.envelopes) >= self._max_members and self.outstanding < self._window:
            self._flush()  # a full frame gains nothing by waiting, and the other side can begin with it
        else:
            self._schedule()
        return frame.receipt

    async def drain(self) -> None:
        """Return when everything posted has its receipt, or has failed."""
        await self._idle.wait()

    def _schedule(self) -> None:
        """Flush at the end of this turn of the loop, when all that this turn posts is in its frames."""
        if not self._flush_scheduled and self.outstanding < self._window and self._loop is not None:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        while self._waiting and self.outstanding < self._window:
            destination, frames = next(iter(self._waiting.items()))
            del self._waiting[destination]
            frame = frames.popleft()
            if frames:
                self._waiting[destination] = frames  # behind the others
            self._send(destination, frame)
        self._rest()

    def _send(self, destination: str, frame: _Frame) -> None:
        self.pending_bytes -= frame.size
        try:
            message = Outgoing(destination, pack(frame.envelopes), self._persistent, frame.expires, self.headers)
            receipt = self._link.send(message)
        except Exception as error:  # whatever it is, the members must hear of it
            fail(frame.receipt, error)
            return
        self.outstanding += 1
        receipt.add_done_callback(partial(self._settle, frame))

    def _settle(self, frame: _Frame, receipt: "asyncio.Future[None]") -> None:
        self.outstanding -= 1
        error = OutcomeUnknown("the link was shut down") if receipt.cancelled() else receipt.exception()
        if isinstance(error, Exception):
            fail(frame.receipt, error)
        else:
            frame.receipt.set_result(None)
        if self._waiting:
            self._schedule()
        else:
            self._rest()

    def _rest(self) -> None:
        if not self._waiting and not self.outstanding:
            self._idle.set()

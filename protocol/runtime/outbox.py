"""The outbox: what the store says must arrive is offered to the link until the broker's receipt is here.

The row is the truth; what is held in memory is a hurry. After a crash, an overflow or a lost connection
`sweep` loads what is still unsent from the store. A message may therefore go out more than once, never
not at all: receivers know it by its id.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field

from sqlalchemy.exc import SQLAlchemyError

from protocol.errors import LinkError, SendRefused
from protocol.link.lane import Lane
from protocol.runtime.crash_points import Point, reach, reach_written
from protocol.runtime.logs import logger
from protocol.runtime.store_health import said
from protocol.values import immutable

log = logger(__name__)


@immutable
class Entry:
    """One sealed envelope that must arrive."""

    id: str
    destination: str
    envelope: bytes = field(repr=False)
    expires: int = 0


class Outbox:
    """Keeps many sends in flight, and marks rows as sent when their receipt has come."""

    def __init__(
        self,
        lane: Lane,
        *,
        sent: Callable[[Sequence[str]], Awaitable[None]],
        unsent: Callable[[int], Awaitable[Sequence[Entry]]],
        capacity: int = 10_000,
        linger_s: float = 0.0,
    ) -> None:
        """`sent(ids)` records receipts; `unsent(limit)` reads the oldest rows without one. `linger_s`: so long a
        receipt waits for others to be recorded with; who dies meanwhile sends those messages once more.
        """
        self._linger_s = linger_s
        self._lane = lane
        self._sent = sent
        self._unsent = unsent
        self._capacity = capacity
        self._in_hand: dict[str, bool] = {}
        """Whether the receipt is here, of what is on its way or to be recorded, by id."""
        self._marking: set[asyncio.Task[None]] = set()
        self._receipts: list[str] = []
        self.failures = 0
        self.refused = False
        """The broker turned the latest away (it is full); what is kept is offered again by the sweeps."""

    @property
    def in_hand(self) -> int:
        """Entries offered to the link whose receipt is not recorded yet."""
        return len(self._in_hand)

    def offer(self, entry: Entry) -> bool:
        """Send soon, unless it is on its way; whether it is. When memory or the link is full the row simply waits for
        the next sweep.
        """
        if self._in_hand.get(entry.id) is False:
            return True
        if len(self._in_hand) >= self._capacity:
            return False
        try:
            receipt = self._lane.post(entry.destination, entry.envelope, entry.expires)
        except LinkError:
            self.failures += 1
            return False
        self._in_hand[entry.id] = False
        reach(Point.OUTBOX_OFFERED)
        reach_written(Point.OUTBOX_WRITTEN)
        receipt.add_done_callback(lambda done, id=entry.id: self._receipted(id, done))  # type: ignore[misc]
        return True

    async def sweep(self) -> int:
        """Offer what the store still holds as unsent and is not in hand. Returns how many were offered."""
        # What was in hand before the read may have been receipted since: the read may be older than the record.
        before = set(self._in_hand)
        entries = await self._unsent(self._capacity)
        fresh = [entry for entry in entries if entry.id not in self._in_hand and entry.id not in before]
        if not entries and not before:
            self.refused = False  # with nothing to be sent, nothing would ever tell that there is room again
        for entry in fresh:
            self.offer(entry)
        return len(fresh)

    async def drain(self) -> None:
        """Wait until what is in hand is receipted or failed, and the receipts are recorded."""
        await self._lane.drain()
        await asyncio.sleep(0)
        while self._marking:
            await asyncio.wait(self._marking)  # not gather: that does not yield when all are done already

    def _receipted(self, id: str, receipt: asyncio.Future[None]) -> None:
        if receipt.cancelled() or receipt.exception() is not None:
            self._in_hand.pop(id, None)
            self.failures += 1
            self.refused = self.refused or (not receipt.cancelled() and isinstance(receipt.exception(), SendRefused))
            return
        self.refused = False
        # One frame's receipt wakes all its members in the same turn: record them together.
        self._in_hand[id] = True
        self._receipts.append(id)
        if len(self._receipts) == 1:
            task = asyncio.get_running_loop().create_task(self._mark())
            self._marking.add(task)
            task.add_done_callback(self._marking.discard)

    async def _mark(self) -> None:
        reach(Point.OUTBOX_RECEIPTED)
        if self._linger_s:
            await asyncio.sleep(self._linger_s)
        ids, self._receipts = self._receipts, []
        try:
            await self._sent(ids)
            reach(Point.OUTBOX_RECORDED)
        except Exception as error:
            # The rows stay unsent and go out again: the receiver knows them by their ids.
            trace = None if isinstance(error, SQLAlchemyError) else error
            log.error("receipts-not-recorded", count=len(ids), reason=said(error), exc_info=trace)
        finally:
            for id in ids:
                if self._in_hand.get(id):  # else it was offered once more meanwhile
                    del self._in_hand[id]

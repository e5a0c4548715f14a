"""The outbox: what the store says must arrive is offered to the link until the broker's receipt is here.

The row is the truth; what is held in memory is a hurry. After a crash, an overflow or a lost connection
`sweep` loads what is still unsent from the store. A message may therefore go out more than once, never
not at all: receivers know it by its id.

It also keeps order: what is offered for a destination goes out in the order of the offers, and nothing overtakes a
row that could not be sent. After a failure a destination is *behind*: offers for it wait until a sweep has put the
older rows on their way first.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from protocol.errors import LinkError
from protocol.link.lane import Lane
from protocol.runtime.logs import logger

log = logger(__name__)


@dataclass(frozen=True, slots=True)
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
    ) -> None:
        """`sent(ids)` records receipts; `unsent(limit)` reads the oldest rows without one, in the order to send them.

        A row is committed before it is offered. Who starts `sweep`s once before the first offer, so that what an
        earlier run left goes first.
        """
        self._lane = lane
        self._sent = sent
        self._unsent = unsent
        self._capacity = capacity
        self._in_hand: set[str] = set()
        self._marking: set[asyncio.Task[None]] = set()
        self._receipts: list[str] = []
        self._sweeping = asyncio.Lock()
        self._setbacks: Counter[str] = Counter()
        """By destination: rows left behind, ever."""
        self._behind: set[str] = set()
        self._late: dict[str, dict[str, Entry]] = {}
        """What was offered for a destination that is behind, since the sweep under way began to read."""
        self.failures = 0

    @property
    def in_hand(self) -> int:
        """Entries offered to the link whose receipt is not recorded yet."""
        return len(self._in_hand)

    def offer(self, entry: Entry) -> None:
        """Send soon. When older rows wait, or memory or the link is full, the row waits for the next sweep."""
        if entry.destination not in self._behind:
            self._post(entry)
        elif self._sweeping.locked():
            late = self._late.setdefault(entry.destination, {})
            if len(late) < self._capacity:
                late[entry.id] = entry
            else:
                self._left_behind(entry)

    async def sweep(self) -> int:
        """Offer what the store still holds as unsent and is not in hand. Returns how many were offered."""
        async with self._sweeping:
            setbacks = self._setbacks.copy()
            # What was in hand before the read may have been receipted since: the read may be older than the record.
            before = set(self._in_hand)
            entries = await self._unsent(self._capacity)
            fresh = [entry for entry in entries if entry.id not in self._in_hand and entry.id not in before]
            for entry in fresh:
                self._post(entry)
            late, self._late = self._late, {}
        if len(entries) < self._capacity:
            for destination in [name for name in self._behind if self._setbacks[name] == setbacks[name]]:
                self._behind.discard(destination)
                for entry in late.get(destination, {}).values():
                    self.offer(entry)
        return len(fresh)

    def _post(self, entry: Entry) -> None:
        if entry.id in self._in_hand:
            return
        if len(self._in_hand) >= self._capacity:
            self._left_behind(entry)
            return
        try:
            receipt = self._lane.post(entry.destination, entry.envelope, entry.expires)
        except LinkError:
            self.failures += 1
            self._left_behind(entry)
            return
        self._in_hand.add(entry.id)
        receipt.add_done_callback(lambda done: self._receipted(entry, done))

    def _left_behind(self, entry: Entry) -> None:
        self._setbacks[entry.destination] += 1
        self._behind.add(entry.destination)

    async def drain(self) -> None:
        """Wait until what is in hand is receipted or failed, and the receipts are recorded."""
        await self._lane.drain()
        await asyncio.sleep(0)
        while self._marking:
            await asyncio.wait(self._marking)  # not gather: that does not yield when all are done already

    def _receipted(self, entry: Entry, receipt: asyncio.Future[None]) -> None:
        if receipt.cancelled() or receipt.exception() is not None:
            self._in_hand.discard(entry.id)
            self.failures += 1
            self._left_behind(entry)
            return
        # One frame's receipt wakes all its members in the same turn: record them together.
        self._receipts.append(entry.id)
        if len(self._receipts) == 1:
            task = asyncio.get_running_loop().create_task(self._mark())
            self._marking.add(task)
            task.add_done_callback(self._marking.discard)

    async def _mark(self) -> None:
        ids, self._receipts = self._receipts, []
        try:
            await self._sent(ids)
        except Exception:
            # The rows stay unsent and go out again: the receiver knows them by their ids.
            log.exception("receipts-not-recorded", count=len(ids))
        finally:
            self._in_hand.difference_update(ids)

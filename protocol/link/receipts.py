"""Sends that wait for the broker's receipt, each with a deadline."""

import asyncio
from collections.abc import Callable

from protocol.errors import OutcomeUnknown, SendRefused
from protocol.link.settings import LinkCounters


def failed(loop: asyncio.AbstractEventLoop, error: Exception) -> "asyncio.Future[None]":
    """A future that has failed already."""
    future: asyncio.Future[None] = loop.create_future()
    fail(future, error)
    return future


def fail(future: "asyncio.Future[None]", error: Exception) -> None:
    """Fail `future` if nobody cancelled it; a caller who never looks at it causes no "never retrieved" log."""
    if not future.done():
        future.set_exception(error)
        future.exception()


class Receipts:
    """The outstanding receipts of a link, in the order of their deadlines (all have the same time to come)."""

    __slots__ = ("_counters", "_loop", "_next", "_timer", "_waiting", "timeout")

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float, counters: LinkCounters) -> None:
        self._loop, self.timeout, self._counters = loop, timeout, counters
        self._waiting: dict[str, tuple[asyncio.Future[None], float]] = {}
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def last(self) -> int:
        """The number of the latest receipt id."""
        return self._next

    def expect(self) -> tuple[str, "asyncio.Future[None]"]:
        """A new receipt id (never used twice by this link, over all its connections) and its future."""
        self._next += 1
        receipt = str(self._next)
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting[receipt] = (future, self._loop.time() + self.timeout)
        if self._timer is None:
            self._timer = self._loop.call_later(self.timeout, self._sweep)
        return receipt, future

    def settle(self, receipt: str) -> None:
        """The broker's RECEIPT is here."""
        entry = self._waiting.pop(receipt, None)
        if entry is None:
            self._counters.receipts_late += 1
        elif not entry[0].done():
            entry[0].set_result(None)

    def refuse(self, receipt: str, message: str) -> bool:
        """The broker's ERROR for this receipt is here. False if the id is none of ours (late ones are)."""
        entry = self._waiting.pop(receipt, None)
        if entry is None:
            ours = receipt.isascii() and receipt.isdigit() and 0 < int(receipt) <= self._next
            self._counters.receipts_late += ours
            return ours
        self._counters.refused += 1
        fail(entry[0], SendRefused(message))
        return True

    def fail_all(self, make: Callable[[], Exception]) -> None:
        """Nothing outstanding can be answered any more."""
        waiting, self._waiting = self._waiting, {}
        for future, _ in waiting.values():
            fail(future, make())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def fail_until(self, last: int, make: Callable[[], Exception]) -> None:
        """Of what is outstanding, nothing up to that number can be answered any more."""
        for receipt in [receipt for receipt in self._waiting if int(receipt) <= last]:
            fail(self._waiting.pop(receipt)[0], make())

    def _sweep(self) -> None:
        """Fail what is overdue; wake again at the deadline of the first that is left."""
        now = self._loop.time()
        self._timer = None
        while self._waiting:
            receipt, (future, deadline) = next(iter(self._waiting.items()))
            if deadline > now:
                self._timer = self._loop.call_at(deadline, self._sweep)
                return
            del self._waiting[receipt]
            self._counters.receipts_missed += 1
            fail(future, OutcomeUnknown(f"no receipt within {self.timeout:g} s"))

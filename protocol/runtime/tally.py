"""Counts of rows by state that do not cost more the more rows are kept.

What is unfinished is few and has an index; what is final is counted in another thread, beside all other reads, and the
rarer the longer it takes: a count that took a second is good for a hundred.
"""

import time
from collections.abc import Awaitable, Callable, Mapping

_REST = 100.0
"""So many times as long as a count took, its result is good."""
_QUICK_S = 0.02
"""What takes less is counted whenever it is asked for."""


class Tally:
    """A count that is kept for a while."""

    def __init__(
        self, count: Callable[[], Awaitable[Mapping[str, int]]], now: Callable[[], float] = time.monotonic
    ) -> None:
        """`now` in seconds."""
        self._count, self._now = count, now
        self._found: Mapping[str, int] = {}
        self._until = float("-inf")

    async def read(self) -> Mapping[str, int]:
        """The count, or the last one while it is good. Raises what counting raises."""
        began = self._now()
        if began >= self._until:
            self._found = await self._count()
            took = self._now() - began
            self._until = self._now() + (took * _REST if took > _QUICK_S else 0.0)
        return self._found

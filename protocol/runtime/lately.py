"""How often, how well and how fast each operation was done in the last minutes: what `bridgectl status` shows of it.

Counts are since the start; once a minute they are marked, and a report is the difference to the oldest mark kept.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from protocol.reports.calls import LatelyReport

MARK_S = 60.0
"""How often `mark` is to be called."""
_MARKS = 5


class Counts(NamedTuple):
    """Of one operation, since the start."""

    calls: int = 0
    failures: int = 0
    latency: tuple[int, ...] = ()


class Lately:
    """The last minutes: at most five, and those since the last mark."""

    def __init__(self, read: Callable[[], Mapping[str, Counts]], clock: Callable[[], float] = time.monotonic) -> None:
        """`read`: what was counted since the start, by operation. `clock`: seconds."""
        self._read, self._clock = read, clock
        self._marks: deque[tuple[float, Mapping[str, Counts]]] = deque([(clock(), {})], maxlen=_MARKS)

    async def mark(self) -> None:
        """Remember what was counted until now."""
        self._marks.append((self._clock(), self._read()))

    def report(self) -> dict[str, LatelyReport]:
        """By operation: what was counted since the oldest mark."""
        at, before = self._marks[0]
        seconds = max(0.001, self._clock() - at)
        return {name: _since(before.get(name, Counts()), now, seconds) for name, now in self._read().items()}


def _since(before: Counts, now: Counts, seconds: float) -> LatelyReport:
    if now.calls < before.calls:  # it was bound anew
        before = Counts()
    latency = tuple(
        number - (before.latency[at] if at < len(before.latency) else 0) for at, number in enumerate(now.latency)
    )
    count, failures = now.calls - before.calls, max(0, now.failures - before.failures)
    return LatelyReport(seconds=seconds, count=count, failures=failures, latency=latency)

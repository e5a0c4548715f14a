"""Whether the interfaces of the marketing system do well enough to be asked what nobody needs yet. Pure."""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from intranet_bridge.marketing.breaker import Circuit
from intranet_bridge.marketing.health import Health

LATELY_S = 30.0
"""So far back calls count."""
_MARK_S = 2.0
_SLOW_SHARE = 0.01
_FAILED_SHARE = 0.1
_AT_LEAST = 2
"""One slow call, or one failed one, says nothing."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What one interface has done since the start, at an instant (seconds)."""

    at: float
    calls: int
    failures: int
    slow: int


def trouble(before: Mark, now: Mark) -> str:
    """What is wrong by the calls in between; empty: nothing."""
    calls, failures, slow = now.calls - before.calls, now.failures - before.failures, now.slow - before.slow
    if calls < 0:
        return ""  # bound anew
    if failures >= _AT_LEAST and failures > _FAILED_SHARE * calls:
        return "failing"
    if slow >= _AT_LEAST and slow > _SLOW_SHARE * calls:
        return "slow"
    return ""


class Interfaces:
    """Those of some operations, whoever calls them."""

    def __init__(self, health: Mapping[str, Health]) -> None:
        self._health = health
        self._marks: dict[str, deque[Mark]] = {}

    def usable(self, operations: Collection[str]) -> list[str]:
        """Those that are bound, and not paused for maintenance."""
        return [name for name in operations if name in self._health and not self._health[name].breaker.suspended]

    def trouble(self, operations: Collection[str], slow_s: float, now: float) -> str:
        """What is wrong with any of them; empty: nothing. `now`: as the circuits' clock."""
        found = ""
        for name in self.usable(operations):
            health = self._health[name]
            health.slow_s = slow_s
            if health.breaker.circuit(now) is Circuit.OPEN:
                found = found or f"{name}: circuit open"
                continue
            mark = Mark(now, health.calls, health.failures.total(), health.slow)
            marks = self._marks.setdefault(name, deque())
            while len(marks) > 1 and marks[1].at <= now - LATELY_S:
                marks.popleft()
            if not marks or now - marks[-1].at >= _MARK_S:
                marks.append(mark)
            if wrong := trouble(marks[0], mark):
                found = found or f"{name}: {wrong}"
        return found

    def forget(self) -> None:
        """Judge by what is called from now on."""
        self._marks.clear()

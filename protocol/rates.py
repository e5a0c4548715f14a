"""Rate limits by the generic cell rate algorithm (ITU-T I.371): one number a key, no timers."""

from heapq import heappop, heappush, heapreplace

_ROUNDING_S = 1e-6
"""Sums of intervals are not exact: without this the last event of a whole burst would be refused at times."""


class RateLimit:
    """Allows `rate` events a second for each key, and bursts of `burst_s` seconds' worth.

    Memory is bounded by `capacity`. Room for a new key is made by the idlest: the one whose allowance is whole, or
    will be soonest. So who used up its allowance is remembered, however many others come once.
    """

    def __init__(self, burst_s: float, capacity: int = 100_000) -> None:
        self.burst_s = burst_s
        self._capacity = capacity
        self._due: dict[str, float] = {}
        """When a key's allowance is whole again."""
        self.used: dict[str, float] | None = None
        """Seconds of allowances used since it was emptied, by key, for who counts with others; None: nobody does."""
        self._idlest: list[tuple[float, str]] = []
        """A heap with one entry for each key, of its time or of an earlier one it once had."""

    def wait(self, key: str, rate: float, now: float) -> float:
        """0 if the event may happen now (and it is counted), else the seconds until it may."""
        interval = 1.0 / rate
        held = self._due.get(key)
        due = now if held is None else max(held, now)
        # at least one event always fits, however small rate * burst is
        early = due - now - max(self.burst_s - interval, 0.0)
        if early > _ROUNDING_S:
            return early
        if held is None:
            if len(self._due) >= self._capacity:
                self._forget_idlest()
            heappush(self._idlest, (due + interval, key))
        self._due[key] = due + interval
        if self.used is not None:
            self.used[key] = self.used.get(key, 0.0) + interval
        return 0.0

    def learn(self, key: str, due: float) -> None:
        """Take it from others when a key's allowance is whole again."""
        if key not in self._due:
            if len(self._due) >= self._capacity:
                self._forget_idlest()
            heappush(self._idlest, (due, key))
        self._due[key] = due

    def standing(self, key: str, rate: float, now: float) -> tuple[int, float]:
        """How many events could happen now, and the seconds until the allowance is whole."""
        interval = 1.0 / rate
        used_s = max(self._due.get(key, now) - now, 0.0)
        left_s = max(self.burst_s, interval) - used_s + _ROUNDING_S
        return max(0, int(left_s * rate)), used_s

    def _forget_idlest(self) -> None:
        while True:
            said, key = self._idlest[0]
            due = self._due[key]
            if due <= said:
                heappop(self._idlest)
                del self._due[key]
                return
            heapreplace(self._idlest, (due, key))  # it was used since

"""Rate limits by the generic cell rate algorithm (ITU-T I.371): one number a key, no timers."""

_ROUNDING_S = 1e-6
"""Sums of intervals are not exact: without this the last event of a whole burst would be refused at times."""


class RateLimit:
    """Allows `rate` events a second for each key, and bursts of `burst_s` seconds' worth.

    Memory is bounded: keys whose allowance is whole again are forgotten when the table is full.
    """

    def __init__(self, burst_s: float, capacity: int = 100_000) -> None:
        self._burst_s = burst_s
        self._capacity = capacity
        self._due: dict[str, float] = {}

    def wait(self, key: str, rate: float, now: float) -> float:
        """0 if the event may happen now (and it is counted), else the seconds until it may."""
        interval = 1.0 / rate
        due = max(self._due.get(key, 0.0), now)
        # at least one event always fits, however small rate * burst is
        early = due - now - max(self._burst_s - interval, 0.0)
        if early > _ROUNDING_S:
            return early
        if len(self._due) >= self._capacity:
            self._due = {key: due for key, due in self._due.items() if due > now}
            if len(self._due) >= self._capacity:
                self._due.clear()
        self._due[key] = due + interval
        return 0.0

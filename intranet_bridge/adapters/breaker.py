"""A circuit breaker an operation: an interface that fails is left alone for a while, then probed by one call.

A pure state machine: time (any monotonic clock, seconds) is passed in. ::

             failures in a row, or failure rate            open time over
    CLOSED ───────────────────────────────────► OPEN ─────────────────────► HALF_OPEN
       ▲                                          ▲                           │  │
       │                                          └──── probe fails: ×2 ──────┘  │
       └───────────────────────────── probe succeeds ────────────────────────────┘
"""

from enum import StrEnum

from intranet_bridge.settings import BreakerSection


class Circuit(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """One operation's breaker."""

    __slots__ = ("_calls", "_history", "_in_a_row", "_mask", "_open_s", "_open_until", "_policy", "_probe_until")

    def __init__(self, policy: BreakerSection) -> None:
        self._policy = policy
        self._mask = (1 << policy.window) - 1
        self._history = 0
        self._calls = 0
        self._in_a_row = 0
        self._open_s = policy.open_min_s
        self._open_until: float | None = None
        self._probe_until = 0.0

    def circuit(self, now: float) -> Circuit:
        """Where it stands. Opening ends by time alone, so that an idle operation is announced as up again."""
        if self._open_until is None:
            return Circuit.CLOSED
        return Circuit.OPEN if now < self._open_until else Circuit.HALF_OPEN

    def wait_s(self, now: float) -> float:
        """How long until a call may be admitted; 0 if one may be now."""
        if self._open_until is None:
            return 0.0
        return max(0.0, self._open_until - now, self._probe_until - now)

    def admit(self, now: float, call_s: float = 0.0) -> bool:
        """Whether a call may be made now. In HALF_OPEN one may: the probe.

        A probe of which nothing is heard for `call_s` (its longest duration) is forgotten, so that the breaker
        cannot stay half open for ever.
        """
        if self._open_until is None:
            return True
        if now < self._open_until or now < self._probe_until:
            return False
        self._probe_until = now + call_s
        return True

    def record(self, now: float, *, good: bool, took_s: float = 0.0) -> bool:
        """The result of a call; returns whether the circuit changed.

        What a refusal of business is for the caller is a success here: the interface works.
        """
        slow = self._policy.slow_s
        if good and (slow is None or took_s <= slow):
            self._in_a_row = 0
            if self._open_until is None:
                self._history = (self._history << 1) & self._mask
                self._calls += 1
                return False
            if now < self._open_until:  # a call begun before it opened: one good answer does not close it
                return False
            self._reset()
            return True
        if self._open_until is not None:
            if now < self._open_until:
                return False
            self._open_s = min(self._open_s * 2, self._policy.open_max_s)
            self._open_until, self._probe_until = now + self._open_s, 0.0
            return True
        self._in_a_row += 1
        self._calls += 1
        self._history = (self._history << 1 | 1) & self._mask
        window = self._policy.window
        often = self._calls >= window and self._history.bit_count() >= self._policy.failure_rate * window
        if self._in_a_row >= self._policy.failures or often:
            self._open_until, self._probe_until = now + self._open_s, 0.0
            return True
        return False

    def _reset(self) -> None:
        self._history = self._calls = self._in_a_row = 0
        self._open_s = self._policy.open_min_s
        self._open_until, self._probe_until = None, 0.0

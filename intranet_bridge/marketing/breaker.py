"""A circuit breaker an operation: an interface that fails is left alone for a while, then probed by one call.

A pure state machine: time (any monotonic clock, seconds) is passed in. ::

             failures in a row, or failure rate            open time over
    CLOSED ───────────────────────────────────► OPEN ─────────────────────► HALF_OPEN
       ▲                                          ▲                           │  │
       │                                          └──── probe fails: ×2 ──────┘  │
       └───────────────────────────── probe succeeds ────────────────────────────┘

It is about the interface, not about one account's odd data. Answers that came and could not be used are counted by
different accounts: they open the circuit when `failures` accounts met one and these are most of those that were heard
of since the first. From then on they are failures; but the same account's again is no news, and neither opens the
circuit nor keeps it open. The last `window` accounts are kept, as hashes, and only while there is an odd one.

While it is suspended (maintenance) it admits nothing, and learns nothing of calls begun before: whoever asks meets an
open circuit without a look more.
"""

import math
from collections import OrderedDict
from enum import StrEnum

from intranet_bridge.marketing.binding import BreakerSection


class Circuit(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """One operation's breaker."""

    __slots__ = (
        "_calls",
        "_history",
        "_in_a_row",
        "_mask",
        "_odd",
        "_open_s",
        "_open_until",
        "_policy",
        "_probe_until",
        "_suspended",
    )

    def __init__(self, policy: BreakerSection) -> None:
        self._policy = policy
        self._mask = (1 << policy.window) - 1
        self._history = 0
        self._calls = 0
        self._in_a_row = 0
        self._odd: OrderedDict[bytes, bool] = OrderedDict()  # account → whether its last answer was odd
        self._open_s = policy.open_min_s
        self._open_until: float | None = None
        self._probe_until = 0.0
        self._suspended: Circuit | None = None
        """How it stood when it was suspended."""

    def circuit(self, now: float) -> Circuit:
        """Where it stands. Opening ends by time alone, so that an idle operation is announced as up again."""
        if self._suspended is not None:
            return self._suspended
        if self._open_until is None:
            return Circuit.CLOSED
        return Circuit.OPEN if now < self._open_until else Circuit.HALF_OPEN

    def wait_s(self, now: float) -> float:
        """How long until a call may be admitted; 0 if one may be now; infinite while it is suspended."""
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
            return self._open(now)
        self._in_a_row += 1
        self._calls += 1
        self._history = (self._history << 1 | 1) & self._mask
        window = self._policy.window
        often = self._calls >= window and self._history.bit_count() >= self._policy.failure_rate * window
        if self._in_a_row >= self._policy.failures or often:
            return self._open(now)
        return False

    @property
    def suspended(self) -> bool:
        """Whether it admits nothing until it is resumed."""
        return self._suspended is not None

    def suspend(self, now: float) -> None:
        """Admit nothing from now on."""
        if self._suspended is None:
            self._suspended = self.circuit(now)
            self._open_until, self._probe_until = math.inf, 0.0

    def resume(self, now: float) -> None:
        """As before; a circuit that was not closed is half open: what was maintained is to be probed."""
        if self._suspended is Circuit.CLOSED:
            self._open_until = None
        elif self._suspended is not None:
            self._open_until = now
        self._suspended = None

    def close(self) -> None:
        """By an administrator's word: calls are made, and if they fail it opens again."""
        if self._suspended is not None:
            self._suspended = Circuit.CLOSED
            return
        self._reset()

    @property
    def watching(self) -> bool:
        """Whether there was an odd answer lately, so that `plain` wants to hear of those that are not."""
        return bool(self._odd)

    @property
    def odd_accounts(self) -> int:
        """Different accounts whose last answer was odd, as far as they are kept."""
        return sum(self._odd.values())

    def plain(self, who: bytes) -> None:
        """An answer about this account could be used."""
        self._keep(who, odd=False)

    def odd(self, now: float, who: bytes) -> bool:
        """An answer about this account came and could not be used; returns whether the circuit changed."""
        known = self._odd.get(who, False)
        self._keep(who, odd=True)
        odd = self.odd_accounts
        # the first of those that are kept is an odd one whatever the others are, so it does not count
        if not known and odd >= self._policy.failures and 2 * odd > len(self._odd) + 1:
            return self._open(now)
        self.not_asked()
        return False

    def not_asked(self) -> None:
        """A call that was admitted proved nothing: if it was the probe, the next may go."""
        self._probe_until = 0.0

    def _keep(self, who: bytes, *, odd: bool) -> None:
        self._odd[who] = odd
        self._odd.move_to_end(who)
        if len(self._odd) > max(self._policy.window, 2 * self._policy.failures):
            self._odd.popitem(last=False)
            if 2 * self.odd_accounts <= len(self._odd):
                self._odd.clear()  # they were these accounts' own

    def _open(self, now: float) -> bool:
        if self._open_until is not None:
            if now < self._open_until:
                return False
            self._open_s = min(self._open_s * 2, self._policy.open_max_s)
        self._open_until, self._probe_until = now + self._open_s, 0.0
        return True

    def _reset(self) -> None:
        self._odd.clear()
        self._history = self._calls = self._in_a_row = 0
        self._open_s = self._policy.open_min_s
        self._open_until, self._probe_until = None, 0.0

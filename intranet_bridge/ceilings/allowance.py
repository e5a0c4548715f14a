"""How much may still be asked: rates and different accounts. Pure: time is passed in. On the hot path of a query."""

WINDOW_S = 3_600.0
"""Different accounts are counted in windows of so long, each begun by the first request after the last."""


class Rate:
    """So many a second, and a number of seconds' worth at once: the generic cell rate algorithm (ITU-T I.371)."""

    __slots__ = ("_ahead_s", "_at", "_each_s", "per_s")

    def __init__(self, per_s: float, burst_s: float) -> None:
        self._at = float("-inf")
        self.use(per_s, burst_s)

    def use(self, per_s: float, burst_s: float) -> None:
        """Go by this from now on."""
        self.per_s, self._each_s, self._ahead_s = per_s, 1 / per_s, burst_s

    def wait_s(self, now: float) -> float:
        """How long until the next may come; not above 0: it may."""
        return self._at - now - self._ahead_s

    def spend(self, now: float) -> None:
        """One comes, or will come after `wait_s`."""
        self._at = (self._at if self._at > now else now) + self._each_s


class Window:
    """What was asked about within the hour: keyed hashes, no account number."""

    __slots__ = ("begun", "seen", "until")

    def __init__(self) -> None:
        self.until = float("-inf")
        self.begun = 0
        """How many windows there were: who counts by itself begins anew with each."""
        self.seen: set[int] = set()

    def look(self, now: float) -> None:
        """Begin a new window if the last is over."""
        if now >= self.until:
            self.seen, self.until = set(), now + WINDOW_S
            self.begun += 1

"""Accounts that asked for something lately: in memory alone, and bounded."""

import time
from collections import OrderedDict
from collections.abc import Callable


class ActiveAccounts:
    """The latest."""

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        """`most` of them are remembered. `now`: seconds."""
        self._most, self._now = most, now
        self._seen: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def use(self, most: int) -> None:
        """Remember so many from now on."""
        self._most = most
        while len(self._seen) > most:
            self._seen.popitem(last=False)

    def seen(self, account: str) -> None:
        """One asked for something."""
        self._seen[account] = self._now()
        self._seen.move_to_end(account)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)

    def forget(self, account: str) -> None:
        """It is none: the marketing system refuses to tell of it."""
        self._seen.pop(account, None)

    def latest(self, seconds: float) -> list[str]:
        """Those of so long a time, the latest first; the others are forgotten."""
        since = self._now() - seconds
        while self._seen and next(iter(self._seen.values())) < since:
            self._seen.popitem(last=False)
        return list(reversed(self._seen))

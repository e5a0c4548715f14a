"""Sessions of staff: in memory, ended when idle, after a longest time, by a later log-in if so set, and by whatever is
changed about the member. A restart of the daemon ends all.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from protocol.desk.settings import DeskSection

MOST = 10_000
_REMEMBERED = 20


@dataclass(slots=True)
class Session:
    """Who is logged in. Times are seconds of a monotonic clock."""

    name: str
    roles: frozenset[str]
    changed_at: int
    """Of the member's row: when that is another, the session is over."""
    begun: float
    seen: float
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    """In every form: who cannot read our pages cannot send them (CSRF)."""
    begun_here: list[str] = field(default_factory=list)
    """Ids of what was begun in it, the latest first."""

    def began(self, id: str) -> None:
        """Remember what was begun."""
        self.begun_here = [id, *(one for one in self.begun_here if one != id)][:_REMEMBERED]


class Sessions:
    """All of one daemon."""

    def __init__(self, limits: DeskSection, now: Callable[[], float]) -> None:
        self.limits, self._now = limits, now
        self._all: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, name: str, roles: frozenset[str], changed_at: int) -> str:
        """A new one; returns what its cookie holds."""
        now = self._now()
        self._sweep(now)
        if self.limits.one_session:
            self.end_of(name)
        if len(self._all) >= MOST:
            del self._all[min(self._all, key=lambda key: self._all[key].seen)]
        cookie = secrets.token_urlsafe(32)
        self._all[_key(cookie)] = Session(name, roles, changed_at, now, now)
        return cookie

    def find(self, cookie: str) -> Session | None:
        """The session of a cookie, which is seen now; None: there is none, or it is over."""
        found = self._all.get(_key(cookie))
        if found is None:
            return None
        now = self._now()
        if self._over(found, now):
            del self._all[_key(cookie)]
            return None
        found.seen = now
        return found

    def end(self, cookie: str) -> None:
        """Log out."""
        self._all.pop(_key(cookie), None)

    def end_of(self, name: str) -> None:
        """End all of a member."""
        for key in [key for key, one in self._all.items() if one.name == name]:
            del self._all[key]

    def _sweep(self, now: float) -> None:
        for key in [key for key, one in self._all.items() if self._over(one, now)]:
            del self._all[key]

    def _over(self, one: Session, now: float) -> bool:
        idle, longest = self.limits.idle_minutes * 60, self.limits.longest_hours * 3600
        return now - one.seen > idle or now - one.begun > longest


def _key(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()

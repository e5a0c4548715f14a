"""A token that must be fetched before anything is asked: one log-in for all who wait for it.

::

    nobody logged in ──► fetching ──► held ──► (a tenth of its life, 60 s at most, is left) fetching, still held
            ▲               │           │
            └── a pause ◄── failed      └── an answer says that it is expired: forgotten, if it is still the one held

A failed log-in is followed by a pause that doubles; in it nobody logs in, so a wrong password locks no account out
by thousands of attempts. What is logged names the system, never the token or the password.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from protocol.backoff import Backoff
from protocol.runtime.logs import logger

log = logger(__name__)

_EARLY_S = 60.0
_TOKEN_LIMIT = 8 * 1024


class LoginFailed(Exception):
    """There is no token. Says nothing secret."""

    def __init__(self, reason: str, *, denied: bool) -> None:
        """`denied`: an answer said so."""
        super().__init__(reason)
        self.reason, self.denied = reason, denied


@dataclass(frozen=True, slots=True)
class Grant:
    """What a log-in gave."""

    token: str = field(repr=False)
    lifetime_s: float | None = None
    """From now; None: until an answer says otherwise."""


@dataclass(frozen=True, slots=True)
class _Held:
    token: str = field(repr=False)
    renew_at: float
    ends_at: float


def usable(token: object) -> str:
    """A token as an answer gave it, if it can be sent in a header. Raises LoginFailed."""
    text = str(token) if type(token) is int else token
    if not isinstance(text, str) or not text:
        raise LoginFailed("the answer holds no token", denied=True)
    if not (text.isascii() and text.isprintable() and len(text) <= _TOKEN_LIMIT) or text != text.strip():
        raise LoginFailed("the answer holds a token that cannot be sent", denied=True)
    return text


class Session:
    """The token of one system."""

    def __init__(
        self,
        system: str,
        fetch: Callable[[], Awaitable[Grant]],
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fetch` raises LoginFailed, and keeps to a time of its own."""
        self._system, self._fetch, self._clock = system, fetch, clock
        self._backoff = backoff or Backoff(1.0, 60.0, random.random)
        self._held: _Held | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._failed = LoginFailed("not logged in", denied=False)
        self._pause_until = 0.0
        self._in_a_row = 0
        self.logins = 0
        self.failures = 0

    async def token(self, within_s: float) -> str:
        """The token, after a log-in if need be. Raises LoginFailed."""
        now, held = self._clock(), self._held
        if held is not None and now < held.renew_at:
            return held.token
        if self._fetching is None and now >= self._pause_until:
            self._fetching = asyncio.get_running_loop().create_task(self._log_in(), name=f"log-in {self._system}")
        if held is not None and now < held.ends_at:
            return held.token
        if self._fetching is None:
            raise self._failed
        try:
            async with asyncio.timeout(within_s):
                await asyncio.shield(self._fetching)
        except TimeoutError:
            raise LoginFailed("the log-in takes too long", denied=False) from None
        if self._held is None or self._held is held:
            raise self._failed
        return self._held.token

    def turned_away(self, token: str) -> None:
        """An answer says that this one is expired."""
        if self._held is not None and self._held.token == token:
            self._held = None

    async def close(self) -> None:
        """End a log-in that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _log_in(self) -> None:
        try:
            grant = await self._fetch()
        except Exception as error:
            failed = error if isinstance(error, LoginFailed) else LoginFailed(type(error).__name__, denied=False)
            self.failures += 1
            self._in_a_row += 1
            pause_s = self._backoff.after(self._in_a_row)
            self._failed = LoginFailed(f"log-in: {failed.reason}", denied=failed.denied)
            self._pause_until = self._clock() + pause_s
            log.warning(
                "log-in-failed", system=self._system, reason=failed.reason, in_a_row=self._in_a_row,
                again_in_s=round(pause_s, 1),
            )  # fmt: skip
        else:
            now, lifetime_s = self._clock(), grant.lifetime_s
            if lifetime_s is None:
                self._held = _Held(grant.token, float("inf"), float("inf"))
            else:
                early_s = min(_EARLY_S, lifetime_s / 10)
                self._held = _Held(grant.token, now + lifetime_s - early_s, now + lifetime_s)
            self.logins += 1
            self._in_a_row, self._pause_until = 0, 0.0
            log.info("logged-in", system=self._system, lifetime_s=lifetime_s)
        finally:
            self._fetching = None

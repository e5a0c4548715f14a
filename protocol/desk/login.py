"""Log-in: a name, a password and a code of the second factor, all at once; what was wrong is not said."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from protocol.desk import staff
from protocol.desk.staff import Member
from protocol.networks import counts_as
from protocol.rates import RateLimit
from protocol.runtime.clock import Clock
from protocol.runtime.store import Store

_A_MINUTE = 10
"""Attempts of one address, or one /64 of IPv6."""
_AT_ONCE = 2
"""Each takes 32 MB and 0.1 s of a core."""


class TooMany(Exception):
    """So many attempts came of an address, or at once, that this one is not looked at."""


class LogIn:
    """Looks at attempts."""

    def __init__(self, store: Store, clock: Clock, now: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock, self._now = store, clock, now
        self._rates, self._running = RateLimit(60.0, 10_000), 0
        self._nobody = Member("nobody", frozenset(), os.urandom(16), bytes(32), bytes(60), 0, None, 0, 0, 0)

    async def attempt(self, name: str, password: str, code: str, address: str) -> Member | None:
        """The member, if all is right. Raises TooMany, SQLAlchemyError."""
        with self._one_more(address):
            member, step = await self._attempt(name, password, code)
            if member is None:
                return None
            return member if await self._store.write(lambda one: staff.succeeded(one, name, step)) else None

    async def change(self, name: str, password: str, code: str, new: str, address: str) -> Member | None:
        """The member with a new password, if the old one and the code are right. Raises TooMany, SQLAlchemyError."""
        with self._one_more(address):
            member, step = await self._attempt(name, password, code)
            if member is None:
                return None
            values = await asyncio.to_thread(staff.with_password, member, password, new)
            was, now = member.changed_at, self._clock()
            done = await self._store.write(lambda one: staff.change_password(one, name, was, step, values, now))
            return await self.member(name) if done else None

    @contextmanager
    def _one_more(self, address: str) -> Iterator[None]:
        if self._running >= _AT_ONCE or self._rates.wait(counts_as(address), _A_MINUTE / 60, self._now()):
            raise TooMany
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    async def _attempt(self, name: str, password: str, code: str) -> tuple[Member | None, int]:
        known = await self.member(name)
        now = self._clock()
        open_ = known is not None and known.disabled_at is None and known.locked_until <= now
        looked_at = known if known is not None and open_ else self._nobody
        step = await asyncio.to_thread(staff.step_of, looked_at, password, code, now)
        if known is None or not open_:
            return None, 0  # a locked account stays locked as long as it was, whoever goes on trying
        if step is None:
            await self._store.write(lambda connection: staff.failed(connection, name, now))
            return None, 0
        return known, step

    async def member(self, name: str) -> Member | None:
        """As the table has it. Raises SQLAlchemyError."""
        if not staff.NAME.fullmatch(name):
            return None
        return await self._store.read(lambda connection: staff.member(connection, name))

    async def still(self, name: str, changed_at: int) -> bool:
        """Whether a session's member is as it was; not if the table cannot be read."""
        try:
            known = await self.member(name)
        except SQLAlchemyError:
            return False
        return known is not None and known.disabled_at is None and known.changed_at == changed_at

"""Daily quotas: how many requests an application may make in a calendar day.

Counted in memory; every few seconds the counts go to the ledger and those of the other fronts come back. So a restart
keeps them (a kill loses the last seconds), and fronts that share a ledger share a quota, with that much delay.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from dmz_front.ledger import quotas as ledger
from dmz_front.ledger.quotas import Uses
from protocol.runtime.clock import Clock
from protocol.runtime.store import Store
from protocol.values import immutable

KEEP_S = 5.0
"""How often counts and ledger are brought together."""
KEPT_DAYS = 7
"""Rows of older days are deleted."""


@immutable
class Day:
    """A calendar day of a time zone."""

    name: str
    """YYYY-MM-DD"""
    begins: int
    ends: int
    """Unix time in milliseconds; days with a change of the clocks are longer or shorter."""


def day_of(now: int, zone: tzinfo) -> Day:
    """The day that it is at `now` (Unix time in milliseconds) in this zone."""
    today = datetime.fromtimestamp(now / 1000, zone).date()
    begins, ends = (
        int(datetime.combine(date, time(), zone).timestamp() * 1000) for date in (today, today + timedelta(days=1))
    )
    return Day(today.isoformat(), begins, ends)


def zone_of(name: str) -> tzinfo:
    """The zone of a configured name; without one UTC."""
    return ZoneInfo(name) if name else UTC


class DailyQuotas:
    """Counts of one front, and what it knows of the others'."""

    def __init__(self, store: Store, front: str, zone: str, clock: Clock) -> None:
        self._store, self._front, self._clock = store, front, clock
        self.zone = zone
        self._zone = zone_of(zone)
        self.day = day_of(clock(), self._zone)
        self._own: Uses = {}
        self._others: Uses = {}
        self._changed: set[tuple[str, str]] = set()

    def use(self, zone: str) -> None:
        """Go by the days of this zone from now on."""
        if zone != self.zone:
            self.zone, self._zone = zone, zone_of(zone)
            self._turn(self._clock())

    def now(self) -> int:
        """Unix time in milliseconds, of the clock the days are told by."""
        return self._clock()

    def today(self) -> Day:
        """The day it is. With a new one all is counted anew."""
        now = self._clock()
        if not self.day.begins <= now < self.day.ends:
            self._turn(now)
        return self.day

    def used(self, application: str, operation: str) -> int:
        """Requests today, at all fronts as far as it is known here."""
        key = application, operation
        return self._own.get(key, 0) + self._others.get(key, 0)

    def count(self, application: str, operation: str) -> None:
        """One more."""
        key = application, operation
        self._own[key] = self._own.get(key, 0) + 1
        self._changed.add(key)

    async def open(self) -> None:
        """Take up what was counted before this start."""
        name = self.today().name
        self._own = await self._store.read(partial(ledger.own, front=self._front, day=name))
        await self._read_others(name)

    async def keep(self) -> None:
        """Write down what changed, and learn what the others have counted."""
        name = self.today().name
        changed, self._changed = self._changed, set()
        if changed:
            uses = {key: self._own[key] for key in changed}
            try:
                await self._store.write(partial(ledger.save, front=self._front, day=name, uses=uses))
            except BaseException:
                if name == self.day.name:
                    self._changed |= changed
                raise
        await self._read_others(name)

    async def forget(self) -> None:
        """Delete what nobody asks for any more."""
        before = datetime.fromisoformat(self.today().name).date() - timedelta(days=KEPT_DAYS)
        await self._store.write(partial(_forget, before=before.isoformat()))

    async def _read_others(self, name: str) -> None:
        others: Mapping[tuple[str, str], int] = await self._store.read(
            partial(ledger.of_others, front=self._front, day=name)
        )
        if name == self.day.name:
            self._others = dict(others)

    def _turn(self, now: int) -> None:
        before, self.day = self.day, day_of(now, self._zone)
        if before.name != self.day.name:
            self._own, self._others, self._changed = {}, {}, set()


def _forget(connection: Connection, before: str) -> int:
    return ledger.forget(connection, before)

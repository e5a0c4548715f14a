"""Price schedules: what a kWh costs by tier and, with time-of-use prices (峰谷电价), by the time of the day.

Everybody has the residential tiers of tariff.py, by which all bills are made. Every twenty-fifth account (…009, …034)
changed to time-of-use prices on the first day of the month the file was generated for, so no generated bill has them.
They are Shanghai's residential ones (published 2012): peak 06:00 to 22:00, valley 22:00 to 06:00, tiers over a whole
year: up to 3,120 kWh 0.617/0.307 yuan, up to 4,800 kWh 0.677/0.337, over that 0.977/0.487. A sample as well.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal

from scripts.tools.marketing_simulator.months import first_day, last_day, month_of
from scripts.tools.marketing_simulator.tariff import TIERS, to_fen

TIME_OF_USE_EVERY, TIME_OF_USE_FIRST = 25, 9


@dataclass(frozen=True, slots=True)
class Period:
    """Some hours of the day with prices of their own; `begin` after `end` goes over midnight."""

    code: str
    begin: time
    end: time
    share: Decimal
    """Of a day's consumption, as the simulator has it."""
    prices: tuple[Decimal, ...]
    """Yuan per kWh, by tier."""

    def contains(self, moment: time) -> bool:
        """Whether a time of the day lies in it."""
        if self.begin < self.end:
            return self.begin <= moment < self.end
        return moment >= self.begin or moment < self.end


@dataclass(frozen=True, slots=True)
class Schedule:
    """How an account's consumption is priced."""

    name: str
    yearly: bool
    """Whether tiers are counted over a year; else over a month."""
    limits: tuple[int | None, ...]
    """kWh of the cycle up to which each tier goes."""
    periods: tuple[Period, ...]
    """One, of the whole day, where prices do not depend on it."""

    @property
    def time_of_use(self) -> bool:
        """Whether prices depend on the time of the day."""
        return len(self.periods) > 1


@dataclass(frozen=True, slots=True)
class Cost:
    """What some kWh cost: one tier, one period."""

    tier: int
    period: str
    kwh: Decimal
    amount_fen: int


ALL_DAY = time(0)
RESIDENTIAL = Schedule(
    "居民阶梯电价",
    yearly=False,
    limits=tuple(tier.up_to_kwh for tier in TIERS),
    periods=(Period("", ALL_DAY, ALL_DAY, Decimal(1), tuple(tier.yuan_per_kwh for tier in TIERS)),),
)
TIME_OF_USE = Schedule(
    "居民峰谷分时电价",
    yearly=True,
    limits=(3_120, 4_800, None),
    periods=(
        Period("1", time(6), time(22), Decimal("0.62"), (Decimal("0.617"), Decimal("0.677"), Decimal("0.977"))),
        Period("3", time(22), time(6), Decimal("0.38"), (Decimal("0.307"), Decimal("0.337"), Decimal("0.487"))),
    ),
)


def schedule_of(number: int) -> Schedule:
    """By what the customer with this number is priced."""
    return TIME_OF_USE if number % TIME_OF_USE_EVERY == TIME_OF_USE_FIRST else RESIDENTIAL


def cycle_of(schedule: Schedule, since: date, today: date) -> tuple[date, date]:
    """First and last day of the cycle that `today` lies in; yearly ones are counted from the day `since`."""
    if not schedule.yearly:
        month = month_of(today)
        return first_day(month), last_day(month)
    years = today.year - since.year - (today < since.replace(year=today.year))
    begin = since.replace(year=since.year + years)
    return begin, begin.replace(year=begin.year + 1) - timedelta(days=1)


def tier_at(schedule: Schedule, used: Decimal) -> int:
    """The tier (from 1) of the next kWh when so much of the cycle is used."""
    return next(i for i, limit in enumerate(schedule.limits, 1) if limit is None or used < limit)


def costs(schedule: Schedule, used_before: Decimal, days: Iterable[Decimal]) -> list[Cost]:
    """What consumption day by day costs after `used_before` kWh of the cycle, each tier and period rounded once."""
    sums: dict[tuple[int, str], Decimal] = {}
    used = used_before
    for kwh in days:
        left = kwh
        while left > 0:
            tier = tier_at(schedule, used)
            limit = schedule.limits[tier - 1]
            part = left if limit is None else min(left, limit - used)
            for period in schedule.periods:
                sums[tier, period.code] = sums.get((tier, period.code), Decimal(0)) + part * period.share
            used += part
            left -= part
    prices = {
        (tier, period.code): price for period in schedule.periods for tier, price in enumerate(period.prices, start=1)
    }
    return [Cost(*key, kwh, to_fen(kwh * prices[key])) for key, kwh in sorted(sums.items())]

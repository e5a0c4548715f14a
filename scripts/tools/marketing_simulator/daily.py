"""A month's consumption day by day: derived from the month's own figure, so that the days always add up to it."""

from datetime import date, timedelta
from decimal import Decimal
from zlib import crc32

from scripts.tools.marketing_simulator.months import first_day, last_day

WEEKEND_PERCENT = 125
HUNDREDTH = Decimal("0.01")


def days_of(month: int) -> list[date]:
    """The days of a month."""
    first = first_day(month)
    return [first + timedelta(days=count) for count in range(last_day(month).day)]


def daily_kwh(seed: int, number: int, month: int, kwh: int) -> dict[date, Decimal]:
    """Each day's kWh, in hundredths, of the customer with this number: more at weekends, and up to 20 % at random.

    The whole is shared out by what is reached at the end of each day, so no rounding is ever left over.
    """
    days = days_of(month)
    weights = [_weight(seed, number, day) for day in days]
    whole, reached, shared = sum(weights), 0, Decimal(0)
    found = {}
    for day, weight in zip(days, weights, strict=True):
        reached += weight
        until = Decimal(kwh * 100 * reached // whole) * HUNDREDTH
        found[day], shared = until - shared, until
    return found


def _weight(seed: int, number: int, day: date) -> int:
    chance = 80 + crc32(f"{seed}:{number}:{day.isoformat()}".encode()) % 41
    return chance * (WEEKEND_PERCENT if day.isoweekday() > 5 else 100)

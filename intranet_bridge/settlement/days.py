"""Days: the settlement day of an instant, and which days banks work. Pure.

Banks work from Monday to Friday except on public holidays, and on the weekend days that are worked in exchange. The
State Council announces both in autumn for the year after; the table here is ours, because what is published as a
library comes late. Where it ends, Monday to Friday are taken, and the answer says so (`certain`).
"""

from collections.abc import Collection, Iterator
from datetime import date, datetime, timedelta

from protocol.times import CHINA
from protocol.values import immutable

_SATURDAY = 5


@immutable
class BankCalendar:
    """What differs from Monday to Friday, for the days from `first` to `last`."""

    first: date
    last: date
    holidays: frozenset[date]
    """Monday to Friday, and closed."""
    worked: frozenset[date]
    """Saturday or Sunday, and open."""

    def open(self, day: date) -> bool:
        """Whether banks work on that day; outside the table: whether it is Monday to Friday."""
        return day in self.worked or (day.weekday() < _SATURDAY and day not in self.holidays)

    def covers(self, day: date) -> bool:
        """Whether the table says so."""
        return self.first <= day <= self.last


@immutable
class BankDay:
    """A day on which banks work."""

    day: date
    certain: bool
    """Every day that was looked at is in the table; else it may be a holiday that is not announced yet."""


def _days(month: int, first: int, last: int) -> Iterator[date]:
    return (date(2026, month, day) for day in range(first, last + 1))


SHIPPED = BankCalendar(
    first=date(2026, 1, 1),
    last=date(2026, 12, 31),
    holidays=frozenset(
        day
        for span in ((1, 1, 3), (2, 15, 23), (4, 4, 6), (5, 1, 5), (6, 19, 21), (9, 25, 27), (10, 1, 7))
        for day in _days(*span)
        if day.weekday() < _SATURDAY
    ),
    worked=frozenset(
        date(2026, month, day) for month, day in ((1, 4), (2, 14), (2, 28), (5, 9), (9, 20), (10, 10))
    ),
)  # fmt: skip
"""2026, as announced on 4 November 2025 (国办发明电〔2025〕7号)."""


AHEAD = timedelta(30)
"""So long before a table ends it is told."""


def extended(holidays: Collection[date], worked: Collection[date], shipped: BankCalendar = SHIPPED) -> BankCalendar:
    """The shipped table and what an installation knows besides: a year of which it names holidays is covered whole, if
    the one before it is.
    """
    last = shipped.last
    while last.year < date.max.year and any(day.year == last.year + 1 for day in holidays):
        last = date(last.year + 1, 12, 31)
    weekdays = {day for day in holidays if day.weekday() < _SATURDAY}
    more = frozenset(worked)
    return BankCalendar(
        shipped.first, last, (shipped.holidays | weekdays) - more, (shipped.worked | more) - {*holidays}
    )


def ends(calendar: BankCalendar, today: date) -> date | None:
    """The table's last day, if it comes soon or is over; else None."""
    return None if calendar.covers(today + AHEAD) else calendar.last


def day_of(instant_ms: int) -> date:
    """The day, there, of an instant in epoch milliseconds: half-open, from midnight to midnight."""
    return datetime.fromtimestamp(instant_ms / 1000, CHINA).date()


def bank_day(day: date, calendar: BankCalendar = SHIPPED) -> BankDay:
    """`day` if banks work then, else the next one on which they do."""
    return _after(day, 0, calendar)


def bank_days_after(day: date, count: int, calendar: BankCalendar = SHIPPED) -> BankDay:
    """The `count`-th bank day after `day` (D+1, D+2, whether or not `day` is one)."""
    if count < 1:
        raise ValueError("at least one day after")
    return _after(day + timedelta(1), count - 1, calendar)


def _after(day: date, more: int, calendar: BankCalendar) -> BankDay:
    certain = True
    while True:
        certain = certain and calendar.covers(day)
        if calendar.open(day):
            if not more:
                return BankDay(day, certain)
            more -= 1
        day += timedelta(1)

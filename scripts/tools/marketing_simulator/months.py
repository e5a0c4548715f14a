"""Billing months, as the numbers marketing systems use for them: 202512 is December 2025."""

from calendar import monthrange
from datetime import date


def month_of(day: date) -> int:
    """The month a day lies in."""
    return day.year * 100 + day.month


def shifted(month: int, count: int) -> int:
    """The month `count` months later (earlier, if negative)."""
    index = month // 100 * 12 + month % 100 - 1 + count
    return index // 12 * 100 + index % 12 + 1


def months_between(first: int, last: int) -> int:
    """How many months lie from `first` to `last`, both counted; below 1 if `last` is earlier."""
    return (last // 100 - first // 100) * 12 + last % 100 - first % 100 + 1


def is_month(number: int) -> bool:
    """Whether a number names a month of the years 1900 to 2999."""
    return 1900 <= number // 100 <= 2999 and 1 <= number % 100 <= 12


def first_day(month: int) -> date:
    """The month's first day."""
    return date(month // 100, month % 100, 1)


def last_day(month: int) -> date:
    """The month's last day."""
    year, number = month // 100, month % 100
    return date(year, number, monthrange(year, number)[1])

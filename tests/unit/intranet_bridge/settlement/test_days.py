"""Settlement days and bank days."""

from datetime import date, datetime, timedelta

import pytest

from intranet_bridge.settlement.days import SHIPPED, BankDay, bank_day, bank_days_after, day_of, ends, extended
from protocol.times import CHINA


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def test_a_day_is_half_open_and_of_china() -> None:
    assert day_of(instant("2026-11-24T00:00:00+08:00")) == date(2026, 11, 24)
    assert day_of(instant("2026-11-24T23:59:59.999+08:00")) == date(2026, 11, 24)
    assert day_of(instant("2026-11-24T16:00:00+00:00")) == date(2026, 11, 25)
    assert datetime(2026, 7, 1, tzinfo=CHINA).utcoffset() == timedelta(hours=8)


@pytest.mark.parametrize(
    ("day", "open_"),
    [
        ("2026-01-01", False),
        ("2026-01-04", True),  # a Sunday, worked
        ("2026-02-13", True),
        ("2026-02-14", True),  # a Saturday, worked
        ("2026-02-16", False),
        ("2026-02-23", False),
        ("2026-02-24", True),
        ("2026-04-06", False),
        ("2026-05-05", False),
        ("2026-06-19", False),
        ("2026-09-20", True),
        ("2026-09-25", False),
        ("2026-10-07", False),
        ("2026-10-08", True),
        ("2026-10-10", True),
        ("2026-10-11", False),
        ("2026-11-28", False),
        ("2026-11-30", True),
    ],
)
def test_which_days_banks_work(day: str, open_: bool) -> None:
    assert SHIPPED.open(date.fromisoformat(day)) is open_


def test_the_next_bank_days() -> None:
    eve = date(2026, 9, 30)
    assert bank_day(eve) == BankDay(eve, True)
    assert bank_day(date(2026, 10, 1)) == BankDay(date(2026, 10, 8), True)
    assert bank_days_after(eve, 1) == BankDay(date(2026, 10, 8), True)
    assert bank_days_after(eve, 3) == BankDay(date(2026, 10, 10), True)
    assert bank_days_after(eve, 4) == BankDay(date(2026, 10, 12), True)
    assert bank_days_after(date(2026, 11, 28), 2) == BankDay(date(2026, 12, 1), True)
    with pytest.raises(ValueError, match="at least one"):
        bank_days_after(eve, 0)


def test_calendar_past_its_end() -> None:
    """Monday to Friday, and it is said: 1 January 2027 is a Friday, and certainly none on which banks work."""
    assert bank_days_after(date(2026, 12, 30), 1) == BankDay(date(2026, 12, 31), True)
    assert bank_days_after(date(2026, 12, 31), 1) == BankDay(date(2027, 1, 1), False)
    assert bank_days_after(date(2026, 12, 31), 2) == BankDay(date(2027, 1, 4), False)
    assert bank_day(date(2025, 12, 31)) == BankDay(date(2025, 12, 31), False)


def test_a_calendar_goes_on_with_what_is_configured() -> None:
    """A coming year is covered once its holidays are configured; until then, and past it, the answer says so."""
    new_year, sunday = date(2027, 1, 1), date(2027, 1, 3)
    assert bank_day(new_year) == BankDay(new_year, certain=False)
    known = extended([new_year], [sunday])
    assert bank_day(new_year, known) == BankDay(sunday, certain=True)
    assert (known.last, ends(known, date(2027, 11, 1))) == (date(2027, 12, 31), None)
    assert ends(SHIPPED, date(2026, 12, 1)) is None
    assert ends(SHIPPED, date(2026, 12, 2)) == ends(SHIPPED, date(2028, 1, 1)) == date(2026, 12, 31)
    gap = extended([date(2028, 1, 3)], [])  # nobody knows of 2027
    assert gap.last == date(2026, 12, 31)
    assert not gap.open(date(2028, 1, 3))


def test_what_is_configured_goes_before_what_is_shipped() -> None:
    worked, closed = date(2026, 10, 1), date(2026, 10, 10)
    assert not SHIPPED.open(worked)
    assert SHIPPED.open(closed)
    known = extended([closed], [worked])
    assert known.open(worked)
    assert not known.open(closed)

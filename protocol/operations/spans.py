"""Spans of months and days that requests ask for: in order, and bounded, so that no answer is too long."""

from datetime import date
from typing import Self

from pydantic import model_validator

from protocol.operations.fields import AccountNumber, Day, Model, Month

MOST_MONTHS = 24
MOST_DAYS = 732
"""Two years."""


def months_between(first: str, last: str) -> int:
    """How many months from `first` to `last`, both counted."""
    return (int(last[:4]) - int(first[:4])) * 12 + int(last[5:]) - int(first[5:]) + 1


def days_between(first: str, last: str) -> int:
    """How many days from `first` to `last`, both counted."""
    return (date.fromisoformat(last) - date.fromisoformat(first)).days + 1


class AccountMonths(Model):
    """One account, from one month to another, both counted."""

    account: AccountNumber
    first_month: Month
    last_month: Month

    @model_validator(mode="after")
    def _months_in_order(self) -> Self:
        if not 1 <= months_between(self.first_month, self.last_month) <= MOST_MONTHS:
            raise ValueError(
                f"last_month must not be before first_month, and at most {MOST_MONTHS} months may be asked for"
            )
        return self


class AccountDays(Model):
    """One account, from one day to another, both counted."""

    account: AccountNumber
    first_day: Day
    last_day: Day

    @model_validator(mode="after")
    def _days_in_order(self) -> Self:
        if not 1 <= days_between(self.first_day, self.last_day) <= MOST_DAYS:
            raise ValueError(f"last_day must not be before first_day, and at most {MOST_DAYS} days may be asked for")
        return self

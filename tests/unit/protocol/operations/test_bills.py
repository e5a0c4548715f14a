"""Bills: months in order and not too many; money is whole fen."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from protocol.operations import CATALOGUE
from protocol.operations.spans import months_between

ASKS = CATALOGUE["bill-query"].requests
ANSWERS = CATALOGUE["bill-query"].responses
BILL = {"month": "2026-01", "kwh": "120.5", "amount": 6_000, "paid": True}


@pytest.mark.parametrize(
    ("first", "last", "count"),
    [("2026-01", "2026-01", 1), ("2026-01", "2026-12", 12), ("2025-12", "2026-01", 2), ("2026-02", "2026-01", 0)],
)
def test_months_between(first: str, last: str, count: int) -> None:
    assert months_between(first, last) == count


@pytest.mark.parametrize(
    ("first", "last", "taken"),
    [
        ("2026-01", "2026-01", True),
        ("2024-01", "2025-12", True),
        ("2024-01", "2026-01", False),
        ("2026-02", "2026-01", False),
    ],
)
def test_one_to_24_months(first: str, last: str, taken: bool) -> None:
    body = json.dumps({"account": "3210000000001", "first_month": first, "last_month": last})
    if taken:
        ASKS.validate_json(body)
    else:
        with pytest.raises(ValidationError, match="at most 24 months"):
            ASKS.validate_json(body)


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({}, True),
        ({"tiers": [{"tier": 1, "kwh": "1", "amount": 5}]}, True),
        ({"reading_begin": None}, True),
        ({"amount": 60.0}, False),
        ({"amount": "6000"}, False),
        ({"kwh": 120.5}, False),
        ({"paid": 1}, False),
        ({"tiers": [{"tier": 0, "kwh": "1", "amount": 5}]}, False),
        ({"meter": "x"}, False),
    ],
)
def test_what_the_marketing_system_may_say(change: dict[str, Any], taken: bool) -> None:
    answer = json.dumps({"account": "3210000000001", "bills": [BILL | change]})
    if taken:
        ANSWERS.validate_json(answer)
    else:
        with pytest.raises(ValidationError):
            ANSWERS.validate_json(answer)


def test_arrears_come_with_their_penalty() -> None:
    unpaid = [{"month": "2026-01", "amount": 100, "penalty": 3}]
    found = CATALOGUE["arrears-query"].responses.validate_json(
        json.dumps({"account": "3210000000001", "total": 103, "unpaid": unpaid})
    )
    assert (found.total, found.unpaid[0].penalty) == (103, 3)

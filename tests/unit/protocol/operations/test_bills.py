"""Bills: months in order and not too many; money is whole fen."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from protocol.operations import CATALOGUE
from protocol.operations.spans import months_between

INVOICE = dict(CATALOGUE["invoice-request"].example)
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


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({}, None),
        ({"buyer_type": "person", "tax_number": None}, None),
        ({"months": ["2025-12", "2026-01"]}, None),
        ({"tax_number": None}, "needed for a company"),
        ({"buyer_type": "person"}, "a person has none"),
        ({"tax_number": "91350100M000100Y44"}, "check character"),
        ({"months": []}, "at least 1"),
        ({"months": ["2026-01", "2026-01"]}, "in order, each once"),
        ({"months": ["2026-02", "2026-01"]}, "in order, each once"),
        ({"months": [f"20{year}-01" for year in range(10, 23)]}, "at most 12"),
        ({"email": "invoice"}, "e-mail address"),
    ],
)
def test_an_invoice_that_may_be_asked_for(change: dict[str, Any], complaint: str | None) -> None:
    asks = CATALOGUE["invoice-request"].requests
    body = json.dumps({name: value for name, value in (INVOICE | change).items() if value is not None})
    if complaint is None:
        asks.validate_json(body)
    else:
        with pytest.raises(ValidationError, match=complaint):
            asks.validate_json(body)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({}, None),
        ({"state": "requested", "number": None, "issued_on": None}, None),
        ({"number": None}, "has its number"),
        ({"issued_on": None}, "has its number"),
        ({"title": "示范户主"}, "masked"),
    ],
)
def test_an_invoice_is_answered_whole_and_its_title_masked(change: dict[str, Any], complaint: str | None) -> None:
    operation = CATALOGUE["invoice-query"]
    example = dict(operation.example_answer or {})
    answer = json.dumps(example | {"invoices": [example["invoices"][0] | change]})
    if complaint is None:
        operation.responses.validate_json(answer)
    else:
        with pytest.raises(ValidationError, match=complaint):
            operation.responses.validate_json(answer)

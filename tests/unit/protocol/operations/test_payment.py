"""Payments: whole fen, aware times, days in order, one way to ask."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from protocol.operations import CATALOGUE, Kind, UnknownOutcome
from protocol.operations.payment import OPERATIONS


def taken(operation: str, **change: Any) -> Any:
    return CATALOGUE[operation].requests.validate_json(json.dumps(dict(CATALOGUE[operation].example) | change))


def test_what_moves_money_is_inquired_about_and_done_in_order_for_an_account() -> None:
    for operation in OPERATIONS:
        if operation.kind is Kind.COMMAND:
            assert operation.unknown_outcome is UnknownOutcome.INQUIRE
            assert operation.ordering_key is not None
            asked = operation.requests.validate_python(operation.example)
            assert operation.ordering_key(asked) == operation.example["account"]
        assert not operation.cacheable


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"amount": 0}, "greater than or equal to 1"),
        ({"amount": 50.0}, "valid integer"),
        ({"amount": "5000"}, "valid integer"),
        ({"paid_at": "2026-07-02T09:30:00"}, "with its offset"),
        ({"paid_at": "2026-07-02 09:30:00+08:00"}, "with its offset"),
        ({"paid_at": "2026-02-30T09:30:00Z"}, "with its offset"),
        ({"paid_at": "0001-01-01T00:00:00+14:00"}, "with its offset"),
        ({"booked_on": "2026-07-01"}, "before the day of paid_at"),
        ({"paid_at": "2026-07-02T23:30:00Z"}, "before the day of paid_at"),  # the third, in China
        ({"channel": "Alipay"}, "match pattern"),
        ({"transaction": "a b"}, "match pattern"),
        ({"line": 0}, "greater than or equal to 1"),
        ({"months": []}, "at least 1 item"),
        ({"months": ["2026-05", "2026-05"]}, "a month twice"),
    ],
)
def test_what_no_writeoff_says(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        taken("payment-writeoff", **change)


def test_a_writeoff_may_name_bills_and_be_booked_later() -> None:
    asked = taken("payment-writeoff", months=["2026-05", "2026-04"], booked_on="2026-07-05", line=2)
    assert (asked.months, asked.line) == (("2026-05", "2026-04"), 2)
    taken("payment-writeoff", paid_at="2026-07-02T15:59:59.999Z")  # still the second, in China


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"channel": "alipay", "transaction": "T1"}, True),
        ({"channel": "alipay", "transaction": "T1", "line": 2}, True),
        ({"command": "01a20058-c569-7555-97ad-5f35eb5182d8"}, True),
        ({}, False),
        ({"channel": "alipay"}, False),
        ({"transaction": "T1"}, False),
        ({"command": "x", "line": 2}, False),
        ({"channel": "alipay", "transaction": "T1", "command": "x"}, False),
    ],
)
def test_a_payment_is_asked_for_in_one_way(asked: dict[str, Any], fits: bool) -> None:
    requests = CATALOGUE["payment-state"].requests
    if fits:
        requests.validate_json(json.dumps(asked))
    else:
        with pytest.raises(ValidationError):
            requests.validate_json(json.dumps(asked))


@pytest.mark.parametrize("shown", ["6222020000000000123", "62220200000000*0123", "6222021****0123", "***123"])
def test_a_bank_account_is_only_answered_masked(shown: str) -> None:
    entry = CATALOGUE["withholding-sign"]
    answer = dict(entry.example_answer or {}) | {"bank_account_masked": shown}
    with pytest.raises(ValidationError):
        entry.responses.validate_json(json.dumps(answer))

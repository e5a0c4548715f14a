"""Work orders: each type with what it needs, done in order for one account, never guessed about."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from protocol.operations import CATALOGUE, UnknownOutcome
from protocol.operations.work_orders import WorkOrderType

OPERATION = CATALOGUE["work-order"]
ORDER = dict(OPERATION.example)


def check(change: dict[str, Any]) -> Any:
    order = {name: value for name, value in (ORDER | change).items() if value is not None}
    return OPERATION.requests.validate_json(json.dumps(order))


@pytest.mark.parametrize("kind", list(WorkOrderType))
def test_every_type(kind: WorkOrderType) -> None:
    assert check({"type": kind, "capacity_kw": 8}).type is kind


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"type": "new-connection"}, "capacity_kw is needed"),
        ({"type": "capacity-change"}, "capacity_kw is needed"),
        ({"type": "capacity-change", "capacity_kw": 8, "account": None}, "account is needed"),
        ({"type": "complaint", "account": None}, "account is needed"),
    ],
)
def test_what_a_type_needs(change: dict[str, Any], missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        check(change)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "wish"},
        {"type": 1},
        {"contact_name": None},
        {"contact_name": "x" * 61},
        {"contact_name": "   "},
        {"address": "x" * 201},
        {"content": "x" * 2001},
        {"content": "a\x00b"},
        {"contact_phone": "110"},
        {"capacity_kw": 0},
        {"capacity_kw": 100_001},
        {"capacity_kw": 5.5},
        {"capacity_kw": "8"},
        {"capacity_kw": True},
    ],
)
def test_what_does_not_fit(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check(change)


def test_orders_of_one_account_are_ordered_and_others_are_not() -> None:
    assert OPERATION.ordering_key is not None
    assert OPERATION.ordering_key(check({})) == "3210000000001"
    assert OPERATION.ordering_key(check({"account": None})) is None


def test_a_lost_outcome_is_inquired_after_and_never_repeated_blindly() -> None:
    assert OPERATION.unknown_outcome is UnknownOutcome.INQUIRE
    assert OPERATION.expires_ms is None

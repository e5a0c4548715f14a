"""Work orders: each type with what it needs, done in order for one account, never guessed about."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from protocol.operations import CATALOGUE, AnswerMismatch, UnknownOutcome
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
        ({"type": "meter-fault", "account": None}, "account is needed"),
        ({"type": "bill-inquiry", "account": None}, "account is needed"),
        ({"type": "supply-quality", "account": None}, "account is needed"),
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


@pytest.mark.parametrize("kind", ["water-quality", "pipe-leak", "inquiry", "praise", "suggestion"])
def test_what_anybody_may_report_needs_no_account(kind: str) -> None:
    assert check({"type": kind, "account": None}).account is None


@pytest.mark.parametrize("name", ["work-order-cancel", "work-order-rate"])
def test_commands_about_one_order_are_ordered_and_need_what_shows_whose_it_is(name: str) -> None:
    operation = CATALOGUE[name]
    example = {key: value for key, value in operation.example.items() if key not in ("account", "contact_phone")}
    for own in ({"account": "3210000000001"}, {"contact_phone": "13800000001"}):
        asked = operation.requests.validate_python(example | own)
        assert operation.ordering_key is not None
        assert operation.ordering_key(asked) == example["work_order"]
    with pytest.raises(ValidationError, match="account or contact_phone is needed"):
        operation.requests.validate_python(example)
    assert operation.unknown_outcome is UnknownOutcome.INQUIRE


@pytest.mark.parametrize("rating", [0, 6, 4.5, "5", True])
def test_a_rating_is_1_to_5(rating: Any) -> None:
    operation = CATALOGUE["work-order-rate"]
    with pytest.raises(ValidationError):
        operation.requests.validate_python({**operation.example, "rating": rating})


@pytest.mark.parametrize(
    "change",
    [
        {"page": 0},
        {"page": 1001},
        {"page_size": 51},
        {"state": "lost"},
        {"first_day": "2026-02-01", "last_day": "2026-01-31"},
        {"first_day": "2024-01-01", "last_day": "2026-01-02"},
    ],
)
def test_a_list_is_bounded(change: dict[str, Any]) -> None:
    operation = CATALOGUE["work-order-list"]
    operation.requests.validate_python({**operation.example, "first_day": "2024-01-02", "last_day": "2026-01-01"})
    with pytest.raises(ValidationError):
        operation.requests.validate_python({**operation.example, **change})


def test_a_list_is_the_page_and_the_state_that_was_asked_for() -> None:
    operation = CATALOGUE["work-order-list"]
    asked = operation.requests.validate_python(operation.example)
    assert operation.example_answer is not None
    one = {**operation.example_answer["work_orders"][0]}
    for wrong in ({"page": 2}, {"account": "3210000000002"}, {"work_orders": [{**one, "state": "cancelled"}]}):
        answer = operation.responses.validate_json(json.dumps({**operation.example_answer, **wrong}))
        with pytest.raises(AnswerMismatch):
            operation.answer(asked, answer)


def test_feedback_names_somebody_wholly_or_nobody() -> None:
    operation = CATALOGUE["feedback"]
    whole = {"name": "张伟", "phone": "13800000001"}
    operation.requests.validate_python({**operation.example, "contact": whole})
    for part in whole:
        with pytest.raises(ValidationError):
            operation.requests.validate_python({**operation.example, "contact": {part: whole[part]}})
    assert operation.personal == {"content", "account", "contact.name", "contact.phone"}


def test_a_lost_outcome_is_inquired_after_and_never_repeated_blindly() -> None:
    assert OPERATION.unknown_outcome is UnknownOutcome.INQUIRE
    assert OPERATION.expires_ms is None

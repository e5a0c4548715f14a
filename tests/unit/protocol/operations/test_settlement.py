"""What the bridge asks about money: pages that are whole, holds and reservations by their names."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from protocol.operations import CATALOGUE, AnswerMismatch, Kind, UnknownOutcome
from protocol.operations.settlement import OPERATIONS

LIST = CATALOGUE["writeoff-list"]
ANSWER = json.loads(json.dumps(LIST.example_answer))


def taken(operation: str, **change: Any) -> Any:
    return CATALOGUE[operation].requests.validate_json(json.dumps(dict(CATALOGUE[operation].example) | change))


def told(**change: Any) -> Any:
    return LIST.responses.validate_json(json.dumps(ANSWER | change))


def row(**change: Any) -> dict[str, Any]:
    return dict(ANSWER["rows"][0]) | change


def test_what_changes_something_is_inquired_about_and_done_in_order() -> None:
    for operation in OPERATIONS:
        if operation.kind is Kind.COMMAND:
            assert operation.unknown_outcome is UnknownOutcome.INQUIRE
            assert operation.ordering_key is not None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"rows": []}, "the page is incomplete"),
        ({"rows": [row(), row()]}, "the page is incomplete"),
        ({"page": 3}, "the page is incomplete"),  # past the end, and has a row
        ({"rows": [row(reversed=5001)]}, "more than amount"),
        ({"rows": [row(state="reversed")]}, "is not amount"),
        ({"rows": [row(amount=-1)]}, "greater than or equal to 1"),
        ({"rows": [row(paid_at="2026-07-01 09:00:00")]}, "with its offset"),
    ],
)
def test_a_page_that_is_not_whole_or_not_so_is_no_answer(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        told(**change)


def test_a_page_is_the_one_that_was_asked_for() -> None:
    asked = taken("writeoff-list")
    LIST.answer(asked, told())
    told(page=3, rows=[])
    for change in ({"page": 2}, {"channel": "wechat"}, {"last_day": "2026-07-03"}):
        with pytest.raises(AnswerMismatch):
            LIST.answer(asked, told(**change))


@pytest.mark.parametrize(
    ("operation", "change", "complaint"),
    [
        ("writeoff-list", {"last_day": "2026-06-30"}, "must not be before"),
        ("writeoff-list", {"last_day": "2026-09-30"}, "at most 62 days"),
        ("writeoff-list", {"page_size": 1001}, "less than or equal"),
        ("open-bills", {"accounts": []}, "at least 1"),
        ("open-bills", {"accounts": ["3210000000001"] * 2}, "an account twice"),
        ("bill-freeze", {"months": ["2026-05", "2026-05"]}, "a month twice"),
        ("bill-release", {"months": []}, "at least 1"),
        ("promotion-reserve", {"amount": 0}, "greater than or equal to 1"),
        ("promotion-reserve", {"until": "2026-07-15 10:00:00"}, "with its offset"),
        ("promotion-post", {"reservation": "a b"}, "match pattern"),
    ],
)
def test_what_is_not_asked(operation: str, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        taken(operation, **change)

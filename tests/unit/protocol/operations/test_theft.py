"""Reports of theft: whoever reports may stay unnamed, and is told the progress by the number alone."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from protocol.operations import CATALOGUE, UnknownOutcome

OPERATION = CATALOGUE["theft-report"]
CONTACT = {"name": "张伟", "phone": "13800000001"}


def check(change: dict[str, Any]) -> Any:
    return OPERATION.requests.validate_json(json.dumps(dict(OPERATION.example) | change))


def test_a_report_is_anonymous_or_has_a_whole_contact() -> None:
    assert check({}).contact is None
    assert check({"contact": CONTACT}).contact.phone == "13800000001"
    for part in CONTACT:
        with pytest.raises(ValidationError):
            check({"contact": {part: CONTACT[part]}})


@pytest.mark.parametrize(
    "change",
    [
        {"place": ""},
        {"description": "x" * 2001},
        {"attachments": ["x"]},
        {"attachments": [f"01938f7a-7b7a-7cc3-98c4-dc0c0c0739{i:02x}" for i in range(11)]},
        {"account": "3210000000001"},
    ],
)
def test_what_does_not_fit(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check(change)


def test_what_is_personal_and_what_names_files() -> None:
    assert OPERATION.personal == {"place", "description", "contact.name", "contact.phone"}
    assert OPERATION.attachments == ("attachments",)
    assert CATALOGUE["theft-report-progress"].personal_answer == frozenset()
    assert OPERATION.unknown_outcome is UnknownOutcome.INQUIRE

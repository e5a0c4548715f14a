"""Applications: each type with the fields it needs and no others, by a person or a company."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from protocol.operations import CATALOGUE, AnswerMismatch, UnknownOutcome
from protocol.operations.connection import ApplicationType

OPERATION = CATALOGUE["connection-application"]
PERSON = {"kind": "person", "name": "王芳", "identity_number": "990101199001010019"}
COMPANY = {"kind": "company", "name": "云河市示范商贸有限公司", "credit_code": "9199010110000000XX"}
BASE = {"applicant": PERSON, "contact": {"name": "王芳", "phone": "19900000001"}}
NEEDED: dict[str, dict[str, Any]] = {
    "new": {"address": "人民路1号", "purpose": "residential", "capacity_kw": 8},
    "capacity-up": {"account": "3210000000001", "capacity_kw": 12},
    "capacity-down": {"account": "3210000000001", "capacity_kw": 4},
    "transfer": {"account": "3210000000001", "new_holder": COMPANY},
    "close": {"account": "3210000000001"},
}
ALL = {name: value for needed in NEEDED.values() for name, value in needed.items()}


def check(change: dict[str, Any]) -> Any:
    return OPERATION.requests.validate_json(json.dumps(BASE | change))


def test_every_type_is_told_here() -> None:
    assert NEEDED.keys() == set(ApplicationType)


@pytest.mark.parametrize("kind", NEEDED)
def test_each_type_needs_its_fields_and_takes_no_others(kind: str) -> None:
    whole = {"type": kind} | NEEDED[kind]
    assert check(whole).type == kind
    for name in NEEDED[kind]:
        with pytest.raises(ValidationError, match=f"{name} is needed for"):
            check({field: value for field, value in whole.items() if field != name})
    for name in ALL.keys() - NEEDED[kind].keys():
        with pytest.raises(ValidationError, match=f"{name} is not for"):
            check(whole | {name: ALL[name]})


@pytest.mark.parametrize(
    ("applicant", "said"),
    [
        ({"kind": "person", "name": "王芳"}, "identity_number is needed for a person"),
        ({"kind": "company", "name": "示范商贸"}, "credit_code is needed for a company"),
        (PERSON | {"credit_code": COMPANY["credit_code"]}, "credit_code is not for a person"),
        (COMPANY | {"identity_number": PERSON["identity_number"]}, "identity_number is not for a company"),
        (PERSON | {"identity_number": "990101199001010018"}, "check character"),
        (COMPANY | {"credit_code": "9199010110000000XY"}, "check character"),
        (PERSON | {"name": " "}, "at least 1 character"),
        (PERSON | {"kind": "club"}, "person"),
    ],
)
@pytest.mark.parametrize("field", ["applicant", "new_holder"])
def test_holders_are_known_by_the_number_of_their_kind(field: str, applicant: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        check({"type": "transfer"} | NEEDED["transfer"] | {field: applicant})


@pytest.mark.parametrize(
    "change",
    [
        {"papers": ["A01", "A01"]},
        {"papers": ["../x"]},
        {"papers": [f"A{i:02}" for i in range(21)]},
        {"attachments": ["x"]},
        {"capacity_kw": 0},
        {"contact": {"name": "王芳"}},
        {"contact": None},
        {"remark": ""},
    ],
)
def test_what_does_not_fit(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check({"type": "capacity-up"} | NEEDED["capacity-up"] | change)


def test_files_and_personal_data_are_known_by_their_fields() -> None:
    assert OPERATION.attachments == ("attachments",)
    assert CATALOGUE["application-supplement"].attachments == ("attachments",)
    assert OPERATION.personal >= {
        "applicant.name",
        "applicant.identity_number",
        "new_holder.identity_number",
        "contact.name",
        "contact.phone",
        "address",
        "account",
        "remark",
    }


def test_papers_handed_in_later_are_files_or_a_note() -> None:
    operation = CATALOGUE["application-supplement"]
    bare = {name: value for name, value in operation.example.items() if name != "note"}
    file = "01938f7a-7b7a-7cc3-98c4-dc0c0c07398f"
    assert operation.requests.validate_json(json.dumps(bare | {"attachments": [file]})).attachments == (file,)
    with pytest.raises(ValidationError, match="attachments or a note are needed"):
        operation.requests.validate_json(json.dumps(bare))


def test_what_is_about_one_application_or_account_is_ordered_and_inquired_about() -> None:
    supplement = CATALOGUE["application-supplement"]
    assert OPERATION.ordering_key is not None
    assert supplement.ordering_key is not None
    assert OPERATION.ordering_key(check({"type": "close"} | NEEDED["close"])) == "3210000000001"
    assert OPERATION.ordering_key(check({"type": "new"} | NEEDED["new"])) is None
    asked = supplement.requests.validate_python(supplement.example)
    assert supplement.ordering_key(asked) == supplement.example["application"]
    assert OPERATION.unknown_outcome is supplement.unknown_outcome is UnknownOutcome.INQUIRE


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("application-progress", {"application": "SQ202511030000000009"}),
        ("application-supplement", {"application": "SQ202511030000000009"}),
        ("application-requirements", {"customer": "person"}),
        ("application-requirements", {"type": "close"}),
    ],
)
def test_an_answer_about_another_application_is_never_passed_on(name: str, wrong: dict[str, str]) -> None:
    operation = CATALOGUE[name]
    asked = operation.requests.validate_python(operation.example)
    answer = operation.responses.validate_json(json.dumps({**(operation.example_answer or {}), **wrong}))
    with pytest.raises(AnswerMismatch):
        operation.answer(asked, answer)

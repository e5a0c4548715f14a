"""Forms of account numbers: each company's own, told in the pages and in the error."""

from typing import Any

import pytest
from pydantic import ValidationError

from dmz_front.admission.accounts import AccountForms
from dmz_front.http.openapi import extend
from dmz_front.problems.details import Problem
from dmz_front.settings import AccountForm
from protocol.operations import CATALOGUE, Operation

POWER = AccountForm(company="Power", pattern="[0-9]{13}", description="13 digits", example="3210000000001")
WATER = AccountForm(company="Water", pattern="[A-Z]?[0-9]{5,8}(-[0-9])?", example="Z05396-0")
BILLS, ORDER = CATALOGUE["bill-query"], CATALOGUE["work-order"]


def asked(operation: Operation, **changes: Any) -> Any:
    return operation.requests.validate_python({**operation.example, **changes})


@pytest.mark.parametrize("account", ["3210000000001", "54114172", "Z05396-0", "0012345"])
def test_what_fits_one_of_the_forms_is_taken(account: str) -> None:
    AccountForms([POWER, WATER]).check(BILLS, asked(BILLS, account=account))


@pytest.mark.parametrize("account", ["32100000000012", "Z05396-0Z", "----"])
def test_what_fits_none_is_refused_and_the_forms_are_said(account: str) -> None:
    with pytest.raises(Problem) as refused:
        AccountForms([POWER, WATER]).check(BILLS, asked(BILLS, account=account))
    assert (refused.value.status, refused.value.code) == (422, "invalid-request")
    (error,) = refused.value.errors
    assert error["field"] == "account"
    assert "Power: 13 digits, for example 3210000000001; or Water: " in error["message"]
    assert account not in error["message"]


def test_a_form_s_groups_are_its_own() -> None:
    twice = AccountForm(company="Twice", pattern="(?P<half>[0-9]{2})-(?P=half)", example="12-12")
    again = AccountForm(company="Again", pattern=r"(?P<half>[A-Z]{2})\1", example="ABAB")
    forms = AccountForms([WATER, twice, again])
    for account in ("54114172", "34-34", "CDCD"):
        forms.check(BILLS, asked(BILLS, account=account))
    for account in ("34-35", "CDCE"):
        with pytest.raises(Problem):
            forms.check(BILLS, asked(BILLS, account=account))


def test_without_forms_all_is_taken_that_the_schema_takes() -> None:
    AccountForms().check(BILLS, asked(BILLS, account="----"))


def test_a_number_that_is_not_given_is_not_missed() -> None:
    assert ORDER.accounts == ("account",)
    example = {"type": "suggestion", "contact_name": "张伟", "contact_phone": "13800000001"}
    request = ORDER.requests.validate_python({**example, "address": "人民路1号", "content": "建议"})
    AccountForms([POWER]).check(ORDER, request)


def test_an_operation_about_no_account_has_none() -> None:
    assert CATALOGUE["work-order-progress"].accounts == ()


def account_of(forms: AccountForms) -> dict[str, Any]:
    document = extend({"paths": {}}, [BILLS], forms)
    found: dict[str, Any] = document["components"]["schemas"]["BillQuery"]["properties"]["account"]
    return found


def test_the_pages_say_them() -> None:
    assert account_of(AccountForms())["pattern"] == "^[0-9A-Za-z-]{4,20}$"
    told = account_of(AccountForms([POWER, WATER]))
    assert [one["pattern"] for one in told["anyOf"]] == ["^(?:[0-9]{13})$", "^(?:[A-Z]?[0-9]{5,8}(-[0-9])?)$"]
    assert told["examples"] == ["3210000000001", "Z05396-0"]
    assert "13 digits" in told["description"]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"pattern": "["}, "not a regular expression"),
        ({"pattern": "(?i)[0-9]{13}"}, "no inline flags"),
        ({"pattern": "(?i:[0-9]{13})"}, "no inline flags"),
        ({"example": "12"}, "4 to 20 of the characters"),
        ({"example": "Z05396-0"}, "does not match the pattern"),
        ({"company": ""}, "company"),
    ],
)
def test_a_form_that_cannot_be_meant_is_refused_at_start(change: dict[str, str], where: str) -> None:
    with pytest.raises(ValidationError, match=where):
        AccountForm.model_validate(POWER.model_dump() | change)

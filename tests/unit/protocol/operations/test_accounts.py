"""Accounts: what is answered is masked, what is asked is checked, and what can be guessed at says so."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from protocol.operations import CATALOGUE
from protocol.operations.accounts import MaskedAddress, MaskedPhone, MobileNumber, UserId
from protocol.operations.fields import PERSONAL, Email, MaskedName, marked

CASES: list[tuple[Any, list[str], list[str]]] = [
    (MaskedName, ["田*", "*娟", "*", "欧阳*", "欧***", "云河****公司"], ["田娟", "", "田建国*", "云河市阳光花园公*"]),
    (MaskedPhone, ["199****0001", "****0001", "+86199****0001"], ["19900000001", "1990***0001", "199****00001", ""]),
    (
        MaskedAddress,
        ["云河市新港区滨河路***", "***"],
        ["云河市新港区滨河路149号", "滨河路149号***", "滨河路**", "１号***"],
    ),
    (MobileNumber, ["13800000001", "19900000001"], ["12800000001", "1380000000", "+8613800000001", "138 00000001"]),
    (UserId, ["o6_bmjrPTlm6-2", "a" * 64, "u@x.y:1"], ["", "a" * 65, "用户", "a b", "a/b", "a\n"]),
    (Email, ["a.b+c@mail.example.cn"], ["a@b", "a b@c.cn", "@c.cn", "a@c..cn", "名@c.cn", "a@c.cn\n"]),
]


@pytest.mark.parametrize(
    ("kind", "value", "taken"),
    [(kind, value, True) for kind, good, _ in CASES for value in good]
    + [(kind, value, False) for kind, _, bad in CASES for value in bad],
)
def test_fields(kind: Any, value: str, taken: bool) -> None:
    assert marked(kind, PERSONAL)
    adapter: TypeAdapter[str] = TypeAdapter(kind)
    if taken:
        assert adapter.validate_python(value) == value
    else:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


@pytest.mark.parametrize("name", ["name", "address", "mobile"])
def test_a_profile_holds_nothing_unmasked(name: str) -> None:
    entry = CATALOGUE["account-profile"]
    plain = {"name": "田娟", "address": "云河市新港区滨河路149号", "mobile": "19900000001"}
    with pytest.raises(ValidationError, match="masked"):
        entry.responses.validate_json(json.dumps(dict(entry.example_answer or {}) | {name: plain[name]}))


def asked(operation: str, **change: Any) -> Any:
    body = {name: value for name, value in (dict(CATALOGUE[operation].example) | change).items() if value is not None}
    return CATALOGUE[operation].requests.validate_json(json.dumps(body))


@pytest.mark.parametrize(
    ("operation", "change", "complaint"),
    [
        ("account-match", {"consent": None}, "Field required"),
        ("account-match", {"consent": {"version": "1"}}, "Field required"),
        ("account-match", {"consent": {"version": "1", "at": "2026-07-02"}}, "with its offset"),
        ("account-match", {"identity_number": "990101196211080012"}, "check character"),
        ("account-match", {"mobile": "0531-88888888"}, "11 digits"),
        ("account-bind", {"token": None}, "one of them"),
        ("account-bind", {"code": "123456"}, "one of them"),
        ("account-bind", {"token": None, "code": "12345a"}, "match pattern"),
        ("archive-update", {"mailing_address": None}, "nothing is given"),
        ("real-name-verify", {"consent": None}, "Field required"),
    ],
)
def test_what_is_refused_at_once(operation: str, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint) as told:
        asked(operation, **change)
    assert "990101" not in "".join(error["msg"] for error in told.value.errors())


def test_an_identity_number_is_one_value_however_it_is_written() -> None:
    assert asked("account-match", identity_number="11010519491231002x").identity_number == "11010519491231002X"


def test_an_account_is_bound_by_a_code_too() -> None:
    assert asked("account-bind", token=None, code="123456").code == "123456"


def test_what_can_be_guessed_at_says_so() -> None:
    guessed = {name: entry.guessed for name, entry in CATALOGUE.items() if entry.guessed}
    assert guessed == {
        "account-match": ("identity_number",),
        "account-code": ("account",),
        "account-bind": ("account",),
        "real-name-verify": ("identity_number",),
    }
    with pytest.raises(ValueError, match="guessed names 'identity'"):
        replace(CATALOGUE["account-match"], guessed=("identity",))
    for name in guessed:
        assert set(guessed[name]) <= CATALOGUE[name].personal


def test_no_personal_field_is_without_its_mark() -> None:
    assert CATALOGUE["account-match"].personal == {"user", "identity_number", "mobile"}
    assert CATALOGUE["account-match"].personal_answer == {
        "user",
        "token",
        "candidates.account",
        "candidates.name",
        "candidates.address",
    }
    assert CATALOGUE["account-bind"].personal == {"user", "account", "token", "code"}
    assert CATALOGUE["archive-update"].personal == {"user", "account", "mobile", "email", "mailing_address"}

"""What a start can know of a binding: what can never work is refused, naming the setting; what may not is warned of."""

import tomllib
from typing import Any

import pytest

from intranet_bridge.marketing import kinds
from intranet_bridge.marketing.http.binding import HttpBinding
from intranet_bridge.marketing.http.check import complaints
from protocol.operations import CATALOGUE, OWN
from tests.support.shipped import CONFIG, bindings

SHIPPED = bindings()
ARREARS: dict[str, Any] = {
    "path": "/a",
    "request": "{consNo: account}",
    "response": "data.{account: no, as_of: d, total: t, unpaid: list(o)[*].{month: month(m), amount: a, penalty: p}}",
    "refusal": {"when": "rtnCode != '0000'", "code": "rtnCode"},
}


def said(operation: str = "arrears-query", **changes: Any) -> list[tuple[str, str, bool]]:
    binding = HttpBinding.model_validate((ARREARS if operation == "arrears-query" else {}) | changes)
    return [(".".join(c.setting), c.message, c.fatal) for c in complaints(CATALOGUE[operation], binding)]


@pytest.mark.parametrize("operation", sorted(CATALOGUE.keys() - OWN))
def test_nothing_is_said_of_what_is_shipped(operation: str) -> None:
    assert said(operation, **SHIPPED[operation]) == []


@pytest.mark.parametrize(
    "text",
    [
        "rtnCode != '0000'", "\"return-code\" != '0000'", "'0000' != \"return-code\"", "a.\"b-c\" == d",
        "a == @.\"b-c\"",
        "code == `0` && !flag", "length(list(data)) == `0`", "contains(list(codes), '1')", "a == `null`",
        "starts_with(text(code) || '', 'E')", "data.list[?x == '1'] | [0]", "a.* == b",
    ],
)  # fmt: skip
def test_tests_that_may_be_meant(text: str) -> None:
    assert not [message for _, message, fatal in said(failure=text) if fatal]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('rtnCode != "0000"', "\"0000\" names a field; a text is written '0000'"),
        ('"0000" == rtnCode', '"0000" names a field'),
        ('data.code == "ok" && a', '"ok" names a field'),
        ('text(code) == "0000"', '"0000" names a field'),
        ('list[?code == "0000"]', '"0000" names a field'),
        ('contains(codes, "1")', '"1" names a field'),
        ('starts_with(code, "E")', '"E" names a field'),
        ("text(code) == `0`", "a text or null is compared with a number: never equal"),
        ("length(codes) == '0'", "never equal"),
        ("text(a) < `5`", "have no order"),
        ("text(a).b", "b is looked for in a text"),
        ("length(a)[0]", "an element is looked for in a number"),
        ("{a: b}.c", "there is no field c"),
        ("`null`", "can only be null"),
    ],
)
def test_tests_that_can_only_be_mistakes(text: str, complaint: str) -> None:
    for setting, changes in (
        ("failure", {"failure": text}),
        ("refusal.when", {"refusal": {"when": text, "code": "rtnCode"}}),
    ):
        found = [message for where, message, fatal in said(**changes) if fatal and where == setting]
        assert any(complaint in message for message in found), found


@pytest.mark.parametrize(
    ("changes", "setting", "complaint"),
    [
        ({"request": "{consNo: acount}"}, "request", "no field acount: the fields are account, as_of, request_id"),
        ({"request": "{consNo: replace(account, \"-\", '')}"}, "request", '"-" names a field'),
        ({"request": "{a: account.number}"}, "request", "number is looked for in a text"),
        ({"request": "{a: account} | {b: account}"}, "request", "no field account: the fields are a"),
        ({"query": "{consNo: acount}"}, "query", "no field acount"),
        ({"path": "/a/{acount}"}, "path", "no field acount"),
        ({"response": "{account: a, total: t}"}, "response", "leaves out the required field unpaid"),
        ({"response": "data.{account: a, total: t, unpaid: u[*].{month: m}}"}, "response", "field unpaid[].amount"),
        ({"response": "{account: a, total: t, unpaid: u, totl: t}"}, "response", "totl, which the schema does not"),
        ({"response": "{account: a, total: yuan(t), unpaid: u}"}, "response", "total is a text or null, and must be"),
        ({"response": "{account: a, total: `null`, unpaid: u}"}, "response", "total can only be null"),
        ({"response": "{account: a, total: t, unpaid: u.{month: m}}"}, "response", "unpaid is an object or null"),
        ({"response": "text(data)"}, "response", "the result is a text"),
    ],
)
def test_mappings_that_can_never_fit(changes: dict[str, Any], setting: str, complaint: str) -> None:
    found = said(**changes)
    assert any(where == setting and complaint in message and fatal for where, message, fatal in found), found


def test_the_inquiry_is_checked_too() -> None:
    shipped = SHIPPED["work-order"]
    for change, setting, complaint in (
        ({"request": "{reqId: requestid}"}, "inquire.request", "no field requestid"),
        ({"found": 'rtnCode == "0000"'}, "inquire.found", '"0000" names a field'),
        ({"response": "{work_order: woNo}"}, "inquire.response", "leaves out the required field accepted_at"),
    ):
        found = said("work-order", **shipped | {"inquire": shipped["inquire"] | change})
        assert any(where == setting and complaint in message and fatal for where, message, fatal in found), found


@pytest.mark.parametrize(
    ("changes", "setting", "doubt"),
    [
        ({"failure": "error == `null`"}, "failure", "is true of {}"),
        ({"not_applied": "!not_null(code, 'x') || code == data"}, "not_applied", "is true of {}"),
        ({"failure": "@ == `null`"}, "failure", "is true of null"),
        (
            {"response": "{account: to_string(a), total: t, unpaid: u}"},
            "response",
            "to_string() makes the text",
        ),
        (
            {"refusal": {"when": "c != '0'", "code": "c", "codes": {"9": "no-such-bill"}}},
            "refusal.codes.9",
            "does not have the refusal no-such-bill",
        ),
        ({"refusal": {"when": "c != '0'", "code": "c", "detail": 'msg || "none"'}}, "refusal.detail", '"none" names'),
    ],
)
def test_what_may_not_be_meant_is_warned_of(changes: dict[str, Any], setting: str, doubt: str) -> None:
    found = said(**changes)
    assert [where for where, message, fatal in found if doubt in message and not fatal] == [setting], found
    assert not any(fatal for *_, fatal in found)


def test_a_field_that_must_be_what_was_asked_is_mapped() -> None:
    """Optional in the schema, and yet no answer without it is taken from who asks with it (`answer-mismatch`)."""
    without = ARREARS["response"].replace("as_of: d, ", "")
    message = "leaves out as_of, which must equal the request's as_of: requests that have it cannot be answered"
    assert said(response=without) == [("response", message, False)]
    # one that asks the system with it means it
    assert said(response=without, request="{consNo: account, day: as_of}") == [("response", message, True)]
    nothing = ARREARS["response"].replace("as_of: d", "as_of: `null`")
    assert [fatal for _, words, fatal in said(response=nothing) if "gives only null for as_of" in words] == [False]


@pytest.mark.parametrize("kind", ["soap", "sql"])
def test_files_that_nothing_hands_over_are_warned_of(kind: str) -> None:
    name = next(name for name, one in CATALOGUE.items() if one.attachments)
    table = examples(kind)[name]
    found = kinds.kind(kind)
    told = list(found.complaints(CATALOGUE[name], found.binding.model_validate(table)))
    assert [(one.setting, one.fatal) for one in told] == [((), False)]
    assert "nothing hands them over" in told[0].message


def examples(kind: str) -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = {}
    for file in sorted((CONFIG / "examples" / kind).glob("*.toml")):
        tables |= tomllib.loads(file.read_text(encoding="utf-8")).get("operations", {})
    return tables

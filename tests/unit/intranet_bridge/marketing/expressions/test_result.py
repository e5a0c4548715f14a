"""Answers of old systems through the mappings as shipped: null, absent, empty, single; complaints without values."""

import json
from typing import Any

import pytest

from intranet_bridge.marketing.expressions.mapping import MappingError, compiled
from intranet_bridge.marketing.expressions.result import validated
from protocol.operations import CATALOGUE
from tests.support.shipped import bindings

SHIPPED = bindings()
ACCOUNT = "3210000000001"
BILL: dict[str, Any] = {
    "amtYm": "202511", "tPq": 180, "tAmt": 8789, "payFlag": "1", "bgnRead": 100, "endRead": 280,
    "lvlList": [{"lvl": 1, "pq": 180, "amt": 8789}],
}  # fmt: skip
OWED = {"amtYm": "202511", "rcvblAmt": 5, "penaltyAmt": 2}


def result(operation: str, data: Any) -> Any:
    binding = SHIPPED[operation]
    mapped = compiled(binding["response"], binding.get("values", {}))({"rtnCode": "0000", "data": data})
    schema = CATALOGUE[operation].responses
    return json.loads(schema.dump_json(validated(schema, mapped)))


def bill(**other: Any) -> Any:
    given = {name: value for name, value in (BILL | other).items() if value != "absent"}
    (only,) = result("bill-query", {"consNo": ACCOUNT, "billList": [given]})["bills"]
    return only


USUAL = {
    "month": "2025-11", "kwh": "180", "amount": 8789, "paid": True, "reading_begin": "100", "reading_end": "280",
    "tiers": [{"tier": 1, "kwh": "180", "amount": 8789}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("odd", "otherwise"),
    [
        ({}, {}),
        ({"lvlList": None}, {"tiers": []}),
        ({"lvlList": "absent"}, {"tiers": []}),
        ({"lvlList": ""}, {"tiers": []}),
        ({"lvlList": BILL["lvlList"][0]}, {}),
        ({"bgnRead": None}, {"reading_begin": None}),
        ({"bgnRead": "absent", "endRead": ""}, {"reading_begin": None, "reading_end": None}),
        ({"bgnRead": "100 ", "endRead": 280.0}, {}),
        ({"tAmt": 8789.0, "tPq": "180", "payFlag": 1, "amtYm": 202511}, {}),
        ({"payFlag": "0"}, {"paid": False}),
    ],
)
def test_the_shipped_bill_mapping_takes_what_old_systems_write(odd: dict[str, Any], otherwise: dict[str, Any]) -> None:
    assert bill(**odd) == USUAL | otherwise


@pytest.mark.parametrize("bills", [None, "absent", "", []])
def test_no_bills(bills: Any) -> None:
    data = {"consNo": ACCOUNT} | ({} if bills == "absent" else {"billList": bills})
    assert result("bill-query", data) == {"account": ACCOUNT, "bills": []}


def test_one_object_where_a_list_is_meant() -> None:
    assert result("bill-query", {"consNo": ACCOUNT, "billList": BILL})["bills"] == [USUAL]
    owed = [{"month": "2025-11", "amount": 5, "penalty": 2}]
    assert result("arrears-query", {"consNo": ACCOUNT, "totAmt": 7, "oweList": OWED})["unpaid"] == owed
    progress = {"woNo": "WO-1", "woStatusName": "done", "nodeList": {"nodeName": "n", "nodeTime": "t"}}
    assert result("work-order-progress", progress)["steps"] == [{"name": "n", "at": "t", "note": ""}]


@pytest.mark.parametrize("owed", [{}, {"oweList": None}, {"oweList": ""}, {"oweList": []}])
def test_nothing_owed(owed: dict[str, Any]) -> None:
    data = {"consNo": ACCOUNT, "totAmt": 0} | owed
    assert result("arrears-query", data) == {"account": ACCOUNT, "as_of": None, "total": 0, "unpaid": []}


def test_a_field_that_is_optional_keeps_its_default_when_null() -> None:
    mapped = {"work_order": "WO-1", "status": "s", "steps": [{"name": "n", "at": "t", "note": None}]}
    assert validated(CATALOGUE["work-order-progress"].responses, mapped).steps[0].note == ""


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"consNo": ACCOUNT}, "the mapping gave null for the required field total"),
        ({"consNo": ACCOUNT, "totAmt": None}, "the mapping gave null for the required field total"),
        (None, "the mapping gave null instead of an object"),
        (
            {"consNo": ACCOUNT, "totAmt": 7, "oweList": [OWED, OWED | {"penaltyAmt": None}]},
            "the mapping gave null for the required field unpaid[1].penalty",
        ),
        (
            {"consNo": ACCOUNT, "totAmt": 7, "oweList": ["x"]},
            "the mapping gave null for the required field unpaid[0].month",
        ),
        (
            {"consNo": ACCOUNT, "totAmt": 7.25},
            "the mapping's field total does not fit: Input should be a valid integer",
        ),
        ({"consNo": "31_secret", "totAmt": 7}, "the mapping's field account does not fit: an account number is 4 to "),
    ],
)
def test_complaints_name_the_field_and_never_a_value(data: Any, complaint: str) -> None:
    with pytest.raises(MappingError) as told:
        result("arrears-query", data)
    assert str(told.value).startswith(complaint)
    assert "secret" not in str(told.value)
    assert "7.25" not in str(told.value)


def test_other_complaints() -> None:
    schema = CATALOGUE["arrears-query"].responses
    for mapped, complaint in (
        ({"account": ACCOUNT, "unpaid": []}, "the mapping leaves out the required field total"),
        ({"account": ACCOUNT, "total": 1, "unpaid": [], "odd": 1}, "a field the schema does not have: odd"),
        ("text", "something else instead of an object"),
    ):
        with pytest.raises(MappingError, match=complaint):
            validated(schema, mapped)


def test_a_flag_that_is_not_known_is_an_error_and_not_an_unpaid_bill() -> None:
    for flag in ("9", None, "absent"):
        with pytest.raises(MappingError, match=r"null for the required field bills\[0\]\.paid"):
            bill(payFlag=flag)

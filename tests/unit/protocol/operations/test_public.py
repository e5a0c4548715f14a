"""Public information: one way of asking at a time, a datum always said, texts of lines."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from protocol.operations import CATALOGUE

NEAR = {"latitude": 30.5, "longitude": 114, "datum": "WGS-84"}
OUTLET = {"outlet": "1", "name": "厅", "area": "1", "address": "路", "latitude": 30.5, "longitude": 114.4}


def taken(name: str, value: dict[str, Any], *, answer: bool = False) -> bool:
    operation = CATALOGUE[name]
    try:
        (operation.responses if answer else operation.requests).validate_json(json.dumps(value))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "asked", "fits"),
    [
        ("outlets", {"area": "990101"}, True),
        ("outlets", {"near": NEAR, "within_m": 500}, True),
        ("outlets", {}, False),
        ("outlets", {"area": "990101", "near": NEAR}, False),
        ("outlets", {"area": "990101", "within_m": 500}, False),
        ("outlets", {"near": NEAR | {"datum": "BD-09"}}, False),
        ("outlets", {"near": {"latitude": 30.5, "longitude": 114}}, False),
        ("outlets", {"near": NEAR | {"latitude": 90.1}}, False),
        ("outlets", {"near": NEAR | {"longitude": "114"}}, False),
        ("outlets", {"near": NEAR, "limit": 51}, False),
        ("outage-notices", {}, False),
        ("outage-notices", {"account": "3210000000001"}, True),
        ("outage-notices", {"area": "云河区"}, True),
        ("outage-notices", {"first_day": "2026-07-01", "last_day": "2026-09-30"}, True),
        ("outage-notices", {"first_day": "2026-07-01", "last_day": "2026-10-01"}, False),
        ("outage-notices", {"first_day": "2026-07-01"}, False),
        ("outage-notices", {"area": "云河区", "last_day": "2026-07-01"}, False),
        ("outage-notices", {"first_day": "2026-07-02", "last_day": "2026-07-01"}, False),
        ("news-list", {}, True),
        ("news-list", {"page": 0}, False),
        ("news-item", {"news": "../1"}, False),
        ("faq", {}, True),
        ("faq", {"keyword": "  "}, False),
        ("policy-texts", {"page_size": 6}, False),
    ],
)
def test_what_may_be_asked(name: str, asked: dict[str, Any], fits: bool) -> None:
    assert taken(name, asked) is fits


@pytest.mark.parametrize(
    ("outlets", "fits"),
    [
        ([OUTLET], True),
        ([OUTLET | {"distance_m": 5}, OUTLET | {"distance_m": 5}, OUTLET | {"distance_m": 9}], True),
        ([OUTLET | {"distance_m": 9}, OUTLET | {"distance_m": 5}], False),
        ([OUTLET | {"distance_m": -1}], False),
        ([OUTLET | {"latitude": 114.4}], False),
    ],
)
def test_outlets_come_nearest_first(outlets: list[dict[str, Any]], fits: bool) -> None:
    assert taken("outlets", {"datum": "GCJ-02", "outlets": outlets}, answer=True) is fits
    assert not taken("outlets", {"outlets": outlets}, answer=True)


@pytest.mark.parametrize(
    ("body", "fits"), [("一\n二", True), ("一\t二", True), ("一\r\n二", False), ("一\u2028二", False), (" \n", False)]
)
def test_a_body_has_lines_and_no_other_controls(body: str, fits: bool) -> None:
    example = CATALOGUE["news-item"].example_answer
    assert example is not None
    assert taken("news-item", dict(example) | {"body": body}, answer=True) is fits


def test_whether_an_account_exists_is_not_public() -> None:
    by_account = [entry for entry in CATALOGUE.values() if entry.scope == "public" and entry.accounts]
    assert [(entry.name, dict(entry.field_scopes)) for entry in by_account] == [
        ("outage-notices", {"account": "outages"})
    ]
    with pytest.raises(ValueError, match="field_scopes names 'acount'"):
        replace(CATALOGUE["outage-notices"], field_scopes={"acount": "outages"})


def test_a_position_is_personal_and_the_account_asked_for_must_be_in_the_answer() -> None:
    assert CATALOGUE["outlets"].personal == {"near.latitude", "near.longitude"}
    outages = CATALOGUE["outage-notices"]
    answer = outages.responses.validate_python({"notices": ()})
    asked = outages.requests.validate_python({"account": "3210000000001"})
    assert outages.matching.mismatch(asked, answer) == "account"
    assert outages.matching.mismatch(outages.requests.validate_python({"area": "云河区"}), answer) is None

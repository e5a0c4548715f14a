"""Usage: days lie in their month, times exist, readings are decimal text."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from protocol.operations import CATALOGUE

ACCOUNT = "3210000000001"


def taken(name: str, value: dict[str, Any], *, answer: bool = False) -> bool:
    operation = CATALOGUE[name]
    try:
        (operation.responses if answer else operation.requests).validate_json(json.dumps(value))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "change", "fits"),
    [
        ("usage-query", {"last_month": "2026-04"}, False),
        ("usage-query", {"first_month": "2024-06"}, False),
        ("usage-query", {"first_month": "2024-07"}, True),
        ("usage-daily", {"month": "2026-13"}, False),
        ("meter-readings", {"last_day": "2026-04-30"}, False),
        ("meter-readings", {"first_day": "2024-06-30"}, True),
        ("meter-readings", {"first_day": "2024-06-28"}, False),
        ("meter-reading-submit", {"reading": 5770}, False),
        ("meter-reading-submit", {"reading": "-1"}, False),
        ("meter-reading-submit", {"reading": "5770.25"}, True),
        ("meter-reading-submit", {"read_on": "2026-02-29"}, False),
    ],
)
def test_what_may_be_asked(name: str, change: dict[str, Any], fits: bool) -> None:
    assert taken(name, dict(CATALOGUE[name].example) | change) is fits


@pytest.mark.parametrize(
    ("name", "change", "fits"),
    [
        ("usage-daily", {"days": [{"day": "2026-06-30", "kwh": "1"}]}, False),
        ("usage-daily", {"days": []}, True),
        ("tariff-explain", {"tiers": []}, False),
        ("tariff-explain", {"cycle": "week"}, False),
        ("tariff-explain", {"as_of": "2026-07-15T00:00:00"}, False),
        ("tariff-explain", {"as_of": "2026-07-15 24:00:00"}, False),
        (
            "tariff-explain",
            {
                "periods": [
                    {
                        "period": "valley",
                        "hours": [{"begin": "22:00", "end": "06:00"}],
                        "prices": [{"tier": 1, "price": "0.307"}],
                    }
                ]
            },
            True,
        ),
        (
            "tariff-explain",
            {"periods": [{"period": "valley", "hours": [{"begin": "22:00", "end": "24:00"}], "prices": []}]},
            False,
        ),
        ("realtime-charge-query", {"balance": None, "prepaid": None}, True),
        ("realtime-charge-query", {"charge": 54.52}, False),
        ("meter-readings", {"readings": [{"read_on": "2026-06-30", "reading": "1", "kind": "guess"}]}, False),
    ],
)
def test_what_the_marketing_system_may_say(name: str, change: dict[str, Any], fits: bool) -> None:
    example = CATALOGUE[name].example_answer
    assert example is not None
    assert taken(name, dict(example) | change, answer=True) is fits


def test_a_reading_is_the_same_however_it_is_written() -> None:
    operation = CATALOGUE["meter-reading-submit"]
    asked = operation.requests.validate_python(dict(operation.example) | {"reading": "5770.0"})
    assert operation.example_answer is not None
    answer = operation.responses.validate_python(operation.example_answer)
    assert json.loads(operation.answer(asked, answer))["reading"] == "5770"

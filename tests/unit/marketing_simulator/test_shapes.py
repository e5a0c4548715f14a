"""The checked-in shapes are those of the interfaces as they are now, and the bindings made of others are too."""

import inspect
from typing import Any

import pytest

from scripts.tools.marketing_shapes.derivation import (
    READ_AS,
    DerivationError,
    kind_of,
    merged,
)
from scripts.tools.marketing_shapes.files import stale
from scripts.tools.marketing_simulator.fields import Fields
from scripts.tools.marketing_simulator.shapes import ShapeError, check, shapes


def test_nothing_is_stale() -> None:
    assert stale() == [], "run: python -m scripts.tools.marketing_shapes"


def test_every_way_to_read_a_field_has_a_type() -> None:
    assert {name for name, _ in inspect.getmembers(Fields, inspect.isfunction) if name[0] != "_"} == set(READ_AS)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ({"a": 1}, {"a": 1.5}, {"a": "number"}),
        ({"a": None}, {"a": "x"}, {"a": "text?"}),
        ({"a": "x", "b": 1}, {"a": "x"}, {"a": "text", "b": "integer?"}),
        ({"a": []}, {"a": [{"b": 1}, {"b": None}]}, {"a": [{"b": "integer?"}]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": {"?": {"b": "integer"}}}),
        ({"a": ["x"]}, {}, {"a": ["text"]}),
    ],
)
def test_answers_are_merged(one: Any, other: Any, both: Any) -> None:
    assert merged(kind_of(one), kind_of(other), "x") == both
    assert merged(kind_of(other), kind_of(one), "x") == both


def test_a_field_of_two_types_is_an_error() -> None:
    with pytest.raises(DerivationError, match=r"x\.a\[\]"):
        merged(kind_of({"a": [1]}), kind_of({"a": ["1"]}), "x")


BILL = {"amtYm": "202511", "tPq": 1, "rcvblAmt": 1, "dueDate": "", "overDays": 0, "penaltyAmt": 0, "totAmt": 1}
FITS = {
    "consNo": "1", "consName": "", "elecAddr": "", "calcDate": "", "oweCnt": 0, "oweAmt": 0, "penaltyAmt": 0,
    "totAmt": 0, "oweList": [BILL],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"oweAmt": "1"}, "oweAmt is not integer"),
        ({"oweAmt": None}, "oweAmt is missing"),
        ({"consNo": 7}, "consNo is not text"),
        ({"more": 1}, "more is not in the shape"),
        ({"oweList": [BILL | {"tPq": True}]}, r"oweList\[\]\.tPq is not integer"),
        ({"oweList": {}}, "oweList is not Many"),
    ],
)
def test_an_answer_that_does_not_fit_is_named(change: dict[str, Any], said: str) -> None:
    shape = shapes()["/api/arrears/query"].answer
    check(shape, FITS)
    with pytest.raises(ShapeError, match=said):
        check(shape, FITS | change)

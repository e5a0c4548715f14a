"""Field types: real limits, and messages a caller can act on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from protocol.operations.fields import AccountNumber, Fen, Kwh, Month, Phone, Text, WorkOrderNumber

CASES: list[tuple[Any, list[str], list[str]]] = [
    (
        AccountNumber,
        ["3210000000", "3210000000001"],
        ["321000000", "32100000000012", "32100000000a1", "３２１０００００００", "", " 3210000000001", "-210000000001"],
    ),
    (
        Month,
        ["2026-01", "2026-12", "1999-10"],
        [
            "2026-00",
            "2026-13",
            "2026-1",
            "202601",
            "26-01",
            "2026-01-01",
            "２０２６-01",
            "2026-+1",
            "2026/01",
            "+026-01",
        ],
    ),
    (
        Phone,
        ["1380000", "13800000001", "+8613800000001", "0531-8888-8888"],
        ["138000", "1380000000000001", "++8613800000001", "phone", "", "138 0000 0001", "１３８０００００"],
    ),
    (Kwh, ["0", "123456789", "1.5", "0.0001"], ["", "-1", "1.", ".5", "1.00001", "1234567890", "1e3", "1\n"]),
    (WorkOrderNumber, ["WO2026000001", "a-b-1"], ["abc", "x" * 41, "a b c", "工单000001", "WO2026\n"]),
    (Text, ["x", "两行\n文字", "\tx"], ["", "  ", "a\x00b", "a\x1bb", "a\x7fb", "a\rb"]),
]


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, good, _ in CASES for value in good])
def test_taken(kind: Any, value: str) -> None:
    assert TypeAdapter(kind).validate_python(value) == value.strip()


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, _, bad in CASES for value in bad])
def test_refused(kind: Any, value: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


@given(st.text(max_size=15))
def test_no_text_is_worse_than_refused(value: str) -> None:
    for kind, _, _ in CASES:
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError:
            continue


@pytest.mark.parametrize(("amount", "taken"), [(0, True), (-(10**13), True), (10**13, True), (10**13 + 1, False)])
def test_money_has_bounds(amount: int, taken: bool) -> None:
    if taken:
        assert TypeAdapter(Fen).validate_python(amount) == amount
    else:
        with pytest.raises(ValidationError):
            TypeAdapter(Fen).validate_python(amount)

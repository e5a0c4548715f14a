"""What each interface takes and gives: names and types of its fields, for faces that must say so (SOAP, SQL).

shapes.json is derived (`python -m scripts.tools.marketing_shapes`), never edited: path → `request` and `answer`, the
fields of the body and those of `data`. A field is `"text"`, `"integer"`, `"number"`, an object of fields, or a list of
one of these; `?` after a type says that the field may be null or absent, and any list may be absent. Every field of a
request may be absent: the business says which are needed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("shapes.json")
TEXT, INTEGER, NUMBER = "text", "integer", "number"
OPTIONAL = "?"


class ShapeError(Exception):
    """A value does not fit its shape; the message names the field."""


@dataclass(frozen=True, slots=True)
class Simple:
    """A text or a number."""

    kind: str


@dataclass(frozen=True, slots=True)
class Record:
    """Fields by name, in the order in which they stand."""

    fields: "Mapping[str, Field]"


@dataclass(frozen=True, slots=True)
class Many:
    """A list."""

    item: "Simple | Record"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record."""

    shape: "Simple | Record | Many"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class InterfaceShape:
    """One interface."""

    request: Record
    answer: Record
    """Of `data`."""


@cache
def shapes() -> dict[str, InterfaceShape]:
    """Every interface's, by its path."""
    told = json.loads(FILE.read_text(encoding="utf-8"))
    return {path: InterfaceShape(_record(one["request"]), _record(one["answer"])) for path, one in told.items()}


def _record(fields: Mapping[str, Any]) -> Record:
    return Record({name: _field(told) for name, told in fields.items()})


def _field(told: Any) -> Field:
    match told:
        case {"?": inner}:
            return Field(_record(inner), optional=True)
        case dict():
            return Field(_record(told))
        case [item]:
            inner = _field(item).shape
            assert not isinstance(inner, Many), "a list of lists"
            return Field(Many(inner))
    return Field(Simple(told.removesuffix(OPTIONAL)), told.endswith(OPTIONAL))


def check(shape: Record, value: Mapping[str, Any], place: str = "") -> None:
    """Raise ShapeError unless a value has the fields of a shape, no others, and their types."""
    for name in value:
        if name not in shape.fields:
            raise ShapeError(f"{place}{name} is not in the shape")
    for name, field in shape.fields.items():
        found = value.get(name)
        if found is None and not field.optional and not isinstance(field.shape, Many):
            raise ShapeError(f"{place}{name} is missing")
        if found is not None:
            _check(field.shape, found, f"{place}{name}")


def _check(shape: Simple | Record | Many, value: Any, place: str) -> None:
    match shape:
        case Record() if isinstance(value, dict):
            check(shape, value, f"{place}.")
        case Many() if isinstance(value, list):
            for item in value:
                _check(shape.item, item, f"{place}[]")
        case Simple() if isinstance(value, _KINDS[shape.kind]) and not isinstance(value, bool):
            pass
        case _:
            raise ShapeError(f"{place} is not {shape.kind if isinstance(shape, Simple) else type(shape).__name__}")


_KINDS: dict[str, tuple[type, ...]] = {TEXT: (str,), INTEGER: (int,), NUMBER: (int, float)}

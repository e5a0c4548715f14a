"""From rows to the value that expressions read.

===========================  =========================================================================
NULL                         null
integer, boolean, text       as it is
float                        as it is; NaN and infinities null
decimal                      an integer, if its column has no decimals; else its text, exact: "12.50"
date, time                   "2026-03-31", "10:30:00"
date and time                "2026-03-31 10:30:00", with ".250000" and "+08:00" where it has them
interval                     seconds
bytes                        the text, if they are UTF-8
JSON, array                  as it is; text in a column of `json_columns` is read
===========================  =========================================================================

Column names are in lower case. Two of the same name, or a value of another kind, make the answer unreadable.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic_core import from_json


class UnreadableRows(Exception):
    """There is no value in them. Says nothing of their content: it may be a customer's."""


def objects(columns: Sequence[str], rows: Iterable[Sequence[Any]], json_columns: Collection[str]) -> list[Any]:
    """The rows as objects. Raises UnreadableRows."""
    names = [column.lower() for column in columns]
    if len(set(names)) < len(names):
        raise UnreadableRows("two columns have one name")
    as_json = [name in json_columns for name in names]
    return [
        {
            name: _document(name, value) if parsed and isinstance(value, str) else _plain(name, value)
            for name, parsed, value in zip(names, as_json, row, strict=True)
        }
        for row in rows
    ]


def _document(name: str, value: str) -> Any:
    try:
        return from_json(value, allow_inf_nan=False) if value.strip() else None
    except ValueError:
        raise UnreadableRows(f"column {name}: not JSON") from None


def _plain(name: str, value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            if not value.is_finite():
                return None
            exponent = value.as_tuple().exponent
            return int(value) if isinstance(exponent, int) and exponent >= 0 else f"{value:f}"
        case datetime():
            return value.isoformat(" ")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID():
            return str(value)
        case bytes() | bytearray() | memoryview():
            try:
                return bytes(value).decode()
            except UnicodeDecodeError:
                raise UnreadableRows(f"column {name}: bytes that are no UTF-8") from None
        case list() | tuple():
            return [_plain(name, item) for item in value]
        case dict():
            return {str(key): _plain(name, item) for key, item in value.items()}
    if callable(getattr(value, "read", None)):  # a LOB's handle
        return _plain(name, value.read())
    raise UnreadableRows(f"column {name}: a value of the kind {type(value).__name__}")

"""What a database gives, as expressions see it."""

import io
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from intranet_bridge.marketing.sql.reading import saved_answer
from intranet_bridge.marketing.sql.values import UnreadableRows, objects


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (None, None),
        (True, True),
        (12, 12),
        ("张三", "张三"),
        (1.5, 1.5),
        (math.inf, None),
        (math.nan, None),
        (Decimal("12.50"), "12.50"),
        (Decimal("-0.05"), "-0.05"),
        (Decimal("12"), 12),
        (Decimal("1E+3"), 1000),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("NaN"), None),
        (date(2026, 3, 31), "2026-03-31"),
        (time(10, 30), "10:30:00"),
        (datetime(2026, 3, 31, 10, 30), "2026-03-31 10:30:00"),
        (datetime(2026, 3, 31, 10, 30, 0, 250_000, UTC), "2026-03-31 10:30:00.250000+00:00"),
        (datetime(2026, 3, 31, tzinfo=timezone(timedelta(hours=8))), "2026-03-31 00:00:00+08:00"),
        (timedelta(minutes=2), 120.0),
        (UUID("01890000-0000-7000-8000-000000000001"), "01890000-0000-7000-8000-000000000001"),
        ("余额".encode(), "余额"),
        (bytearray(b"x"), "x"),
        (memoryview(b"x"), "x"),
        ([Decimal("1.0"), None], ["1.0", None]),
        ({"a": [1]}, {"a": [1]}),
        (io.StringIO("a LOB"), "a LOB"),
    ],
)
def test_a_value(value: Any, seen: Any) -> None:
    [row] = objects(["AMT_YM"], [(value,)], ())
    assert row == {"amt_ym": seen}
    assert type(row["amt_ym"]) is type(seen)


def test_text_that_is_json_is_read_where_that_is_said() -> None:
    rows = objects(["ID", "Bills"], [(1, '[{"a": 1}]'), (2, ""), (3, None)], {"bills"})
    assert rows == [{"id": 1, "bills": [{"a": 1}]}, {"id": 2, "bills": None}, {"id": 3, "bills": None}]


@pytest.mark.parametrize(
    ("columns", "row", "why"),
    [
        (["a", "A"], (1, 2), "two columns have one name"),
        (["photo"], (b"\xff\xd8",), "column photo: bytes that are no UTF-8"),
        (["j"], ("[{'张三': 1}]",), "column j: not JSON"),
        (["j"], ("NaN",), "column j: not JSON"),
        (["a"], (object(),), "column a: a value of the kind object"),
    ],
)
def test_what_cannot_be_read_says_where_and_nothing_of_the_content(
    columns: list[str], row: tuple[Any, ...], why: str
) -> None:
    with pytest.raises(UnreadableRows) as error:
        objects(columns, [row], {"j"})
    assert str(error.value) == why


def test_a_saved_answer() -> None:
    assert saved_answer(b'[{"a": 1}]') == {"rows": [{"a": 1}]}
    assert saved_answer(b'{"account": [], "bills": [{"a": 1}]}') == {"account": [], "bills": [{"a": 1}]}
    for wrong in (b"", b"oops", b"7", b'{"a": 1}', b"[1]", b'{"rows": [[1]]}'):
        with pytest.raises(UnreadableRows):
            saved_answer(wrong)

"""What data of old systems needs: each function by its examples, and what each refuses without telling the value."""

from typing import Any

import pytest

from intranet_bridge.marketing.expressions.mapping import MappingError, compiled

TABLES = {"t": {"1": "one", "true": "yes"}}


@pytest.mark.parametrize(
    ("expression", "value", "result"),
    [
        ("list(@)", None, []),
        ("list(@)", "", []),
        ("list(@)", {"a": 1}, [{"a": 1}]),
        ("list(@)", [], []),
        ("list(@)", [1, None], [1, None]),
        ("list(@)", 0, [0]),
        ("list(a)[*].b", {"a": {"b": 1}}, [1]),
        ("list(a)[*].b", {}, []),
        ("text(@)", None, None),
        ("text(@)", "", ""),
        ("text(@)", " a ", " a "),
        ("text(@)", 7, "7"),
        ("text(@)", 7.0, "7"),
        ("text(@)", 12.50, "12.5"),
        ("text(@)", 1e22, "10000000000000000000000"),
        ("text(@)", 1e-7, "0.0000001"),
        ("text(@)", True, "true"),
        ("trim(@)", "　 a b\t", "a b"),
        ("trim(@)", " ", None),
        ("trim(@)", "", None),
        ("trim(@)", None, None),
        ("trim(@)", 180, "180"),
        ("trim(@)", 180.0, "180"),
        ("digits(@)", "+86 138-0000-0001", "8613800000001"),
        ("digits(@)", "１２", "12"),
        ("digits(@)", None, None),
        ("digits(@)", 12, "12"),
        ("month(@)", "202511", "2025-11"),
        ("month(@)", 202511, "2025-11"),
        ("month(@)", 202511.0, "2025-11"),
        ("month(@)", "2025-11", "2025-11"),
        ("month(@)", "2025/1", "2025-01"),
        ("month(@)", " 2025年11月 ", "2025-11"),
        ("month(@)", "20251125", "2025-11"),
        ("month(@)", "2025-11-25 10:30:00", "2025-11"),
        ("month(@)", None, None),
        ("month(@)", "", None),
        ("local(@, '+08:00')", "2025-11-25T20:30:00Z", "2025-11-26 04:30:00"),
        ("local(@, '+08:00')", "2025-11-25T10:30:00.5+08:00", "2025-11-25 10:30:00"),
        ("local(@, '-03:30')", "2025-11-25T00:00:00+00:00", "2025-11-24 20:30:00"),
        ("local(@, '+08:00')", None, None),
        ("timestamp(@, '+08:00')", "2025-11-25 10:30:00", "2025-11-25T10:30:00+08:00"),
        ("timestamp(@, '+08:00')", "2025/11/25 10:30:00", "2025-11-25T10:30:00+08:00"),
        ("timestamp(@, '+08:00')", "20251125103000", "2025-11-25T10:30:00+08:00"),
        ("timestamp(@, '+08:00')", 20251125103000, "2025-11-25T10:30:00+08:00"),
        ("timestamp(@, '+08:00')", "2025-11-25T10:30:00Z", "2025-11-25T10:30:00+00:00"),
        ("timestamp(@, '+08:00')", " ", None),
        ("mask(@, `1`, `0`)", "田娟", "田*"),
        ("mask(@, `3`, `4`)", " 19900000001 ", "199****0001"),
        ("mask(@, `1`, `0`)", "田", "*"),
        ("mask(@, `3`, `4`)", "1234567", "*******"),
        ("mask(@, `0`, `0`)", "ab", "**"),
        ("mask(@, `1`, `0`)", None, None),
        ("mask(@, `1`, `0`)", " ", None),
        ("date(@)", "20251125", "2025-11-25"),
        ("date(@)", 20251125, "2025-11-25"),
        ("date(@)", "2025/11/5", "2025-11-05"),
        ("date(@)", "2025.11.25", "2025-11-25"),
        ("date(@)", "2025-11-25", "2025-11-25"),
        ("date(@)", "2025年11月25日", "2025-11-25"),
        ("date(@)", "20251125103000", "2025-11-25"),
        ("date(@)", "2025-11-25T10:30:00.123", "2025-11-25"),
        ("date(@)", None, None),
        ("round(@, `2`)", 2.675, 2.68),
        ("round(@, `2`)", "-0.125", -0.13),
        ("round(@, `0`)", 0.5, 1),
        ("round(@, `0`)", 2.5, 3),
        ("round(@, `1`)", None, None),
        ("text(round(@, `2`))", "180.004", "180"),
        ("fen(@)", "1,234.50", 123450),
        ("fen(@)", "-1,234,567", -123456700),
        ("fen(@)", "1234.50", 123450),
        ("fen(@)", " 12.340 ", 1234),
        ("fen(@)", ".5", 50),
        ("fen(@)", "-.05", -5),
        ("fen(@)", "12.", 1200),
        ("round(@, `1`)", ".25", 0.3),
        ("fen(@)", 7.0, 700),
        ("fen(@)", None, None),
        ("fen(@)", "", None),
        ("yuan(@)", 7.0, "0.07"),
        ("translate('t', @)", 1, "one"),
        ("translate('t', @)", 1.0, "one"),
        ("translate('t', @)", True, "yes"),
    ],
)
def test_functions_for_old_systems(expression: str, value: Any, result: Any) -> None:
    found = compiled(expression, TABLES)(value)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("expression", "value", "complaint"),
    [
        ("text(@)", {"a": 1}, "text() was given an object"),
        ("text(@)", [1], "text() was given a list"),
        ("digits(@)", True, "digits() was given true or false"),
        ("month(@)", "202513", "month() was given a month that is not in the calendar"),
        ("month(@)", "2025112", "month() was given a text that is no month"),
        ("month(@)", "١٢٣٤١١", "month() was given a text that is no month"),
        ("date(@)", "2025-02-30", "date() was given a date that is not in the calendar"),
        ("date(@)", "00000000", "date() was given a date that is not in the calendar"),
        ("date(@)", "202511", "date() was given a month without a day"),
        ("date(@)", "2025-11-25T16:00:00Z", "date() was given a text that is no date"),
        ("date(@)", "2025-11-25T16:00:00.000+0000", "date() was given a text that is no date"),
        ("date(@)", 1764000000000, "date() was given a number that is no date"),
        ("month(@)", 7, "month() was given a number that is no month"),
        ("round(@, `2`)", "12x", "round() was given a text that is no number"),
        ("round(@, `13`)", 1, "round() rounds to 0 to 12 decimals"),
        ("fen(@)", "1,23.50", "fen() was given a text that is no number"),
        ("fen(@)", "1234,567", "fen() was given a text that is no number"),
        ("fen(@)", "1,234,56", "fen() was given a text that is no number"),
        ("fen(@)", ".", "fen() was given a text that is no number"),
        ("fen(@)", "-", "fen() was given a text that is no number"),
        ("fen(@)", "1_000", "fen() was given a text that is no number"),
        ("fen(@)", "NaN", "fen() was given a text that is no number"),
        ("fen(@)", "1.234", "fen() was given more than two decimals"),
        ("yuan(@)", 7.5, "yuan() was given a fraction of a fen"),
        ("cut(@, `0`, `4`)", 7, "cut() was given a number"),
        ("local(@, '+08:00')", "2025-11-25 10:30:00", "local() was given a time without its offset"),
        ("mask(@, `-1`, `0`)", "ab", "mask() shows a whole number of characters, 0 or more"),
        ("mask(@, `1`, `0`)", 12, "mask() was given a number"),
        ("local(@, '+08:00')", "soon", "local() was given a text that is no time"),
        ("local(@, 'CST')", "2025-11-25T10:30:00Z", "local() was given a zone that is not written like +08:00"),
        ("timestamp(@, '+8')", "20251125103000", "timestamp() was given a zone that is not written like +08:00"),
        ("timestamp(@, '+08:00')", "20251125", "timestamp() was given a text that is no time"),
        ("timestamp(@, '+08:00')", 7, "timestamp() was given a number that is no time"),
    ],
)
def test_what_a_function_cannot_take_is_told_by_its_kind(expression: str, value: Any, complaint: str) -> None:
    with pytest.raises(MappingError) as told:
        compiled(expression, TABLES)(value)
    assert str(told.value) == complaint


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("data.{u: oweList[*].{m: cut(amtYm, `0`, `4`)}}", "at data.oweList[1].amtYm: cut() was given a number"),
        ("data.oweList[1].amtYm | cut(@, `0`, `4`)", "at data.oweList[1].amtYm: cut() was given a number"),
        ("data.list(oweList)[*].month(amtYm)", "at data.oweList[2].amtYm: month() was given an object"),
        ("data.list(oweList[1])[*].cut(amtYm, `0`, `4`)", "at data.oweList[1][0].amtYm: cut() was given a number"),
        ("{a: data.x || replace(data, 'a', 'b')}", "at data: replace() was given an object"),
        ("data.oweList[?cut(amtYm, `0`, `4`) == '2025']", "cut() was given a number"),
        ("data.[join('-', [cut(x, `0`, `1`), text(oweList)])]", "at data.oweList: text() was given a list"),
    ],
)
def test_a_complaint_names_the_place_in_the_answer(expression: str, complaint: str) -> None:
    answer = {"data": {"oweList": [{"amtYm": "202511"}, {"amtYm": 202510}, {"amtYm": {}}]}}
    with pytest.raises(MappingError) as told:
        compiled(expression)(answer)
    assert str(told.value) == complaint

"""The functions that expressions may use besides JMESPath's own: what data of old systems needs.

==============================  ==================================================================
``list(x)``                     a list as it is, null and "" as ``[]``, anything else as a list of one
``text(x)``                     text as it is; a number in plain decimals (7.0 is "7"); true, false
``trim(x)``                     ``text(x)`` without blanks around it; null when nothing is left
``digits(text)``                its digits alone, full-width ones included
``month(x)``                    "202511", 202511, "2025/11", "2025-11-25", "2025年11月" … as "2025-11"
``date(x)``                     "20251125", "2025/11/25", "2025-11-25 10:30:00" … as "2025-11-25"
``local(x, zone)``              "2025-11-25T02:30:00Z" as "2025-11-25 10:30:00", the time in `zone`, such as '+08:00'
``timestamp(x, zone)``          "2025-11-25 10:30:00", "20251125103000" … as "2025-11-25T10:30:00+08:00"
``round(x, n)``                 a number, or its text, to `n` decimals, halves away from zero
``fen(yuan)``                   "1,234.50" or 1234.5 as 123450; exact, refuses more than two decimals
``yuan(fen)``                   123450 as "1234.50"
``translate(table, value)``     ``text(value)`` looked up in the binding's ``values.<table>``; null if absent
``replace(text, old, new)``     every `old` in `text` replaced by `new`
``mask(text, first, last)``     "*" for all but the `first` and `last` characters; one at least is always masked
``cut(text, first, end)``       characters `first` up to `end`, counted from 0
``gcj02(point)``                a point, `latitude`, `longitude` and `datum` (GCJ-02 or WGS-84), in GCJ-02
``wgs84(point)``                the same in WGS-84; both rounded to 7 decimals (a centimetre)
==============================  ==================================================================

But for ``list``, each gives null for null. Numbers are counted in decimals: 2.675 rounds to 2.68.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, cast

from jmespath import functions
from jmespath.exceptions import JMESPathError, JMESPathTypeError

from intranet_bridge.marketing.expressions.coordinates import gcj02_of_wgs84, wgs84_of_gcj02

Tables = Mapping[str, Mapping[str, Any]]

_SEPARATED = re.compile(r"(\d{4})(?:[-/.]|年)(\d{1,2})月?(?:(?:[-/.]|(?<=月))(\d{1,2})日?)?", re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)?", re.ASCII)
_TIME = re.compile(r"(?:T|\s+)\d{1,2}(?::\d\d){1,2}(?:\.\d{1,9})?|(?<=\d{8})\d{6}", re.ASCII)
_ZONE = re.compile(r"([+-])(\d\d):([0-5]\d)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})", re.ASCII)
"""Oracle's TO_CHAR writes 0.5 as ".5", and with FM and a mask of decimals 12 as "12.".
"""
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d{1,30})?", re.ASCII)
_KINDS = {"string": "a text", "array": "a list", "object": "an object", "boolean": "true or false", "null": "null"}


class Unfit(JMESPathError):  # type: ignore[misc]  # jmespath has no types
    """A function was given what it cannot take. The message tells the kind of value, never the value."""


def complaint(error: Exception) -> str:
    """What may be told of a failed evaluation: which function, which kind of value."""
    if isinstance(error, Unfit):
        return str(error)
    if isinstance(error, JMESPathTypeError):
        kind = str(error.actual_type).partition("-")[0]
        return f"{error.function_name}() was given {_KINDS.get(kind, f'a {kind}')}"
    return type(error).__name__


def text(value: Any) -> str | None:
    """A scalar as text. Raises Unfit for a list or an object."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return int.__repr__(value)
        case float():
            return f"{_plain(value):f}"
    raise Unfit(f"text() was given {'a list' if isinstance(value, list) else 'an object'}")


def _trimmed(value: Any) -> str | None:
    return (text(value) or "").strip() or None


def _plain(value: float) -> Decimal:
    """The number that was written; an integer when it is one."""
    number = Decimal(repr(value))
    return Decimal(int(number)) if number == number.to_integral_value() else number


def _decimal(name: str, value: str | int | float, *, grouped: bool = False) -> Decimal | None:
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
        if grouped and _GROUPED.fullmatch(value):
            value = value.replace(",", "")
        if not _NUMBER.fullmatch(value):
            raise Unfit(f"{name}() was given a text that is no number")
        return Decimal(value)
    return Decimal(repr(value))


def _day(name: str, value: Any) -> tuple[int, int, int | None] | None:
    """Year, month and, if there is one, day. A time of the day is passed over, but not one of another zone."""
    written = _trimmed(value)
    if written is None:
        return None
    found = _SEPARATED.match(written) or _COMPACT.match(written)
    rest = written[found.end() :] if found else written
    if found is None or not (not rest or (found[3] and _TIME.fullmatch(written, found.end()))):
        kind = "text" if isinstance(value, str) else "number"
        raise Unfit(f"{name}() was given a {kind} that is no {name}")
    year, month, day = int(found[1]), int(found[2]), int(found[3]) if found[3] else None
    try:
        date(year, month, day or 1)
    except ValueError:
        raise Unfit(f"{name}() was given a {name} that is not in the calendar") from None
    return year, month, day


def _zone(name: str, written: str) -> timezone:
    found = _ZONE.fullmatch(written)
    if found is None or int(found[2]) > 14:
        raise Unfit(f"{name}() was given a zone that is not written like +08:00")
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(offset if found[1] == "+" else -offset)


def _moment(name: str, value: Any) -> datetime | None:
    """A day with a time of the day, written with separators or without any."""
    written = _trimmed(value)
    if written is None:
        return None
    try:
        if len(written) == 14 and written.isascii() and written.isdigit():
            return datetime.strptime(written, "%Y%m%d%H%M%S")
        if len(written) > 10:
            return datetime.fromisoformat(written.replace("/", "-"))
    except ValueError:
        pass
    kind = "text" if isinstance(value, str) else "number"
    raise Unfit(f"{name}() was given a {kind} that is no time")


class Functions(functions.Functions):  # type: ignore[misc]  # jmespath has no types
    """The standard functions and ours."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    @functions.signature({"types": []})  # type: ignore[untyped-decorator]
    def _func_list(self, value: Any) -> list[Any]:
        return value if type(value) is list else [] if value is None or value == "" else [value]

    @functions.signature({"types": []})  # type: ignore[untyped-decorator]
    def _func_text(self, value: Any) -> str | None:
        return text(value)

    @functions.signature({"types": ["string", "number", "boolean", "null"]})  # type: ignore[untyped-decorator]
    def _func_trim(self, value: Any) -> str | None:
        return _trimmed(value)

    @functions.signature({"types": ["string", "number", "null"]})  # type: ignore[untyped-decorator]
    def _func_digits(self, value: Any) -> str | None:
        written = text(value)
        return None if written is None else "".join(str(int(c)) for c in written if c.isdecimal())

    @functions.signature({"types": ["string", "number", "null"]})  # type: ignore[untyped-decorator]
    def _func_month(self, value: Any) -> str | None:
        found = _day("month", value)
        return None if found is None else f"{found[0]:04}-{found[1]:02}"

    @functions.signature({"types": ["string", "number", "null"]})  # type: ignore[untyped-decorator]
    def _func_date(self, value: Any) -> str | None:
        found = _day("date", value)
        if found is None:
            return None
        year, month, day = found
        if day is None:
            raise Unfit("date() was given a month without a day")
        return f"{year:04}-{month:02}-{day:02}"

    @functions.signature({"types": ["string", "null"]}, {"types": ["string"]})  # type: ignore[untyped-decorator]
    def _func_local(self, value: str | None, zone: str) -> str | None:
        moment = _moment("local", value)
        if moment is None:
            return None
        if moment.tzinfo is None:
            raise Unfit("local() was given a time without its offset")
        return moment.astimezone(_zone("local", zone)).strftime("%Y-%m-%d %H:%M:%S")

    @functions.signature({"types": ["string", "number", "null"]}, {"types": ["string"]})  # type: ignore[untyped-decorator]
    def _func_timestamp(self, value: Any, zone: str) -> str | None:
        moment = _moment("timestamp", value)
        if moment is None:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=_zone("timestamp", zone))
        return moment.isoformat(timespec="seconds")

    @functions.signature({"types": ["string", "number", "null"]}, {"types": ["number"]})  # type: ignore[untyped-decorator]
    def _func_round(self, value: Any, decimals: int) -> int | float | None:
        if type(decimals) is not int or not 0 <= decimals <= 12:
            raise Unfit("round() rounds to 0 to 12 decimals")
        number = None if value is None else _decimal("round", value)
        if number is None:
            return None
        rounded = number.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
        return float(rounded) if decimals else int(rounded)

    @functions.signature({"types": ["string", "number", "null"]})  # type: ignore[untyped-decorator]
    def _func_fen(self, yuan: str | int | float | None) -> int | None:
        number = None if yuan is None else _decimal("fen", yuan, grouped=True)
        if number is None:
            return None
        if (fen := number * 100) != fen.to_integral_value():
            raise Unfit("fen() was given more than two decimals")
        return int(fen)

    @functions.signature({"types": ["number", "null"]})  # type: ignore[untyped-decorator]
    def _func_yuan(self, fen: int | float | None) -> str | None:
        if fen is None:
            return None
        if fen != int(fen):
            raise Unfit("yuan() was given a fraction of a fen")
        return f"{Decimal(int(fen)) / 100:.2f}"

    @functions.signature({"types": ["string"]}, {"types": []})  # type: ignore[untyped-decorator]
    def _func_translate(self, table: str, value: Any) -> Any:
        return None if value is None else self.tables[table].get(text(value) or "")

    @functions.signature({"types": ["string", "null"]}, {"types": ["string"]}, {"types": ["string"]})  # type: ignore[untyped-decorator]
    def _func_replace(self, subject: str | None, old: str, new: str) -> str | None:
        return None if subject is None else subject.replace(old, new)

    @functions.signature({"types": ["string", "null"]}, {"types": ["number"]}, {"types": ["number"]})  # type: ignore[untyped-decorator]
    def _func_mask(self, subject: str | None, first: int, last: int) -> str | None:
        if type(first) is not int or type(last) is not int or first < 0 or last < 0:
            raise Unfit("mask() shows a whole number of characters, 0 or more")
        written = (subject or "").strip()
        if not written:
            return None
        hidden = len(written) - first - last
        if hidden < 1:
            return "*" * len(written)
        return f"{written[:first]}{'*' * hidden}{written[len(written) - last :]}"

    @functions.signature({"types": ["string", "null"]}, {"types": ["number"]}, {"types": ["number"]})  # type: ignore[untyped-decorator]
    def _func_cut(self, subject: str | None, first: int, end: int) -> str | None:
        return None if subject is None else subject[first:end]

    @functions.signature({"types": ["object", "null"]})  # type: ignore[untyped-decorator]
    def _func_gcj02(self, point: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if point is None else _in_datum("gcj02", point, "GCJ-02", {"WGS-84": gcj02_of_wgs84})

    @functions.signature({"types": ["object", "null"]})  # type: ignore[untyped-decorator]
    def _func_wgs84(self, point: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if point is None else _in_datum("wgs84", point, "WGS-84", {"GCJ-02": wgs84_of_gcj02})


def _in_datum(
    name: str, point: Mapping[str, Any], datum: str, moves: Mapping[str, Callable[[float, float], tuple[float, float]]]
) -> dict[str, Any]:
    latitude, longitude = point.get("latitude"), point.get("longitude")
    for value in (latitude, longitude):
        if type(value) not in (int, float):
            raise Unfit(f"{name}() was given a point without latitude and longitude as numbers")
    said = point.get("datum")
    if said != datum:
        move = moves.get(said) if isinstance(said, str) else None
        if move is None:
            raise Unfit(f"{name}() was given a point that names no datum it knows")
        latitude, longitude = move(cast(float, latitude), cast(float, longitude))
    return {
        "latitude": round(cast(float, latitude), 7),
        "longitude": round(cast(float, longitude), 7),
        "datum": datum,
    }


def shortcut(
    name: str, picks: tuple[Callable[[Any], Any], ...], constants: list[Any], library: Functions
) -> Callable[[Any], Any] | None:
    """A closure for a call whose arguments are of the usual types; None for a function that has none.

    The package checks every argument's type by name at every call. These, used for most fields of a large
    answer, take the usual types at once and leave all else, and its errors, to the package.
    """
    call = library.call_function
    match name, picks, constants:
        case "translate", (_, pick), (str(table_name), _):
            table = library.tables.get(table_name, {})
            return lambda value: (
                table.get(found)
                if type(found := pick(value)) is str
                else None
                if found is None
                else call(name, [table_name, found])
            )
        case "to_string" | "text", (pick,), _:
            return lambda value: (
                found
                if type(found := pick(value)) is str
                else int.__repr__(found)
                if type(found) is int
                else call(name, [found])
            )
        case "trim", (pick,), _:
            return lambda value: (
                found.strip() or None
                if type(found := pick(value)) is str
                else int.__repr__(found)
                if type(found) is int
                else call(name, [found])
            )
        case "list", (pick,), _:
            return lambda value: found if type(found := pick(value)) is list else call(name, [found])
        case "month", (pick,), _:

            def month(value: Any) -> Any:
                found = pick(value)
                if type(found) is str and len(found) == 6 and found.isascii() and found.isdigit():
                    year, number = found[:4], found[4:]
                    if "01" <= number <= "12" and year != "0000":
                        return f"{year}-{number}"
                return call(name, [found])

            return month
        case "cut", (pick, _, _), (_, int(first), int(end)):
            return lambda value: (
                found[first:end] if type(found := pick(value)) is str else call(name, [found, first, end])
            )
        case "replace", (pick, _, _), (_, str(old), str(new)):
            return lambda value: (
                found.replace(old, new) if type(found := pick(value)) is str else call(name, [found, old, new])
            )
    return cast(Callable[[Any], Any] | None, None)

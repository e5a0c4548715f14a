"""Files of what is published: JSON (a list of objects) and CSV (a heading, then a row an item), with their lines."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridgectl.language import tr
from protocol.errors import BridgeError
from protocol.files import BOM
from protocol.spreadsheets import meant, safe

_BLANK = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Row:
    """One item, and the line where it begins."""

    line: int
    values: Mapping[str, Any] = field(repr=False)


def parsed(data: bytes, name: str, kind: str = "") -> tuple[list[Row], bool]:
    """The rows of a file, and whether all their values are texts (CSV). `kind`: of those that do not say theirs.

    Raises BridgeError naming file and line.
    """
    try:
        text = data.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BridgeError(tr("{name}:{line}: is not UTF-8", name=name, line=line)) from None
    texts = name.lower().endswith(".csv")
    rows = list(_sheet(text, name) if texts else _objects(text, name))
    if not rows:
        raise BridgeError(tr("{name}: has no rows", name=name))
    if kind:
        rows = [Row(row.line, {**row.values, "kind": row.values.get("kind") or kind}) for row in rows]
    return rows, texts


def _objects(text: str, name: str) -> Iterator[Row]:
    decoder = json.JSONDecoder(parse_constant=_no_number)

    def wrong(at: int, why: str) -> BridgeError:
        return BridgeError(f"{name}:{text.count(chr(10), 0, at) + 1}: {why}")

    def after_blank(at: int) -> int:
        found = _BLANK.match(text, at)
        return found.end() if found else at

    at = after_blank(0)
    if text[at : at + 1] != "[":
        raise wrong(at, tr("a list of objects is expected"))
    at = after_blank(at + 1)
    if text[at : at + 1] == "]":
        return
    while True:
        begin = at
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise wrong(error.pos, tr("is not JSON: {reason}", reason=error.msg)) from None
        except (ValueError, RecursionError):
            raise wrong(
                begin, tr("is not JSON: {reason}", reason="a number that is none, or nested too deep")
            ) from None
        if not isinstance(value, dict):
            raise wrong(begin, tr("an object of fields is expected"))
        yield Row(text.count("\n", 0, begin) + 1, value)
        at = after_blank(at)
        mark = text[at : at + 1]
        at = after_blank(at + 1)
        if mark == "]":
            if at < len(text):
                raise wrong(at, tr("nothing is expected after the list"))
            return
        if mark != ",":
            raise wrong(at - 1 if mark else len(text), tr("is not JSON: {reason}", reason="',' or ']' is missing"))


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _sheet(text: str, name: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    heading: list[str] = []
    begin = 1
    try:
        for cells in reader:
            line, begin = begin, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not heading:
                heading = [cell.strip() for cell in cells]
                if len(set(heading)) < len(heading) or not all(heading):
                    raise BridgeError(
                        tr("{name}:{line}: the heading has a name twice, or an empty one", name=name, line=line)
                    )
                continue
            if len(cells) > len(heading):
                raise BridgeError(tr("{name}:{line}: has more cells than the heading", name=name, line=line))
            yield Row(line, dict(zip(heading, map(meant, cells), strict=False)))
    except csv.Error as error:
        raise BridgeError(
            tr("{name}:{line}: is not CSV: {reason}", name=name, line=reader.line_num, reason=error)
        ) from None


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """The reverse; a list has its parts on lines of their own. What staff wrote runs in no spreadsheet."""
    made = io.StringIO(newline="")
    writer = csv.writer(made)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([safe(_cell(row.get(column))) for column in columns])
    return made.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "\n".join(_area(one) if isinstance(one, dict) else str(one) for one in value)
    return str(value)


def _area(area: Mapping[str, Any]) -> str:
    streets = ", ".join(area.get("streets") or ())
    return f"{area['area']} {area['name']}" + (f": {streets}" if streets else "")

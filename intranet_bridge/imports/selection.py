"""Which rows an answer is made of. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from intranet_bridge.imports.section import AnswerSection

Row = Mapping[str, Any]


def selected(rows: Iterable[Row], section: AnswerSection, request: Mapping[str, Any]) -> list[Row]:
    """Those that the request is about, in order. What the request leaves out chooses nothing."""
    where = [(fields, request[name]) for name, fields in section.where.items() if request.get(name) is not None]
    search = [
        (fields, str(request[name]).casefold())
        for name, fields in section.search.items()
        if request.get(name) is not None
    ]
    found = [
        row
        for row in rows
        if all(any(_is(row.get(one), wanted) for one in fields) for fields, wanted in where)
        and all(any(word in str(row.get(one) or "").casefold() for one in fields) for fields, word in search)
    ]
    if section.sort is not None:
        found.sort(key=lambda row: _order(row.get(section.sort or "")), reverse=section.descending)
    return found


def page_of(rows: Sequence[Row], request: Mapping[str, Any]) -> Sequence[Row]:
    """The page that is asked for; all, where requests have none."""
    number, size, limit = request.get("page"), request.get("page_size"), request.get("limit")
    if isinstance(number, int) and isinstance(size, int):
        return rows[(number - 1) * size : number * size]
    return rows[:limit] if isinstance(limit, int) else rows


def _is(value: Any, wanted: Any) -> bool:
    return wanted in value if isinstance(value, list) else bool(value == wanted)


def _order(value: Any) -> tuple[int, Any, str]:
    """Numbers by their size, then texts, then what is not there."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, value, ""
    return (1, 0, value) if isinstance(value, str) else (2, 0, "")

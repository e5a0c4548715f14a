"""Where the rows of an import come from, page by page; each page says where the next one begins."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError

from intranet_bridge.imports.section import ImportSection
from intranet_bridge.marketing import Adapter, Answered, MarketingRequest, Refused
from intranet_bridge.marketing.expressions.mapping import MappingError, compiled, truth
from intranet_bridge.marketing.kind import System
from intranet_bridge.marketing.sql.database import Lost, NotSent
from intranet_bridge.marketing.sql.kind import OpenSqlSystem
from intranet_bridge.marketing.sql.reading import Reading
from intranet_bridge.marketing.sql.values import UnreadableRows
from protocol.messages import uuid7
from protocol.operations import CATALOGUE
from protocol.runtime.clock import Clock

Cursor = int | str | list[int]


class Unread(Exception):
    """The source cannot be read now. Says nothing of its content."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it is kept."""

    key: str = field(repr=False)
    body: Mapping[str, Any] | None = field(repr=False)
    """None: it is gone."""


@dataclass(frozen=True, slots=True)
class Page:
    """What was read at a time."""

    rows: Sequence[Row]
    cursor: Cursor
    """Where the next one begins."""
    more: bool


class Source(Protocol):
    """Of one import."""

    async def page(self, cursor: Cursor) -> Page:
        """The rows from there. Raises Unread."""


class Rows:
    """Makes rows of what was read."""

    def __init__(self, section: ImportSection) -> None:
        self._row = compiled(section.row)

    def of(self, read: Any) -> Row:
        """One. Raises Unread."""
        try:
            found = self._row(read)
        except MappingError as error:
            raise Unread(f"row: {error}") from None
        if not isinstance(found, dict):
            raise Unread("row gave no object")
        key = found.get("key")
        if isinstance(key, bool) or not isinstance(key, int | str) or not 0 < len(str(key)) <= 128:
            raise Unread("row gave no key: a number, or a text of 1 to 128 characters")
        return Row(str(key), None if truth(found.get("deleted")) else found)


class SqlSource:
    """A statement of a database."""

    def __init__(self, section: ImportSection, system: Callable[[], System | None]) -> None:
        assert section.query is not None, "checked by the settings"
        self._section, self._system, self._rows = section, system, Rows(section)
        columns = {one.lower() for one in section.json_columns}
        self._reading = Reading({"rows": section.query}, section.batch, columns)

    async def page(self, cursor: Cursor) -> Page:
        """See Source."""
        system, section = self._system(), self._section
        if not isinstance(system, OpenSqlSystem):
            raise Unread(f"there is no database {section.system}")
        try:
            given = {"cursor": cursor, "batch": section.batch}
            answer = await system.read(self._reading, given, section.timeout_s)
        except (NotSent, UnreadableRows) as error:
            raise Unread(str(error)) from None
        except Lost as lost:
            raise Unread(lost.reason) from None
        except SQLAlchemyError as error:
            raise Unread(system.failure(error)) from None
        read = answer["rows"]
        before, more = cursor, len(read) >= section.batch
        for one in read:
            found = next((value for name, value in one.items() if name.lower() == "cursor"), None)
            if isinstance(found, bool) or not isinstance(found, int | str):
                raise Unread("a row has no column cursor that is a number or a text")
            if type(found) is not type(cursor):
                raise Unread("the column cursor is of another type than `start`")
            if found == cursor or (isinstance(found, int) and isinstance(cursor, int) and found < cursor):
                raise Unread("the rows do not come in the order of their column cursor, each with another")
            before, cursor = cursor, found
        if more and len(read) > 1:
            # the last is read once more with those after it: one of the same cursor among them is seen
            read, cursor = read[:-1], before
        return Page([self._rows.of(one) for one in read], cursor, more)


class OperationSource:
    """A query of the catalogue, asked by what it is bound to. The cursor is which request, and which page of it."""

    def __init__(self, section: ImportSection, under: Callable[[str], Adapter | None], clock: Clock) -> None:
        self._section, self._under, self._clock = section, under, clock
        self._rows, self._items = Rows(section), compiled(section.items)
        fields = CATALOGUE[section.operation].request.model_fields
        self._paged = "page" in fields and "page_size" in fields

    async def page(self, cursor: Cursor) -> Page:
        """See Source."""
        section = self._section
        request, number = cursor if isinstance(cursor, list) else (0, 1)
        entry, adapter = CATALOGUE[section.operation], self._under(section.operation)
        if adapter is None:
            raise Unread(f"{section.operation} is bound to nothing")
        given = dict(section.requests[request])
        if self._paged:
            given["page"] = number
        body = entry.requests.validate_python(given)
        asked = MarketingRequest(uuid7(self._clock(), os.urandom(10)), body)
        outcome = await adapter.call(asked, min(adapter.timeout_s, section.timeout_s))
        match outcome:
            case Answered(result):
                answer = json.loads(result)
            case Refused(code):
                raise Unread(f"refused: {code}")
            case _:
                raise Unread(outcome.reason)
        try:
            found = self._items(answer)
        except MappingError as error:
            raise Unread(f"items: {error}") from None
        if not isinstance(found, list):
            raise Unread("items gave no list")
        further = self._paged and _goes_on(answer, number, body.page_size)
        following = [request, number + 1] if further else [request + 1, 1]
        return Page([self._rows.of(one) for one in found], following, following[0] < len(section.requests))


def _goes_on(answer: Mapping[str, Any], number: int, size: int) -> bool:
    """Whether there is a page after this one: by the rows that came, whichever of them `items` takes. Raises Unread if
    there is none, and not all of the rows that it counts came: a part of a list must not take the place of the whole.
    """
    came = max((len(value) for value in answer.values() if isinstance(value, list)), default=0)
    if came >= size:
        return True
    count, before = answer.get("count", answer.get("total")), (number - 1) * size
    if isinstance(count, int) and before + came < count:
        raise Unread(
            f"page {number} ends at row {before + came} of {count}: the source gives fewer than page_size = {size}"
        )
    return False


def source_of(
    section: ImportSection, system: Callable[[str], System | None], under: Callable[[str], Adapter | None], clock: Clock
) -> Source:
    """Of an import."""
    if section.operation:
        return OperationSource(section, under, clock)
    return SqlSource(section, lambda: system(section.system or ""))

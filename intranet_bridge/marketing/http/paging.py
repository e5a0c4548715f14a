"""An answer that comes in pages: which page is asked next, and the pages as one answer. Pure."""

from typing import Any

from intranet_bridge.marketing.expressions.mapping import condition, optional, truth
from intranet_bridge.marketing.http.binding import PagingSection


class PagesError(Exception):
    """The pages make no whole. Says nothing of their content."""


class Pages:
    """The pages of one answer, as they come."""

    def __init__(self, section: PagingSection) -> None:
        self._section, self._path = section, section.items.split(".")
        self._cursor_of = optional(section.cursor, {})
        self._more = None if section.more is None else condition(section.more, {})
        self._first: Any = None
        self._items: list[Any] = []
        self._latest: list[Any] = []
        self._number, self._cursor = 1, None

    @property
    def asks(self) -> dict[str, Any]:
        """What expressions of the next page's request see as `paging`."""
        size = self._section.size
        return {"number": self._number, "offset": len(self._items), "cursor": self._cursor, "size": size}

    def took(self, answer: Any) -> Any:
        """The whole answer, if this page was the last, else None. Raises PagesError, MappingError."""
        section = self._section
        found = items_at(answer, self._path)
        if found and found == self._latest:
            raise PagesError("a page that was there before came again")
        self._items += found
        if len(self._items) > section.items_max:
            raise PagesError("more items than paging.items_max")
        if self._number == 1:
            self._first = answer
        if not self._goes_on(answer, found):
            return answer if self._number == 1 else with_items(self._first, self._path, self._items)
        if self._number == section.pages_max:
            raise PagesError("more pages than paging.pages_max")
        self._latest = found
        self._number += 1
        return None

    def _goes_on(self, answer: Any, found: list[Any]) -> bool:
        if self._cursor_of is not None:
            cursor = self._cursor_of(answer)
            if cursor is None or cursor == "":
                return False
            if cursor == self._cursor:
                raise PagesError("the cursor stays where it was")
            self._cursor = cursor
            return True
        if self._more is not None:
            return truth(self._more(answer))
        return len(found) >= self._section.size


def items_at(answer: Any, path: list[str]) -> list[Any]:
    """The items there: of null and "" none, one that is no list is the only one."""
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    if isinstance(answer, list):
        return answer
    return [] if answer is None or answer == "" else [answer]


def with_items(answer: Any, path: list[str], items: list[Any]) -> Any:
    """The answer with other items there; what is no object on the way becomes one."""
    if not path:
        return items
    around = answer if isinstance(answer, dict) else {}
    return around | {path[0]: with_items(around.get(path[0]), path[1:], items)}

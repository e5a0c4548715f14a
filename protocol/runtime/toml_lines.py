"""Where each key and each item of a list stands in a TOML text, which tomllib does not tell. Pure.

Takes texts that tomllib has read: of another it says nothing that can be relied on.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence

Place = tuple[int | str, ...]
"""Of a setting, from the file's root: names of tables and keys, and numbers of items from 0."""

_TOKEN = re.compile(
    r"""[ \t\r]+ | \#[^\n]*
    | (?P<string> \"{3}(?:[^\\]|\\.)*?\"{3,5} | '{3}.*?'{3,5} | "(?:[^"\\\n]|\\.)*" | '[^'\n]*')
    | (?P<mark> [\[\]{},=\n])
    | (?P<bare> [^\s\[\]{},=\#"']+)""",
    re.DOTALL | re.VERBOSE,
)
_END = "\n"


def deepest(text: str, place: Sequence[int | str]) -> tuple[int, int | None]:
    """How much of `place` the text has, and the line where that stands; 0 and None if nothing of it is there."""
    wanted = [str(part) for part in place]
    found: tuple[int, int | None] = (0, None)
    for here, line in places(text):
        if len(here) > found[0] and [str(part) for part in here] == wanted[: len(here)]:
            found = (len(here), line)
    return found


def places(text: str) -> Iterator[tuple[Place, int]]:
    """Each table, key and item of a list with its line, in their order."""
    return _Reading(text).places()


class _Reading:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def places(self) -> Iterator[tuple[Place, int]]:
        table: Place = ()
        items: dict[Place, int] = {}
        while self._at < len(self._tokens):
            kind, said, line = self._tokens[self._at]
            if said == _END and kind == "mark":
                self._at += 1
            elif said == "[" and kind == "mark":
                self._at += 1
                is_item = self._next_is("[")
                names = self._names("]")
                if is_item:
                    self._at += 1  # the second bracket
                table = _resolved(names, items, is_item=is_item)
                for depth in range(1, len(table) + 1):
                    yield table[:depth], line
            else:
                yield from self._setting(table)

    def _setting(self, above: Place) -> Iterator[tuple[Place, int]]:
        line = self._tokens[self._at][2]
        place = above
        for name in self._names("="):
            place = (*place, name)
            yield place, line
        yield from self._value(place)

    def _value(self, place: Place) -> Iterator[tuple[Place, int]]:
        if self._next_is("["):
            number = 0
            while not self._ended("]"):
                item = (*place, number)
                yield item, self._tokens[self._at][2]
                yield from self._value(item)
                number += 1
        elif self._next_is("{"):
            while not self._ended("}"):
                yield from self._setting(place)
        else:
            while self._at < len(self._tokens) and not (
                self._tokens[self._at][0] == "mark" and self._tokens[self._at][1] in ",]}\n"
            ):
                self._at += 1

    def _ended(self, mark: str) -> bool:
        """Past commas and ends of lines: whether `mark` closes it here, which is passed too."""
        while self._next_is(",") or self._next_is(_END):
            pass
        return self._at >= len(self._tokens) or self._next_is(mark)

    def _next_is(self, mark: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][:2] == ("mark", mark):
            self._at += 1
            return True
        return False

    def _names(self, end: str) -> list[str]:
        """The parts of a key, past the mark that ends it."""
        names: list[str] = []
        while self._at < len(self._tokens):
            kind, said, _ = self._tokens[self._at]
            self._at += 1
            if kind == "string":
                names.append(tomllib.loads(f"key = {said}")["key"])
            elif kind == "bare":
                names += [part for part in said.split(".") if part]
            elif said == end:
                break
        return names


def _resolved(names: Sequence[str], items: dict[Place, int], *, is_item: bool) -> Place:
    """The place of a header: of a list of tables its latest item is meant, or, if it `is_item`, one more."""
    place: Place = ()
    for number, name in enumerate(names, 1):
        place = (*place, name)
        if is_item and number == len(names):
            items[place] = items.get(place, -1) + 1
        if place in items:
            place = (*place, items[place])
    return place


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    line = 1
    for found in _TOKEN.finditer(text):
        if found.lastgroup is not None:
            yield found.lastgroup, found[0], line
        line += found[0].count("\n")

"""Links of a Markdown page, outside its blocks of code."""

import re
from collections.abc import Callable, Iterator

_CODE = re.compile(r"^ *(`{3,}|~{3,}).*?^ *\1 *$|`[^`\n]+`", re.M | re.S)
_TARGET = re.compile(r"(?<=\]\()[^)\s]+(?=(?:\s+\"[^\"]*\")?\))")


def targets(text: str) -> Iterator[str]:
    """As they are written: `../README.md#title`."""
    for piece, is_code in _pieces(text):
        if not is_code:
            yield from _TARGET.findall(piece)


def relinked(text: str, change: Callable[[str], str]) -> str:
    """The page with each target as `change` gives it."""

    return "".join(
        piece if is_code else _TARGET.sub(lambda match: change(match.group()), piece)
        for piece, is_code in _pieces(text)
    )


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    end = 0
    for code in _CODE.finditer(text):
        yield text[end : code.start()], False
        yield code.group(), True
        end = code.end()
    yield text[end:], False

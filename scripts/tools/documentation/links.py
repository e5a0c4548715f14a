"""Links and lines of a Markdown page, outside its code."""

import re
from collections.abc import Callable, Iterator

_CODE = re.compile(r"^ *(`{3,}|~{3,}).*?^ *\1 *$|`[^`\n]+`", re.M | re.S)
_TARGET = re.compile(r"(?<=\]\()[^)\s]+(?=(?:\s+\"[^\"]*\")?\))")

_CHINESE = r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef“”‘’…]"
_BREAK = re.compile(rf"(?<={_CHINESE})\n *(?={_CHINESE})")


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


def joined(text: str) -> str:
    """The page without the ends of lines between Chinese characters, where a browser would show a blank."""
    return "".join(piece if is_code else _BREAK.sub("", piece) for piece, is_code in _pieces(text))


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    end = 0
    for code in _CODE.finditer(text):
        yield text[end : code.start()], False
        yield code.group(), True
        end = code.end()
    yield text[end:], False

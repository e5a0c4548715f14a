"""Text in the cells of a terminal: a Chinese character takes two."""

import textwrap
from collections.abc import Iterator

_NOT_FIRST = frozenset("，。、；：！？）》」』】”’,.;:!?)]}%")
"""A line does not begin with one of these."""


def width(text: str) -> int:
    """Cells that `text` takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def left(text: str, cells: int) -> str:
    """`text`, filled up with blanks to so many cells."""
    return text + " " * (cells - width(text))


def wrapped(text: str, cells: int) -> list[str]:
    """Lines of at most so many cells: between words, and between Chinese characters. A word that is longer stays whole,
    so that commands and paths can be copied.
    """
    if text.isascii():
        return textwrap.wrap(text, cells, break_long_words=False, break_on_hyphens=False) or [""]
    lines = [""]
    for part in _parts(text):
        if width(lines[-1] + part.rstrip()) > cells and lines[-1]:
            lines[-1] = lines[-1].rstrip()
            lines.append(part.lstrip())
        else:
            lines[-1] += part
    return [line.rstrip() for line in lines]


def _parts(text: str) -> Iterator[str]:
    """What a line is not broken within: words with the blank after them, wide characters with what
    may not begin a line.
    """
    part = ""
    text = " ".join(text.split())
    for at, character in enumerate(text):
        part += character
        after = text[at + 1 : at + 2]
        if after in _NOT_FIRST or after == " ":
            continue
        if character == " " or width(character) > 1 or (after and width(after) > 1):
            yield part
            part = ""
    if part:
        yield part

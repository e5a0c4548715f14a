"""Tables for spreadsheets: CSV that they open as it is meant, in which no text is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from unicodedata import category

_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
"""The wide forms too: spreadsheets of Chinese and Japanese take them for the narrow ones."""
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
"""Categories (Unicode) of characters that nobody sees, or that are blank."""


def safe(words: str) -> str:
    """The words; with an apostrophe in front where they begin, perhaps after blanks, as a formula does. (Also where
    apostrophes stand before that, so that `meant` has the words back.)
    """
    return f"'{words}" if _would_run(words) else words


def meant(cell: str) -> str:
    """The reverse: what `safe` was given."""
    return cell[1:] if cell.startswith("'") and _would_run(cell[1:]) else cell


def _would_run(words: str) -> bool:
    for one in words:
        if one in _FORMULA:
            return True
        if one != "'" and category(one) not in _UNSEEN:
            break
    return False


def as_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """UTF-8 with a byte order mark, which spreadsheets know it by, and CRLF (RFC 4180). Cells are written as they are:
    an amount may be negative, so who has a text calls `safe`.
    """
    body = io.StringIO()
    writer = csv.writer(body)
    writer.writerow(header)
    writer.writerows(rows)
    return body.getvalue().encode("utf-8-sig")

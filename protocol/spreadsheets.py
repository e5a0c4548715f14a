"""Tables for spreadsheets: CSV that they open as it is meant, in which no text is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_BLANKS = " \u00a0\u200b\u3000\ufeff"


def safe(words: str) -> str:
    """The words; with an apostrophe in front where they begin, perhaps after blanks, as a formula does."""
    return f"'{words}" if words.lstrip(_BLANKS).startswith(_FORMULA) else words


def as_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """UTF-8 with a byte order mark, which spreadsheets know it by, and CRLF (RFC 4180). Cells are written as they are:
    an amount may be negative, so who has a text calls `safe`.
    """
    body = io.StringIO()
    writer = csv.writer(body)
    writer.writerow(header)
    writer.writerows(rows)
    return body.getvalue().encode("utf-8-sig")

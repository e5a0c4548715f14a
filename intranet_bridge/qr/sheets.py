"""Reading an uploaded sheet of account numbers, and the template for one. Pure: bytes in, verdicts out.

Excel keeps a number as a float and shows it as it likes, so what was typed is not always what is stored: a leading zero
is lost, the 16th digit too. A cell is therefore judged by the type it is *stored* with, and what may have lost
something gets no code:

==================  ====================================================================================================
`ok`                text of the company's form; or a number with just `account_digits` digits, where that is fixed
`number-cell`       a number, and a leading zero may be lost
`precision-lost`    a number of 16 digits or more (10¹⁵ on): Excel keeps 15
`scientific`        text such as `3.21E+12`
`formula`           a formula
`not-digits`        text that is not of the form: full-width digits, path characters, too few
`not-text`          a truth value, a date, an error
`empty`             nothing, while later rows have something
`duplicate`         the account was there already; one code is made
==================  ====================================================================================================

`no-such-account` and `account-closed` are the marketing system's to say, later. Bad rows never stop good ones; a file
that is no sheet, or is not to be trusted, is refused whole (`SheetRefused`).

Sheets are hostile: the ZIP may be a bomb, the XML may define entities. The caller reads them in a process of their own
(drawing.py), with bounds on time and memory. openpyxl reads row by row (`read_only`) with defusedxml; it
believes the extent a sheet claims, and WPS writes `A1`, so that is reset. (calamine is faster and cannot tell a formula
from nothing.)
"""

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import defusedxml.common
import openpyxl
import openpyxl.cell
from openpyxl.styles import Font
from openpyxl.utils.exceptions import InvalidFileException

from protocol.values import immutable

HEADER = "用户编号"
"""What stands in A1."""
MOST_ROWS = 20_000
MOST_BYTES = 10 * 1024 * 1024
MOST_UNPACKED_BYTES = 100 * 1024 * 1024
MOST_MEMBERS = 1000
MOST_TEXT = 64
"""Characters of a cell that are kept: no account is longer."""
_EXACT = 10**15
_MARKUP = 4096
"""Bytes at the beginning of an XML part in which a document type would have to stand."""

_DOCUMENT_TYPE = re.compile(rb"<!(?!--|\[CDATA\[)")
_BLANKS = " \t\r\n\u00a0\u200b"
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?[eE][+-]?[0-9]+")


class Verdict(StrEnum):
    """What became of a row."""

    OK = "ok"
    NUMBER_CELL = "number-cell"
    PRECISION_LOST = "precision-lost"
    SCIENTIFIC = "scientific"
    FORMULA = "formula"
    NOT_DIGITS = "not-digits"
    NOT_TEXT = "not-text"
    EMPTY = "empty"
    DUPLICATE = "duplicate"
    NO_SUCH_ACCOUNT = "no-such-account"
    ACCOUNT_CLOSED = "account-closed"
    NOT_CHECKED = "not-checked"
    """The marketing system did not say whether there is such an account."""


class SheetRefused(Exception):
    """The file is not taken at all; `code` says why, for programs."""

    def __init__(self, code: str) -> None:
        """`code`: `not-xlsx`, `too-large`, `too-many-rows`, `wrong-header` or `no-rows`."""
        super().__init__(code)
        self.code = code


@immutable
class Row:
    """One row of the sheet."""

    number: int
    """As in Excel: the header is 1."""
    verdict: Verdict
    account: str = ""
    """The account number where the verdict is ok or duplicate; else the cell's text, cut off."""


@immutable
class Form:
    """What a company's account numbers look like."""

    pattern: re.Pattern[str]
    digits: int | None = None
    """How many digits each has; then a number cell with just so many has lost nothing."""


def judged(value: object, kind: str, form: Form) -> tuple[Verdict, str]:
    """What a cell says: `ok` with the account, or what is wrong with it. `kind`: openpyxl's data type."""
    if kind == "f":
        return Verdict.FORMULA, ""
    if value is None:
        return Verdict.EMPTY, ""
    if isinstance(value, bool) or kind in ("b", "e", "d"):
        return Verdict.NOT_TEXT, str(value)[:MOST_TEXT]
    if isinstance(value, (int, float)):
        return _number(value, form)
    if not isinstance(value, str):
        return Verdict.NOT_TEXT, str(value)[:MOST_TEXT]
    text = value.strip(_BLANKS).removeprefix("'")
    if not text:
        return Verdict.EMPTY, ""
    if form.pattern.fullmatch(text):
        return Verdict.OK, text
    verdict = Verdict.SCIENTIFIC if _SCIENTIFIC.fullmatch(text) else Verdict.NOT_DIGITS
    return verdict, text[:MOST_TEXT]


def _number(value: float, form: Form) -> tuple[Verdict, str]:
    if abs(value) >= _EXACT:
        return Verdict.PRECISION_LOST, str(value)[:MOST_TEXT]
    text = str(int(value)) if value == int(value) else str(value)
    fits = form.digits is not None and len(text) == form.digits and form.pattern.fullmatch(text)
    return (Verdict.OK if fits else Verdict.NUMBER_CELL), text[:MOST_TEXT]


def read(data: bytes, form: Form) -> list[Row]:
    """Every row of the first visible sheet, to the last that says something. Raises SheetRefused."""
    _sound(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions that openpyxl does not know
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
            try:
                return list(_rows(_first_visible(book), form))
            finally:
                book.close()
    except SheetRefused:
        raise
    except (MemoryError, RecursionError) as error:
        raise SheetRefused("too-large") from error
    except _UNREADABLE as error:
        raise SheetRefused("not-xlsx") from error


_UNREADABLE = (
    InvalidFileException, defusedxml.common.DefusedXmlException, zipfile.BadZipFile, SyntaxError, KeyError, ValueError,
    TypeError, AttributeError, IndexError, OSError, EOFError, NotImplementedError, OverflowError,
)  # fmt: skip
"""What openpyxl and zipfile raise for files that only look like sheets (XML's ParseError is a SyntaxError)."""


def _sound(data: bytes) -> None:
    """Whether it is a ZIP of an Excel workbook within bounds. Raises SheetRefused."""
    if len(data) > MOST_BYTES:
        raise SheetRefused("too-large")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS or sum(member.file_size for member in members) > MOST_UNPACKED_BYTES:
                raise SheetRefused("too-large")  # zipfile unpacks no more of a member than it declares
            names = {member.filename for member in members}
            if len(names) < len(members) or not {"[Content_Types].xml", "xl/workbook.xml"} <= names:
                raise SheetRefused("not-xlsx")
            if any(name.endswith("vbaProject.bin") for name in names):
                raise SheetRefused("not-xlsx")
            for member in members:
                if member.filename.endswith((".xml", ".rels")):
                    with archive.open(member) as part:
                        head = part.read(_MARKUP)
                    if _DOCUMENT_TYPE.search(head) or b"\0" in head:
                        raise SheetRefused("not-xlsx")  # a document type; or UTF-16, in which it would not be seen
    except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError):
        raise SheetRefused("not-xlsx") from None


def _first_visible(book: Any) -> Any:
    for sheet in book.worksheets:
        if sheet.sheet_state == "visible":
            return sheet
    raise SheetRefused("not-xlsx")


def _rows(sheet: Any, form: Form) -> Iterator[Row]:
    sheet.reset_dimensions()  # WPS claims A1; openpyxl would believe it and stop there
    cells = enumerate(sheet.iter_rows(min_col=1, max_col=1), start=1)
    first = next(cells, None)
    title = first[1][0].value if first and first[1] else None
    if not isinstance(title, str) or title.strip(_BLANKS) != HEADER:
        raise SheetRefused("wrong-header")
    seen: set[str] = set()
    yielded = gap = 0
    for number, row in cells:
        cell = row[0] if row else None
        verdict, account = (
            (Verdict.EMPTY, "") if cell is None else judged(cell.value, getattr(cell, "data_type", "n"), form)
        )
        if verdict is Verdict.EMPTY:
            gap += 1  # of rows that only have a format there may be a million at the end
            continue
        yielded += gap + 1
        if yielded > MOST_ROWS:
            raise SheetRefused("too-many-rows")
        yield from (Row(at, Verdict.EMPTY) for at in range(number - gap, number))
        gap = 0
        if verdict is Verdict.OK:
            if account in seen:
                verdict = Verdict.DUPLICATE
            seen.add(account)
        yield Row(number, verdict, account)
    if not yielded:
        raise SheetRefused("no-rows")


def template() -> bytes:
    """An empty sheet to fill in: the header, and a column that keeps what is typed as text."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = HEADER
    sheet["A1"] = HEADER
    sheet["A1"].font = Font(bold=True)
    sheet.column_dimensions["A"].width = 24
    for (cell,) in sheet.iter_rows(min_row=1, max_row=1000, min_col=1, max_col=1):
        cell.number_format = "@"
    sheet.column_dimensions["A"].number_format = "@"
    sheet.freeze_panes = "A2"
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def exported(text: str) -> str:
    """A cell of an exported table: what a spreadsheet would take for a formula gets an apostrophe in front."""
    bare = text.lstrip(" \u00a0\u200b\u3000\ufeff")
    return f"'{text}" if bare.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text

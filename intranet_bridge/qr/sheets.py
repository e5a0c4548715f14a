"""Reading an uploaded sheet of account numbers, and the template for one. Pure: bytes in, verdicts (verdicts.py) out.

Sheets are hostile: the ZIP may be a bomb, the XML may define entities. The caller reads them in a process of their own
(drawing.py), with bounds on time and memory. openpyxl reads row by row (`read_only`) with defusedxml; it
believes the extent a sheet claims, and WPS writes `A1`, so that is reset. (calamine is faster and cannot tell a formula
from nothing.)
"""

import io
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import defusedxml.common
import openpyxl
from openpyxl.styles import Font
from openpyxl.utils.exceptions import InvalidFileException

from intranet_bridge.qr.verdicts import BLANKS, Form, Row, SheetRefused, Verdict, judged
from protocol.qr import MOST_SHEET_BYTES

HEADER = "用户编号"
"""What stands in A1."""
MOST_ROWS = 20_000
MOST_UNPACKED_BYTES = 100 * 1024 * 1024
MOST_MEMBERS = 1000
_MARKUP = 4096
"""Bytes at the beginning of an XML part in which a document type would have to stand."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How members of a workbook may be packed (ECMA-376-2 has no other)."""
_DAMAGED = (
    zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError,
    LookupError, zlib.error, struct.error,
)  # fmt: skip
_DOCUMENT_TYPE = re.compile(rb"<!(?!--|\[CDATA\[)")


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
    TypeError, AttributeError, IndexError, OSError, EOFError, NotImplementedError, OverflowError, zlib.error,
)  # fmt: skip
"""What openpyxl and zipfile raise for files that only look like sheets (XML's ParseError is a SyntaxError)."""


def _sound(data: bytes) -> None:
    """Whether it is a ZIP of an Excel workbook within bounds. Raises SheetRefused."""
    if len(data) > MOST_SHEET_BYTES:
        raise SheetRefused("too-large")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if any(member.compress_type not in _METHODS for member in members):
                raise SheetRefused("not-xlsx")
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
    except _DAMAGED:
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
    if not isinstance(title, str) or title.strip(BLANKS) != HEADER:
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

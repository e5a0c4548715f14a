"""A table that an accountant downloads: CSV, or a sheet (XLSX) that keeps long numbers as they are. No text of either
is taken for a formula (protocol/spreadsheets.py).
"""

import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from protocol.money import text
from protocol.spreadsheets import as_csv, safe
from protocol.values import immutable

KINDS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""By the ending of the file's name."""
_YUAN = "#,##0.00"
_WIDTHS = (8, 40)
"""Of columns: from, to; characters."""


@immutable
class Fen:
    """A cell with an amount; empty: none."""

    value: int | None


Cell = str | Fen


def csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Amounts are yuan with two decimals, without groups."""
    return as_csv(header, ([_words(cell) for cell in row] for row in rows))


def _words(cell: Cell) -> str:
    if isinstance(cell, Fen):
        return "" if cell.value is None else text(cell.value)
    return safe(cell)


def xlsx(title: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """A sheet whose texts are texts, and whose amounts are numbers of yuan. Takes a second for 20,000 rows."""
    rows = list(rows)
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for number, name in enumerate(header, 1):
        longest = max((_length(row[number - 1]) for row in rows), default=0)
        width = min(max(longest, 2 * len(name), _WIDTHS[0]), _WIDTHS[1])
        sheet.column_dimensions[get_column_letter(number)].width = width + 2
    heads = [WriteOnlyCell(sheet, name) for name in header]
    for head in heads:
        head.font = Font(bold=True)
    sheet.append(heads)
    for row in rows:
        sheet.append([_cell(sheet, cell) for cell in row])
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def _cell(sheet: Any, cell: Cell) -> Any:
    if isinstance(cell, Fen):
        yuan: Any = None if cell.value is None else Decimal(cell.value) / 100  # which its types do not know
        made = WriteOnlyCell(sheet, yuan)
        made.number_format = _YUAN
        return made
    made = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", safe(cell)))
    made.data_type = "s"
    made.number_format = "@"
    return made


def _length(cell: Cell) -> int:
    words = _words(cell)
    return sum(2 if ord(one) > 0x2E7F else 1 for one in words)

"""Tables that an accountant downloads: what a spreadsheet makes of them."""

import io

import openpyxl

from intranet_bridge.desk.money import tables
from intranet_bridge.desk.money.tables import Fen

HEADER = ("交易号", "金额（元）", "原因")
ROWS = [
    ("4200002468202611240000000001", Fen(-123_450), '=HYPERLINK("http://x")'),
    ("0000000000003", Fen(None), " @SUM(A1)\x07"),
]


def test_a_csv_has_yuan_and_no_formula() -> None:
    lines = tables.csv(HEADER, ROWS).decode("utf-8").splitlines()
    assert lines == [
        "\ufeff交易号,金额（元）,原因", '4200002468202611240000000001,-1234.50,"\'=HYPERLINK(""http://x"")"',
        "0000000000003,,' @SUM(A1)\x07",
    ]  # fmt: skip


def test_a_sheet_keeps_long_numbers_and_counts_with_amounts() -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(tables.xlsx("差错", HEADER, ROWS))).active
    assert sheet is not None
    assert (sheet.title, sheet.freeze_panes) == ("差错", "A2")
    assert [tuple(cell.value for cell in row) for row in sheet.iter_rows()] == [
        HEADER, ("4200002468202611240000000001", -1234.5, "'=HYPERLINK(\"http://x\")"),
        ("0000000000003", None, "' @SUM(A1)"),
    ]  # fmt: skip
    kinds = [[cell.data_type for cell in row] for row in sheet.iter_rows(min_row=2)]
    assert kinds == [["s", "n", "s"], ["s", "n", "s"]]
    assert sheet["B2"].number_format == "#,##0.00"


def test_a_sheet_without_rows_has_its_header() -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(tables.xlsx("Items", HEADER, []))).active
    assert sheet is not None
    assert [tuple(cell.value for cell in row) for row in sheet.iter_rows()] == [HEADER]

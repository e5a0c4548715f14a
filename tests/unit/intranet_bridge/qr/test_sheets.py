"""Sheets of accounts: each cell's verdict, and files that are none."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from intranet_bridge.qr.sheets import HEADER, read, template
from intranet_bridge.qr.verdicts import Form, SheetRefused, Verdict, judged

SAMPLES = Path(__file__).parents[3] / "data" / "qr"
POWER = re.compile("[0-9]{10,13}")
FIXED, ANY = Form(POWER, 13), Form(POWER, None)


def sheet(fill: Callable[[Any], None], header: object = HEADER) -> bytes:
    book = openpyxl.Workbook()
    page: Any = book.active
    page["A1"] = header
    fill(page)
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def repacked(data: bytes, change: Callable[[str, bytes], bytes | None], **extra: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if (content := change(name, old.read(name))) is not None:
                new.writestr(name, content)
        for name, content in extra.items():
            new.writestr(name, content)
    return made.getvalue()


@pytest.mark.parametrize(("form", "which"), [(FIXED, "account_digits_13"), (ANY, "account_digits_unset")])
def test_excel_cell_table(form: Form, which: str) -> None:
    expected = json.loads((SAMPLES / "qr_accounts.expected.json").read_text())[which]
    rows = read((SAMPLES / "qr_accounts.xlsx").read_bytes(), form)
    closed = "3210000000007"  # the marketing system's to say
    found = {str(row.number): "account-closed" if row.account == closed else str(row.verdict) for row in rows}
    assert found == expected


def test_accounts_keep_their_zeros_and_lose_their_blanks() -> None:
    rows = read((SAMPLES / "qr_accounts.xlsx").read_bytes(), FIXED)
    good = [row.account for row in rows if row.verdict is Verdict.OK]
    assert good == ["3210000000001", "0310000000001", "3210000000003", "3210000000004", "3210000000007"]


def test_wps_dimension() -> None:
    expected = json.loads((SAMPLES / "qr_wps.expected.json").read_text())["account_digits_13"]
    rows = read((SAMPLES / "qr_wps.xlsx").read_bytes(), FIXED)
    assert {str(row.number): str(row.verdict) for row in rows} == expected


@pytest.mark.parametrize(
    ("value", "kind", "verdict"),
    [
        ("'3210000000001", "s", "ok"),
        ("\u00a03210000000001\t", "s", "ok"),
        ("''3210000000001", "s", "not-digits"),
        ("3210000000001\n3210000000002", "s", "not-digits"),
        ("321000000", "s", "not-digits"),
        ("1e5", "s", "scientific"),
        ("\u200b", "s", "empty"),
        (3210000000003.0, "n", "ok"),
        (3210000000003.5, "n", "number-cell"),
        (-3210000000003, "n", "number-cell"),
        (10**15, "n", "precision-lost"),
        (datetime(2026, 11, 24), "d", "not-text"),
        ("#N/A", "e", "not-text"),
        ("=A1", "f", "formula"),
        ("=A1", "s", "not-digits"),
    ],
)
def test_cells_by_their_stored_type(value: object, kind: str, verdict: str) -> None:
    assert judged(value, kind, FIXED)[0] == verdict


def test_water_accounts_have_hyphens_and_letters() -> None:
    water = Form(re.compile("[0-9]{8}|[A-Z][0-9]{5}-[0-9]"))
    assert judged("Z05396-0", "s", water) == (Verdict.OK, "Z05396-0")
    assert judged(54114172, "n", water) == (Verdict.NUMBER_CELL, "54114172")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        (SAMPLES / "qr_accounts_renamed.xlsx").read_bytes(),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),  # an encrypted or old workbook
        repacked(template(), lambda name, content: None, only=b"x"),
        repacked(template(), lambda name, content: content, **{"xl/vbaProject.bin": b"x"}),
        repacked(template(), lambda name, content: content[:200] if name.startswith("xl/worksheets") else content),
        repacked(template(), lambda name, content: b"<a/>" if name == "xl/workbook.xml" else content),
        repacked(
            template(),
            lambda name, content: b'<!DOCTYPE x [<!ENTITY a "b">]>' + content if "worksheets/" in name else content,
        ),
        repacked(
            template(),
            lambda name, content: content.decode().encode("utf-16") if "worksheets/" in name else content,
        ),
    ],
)
def test_what_is_no_workbook_is_refused(data: bytes) -> None:
    with pytest.raises(SheetRefused, match="not-xlsx"):
        read(data, FIXED)


def test_zip_bomb_refused() -> None:
    bomb = repacked(template(), lambda name, content: content, **{"xl/media/x.bin": bytes(101 * 1024 * 1024)})
    assert len(bomb) < 200_000
    with pytest.raises(SheetRefused, match="too-large"):
        read(bomb, FIXED)


def test_bounds_and_headers() -> None:
    with pytest.raises(SheetRefused, match="no-rows"):
        read(template(), FIXED)
    with pytest.raises(SheetRefused, match="wrong-header"):
        read(sheet(lambda page: None, "户号"), FIXED)
    with pytest.raises(SheetRefused, match="wrong-header"):
        read(sheet(lambda page: None, 7), FIXED)

    def many(page: Any) -> None:
        for number in range(20_001):
            page.cell(number + 2, 1, f"{number:013}")

    with pytest.raises(SheetRefused, match="too-many-rows"):
        read(sheet(many), FIXED)


def test_a_million_formatted_blank_rows_at_the_end_are_nothing() -> None:
    def far(page: Any) -> None:
        page["A2"] = "3210000000001"
        page["A1048576"].number_format = "@"

    assert [row.number for row in read(sheet(far), FIXED)] == [2]

    def gap(page: Any) -> None:
        page["A1048576"] = "3210000000001"

    with pytest.raises(SheetRefused, match="too-many-rows"):
        read(sheet(gap), FIXED)


def test_the_first_visible_sheet_is_read() -> None:
    book = openpyxl.Workbook()
    first: Any = book.active
    first.sheet_state = "hidden"
    page = book.create_sheet()
    page["A1"], page["A2"] = HEADER, "3210000000001"
    made = io.BytesIO()
    book.save(made)
    assert [row.account for row in read(made.getvalue(), FIXED)] == ["3210000000001"]

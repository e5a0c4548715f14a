"""What the comparison of signed sheets finds in the ledger."""

import pytest

from scripts.tools.fault_campaign.money_books import Entry
from scripts.tools.fault_campaign.money_clearing import wrong

SHEET = "power.wechat.20261128"
SHEETS = {SHEET: {"id": SHEET, "net": 900}}
LEDGER = [
    Entry("paid-out", SHEET, "company:power", 900), Entry("paid-out", SHEET, "transit:power", -900),
    Entry("arrived", SHEET, "transit:power", 900), Entry("arrived", SHEET, "channel:wechat", -900),
    Entry("fee", SHEET, "company:power", 6), Entry("fee", SHEET, "channel:wechat", -6),
]  # fmt: skip


def test_once_each() -> None:
    assert wrong(SHEETS, LEDGER) == []


@pytest.mark.parametrize("without", range(4))
def test_not_at_all(without: int) -> None:
    assert len(wrong(SHEETS, [*LEDGER[:without], *LEDGER[without + 1 :]])) == 1


def test_twice_or_of_a_sheet_that_nobody_signed() -> None:
    assert len(wrong(SHEETS, [*LEDGER, *LEDGER[:2]])) == 2
    assert len(wrong({}, LEDGER)) == 4

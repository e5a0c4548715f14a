"""Sheets, their states, and what the company is given."""

import csv
import hashlib
import io
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intranet_bridge.settlement.clearing.sheets import (
    Amounts,
    NotCleared,
    Part,
    PartKind,
    Sheet,
    SheetEvent,
    SheetState,
    adjusted,
    arrival,
    checked,
    file_name,
    moved,
    signing,
    summed,
    written,
)

DAY = date(2026, 11, 24)
ROWS = PartKind.ROWS
FEN = st.integers(-(10**9), 10**9)
AMOUNTS = st.builds(Amounts, st.integers(-1000, 1000), FEN, FEN, FEN, FEN, FEN, FEN, FEN)
PARTS = st.builds(Part, st.sampled_from(PartKind), st.dates(date(2026, 11, 20), DAY), AMOUNTS)


def sheet(*parts: Part, company: str = "power") -> Sheet:
    return checked(Sheet(company, "wechat", DAY, parts))


def test_a_sheet_is_the_sum_of_its_parts() -> None:
    found = sheet(
        Part(ROWS, DAY, Amounts(3, gross=15_000, fee=90, promotions=500, funded=100, discounts=30)),
        Part(PartKind.LATE, date(2026, 11, 23), Amounts(1, gross=700)),
        Part(PartKind.CARRIED, date(2026, 11, 22), Amounts(adjustments=-200)),
    )
    assert (found.net, found.total.count, found.total.promoted) == (15_780, 4, 370)
    assert signing(found.net) is SheetEvent.APPROVE


def test_what_owes_nothing_is_not_paid_out() -> None:
    assert moved(SheetState.COMPUTED, signing(-1)) is SheetState.CARRIED
    assert moved(SheetState.COMPUTED, signing(0)) is SheetState.CLOSED


def test_a_row_of_a_later_day_is_not_cleared() -> None:
    with pytest.raises(NotCleared, match="power: a row of 2026-11-25 does not belong to the clearing of 2026-11-24"):
        sheet(Part(ROWS, date(2026, 11, 25), Amounts(1, gross=1)))


def test_arrival_short_and_over() -> None:
    """A difference stays until the rest comes, or two people say what it is."""
    state = moved(moved(SheetState.COMPUTED, SheetEvent.APPROVE), SheetEvent.PAY_OUT)
    short = moved(state, arrival(1_000, 0, 900))
    assert short is SheetState.SHORT
    assert moved(short, arrival(1_000, 900, 50)) is SheetState.SHORT
    assert moved(short, arrival(1_000, 900, 100)) is SheetState.ARRIVED
    over = moved(short, arrival(1_000, 900, 101))
    assert over is SheetState.OVER
    for event in set(SheetEvent) - {SheetEvent.ADJUST}:
        with pytest.raises(NotCleared, match="a sheet that is over cannot"):
            moved(over, event)
    with pytest.raises(NotCleared, match="by two people"):
        adjusted(["王", "王"], "银行手续费")
    with pytest.raises(NotCleared, match="says why"):
        adjusted(["王", "李"], " ")
    adjusted(["王", "李"], "银行手续费")
    assert moved(over, SheetEvent.ADJUST) is SheetState.CLOSED
    with pytest.raises(NotCleared, match="more than nothing"):
        arrival(1_000, 0, 0)


@pytest.mark.parametrize("state", SheetState)
def test_nothing_is_paid_out_that_was_not_approved(state: SheetState) -> None:
    if state is SheetState.APPROVED:
        assert moved(state, SheetEvent.PAY_OUT) is SheetState.PAID_OUT
    else:
        with pytest.raises(NotCleared):
            moved(state, SheetEvent.PAY_OUT)


@given(st.lists(PARTS, max_size=12))
def test_no_fen_is_lost_between_parts_sheets_and_their_files(parts: list[Part]) -> None:
    found = sheet(*parts)
    whole = summed(part.amounts for part in parts)
    assert found.net == whole.net == sum(part.amounts.net for part in parts)
    data = written(found)
    assert data.startswith(b"\xef\xbb\xbf")
    table, _, digest = data.decode("utf-8-sig").rpartition("#sha256:")
    assert digest == hashlib.sha256(("\ufeff" + table).encode()).hexdigest() + "\r\n"
    header, *rows, total = csv.reader(io.StringIO(table))
    assert round(float(total[-1]) * 100) == found.net
    for column in header[6:]:
        at = header.index(column)
        assert round(sum(float(row[at]) for row in rows) - float(total[at]), 2) == 0, column
    assert sum(int(row[5]) for row in rows) == int(total[5])
    for row in (*rows, total):
        assert round(sum(float(amount) for amount in row[6:11]) - float(row[11]), 2) == 0


@given(AMOUNTS, AMOUNTS)
def test_what_is_taken_back_leaves_nothing(one: Amounts, other: Amounts) -> None:
    assert one.plus(other).plus(other, -1) == one


def test_the_file_is_named_by_company_day_and_number() -> None:
    assert file_name("power-yunhe", DAY, 2) == "clearing_power-yunhe_20261124_2.csv"
    found = sheet(Part(ROWS, DAY, Amounts(1, gross=1)), company="power-yunhe")
    assert written(found).decode("utf-8-sig").splitlines()[1] == (
        "2026-11-24,power-yunhe,wechat,2026-11-24,当日,1,0.01,0.00,0.00,0.00,0.00,0.01"
    )


@pytest.mark.parametrize("words", ["=1", "\u00a0=1", "\u3000@a"])
def test_export_formula_safe(words: str) -> None:
    line = written(sheet(Part(ROWS, DAY, Amounts(1, gross=1)), company=words)).decode("utf-8-sig").splitlines()[1]
    assert line.split(",")[1] == f"'{words}"

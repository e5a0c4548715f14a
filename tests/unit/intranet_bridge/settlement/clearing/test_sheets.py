"""Sheets, their states, and what the company is given."""

import csv
import hashlib
import io
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intranet_bridge.settlement.clearing.sheets import (
    Item,
    NotCleared,
    SheetEvent,
    SheetState,
    adjusted,
    arrival,
    begun,
    file_name,
    moved,
    sheets,
    written,
)

DAY = date(2026, 11, 24)
AMOUNTS = st.integers(0, 10**9)
ITEMS = st.builds(
    Item, st.sampled_from(["power", "water", "gas"]), st.sampled_from(["wechat", "alipay"]),
    st.dates(date(2026, 11, 20), DAY), AMOUNTS, AMOUNTS, st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6),
    st.integers(-(10**6), 10**6),
)  # fmt: skip


def test_a_company_has_a_line_for_each_channel_and_a_late_row_names_its_day() -> None:
    found = sheets(
        DAY,
        [
            Item("power", "wechat", DAY, gross=10_000, fee=60),
            Item("power", "wechat", DAY, gross=5_000, fee=30, promotion=500),
            Item("power", "wechat", date(2026, 11, 23), gross=700),
            Item("power", "alipay", DAY, refund=2_000, fee=-12),
            Item("water", "alipay", DAY, gross=300, promotion=-500),
        ],
        {},
    )
    power, water = found
    assert [(line.channel, line.origin.day, line.count, line.net) for line in power.lines] == [
        ("alipay", 24, 1, -1_988), ("wechat", 23, 1, 700), ("wechat", 24, 2, 15_410)
    ]  # fmt: skip
    assert (power.net, water.net) == (14_122, -200)
    assert (begun(power), begun(water)) == (SheetState.COMPUTED, SheetState.CARRIED)


def test_negative_net_carried() -> None:
    """What a company owes is set off against what it is owed next, also when it has no row of that day."""
    (first,) = sheets(DAY, [Item("water", "alipay", DAY, gross=300, refund=800)], {})
    assert begun(first) is SheetState.CARRIED
    (nothing,) = sheets(date(2026, 11, 25), [], {"water": first.net})
    assert (nothing.net, begun(nothing)) == (-500, SheetState.CARRIED)
    (next_,) = sheets(
        date(2026, 11, 26), [Item("water", "alipay", date(2026, 11, 26), gross=900)], {"water": nothing.net}
    )
    assert (next_.net, begun(next_)) == (400, SheetState.COMPUTED)
    (even,) = sheets(DAY, [Item("gas", "alipay", DAY, gross=5, fee=5)], {})
    assert begun(even) is SheetState.CLOSED


def test_a_row_of_a_later_day_is_not_cleared() -> None:
    with pytest.raises(NotCleared, match="power: a row of 2026-11-25 does not belong to the clearing of 2026-11-24"):
        sheets(DAY, [Item("power", "wechat", date(2026, 11, 25), gross=1)], {})


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


@given(st.lists(ITEMS, max_size=30), st.dictionaries(st.sampled_from(["power", "steam"]), st.integers(-(10**6), -1)))
def test_no_fen_is_lost_between_items_sheets_and_their_files(items: list[Item], carried: dict[str, int]) -> None:
    found = sheets(DAY, items, carried)
    whole = sum(one.gross + one.promotion - one.refund - one.fee + one.adjustment for one in items)
    assert sum(sheet.net for sheet in found) == whole + sum(carried.values())
    for sheet in found:
        data = written(sheet)
        assert data.startswith(b"\xef\xbb\xbf")
        table, _, digest = data.decode("utf-8-sig").rpartition("#sha256:")
        assert digest == hashlib.sha256(("\ufeff" + table).encode()).hexdigest() + "\r\n"
        header, *rows, total = csv.reader(io.StringIO(table))
        assert (
            total[header.index("净额")]
            == f"{'-' if sheet.net < 0 else ''}{abs(sheet.net) // 100}.{abs(sheet.net) % 100:02}"
        )
        for column in header[5:]:
            at = header.index(column)
            assert round(sum(float(row[at]) for row in rows) - float(total[at]), 2) == 0, column
        assert sum(int(row[4]) for row in rows) == int(total[4])


def test_the_file_is_named_by_company_day_and_number() -> None:
    (sheet,) = sheets(DAY, [Item("power-yunhe", "wechat", DAY, gross=1)], {})
    assert file_name(sheet, 2) == "clearing_power-yunhe_20261124_2.csv"
    assert written(sheet).decode("utf-8-sig").splitlines()[1] == (
        "2026-11-24,power-yunhe,wechat,2026-11-24,1,0.01,0.00,0.00,0.00,0.00,0.01"
    )

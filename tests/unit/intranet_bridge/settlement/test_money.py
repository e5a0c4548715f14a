"""Amounts: what is one and what is not, sums and shares to the fen."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intranet_bridge.settlement.money import AmountRefused, Why, fee, fen, rounded, shares, text

DATA = Path(__file__).parents[3] / "data" / "settlement"
TABLE: dict[str, Any] = json.loads((DATA / "amounts.json").read_text())


@pytest.mark.parametrize(("written", "expected"), TABLE["accepted_fen"].items())
def test_amount_text_table_taken(written: str, expected: int) -> None:
    assert fen(written) == expected


@pytest.mark.parametrize("written", [*TABLE["refused"], "5.\n", "\n5", "\u00a05", "5\u3000", "1,00", "- 5", "-", "."])
def test_amount_text_table_refused(written: str) -> None:
    with pytest.raises(AmountRefused) as refused:
        fen(written, line=4, column="金额")
    assert str(refused.value).startswith("line 4, column 金额: ")
    assert len(written) < 2 or written not in str(refused.value)
    assert (refused.value.line, refused.value.column) == (4, "金额")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", Why.EMPTY),
        (" \t", Why.EMPTY),
        ("1,000.00", Why.THOUSANDS),
        ("1.234", Why.DECIMALS),
        ("999999999999", Why.TOO_LARGE),
        ("99999999999999.00", Why.TOO_LARGE),
        ("5.00-", Why.NO_AMOUNT),
    ],
)
def test_it_is_said_what_is_wrong(written: str, why: Why) -> None:
    with pytest.raises(AmountRefused) as refused:
        fen(written)
    assert refused.value.reason is why


def test_groups_of_three_digits_where_the_profile_allows_them() -> None:
    assert [fen(one, thousands=True) for one in ("1,020.00", " -1,234,567.8\t", "12.3", "99,999,999,999.99")] == [
        102000,
        -123456780,
        1230,
        9999999999999,
    ]
    for bad in ("1,02.00", "1020,000", ",100", "1,000,", "1,000.001", "999,999,999,999", "1.000,00", "1,，000"):
        with pytest.raises(AmountRefused):
            fen(bad, thousands=True)


def test_the_defects_others_reported() -> None:
    assert fen("-110.7") == -11070  # imported as -1,107.00
    with pytest.raises(AmountRefused):
        fen("1,020.00")  # imported as 1


def test_fees_are_summed_exactly_and_rounded_once() -> None:
    rows = [fee(one) for one in ("7.07940", "0.00340", "-0.00", "0.00001")]
    assert rows == [707940, 340, 0, 1]
    assert rounded(fee("7.07940")) == 708
    assert rounded(sum(rows)) == 708
    # each row for itself would be 0
    assert rounded(3 * fee("0.004")) == 1
    assert [rounded(one) for one in (499, 500, 1499, 1500, -499, -500, -1500, 0)] == [0, 1, 1, 2, 0, -1, -2, 0]
    with pytest.raises(AmountRefused):
        fee("0.000001")


def test_shares_of_the_sample() -> None:
    order = json.loads((DATA / "combined_order.json").read_text())
    given, expected = order["given"], order["expected"]
    amounts = [line["amount_fen"] for line in given["lines"]]
    assert shares(given["coupon_fen"], amounts) == [line["coupon_fen"] for line in expected["lines"]]
    assert shares(given["points_fen"], amounts) == [line["points_fen"] for line in expected["lines"]]
    cash = [line["cash_fen"] for line in expected["lines"]]
    assert shares(expected["fee_fen"], cash) == [line["fee_fen"] for line in expected["lines"]]
    for case in (expected["equal_thirds"], expected["tie"]):
        assert shares(case["total"], case["weights"]) == case["parts"]


def test_what_cannot_be_split() -> None:
    assert shares(0, []) == []
    assert shares(0, [0, 0]) == [0, 0]
    for total, weights in ((1, []), (1, [0]), (-1, [1]), (1, [2, -1])):
        with pytest.raises(ValueError, match="split"):
            shares(total, weights)


@given(
    st.integers(min_value=0, max_value=10**13),
    st.lists(st.integers(min_value=0, max_value=10**13), min_size=1, max_size=50).filter(any),
)
def test_largest_remainder_property(total: int, weights: list[int]) -> None:
    parts, whole = shares(total, weights), sum(weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert part * whole - total * weight in range(1 - whole, whole)  # less than a fen off, either way
        assert part <= weight or total > whole
    # who got one more had no smaller remainder than who did not; among equal ones it was the earlier
    more = [at for at in range(len(weights)) if parts[at] > total * weights[at] // whole]
    less = [at for at in range(len(weights)) if at not in more]
    for one in more:
        for other in less:
            assert (total * weights[one] % whole, -one) > (total * weights[other] % whole, -other)


@given(st.integers(min_value=-(10**13) + 1, max_value=10**13 - 1))
def test_what_is_written_is_read_back(amount: int) -> None:
    assert fen(text(amount)) == amount
    assert fee(text(amount)) == amount * 1000

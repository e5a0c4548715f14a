"""Rows and write-offs of one order are one case."""

from datetime import date

from intranet_bridge.settlement.statements.matching import (
    Rules,
)  # fmt: skip
from tests.unit.intranet_bridge.settlement.statements.differences import back, days, paid, run, said, written


def test_rows_without_an_order_are_with_their_payment() -> None:
    rows = [paid(channel="unionpay"), back(5000, order="", channel="unionpay")]
    assert said(run(rows, [written(channel="unionpay")])) == [("matched", "none"), ("refund-not-reversed", "reverse")]
    by_transaction = [written(order="", transaction="T1", channel="unionpay")]
    assert said(run(rows[:1], by_transaction)) == [("matched", "none")]
    earlier = [written(transaction="T1", channel="unionpay")]
    assert said(run(rows[1:], earlier)) == [("refund-not-reversed", "reverse")]
    assert run(rows[1:], earlier)[0].order == "PO1"


def test_rerun_has_the_same_keys() -> None:
    rows = [
        paid(),
        paid(order="PO2", transaction="T2"),
        back(5000, order="PO2", transaction="T2"),
        back(5, "R9", "PO3", "T3"),
    ]
    ours = [written(order="PO2")]
    first, second = run(rows, ours), run(reversed(rows), ours, Rules(date(2026, 12, 1), days(24)))
    assert {item.key for item in first} == {item.key for item in second}


A, B = "1900000001", "1900000002"
WRITE_OFF, WAIT, HOLD = ("platform-only", "write-off"), ("pooled", "wait"), ("account-differs", "hold")


def test_one_merchants_row_never_meets_the_books_of_another() -> None:
    """Not by the payment's number, which some platforms give anew for each merchant."""
    row, ours = paid(order="", merchant=A), written(order="", transaction="T1", merchant=B)
    assert said(run([row], [ours])) == [WRITE_OFF, WAIT]
    assert {(item.what, item.merchant) for item in run([row], [ours])} == {("platform-only", A), ("pooled", B)}
    both = [row, paid(order="", merchant=B)]
    assert said(run(both, [ours])) == [WRITE_OFF, ("matched", "none")]


def test_orders_of_two_merchants_are_two_cases() -> None:
    """Numbers of orders are each merchant's own."""
    rows = [paid(merchant=A), paid(transaction="T2", merchant=B)]
    books = [written(order="", transaction="T1"), written(order="", transaction="T2")]
    assert said(run(rows, books[1:])) == [WRITE_OFF, ("matched", "none")]
    ours = "01J9ZQ8T5V6W7X8Y9Z0A1B2C3D"
    rows = [paid(order=ours, merchant=A), paid(order=ours, transaction="T2", merchant=B)]
    assert said(run(rows, books[:1])) == [("matched", "none"), ("paid-twice", "hold")]  # of ours: paid to both


def test_books_without_a_merchant_are_the_only_ones_that_has_the_payment() -> None:
    rows = [paid(order="", merchant=A), paid(order="", transaction="T2", merchant=B)]
    books = [written(order="", transaction="T1"), written(order="", transaction="T2")]
    assert said(run(rows, books)) == [("matched", "none")] * 2
    assert [item.merchant for item in run(rows, books)] == ["", ""]
    without = [paid(order=""), paid(order="", transaction="T2", merchant=B)]
    named = [written(order="", transaction="T1", merchant=A), books[1]]
    assert said(run(without, named)) == [("matched", "none")] * 2


def test_two_payments_of_one_number_and_books_that_do_not_say_whose_are_held() -> None:
    rows = [paid(order="X", merchant=A), paid(700, order="Y", merchant=B)]
    items = run(rows, [written(order="", transaction="T1")])
    assert said(items) == [HOLD, HOLD]
    assert [(item.field, item.platform, item.amount) for item in items] == [("merchant", A, 5000), ("merchant", B, 700)]
    assert len({item.key for item in items}) == 2


def test_none_is_lost_of_which_nobody_says_whose_it_is() -> None:
    """Not a row without a merchant that meets the books of two, nor books of three without a row."""
    books = [written(order="", transaction="T1", merchant=A), written(order="", transaction="T1", merchant=B)]
    for rows, ours in (([paid(order="")], books), ([], [*books, written(order="", transaction="T1")])):
        items = run(rows, ours)
        assert said(items) == [HOLD, HOLD]
        assert [(item.merchant, item.transaction, item.amount) for item in items] == [(A, "T1", 5000), (B, "T1", 5000)]

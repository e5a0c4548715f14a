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

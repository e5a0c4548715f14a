"""What a row is for which company."""

import pytest

from intranet_bridge.settlement.clearing.counting import (
    OrderFacts,
    OrderLine,
    Piece,
    Row,
    Standing,
    order_of,
    pieces,
)
from intranet_bridge.settlement.statements.profiles import Kind, Status

ALL_COUPON = OrderLine(3, "water", 0, (("bank", 500),), written=True)
ORDER = OrderFacts("P1", (OrderLine(1, "power", 900, written=True), ALL_COUPON), frozenset({"T1", "T2"}))


def row(
    kind: Kind = Kind.PAY, order: str = "P1", gross: int = 900, refund: str = "", transaction: str = "T1",
    status: Status = Status.PROVEN,
) -> Row:  # fmt: skip
    settled = gross if kind is Kind.PAY else -gross
    return Row("f", 1, kind, transaction, order, refund, gross, settled, 0, status)


def said(found: list[Piece]) -> list[tuple[str, int, int, int]]:
    return [(one.company, one.amounts.gross, one.amounts.refunds, one.amounts.promotions) for one in found]


@pytest.mark.parametrize("order", ["P1", "P1-1"])
def test_a_line_that_coupons_pay_whole_is_counted_with_a_row_of_its_order(order: str) -> None:
    assert said(pieces(row(order=order), ORDER, "x")) == [("power", 900, 0, 0), ("water", 0, 0, 500)]


def test_a_combined_payment_has_a_row_a_line() -> None:
    order = OrderFacts(
        "P1", (OrderLine(1, "power", 900), OrderLine(2, "gas", 100), ALL_COUPON), frozenset({"T1", "T2"})
    )
    assert said(pieces(row(order="P1-2", gross=100, transaction="T2"), order, "x")) == [("gas", 100, 0, 0)]


def test_what_a_statement_says_otherwise_than_the_books_is_nobodys() -> None:
    order = OrderFacts("P1", (OrderLine(1, "power", 900),), frozenset({"T1"}))
    assert said(pieces(row(gross=946), order, "x")) == [("power", 900, 0, 0)]


def test_an_order_is_found_by_its_number_or_a_lines() -> None:
    assert order_of(row(order="P1-2"), {"P1": ORDER}) is ORDER
    assert order_of(row(order="P1"), {"P1": ORDER}) is ORDER
    assert order_of(row(order="P2"), {"P1": ORDER}) is None


def test_a_refund_that_failed_and_a_banks_movement_are_nothing() -> None:
    assert pieces(row(Kind.REFUND, refund="R1", status=Status.FAILED), None, "x") == []
    assert pieces(row(Kind.INCOME), None, "x") == []


def test_a_refund_not_of_ours_is_of_the_whole_order() -> None:
    line = OrderLine(1, "power", 900, (("bank", 100),), written=True, reversed=True)
    order = OrderFacts("P1", (line,), frozenset({"T1"}))
    assert said(pieces(row(Kind.REVOKE), order, "x")) == [("power", 0, 900, -100)]
    assert said(pieces(row(Kind.REFUND, refund="platform-7", gross=400), order, "x")) == [("power", 0, 400, 0)]


@pytest.mark.parametrize(
    ("kind", "line", "standing"),
    [
        (Kind.PAY, {"written": True}, Standing.COUNTS),
        (Kind.PAY, {}, Standing.WAITS),
        (Kind.PAY, {"gone": True}, Standing.NEVER),
        (Kind.PAY, {"gone": True, "written": True}, Standing.COUNTS),
        (Kind.REFUND, {"written": True}, Standing.WAITS),
        (Kind.REFUND, {"gone": True}, Standing.NEVER),
        (Kind.REFUND, {"gone": True, "written": True, "reversed": True}, Standing.COUNTS),
        (Kind.REFUND, {}, Standing.WAITS),
    ],
)
def test_a_row_counts_when_the_books_have_it(kind: Kind, line: dict[str, bool], standing: Standing) -> None:
    order = OrderFacts("P1", (OrderLine(1, "power", 900, (), **line),), frozenset({"T1"}))
    (found,) = pieces(row(kind, refund="P1-1-R1" if kind is Kind.REFUND else ""), order, "x")
    assert found.standing is standing
    (surplus,) = pieces(row(kind, transaction="T9"), order, "x")
    assert surplus.standing is Standing.NEVER

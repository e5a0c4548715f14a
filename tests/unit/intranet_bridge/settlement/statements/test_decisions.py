"""Each class, and what must never follow."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intranet_bridge.settlement.statements import decisions
from intranet_bridge.settlement.statements.matching import (
    ACTING,
    Action,
    Class,
    Order,
    OrderLine,
    Rules,
    Seen,
    WriteOff,
)  # fmt: skip
from intranet_bridge.settlement.statements.profiles import Kind, Status
from tests.unit.intranet_bridge.settlement.statements.differences import (
    RULES,
    TODAY,
    at,
    back,
    days,
    paid,
    run,
    said,
    written,
)


@pytest.mark.parametrize(
    ("accepted", "what"),
    [
        ((22,), Class.POOLED),
        ((22, 24), Class.POOLED),
        ((22, 24, 30), Class.MARKETING_ONLY),
        ((21, 23, 24, 25, 26), Class.POOLED),  # its own day's statement has not come
        ((22, 23, 24), Class.MARKETING_ONLY),
    ],
)
def test_pool_counts_statements(accepted: tuple[int, ...], what: Class) -> None:
    (item,) = run([], [written(at=at(11, 22))], Rules(date(2026, 12, 31), days(*accepted)))
    assert item.what is what
    assert item.action is (Action.HOLD if what is Class.MARKETING_ONLY else Action.WAIT)


def test_marketing_only_never_reversed() -> None:
    items = run([], [written(at=at(11, 1))], Rules(date(2027, 1, 1), days(*range(1, 31)), reverses_in_part=True))
    assert said(items) == [("marketing-only", "hold")]
    assert run([], [written(reversed=5000)]) == []


def test_refund_of_earlier_day() -> None:
    assert said(run([back(5000)], [written(at=at(15, 20))])) == [("refund-not-reversed", "reverse")]
    earlier = paid(day=date(2026, 11, 20), at=at(15, 20))
    assert said(run([earlier, back(5000)], [written(at=at(15, 20))])) == [
        ("matched", "none"), ("refund-not-reversed", "reverse"),
    ]  # fmt: skip


def test_full_refund_balances() -> None:
    (pay, refund) = run([paid(), back(5000)], [written()])
    assert (refund.action, refund.amount, refund.key) == (Action.REVERSE, 5000, "recon:alipay:T1:refund:all")
    assert pay.key == "recon:alipay:T1:pay:"
    assert said(run([paid(), back(5000)], [written(reversed=5000)])) == [("matched", "none")]


def test_written_off_again_and_then_refunded() -> None:
    again = run([paid(), back(5000)], [written(reversed=5000), written()])
    assert [(item.action, item.amount) for item in again[1:]] == [(Action.REVERSE, 5000)]


def test_charged_and_refunded_left_alone() -> None:
    assert said(run([paid(), back(5000)])) == [("charged-and-refunded", "none")]
    assert said(run([paid(), back(5000, "", kind=Kind.REVOKE)])) == [("charged-and-refunded", "none")]


def test_two_partials_reverse_once() -> None:
    rows = [paid(6000), back(2000, "A"), back(4000, "B", day=TODAY)]
    items = [item for item in run(rows, [written(6000)]) if item.action in ACTING]
    assert [(item.action, item.amount, item.key) for item in items] == [
        (Action.REVERSE, 6000, "recon:alipay:T1:refund:all")
    ]
    again = [item for item in run([*rows, *rows], [written(6000)]) if item.action in ACTING]
    assert again == items  # a row that two statements have counts once


def test_partial_refund() -> None:
    held = run([paid(), back(2000)], [written()])
    assert said(held) == [("matched", "none"), ("partial-refund", "hold")]
    can = run([paid(), back(2000)], [written()], Rules(TODAY, days(24), reverses_in_part=True))
    assert [(item.action, item.amount, item.key) for item in can[1:]] == [
        (Action.REVERSE_PART, 2000, "recon:alipay:T1:refund:R1")
    ]
    assert said(run([paid(), back(2000)])) == [("partial-refund", "hold")]
    assert said(run([paid(), back(2000)], [written(reversed=2000)])) == [("matched", "none")]
    rest = run([paid(), back(2000), back(3000, "R2")], [written(reversed=2000)])
    assert [(item.action, item.amount) for item in rest] == [(Action.NONE, 0), (Action.REVERSE, 3000)]


def test_refund_pending_waits() -> None:
    pending = back(5000, status=Status.PENDING)
    assert said(run([paid(), pending], [written()])) == [("matched", "none"), ("refund-pending", "wait")]
    assert said(run([paid(), pending])) == [("refund-pending", "wait")]  # not written off meanwhile
    (_, item) = run([paid(), pending], [written()], Rules(TODAY, days(24, 25, 26, 27)))
    assert item.action is Action.HOLD
    proven = back(5000)
    assert said(run([paid(), pending, proven], [written()]))[1:] == [("refund-not-reversed", "reverse")]
    assert said(run([paid(), back(5000, status=Status.FAILED)], [written()])) == [("matched", "none")]


def test_refund_of_nobodys_payment_waits() -> None:
    assert said(run([back(500)])) == [("refund-unmatched", "wait")]
    assert said(run([back(500)], (), Rules(TODAY, days(24, 25, 26)))) == [("refund-unmatched", "wait")]
    assert said(run([back(500)], (), Rules(TODAY, days(24, 25, 26, 28)))) == [("refund-unmatched", "hold")]


def test_platform_only_keeps_penalty_date() -> None:
    (item,) = run([paid(at=at(23))])
    assert (item.what, item.action, item.amount) == (Class.PLATFORM_ONLY, Action.WRITE_OFF, 5000)
    assert (item.paid_at, item.booked_on) == (at(23), TODAY)


@pytest.mark.parametrize(
    ("row", "ours", "what", "values", "amount"),
    [
        (paid(30000), written(3000), Class.AMOUNT_DIFFERS, ("amount", 30000, 3000), 27000),
        (paid(account="A"), written(account="B"), Class.ACCOUNT_DIFFERS, ("account", "A", "B"), 5000),
        (paid(penalty=5), written(penalty=7), Class.PENALTY_DIFFERS, ("penalty", 5, 7), 2),
        (paid(), written(reversed=5000), Class.AMOUNT_DIFFERS, ("amount", 5000, 0), 5000),
        (paid(), written(reversed=1000), Class.AMOUNT_DIFFERS, ("amount", 5000, 4000), 1000),
    ],
)
def test_what_differs_is_held_with_both_values(
    row: Seen, ours: WriteOff, what: Class, values: tuple[str, object, object], amount: int
) -> None:
    """And with the money it is about: by that a second person is asked for."""
    (item,) = run([row], [ours])
    assert (item.what, item.action, (item.field, item.platform, item.books)) == (what, Action.HOLD, values)
    assert item.amount == amount


def test_more_refunded_than_paid_and_two_amounts() -> None:
    assert said(run([paid(), back(3000), back(3000, "R2")], [written()])) == [("amount-differs", "hold")]
    assert said(run([paid(), paid(4000, day=TODAY)], [written()])) == [("amount-differs", "hold")]


def test_paid_by_two_channels() -> None:
    two = [paid(), paid(transaction="W1", channel="wechat", at=at(11))]
    assert said(run(two)) == [("platform-only", "write-off"), ("paid-twice", "hold")]
    assert said(run(two, [written()])) == [("matched", "none"), ("paid-twice", "hold")]
    of_second = [written(transaction="W1", channel="wechat")]
    assert said(run(two, of_second)) == [("paid-twice", "hold"), ("matched", "none")]
    of_a_third = run(two, [written(transaction="U1", channel="unionpay")])
    assert said(of_a_third) == [("pooled", "wait"), ("paid-twice", "hold"), ("paid-twice", "hold")]
    refunded = [*two, back(5000, transaction="W1", channel="wechat")]
    assert said(run(refunded, [written()])) == [("matched", "none"), ("charged-and-refunded", "none")]


def test_written_off_twice() -> None:
    (item,) = run([paid()], [written(), written()])
    assert (item.what, item.action, item.amount) == (Class.PAID_TWICE, Action.HOLD, 5000)


ORDER = Order("PO1", 5000, (OrderLine(1, "A", 3000, 3300), OrderLine(2, "B", 1500, 1500), OrderLine(3, "C", 500, 600)))
LINES = [written(3300, line=1, account="A"), written(1500, line=2, account="B"), written(600, line=3, account="C")]


def test_order_beside_its_lines() -> None:
    assert said(run([paid()], LINES, RULES, ORDER)) == [("matched", "none")]
    (all_of_it,) = run([paid()], [], RULES, ORDER)
    assert (all_of_it.what, all_of_it.lines, all_of_it.amount) == (Class.PLATFORM_ONLY, (1, 2, 3), 5400)
    (some,) = run([paid()], LINES[:1], RULES, ORDER)
    assert (some.what, some.action, some.lines, some.amount) == (Class.LINES_INCOMPLETE, Action.REDRIVE, (2, 3), 2100)
    (cash,) = run([paid(4999)], LINES, RULES, ORDER)
    assert (cash.what, cash.field, cash.platform, cash.books) == (Class.AMOUNT_DIFFERS, "cash", 4999, 5000)
    (account,) = run([paid()], [LINES[0], written(1500, line=2, account="X"), LINES[2]], RULES, ORDER)
    assert (account.what, account.lines) == (Class.ACCOUNT_DIFFERS, (2,))


def test_refund_of_a_line_of_an_order() -> None:
    line = [paid(), back(1500, "PO1-2-R1")]
    assert said(run(line, [LINES[0], LINES[2]], RULES, ORDER)) == [
        ("matched", "none"),
        ("charged-and-refunded", "none"),
    ]
    items = [item for item in run(line, LINES, RULES, ORDER) if item.action in ACTING]
    assert [(item.lines, item.amount, item.key) for item in items] == [((2,), 1500, "recon:alipay:T1:refund:PO1-2-R1")]
    unknown = run([paid(), back(1500, "X")], LINES, RULES, ORDER)
    assert said(unknown) == [("partial-refund", "hold")]
    (whole,) = [item for item in run([paid(), back(5000, "X")], LINES, RULES, ORDER) if item.action in ACTING]
    assert (whole.action, whole.lines, whole.amount, whole.whole) == (Action.REVERSE, (1, 2, 3), 5400, True)
    pending = [paid(), back(1500, "PO1-2-R1", status=Status.PENDING)]
    assert ("refund-pending", "wait") in said(run(pending, [LINES[0], LINES[2]], RULES, ORDER))
    assert not [item for item in run(pending, [LINES[0], LINES[2]], RULES, ORDER) if item.action in ACTING]


def test_write_offs_that_do_not_name_a_line() -> None:
    unnumbered = [written(one.amount, account=one.account) for one in LINES]
    assert said(run([paid()], unnumbered, RULES, ORDER)) == [("matched", "none")]
    stray = written(3300, account="Z")
    assert said(run([paid()], [stray], RULES, ORDER)) == [("amount-differs", "hold")]
    assert said(run([paid()], [written(3300, line=9)], RULES, ORDER)) == [("amount-differs", "hold")]


AMOUNTS = st.integers(1, 10_000)


@given(
    gross=AMOUNTS, refunds=st.lists(AMOUNTS, max_size=4), booked=st.one_of(st.none(), AMOUNTS),
    came_back=st.integers(0, 10_000), can=st.booleans(),
)  # fmt: skip
def test_actions_move_our_books_to_the_platforms_net(
    gross: int, refunds: list[int], booked: int | None, came_back: int, can: bool
) -> None:
    """Whatever acts brings what is booked to what the platform's net says; it never passes it."""
    rows = [paid(gross), *(back(amount, f"R{n}") for n, amount in enumerate(refunds))]
    ours = [] if booked is None else [written(booked, reversed=min(came_back, booked))]
    before = sum(one.amount - one.reversed for one in ours)
    items = run(rows, ours, Rules(TODAY, days(24), reverses_in_part=can))
    acting = [item for item in items if item.action in ACTING]
    assert len(acting) <= 1
    for item in acting:
        moved = item.amount if item.action is Action.WRITE_OFF else -item.amount
        assert before + moved == gross - sum(refunds)
    if not acting and all(item.action is Action.NONE for item in items):
        assert before == gross - sum(refunds)


@pytest.mark.parametrize("row", [{}, {"gross": 4999}, {"account": "A"}, {"account": "B"}, {"penalty": 7}])
@pytest.mark.parametrize(
    "ours", [{}, {"amount": 4999}, {"line": 2}, {"account": "A"}, {"account": "B"}, {"penalty": 8}, {"reversed": 5000}]
)
@pytest.mark.parametrize(
    "line", [None, {}, {"cash": 4000}, {"amount": 6000}, {"account": "A"}, {"penalty": 7}, {"line": 2}, {"two": True}]
)
def test_the_short_way_says_what_the_long_one_does(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], ours: dict[str, Any], line: dict[str, Any] | None
) -> None:
    """What is plain of most payments is not decided otherwise than the rest."""
    orders: list[Order] = []
    if line is not None:
        of: dict[str, Any] = {"line": 1, "account": "A", "cash": 5000, "amount": 5000} | line
        several = of.pop("two", False)
        lines = (OrderLine(**of), *([OrderLine(9, "C", 1, 1)] if several else []))
        orders = [Order("PO1", sum(one.cash for one in lines), lines)]
    rows, books = [paid(transaction="T1", **row)], [written(transaction="T1", **ours)]
    short = run(rows, books, RULES, *orders)
    monkeypatch.setattr(decisions, "_plain", lambda case: False)
    assert run(rows, books, RULES, *orders) == short

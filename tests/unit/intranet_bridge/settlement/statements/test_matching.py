"""What statements say beside our books: the samples, each class, and what must never follow."""

import csv
import json
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intranet_bridge.settlement.statements.items import (
    TRANSITIONS,
    ItemState,
    NotResolved,
    Resolution,
    resolve,
)  # fmt: skip
from intranet_bridge.settlement.statements.matching import (
    ACTING,
    Accepted,
    Action,
    Class,
    Item,
    Order,
    OrderLine,
    Rules,
    Seen,
    WriteOff,
    asked_days,
    brake,
    cases,
    counted,
    fee_item,
    matched,
    seen,
)  # fmt: skip
from intranet_bridge.settlement.statements.profiles import Kind, Status
from intranet_bridge.settlement.statements.rows import Expected
from protocol.times import CHINA
from tests.unit.intranet_bridge.settlement.statements.reads import SAMPLES, taken

DAY = date(2026, 11, 24)
TODAY = date(2026, 11, 25)


def days(*numbers: int, channel: str = "alipay") -> Accepted:
    return Accepted({channel: [date(2026, 11, number) for number in numbers]})


RULES = Rules(TODAY, days(24))


def at(hour: int = 10, day: int = 24, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, 0, second, tzinfo=CHINA)


def paid(gross: int = 5000, order: str = "PO1", transaction: str = "T1", channel: str = "alipay", **more: Any) -> Seen:
    moment = more.pop("at", at())
    return Seen(channel, more.pop("day", DAY), Kind.PAY, transaction, order, "", gross, moment, **more)


def back(
    gross: int, number: str = "R1", order: str = "PO1", transaction: str = "T1", channel: str = "alipay", **more: Any
) -> Seen:
    kind = more.pop("kind", Kind.REFUND)
    return Seen(channel, more.pop("day", DAY), kind, transaction, order, number, gross, at(12), **more)


def written(
    amount: int = 5000, order: str = "PO1", transaction: str = "", channel: str = "alipay", **more: Any
) -> WriteOff:
    return WriteOff(order, transaction, channel, amount, more.pop("at", at()), **more)


def run(
    rows: Iterable[Seen] = (), write_offs: Iterable[WriteOff] = (), rules: Rules = RULES, *orders: Order
) -> list[Item]:
    known = {order.number: order for order in orders}
    return list(matched(cases(rows, write_offs), known.get, rules))


def said(items: Iterable[Item]) -> list[tuple[str, str]]:
    return [(item.what, item.action) for item in items]


def books(name: str) -> list[WriteOff]:
    with (SAMPLES / name).open(newline="") as file:
        return [
            written(int(row["amount_fen"]), row["order"], at=datetime.fromisoformat(row["written_off_at"]))
            for row in csv.DictReader(file) if row["state"] == "written-off"
        ]  # fmt: skip


def statement(name: str, day: int) -> list[Seen]:
    summary, rows = taken(name, "alipay-trade", Expected(date(2026, 11, day)))
    return [seen("alipay", summary.day, row) for row in rows.values()]


def test_sample_of_the_24th() -> None:
    wanted = json.loads((SAMPLES / "alipay_20261124.expected.json").read_text())["items"]
    rules = Rules(TODAY, days(22, 23, 24))
    items = {
        item.shown: item
        for item in run(statement("alipay_20261124_detail.csv", 24), books("alipay_20261124.marketing.csv"), rules)
    }
    assert items.keys() == {one["key"] for one in wanted}
    for one in wanted:
        item = items[one["key"]]
        assert item.what == one["class"]
        assert item.action == one.get("action", "wait" if item.what is Class.POOLED else "none")
        if "platform_fen" in one:
            assert (item.platform, item.books) == (one["platform_fen"], one["marketing_fen"])
        if "paid_at" in one:
            assert item.paid_at is not None
            assert (item.paid_at.isoformat(), item.booked_on) == (one["paid_at"], TODAY)


def test_sample_of_the_25th() -> None:
    wanted = json.loads((SAMPLES / "alipay_20261125_refunds.expected.json").read_text())["items"]
    rules = Rules(date(2026, 11, 26), days(25))
    items = run(statement("alipay_20261125_refunds.csv", 25), books("alipay_20261125_refunds.marketing.csv"), rules)
    for one in wanted:
        found = [item for item in items if item.order == one["order"]]
        weighty = [item for item in found if item.what is not Class.MATCHED] or found
        assert [item.what for item in weighty] == [one["class"]]
        action = one["action"] if one.get("action") else "none"
        assert weighty[0].action == action
        if "paid_at" in one:
            assert weighty[0].paid_at is not None
            assert weighty[0].paid_at.isoformat() == one["paid_at"]
    assert {item.order for item in items} == {one["order"] for one in wanted}
    assert sum(item.action in ACTING for item in items) == 2


def test_sample_of_wechat() -> None:
    summary, rows = taken("wechat_20261125_ALL.csv.gz", "wechat-trade", Expected(date(2026, 11, 25)))
    seen_rows = [seen("wechat", summary.day, row) for row in rows.values()]
    both = [
        written(3000, "PO20261125000201-1", channel="wechat"),
        written(2000, "PO20261125000201-2", channel="wechat"),
    ]
    owed = written(800, "PO20261124000309", channel="wechat")
    items = run(seen_rows, [*both, owed], Rules(date(2026, 11, 26), days(25, channel="wechat")))
    assert {item.shown: item.what for item in items} == {
        "PO20261125000201-1/pay": Class.MATCHED,
        "PO20261125000201-2/pay": Class.MATCHED,
        "PO20261125000202/pay": Class.CHARGED_AND_REFUNDED,
        "PO20261124000309/refund/PO20261124000309-1-R1": Class.REFUND_PENDING,
    }
    assert {item.transaction for item in items if item.what is Class.MATCHED} == {
        "4200000001202611250000000001", "4200000001202611250000000002",
    }  # fmt: skip


def test_midnight_payment_leaves_pool() -> None:
    late = written(at=at(23, 23))
    (pooled,) = run([], [late], Rules(DAY, days(23)))
    assert (pooled.what, pooled.action) == (Class.POOLED, Action.WAIT)
    assert said(run([paid(at=at(0, 24, 3))], [late])) == [("matched", "none")]


def test_written_off_after_midnight() -> None:
    assert asked_days(DAY, TODAY) == (DAY - timedelta(days=1), TODAY)
    assert said(run([paid(at=at(23))], [written(at=at(0, 25, 4))])) == [("matched", "none")]


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
    ("row", "ours", "what", "values"),
    [
        (paid(30000), written(3000), Class.AMOUNT_DIFFERS, ("amount", 30000, 3000)),
        (paid(account="A"), written(account="B"), Class.ACCOUNT_DIFFERS, ("account", "A", "B")),
        (paid(penalty=5), written(penalty=6), Class.PENALTY_DIFFERS, ("penalty", 5, 6)),
        (paid(), written(reversed=5000), Class.AMOUNT_DIFFERS, ("amount", 5000, 0)),
        (paid(), written(reversed=1000), Class.AMOUNT_DIFFERS, ("amount", 5000, 4000)),
    ],
)
def test_what_differs_is_held_with_both_values(
    row: Seen, ours: WriteOff, what: Class, values: tuple[str, object, object]
) -> None:
    (item,) = run([row], [ours])
    assert (item.what, item.action, (item.field, item.platform, item.books)) == (what, Action.HOLD, values)


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
    assert said(run([paid()], [written(), written()])) == [("paid-twice", "hold")]


def test_rows_without_an_order_are_with_their_payment() -> None:
    rows = [paid(channel="unionpay"), back(5000, order="", channel="unionpay")]
    assert said(run(rows, [written(channel="unionpay")])) == [("matched", "none"), ("refund-not-reversed", "reverse")]
    by_transaction = [written(order="", transaction="T1", channel="unionpay")]
    assert said(run(rows[:1], by_transaction)) == [("matched", "none")]
    earlier = [written(transaction="T1", channel="unionpay")]
    assert said(run(rows[1:], earlier)) == [("refund-not-reversed", "reverse")]
    assert run(rows[1:], earlier)[0].order == "PO1"


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


def test_fee_differs() -> None:
    assert fee_item("wechat", DAY, 707_940, 707) is None
    item = fee_item("wechat", DAY, 709_500, 708)
    assert item is not None
    assert (item.what, item.platform, item.books, item.action) == (Class.FEE_DIFFERS, 710, 708, Action.HOLD)


def test_brake_stops_wrong_file() -> None:
    def many(count: int, gross: int = 100) -> list[Item]:
        return run([paid(gross, f"PO{n}", f"T{n}") for n in range(count)])

    assert brake(many(20), 20) is None
    stopped = brake(many(21), 21)
    assert stopped is not None
    assert (stopped.actions, stopped.most_actions, stopped.amount) == (21, 20, 2100)
    assert brake(many(21), 4199) is not None
    assert brake(many(21), 4200) is None
    assert brake(many(1, 5_000_000), 1) is None
    assert brake(many(1, 5_000_001), 1) is not None
    assert counted(many(3)) == {Class.PLATFORM_ONLY: (3, 300)}


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


def test_item_is_resolved_by_two_people_above_the_bound() -> None:
    first, second = Resolution("wang", "platform confirms", at()), Resolution("li", "seen", at())
    assert resolve(ItemState.HELD, 100_000, (), first)[0] is ItemState.RESOLVED
    state, so_far = resolve(ItemState.HELD, 100_001, (), first)
    assert (state, so_far) == (ItemState.HELD, (first,))
    with pytest.raises(NotResolved, match="two people"):
        resolve(state, 100_001, so_far, first)
    assert resolve(state, 100_001, so_far, second) == (ItemState.RESOLVED, (first, second))
    for wrong in (Resolution("wang", " ", at()), Resolution("", "x", at()), Resolution("wang", "x" * 501, at())):
        with pytest.raises(NotResolved):
            resolve(ItemState.HELD, 1, (), wrong)
    with pytest.raises(NotResolved, match="not held"):
        resolve(ItemState.ACTING, 1, (), first)
    assert TRANSITIONS[ItemState.DONE] == frozenset()

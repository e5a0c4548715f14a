"""What statements say beside our books: the samples, and the days around midnight."""

import csv
import json
from datetime import date, datetime, timedelta

from intranet_bridge.settlement.statements.matching import (
    ACTING,
    Action,
    Class,
    Rules,
    Seen,
    WriteOff,
    asked_days,
    seen,
)  # fmt: skip
from intranet_bridge.settlement.statements.rows import Expected
from tests.unit.intranet_bridge.settlement.statements.differences import (
    DAY,
    TODAY,
    at,
    days,
    paid,
    run,
    said,
    written,
)
from tests.unit.intranet_bridge.settlement.statements.reads import SAMPLES, taken


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

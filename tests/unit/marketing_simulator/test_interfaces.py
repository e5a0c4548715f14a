"""Queries and work orders without a network: data, refusals, progress under a clock of our own."""

import asyncio
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.marketing_simulator import database, journal
from scripts.tools.marketing_simulator.responses import Refusal
from tests.unit.marketing_simulator.harness import NODE_SECONDS, TODAY, Marketing, data, fields

REPAIR = {
    "reqId": "request-1",
    "consNo": "3210000000001",
    "woType": "01",
    "contactName": "张三",
    "contactTel": "19900000001",
    "addr": "云河市人民路1号",
    "content": "停电",
}


@pytest.fixture
def marketing(tmp_path: Path) -> Iterator[Marketing]:
    marketing = Marketing(tmp_path / "marketing.sqlite3")
    yield marketing
    marketing.close()


def test_bill_query_shows_tiers_readings_and_payment(marketing: Marketing) -> None:
    asked = {"consNo": "3210000000004", "ymFrom": "202511", "ymTo": "202512"}
    answer = data(marketing.queries.bills(fields(asked)))
    assert [bill["amtYm"] for bill in answer["billList"]] == ["202511", "202512"]
    newest = answer["billList"][1]
    assert newest["lvlList"][2] == {"lvl": 3, "pq": 393, "prc": "0.7883", "amt": 30980}
    assert newest["tAmt"] == sum(line["amt"] for line in newest["lvlList"]) == 51312
    assert newest["endRead"] - newest["bgnRead"] == newest["tPq"] == 793
    assert (newest["payFlag"], newest["mrDate"], newest["rlsDate"]) == ("1", "2025-12-31", "2026-01-01")


def test_months_without_bills_are_left_out(marketing: Marketing) -> None:
    asked = {"consNo": "3210000000001", "ymFrom": "202512", "ymTo": "202606"}
    assert data(marketing.queries.bills(fields(asked)))["billCnt"] == 1


def test_bills_page_by_page_are_all_of_them_with_what_is_owed(marketing: Marketing) -> None:
    asked: dict[str, Any] = {"consNo": "3210000000003", "pageSize": 7}
    pages: list[dict[str, Any]] = []
    while not pages or pages[-1]["hasMore"] == "1":
        before = pages[-1]["billList"][-1]["amtYm"] if pages else None
        pages.append(data(marketing.queries.bill_page(fields(asked | {"ymBefore": before}))))
    months = [bill["amtYm"] for page in pages for bill in page["billList"]]
    assert [len(page["billList"]) for page in pages] == [7, 7, 7, 3]
    assert months == sorted(set(months), reverse=True)
    newest = pages[0]["billList"][:4]
    assert [bill["payStat"] for bill in newest] == ["02", "03", "03", "01"]
    owed = data(marketing.queries.arrears(fields({"consNo": "3210000000003"})))["oweList"]
    told = [(one["amtYm"], one["penaltyAmt"], one["overDays"], one["dueDate"]) for one in newest[2::-1]]
    assert told == [(one["amtYm"], one["penaltyAmt"], one["overDays"], one["dueDate"]) for one in owed]
    old = {"consNo": "3210000000003", "ymFrom": newest[3]["amtYm"], "ymTo": newest[3]["amtYm"]}
    [same] = data(marketing.queries.bills(fields(old)))["billList"]
    shared = same.keys() & newest[3].keys()
    assert {"payDate", "lvlList", "endRead", "rlsDate"} <= shared
    assert {name: same[name] for name in shared} == {name: newest[3][name] for name in shared}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"pageSize": 0}, "1001"),
        ({"pageSize": 25}, "1001"),
        ({"pageSize": 1.5}, "1001"),
        ({"pageSize": None}, "1001"),
        ({"ymBefore": "2026-01"}, "1001"),
        ({"consNo": "9999999999999"}, "1004"),
    ],
)
def test_pages_of_bills_that_cannot_be_asked_for(marketing: Marketing, change: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        marketing.queries.bill_page(fields({"consNo": "3210000000003", "pageSize": 7} | change))
    assert refused.value.code.code == code


def test_payments_are_the_paid_bills_of_the_days(marketing: Marketing) -> None:
    asked = {"consNo": "3210000000002", "dateFrom": "2025-01-01", "dateTo": "2025-06-30"}
    answer = data(marketing.queries.payments(fields(asked)))
    paid = answer["payList"]
    assert answer["payCnt"] == len(paid) > 3
    assert answer["payTotAmt"] == sum(one["payAmt"] for one in paid) > 0
    days = [one["payDate"] for one in paid]
    assert days == sorted(days, reverse=True)
    assert all("2025-01-01" <= day <= "2025-06-30" for day in days)
    bills = data(marketing.queries.bills(fields({"consNo": "3210000000002", "ymFrom": "202412", "ymTo": "202506"})))
    by_month = {bill["amtYm"]: bill for bill in bills["billList"]}
    for one in paid:
        bill = by_month[one["amtYm"]]
        assert (bill["payDate"], bill["tAmt"]) == (one["payDate"], one["payAmt"])
    empty = data(marketing.queries.payments(fields(asked | {"consNo": "3210000000005"})))  # bills of nothing
    assert (empty["payCnt"], empty["payTotAmt"], empty["payList"]) == (0, 0, [])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"dateTo": "2024-12-31"}, "1011"),
        ({"dateTo": "2025-02-30"}, "1001"),
        ({"dateFrom": "20250101"}, "1001"),
        ({"consNo": "9999999999999"}, "1004"),
    ],
)
def test_payments_that_cannot_be_asked_for(marketing: Marketing, change: dict[str, str], code: str) -> None:
    asked = {"consNo": "3210000000002", "dateFrom": "2025-01-01", "dateTo": "2025-06-30"} | change
    with pytest.raises(Refusal) as refused:
        marketing.queries.payments(fields(asked))
    assert refused.value.code.code == code


def test_arrears_add_up_with_their_penalty(marketing: Marketing) -> None:
    answer = data(marketing.queries.arrears(fields({"consNo": "3210000000003"})))
    assert [(line["overDays"], line["penaltyAmt"]) for line in answer["oweList"]] == [
        (51, 461),
        (21, 246),
        (0, 0),
    ]
    assert answer["oweAmt"] == sum(line["rcvblAmt"] for line in answer["oweList"])
    assert answer["totAmt"] == answer["oweAmt"] + answer["penaltyAmt"] == sum(b["totAmt"] for b in answer["oweList"])
    nothing = data(marketing.queries.arrears(fields({"consNo": "3210000000001"})))
    assert (nothing["oweCnt"], nothing["totAmt"], nothing["oweList"]) == (0, 0, [])


BILLS = {"consNo": "3210000000001", "ymFrom": "202501", "ymTo": "202512"}


@pytest.mark.parametrize(
    ("change", "code", "detail"),
    [
        ({"consNo": "3219999999999"}, "1004", ""),
        ({"consNo": "321000000000"}, "1001", "consNo"),
        ({"consNo": 3210000000001}, "1001", "consNo"),
        ({"consNo": "３２１００００００００００"}, "1001", "consNo"),
        ({"ymFrom": "202513"}, "1001", "ymFrom"),
        ({"ymTo": None}, "1001", "ymTo"),
        ({"ymFrom": "202601"}, "1006", "1 to 24 months"),
        ({"ymFrom": "202312"}, "1006", "1 to 24 months"),
    ],
)
def test_bill_query_refuses(marketing: Marketing, change: dict[str, Any], code: str, detail: str) -> None:
    with pytest.raises(Refusal) as refused:
        marketing.queries.bills(fields(BILLS | change))
    assert (refused.value.code.code, refused.value.detail) == (code, detail)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reqId": ""}, "1001"),
        ({"content": "  "}, "1001"),
        ({"content": "\ud800"}, "1001"),
        ({"contactTel": "abc"}, "1001"),
        ({"woType": "99"}, "1007"),
        ({"woType": "05"}, "1009"),
        ({"woType": "06", "applyCap": 0}, "1009"),
        ({"woType": "06", "applyCap": True}, "1001"),
        ({"woType": "06", "applyCap": "NaN"}, "1001"),
        ({"woType": "06", "applyCap": 8, "consNo": None}, "1001"),
        ({"consNo": "3219999999999"}, "1004"),
        ({"consNo": "3210000000007"}, "1005"),
    ],
)
def test_a_refused_work_order_applies_nothing(marketing: Marketing, change: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        marketing.create(REPAIR | change)
    assert refused.value.code.code == code
    assert journal.summary(marketing.reading)["applied"] == 0


def test_the_journal_counts_every_application(marketing: Marketing) -> None:
    first, again = marketing.create(REPAIR, REPAIR)
    marketing.create(REPAIR | {"reqId": "request-2", "woType": "06", "applyCap": 12.5})
    assert first["woNo"] == "202601150000000004" != again["woNo"]
    assert journal.lines(marketing.reading, "request-1") == [
        {
            "request_id": "request-1",
            "operation": "wo/create",
            "applied": 2,
            "at": "2026-01-15T09:00:00.000+08:00",
            "effect": first["woNo"],
        }
    ]
    assert journal.lines(marketing.reading, "request-3") == []
    assert journal.summary(marketing.reading) == {"requests": 2, "applied": 3, "applied_more_than_once": 1}
    capacities = marketing.reading.execute("SELECT capacity FROM work_order ORDER BY id").fetchall()
    assert capacities == [(None,)] * 5 + [("12.5",)]  # three were there from the start


def test_the_idempotent_interface_applies_once_and_repeats_its_answer(marketing: Marketing) -> None:
    together = marketing.create(REPAIR, REPAIR, REPAIR, once=True)
    later = marketing.create(REPAIR, once=True)
    assert together == later * 3
    assert journal.summary(marketing.reading) == {"requests": 1, "applied": 1, "applied_more_than_once": 0}


def test_request_status_repeats_the_original_answer(marketing: Marketing) -> None:
    with pytest.raises(Refusal) as refused:
        marketing.orders.request_status(fields({"reqId": "request-1"}))
    assert refused.value.code.code == "1010"
    [created] = marketing.create(REPAIR)
    assert data(marketing.orders.request_status(fields({"reqId": "request-1"}))) == created


def test_progress_follows_the_clock(marketing: Marketing) -> None:
    [created] = marketing.create(REPAIR)

    def progress() -> Any:
        return data(marketing.orders.progress(fields({"woNo": created["woNo"]})))

    assert (progress()["woStatus"], progress()["curNode"]) == ("10", "受理")
    marketing.moment += timedelta(seconds=NODE_SECONDS * 2)
    assert (progress()["woStatus"], progress()["curNode"]) == ("20", "到达现场")
    assert progress()["nodeList"][1] == {"nodeNo": 2, "nodeName": "派工", "nodeTime": "2026-01-15 09:01:00"}
    marketing.moment += timedelta(days=1)
    assert (progress()["woStatus"], len(progress()["nodeList"])) == ("30", 6)


@pytest.mark.parametrize("number", ["202601150000000009", "202601140000000001", "x", "²²²²²²²²²²²²²²²²²²"])
def test_progress_of_an_unknown_work_order(marketing: Marketing, number: str) -> None:
    marketing.create(REPAIR)
    with pytest.raises(Refusal) as refused:
        marketing.orders.progress(fields({"woNo": number}))
    assert refused.value.code.code == "1008"


def test_a_failing_group_is_rolled_back_and_told(marketing: Marketing) -> None:
    def fail(_connection: sqlite3.Connection) -> str:
        raise sqlite3.OperationalError("disk full")

    async def both() -> tuple[object, object]:
        return await asyncio.gather(
            marketing.orders.create(fields(REPAIR)),
            marketing.effects.apply("request-2", "test", fail, once=False),
            return_exceptions=True,
        )

    outcomes = asyncio.run(both())
    assert all(isinstance(outcome, sqlite3.OperationalError) for outcome in outcomes)
    assert journal.summary(marketing.reading)["applied"] == 0
    assert marketing.create(REPAIR)[0]["reqId"] == "request-1"


def test_the_database_is_durable_and_keeps_its_origin(tmp_path: Path) -> None:
    path = tmp_path / "marketing.sqlite3"
    assert database.prepare(path, customers=5, seed=2, today=TODAY)
    assert not database.prepare(path, customers=None, seed=None, today=TODAY)
    with pytest.raises(database.OriginMismatchError, match="seed 2, not 3"):
        database.prepare(path, customers=5, seed=3, today=TODAY)
    connection = database.connect(path)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()

"""The list of write-offs: whole, in pages, with what was reversed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.marketing_simulator.payments import Payments
from scripts.tools.marketing_simulator.writeoffs import Writeoffs, book
from tests.unit.marketing_simulator.inside import Inside, asked, outcomes, refused

DAYS = {"chnlCode": "wechat", "dateFrom": "2026-01-14", "dateTo": "2026-01-15"}
CHARGE: dict[str, Any] = {
    "consNo": "3210000000005", "payAmt": 100, "chnlCode": "wechat", "payTime": "2026-01-13 23:59:58",
    "acctDate": "2026-01-14",
}  # fmt: skip


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    inside = Inside(tmp_path / "marketing.sqlite3")
    yield inside
    inside.close()


@pytest.fixture
def writeoffs(inside: Inside) -> Writeoffs:
    payments = Payments(inside.reading, inside.effects, inside.queries)
    charges = [CHARGE | {"reqId": f"r-{number}", "chnlSeq": f"T{number}"} for number in range(5)]
    outcomes(payments.write_off, *charges)
    owing = CHARGE | {"consNo": "3210000000003", "reqId": "r-5", "chnlSeq": "T5", "payAmt": 1_000_000}
    outcomes(payments.write_off, owing | {"payTime": "2026-01-10 12:00:00", "acctDate": "2026-01-10"})
    outcomes(payments.write_off, CHARGE | {"reqId": "a-1", "chnlSeq": "A1", "chnlCode": "alipay"})
    back = {"revReason": "01", "refundSeq": "R1", "revTime": "2026-01-15 08:00:00", "acctDate": "2026-01-15"}
    outcomes(payments.reverse, owing | {"reqId": "v-1"} | back)
    return Writeoffs(inside.reading)


def test_pages_come_to_what_each_says_of_the_whole(writeoffs: Writeoffs) -> None:
    pages = [asked(writeoffs.listed, **DAYS, pageNo=number, pageSize=2) for number in (1, 2, 3, 4)]
    rows = [row for page in pages for row in page["dtlList"]]
    assert [len(page["dtlList"]) for page in pages] == [2, 2, 2, 0]
    assert {page["totCnt"] for page in pages} == {len(rows)} == {6}
    assert {page["totAmt"] for page in pages} == {sum(row["payAmt"] for row in rows)}
    assert [row["reqId"] for row in rows] == [f"r-{number}" for number in range(6)]


def test_a_reversal_brings_an_older_payment_into_the_list(writeoffs: Writeoffs) -> None:
    row = asked(writeoffs.listed, **DAYS)["dtlList"][-1]
    assert (row["acctDate"], row["revDate"], row["payStatus"], row["revAmt"]) == (
        "2026-01-10", "2026-01-15", "9", 1_000_000,
    )  # fmt: skip
    assert row["penaltyAmt"] > 0
    assert row["ymList"] == ["202510", "202511", "202512"]
    assert row["crtTime"] == "2026-01-15 09:00:00"
    assert asked(writeoffs.listed, **DAYS | {"dateTo": "2026-01-14"})["totCnt"] == 5


def test_what_cannot_be_asked_for(writeoffs: Writeoffs) -> None:
    assert refused(asked, writeoffs.listed, **DAYS | {"dateTo": "2026-01-13"}) == "1011"
    assert refused(asked, writeoffs.listed, **DAYS | {"dateFrom": "2025-10-01"}) == "1011"
    assert refused(asked, writeoffs.listed, **DAYS, pageSize=1001) == "1001"


def test_the_book_has_every_payment(inside: Inside, writeoffs: Writeoffs) -> None:
    told = book(inside.reading)
    assert [one["transaction"] for one in told][2:] == ["T0", "T1", "T2", "T3", "T4", "T5", "A1"]
    assert [one["refund"] for one in told if one["reversed"]] == ["R1"]

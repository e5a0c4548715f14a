"""Meter readings: the bills' and the customers' own, within the window and plausible."""

import asyncio
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.marketing_simulator import journal
from scripts.tools.marketing_simulator.meters import Meters
from scripts.tools.marketing_simulator.responses import Refusal
from tests.unit.marketing_simulator.inside import Inside, applied, asked, fields, refused

ACCOUNT, EMPTY, WRAPS = "3210000000001", "3210000000005", "3210000000006"
DAYS = {"dateFrom": "2025-12-01", "dateTo": "2026-01-31"}


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    inside = Inside(tmp_path / "marketing.sqlite3")
    yield inside
    inside.close()


@pytest.fixture
def meters(inside: Inside) -> Meters:
    return Meters(inside.reading, inside.effects, inside.queries, inside.clock)


def last(meters: Meters, account: str = ACCOUNT) -> int:
    reading: int = asked(meters.readings, consNo=account, **DAYS)["mrList"][0]["mrNum"]
    return reading


def report(reading: int | str, **changes: str) -> dict[str, Any]:
    return {"reqId": "r-1", "consNo": ACCOUNT, "mrNum": reading, "mrDate": "2026-01-15"} | changes


def test_the_readings_are_those_of_the_bills(inside: Inside, meters: Meters) -> None:
    listed = asked(meters.readings, consNo=ACCOUNT, dateFrom="2023-01-01", dateTo="2026-12-31")["mrList"]
    assert len(listed) == 25  # the first bill began with one
    assert (listed[0]["mrDate"], listed[-1]["mrDate"]) == ("2025-12-31", "2023-12-31")
    bill = asked(inside.queries.bills, consNo=ACCOUNT, ymFrom="202512", ymTo="202512")["billList"][0]
    assert (listed[0]["mrNum"], listed[1]["mrNum"]) == (bill["endRead"], bill["bgnRead"])
    assert {one["mrType"] for one in listed} == {"01", "02"}


def test_an_accepted_reading_is_listed_as_the_customers_and_may_be_corrected(inside: Inside, meters: Meters) -> None:
    before = last(meters)
    told = applied(meters.report, **report(before + 70))
    assert told == {
        "reqId": "r-1",
        "consNo": ACCOUNT,
        "mrNum": before + 70,
        "mrDate": "2026-01-15",
        "acceptTime": "2026-01-15 09:00:00",
    }
    newest = asked(meters.readings, consNo=ACCOUNT, **DAYS)["mrList"][0]
    assert newest == {"mrDate": "2026-01-15", "mrNum": before + 70, "mrType": "03"}
    applied(meters.report, **report(str(before + 60), reqId="r-2"))
    assert last(meters) == before + 60
    assert journal.summary(inside.reading) == {"requests": 2, "applied": 2, "applied_more_than_once": 0}


def test_a_reading_below_the_last_is_taken_only_past_the_wrap(inside: Inside, meters: Meters) -> None:
    inside.effects._connection.execute("UPDATE bill SET end_reading = 99990 WHERE number = 6 AND month = 202512")
    assert refused(applied, meters.report, **report(99_900, consNo=WRAPS)) == "1023"
    assert applied(meters.report, **report(25, consNo=WRAPS))["mrNum"] == 25


@pytest.mark.parametrize(
    ("more", "changes", "code"),
    [
        (-1, {}, "1023"),
        (2_000, {}, "1024"),
        (101, {"consNo": EMPTY}, "1024"),
        (10, {"mrDate": "2026-01-16"}, "1022"),
        (10, {"mrDate": "2026-01-09"}, "1022"),
        (10, {"mrDate": "2026-02-30"}, "1001"),
        (0, {"mrNum": "12.5"}, "1001"),
        (0, {"mrNum": "100000"}, "1001"),
        (0, {"mrNum": ""}, "1001"),
        (0, {"reqId": ""}, "1001"),
        (10, {"consNo": "3210000000007"}, "1005"),
    ],
)
def test_what_is_refused_applies_nothing(
    inside: Inside, meters: Meters, more: int, changes: dict[str, str], code: str
) -> None:
    body = report(last(meters, changes.get("consNo", ACCOUNT)) + more) | changes
    assert refused(applied, meters.report, **body) == code
    assert journal.summary(inside.reading)["applied"] == 0


def test_the_window_is_closed_around_the_end_of_the_month(inside: Inside, meters: Meters) -> None:
    reading = last(meters) + 10
    for day in (date(2026, 1, 4), date(2026, 1, 29)):
        inside.today = day
        assert refused(applied, meters.report, **report(reading, mrDate=day.isoformat())) == "1022"
    inside.today = date(2026, 1, 28)
    assert applied(meters.report, **report(reading, mrDate="2026-01-23"))
    assert applied(meters.report, **report(reading + 5, mrDate="2026-01-26"))
    assert refused(applied, meters.report, **report(reading + 2, mrDate="2026-01-25")) == "1022"  # a later day is read


def test_a_refusal_leaves_the_others_of_its_transaction_alone(inside: Inside, meters: Meters) -> None:
    reading = last(meters) + 50

    async def together() -> list[Any]:
        bodies = (report(reading), report(reading - 60, reqId="r-2"), report(reading + 1, reqId="r-3"))
        return await asyncio.gather(*(meters.report(fields(**body)) for body in bodies), return_exceptions=True)

    first, second, third = asyncio.run(together())
    assert isinstance(second, Refusal)
    assert first.newly
    assert third.newly
    assert last(meters) == reading + 1
    assert journal.lines(inside.reading, "r-2") == []

"""Consumption: days add up to months, the month so far to what the tariff says."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.marketing_simulator.balances import Balances
from scripts.tools.marketing_simulator.daily import daily_kwh
from scripts.tools.marketing_simulator.schedules import RESIDENTIAL, TIME_OF_USE, costs, cycle_of, tier_at
from scripts.tools.marketing_simulator.tariff import charge_for
from scripts.tools.marketing_simulator.usage import Usage
from tests.unit.marketing_simulator.inside import Inside, asked, refused

ACCOUNT, HIGH, CLOSED, TIME_OF_USE_ACCOUNT = "3210000000001", "3210000000004", "3210000000007", "3210000000009"


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    inside = Inside(tmp_path / "marketing.sqlite3")
    yield inside
    inside.close()


@pytest.fixture
def usage(inside: Inside) -> Usage:
    balances = Balances(inside.reading, inside.queries, inside.clock)
    return Usage(inside.reading, inside.queries, balances, inside.clock, seed=1, since=date(2026, 1, 1))


def bill(inside: Inside, account: str, month: str) -> Any:
    return asked(inside.queries.bills, consNo=account, ymFrom=month, ymTo=month)["billList"][0]


@pytest.mark.parametrize(("month", "kwh"), [(202502, 0), (202502, 1), (202512, 793), (202602, 28), (202402, 99_999)])
def test_the_days_of_a_month_add_up_to_it(month: int, kwh: int) -> None:
    for number in range(1, 50):
        days = daily_kwh(1, number, month, kwh)
        assert sum(days.values()) == kwh
        assert min(days.values()) >= 0
        assert {day.month for day in days} == {month % 100}


def test_a_month_is_its_bill_beside_the_year_before(inside: Inside, usage: Usage) -> None:
    answer = asked(usage.months, consNo=HIGH, ymFrom="202411", ymTo="202512")
    assert [one["amtYm"] for one in answer["pqList"]] == ["202411", "202412", *(f"2025{i:02}" for i in range(1, 13))]
    newest = answer["pqList"][-1]
    assert newest["tPq"] == str(bill(inside, HIGH, "202512")["tPq"]) == "793"
    assert newest["lstYrPq"] == str(bill(inside, HIGH, "202412")["tPq"])
    assert sum(int(one["pq"]) for one in newest["lvlList"]) == 793
    oldest = asked(usage.months, consNo=HIGH, ymFrom="202401", ymTo="202401")["pqList"][0]
    assert oldest["lstYrPq"] is None


def test_the_days_of_a_billed_month_and_of_this_one(inside: Inside, usage: Usage) -> None:
    billed = asked(usage.days, consNo=HIGH, ym="202512")
    assert (billed["endFlag"], len(billed["dayList"])) == ("1", 31)
    assert sum(Decimal(one["pq"]) for one in billed["dayList"]) == Decimal(billed["tPq"]) == 793
    running = asked(usage.days, consNo=HIGH, ym="202601")
    assert (running["endFlag"], running["dayList"][-1]["pqDate"]) == ("0", "2026-01-14")
    inside.today = date(2026, 1, 31)
    later = asked(usage.days, consNo=HIGH, ym="202601")
    assert later["dayList"][:14] == running["dayList"]
    inside.today = date(2026, 1, 1)
    assert asked(usage.days, consNo=HIGH, ym="202601")["dayList"] == []


def test_this_month_so_far_is_its_days_and_the_tariff_of_them(inside: Inside, usage: Usage) -> None:
    so_far = asked(usage.so_far, consNo=HIGH)
    days = asked(usage.days, consNo=HIGH, ym="202601")
    assert so_far["tPq"] == days["tPq"]
    assert so_far["calcTime"] == "2026-01-15 00:00:00"
    assert so_far["tAmt"] == sum(line["amt"] for line in so_far["lvlList"])
    assert sum(Decimal(line["pq"]) for line in so_far["lvlList"]) == Decimal(so_far["tPq"])
    assert so_far["mrNum"] == bill(inside, HIGH, "202512")["endRead"] + int(Decimal(so_far["tPq"]))
    assert (so_far["preBal"], so_far["estBal"]) == (120_000, 120_000 + 1_260 - so_far["tAmt"])
    owing = asked(usage.so_far, consNo="3210000000003")
    owed = asked(inside.queries.arrears, consNo="3210000000003")["totAmt"]
    assert owing["estBal"] == -owed - owing["tAmt"]
    explained = asked(usage.tariff, consNo=HIGH)
    assert explained["usedPq"] == so_far["tPq"]
    assert sum(Decimal(one["usedPq"]) for one in explained["lvlList"]) == Decimal(so_far["tPq"])


@pytest.mark.parametrize("kwh", [0, 1, 239, 240, 241, 400, 401, 793])
def test_a_whole_month_costs_what_its_bill_does(kwh: int) -> None:
    days = daily_kwh(1, 4, 202512, kwh).values()
    assert sum(one.amount_fen for one in costs(RESIDENTIAL, Decimal(0), days)) == charge_for(kwh).amount_fen


def test_tiers_are_passed_within_a_day_and_go_on_from_what_is_used() -> None:
    lines = costs(RESIDENTIAL, Decimal(0), [Decimal(230), Decimal(20)])
    assert [(one.tier, one.kwh) for one in lines] == [(1, Decimal(240)), (2, Decimal(10))]
    lines = costs(TIME_OF_USE, Decimal(3_115), [Decimal(10)])
    assert [(one.tier, one.period, one.kwh) for one in lines] == [
        (1, "1", Decimal("3.10")),
        (1, "3", Decimal("1.90")),
        (2, "1", Decimal("3.10")),
        (2, "3", Decimal("1.90")),
    ]
    assert [one.amount_fen for one in lines] == [191, 58, 210, 64]
    assert [tier_at(RESIDENTIAL, Decimal(used)) for used in ("0", "239.99", "240", "400", "9999")] == [1, 1, 2, 3, 3]


@pytest.mark.parametrize(
    ("today", "cycle"),
    [
        (date(2026, 1, 1), (date(2026, 1, 1), date(2026, 12, 31))),
        (date(2026, 12, 31), (date(2026, 1, 1), date(2026, 12, 31))),
        (date(2027, 1, 1), (date(2027, 1, 1), date(2027, 12, 31))),
    ],
)
def test_a_year_of_the_tariff(today: date, cycle: tuple[date, date]) -> None:
    assert cycle_of(TIME_OF_USE, date(2026, 1, 1), today) == cycle
    assert cycle_of(RESIDENTIAL, date(2026, 1, 1), today)[0].day == 1
    assert cycle_of(TIME_OF_USE, date(2025, 7, 1), date(2026, 6, 30))[0] == date(2025, 7, 1)


def test_the_residential_tariff_is_explained(usage: Usage) -> None:
    answer = asked(usage.tariff, consNo=ACCOUNT)
    assert (answer["cycType"], answer["cycBgn"], answer["cycEnd"]) == ("M", "2026-01-01", "2026-01-31")
    assert [(one["bgnPq"], one["endPq"], one["prc"]) for one in answer["lvlList"]] == [
        (0, 240, "0.4883"),
        (240, 400, "0.5383"),
        (400, None, "0.7883"),
    ]
    assert (answer["nextLvl"], answer["nextPrc"], answer["nextPrd"], answer["prdList"]) == (1, "0.4883", None, [])
    assert Decimal(answer["leftPq"]) == 240 - Decimal(answer["usedPq"])


def test_time_of_use_prices_depend_on_the_time_of_the_day(inside: Inside, usage: Usage) -> None:
    answer = asked(usage.tariff, consNo=TIME_OF_USE_ACCOUNT)
    assert (answer["cycType"], answer["nextPrd"], answer["nextPrc"]) == ("Y", "1", "0.617")
    assert [(one["prdType"], one["bgnTime"], one["endTime"]) for one in answer["prdList"]] == [
        ("1", "06:00", "22:00"),
        ("3", "22:00", "06:00"),
    ]
    for utc_hour in (14, 21):  # 22:00 and 05:00 in China
        inside.moment = datetime(2026, 1, 15, utc_hour, 0, tzinfo=UTC)
        assert asked(usage.tariff, consNo=TIME_OF_USE_ACCOUNT)["nextPrc"] == "0.307"
    assert not TIME_OF_USE.periods[1].contains(time(6))
    inside.today = date(2026, 3, 1)  # two months later, both are of this year's tiers
    used = Decimal(asked(usage.tariff, consNo=TIME_OF_USE_ACCOUNT)["usedPq"])
    assert used > Decimal(answer["usedPq"])
    assert asked(usage.so_far, consNo=TIME_OF_USE_ACCOUNT)["tPq"] == "0"


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("months", {"consNo": ACCOUNT, "ymFrom": "202512", "ymTo": "202511"}, "1006"),
        ("months", {"consNo": "9999999999999", "ymFrom": "202511", "ymTo": "202511"}, "1004"),
        ("days", {"consNo": ACCOUNT, "ym": "202301"}, "1021"),
        ("days", {"consNo": ACCOUNT, "ym": "202602"}, "1021"),
        ("days", {"consNo": CLOSED, "ym": "202601"}, "1021"),
        ("days", {"consNo": ACCOUNT, "ym": "2026-01"}, "1001"),
        ("so_far", {"consNo": CLOSED}, "1005"),
        ("tariff", {"consNo": CLOSED}, "1005"),
        ("tariff", {"consNo": "9999999999999"}, "1004"),
    ],
)
def test_what_is_refused(usage: Usage, name: str, body: dict[str, str], code: str) -> None:
    assert refused(asked, getattr(usage, name), **body) == code

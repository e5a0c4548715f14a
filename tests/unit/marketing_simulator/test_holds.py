"""Holds: nobody else pays what a batch collects; a hold is made once, and ends once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.marketing_simulator.holds import Holds
from scripts.tools.marketing_simulator.payments import Payments
from tests.unit.marketing_simulator.inside import Inside, asked, outcomes, refused

OWING = "3210000000003"  # bills of 202510, 202511 and 202512
HOLD: dict[str, Any] = {
    "reqId": "h-1", "consNo": OWING, "ymList": ["202511"], "batchNo": "B1", "chnlCode": "withholding",
}  # fmt: skip
RELEASE = {name: value for name, value in HOLD.items() if name != "chnlCode"} | {"reqId": "u-1"}


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    inside = Inside(tmp_path / "marketing.sqlite3")
    yield inside
    inside.close()


@pytest.fixture
def holds(inside: Inside) -> Holds:
    return Holds(inside.reading, inside.effects, inside.queries, inside.clock)


@pytest.fixture
def payments(inside: Inside) -> Payments:
    return Payments(inside.reading, inside.effects, inside.queries)


def charge(amount: int, **change: Any) -> dict[str, Any]:
    paid = {"payTime": "2026-01-15 10:00:00", "acctDate": "2026-01-15", "chnlCode": "alipay", "chnlSeq": "T1"}
    return {"reqId": "r-1", "consNo": OWING, "payAmt": amount, **paid, **change}


def owed(holds: Holds, *accounts: str) -> Any:
    return asked(holds.owed, consNos=list(accounts or (OWING,)))


def test_what_is_held_is_told_and_paid_through_its_channel_alone(holds: Holds, payments: Payments) -> None:
    assert [bill["lockBatch"] for bill in owed(holds)["oweList"]] == [None, None, None]
    assert outcomes(holds.lock, HOLD)[0]["ymList"] == ["202511"]
    bills = owed(holds)["oweList"]
    assert [bill["lockBatch"] for bill in bills] == [None, "B1", None]
    total = bills[1]["rcvblAmt"] + bills[1]["penaltyAmt"]
    assert outcomes(payments.write_off, charge(total, ymList=["202511"])) == ["1110"]
    (booked,) = outcomes(payments.write_off, charge(total, ymList=["202511"], chnlCode="withholding"))
    assert booked["stlList"][0]["amtYm"] == "202511"


def test_without_bills_named_a_payment_goes_round_it(holds: Holds, payments: Payments) -> None:
    outcomes(holds.lock, HOLD)
    total = sum(bill["rcvblAmt"] + bill["penaltyAmt"] for bill in owed(holds)["oweList"])
    (booked,) = outcomes(payments.write_off, charge(total))
    assert [bill["amtYm"] for bill in booked["stlList"]] == ["202510", "202512"]
    assert booked["preAmt"] > 0


def test_a_hold_is_made_once_and_ends_once(inside: Inside, holds: Holds) -> None:
    first, again = outcomes(holds.lock, HOLD, HOLD | {"reqId": "h-2"})
    assert first["ymList"] == again["ymList"]
    assert (inside.applied("h-1"), inside.applied("h-2")) == (1, 0)
    assert outcomes(holds.lock, HOLD | {"batchNo": "B2"}) == ["1110"]
    assert outcomes(holds.unlock, RELEASE | {"batchNo": "B2"})[0]["ymList"] == []  # it is not that batch's
    assert outcomes(holds.unlock, RELEASE | {"reqId": "u-2"})[0]["ymList"] == ["202511"]
    assert outcomes(holds.lock, HOLD | {"reqId": "h-3"}) == ["1111"]  # a late repetition
    assert outcomes(holds.lock, HOLD | {"batchNo": "B2"})[0]["ymList"] == ["202511"]


def test_all_bills_are_held_or_none(holds: Holds) -> None:
    assert outcomes(holds.lock, HOLD | {"ymList": ["202510", "202509"]}) == ["1104"]
    assert [bill["lockBatch"] for bill in owed(holds)["oweList"]] == [None, None, None]


def test_open_bills_are_those_of_the_arrears(inside: Inside, holds: Holds) -> None:
    told = owed(holds, OWING, "3210000000001", "3210000000007", "9999999999999")
    arrears = asked(inside.queries.arrears, consNo=OWING)
    assert [(bill["amtYm"], bill["rcvblAmt"], bill["penaltyAmt"]) for bill in told["oweList"]] == [
        (bill["amtYm"], bill["rcvblAmt"], bill["penaltyAmt"]) for bill in arrears["oweList"]
    ]
    assert {bill["consNo"] for bill in told["oweList"]} == {OWING}
    assert told["noneList"] == ["3210000000007", "9999999999999"]  # the closed one, and one that is not there


@pytest.mark.parametrize("accounts", [[], ["x"], [f"{number:013}" for number in range(101)]])
def test_what_no_list_is_asked_for(holds: Holds, accounts: list[str]) -> None:
    assert refused(asked, holds.owed, consNos=accounts) == "1001"

"""Invoices: for paid bills, each month on one; the same one asked for again is the first."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.marketing_simulator.balances import Balances
from scripts.tools.marketing_simulator.invoices import Invoices
from tests.unit.marketing_simulator.inside import Inside, applied, asked, outcomes, refused

ACCOUNT, HIGH, OWING, EMPTY = "3210000000001", "3210000000004", "3210000000003", "3210000000005"
NODE_SECONDS = 60.0
ASKED: dict[str, Any] = {
    "reqId": "i-1",
    "consNo": HIGH,
    "ymList": ["202512", "202511"],
    "buyerType": "02",
    "buyerName": "示范科技有限公司",
    "taxNo": "91350100M000100Y43",
    "email": "invoice@example.com",
}


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    inside = Inside(tmp_path / "marketing.sqlite3")
    yield inside
    inside.close()


@pytest.fixture
def invoices(inside: Inside) -> Invoices:
    return Invoices(inside.reading, inside.effects, inside.queries, inside.clock, node_seconds=NODE_SECONDS)


def listed(invoices: Invoices, account: str = HIGH, first: str = "202401", last: str = "202512") -> Any:
    return asked(invoices.invoices, consNo=account, ymFrom=first, ymTo=last)["invList"]


def test_an_invoice_comes_to_its_bills_and_is_issued_later(inside: Inside, invoices: Invoices) -> None:
    told = applied(invoices.apply, **ASKED)
    bills = asked(inside.queries.bills, consNo=HIGH, ymFrom="202511", ymTo="202512")["billList"]
    assert told["ymList"] == ["202511", "202512"]
    assert told["invAmt"] == sum(bill["tAmt"] for bill in bills) > 0
    [waiting] = listed(invoices)
    assert (waiting["aplNo"], waiting["invStatus"], waiting["invNo"]) == (told["aplNo"], "01", None)
    inside.moment += timedelta(seconds=NODE_SECONDS)
    [issued] = listed(invoices, first="202512")  # one of its months is enough
    assert (issued["invStatus"], issued["invDate"], len(issued["invNo"])) == ("02", "2026-01-15", 20)
    assert listed(invoices, last="202510") == []


def test_the_same_again_is_the_first_and_a_month_is_on_one_invoice(inside: Inside, invoices: Invoices) -> None:
    first, again, other_buyer, more, part = outcomes(
        invoices.apply,
        ASKED,
        ASKED | {"reqId": "i-2", "ymList": ["202511", "202512"]},
        ASKED | {"reqId": "i-3", "buyerType": "01", "taxNo": None},
        ASKED | {"reqId": "i-4", "ymList": ["202510", "202511", "202512"]},
        ASKED | {"reqId": "i-5", "ymList": ["202512"]},
    )
    assert (other_buyer, more, part) == ("1033", "1033", "1033")
    assert again == first | {"reqId": "i-2"}
    assert [inside.applied(f"i-{number}") for number in range(1, 4)] == [1, 0, None]
    assert len(listed(invoices)) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ymList": ["202601"]}, "1031"),
        ({"consNo": OWING}, "1032"),
        ({"consNo": EMPTY}, "1034"),
        ({"consNo": "9999999999999"}, "1004"),
        ({"ymList": []}, "1001"),
        ({"ymList": [f"2024{month:02}" for month in range(1, 13)] + ["202501"]}, "1001"),
        ({"taxNo": None}, "1001"),
        ({"buyerType": "01"}, "1001"),
        ({"buyerType": "03"}, "1001"),
        ({"email": "x"}, "1001"),
    ],
)
def test_what_is_refused_leaves_nothing(inside: Inside, invoices: Invoices, change: dict[str, Any], code: str) -> None:
    assert outcomes(invoices.apply, ASKED | change) == [code]
    assert inside.applied("i-1") is None
    assert listed(invoices) == []


def test_a_span_of_months_is_bounded(invoices: Invoices) -> None:
    assert refused(asked, invoices.invoices, consNo=HIGH, ymFrom="202312", ymTo="202512") == "1006"
    assert refused(asked, invoices.invoices, consNo=HIGH, ymFrom="202512", ymTo="202511") == "1006"


def test_the_first_account_has_one_from_the_start(inside: Inside, invoices: Invoices) -> None:
    [first] = listed(invoices, ACCOUNT)
    [bill] = asked(inside.queries.bills, consNo=ACCOUNT, ymFrom="202507", ymTo="202507")["billList"]
    assert (first["ymList"], first["invAmt"], first["invStatus"]) == (["202507"], bill["tAmt"], "02")


def test_a_balance_is_what_is_had_less_what_is_owed(inside: Inside) -> None:
    balances = Balances(inside.reading, inside.queries, inside.clock)
    had = asked(balances.query, consNo=HIGH)
    assert (had["preBal"], had["rtnBal"], had["oweAmt"], had["acctBal"]) == (120_000, 1_260, 0, 121_260)
    owes = asked(balances.query, consNo=OWING)
    owed = asked(inside.queries.arrears, consNo=OWING)["totAmt"]
    assert (owes["oweAmt"], owes["acctBal"]) == (owed, -owed)

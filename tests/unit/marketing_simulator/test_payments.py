"""Payments: what is settled, that a transaction is booked once whatever its request id, and what a reversal undoes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.marketing_simulator.payments import Payments
from scripts.tools.marketing_simulator.points import Points
from scripts.tools.marketing_simulator.withholding import Withholding, masked
from tests.unit.marketing_simulator.inside import Inside, asked, outcomes, refused

OWING = "3210000000003"  # bills of 202510, 202511 and 202512: the older two with a penalty
CHARGE: dict[str, Any] = {
    "reqId": "r-1",
    "consNo": OWING,
    "payAmt": 1,
    "chnlCode": "alipay",
    "chnlSeq": "T1",
    "payTime": "2026-01-15 10:00:00",
    "acctDate": "2026-01-15",
}
REVERSAL: dict[str, Any] = {
    "reqId": "v-1",
    "consNo": OWING,
    "payAmt": 1,
    "chnlCode": "alipay",
    "chnlSeq": "T1",
    "revReason": "01",
    "refundSeq": "T1R1",
    "revTime": "2026-01-15 11:00:00",
    "acctDate": "2026-01-15",
}


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    inside = Inside(tmp_path / "marketing.sqlite3")
    yield inside
    inside.close()


@pytest.fixture
def payments(inside: Inside) -> Payments:
    return Payments(inside.reading, inside.effects, inside.queries)


def arrears(inside: Inside, account: str = OWING) -> Any:
    return asked(inside.queries.arrears, consNo=account)


def test_the_oldest_bills_are_settled_and_the_rest_is_credit(inside: Inside, payments: Payments) -> None:
    before = arrears(inside)
    oldest, second, newest = before["oweList"]
    amount = oldest["totAmt"] + second["totAmt"] + 7
    (booked,) = outcomes(payments.write_off, CHARGE | {"payAmt": amount})
    assert [line["amtYm"] for line in booked["stlList"]] == [oldest["amtYm"], second["amtYm"]]
    assert booked["stlList"][0]["penaltyAmt"] == oldest["penaltyAmt"] > 0
    assert (booked["preAmt"], booked["preBal"]) == (7, 7)
    assert arrears(inside)["oweList"] == [newest]
    month = oldest["amtYm"]
    (bill,) = asked(inside.queries.bills, consNo=OWING, ymFrom=month, ymTo=month)["billList"]
    assert (bill["payFlag"], bill["payDate"]) == ("1", "2026-01-15")
    paid = asked(inside.queries.payments, consNo=OWING, dateFrom="2026-01-15", dateTo="2026-01-15")
    assert paid["payTotAmt"] == amount
    assert [(one["amtYm"], one["payAmt"]) for one in paid["payList"]] == [
        (second["amtYm"], second["totAmt"]),
        (oldest["amtYm"], oldest["totAmt"]),
        (None, 7),
    ]


def test_the_day_it_was_paid_fixes_the_penalty(inside: Inside, payments: Payments) -> None:
    oldest = arrears(inside)["oweList"][0]
    assert (oldest["amtYm"], oldest["overDays"]) == ("202510", 51)
    early = {"payTime": "2025-11-25 23:59:59", "payAmt": oldest["rcvblAmt"], "ymList": ["202510"]}
    (booked,) = outcomes(payments.write_off, CHARGE | early)
    assert [line["penaltyAmt"] for line in booked["stlList"]] == [0]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ymList": ["202510"], "payAmt": 1}, "1103"),
        ({"ymList": ["202509"]}, "1104"),
        ({"ymList": ["2025-10"]}, "1001"),
        ({"ymList": ["202510", "202510"]}, "1001"),
        ({"payAmt": 0}, "1001"),
        ({"payAmt": True}, "1001"),
        ({"payTime": "2026-02-30 10:00:00"}, "1001"),
        ({"acctDate": "2026-01-14"}, "1001"),
        ({"consNo": "9999999999999"}, "1004"),
        ({"consNo": "3210000000007"}, "1005"),
    ],
)
def test_a_charge_that_is_refused_changes_nothing(
    inside: Inside, payments: Payments, change: dict[str, Any], code: str
) -> None:
    before = arrears(inside)
    refused, booked = outcomes(payments.write_off, CHARGE | change, CHARGE | {"reqId": "r-2", "chnlSeq": "T2"})
    assert refused == code
    assert booked["preAmt"] == 1  # what shared its transaction is done all the same
    assert inside.applied("r-1") is None
    assert arrears(inside) == before


def test_a_transaction_is_booked_once_whatever_its_request_id(inside: Inside, payments: Payments) -> None:
    due = arrears(inside)["oweList"][0]
    charge = CHARGE | {"payAmt": due["totAmt"], "ymList": [due["amtYm"]]}
    first, again = outcomes(payments.write_off, charge, charge | {"reqId": "r-2"})
    assert first | {"reqId": "r-2"} == again
    assert outcomes(payments.write_off, charge) == [first]
    assert (inside.applied("r-1"), inside.applied("r-2")) == (1, 0)
    other: list[dict[str, Any]] = [
        {"payAmt": 2},
        {"consNo": "3210000000008"},
        {"acctDate": "2026-01-16"},
        {"ymList": []},
    ]
    others = [charge | change | {"reqId": f"o-{number}"} for number, change in enumerate(other)]
    assert outcomes(payments.write_off, *others) == ["1101"] * 4
    assert outcomes(payments.prepay, charge | {"reqId": "r-3"}) == ["1101"]
    (line,) = outcomes(payments.write_off, CHARGE | {"reqId": "r-4", "chnlLine": 2})
    assert line["payNo"] != first["payNo"]  # another part of the transaction


def test_a_reversal_opens_the_bills_and_stays(inside: Inside, payments: Payments) -> None:
    before = arrears(inside)
    amount = before["oweList"][0]["totAmt"] + 7
    outcomes(payments.write_off, CHARGE | {"payAmt": amount})
    reversal = REVERSAL | {"payAmt": amount}
    wrong: list[dict[str, Any]] = [{"payAmt": 1}, {"chnlSeq": "T9"}, {"consNo": "3210000000001"}, {"revReason": "9"}]
    refused = [reversal | change | {"reqId": f"w-{number}"} for number, change in enumerate(wrong)]
    assert outcomes(payments.reverse, *refused) == ["1103", "1105", "1105", "1001"]
    (undone,) = outcomes(payments.reverse, reversal)
    assert (undone["ymList"], undone["preBal"]) == ([before["oweList"][0]["amtYm"]], 0)
    assert arrears(inside) == before
    assert outcomes(payments.reverse, reversal | {"reqId": "v-2"}) == [undone | {"reqId": "v-2"}]
    assert outcomes(payments.reverse, reversal | {"reqId": "v-3", "refundSeq": "T1R2"}) == ["1101"]
    assert outcomes(payments.write_off, CHARGE | {"payAmt": amount, "reqId": "r-9"}) == ["1102"]
    state = asked(payments.state, chnlCode="alipay", chnlSeq="T1")
    assert (state["payStatus"], state["revDate"]) == ("9", "2026-01-15")
    paid = asked(inside.queries.payments, consNo=OWING, dateFrom="2026-01-15", dateTo="2026-01-15")
    assert paid["payList"] == []


def test_a_payment_is_found_by_its_transaction_and_by_each_request(inside: Inside, payments: Payments) -> None:
    outcomes(payments.prepay, CHARGE, CHARGE | {"reqId": "r-2"})
    found = asked(payments.state, chnlCode="alipay", chnlSeq="T1")
    assert (found["reqId"], found["payType"], found["payStatus"]) == ("r-1", "02", "1")
    assert asked(payments.state, reqId="r-2") == found | {"reqId": "r-2"}
    assert refused(asked, payments.state, reqId="r-3") == "1105"
    assert refused(asked, payments.state, chnlCode="wechat", chnlSeq="T1") == "1105"


def test_withholding_is_signed_once_and_cancelled(inside: Inside) -> None:
    withholding = Withholding(inside.reading, inside.effects, inside.queries, inside.clock)
    order = {"reqId": "a-1", "consNo": OWING, "bankCode": "icbc", "bankAcct": "6222020000000000123", "acctName": "黄涛"}
    (signed,) = outcomes(withholding.sign, order)
    listed = asked(withholding.listed, consNos=[OWING, "9999999999999"])["agrList"]
    assert [(one["agrNo"], one["bankAcct"]) for one in listed] == [(signed["agrNo"], "6222020000000000123")]
    assert signed["bankAcctMask"] == "622202*********0123"
    assert outcomes(withholding.sign, order | {"reqId": "a-2"}) == [signed | {"reqId": "a-2"}]
    assert outcomes(withholding.sign, order | {"reqId": "a-3", "bankCode": "ccb"}) == ["1106"]
    ending = {"reqId": "c-1", "consNo": OWING, "agrNo": signed["agrNo"]}
    (ended,) = outcomes(withholding.cancel, ending)
    assert ended["cancelDate"] == "2026-01-15"
    assert outcomes(withholding.cancel, ending | {"reqId": "c-2"}) == [ended | {"reqId": "c-2"}]
    assert outcomes(withholding.cancel, ending | {"reqId": "c-3", "consNo": "3210000000001"}) == ["1107"]
    (again,) = outcomes(withholding.sign, order | {"reqId": "a-4", "bankCode": "ccb"})
    assert again["agrNo"] != signed["agrNo"]


@pytest.mark.parametrize(
    ("number", "shown"), [("12345678", "****5678"), ("12345678901234", "123456****1234"), ("1" * 13, "*" * 9 + "1111")]
)
def test_a_bank_account_is_masked(number: str, shown: str) -> None:
    assert masked(number) == shown


def test_points_are_earned_by_paying_and_spent_once(inside: Inside, payments: Payments) -> None:
    points = Points(inside.reading, inside.effects, inside.queries)
    had = asked(points.balance, consNo=OWING)["points"]
    outcomes(payments.write_off, CHARGE | {"payAmt": 100_000})
    now = asked(points.balance, consNo=OWING)["points"]
    assert now > had > 10
    swap = {"reqId": "e-1", "consNo": OWING, "giftCode": "bill-credit", "giftCnt": now // 10}
    first, second = outcomes(points.exchange, swap, swap | {"reqId": "e-2"})
    assert (first["usedPoints"], first["points"], second) == (now // 10 * 10, now % 10, "1108")
    assert outcomes(points.exchange, swap | {"giftCode": "car"}) == ["1109"]
    (prepaid,) = outcomes(payments.prepay, CHARGE | {"reqId": "p", "chnlSeq": "T5"})
    assert prepaid["preBal"] > now // 10 * 100  # the credit of the reward is there

"""The interface tables: what they hold, and that a request is carried out once, whenever the process dies."""

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from scripts.tools.marketing_simulator.faces.sql import store
from scripts.tools.marketing_simulator.faces.sql.exports import DAYS_OF_MONTHS
from scripts.tools.marketing_simulator.faces.sql.face import TABLES, business_code
from scripts.tools.marketing_simulator.faults import FaultPlan
from tests.unit.marketing_simulator.inside import asked
from tests.unit.marketing_simulator.interface_tables import NODE_S, Face

ORDER = {
    "REQ_ID": "r-1",
    "WO_TYPE": "01",
    "CONS_NO": "3210000000001",
    "CONTACT_NAME": "张三",
    "CONTACT_TEL": "19900000001",
    "ADDR": "人民路1号",
    "CONTENT": "停电",
}
PAYMENT = {
    "REQ_ID": "r-2",
    "BIZ_CODE": "PAY_WRITEOFF",
    "CONS_NO": "3210000000005",
    "PAY_AMT": 5000,
    "CHNL_CODE": "alipay",
    "CHNL_SEQ": "2026011500000000000000000009",
    "PAY_TIME": "2026-01-15 09:00:00",
    "ACCT_DATE": "2026-01-15",
}


@pytest.fixture
def face(tmp_path: Path) -> Iterator[Face]:
    face = Face(tmp_path)
    yield face
    face.close()


def test_the_schema_is_read_as_it_is(face: Face) -> None:
    for table, names in store.columns().items():
        assert tuple(row["name"] for row in face.rows(f"PRAGMA table_info({table})")) == names
    assert {table.name for table in TABLES} <= store.columns().keys()


def test_what_is_read_is_what_the_interfaces_answer(face: Face) -> None:
    queries = {one.path: one.query for one in face.offered if one.query}
    account = "3210000000003"
    bills = asked(queries["/api/bill/page"], consNo=account, pageSize=24)["billList"]
    read = face.rows("SELECT * FROM INF_BILL WHERE CONS_NO = ? ORDER BY AMT_YM DESC", account)
    assert [(one["AMT_YM"], one["RCVBL_AMT"], one["PAY_STAT"]) for one in read] == [
        (one["amtYm"], one["rcvblAmt"], one["payStat"]) for one in bills
    ]
    assert [one["LVL1_AMT"] for one in read] == [one["lvlList"][0]["amt"] for one in bills]
    owed = asked(queries["/api/arrears/query"], consNo=account)
    assert owed["totAmt"] == sum(
        one["TOT_AMT"] for one in face.rows("SELECT * FROM INF_OWE WHERE CONS_NO = ?", account)
    )
    [price] = face.rows("SELECT * FROM INF_PRC WHERE CONS_NO = ?", account)
    assert json.loads(price["LVL_LIST"]) == asked(queries["/api/price/explain"], consNo=account)["lvlList"]
    assert len(face.rows("SELECT * FROM INF_PQ_DAY_MON WHERE CONS_NO = ?", account)) == DAYS_OF_MONTHS
    assert len(face.rows("SELECT * FROM INF_PQ_MON WHERE CONS_NO = ?", account)) == 24
    for table in face.store.columns:
        if table not in {one.name for one in TABLES} | {"INF_CHNL_PAY_REQ", "INF_REAL_NAME"}:
            assert face.rows(f"SELECT 1 FROM {table} LIMIT 1"), table


def test_a_work_order_is_created_and_read_as_it_goes_on(face: Face) -> None:
    told = face.request("INF_WO_REQ", ORDER)
    assert (told["STATUS"], told["RTN_CODE"], told["R_REQ_ID"]) == ("1", "0000", "r-1")
    number = told["R_WO_NO"]
    for seconds, status, nodes in ((0, "10", 1), (NODE_S, "20", 2), (9 * NODE_S, "30", 6), (1, "30", 6)):
        face.inside.moment += timedelta(seconds=seconds)
        face.turn()
        [row] = face.rows("SELECT * FROM INF_WO WHERE WO_NO = ?", number)
        assert (row["WO_STATUS"], row["CONS_NO"]) == (status, ORDER["CONS_NO"])
        assert len(face.rows("SELECT * FROM INF_WO_NODE WHERE WO_NO = ?", number)) == nodes


def test_a_payment_is_in_the_read_tables_when_it_is_answered(face: Face) -> None:
    account = "3210000000003"
    [*_, bill] = face.rows("SELECT * FROM INF_OWE WHERE CONS_NO = ? ORDER BY AMT_YM DESC", account)
    row = PAYMENT | {"CONS_NO": account, "PAY_AMT": bill["TOT_AMT"], "YM_LIST": bill["AMT_YM"]}
    told = face.request("INF_PAY_REQ", row)
    assert told["RTN_CODE"] == "0000", told["RTN_MSG"]
    assert (told["R_CONS_NO"], told["R_PAY_AMT"], told["R_PRE_AMT"]) == (account, bill["TOT_AMT"], 0)
    assert json.loads(told["R_STL_LIST"])[0]["amtYm"] == bill["AMT_YM"]
    assert not face.rows("SELECT 1 FROM INF_OWE WHERE CONS_NO = ? AND AMT_YM = ?", account, bill["AMT_YM"])
    assert face.rows("SELECT 1 FROM INF_CHNL_PAY WHERE PAY_NO = ?", told["R_PAY_NO"])
    again = face.request("INF_PAY_REQ", row | {"REQ_ID": "r-3"})  # the same transaction, as another request
    assert (again["R_PAY_NO"], face.applied("r-3")) == (told["R_PAY_NO"], 0)
    named = face.rows("SELECT REQ_ID FROM INF_CHNL_PAY_REQ WHERE PAY_NO = ? ORDER BY REQ_ID", told["R_PAY_NO"])
    assert [one["REQ_ID"] for one in named] == ["r-2", "r-3"]


def test_any_business_goes_through_one_table(face: Face) -> None:
    data = {"appUser": "demo-user", "consNo": "3210000000001", "matchToken": "demo-match-token-0001"}
    told = face.request("INF_REQ", {"REQ_ID": "b-1", "BIZ_CODE": "CUST_BIND", "REQ_DATA": json.dumps(data)})
    assert json.loads(told["RSP_DATA"])["reqId"] == "b-1"
    assert len(face.rows("SELECT 1 FROM INF_BIND WHERE APP_USER = 'demo-user'")) == 3


@pytest.mark.parametrize(
    ("business", "data", "code"),
    [
        ("WO_RATE", '{"woNo": "202607010000000001", "contactTel": "13800000001", "score": 5}', "1008"),
        ("WO_RATE", "{}", "1001"),
        ("WO_RATE", "[]", "9002"),
        ("WO_RATE", "{", "9002"),
        ("WO_LIST", "{}", "9002"),
    ],
)
def test_a_refusal_is_told_by_its_code(face: Face, business: str, data: str, code: str) -> None:
    told = face.request("INF_REQ", {"REQ_ID": "no-1", "BIZ_CODE": business, "REQ_DATA": data})
    assert (told["STATUS"], told["RTN_CODE"], told["RSP_DATA"]) == ("1", code, None)
    assert face.applied("no-1") is None


def test_applied_by_a_process_that_died_before_it_answered(face: Face) -> None:
    face.faults.set(FaultPlan(hang_after_applying=True))
    assert face.request("INF_WO_REQ", ORDER)["STATUS"] == "0"
    face.turn()
    assert (face.row_of("INF_WO_REQ", "r-1")["STATUS"], face.applied("r-1")) == ("0", 1)
    face.faults.clear()
    face.face.close()
    face.restart()
    face.turn()
    told = face.row_of("INF_WO_REQ", "r-1")
    assert (told["STATUS"], told["R_REQ_ID"], face.applied("r-1")) == ("1", "r-1", 1)
    assert face.rows("SELECT 1 FROM INF_WO WHERE WO_NO = ?", told["R_WO_NO"])


def test_what_hangs_is_not_applied_and_holds_nobody_up(face: Face) -> None:
    face.faults.set(FaultPlan(hang=True, times=1))
    assert face.request("INF_WO_REQ", ORDER)["STATUS"] == "0"
    assert face.request("INF_PAY_REQ", PAYMENT)["STATUS"] == "1"
    assert (face.row_of("INF_WO_REQ", "r-1")["STATUS"], face.applied("r-1")) == ("0", None)


def test_a_system_error_is_no_refusal(face: Face) -> None:
    face.faults.set(FaultPlan(error_rate=1, times=1))
    told = face.request("INF_WO_REQ", ORDER)
    assert (told["STATUS"], told["RTN_CODE"], face.applied("r-1")) == ("9", "9999", None)


def test_another_business_day_makes_another_penalty(face: Face) -> None:
    penalty = "SELECT sum(PENALTY_AMT) AS fen FROM INF_OWE WHERE CONS_NO = '3210000000003'"
    [before] = face.rows(penalty)
    face.inside.today += timedelta(days=10)
    face.turn()
    assert face.rows(penalty)[0]["fen"] > before["fen"]
    assert face.rows("SELECT DISTINCT CALC_DATE FROM INF_OWE") == [{"CALC_DATE": date(2026, 1, 25).isoformat()}]


def test_a_match_token_that_has_ended_is_gone(face: Face) -> None:
    [customer] = face.inside.reading.execute("SELECT identity_number, mobile FROM customer WHERE number = 1").fetchall()
    data = {"appUser": "u-1", "certNo": customer[0], "mobileNo": customer[1], "agreeVer": "1"}
    data["agreeTime"] = "2026-01-15 09:00:00"
    told = face.request("INF_REQ", {"REQ_ID": "m-1", "BIZ_CODE": "CUST_MATCH", "REQ_DATA": json.dumps(data)})
    token = json.loads(told["RSP_DATA"])["matchToken"]
    assert face.rows("SELECT CONS_NO FROM INF_MATCH WHERE MATCH_TOKEN = ?", token) == [{"CONS_NO": "3210000000001"}]
    face.inside.moment += timedelta(minutes=10)
    face.turn()
    assert not face.rows("SELECT 1 FROM INF_MATCH WHERE MATCH_TOKEN = ?", token)


def test_business_codes() -> None:
    assert business_code("/api/wo/cancel") == "WO_CANCEL"
    assert all(re.fullmatch("[A-Z_]+", code) for code in map(business_code, ("/api/cust/realName", "/api/pay/prepay")))

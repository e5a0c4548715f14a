"""What a caller is told over the interface tables is what the JSON bindings tell, of every query and many requests."""

import asyncio
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from intranet_bridge.marketing import Answered, MarketingRequest, Refused
from intranet_bridge.marketing.expressions.mapping import compiled
from intranet_bridge.marketing.http.binding import HttpBinding
from intranet_bridge.marketing.judgement import Judgement
from intranet_bridge.marketing.sql.adapter import SqlAdapter
from intranet_bridge.marketing.sql.binding import SqlBinding, SqlSystem
from intranet_bridge.marketing.sql.database import Database
from protocol.operations import CATALOGUE, OFFERED, OWN
from protocol.operations.operation import Kind, Operation
from scripts.tools.marketing_simulator.fields import Fields
from scripts.tools.marketing_simulator.responses import Refusal
from tests.unit.marketing_simulator.interface_tables import Face

ROOT = Path(__file__).parents[3]
ACCOUNTS = [f"32100000000{number:02}" for number in range(1, 13)] + ["9999999999999"]
"""The seventh is closed, the ninth has time-of-use prices, the last does not exist."""
YEAR = {"first_month": "2025-01", "last_month": "2025-12"}
DAYS = {"first_day": "2025-10-01", "last_day": "2026-01-15"}
OF_ACCOUNT: dict[str, list[dict[str, Any]]] = {
    "account-profile": [{}],
    "bill-query": [YEAR, {"first_month": "2024-02", "last_month": "2024-02"}],
    "bill-query.v2": [{"limit": 5}, {"before": "2025-06", "limit": 24}, {"before": "2024-03", "limit": 2}],
    "arrears-query": [{}, {"as_of": "2026-01-15"}],
    "balance-query": [{}],
    "bill-detail": [{"month": "2025-12"}, {"month": "2023-01"}],
    "payment-records": [DAYS, {"first_day": "2019-01-01", "last_day": "2019-01-31"}],
    "invoice-query": [YEAR],
    "points-balance": [{}],
    "usage-query": [YEAR],
    "usage-daily": [{"month": "2026-01"}, {"month": "2025-12"}, {"month": "2025-11"}, {"month": "2020-01"}],
    "tariff-explain": [{}],
    "realtime-charge-query": [{}],
    "meter-readings": [DAYS],
    "work-order-list": [{}, {"state": "finished"}, {"state": "cancelled"}, {"page": 2, "page_size": 1}, DAYS],
    "outage-notices": [{}, {"first_day": "2026-01-01", "last_day": "2026-02-10"}, {"area": "云河"}],
}
OTHERS: dict[str, list[dict[str, Any]]] = {
    "account-search": [
        {"user": user, "token": token}
        for user in ("demo-user", "Demo-User")
        for token in ("demo-match-token-0001", "demo-match-token-0002", "Demo-Match-Token-0001")
    ],
    "binding-list": [{"user": "demo-user"}, {"user": "Demo-User"}],
    "real-name-state": [{"user": "demo-user"}, {"user": "u-1"}],
    "payment-state": [
        {"channel": "alipay", "transaction": "2026070122001498760000000001"},
        {"channel": "alipay", "transaction": "2026070122001498760000000001", "line": 2},
        {"command": "01a2266b-a24e-7e66-970e-c96afa5cd3b1"},
        {"command": "01a2266b-a24e-7e66-970e-c96afa5cd3b2"},
    ],
    "work-order-progress": [
        {"work_order": number} for number in ("202607010000000001", "202511030000000002", "202511030000000009")
    ],
    "application-requirements": [
        {"type": kind, "customer": customer}
        for kind in ("new", "capacity-up", "capacity-down", "transfer", "close")
        for customer in ("person", "company")
    ],
    "application-progress": [{"application": "SQ202511030000000001"}, {"application": "SQ202511030000000009"}],
    "outlets": [
        {"area": "990101"},
        {"area": "云河"},
        {"area": "云河区", "limit": 1},
        {"area": "无此区"},
        {"near": {"latitude": 30.514, "longitude": 114.393, "datum": "WGS-84"}, "limit": 3},
        {"near": {"latitude": 30.514, "longitude": 114.393, "datum": "GCJ-02"}, "within_m": 3000},
    ],
    "outage-notices": [
        {"area": "990101"},
        {"area": "无此区"},
        {"first_day": "2026-01-01", "last_day": "2026-01-14"},
        {"first_day": "2026-02-20", "last_day": "2026-02-25"},
    ],
    "news-list": [
        {},
        {"page": 2, "page_size": 2},
        {"category": "公告"},
        {"category": "01"},
        {"category": "无"},
        {"page": 9},
    ],
    "news-item": [{"news": "1"}, {"news": "7"}, {"news": "99"}, {"news": "x"}],
    "faq": [
        {},
        {"category": "停电报修"},
        {"keyword": "停电"},
        {"keyword": "100%"},
        {"keyword": "_"},
        {"category": "无"},
    ],
    "policy-texts": [{}, {"page_size": 2, "page": 2}, {"category": "电价政策"}, {"keyword": "电价"}, {"keyword": "%"}],
    "theft-report-progress": [{"report": "JB2025110300000173104825"}, {"report": "JB2025110300000173104826"}],
}
QUERIES = sorted(name for name, operation in OFFERED.items() if operation.kind is Kind.QUERY and name not in OWN)


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """One in which a payment is booked, by a command of the front's."""
    face = Face(tmp_path_factory.mktemp("sql"))
    row = {"REQ_ID": "01a2266b-a24e-7e66-970e-c96afa5cd3b1", "BIZ_CODE": "PAY_PREPAY", "CONS_NO": "3210000000005"}
    row |= {"PAY_AMT": "5000", "CHNL_CODE": "alipay", "CHNL_SEQ": "2026011500000000000000000009"}
    row |= {"PAY_TIME": "2026-01-15 09:00:00", "ACCT_DATE": "2026-01-15"}
    assert face.request("INF_PAY_REQ", row)["RTN_CODE"] == "0000"
    yield face
    face.close()


def table_of(folder: str, name: str) -> Any:
    files = (tomllib.loads(file.read_text(encoding="utf-8")) for file in (ROOT / folder).glob("*.toml"))
    [table] = [file["operations"][name] for file in files if name in file.get("operations", {})]
    return table


def over_json(face: Face, operation: Operation, asked: MarketingRequest) -> Any:
    """The outcome by the interface's answer and the shipped binding."""
    binding = HttpBinding.model_validate(table_of("config/bindings", operation.name))
    fields = operation.requests.dump_python(asked.body, mode="json") | {"request_id": asked.request_id}
    body = json.dumps(compiled(binding.request or "@", binding.values)(fields)).encode()
    query = next(one.query for one in face.offered if one.path == binding.path and one.query)
    try:
        answer = query(Fields(body))
    except Refusal as refusal:
        answer = refusal.body()
    return Judgement(operation, binding).outcome(asked, json.loads(answer))


def told(outcome: Any) -> Any:
    """What a caller gets of an outcome."""
    match outcome:
        case Answered():
            return json.loads(outcome.result)
        case Refused():
            return outcome.code
    return outcome


def nearly(told: Any) -> Any:
    """The same, with the distances as a plane has them nearby."""
    for outlet in told.get("outlets", ()) if isinstance(told, dict) else ():
        if outlet["distance_m"] is not None:
            outlet["distance_m"] = pytest.approx(outlet["distance_m"], rel=0.001, abs=2)
    return told


@pytest.mark.parametrize("name", QUERIES)
def test_both_kinds_tell_the_same(face: Face, name: str) -> None:
    operation = CATALOGUE[name]
    bodies = OTHERS.get(name, []) + [{"account": one} | more for more in OF_ACCOUNT.get(name, ()) for one in ACCOUNTS]
    assert bodies, "a query without requests here"
    system = SqlSystem(adapter="sql", file=face.file)
    binding = SqlBinding.model_validate(table_of("config/examples/sql", name))

    async def both() -> list[tuple[Any, Any, Any]]:
        database = Database(system)
        adapter = SqlAdapter(operation, binding, system, database)
        outcomes = []
        for body in bodies:
            asked = MarketingRequest("01a2266b-0000-7000-8000-000000000000", operation.requests.validate_python(body))
            outcomes.append((body, told(await adapter.call(asked, 5)), nearly(told(over_json(face, operation, asked)))))
        await database.close()
        return outcomes

    outcomes = asyncio.run(both())
    assert [one for one in outcomes if one[1] != one[2]] == []
    assert any(isinstance(one[1], dict) for one in outcomes)

"""Requests cross the boundary and come back: the whole pair, seen from outside."""

import json
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.testbed import Testbed
from tests.support.postgres import Postgres
from tests.support.shipped import offered
from tests.support.testbeds import ACCOUNT, LOOPBACK, eventually, journal, running_testbed, work_order


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def testbed(
    testbed: Testbed, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Testbed]:
    """The session's testbed, and one whose two sides each have a PostgreSQL database."""
    if request.param == "sqlite":
        yield testbed
        return
    server: Postgres = request.getfixturevalue("postgres")
    stores = {side: server.database(side) for side in ("front", "bridge")}
    with running_testbed(tmp_path_factory.mktemp("crossing"), stores=stores) as other:
        yield other


def test_bill_query_is_answered_from_the_marketing_system(http: httpx.Client) -> None:
    asked = {"account": ACCOUNT, "first_month": "2026-01", "last_month": "2026-06"}
    answer = http.post("/v1/bill-query", json=asked)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["status"] == "succeeded"
    assert body["request_id"] == answer.headers["request-id"]
    bills = body["result"]["bills"]
    assert [bill["month"] for bill in bills] == [f"2026-0{month}" for month in range(1, 7)]
    for bill in bills:
        assert isinstance(bill["amount"], int)
        assert sum(tier["amount"] for tier in bill["tiers"]) == bill["amount"]


def test_two_versions_of_an_operation_cross_side_by_side(http: httpx.Client) -> None:
    old = http.post("/v1/bill-query", json={"account": ACCOUNT, "first_month": "2026-01", "last_month": "2026-06"})
    assert old.headers["deprecation"].startswith("@")
    assert old.headers["link"] == '</v1/bill-query.v2>; rel="successor-version"'
    bills = old.json()["result"]["bills"]
    pages, before = [], "2026-07"
    for _ in range(3):
        answer = http.post("/v1/bill-query.v2", json={"account": ACCOUNT, "before": before, "limit": 2})
        assert "deprecation" not in answer.headers
        pages.append(answer.json()["result"])
        before = pages[-1]["next_before"]
    found = [bill for page in pages for bill in page["bills"]]
    assert [bill["month"] for bill in found] == [bill["month"] for bill in reversed(bills)]
    for new, same in zip(found, reversed(bills), strict=True):
        assert {name: new[name] for name in ("kwh", "amount", "reading_end")} == {
            name: same[name] for name in ("kwh", "amount", "reading_end")
        }
        assert (new["status"] == "paid") is same["paid"]
        assert new["due_on"] > new["issued_on"]
    newest = http.post("/v1/bill-query.v2", json={"account": ACCOUNT, "limit": 1}).json()["result"]["bills"][0]
    assert newest["status"] in ("due", "overdue")
    removed = http.post("/v1/bill-query.v2", json={"account": ACCOUNT, "last_month": "2026-06"})
    assert (removed.status_code, removed.json()["errors"][0]["type"]) == (422, "removed_field")


def test_arrears_add_up(http: httpx.Client) -> None:
    result = http.post("/v1/arrears-query", json={"account": "3210000000003"}).json()["result"]
    assert len(result["unpaid"]) == 3
    assert result["total"] == sum(bill["amount"] + bill["penalty"] for bill in result["unpaid"]) > 0


def test_a_bill_in_full_adds_up_and_was_paid_by_a_payment(http: httpx.Client) -> None:
    bill = http.post("/v1/bill-detail", json={"account": ACCOUNT, "month": "2026-05"}).json()["result"]
    assert sum(tier["amount"] for tier in bill["tiers"]) == bill["amount"] > 0
    assert bill["read_on"] == "2026-05-31"
    assert int(bill["reading_end"]) - int(bill["reading_begin"]) == int(bill["kwh"])
    asked = {"account": ACCOUNT, "first_day": bill["paid_on"], "last_day": bill["paid_on"]}
    paid = http.post("/v1/payment-records", json=asked).json()["result"]
    assert {"paid_on": bill["paid_on"], "month": "2026-05", "amount": bill["amount"]} in paid["payments"]
    assert paid["total"] == sum(one["amount"] for one in paid["payments"])


def test_arrears_as_of_a_day_and_the_balance_that_counts_them_to_today(http: httpx.Client) -> None:
    account = "3210000000008"
    now, later = (
        http.post("/v1/arrears-query", json={"account": account, **asked}).json()["result"]
        for asked in ({}, {"as_of": "2026-09-30"})
    )
    assert (now["as_of"], later["as_of"]) == ("2026-07-15", "2026-09-30")
    assert later["total"] > now["total"] > 0
    too_far = http.post("/v1/arrears-query", json={"account": account, "as_of": "2036-01-01"}).json()
    assert (too_far["status"], too_far["refusal"]["code"]) == ("refused", "day-range")
    balance = http.post("/v1/balance-query", json={"account": account}).json()["result"]
    assert balance["balance"] == balance["prepaid"] + balance["credit"] - balance["owed"] == -now["total"]


def test_an_invoice_is_asked_for_once_and_then_listed(testbed: Testbed, http: httpx.Client) -> None:
    asked = {
        "account": "3210000000006",
        "months": ["2026-02", "2026-03"],
        "buyer_type": "person",
        "title": "示范户主",
        "email": "customer@example.com",
    }

    def ask(**change: object) -> dict[str, Any]:
        headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=10"}
        told: dict[str, Any] = http.post("/v1/invoice-request", json=asked | change, headers=headers).json()
        return told

    first, again = ask(), ask()
    assert first["status"] == "succeeded", first
    assert again["result"] == first["result"]
    assert [journal(testbed, told["request_id"])[0]["applied"] for told in (first, again)] == [1, 0]
    assert ask(months=["2026-03"])["refusal"]["code"] == "already-invoiced"
    assert ask(account="3210000000008", months=["2026-06"])["refusal"]["code"] == "month-unpaid"
    span = {"account": asked["account"], "first_month": "2026-03", "last_month": "2026-03"}
    [listed] = http.post("/v1/invoice-query", json=span).json()["result"]["invoices"]
    assert {name: listed[name] for name in ("invoice_request", "months", "amount", "title")} == {
        "invoice_request": first["result"]["invoice_request"],
        "months": asked["months"],
        "amount": first["result"]["amount"],
        "title": "示***",
    }


def test_a_month_without_a_bill_is_a_business_answer(http: httpx.Client) -> None:
    answer = http.post("/v1/bill-detail", json={"account": ACCOUNT, "month": "2019-01"})
    assert (answer.status_code, answer.json()["status"]) == (200, "refused")
    assert answer.json()["refusal"]["code"] == "no-such-bill"


def test_no_such_account_is_a_business_answer(http: httpx.Client) -> None:
    answer = http.post("/v1/arrears-query", json={"account": "9999999999999"})
    assert answer.status_code == 200
    assert answer.json()["status"] == "refused"
    assert answer.json()["refusal"]["code"] == "no-such-account"


def test_work_order_is_applied_once_however_often_it_is_sent(testbed: Testbed, http: httpx.Client) -> None:
    headers = {"Idempotency-Key": f"once-{uuid.uuid4()}", "Prefer": "wait=10"}
    first = http.post("/v1/work-order", json=work_order(), headers=headers)
    assert first.status_code == 200, first.text
    again = [http.post("/v1/work-order", json=work_order(), headers=headers) for _ in range(3)]
    assert [answer.json() for answer in again] == [first.json()] * 3
    rewritten = json.dumps(dict(reversed(work_order().items())), indent=2)
    other = http.post("/v1/work-order", content=rewritten, headers=headers | {"Content-Type": "application/json"})
    assert other.json() == first.json()  # the same request in other words
    assert [entry["applied"] for entry in journal(testbed, first.json()["request_id"])] == [1]


def test_simultaneous_duplicates_are_one_order(testbed: Testbed, http: httpx.Client) -> None:
    headers = {"Idempotency-Key": f"storm-{uuid.uuid4()}"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: http.post("/v1/work-order", json=work_order("并发"), headers=headers), range(8))
        )
    assert {answer.status_code for answer in answers} <= {200, 202, 409}
    ids = {answer.json()["request_id"] for answer in answers if answer.status_code != 409}
    assert len(ids) == 1
    entry = eventually(lambda: journal(testbed, ids.copy().pop()), what="the effect")
    assert entry[0]["applied"] == 1


@pytest.mark.parametrize(
    "order",
    [
        work_order(type="complaint", content="电费算错了"),
        work_order(type="suggestion", account=None, content="建议延长营业时间"),
        work_order(type="theft-report", account=None, content="隔壁窃电\n门牌二十号"),
        work_order(type="new-connection", account=None, capacity_kw=8, content="新房报装"),
        work_order(type="capacity-change", capacity_kw=16, content="增容"),
    ],
    ids=lambda order: order["type"],
)
def test_every_type_of_work_order_and_its_progress(http: httpx.Client, order: dict[str, object]) -> None:
    order = {name: value for name, value in order.items() if value is not None}
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=10"}
    answer = http.post("/v1/work-order", json=order, headers=headers)
    assert answer.status_code == 200, answer.text
    number = answer.json()["result"]["work_order"]
    progress = http.post("/v1/work-order-progress", json={"work_order": number}).json()
    assert progress["result"]["work_order"] == number
    assert progress["result"]["steps"][0]["name"] == "受理"  # Chinese text is intact end to end


def test_respond_async_is_202_and_the_status_tells_the_rest(http: httpx.Client) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"}
    accepted = http.post("/v1/work-order", json=work_order("异步"), headers=headers)
    assert accepted.status_code == 202
    assert accepted.headers["preference-applied"] == "respond-async"
    place = accepted.headers["location"]
    final = eventually(lambda: (told := http.get(place).json())["status"] == "succeeded" and told, what="the outcome")
    assert final["request_id"] == accepted.json()["request_id"]
    assert final["result"]["work_order"]


def test_health_docs_and_catalogue(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.get("/readyz").json()["status"] == "ok"
    page = http.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("http://127.0.0.1", "").split("<body>")[1].split("url:")[0]
    for asset in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert http.get(asset).status_code == 200
    assert b'"5.' in http.get("/static-offline-docs/swagger-ui-bundle.js").content  # 4 cannot show OpenAPI 3.1
    names = {item["name"] for item in http.get("/v1/operations").json()["operations"]}
    assert names == offered()


def test_queue_health_over_the_one_port(testbed: Testbed, http: httpx.Client) -> None:
    http.post("/v1/arrears-query", json={"account": ACCOUNT})

    def settled() -> bool:  # queries are acknowledged late, and commands of tests before this one may be on their way
        rows = {row["name"]: row for row in json.loads(testbed.ctl("queues", "--json"))}
        queries, commands = rows["bridge.query.main"], rows["bridge.command.main"]
        assert queries["consumers"] == 1
        assert "bridge.reply.query.front-1" in rows
        return bool(queries["dequeued"] >= 1 and commands["depth"] == 0)

    eventually(settled, what="what was taken being told so")
    table = testbed.ctl("queues")
    assert "DEAD LETTERS" in table
    assert "bridge.command.main" in table


def test_metrics_count_what_was_answered(testbed: Testbed, http: httpx.Client) -> None:
    def count(status: str) -> float:
        text = httpx.get(testbed.metrics_url, **LOOPBACK).text
        wanted = f'dmz_front_responses_total{{operation="arrears-query",status="{status}"}} '
        return sum(float(line.removeprefix(wanted)) for line in text.splitlines() if line.startswith(wanted))

    good, bad = count("200"), count("422")
    http.post("/v1/arrears-query", json={"account": ACCOUNT})
    http.post("/v1/arrears-query", json={"account": "1"})
    # an answer is counted when it is written, which another thread may read a moment later
    eventually(lambda: (count("200"), count("422")) == (good + 1, bad + 1), what="both answers, once each")

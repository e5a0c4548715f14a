"""What a running front counts is told on its host: answers, ends, reasons, latencies, and a page of its own."""

import json
import uuid
from pathlib import Path
from typing import Any

import httpx

from protocol.operations import CATALOGUE
from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import client, eventually

APPLICATION = "counted"


def told(testbed: Testbed) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(testbed.ctl("stats", "--by", "application", "--days", "2", "--json"))
    return found


def of(testbed: Testbed) -> dict[str, Any] | None:
    return next((one for one in told(testbed)["groups"] if one["application"] == APPLICATION), None)


def test_a_front_counts_and_its_host_tells(testbed: Testbed, tmp_path: Path) -> None:
    key = testbed.ctl("apps", "add", APPLICATION, "--scope", "bills", "--scope", "work-orders").strip()
    bill, order = (dict(CATALOGUE[name].example) for name in ("bill-query", "work-order"))
    with client(testbed, headers={"Authorization": f"Bearer {key}"}) as http:
        eventually(lambda: http.get("/v1/operations").status_code == 200, what="the new key")
        answers: list[httpx.Response] = [
            http.post("/v1/bill-query", json=bill),
            http.post("/v1/bill-query", json=bill | {"account": "9999999999999"}),
            http.post("/v1/bill-query", json={}),
            http.post("/v1/work-order", json=order, headers={"Idempotency-Key": str(uuid.uuid4())}),
        ]
    refused = answers[1].json()["refusal"]["code"]

    def complete() -> bool:
        found = of(testbed)
        return found is not None and found["calls"] == len(answers) and found["ended_succeeded"] == 1

    eventually(complete, what="the counts")
    found = of(testbed)
    assert found is not None
    assert (found["refused"], found["turned_away"], found["failed"]) == (1, 1, 0)
    assert 0 < found["p50_ms"] <= found["p99_ms"] < 60_000
    assert (refused, "bill-query") in {(one["reason"], one["operation"]) for one in told(testbed)["reasons"]}
    page = tmp_path / "report.html"
    testbed.ctl("stats", "report", str(page))
    text = page.read_text(encoding="utf-8")
    assert APPLICATION in text
    assert bill["account"] not in text
    assert "<script" not in text
    testbed.ctl("apps", "revoke", APPLICATION)

"""Usage crosses: days add up to months, the charge so far to the tariff; a reading reported is a reading listed."""

import uuid
from decimal import Decimal
from typing import Any

import httpx

from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import ACCOUNTS, journal

ACCOUNT = ACCOUNTS[9]


def asked(http: httpx.Client, operation: str, **body: Any) -> Any:
    answer = http.post(f"/v1/{operation}", json=body)
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded"), answer.text
    return answer.json()["result"]


def test_days_add_up_to_the_bill_and_the_charge_so_far_to_the_tariff(http: httpx.Client) -> None:
    daily = asked(http, "usage-daily", account=ACCOUNT, month="2026-06")
    bill = asked(http, "bill-detail", account=ACCOUNT, month="2026-06")
    assert daily["complete"]
    assert sum(Decimal(one["kwh"]) for one in daily["days"]) == Decimal(bill["kwh"]) > 0
    so_far = asked(http, "realtime-charge-query", account=ACCOUNT)
    tariff = asked(http, "tariff-explain", account=ACCOUNT)
    assert tariff["used"] == so_far["kwh"]
    assert so_far["charge"] == sum(line["amount"] for line in so_far["lines"]) > 0


def test_a_reading_reported_is_listed_and_one_below_it_is_refused(testbed: Testbed, http: httpx.Client) -> None:
    reading = int(asked(http, "realtime-charge-query", account=ACCOUNT)["reading"])

    def report(value: int) -> Any:
        body = {"account": ACCOUNT, "reading": f"{value}.0", "read_on": "2026-07-14"}
        headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=10"}
        return http.post("/v1/meter-reading-submit", json=body, headers=headers).json()

    told = report(reading)
    assert told["status"] == "succeeded", told
    assert [entry["applied"] for entry in journal(testbed, told["request_id"])] == [1]
    listed = asked(http, "meter-readings", account=ACCOUNT, first_day="2026-07-14", last_day="2026-07-14")
    assert listed["readings"] == [{"read_on": "2026-07-14", "reading": str(reading), "kind": "customer"}]
    assert report(reading - 1_000)["refusal"]["code"] == "reading-below-last"

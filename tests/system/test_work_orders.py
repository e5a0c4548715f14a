"""What became of a work order: found in the list, cancelled by its own customer alone, rated when it is finished."""

import json
from typing import Any

import httpx

from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import command, eventually, journal, query, work_order

ACCOUNT = "3210000000011"
PHONE = "13800000011"


def test_an_order_of_ones_own_is_listed_and_cancelled(testbed: Testbed, http: httpx.Client) -> None:
    order = work_order(type="meter-fault", account=ACCOUNT, contact_phone=PHONE)
    number = command(http, "work-order", order)["result"]["work_order"]
    listed = query(http, "work-order-list", {"account": ACCOUNT, "page_size": 1})
    assert listed["total"] >= 1
    assert listed["work_orders"][0] | {"accepted_at": ""} == {
        "work_order": number,
        "type": "meter-fault",
        "state": "accepted",
        "status": "已受理",
        "accepted_at": "",
    }
    wish = {"work_order": number, "contact_phone": "13999999999", "reason": "不用上门了"}
    others, none = (
        command(http, "work-order-cancel", wish | change) for change in ({}, {"work_order": "202601010000000000"})
    )
    assert (others["status"], others["refusal"]) == (none["status"], none["refusal"])  # nothing tells the two apart
    assert others["refusal"]["code"] == "no-such-work-order"
    rating = {"work_order": number, "account": ACCOUNT, "rating": 4}
    assert command(http, "work-order-rate", rating)["refusal"]["code"] == "work-order-not-finished"
    cancelled = command(http, "work-order-cancel", wish | {"contact_phone": PHONE})
    assert cancelled["result"]["work_order"] == number
    assert [entry["applied"] for entry in journal(testbed, cancelled["request_id"])] == [1]
    assert query(http, "work-order-progress", {"work_order": number})["state"] == "cancelled"
    states = {
        one["work_order"]: one["state"] for one in query(http, "work-order-list", {"account": ACCOUNT})["work_orders"]
    }
    assert states[number] == "cancelled"


def test_what_is_finished_cannot_be_cancelled(http: httpx.Client) -> None:
    finished = {"work_order": "202511030000000003", "account": "3210000000001", "reason": "不用了"}
    assert command(http, "work-order-cancel", finished)["refusal"]["code"] == "not-cancellable"


def test_a_commands_id_leads_through_the_logs_of_both_sides(testbed: Testbed, http: httpx.Client) -> None:
    answer = command(http, "work-order", work_order())
    assert answer["status"] == "succeeded"
    id = answer["request_id"]

    def lines() -> dict[str, list[dict[str, Any]]]:
        texts = {program: (testbed.logs / f"{program}.log").read_text() for program in ("front", "bridge")}
        return {
            program: [json.loads(line) for line in text.splitlines() if id in line] for program, text in texts.items()
        }

    eventually(lambda: (len(lines()["front"]), len(lines()["bridge"])) == (2, 1), what="the last line of each")
    found = lines()
    assert [line["event"] for line in found["front"]] == ["outcome-recorded", "request-answered"]
    assert [line["event"] for line in found["bridge"]] == ["command-finished"]
    assert all(line["request_id"] == id and "家里没电了" not in str(line) for one in found.values() for line in one)

"""A payment crosses: written off once whatever its key, seen in arrears and records, taken back."""

import uuid

import httpx

from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import journal

OWING = "3210000000008"  # six bills unpaid; nothing else in the tests asks what it owes


def sent(http: httpx.Client, operation: str, body: dict[str, object]) -> dict[str, object]:
    """A command's status document, under a key of its own."""
    answer = http.post(
        f"/v1/{operation}", json=body, headers={"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=10"}
    )
    assert answer.status_code == 200, answer.text
    told: dict[str, object] = answer.json()
    return told


def test_a_transaction_is_written_off_once_by_two_keys_and_can_be_taken_back(
    testbed: Testbed, http: httpx.Client
) -> None:
    def owed() -> dict[str, int]:
        found = http.post("/v1/arrears-query", json={"account": OWING}).json()["result"]
        return {bill["month"]: bill["amount"] + bill["penalty"] for bill in found["unpaid"]}

    before = owed()
    month, amount = next(iter(before.items()))
    transaction = uuid.uuid4().hex
    payment = {"account": OWING, "amount": amount, "channel": "wechat", "transaction": transaction, "months": [month]}
    payment |= {"paid_at": "2026-07-15T09:30:00+08:00", "booked_on": "2026-07-15"}
    first, again = sent(http, "payment-writeoff", payment), sent(http, "payment-writeoff", payment)
    assert first["status"] == "succeeded", first
    assert again["result"] == first["result"]
    assert again["request_id"] != first["request_id"]
    applied = [journal(testbed, str(told["request_id"]))[0]["applied"] for told in (first, again)]
    assert applied == [1, 0]
    assert owed() == {other: due for other, due in before.items() if other != month}
    other = sent(http, "payment-writeoff", payment | {"amount": amount + 1})
    assert other["refusal"] == {"code": "transaction-conflict", "message": "渠道流水号重复且内容不一致"}

    state = http.post("/v1/payment-state", json={"channel": "wechat", "transaction": transaction}).json()["result"]
    assert (state["state"], state["command"], state["paid_at"]) == ("booked", first["request_id"], payment["paid_at"])
    day = {"account": OWING, "first_day": "2026-07-15", "last_day": "2026-07-15"}
    paid = http.post("/v1/payment-records", json=day).json()["result"]["payments"]
    assert {"paid_on": "2026-07-15", "month": month, "amount": amount} in paid

    reversal = {name: payment[name] for name in ("account", "amount", "channel", "transaction", "paid_at", "booked_on")}
    undone = sent(http, "payment-reversal", reversal | {"reason": "refunded", "refund": f"{transaction}-R1"})
    assert undone["status"] == "succeeded", undone
    assert owed() == before
    late = sent(http, "payment-writeoff", payment)
    assert late["refusal"]["code"] == "transaction-reversed"  # type: ignore[index]
    state = http.post("/v1/payment-state", json={"command": again["request_id"]}).json()["result"]
    assert (state["state"], state["reversed_on"]) == ("reversed", "2026-07-15")

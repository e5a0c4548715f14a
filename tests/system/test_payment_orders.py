"""A payment order over the boundary: a coupon reserved, paid by a signed notification, written off; one line refused,
refunded, and its refund proven; and as an accountant sees it. Prepayments alone, so that nobody else's bills change.
"""

import base64
import hashlib
import hmac
import json
import uuid
from typing import Any

import httpx

from scripts.tools.testbed.testbed import Testbed
from tests.support.desks import logged_in, unharmed
from tests.support.testbeds import PATIENT, eventually
from tests.system.conftest import CHANNEL_KEY

OPEN, CLOSED = "3210000000005", "3210000000007"


def asked(http: httpx.Client, operation: str, body: dict[str, Any]) -> Any:
    told = http.post(f"/v1/{operation}", json=body, headers={"Idempotency-Key": str(uuid.uuid4()), **PATIENT}).json()
    assert told["status"] in ("succeeded", "refused"), told
    return told.get("result", told.get("refusal"))


def said(content: dict[str, Any], key: bytes = CHANNEL_KEY) -> dict[str, Any]:
    """What the channel sends."""
    body = json.dumps(content).encode()
    signature = hmac.new(key, body, hashlib.sha256).hexdigest()
    return {
        "channel": "simulated", "headers": [{"name": "Signature", "value": signature}],
        "body": base64.b64encode(body).decode(),
    }  # fmt: skip


def test_an_order_is_paid_written_off_and_its_refused_line_refunded(
    testbed: Testbed, http: httpx.Client, browser: Any
) -> None:
    lines = [{"company": "power", "account": account, "amount": 3000} for account in (OPEN, CLOSED)]
    coupon = {"id": "CP1999", "kind": "coupon", "funder": "power", "amount": 1000}
    order = asked(http, "payment-order-create", {"channel": "simulated", "lines": lines, "parts": [coupon]})
    number = order["order"]

    def standing() -> Any:
        return asked(http, "payment-order", {"order": number})

    def is_in(state: str) -> Any:
        return lambda: (found := standing())["state"] == state and found

    order = eventually(is_in("reserved"), what="the coupon's reservation")
    assert [line["cash"] for line in order["lines"]] == [2500, 2500]
    assert asked(http, "payment-order-pay", {"order": number})["state"] == "paying"

    transaction = f"S{uuid.uuid4().hex}"
    paid = {"order": number, "transaction": transaction, "amount_fen": 5000, "paid_at": "2026-07-02T09:30:00+08:00"}
    assert asked(http, "payment-confirm", said(paid, b"f" * 32))["code"] == "evidence-invalid"
    for meant in ("paid", "repeated"):
        confirmed = asked(http, "payment-confirm", said(paid))
        assert (confirmed["meant"], confirmed["acknowledgement"]["body"]) == (meant, '{"code":"SUCCESS"}')

    order = eventually(lambda: (found := standing())["refunds"] and found, what="the refund")
    (refund,) = order["refunds"]
    assert (refund["line"], refund["cash"], refund["transaction"]) == (2, 2500, transaction)
    assert order["lines"][1]["code"] == "account-closed"
    assert asked(http, "refund-confirm", {"refund": refund["refund"], "said": "sent"})["state"] == "sent"
    proof = {"refund": refund["refund"], "transaction": "R1", "amount_fen": 2500, "refunded_at": paid["paid_at"]}
    assert asked(http, "payment-confirm", said(proof))["meant"] == "refund-proven"

    order = eventually(is_in("completed-with-refunds"), what="its end")
    assert [line["state"] for line in order["lines"]] == ["written-off", "refunded"]
    assert order["parts"][0]["state"] == "posted"
    booked = asked(http, "payment-state", {"channel": "simulated", "transaction": transaction, "line": 1})
    assert (booked["command"], booked["amount"]) == (f"{number}-1", 3000)
    for log in testbed.logs.glob("*.log"):
        assert transaction not in log.read_text(errors="replace")

    page, complaints = logged_in(testbed, browser, "sun", "settle")
    page.goto("/desk/orders?state=completed-with-refunds")
    page.click(f"text={number}")
    assert "已退款" in page.content()
    assert transaction in page.content()
    assert page.locator("td.number", has_text="25.00").count() >= 2  # a line's cash, and its refund
    unharmed(page, f"/desk/orders/{number}", "money-order")
    unharmed(page, "/desk/orders?state=", "money-orders")
    page.context.close()
    assert complaints == []

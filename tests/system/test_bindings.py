"""An account is found, bound, listed and unbound; a code crosses; nothing tells why a match failed; guessers wait."""

import uuid
from typing import Any

import httpx

from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import LOOPBACK

CONSENT = {"version": "2026-01", "at": "2026-07-15T09:00:00+08:00"}
ACCOUNT = "3210000000002"
HOLDER = {"identity_number": "990101194511280024", "mobile": "19900000002", "consent": CONSENT}


def sent(http: httpx.Client, operation: str, **body: Any) -> dict[str, Any]:
    """A command's status document, under a key of its own."""
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=10"}
    answer = http.post(f"/v1/{operation}", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_an_account_is_matched_bound_listed_and_unbound(http: httpx.Client) -> None:
    user = uuid.uuid4().hex
    matched = sent(http, "account-match", user=user, **HOLDER)["result"]
    assert matched["candidates"] == [{"account": ACCOUNT, "name": "任*", "address": "云河市云河区光明街***"}]
    found = http.post("/v1/account-search", json={"user": user, "token": matched["token"]}).json()["result"]
    assert found["candidates"] == matched["candidates"]
    bound = sent(http, "account-bind", user=user, account=ACCOUNT, token=matched["token"])
    assert bound["status"] == "succeeded", bound
    listed = http.post("/v1/binding-list", json={"user": user}).json()["result"]["bindings"]
    assert [(one["account"], one["bound_at"]) for one in listed] == [(ACCOUNT, bound["result"]["bound_at"])]
    assert sent(http, "account-unbind", user=user, account=ACCOUNT)["status"] == "succeeded"
    assert http.post("/v1/binding-list", json={"user": user}).json()["result"]["bindings"] == []


def test_a_wrong_mobile_and_no_such_identity_are_one_refusal(http: httpx.Client) -> None:
    user = uuid.uuid4().hex
    wrong = [{"mobile": "19900000003"}, {"identity_number": "11010519491231002X"}]
    refusals = [sent(http, "account-match", user=user, **HOLDER | change)["refusal"] for change in wrong]
    assert refusals[0] == refusals[1]
    assert refusals[0]["code"] == "no-match"


def test_a_one_time_code_binds_once(testbed: Testbed, http: httpx.Client) -> None:
    account, user = "3210000000009", uuid.uuid4().hex
    told = sent(http, "account-code", user=user, account=account)["result"]
    assert told["sent_to"] == "199****0009"
    outbox = httpx.get(f"{testbed.marketing_url}/outbox", params={"account": account}, **LOOPBACK)
    code = outbox.json()[-1]["code"]
    assert sent(http, "account-bind", user=user, account=account, code=code)["status"] == "succeeded"
    again = sent(http, "account-bind", user=user, account=account, code=code)
    assert again["refusal"]["code"] == "code-invalid"
    profile = http.post("/v1/account-profile", json={"account": account}).json()["result"]
    assert profile["mobile"] == "199****0009"
    assert profile["name"].endswith("*")


def test_who_guesses_waits_and_the_others_do_not(http: httpx.Client) -> None:
    guess = {"user": uuid.uuid4().hex, "identity_number": "110105194912310097", "consent": CONSENT}
    for last in range(5):
        assert sent(http, "account-match", mobile=f"1990000001{last}", **guess)["refusal"]["code"] == "no-match"
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    answer = http.post("/v1/account-match", json=guess | {"mobile": "19900000019"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-failures"), answer.text
    assert 1 <= int(answer.headers["Retry-After"]) <= 5
    assert sent(http, "account-match", user=guess["user"], **HOLDER)["status"] == "succeeded"

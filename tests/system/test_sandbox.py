"""A sandbox key on a real installation: every operation is answered, and nothing of it is done or written down."""

import contextlib
import sqlite3
import uuid

import httpx

from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import client, eventually, journal


def test_a_sandbox_key_is_answered_every_example_and_nothing_is_done(testbed: Testbed) -> None:
    key = testbed.ctl("apps", "add", "trial", "--scope", "*", "--sandbox").strip()
    effects = journal(testbed)
    with client(testbed, headers={"Authorization": f"Bearer {key}"}) as http:
        eventually(lambda: http.get("/v1/operations").status_code == 200, what="the new key")
        assert http.get("/v1/operations").headers["sandbox"] == "?1"
        document = http.get("/openapi.json").json()
        posts = {
            path: item["post"]
            for path, item in document["paths"].items()
            if "post" in item and path != "/v1/attachments"
        }
        assert {"/v1/bill-query", "/v1/work-order"} <= set(posts)
        for path, post in posts.items():
            asked = post["requestBody"]["content"]["application/json"]["example"]
            for name in post["responses"]["200"]["content"]["application/json"]["examples"]:
                answer = ask(http, path, asked, name)
                assert (answer.status_code, answer.headers["sandbox"]) == (200, f"?1;example={name}"), answer.text
                assert answer.json()["status"] == ("succeeded" if name == "succeeded" else "refused")
        order = posts["/v1/work-order"]["requestBody"]["content"]["application/json"]["example"]
        held = ask(http, "/v1/work-order", order, "held")
        assert (held.status_code, http.get(held.headers["location"]).json()["status"]) == (202, "held")
        bills = posts["/v1/bill-query"]["requestBody"]["content"]["application/json"]["example"]
        late = ask(http, "/v1/bill-query", bills, "marketing-timeout")
        assert (late.status_code, late.json()["code"]) == (504, "marketing-timeout")
    with contextlib.closing(sqlite3.connect(testbed.folder / "data" / "front.sqlite3")) as ledger:
        assert ledger.execute("SELECT count(*) FROM requests WHERE application = 'trial'").fetchone() == (0,)
        known = {id for (id,) in ledger.execute("SELECT id FROM requests")}
    # what was done meanwhile was asked for by others: of tests before this one
    assert [one for one in journal(testbed) if one not in effects and one["request_id"] not in known] == []
    testbed.ctl("apps", "revoke", "trial")


def ask(http: httpx.Client, path: str, body: dict[str, object], example: str) -> httpx.Response:
    headers = {"Prefer": f"example={example}", "Idempotency-Key": str(uuid.uuid4())}
    return http.post(path, json=body, headers=headers)

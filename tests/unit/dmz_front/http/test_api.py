"""The endpoint itself: who gets in, which bodies, which headers; and that nothing a caller sends is a 500."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridgectl import certificate_files
from dmz_front.admission.addresses import AddressAdministration
from dmz_front.admission.allowances import Allowances
from dmz_front.http.exchange import CERTIFICATE
from protocol import credential_kinds
from protocol.errors import BridgeError
from protocol.lifecycle import State
from protocol.messages import Role
from protocol.operations import CATALOGUE
from protocol.runtime import applications, credentials
from protocol.runtime.applications import Limits
from protocol.runtime.control import Peer
from tests.unit.dmz_front.harness import BILL, COMMAND, ORDER, QUERY, Harness, Say, code_of, problem_of, turns

pytestmark = pytest.mark.anyio


class Call:
    """One request spoken in raw ASGI messages, for what an HTTP client would never send."""

    def __init__(self, harness: Harness, *messages: dict[str, Any] | None, **headers: str) -> None:
        sent = {"authorization": f"Bearer {harness.keys['wechat']}", "content-type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": f"/v1/{QUERY}",
            "raw_path": b"",
            "root_path": "",
            "query_string": b"",
            "client": ("10.0.0.9", 5000),
            "server": ("front", 80),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }
        self.harness, self.messages = harness, list(messages)
        self.answered: list[dict[str, Any]] = []
        self.received = 0

    async def receive(self) -> dict[str, Any]:
        self.received += 1
        message = self.messages.pop(0) if self.messages else None
        if message is None:
            await asyncio.Event().wait()  # for ever: the caller says nothing more
        assert message is not None
        return message

    async def send(self, message: Any) -> None:
        self.answered.append(message)

    async def run(self) -> "Call":
        async with asyncio.timeout(30):
            await self.harness.front.api(self.scope, self.receive, self.send)
        return self

    @property
    def code(self) -> tuple[int, str]:
        start, body = self.answered
        return start["status"], json.loads(body["body"]).get("code", "")


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def stop_time(monkeypatch: pytest.MonkeyPatch, now: Callable[[], float]) -> None:
    """The rate limits' clock; the event loop keeps its own."""
    monkeypatch.setattr(Allowances.__init__, "__kwdefaults__", {"now": now})


KEYS = itertools.count()
GONE = {"type": "http.disconnect"}
BODY = json.dumps(BILL).encode()


# --- admission --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer dmz_wechat_wrong", "Basic d2VjaGF0OmE=", "Bearer \xe9", "{key}"],
)
async def test_no_valid_key(harness: Harness, authorization: str | None) -> None:
    await harness.start()
    headers = {} if authorization is None else {"authorization": authorization.format(key=harness.keys["wechat"])}
    answer = await harness.ask(app=None, **{name: value.encode("latin-1") for name, value in headers.items()})
    assert code_of(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert harness.bridge.taken == []


async def test_a_revoked_key_is_no_key(harness: Harness) -> None:
    await harness.start()
    await harness.front.store.write(lambda connection: applications.revoke(connection, "wechat", 1))
    await harness.front.read_applications()
    assert code_of(await harness.ask()) == (401, "unauthenticated")


async def test_scopes_and_networks(harness: Harness) -> None:
    await harness.start()
    await harness.grant("bills", "bills", networks=["10.0.0.0/24", "2001:db8::/32"])
    assert (await harness.ask(app="bills")).status_code == 200
    assert (await harness.ask(app="bills", address="2001:db8::7")).status_code == 200
    assert (await harness.ask(app="bills", address="::ffff:10.0.0.7")).status_code == 200
    for foreign in ("10.0.1.1", "2001:db9::1", "", "unknown", "10.0.0.9:80"):
        assert code_of(await harness.ask(app="bills", address=foreign)) == (403, "forbidden-network")
    assert code_of(await harness.order(app="bills")) == (403, "forbidden-scope")


async def test_a_field_may_need_a_scope_of_its_own(harness: Harness) -> None:
    await harness.start()
    await harness.grant("news", "public")
    await harness.grant("both", "public", "outages")
    await harness.grant("trial", "public", sandbox=True)
    harness.bridge.script = lambda _: Say(result=b"{}")
    by_account, by_area = {"account": "3210000000001"}, {"area": "990101"}

    async def asked(app: str, body: dict[str, str]) -> httpx.Response:
        return await harness.call("POST", "/v1/outage-notices", body, app=app)

    refused = await asked("news", by_account)
    assert code_of(refused) == (403, "forbidden-scope")
    assert refused.json()["detail"] == "account needs the scope outages"
    assert harness.bridge.taken == []
    assert harness.front.api.denials.counts["news", "outage-notices", "forbidden-scope"] == 1
    assert code_of(await asked("trial", by_account | by_area)) == (403, "forbidden-scope")
    for app, body in (("news", by_area), ("both", by_account), ("wechat", by_account)):
        assert (await asked(app, body)).status_code == 200
    listed = (await harness.call("GET", "/v1/operations", app="news")).json()["operations"]
    assert [one["name"] for one in listed if "field_scopes" in one] == ["outage-notices"]


async def test_too_many_requests_of_one_application(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.options["limits"] = {"burst_s": 1}
    now = 1_000.0
    stop_time(monkeypatch, lambda: now)
    await harness.start()
    await harness.grant("slow", "*", rate=0.4)
    assert (await harness.ask(app="slow")).status_code == 200
    answer = await harness.ask(app="slow")
    assert code_of(answer) == (429, "too-many-requests")
    assert answer.headers["retry-after"] == "3"  # 2.5 s: never rounded down, or the caller comes too early
    assert (await harness.ask()).status_code == 200
    assert code_of(await harness.call("GET", "/v1/operations", app="slow")) == (429, "too-many-requests")
    now += float(answer.headers["retry-after"])
    assert (await harness.ask(app="slow")).status_code == 200


async def test_every_answer_says_what_is_left_of_an_applications_limits(harness: Harness) -> None:
    await harness.start()
    limits = Limits({QUERY: 1}, {"*": 3}, 1)
    await harness.grant("few", "*", limits=limits)
    left = await harness.ask(app="few")
    assert left.headers["ratelimit-policy"] == '"operation";q=10;w=10, "day-all";q=3;w=86400'
    assert left.headers["ratelimit"].startswith('"operation";r=9;t=1, "day-all";r=2;t=')
    ordered = await harness.order(app="few")
    assert ordered.headers["ratelimit"].startswith('"day-all";r=1;t=')
    answer = await harness.ask(BILL | {"account": "3210000000009"}, app="few")
    assert code_of(answer) == (429, "too-many-accounts")
    assert answer.headers["ratelimit"] == '"accounts";r=0;t=3600'
    answer = await harness.ask(app="few")
    assert code_of(answer) == (429, "quota-used-up")
    assert int(answer.headers["retry-after"]) <= 86_400
    assert "ratelimit" not in (await harness.ask()).headers
    assert "ratelimit" in (await harness.ask(b"{", app="few")).headers


async def test_a_sandbox_key_has_its_limits_too(harness: Harness) -> None:
    await harness.start()
    await harness.grant("try", "*", sandbox=True, limits=Limits(quotas={QUERY: 1}))
    first = await harness.ask(app="try")
    assert first.headers["ratelimit"].startswith('"day";r=0;t=')
    again = await harness.ask(app="try")
    assert (code_of(again), again.headers["sandbox"]) == ((429, "quota-used-up"), "?1")


async def test_too_many_requests_from_one_address_or_about_one_account(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.options["limits"] = {"burst_s": 1, "ip_rate": 3, "account_rate": 1}
    stop_time(monkeypatch, lambda: 1_000.0)
    await harness.start()
    assert (await harness.ask(BILL | {"account": "3210000000001"})).status_code == 200
    answer = await harness.ask(BILL | {"account": "3210000000001"})
    assert code_of(answer) == (429, "too-many-requests")
    assert "3210000000001" not in answer.text
    assert (await harness.ask(BILL | {"account": "3210000000002"})).status_code == 200
    assert code_of(await harness.ask(BILL | {"account": "3210000000003"})) == (429, "too-many-requests")
    other = await harness.ask(BILL | {"account": "3210000000003"}, address="10.0.0.10")
    assert other.status_code == 200
    # one application's use of an account is not another's
    await harness.grant("counter", "*")
    again = {"body": BILL | {"account": "3210000000003"}, "address": "10.0.0.12"}
    assert [(await harness.ask(app=app, **again)).status_code for app in ("wechat", "counter")] == [429, 200]
    # the address is counted before the key is looked at: guessing keys is limited too
    for expected in (401, 401, 401, 429):
        assert (await harness.ask(app=None, address="10.0.0.11", authorization="Bearer x")).status_code == expected


MATCH = dict(CATALOGUE["account-match"].example)


async def matched(harness: Harness, *, app: str = "wechat", prefer: str = "wait=5", **change: str) -> httpx.Response:
    """One attempt under a key of its own."""
    key = f"match-{next(KEYS)}"
    body = MATCH | change
    return await harness.call("POST", "/v1/account-match", body, app=app, idempotency_key=key, prefer=prefer)


async def test_who_guesses_waits_and_nothing_is_asked(harness: Harness) -> None:
    harness.options["limits"] = {"guessing": {"value_failures": 2, "pause_s": 7.5}}
    await harness.start()
    await harness.grant("trial", "*", sandbox=True)
    await harness.grant("counter", "*")
    harness.bridge.script = lambda _: Say(State.REFUSED, "no-match")
    mobiles = ["19900000001", "19900000002", "19900000003"]
    for mobile in mobiles:  # a sandbox key counts nowhere
        assert (await matched(harness, app="trial", prefer="example=no-match", mobile=mobile)).status_code == 200
    *let_through, paused = [await matched(harness, mobile=mobile) for mobile in mobiles]
    assert [answer.json()["status"] for answer in let_through] == ["refused", "refused"]
    assert code_of(paused) == (429, "too-many-failures")
    assert paused.headers["retry-after"] == "8"
    assert paused.json()["detail"] == "too many attempts failed of one identity_number"
    assert len(harness.bridge.taken) == 2
    # others are not kept from anything
    assert (await matched(harness, app="counter")).status_code == 200
    assert (await harness.order()).status_code == 200
    assert (await harness.ask()).status_code == 200


async def test_what_failed_or_was_a_repetition_is_no_guess(harness: Harness) -> None:
    harness.options["limits"] = {"guessing": {"value_failures": 1}}
    await harness.start()
    harness.bridge.script = lambda _: Say(State.FAILED, "marketing-unavailable")
    for _ in range(3):
        assert code_of(await matched(harness)) == (503, "marketing-unavailable")
    harness.bridge.script = lambda _: Say(State.SUCCEEDED, result=b"{}")
    for _ in range(3):
        sent = {"idempotency_key": "same", "prefer": "wait=5"}
        assert (await harness.call("POST", "/v1/account-match", MATCH, **sent)).status_code == 200
    with_example = await matched(harness, prefer="example=no-match")
    assert code_of(with_example) == (400, "malformed-header")
    assert harness.front.api.guessing._failures == {}


async def test_an_attempt_whose_caller_did_not_wait_is_settled_by_its_reply(harness: Harness) -> None:
    harness.options["limits"] = {"guessing": {"value_failures": 1}}
    await harness.start()
    harness.bridge.script = lambda _: None
    ids = [(await matched(harness, prefer="respond-async")).json()["request_id"]]
    assert code_of(await matched(harness)) == (429, "too-many-failures")
    await harness.settle()
    for state, code in ((State.SUCCEEDED, 202), (State.REFUSED, 429)):
        harness.bridge.reply(harness.bridge.taken[-1], Say(state, "no-match"))
        await harness.settle()
        assert (await harness.status(ids[-1])).json()["status"] == state
        answer = await matched(harness, prefer="respond-async")
        assert answer.status_code == code
        ids.append(answer.json()["request_id"])
        await harness.settle()


async def test_a_stopping_front_takes_nothing_new(harness: Harness) -> None:
    await harness.start()
    harness.front.api.draining = True
    answer = await harness.ask()
    assert code_of(answer) == (503, "shutting-down")
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["connection"] == "close"
    assert code_of(await harness.order()) == (503, "shutting-down")
    assert harness.front.readiness()["accepting"] == "draining"


# --- bodies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ('Application/JSON;  charset="UTF-8"', 200),
        ("application/json;", 200),
        ("application/json; charset=UTF8; version=1", 200),
        ("application/json; charset=gbk", 415),
        ("text/plain", 415),
        ("application/jsonx", 415),
        ("", 415),
        ("application/x-www-form-urlencoded", 415),
    ],
)
async def test_media_types(harness: Harness, content_type: str, status: int) -> None:
    await harness.start()
    answer = await harness.ask(content_type=content_type)
    assert answer.status_code == status
    if status == 415:
        assert problem_of(answer)["code"] == "unsupported-media-type"


async def test_compressed_bodies_are_not_taken(harness: Harness) -> None:
    await harness.start()
    assert code_of(await harness.ask(content_encoding="gzip")) == (415, "unsupported-media-type")
    assert (await harness.ask(content_encoding="identity")).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"account":',
        b"\xff\xfe",
        b'{"account":"\xff"}',
        b'\xef\xbb\xbf\xef\xbb\xbf{"account":"3210000000001"}',
        b"\xef\xbb\xbf",
        b'{"account":"\\ud800"}',
        b"{'account':'3210000000001'}",
        b"[" * 30_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"account":' + b"9" * 5_000 + b"}",
        b'{"account":"3210000000001"} x',
        b'{"account":"a\nb"}',
    ],
)
async def test_what_is_not_json_is_400(harness: Harness, body: bytes) -> None:
    await harness.start()
    assert code_of(await harness.ask(body)) == (400, "malformed-json")
    assert harness.bridge.taken == []


async def test_a_bom_before_the_body_is_ignored(harness: Harness) -> None:
    await harness.start()
    assert (await harness.ask(b"\xef\xbb\xbf" + BODY)).status_code == 200
    assert harness.bridge.taken[0].payload == BODY
    answers = [await harness.order(b"\xef\xbb\xbf" * with_bom + json.dumps(ORDER).encode()) for with_bom in (0, 1)]
    assert answers[0].json() == answers[1].json()


async def test_an_account_number_of_no_company_here_never_reaches_the_queue(harness: Harness) -> None:
    harness.options["accounts"] = [{"company": "Power", "pattern": "[0-9]{13}", "example": "3210000000001"}]
    await harness.start()
    refused = problem_of(await harness.ask(BILL | {"account": "Z05396-0"}))
    assert (refused["status"], refused["code"]) == (422, "invalid-request")
    assert refused["errors"][0]["field"] == "account"
    assert "3210000000001" in refused["errors"][0]["message"]
    assert harness.bridge.taken == []
    assert (await harness.ask(BILL)).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"account": 3210000000001}, "account"),
        ({"account": "321000000000_"}, "account"),
        ({"account": "３２１０００００００００１"}, "account"),  # full-width digits
        ({"account": None}, "account"),
        ({"account": 10**40}, "account"),
        ({"account": float("nan")}, "account"),
        ({"account": float("inf")}, "account"),
        ({"first_month": "2026-13"}, "first_month"),
        ({"first_month": "2026-1"}, "first_month"),
        ({"surprise": 1}, "surprise"),
        ({"last_month": "2025-12"}, "(body)"),
        ({"last_month": "2029-01"}, "(body)"),
    ],
)
async def test_what_does_not_fit_the_schema_names_the_field(
    harness: Harness, change: dict[str, Any], field: str
) -> None:
    await harness.start()
    answer = await harness.ask(BILL | change)
    assert code_of(answer) == (422, "invalid-request")
    errors = problem_of(answer)["errors"]
    assert [error["field"] for error in errors] == [field]
    assert errors[0]["message"]
    assert not errors[0]["message"].startswith("Value error")
    assert "３２１" not in answer.text
    assert harness.bridge.taken == []


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null", b"NaN", b"-Infinity", b"1e999"])
async def test_json_that_is_no_object_is_422(harness: Harness, body: bytes) -> None:
    await harness.start()
    answer = await harness.ask(body)
    assert code_of(answer) == (422, "invalid-request")
    assert problem_of(answer)["errors"][0]["field"] == "(body)"


async def test_at_most_20_field_errors_are_listed(harness: Harness) -> None:
    await harness.start()
    document = problem_of(await harness.ask(BILL | {f"extra{number}": 1 for number in range(500)}))
    assert len(document["errors"]) == 20
    assert document["detail"] == "500 field(s) do not fit"


async def test_of_a_repeated_name_the_last_counts_here_and_at_the_bridge(harness: Harness) -> None:
    await harness.start()
    body = b'{"account":"bad","account":"3210000000001","first_month":"2026-01","last_month":"2026-01"}'
    assert (await harness.ask(body)).status_code == 200
    taken = harness.bridge.taken[0].payload
    assert taken == body
    assert harness.catalogue[QUERY].requests.validate_json(taken).account == "3210000000001"
    assert json.loads(taken)["account"] == "3210000000001"


@pytest.mark.parametrize(("size", "status"), [(2_048, 200), (2_049, 413)])
async def test_the_body_limit(harness: Harness, size: int, status: int) -> None:
    harness.options["http"] = {"body_limit": 2_048}
    await harness.start()
    body = BODY + b" " * (size - len(BODY))
    answer = await harness.ask(body)
    assert answer.status_code == status
    if status == 413:
        assert code_of(answer) == (413, "body-too-large")
        assert answer.headers["connection"] == "close"
    # chunked, without a Content-Length
    call = await Call(harness, part(body[:1_000], more=True), part(body[1_000:], more=True), part(b"")).run()
    assert call.answered[0]["status"] == status
    # whole, without a Content-Length
    call = await Call(harness, part(body)).run()
    assert call.answered[0]["status"] == status


async def test_a_length_that_is_too_large_is_refused_before_the_body_is_read(harness: Harness) -> None:
    await harness.start()
    call = await Call(harness, content_length=str(65_537)).run()
    assert (call.code, call.received) == ((413, "body-too-large"), 0)


async def test_a_chunked_body_is_not_read_past_the_limit(harness: Harness) -> None:
    harness.options["http"] = {"body_limit": 1_024}
    await harness.start()
    call = await Call(harness, *(part(b"x" * 600, more=True) for _ in range(10))).run()
    assert (call.code, call.received) == ((413, "body-too-large"), 2)


async def test_a_body_in_many_pieces(harness: Harness) -> None:
    await harness.start()
    pieces = [part(BODY[at : at + 1], more=True) for at in range(len(BODY))]
    call = await Call(harness, *pieces, part(b"")).run()
    assert call.answered[0]["status"] == 200
    assert harness.bridge.taken[0].payload == BODY


@pytest.mark.parametrize("before", [(), (part(BODY[:9], more=True),), (part(BODY, more=True),)])
async def test_a_caller_that_leaves_in_the_middle_of_its_body(harness: Harness, before: tuple[Any, ...]) -> None:
    await harness.start()
    call = await Call(harness, *before, GONE).run()
    assert call.answered == []
    await turns()
    assert harness.bridge.taken == []
    assert not harness.front.api.answered


# --- headers ----------------------------------------------------------------------------------------------


async def test_a_command_needs_an_idempotency_key(harness: Harness) -> None:
    await harness.start()
    answer = await harness.call("POST", f"/v1/{COMMAND}", ORDER)
    assert code_of(answer) == (400, "idempotency-key-missing")


@pytest.mark.parametrize("key", ["", "  ", "a\tb", "键".encode(), "x" * 256])
async def test_a_malformed_idempotency_key(harness: Harness, key: Any) -> None:
    await harness.start()
    assert code_of(await harness.order(key=key)) == (400, "malformed-header")


async def test_blanks_around_a_key_make_no_other_order(harness: Harness) -> None:
    await harness.start()
    ids = {(await harness.order(key=key)).json()["request_id"] for key in ("k", "k ", "k  ", " k\t")}
    assert len(ids) == 1


@pytest.mark.parametrize("name", ["Idempotency-Key", "Authorization", "Content-Type"])
async def test_two_lines_of_a_single_value_are_refused_by_name(harness: Harness, name: str) -> None:
    await harness.start()
    call = Call(harness, part(json.dumps(ORDER).encode()), idempotency_key="a")
    call.scope["path"] = f"/v1/{COMMAND}"
    call.scope["headers"].append((name.lower().encode(), b"b"))  # type: ignore[attr-defined]
    await call.run()
    assert call.code == (400, "malformed-header")
    assert name in json.loads(call.answered[1]["body"])["detail"]


async def test_wishes_on_two_lines_are_one_list(harness: Harness) -> None:
    await harness.start()
    call = Call(harness, part(json.dumps(ORDER).encode()), idempotency_key="a", prefer="respond-async")
    call.scope["path"] = f"/v1/{COMMAND}"
    call.scope["headers"].append((b"prefer", b"wait=3"))  # type: ignore[attr-defined]
    await call.run()
    assert (b"preference-applied", b"wait=3") in call.answered[0]["headers"]


async def test_every_denial_is_counted(harness: Harness) -> None:
    await harness.start()
    await harness.grant("bills", "bills", networks=["10.0.0.0/24"])
    await harness.order(app="bills")
    await harness.ask(app="bills", address="10.9.0.1")
    await harness.ask(app=None)
    await harness.call("GET", "/v1/requests/x", app=None, authorization="Bearer dmz_bills_" + "x" * 43)
    await harness.call("POST", "/v1/nothing", app=None, authorization="Bearer dmz_nobody_" + "x" * 43)
    readings = {tuple(labels.values()): value for name, _, labels, value in harness.front.samples() if "denied" in name}
    assert readings == {
        ("bills", COMMAND, "forbidden-scope"): 1,
        ("bills", QUERY, "forbidden-network"): 1,
        ("unknown", QUERY, "unauthenticated"): 1,
        ("bills", "requests", "unauthenticated"): 1,
        ("unknown", "other", "unauthenticated"): 1,
    }


async def test_every_answer_is_counted_and_timed(harness: Harness) -> None:
    await harness.start()
    await harness.ask()
    await harness.ask(b"{")
    await harness.ask()
    assert dict(harness.front.api.answered) == {(QUERY, 200): 2, (QUERY, 400): 1}
    assert harness.front.api.latency[QUERY].count == 3
    readings = {(name, tuple(labels.items())): value for name, _, labels, value in harness.front.samples()}
    assert readings["dmz_front_responses_total", (("operation", QUERY), ("status", "200"))] == 2
    assert readings["dmz_front_bridges", ()] == 1


async def test_what_nobody_foresaw_is_a_500_that_tells_nothing(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.start()

    async def broken(*_: object) -> None:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(harness.front.api._queries, "ask", broken)
    answer = await harness.ask()
    assert code_of(answer) == (500, "internal")
    assert "secret" not in answer.text
    assert problem_of(answer)["request_id"] == answer.headers["request-id"]


async def test_one_caller_does_not_hold_up_another(harness: Harness) -> None:
    harness.bridge.script = lambda asked: None if asked.attributes.type == QUERY else Say(State.REFUSED, "no")
    await harness.start()
    asking = asyncio.ensure_future(harness.ask())
    while not harness.bridge.taken:
        await turns(1)
    assert (await harness.order()).status_code == 200
    assert not asking.done()
    harness.bridge.reply(harness.bridge.taken[0], Say(result=b"{}"))
    assert (await asking).status_code == 200


async def chunks() -> AsyncIterator[bytes]:
    for at in range(0, len(BODY), 7):
        yield BODY[at : at + 7]


async def test_a_clients_chunked_upload(harness: Harness) -> None:
    await harness.start()
    assert (await harness.ask(chunks())).status_code == 200


async def test_an_address_that_goes_on_is_paused_until_an_administrator_lets_it_in(harness: Harness) -> None:
    harness.options["limits"] = {"burst_s": 1, "ip_rate": 1, "addresses": {"strikes": 2}}
    await harness.start()
    found = [(await harness.ask()).status_code, *[code_of(await harness.ask())[1] for _ in range(3)]]
    assert found == [200, "too-many-requests", "address-paused", "address-paused"]
    front = harness.front
    assert front.http.connections.left_alone("10.0.0.9")
    administration = AddressAdministration(front.api.addresses, front.audit)
    [paused] = await administration.list({}, Peer(0, 1))
    assert (paused["address"], paused["times"]) == ("10.0.0.9", 1)
    assert await administration.lift({"address": "10.0.0.9"}, Peer(0, 1)) == {"address": "10.0.0.9"}
    assert not front.http.connections.left_alone("10.0.0.9")
    for wrong, said in (({"address": "10.0.0.9"}, "not paused here"), ({"address": "a b"}, "address")):
        with pytest.raises(BridgeError, match=said):
            await administration.lift(wrong, Peer(0, 1))
    assert (await front.audit.look()).sequence == 1


async def test_who_must_show_a_certificate(harness: Harness, tmp_path: Path) -> None:
    """Scope key as the connection sets it: test_client_certificates.py."""
    await harness.start()
    certificate_files.init(tmp_path / "certs", {Role.FRONT: ["wechat"]})
    known = credentials.certificate("wechat", (tmp_path / "certs" / "front.pem").read_text())
    for work in (
        lambda one: applications.add_credential(one, known, 1),
        lambda one: applications.require(one, "wechat", credential_kinds.CERTIFICATE, wanted=True),
    ):
        await harness.front.store.write(work)
    await harness.front.read_applications()

    async def asked(certificate: str | None) -> tuple[int, str]:
        call = Call(harness, {"type": "http.request", "body": json.dumps(BILL).encode()})
        if certificate is not None:
            call.scope[CERTIFICATE] = certificate
        await harness.front.api(call.scope, call.receive, call.send)
        status, body = call.answered[0]["status"], json.loads(call.answered[1]["body"])
        return status, body.get("detail", "")

    assert (await asked(known.id))[0] == 200
    assert await asked(None) == (401, "wechat has to show one of its client certificates")
    status, detail = await asked("ab" * 32)
    assert status == 401
    assert detail.endswith("is not registered for it: SHA-256 " + "ab" * 32)
    assert harness.front.api.denials.reports()[0].code == "certificate-required"

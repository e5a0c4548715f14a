"""A sandbox key through the whole front: like a real one in all but effects."""

from typing import Any

import httpx
import pytest

from dmz_front.sandbox import sandbox as module
from dmz_front.sandbox.commands import SETTLED_MS, SandboxCommands
from protocol.operations import CATALOGUE
from tests.unit.dmz_front.harness import BILL, COMMAND, ORDER, QUERY, Harness, code_of, problem_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sandbox(harness: Harness) -> Harness:
    """A front that runs without any bridge, with a sandbox application."""
    await harness.start(bridge=False)
    await harness.grant("trial", "*", sandbox=True)
    return harness


async def ask(harness: Harness, body: Any = None, **more: Any) -> httpx.Response:
    return await harness.ask(body, app="trial", **more)


async def order(harness: Harness, body: Any = None, **more: Any) -> httpx.Response:
    return await harness.order(body, app="trial", **more)


async def test_a_query_is_answered_without_a_bridge_and_marked(sandbox: Harness) -> None:
    answer = await ask(sandbox, BILL | {"account": "0042-A"})
    assert answer.status_code == 200
    document = answer.json()
    assert document["status"] == "succeeded"
    assert document["request_id"] == answer.headers["request-id"]
    assert document["result"]["account"] == "0042-A"
    assert document["result"]["bills"] == list((CATALOGUE[QUERY].example_answer or {})["bills"])
    assert answer.headers["sandbox"] == "?1;example=succeeded"
    assert "preference-applied" not in answer.headers
    assert code_of(await sandbox.ask()) == (502, "no-bridge")  # a real key is not answered so


async def test_refusals_and_problems_on_wish(sandbox: Harness) -> None:
    refused = await ask(sandbox, prefer="example=no-such-account")
    assert (refused.status_code, refused.json()["status"]) == (200, "refused")
    assert refused.json()["refusal"] == {"code": "no-such-account", "message": "户号不存在"}
    assert refused.headers["preference-applied"] == "example=no-such-account"
    assert refused.headers["sandbox"] == "?1;example=no-such-account"
    late = await ask(sandbox, prefer='example="marketing-timeout"')
    assert code_of(late) == (504, "marketing-timeout")
    busy = await ask(sandbox, prefer="wait=3, example=overloaded")
    assert (code_of(busy), busy.headers["retry-after"]) == ((503, "overloaded"), "5")
    assert busy.headers["preference-applied"] == "example=overloaded"
    denied = await ask(sandbox, prefer="example=unauthenticated")
    assert (code_of(denied), denied.headers["www-authenticate"][:6]) == ((401, "unauthenticated"), "Bearer")
    invalid = await ask(sandbox, prefer="example=invalid-request")
    assert problem_of(invalid)["errors"][0]["field"] == "account"


async def test_a_wish_nobody_knows_is_ignored_and_the_answer_says_so(sandbox: Harness) -> None:
    answer = await ask(sandbox, prefer="example=nonsense")
    assert answer.json()["status"] == "succeeded"
    assert answer.headers["sandbox"] == "?1;example=succeeded;unknown-example"
    assert "preference-applied" not in answer.headers
    for wish in ("example", "example=\x7f", "example=held"):  # the last: queries are not held
        assert (await ask(sandbox, prefer=wish)).status_code == 200


async def test_who_is_let_in_and_what_fits_is_decided_as_for_a_real_key(sandbox: Harness) -> None:
    await sandbox.grant("narrow", "bills", sandbox=True, networks=["10.0.0.0/8"], rate=0.05)
    refused = await sandbox.order(app="narrow")
    assert (code_of(refused), refused.headers["sandbox"]) == ((403, "forbidden-scope"), "?1")
    assert code_of(await sandbox.ask(app="narrow", address="192.0.2.1")) == (403, "forbidden-network")
    limited = await sandbox.ask(app="narrow")
    assert (code_of(limited), limited.headers["sandbox"]) == ((429, "too-many-requests"), "?1")
    for answer, code in (
        (await ask(sandbox, {"account": "x"}), (422, "invalid-request")),
        (await ask(sandbox, b"{"), (400, "malformed-json")),
        (await ask(sandbox, content_type="text/plain"), (415, "unsupported-media-type")),
        (
            await sandbox.call("POST", f"/v1/{COMMAND}", ORDER, app="trial"),
            (400, "idempotency-key-missing"),
        ),
    ):
        assert (code_of(answer), answer.headers["sandbox"]) == (code, "?1")
    operations = await sandbox.call("GET", "/v1/operations", app="trial")
    assert operations.headers["sandbox"] == "?1"
    assert "sandbox" not in (await sandbox.call("GET", "/v1/operations")).headers


async def test_a_command_is_remembered_by_its_key_and_never_in_the_ledger(sandbox: Harness) -> None:
    first = await order(sandbox)
    assert (first.status_code, first.json()["status"]) == (200, "succeeded")
    again = await order(sandbox)
    assert again.json() == first.json()
    assert again.headers["request-id"] == first.headers["request-id"]
    assert code_of(await order(sandbox, ORDER | {"content": "else"})) == (422, "idempotency-key-reused")
    id = first.json()["request_id"]
    status = (await sandbox.status(id, app="trial")).json()
    assert (status["status"], status["operation"], status["result"]) == ("succeeded", COMMAND, first.json()["result"])
    assert await sandbox.front.ledger.counts() == {}
    assert code_of(await sandbox.status(id)) == (404, "unknown-request")  # nobody else's
    await sandbox.grant("second", "*", sandbox=True)
    unknown = await sandbox.status(id, app="second")
    assert (code_of(unknown), unknown.headers["sandbox"]) == ((404, "unknown-request"), "?1")
    assert (await sandbox.order(app="second")).json()["request_id"] != id


async def test_a_command_nobody_waits_for_lives_through_its_states(sandbox: Harness) -> None:
    accepted = await order(sandbox, prefer="respond-async, example=account-closed")
    assert (accepted.status_code, accepted.json()["status"]) == (202, "accepted")
    assert accepted.headers["preference-applied"] == "respond-async, example=account-closed"
    place = accepted.headers["location"]

    async def status() -> dict[str, Any]:
        answer = await sandbox.call("GET", place, app="trial")
        assert answer.headers["sandbox"] == "?1;example=account-closed"
        document: dict[str, Any] = answer.json()
        return document

    assert (await status())["status"] == "accepted"
    sandbox.clock.now += SETTLED_MS - 1
    assert (await status())["status"] == "sent"
    assert (await order(sandbox)).status_code == 202
    sandbox.clock.now += 1
    document = await status()
    assert (document["status"], document["refusal"]["code"]) == ("refused", "account-closed")
    assert document["updated_at"] > document["accepted_at"]
    assert (await order(sandbox)).json()["status"] == "refused"  # the outcome is the key's, whatever is wished now
    assert (await order(sandbox, prefer="example=held")).json()["status"] == "refused"


@pytest.mark.parametrize(
    ("example", "status", "said"),
    [
        ("held", 202, {"status": "held", "failure": "held"}),
        ("outcome-unreadable", 202, {"status": "held", "failure": "outcome-unreadable"}),
        ("expired", 504, {"status": "expired", "failure": "expired"}),
        ("marketing-failed", 502, {"status": "failed", "failure": "marketing-failed"}),
        ("not-applied", 502, {"status": "failed", "failure": "not-applied"}),
    ],
)
async def test_how_a_command_can_end(sandbox: Harness, example: str, status: int, said: dict[str, str]) -> None:
    answer = await order(sandbox, prefer=f"example={example}")
    assert answer.status_code == status
    document = (await sandbox.status(answer.json()["request_id"], app="trial")).json()
    assert document["status"] == said["status"]
    assert document["failure"]["code"] == said["failure"]


async def test_a_command_that_was_not_accepted_can_be_repeated(sandbox: Harness) -> None:
    full = await order(sandbox, prefer="example=backlog-full")
    assert (code_of(full), full.headers["retry-after"]) == ((503, "backlog-full"), "5")
    assert code_of(await sandbox.status(full.json()["request_id"], app="trial")) == (404, "unknown-request")
    assert (await order(sandbox)).json()["status"] == "succeeded"


async def test_the_oldest_command_of_an_application_makes_room(
    sandbox: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox.front.sandbox, "_commands", SandboxCommands(capacity=2))
    ids = [(await order(sandbox, key=f"key-{number}")).json()["request_id"] for number in range(3)]
    assert [(await sandbox.status(id, app="trial")).status_code for id in ids] == [404, 200, 200]
    assert (await order(sandbox, key="key-0")).json()["request_id"] not in ids
    assert len(sandbox.front.sandbox._commands) == 2


async def test_rehearsals_are_counted_apart(sandbox: Harness) -> None:
    await ask(sandbox, prefer="example=marketing-failed")
    api, rehearsals = sandbox.front.api, sandbox.front.sandbox
    assert (api.answered, rehearsals.answered) == ({}, {(QUERY, 502): 1})
    names = {name for name, *_ in sandbox.front.samples()}
    assert {"dmz_front_sandbox_responses_total", "dmz_front_sandbox_commands"} <= names


async def test_a_real_key_that_wishes_for_an_example_has_no_real_order(harness: Harness) -> None:
    await harness.start()
    told = await harness.order(prefer="example=succeeded")
    assert code_of(told) == (400, "malformed-header")
    assert "sandbox" in problem_of(told)["detail"]
    assert harness.bridge.taken == []
    query = await harness.ask(prefer="example=no-such-account")  # no harm: RFC 7240 has it ignored
    assert (query.json()["status"], len(harness.bridge.taken)) == ("succeeded", 1)
    assert "preference-applied" not in query.headers
    assert "sandbox" not in query.headers


async def test_nothing_of_the_sandbox_is_asked_for_a_real_key(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.start()
    monkeypatch.setattr(module.Sandbox, "answer", None)
    monkeypatch.setattr(module.Sandbox, "status", None)
    answer = await harness.order()
    assert answer.status_code == 200
    assert (await harness.status(answer.json()["request_id"])).status_code == 200

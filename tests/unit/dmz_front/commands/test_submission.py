"""Commands: durable before answered, the same key is the same command for ever, and every outcome is told."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from dmz_front.ledger.rows import REQUESTS
from protocol import destinations
from protocol.envelope import Opened
from protocol.lifecycle import State
from protocol.presence import Availability
from tests.unit.clock import Clock
from tests.unit.dmz_front.harness import DONE, ORDER, RESULT, Harness, Say, code_of, problem_of, turns

pytestmark = pytest.mark.anyio

REFUSED = Say(State.REFUSED, "no-such-account", "查无此户")
FAILED = Say(State.FAILED, "marketing-rejected", "the call was rejected")
HELD = Say(State.HELD, "unknown-outcome", "an operator decides")
NO_WAIT = {"prefer": "respond-async"}


async def rows(harness: Harness) -> list[tuple[str, State]]:
    found = await harness.front.store.read(
        lambda connection: connection.execute(select(REQUESTS.c.id, REQUESTS.c.state)).all()
    )
    return [(row.id, State(row.state)) for row in found]


# --- the ways a command ends ------------------------------------------------------------------------------


async def test_a_success_is_answered_with_the_result_byte_for_byte(harness: Harness) -> None:
    await harness.start()
    answer = await harness.order()
    assert answer.status_code == 200
    id = answer.headers["request-id"]
    assert answer.content == b'{"request_id":"%b","status":"succeeded","result":%b}' % (id.encode(), RESULT)
    assert [taken.attributes.id for taken in harness.bridge.taken] == [id]


async def test_the_bridge_hears_the_callers_own_bytes_and_nothing_of_the_customer_in_the_attributes(
    harness: Harness, clock: Clock
) -> None:
    await harness.start()
    body = b' {"type":"suggestion", "account":"3210000000001","contact_name":"A","contact_phone":"13800000001",'
    body += b'"address":"B","content":"C"}\n'
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await harness.order(body, traceparent=trace)
    [taken] = harness.bridge.taken
    told = taken.attributes
    assert taken.payload == body
    assert (told.source, told.type, told.traceparent) == ("front-1/wechat", "work-order", trace)
    assert (told.time, told.deadline) == (clock.now, 0)
    assert told.reply_to == "/queue/bridge.reply.command.front-1"
    assert len(told.subject) == 22
    assert "3210000000001" not in repr(told)
    assert harness.bridge.expiries == [None]


async def test_orders_of_one_account_share_a_subject_and_others_do_not(harness: Harness) -> None:
    await harness.start()
    for key, account in (("a", "3210000000001"), ("b", "3210000000001"), ("c", "3210000000002"), ("d", None)):
        await harness.order(ORDER | {"account": account}, key=key)
    first, second, other, none = [taken.attributes.subject for taken in harness.bridge.taken]
    assert first == second != other
    assert none == ""


async def test_a_refusal_is_a_business_answer(harness: Harness) -> None:
    harness.bridge.script = lambda _: REFUSED
    await harness.start()
    answer = await harness.order()
    assert answer.status_code == 200
    document = answer.json()
    assert document["status"] == "refused"
    assert document["refusal"] == {"code": "no-such-account", "message": "查无此户"}
    assert document["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize(
    ("say", "status", "code"),
    [
        (FAILED, 502, "marketing-rejected"),
        (Say(State.FAILED, "marketing-failed"), 502, "marketing-failed"),
        (Say(State.FAILED), 502, "marketing-failed"),
        (Say(State.FAILED, "marketing-unavailable"), 503, "marketing-unavailable"),
        (Say(State.FAILED, "marketing-timeout"), 504, "marketing-timeout"),
        (Say(State.EXPIRED, "expired"), 504, "no-answer-in-time"),
    ],
)
async def test_a_failure_is_a_problem_that_names_the_request(
    harness: Harness, say: Say, status: int, code: str
) -> None:
    harness.bridge.script = lambda _: say
    await harness.start()
    answer = await harness.order()
    assert code_of(answer) == (status, code)
    assert problem_of(answer)["request_id"] == harness.bridge.taken[0].attributes.id
    assert ("retry-after" in answer.headers) is (status == 503)


async def test_a_held_command_is_202_and_its_status_says_held(harness: Harness) -> None:
    harness.bridge.script = lambda _: HELD
    await harness.start()
    answer = await harness.order()
    id = harness.bridge.taken[0].attributes.id
    assert answer.status_code == 202
    assert answer.json() == {"request_id": id, "status": "held", "location": f"/v1/requests/{id}"}
    assert answer.headers["location"] == f"/v1/requests/{id}"
    assert (await harness.status(id)).json()["status"] == "held"
    # … and an operator's decision, days later, is told like any other reply
    harness.bridge.reply(harness.bridge.taken[0], DONE)
    await harness.settle()
    assert (await harness.status(id)).json()["status"] == "succeeded"


async def test_a_held_command_that_is_retried_and_expires_is_told_too(harness: Harness) -> None:
    harness.bridge.script = lambda _: HELD
    await harness.start()
    id = (await harness.order()).json()["request_id"]
    harness.bridge.reply(harness.bridge.taken[0], Say(State.EXPIRED, "expired"))
    await harness.settle()
    assert (await harness.status(id)).json()["status"] == "expired"


# --- waiting ----------------------------------------------------------------------------------------------


async def test_no_answer_within_the_wait_is_202_and_the_outcome_is_found_later(harness: Harness) -> None:
    harness.alter("work-order", deadline_ms=300)
    harness.bridge.script = lambda _: None
    await harness.start()
    answer = await harness.order()
    assert answer.status_code == 202
    id = answer.json()["request_id"]
    assert answer.json()["status"] == "sent"  # as the ledger says when the wait is over
    assert answer.headers["location"] == f"/v1/requests/{id}"
    assert "preference-applied" not in answer.headers
    await harness.settle()
    assert (await harness.status(id)).json()["status"] == "sent"
    harness.bridge.reply(harness.bridge.taken[0], REFUSED)
    await harness.settle()
    document = (await harness.status(id)).json()
    assert (document["status"], document["refusal"]["code"]) == ("refused", "no-such-account")
    assert len(harness.front.command_waiters) == 0


async def test_respond_async_is_202_at_once(harness: Harness) -> None:
    await harness.start()
    answer = await harness.order(**NO_WAIT)
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    await harness.settle()
    document = (await harness.status(answer.json()["request_id"])).json()
    assert (document["status"], document["result"]["work_order"]) == ("succeeded", "WO2026000001")


async def test_wait_is_honoured_up_to_the_limit(harness: Harness) -> None:
    harness.options["limits"] = {"max_wait_s": 7}
    await harness.start()
    assert (await harness.order(prefer="wait=5")).headers["preference-applied"] == "wait=5"
    assert (await harness.order(key="b", prefer="wait=500")).headers["preference-applied"] == "wait=7"
    answer = await harness.order(key="c", prefer="wait=0")
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=0")


@pytest.mark.parametrize("operations", [{"work-order": Availability.PAUSED}, None])
async def test_with_nobody_to_answer_soon_a_command_is_accepted_at_once(
    harness: Harness, operations: dict[str, Availability] | None
) -> None:
    harness.bridge.script = lambda _: None
    harness.alter("work-order", deadline_ms=600_000)
    await harness.start()
    harness.bridge.announce(operations or {}, leaving=operations is None)
    await turns()
    async with asyncio.timeout(60):  # a tenth of what it would wait by default
        assert (await harness.order()).status_code == 202
    await harness.settle()
    assert len(harness.bridge.taken) == 1


async def test_more_callers_than_may_wait_get_202_at_once(harness: Harness) -> None:
    harness.options["limits"] = {"commands_in_flight": 1}
    harness.bridge.script = lambda _: None
    await harness.start()
    waiting = asyncio.ensure_future(harness.order())
    while not harness.bridge.taken:
        await turns(1)
    assert (await harness.order(key="order-2")).status_code == 202
    harness.bridge.reply(harness.bridge.taken[0], DONE)
    assert (await waiting).status_code == 200


# --- the idempotency key ----------------------------------------------------------------------------------


@pytest.mark.parametrize("say", [DONE, REFUSED, FAILED])
async def test_the_same_key_and_body_is_the_same_answer_and_one_call(harness: Harness, say: Say) -> None:
    harness.bridge.script = lambda _: say
    await harness.start()
    first, again = await harness.order(), await harness.order()
    assert again.status_code == first.status_code
    assert again.content == first.content
    assert again.headers["request-id"] == first.headers["request-id"]
    await harness.restart()
    after = await harness.order()
    assert (after.status_code, after.content) == (first.status_code, first.content)
    await harness.settle()
    assert len(harness.bridge.taken) == 1
    assert len(await rows(harness)) == 1


async def test_the_same_key_with_another_body_is_422(harness: Harness) -> None:
    await harness.start()
    await harness.order()
    answer = await harness.order(ORDER | {"content": "别的"})
    assert code_of(answer) == (422, "idempotency-key-reused")
    assert len(harness.bridge.taken) == 1


async def test_the_same_key_with_another_operation_is_422(harness: Harness) -> None:
    harness.catalogue["complaint"] = replace(harness.catalogue["work-order"], name="complaint")
    await harness.start()
    await harness.order()
    answer = await harness.call("POST", "/v1/complaint", ORDER, idempotency_key="order-1")
    assert code_of(answer) == (422, "idempotency-key-reused")


async def test_two_applications_may_use_the_same_key(harness: Harness) -> None:
    await harness.start()
    await harness.grant("counter", "work-orders")
    mine, theirs = await harness.order(), await harness.order(app="counter")
    assert mine.status_code == theirs.status_code == 200
    assert mine.json()["request_id"] != theirs.json()["request_id"]
    assert [taken.attributes.source for taken in harness.bridge.taken] == ["front-1/wechat", "front-1/counter"]


async def test_the_same_key_while_the_first_is_being_answered_is_409_with_its_place(harness: Harness) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    waiting = asyncio.ensure_future(harness.order())
    while not harness.bridge.taken:
        await turns(1)
    id = harness.bridge.taken[0].attributes.id
    answer = await harness.order()
    assert code_of(answer) == (409, "idempotency-key-in-flight")
    assert answer.headers["location"] == f"/v1/requests/{id}"
    assert answer.headers["retry-after"] == "1"
    assert code_of(await harness.order(ORDER | {"content": "别的"})) == (422, "idempotency-key-reused")
    harness.bridge.reply(harness.bridge.taken[0], DONE)
    assert (await waiting).json()["request_id"] == id


async def test_the_same_key_before_the_outcome_is_202_with_the_first_id(harness: Harness) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    first = await harness.order(**NO_WAIT)
    await harness.settle()
    again = await harness.order(**NO_WAIT)
    assert again.status_code == 202
    assert again.json() == first.json() | {"status": "sent"}
    assert again.headers["request-id"] == first.headers["request-id"]
    assert len(harness.bridge.taken) == 1


async def test_many_at_once_with_one_key_are_one_command(harness: Harness) -> None:
    await harness.start()
    answers = await asyncio.gather(*(harness.order() for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.headers["request-id"] for answer in answers if answer.status_code == 200}) == 1
    assert len(await rows(harness)) == 1
    assert len(harness.bridge.taken) == 1


@pytest.mark.parametrize("why", ["unserved", "backlog"])
async def test_a_known_key_is_answered_even_when_new_commands_are_refused(harness: Harness, why: str) -> None:
    harness.options["limits"] = {"backlog": 1}
    await harness.start()
    first = await harness.order()
    assert first.status_code == 200
    if why == "unserved":
        harness.bridge.announce({"bill-query": Availability.UP})
    else:
        harness.bridge.script = lambda _: None
        assert (await harness.order(key="fills-the-backlog", **NO_WAIT)).status_code == 202
    await turns()
    again = await harness.order()
    assert (again.status_code, again.content) == (200, first.content)
    expected = (502, "operation-not-served") if why == "unserved" else (503, "backlog-full")
    assert code_of(await harness.order(key="new")) == expected


async def test_the_answer_survives_the_loss_of_the_key_that_sealed_it(harness: Harness) -> None:
    """A pruned key makes the stored reply unreadable: what the row itself says is still told."""
    harness.bridge.script = lambda _: REFUSED
    await harness.start()
    first = await harness.order()
    await harness.front.store.write(lambda connection: connection.execute(text("UPDATE requests SET reply = x'00'")))
    again = await harness.order()
    assert again.status_code == 200
    assert again.json()["request_id"] == first.json()["request_id"]
    assert again.json()["refusal"]["code"] == "no-such-account"
    assert (await harness.status(first.json()["request_id"])).json()["status"] == "refused"


# --- what is refused --------------------------------------------------------------------------------------


async def test_no_attached_bridge_serves_it(harness: Harness) -> None:
    await harness.start()
    harness.bridge.announce({"bill-query": Availability.UP})
    await turns()
    assert code_of(await harness.order()) == (502, "operation-not-served")
    assert await rows(harness) == []


async def test_a_full_backlog_refuses_and_an_outcome_makes_room(harness: Harness) -> None:
    harness.options["limits"] = {"backlog": 2}
    harness.bridge.script = lambda _: None
    await harness.start()
    for key in ("a", "b"):
        assert (await harness.order(key=key, **NO_WAIT)).status_code == 202
    refused = await harness.order(key="c", **NO_WAIT)
    assert code_of(refused) == (503, "backlog-full")
    assert refused.headers["retry-after"] == "30"
    await harness.settle()
    await harness.restart()
    assert code_of(await harness.order(key="c", **NO_WAIT)) == (503, "backlog-full")
    harness.bridge.reply(harness.bridge.taken[0], DONE)
    await harness.settle()
    assert (await harness.order(key="c", **NO_WAIT)).status_code == 202


async def test_many_at_once_do_not_slip_past_the_backlog_together(harness: Harness) -> None:
    harness.options["limits"] = {"backlog": 5}
    harness.bridge.script = lambda _: None
    await harness.start()
    answers = await asyncio.gather(*(harness.order(key=f"k{number}", **NO_WAIT) for number in range(40)))
    assert sorted(answer.status_code for answer in answers) == [202] * 5 + [503] * 35
    assert len(await rows(harness)) == 5
    await harness.settle()
    for taken in list(harness.bridge.taken):
        harness.bridge.reply(taken, DONE)
    await harness.settle()
    assert (await harness.order(key="later", **NO_WAIT)).status_code == 202


@pytest.mark.parametrize("rule", ["keep", "refuse"])
async def test_a_broker_that_refuses(harness: Harness, rule: str) -> None:
    harness.options["delivery"] = {"when_broker_refuses": rule}
    await harness.start()
    queue = destinations.commands("main")
    harness.broker.refused.add(queue)
    assert (await harness.order(key="finds-out", **NO_WAIT)).status_code == 202
    await harness.settle()
    answer = await harness.order(key="new", **NO_WAIT)
    assert answer.status_code == 202 if rule == "keep" else code_of(answer) == (503, "broker-refused")
    assert (await harness.order(key="finds-out", **NO_WAIT)).status_code == 202  # a known key keeps its answer
    assert len(await rows(harness)) == (2 if rule == "keep" else 1)
    harness.broker.refused.clear()
    await harness.front.outbox.sweep()
    await harness.settle()
    assert {state for _, state in await rows(harness)} == {State.SUCCEEDED}
    assert (await harness.order(key="after")).status_code == 200


@pytest.mark.parametrize("rule", ["keep", "refuse"])
async def test_a_broker_that_is_away(harness: Harness, rule: str) -> None:
    harness.options["delivery"] = {"when_broker_refuses": rule}
    await harness.start()
    harness.broker.stop()
    answer = await harness.order(**NO_WAIT)
    assert answer.status_code == 202 if rule == "keep" else code_of(answer) == (503, "broker-unreachable")
    assert len(await rows(harness)) == (1 if rule == "keep" else 0)
    assert await harness.front._due(10) == []  # nothing is read while nothing can be sent
    harness.broker.start()
    await turns()
    await harness.front.outbox.sweep()
    await harness.settle()
    assert (await harness.order(key="after")).status_code == 200


async def test_what_cannot_be_written_down_is_not_sent(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    await harness.start()

    async def full(_batch: object, _items: object, **_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(harness.front.store, "gather", full)
        answer = await harness.order()
    assert code_of(answer) == (503, "store-unavailable")
    assert answer.headers["retry-after"]
    assert "disk" not in answer.text
    await harness.settle()
    assert harness.bridge.taken == []
    assert len(harness.front.command_waiters) == 0


# --- on its way whatever happens --------------------------------------------------------------------------


async def test_the_row_is_on_disk_before_the_message_goes_out(harness: Harness) -> None:
    seen: list[int] = []

    def look(_asked: Opened) -> Say:
        # another connection than the writer's, as another process would look
        with harness.front.store._engine.connect() as connection:
            seen.append(len(connection.execute(select(REQUESTS.c.id)).all()))
        return DONE

    harness.bridge.script = look
    await harness.start()
    await harness.order()
    assert seen == [1]


async def test_a_command_on_the_broker_outlives_its_restart(harness: Harness) -> None:
    await harness.start()
    await harness.bridge.link.close()
    await harness.order(**NO_WAIT)
    await harness.settle()
    harness.broker.stop()
    assert harness.broker.depth("/queue/bridge.command.main") == 1


async def test_a_command_outlives_a_broker_that_is_down(harness: Harness) -> None:
    await harness.start()
    harness.broker.stop()
    assert (await harness.order(**NO_WAIT)).status_code == 202
    await harness.settle()
    assert harness.bridge.taken == []
    harness.broker.start()
    await turns()
    await harness.front.outbox.sweep()
    await harness.settle()
    [(id, state)] = await rows(harness)
    assert (state, [taken.attributes.id for taken in harness.bridge.taken]) == (State.SUCCEEDED, [id])


async def test_an_unanswered_command_is_sent_again_with_the_same_id(harness: Harness, clock: Clock) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    await harness.order(**NO_WAIT)
    await harness.settle()
    assert await harness.front.outbox.sweep() == 0
    clock.now += 31_000
    assert await harness.front.outbox.sweep() == 1
    await harness.settle()
    first, second = harness.bridge.taken
    assert first == second


async def test_a_caller_that_goes_away_changes_nothing(harness: Harness) -> None:
    harness.bridge.script = lambda _: None
    await harness.start()
    waiting = asyncio.ensure_future(harness.order())
    while not harness.bridge.taken:
        await turns(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(harness.front.command_waiters) == 0
    harness.bridge.reply(harness.bridge.taken[0], DONE)
    await harness.settle()
    answer = await harness.order()
    assert (answer.status_code, answer.json()["request_id"]) == (200, harness.bridge.taken[0].attributes.id)


async def test_an_operation_with_an_expiry_tells_the_bridge_alone(harness: Harness, clock: Clock) -> None:
    """The broker would drop it without a word, and the command would never become final."""
    harness.alter("work-order", expires_ms=60_000)
    await harness.start()
    await harness.order()
    assert harness.bridge.taken[0].attributes.deadline == clock.now + 60_000
    assert harness.bridge.expiries == [None]


# --- the status document ----------------------------------------------------------------------------------


async def test_the_status_is_the_applications_own(harness: Harness) -> None:
    await harness.start()
    await harness.grant("counter", "*")
    id = (await harness.order()).json()["request_id"]
    assert (await harness.status(id)).status_code == 200
    assert code_of(await harness.status(id, app="counter")) == (404, "unknown-request")
    assert code_of(await harness.status("00000000-0000-7000-8000-000000000000")) == (404, "unknown-request")


async def test_the_status_of_a_failure_says_why(harness: Harness, clock: Clock) -> None:
    harness.bridge.script = lambda _: FAILED
    await harness.start()
    id = problem_of(await harness.order())["request_id"]
    answer = await harness.status(id)
    assert answer.status_code == 200
    assert answer.headers["request-id"] == id
    assert answer.json() == {
        "request_id": id,
        "operation": "work-order",
        "status": "failed",
        "accepted_at": "2026-02-25T06:13:20.000+00:00",
        "updated_at": "2026-02-25T06:13:20.000+00:00",
        "failure": {"code": "marketing-rejected", "message": "the call was rejected"},
    }


async def test_after_its_time_the_result_is_gone_and_the_status_is_still_true(harness: Harness, clock: Clock) -> None:
    harness.options["delivery"] = {"repeat_days": 1}
    await harness.start()
    done = await harness.order(key="done")
    harness.bridge.script = lambda _: Say(State.REFUSED, "no-such-account", "no")
    refused = await harness.order(key="refused")
    ids = [answer.json()["request_id"] for answer in (done, refused)]
    await harness.front.ledger.note_answered()
    clock.now += 86_400_000 - 1
    await harness.front.housekeeping.forget()
    assert "result" in (await harness.status(ids[0])).json()
    assert (await harness.order(key="done")).content == done.content
    clock.now += 2
    await harness.front.housekeeping.forget()
    told = [(await harness.status(id)).json() for id in ids]
    assert [one["status"] for one in told] == ["succeeded", "refused"]
    assert "result" not in told[0]
    assert told[1]["refusal"]["code"] == "no-such-account"
    again = (await harness.order(key="done")).json()
    assert (again["request_id"], again["status"], again["result"]) == (ids[0], "succeeded", None)
    assert len(harness.bridge.taken) == 2

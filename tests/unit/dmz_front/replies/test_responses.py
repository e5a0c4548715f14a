"""From replies and rows to what the caller is told."""

import json
from typing import Any

import pytest

from dmz_front.ledger.rows import Row
from dmz_front.problems.codes import TITLES
from dmz_front.problems.details import Problem
from dmz_front.replies import responses as answers
from dmz_front.replies.bridges import Service
from protocol.lifecycle import REPORTED, State
from protocol.messages import Attributes, Reply

ABOUT = Attributes("id-1", "bridge-1", "work-order", 1)


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (Service.PAUSED, (503, "operation-paused", b"5")),
        (Service.UNSERVED, (502, "operation-not-served", None)),
        (Service.NO_BRIDGE, (502, "no-bridge", b"5")),
        (Service.MAINTENANCE, (503, "maintenance", b"601")),
    ],
)
def test_services(service: Service, expected: tuple[int, str, bytes | None]) -> None:
    problem = answers.service_problem(service, 600.2)
    assert (problem.status, problem.code, dict(problem.headers).get(b"retry-after")) == expected


def test_maintenance_whose_end_nobody_knows_is_asked_about_now_and_then() -> None:
    problem = answers.service_problem(Service.MAINTENANCE, None)
    assert problem.headers == [(b"retry-after", b"60")]


def test_the_result_is_not_touched() -> None:
    answer = answers.of_reply("id-1", Reply(ABOUT, State.SUCCEEDED, result=b'{ "b":1.50,\n"a":"\xe5"}'))
    assert answer.body == b'{"request_id":"id-1","status":"succeeded","result":{ "b":1.50,\n"a":"\xe5"}}'
    assert json.loads(answers.of_reply("id-1", Reply(ABOUT, State.SUCCEEDED)).body)["result"] is None


@pytest.mark.parametrize("state", sorted(REPORTED - {State.FAILED, State.EXPIRED}))
def test_outcomes_that_are_answers(state: State) -> None:
    answer = answers.of_reply("id-1", Reply(ABOUT, state))
    assert json.loads(answer.body)["status"] == state
    assert answer.status == (202 if state is State.HELD else 200)
    assert isinstance(answer, answers.RefusedResponse) is (state is State.REFUSED)


@pytest.mark.parametrize("state", sorted(set(State) - {State.SUCCEEDED, State.REFUSED, State.HELD}))
def test_every_other_is_a_problem_with_a_title(state: State) -> None:
    with pytest.raises(Problem) as caught:
        answers.of_reply("id-1", Reply(ABOUT, state))
    assert caught.value.code in TITLES
    assert caught.value.status >= 500


def test_a_code_that_is_not_published_is_not_passed_on() -> None:
    with pytest.raises(Problem) as caught:
        answers.of_reply("id-1", Reply(ABOUT, State.FAILED, "something-new", "why"))
    assert (caught.value.status, caught.value.code, caught.value.detail) == (502, "marketing-failed", "why")


@pytest.mark.parametrize(
    ("state", "member"),
    [
        (State.ACCEPTED, None),
        (State.SENT, None),
        (State.SUCCEEDED, "result"),
        (State.REFUSED, "refusal"),
        (State.FAILED, "failure"),
        (State.EXPIRED, "failure"),
        (State.HELD, "failure"),
    ],
)
def test_the_status_document(state: State, member: str | None) -> None:
    row = Row("id-1", "front-1", "wechat", "k", b"f", "work-order", state=state, accepted_at=0, updated_at=1_500)
    reply = Reply(ABOUT, state, "answer-mismatch", "查无此户", b'{"x":1}') if member else None
    document = json.loads(answers.status(row, reply).body)
    told: dict[str | None, Any] = (
        {"result": {"x": 1}} if member == "result" else {member: {"code": "answer-mismatch", "message": "查无此户"}}
    )
    assert document == {
        "request_id": "id-1",
        "operation": "work-order",
        "status": state,
        "accepted_at": "1970-01-01T00:00:00.000+00:00",
        "updated_at": "1970-01-01T00:00:01.500+00:00",
        **(told if member else {}),
    }


@pytest.mark.parametrize(
    ("state", "code"),
    [(State.FAILED, "marketing-failed"), (State.EXPIRED, "expired"), (State.HELD, "held"), (State.HELD, "undelivered")],
)
@pytest.mark.parametrize("kept", [True, False])
def test_a_failure_has_a_published_code_and_words_whatever_the_bridge_said(state: State, code: str, kept: bool) -> None:
    theirs = code if code == "undelivered" else "something-new"
    row = Row("id-1", "front-1", "wechat", "k", b"f", "work-order", state=state, code=theirs)
    reply = Reply(ABOUT, state, theirs) if kept else None  # a reply may be unreadable, or never have come
    document = json.loads(answers.status(row, reply).body)
    assert document["failure"] == {"code": code, "message": TITLES[code]}


def test_a_refusals_code_is_the_marketing_systems_own() -> None:
    row = Row("id-1", "front-1", "wechat", "k", b"f", "work-order", state=State.REFUSED)
    document = json.loads(answers.status(row, Reply(ABOUT, State.REFUSED, "no-such-account")).body)
    assert document["refusal"] == {"code": "no-such-account", "message": ""}


def test_where_an_answer_came_from_is_told_by_headers_and_nothing_else_is() -> None:
    hit = answers.of_reply("id-1", Reply(ABOUT, State.SUCCEEDED, detail="cache hit 12 48 -", result=b"{}"))
    assert hit.headers == [(b"cache-status", b"intranet-bridge; hit; ttl=48"), (b"age", b"12")]
    assert answers.of_reply("id-1", Reply(ABOUT, State.SUCCEEDED, detail="found by hand")).headers == []
    assert answers.of_reply("id-1", Reply(ABOUT, State.SUCCEEDED)).headers == []

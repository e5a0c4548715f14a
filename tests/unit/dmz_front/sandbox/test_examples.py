"""Examples: what was asked is what is answered, and every name that is told can be wished for."""

import json
from dataclasses import replace
from typing import Any

import pytest

from dmz_front.problems.codes import CODES
from dmz_front.problems.details import Problem
from dmz_front.replies.responses import of_reply
from dmz_front.sandbox.examples import names, reply, result
from protocol.messages import Attributes
from protocol.operations import OFFERED, Kind, Operation
from protocol.operations.fields import AccountNumber, Model

AT = Attributes("id-1", "sandbox/trial", "x", 0)
OPERATIONS = pytest.mark.parametrize("operation", OFFERED.values(), ids=list(OFFERED))


def asked_of(operation: Operation, **changes: Any) -> Any:
    return operation.requests.validate_json(json.dumps({**operation.example, **changes}))


@OPERATIONS
def test_the_answer_is_about_the_account_that_was_asked_for(operation: Operation) -> None:
    names = {name for name in operation.matching.pairs.values() if name in operation.accounts}
    asked = asked_of(operation, **dict.fromkeys(names, "0042-A"))
    answer = operation.responses.validate_json(result(operation, asked))
    assert operation.matching.mismatch(asked, answer) is None
    for path, name in operation.matching.pairs.items():
        if name in names and "." not in path:
            assert getattr(answer, path) == "0042-A"


@OPERATIONS
def test_what_the_example_asks_is_answered_as_recorded(operation: Operation) -> None:
    assert operation.example_answer is not None
    answer = json.loads(result(operation, asked_of(operation)))
    recorded = operation.responses.validate_json(json.dumps(operation.example_answer))
    assert answer == json.loads(operation.responses.dump_json(recorded))


@OPERATIONS
def test_every_name_gives_an_answer_with_a_status_that_is_published(operation: Operation) -> None:
    asked, refusals = asked_of(operation), {refusal.code for refusal in operation.refusals}
    for name in names(operation):
        status, code = told(operation, asked, name)
        if code:
            assert status in CODES[code].statuses
            assert code in (name, "no-answer-in-time")  # the latter of commands that expired
        else:
            assert status == 200 if name in refusals | {"succeeded"} else 202


def told(operation: Operation, asked: Any, name: str) -> tuple[int, str]:
    """Status and problem code."""
    try:
        return of_reply("id-1", reply(operation, asked, AT, name)).status, ""
    except Problem as problem:
        return problem.status, problem.code


def test_a_query_has_no_names_of_commands() -> None:
    [query] = [names(one) for one in OFFERED.values() if one.name == "bill-query"]
    command = names(OFFERED["work-order"])
    assert {"succeeded", "no-such-account", "month-range", "marketing-timeout"} <= set(query)
    assert {"held", "backlog-full", "idempotency-key-reused"} <= set(command) - set(query)
    assert "unknown-operation" not in query


class Ask(Model):
    account: AccountNumber
    other: str | None = None


class Item(Model):
    account: AccountNumber | None = None
    text: str = ""


class Told(Model):
    account: AccountNumber
    other: str = ""
    items: tuple[Item, ...]


NESTED = Operation(
    name="nested",
    kind=Kind.QUERY,
    summary="Lists of objects that name the account again",
    request=Ask,
    response=Told,
    example={"account": "1111"},
    example_answer={"account": "1111", "items": [{"account": "1111"}, {"text": "no account"}]},
    scope="bills",
)


def test_the_account_is_put_into_every_item_that_names_one() -> None:
    answer = json.loads(result(NESTED, Ask(account="2222")))
    assert answer["account"] == "2222"
    assert [item["account"] for item in answer["items"]] == ["2222", None]
    assert NESTED.example_answer is not None
    assert NESTED.example_answer["items"][0]["account"] == "1111"  # the catalogue's own is as it was


def test_a_field_that_was_left_out_asks_for_nothing_and_one_that_was_not_is_answered() -> None:
    assert json.loads(result(NESTED, Ask(account="2222")))["other"] == ""
    assert json.loads(result(NESTED, Ask(account="2222", other="x")))["other"] == "x"


def test_an_entry_without_a_recorded_answer() -> None:
    operation = replace(NESTED, example_answer=None)
    assert "succeeded" not in names(operation)
    with pytest.raises(Problem) as caught:
        reply(operation, Ask(account="2222"), AT, "succeeded")
    assert (caught.value.status, caught.value.code) == (502, "operation-not-served")

"""The examples of an operation: its recorded answer made to be about what was asked, and on wish each refusal and each
problem that it can give. Pure.
"""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json

from dmz_front.admission.policy import CHALLENGE
from dmz_front.problems.codes import CODES
from dmz_front.problems.details import Problem
from dmz_front.replies.responses import FAILURES, PAUSE_RETRY_S
from protocol.lifecycle import State
from protocol.messages import Attributes, Reply
from protocol.operations import Kind, Operation

SUCCEEDED = "succeeded"
"""The example of who wishes for none."""
ON_WISH = "as wished by `Prefer: example=`"
"""The detail of problems on wish."""

_OUTCOMES = {
    "expired": State.EXPIRED,
    "no-answer-in-time": State.EXPIRED,
    "marketing-failed": State.FAILED,
    "marketing-rejected": State.FAILED,
    "not-applied": State.FAILED,
    "answer-mismatch": State.HELD,
    "held": State.HELD,
    "kills-worker": State.HELD,
    "possible-repetition": State.HELD,
    "outcome-unreadable": State.HELD,
    "undelivered": State.HELD,
}
"""Codes that say what became of a command that was accepted. With any other it is not accepted."""


def names(operation: Operation) -> tuple[str, ...]:
    """What `Prefer: example=` may name for an operation."""
    return (
        *((SUCCEEDED,) if operation.example_answer is not None else ()),
        *(refusal.code for refusal in operation.refusals),
        *(code for code, told in CODES.items() if operation.kind in told.kinds),
    )


def reply(operation: Operation, asked: BaseModel, attributes: Attributes, name: str) -> Reply:
    """What the bridge would say. Raises Problem where the example is one that comes without any reply."""
    if name == SUCCEEDED:
        return Reply(attributes, State.SUCCEEDED, result=result(operation, asked))
    for refusal in operation.refusals:
        if refusal.code == name:
            return Reply(attributes, State.REFUSED, name, refusal.title_zh)
    if operation.kind is Kind.COMMAND and name in _OUTCOMES:
        state = _OUTCOMES[name]
        return Reply(attributes, state, "expired" if state is State.EXPIRED else name, ON_WISH)
    if operation.kind is Kind.QUERY and FAILURES.get(name) == CODES[name].statuses[0]:  # not the 502 of invalid-request
        return Reply(attributes, State.FAILED, name, ON_WISH)
    status = CODES[name].statuses[0]
    errors = [{"field": next(iter(operation.request.model_fields)), "message": ON_WISH, "type": "example"}]
    raise Problem(
        status,
        name,
        ON_WISH,
        retry_after_s=PAUSE_RETRY_S if status in (409, 429, 503) else None,
        errors=errors if name == "invalid-request" else (),
        headers=[CHALLENGE] if status == 401 else None,
    )


def result(operation: Operation, asked: BaseModel) -> bytes:
    """The recorded answer, with the request's own values wherever a real one must repeat them. Raises Problem 502 of an
    entry without a recorded answer.
    """
    if operation.example_answer is None:
        raise Problem(502, "operation-not-served", "the catalogue has no example of an answer")
    answer: dict[str, Any] = copy.deepcopy(dict(operation.example_answer))
    values = asked.model_dump(mode="json")
    for path, name in operation.matching.pairs.items():
        if values[name] is not None:
            *above, last = path.split(".")
            for place in _objects(answer, above):
                if last in place or not above:  # what a list's items may leave out, they leave out
                    place[last] = values[name]
    return operation.answer(asked, operation.responses.validate_json(to_json(answer)))


def _objects(value: Any, path: Sequence[str]) -> Iterable[dict[str, Any]]:
    """The objects at a path, through lists."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _objects(item, path)
    elif isinstance(value, dict):
        if not path:
            yield value
        else:
            yield from _objects(value.get(path[0]), path[1:])

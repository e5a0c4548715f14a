"""Problem details: RFC 9457 members, stable codes, Retry-After never too early."""

import json

import pytest
from pydantic import BaseModel, ValidationError

from dmz_front.problems.codes import TITLES
from dmz_front.problems.details import Problem, schema_problem


def document(problem: Problem) -> dict[str, object]:
    answer = problem.answer("id-1")
    assert answer.media == b"application/problem+json"
    assert answer.status == problem.status
    found: dict[str, object] = json.loads(answer.body)
    return found


def test_the_document() -> None:
    found = document(Problem(409, "idempotency-key-in-flight", "wait", request_status="held"))
    assert found == {
        "type": "/problems/idempotency-key-in-flight",
        "title": TITLES["idempotency-key-in-flight"],
        "status": 409,
        "code": "idempotency-key-in-flight",
        "detail": "wait",
        "request_id": "id-1",
        "request_status": "held",
    }
    assert "detail" not in document(Problem(401, "unauthenticated"))


def test_the_id_of_the_request_it_is_about_goes_before_the_callers_own() -> None:
    assert document(Problem(502, "marketing-failed", request_id="id-0"))["request_id"] == "id-0"


@pytest.mark.parametrize(("seconds", "header"), [(0.0, b"1"), (0.2, b"1"), (1.0, b"1"), (1.01, b"2"), (2.5, b"3")])
def test_retry_after_is_whole_seconds_and_never_too_early(seconds: float, header: bytes) -> None:
    assert Problem(429, "too-many-requests", retry_after_s=seconds).headers == [(b"retry-after", header)]


def test_headers_are_the_problems_own() -> None:
    given = [(b"connection", b"close")]
    Problem(503, "overloaded", headers=given, retry_after_s=1)
    assert given == [(b"connection", b"close")]


class _Body(BaseModel):
    numbers: list[int]


def test_a_nested_field_is_named_by_its_path_and_its_value_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        _Body.model_validate_json(b'{"numbers":[1,"3210000000001x"]}')
    [error] = schema_problem(caught.value).errors
    assert error["field"] == "numbers.1"
    assert "3210000000001" not in json.dumps(error)

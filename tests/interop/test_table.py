"""What the table says of answers that are as they should be, of others, and of clients that could not be had."""

from pathlib import Path

import pytest

from tests.interop.suite import CALLS, Client, Unavailable, ready, wrong
from tests.interop.table import table

FINE = dict.fromkeys(CALLS, "")


def test_what_is_wrong_stands_out_and_who_was_skipped_is_named() -> None:
    results = {("A", "HTTP"): FINE, ("A", "HTTPS"): FINE | {"query": "400: {…}"}}
    lines = table({"A": "1.2"}, results, {"B": "mvn is not installed"}).splitlines()
    assert lines[2:4] == [
        "| A | 1.2 | HTTP | 200 | 200 | 200 | 200 | 422 | 401 | 200 |",
        "| A | 1.2 | HTTPS | **400** | 200 | 200 | 200 | 422 | 401 | 200 |",
    ]
    assert lines[-1] == "B: skipped, mvn is not installed"


def test_a_client_whose_tools_are_missing_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no-such-tool is not installed"):
        ready(Client("x", lambda _: [], ("no-such-tool",)), tmp_path)


@pytest.mark.parametrize(
    ("call", "status", "body"),
    [
        ("query", 400, {"code": "malformed-json"}),
        ("query", 200, {"status": "succeeded", "result": {"bills": []}}),
        ("query", 200, "text"),
        ("refused", 200, {"status": "succeeded", "result": {"bills": []}}),
        ("refused", 200, {"status": "refused", "refusal": {"code": "month-range"}}),
        ("command", 202, {"status": "accepted"}),
        ("again", 200, {"status": "succeeded", "result": {"work_order": "2"}}),
        ("invalid", 422, {"code": "idempotency-key-reused"}),
        ("unauthenticated", 200, {}),
        ("status", 200, {"status": "sent"}),
        ("status", 0, "connection refused"),
    ],
)
def test_status_and_body_are_looked_at(call: str, status: int, body: object) -> None:
    first = (200, {"status": "succeeded", "result": {"work_order": "1"}})
    assert wrong(call, {"command": first, call: (status, body)})


def test_an_answer_as_it_should_be() -> None:
    first = (200, {"status": "succeeded", "result": {"work_order": "1"}})
    assert not wrong("again", {"command": first, "again": first})

"""What a status says of a query and of a command: of a command nothing that is not sure."""

import pytest

from intranet_bridge.marketing import Fault, NotApplied, Rejected, Unknown
from intranet_bridge.marketing.http.status import said_by, turned_down


@pytest.mark.parametrize("status", [302, 303])
def test_a_page_after_the_request_leaves_a_commands_outcome_unknown(status: int) -> None:
    """ASP.NET's customErrors and many a framework's handler of errors redirect, also after what was done was kept."""
    assert isinstance(said_by(status, command=True), Unknown)
    assert said_by(status, command=False) == NotApplied(f"HTTP {status}", reached=False)


@pytest.mark.parametrize("status", [301, 307, 308, 401, 403, 407])
@pytest.mark.parametrize("command", [False, True])
def test_a_request_that_was_turned_away_is_surely_not_applied(status: int, command: bool) -> None:
    said = said_by(status, command=command)
    assert said == NotApplied(f"HTTP {status}", reached=False)
    assert isinstance(said, NotApplied)
    assert said.denied


@pytest.mark.parametrize("command", [False, True])
def test_what_is_the_same_for_both(command: bool) -> None:
    assert said_by(429, command=command) == NotApplied("HTTP 429", reached=True)
    for status in (408, 500, 502, 504):
        assert said_by(status, command=command) == Unknown(f"HTTP {status}")
    for status in (200, 204, 400, 404, 409, 422):
        assert said_by(status, command=command) is None
    for status in (400, 404, 422):
        assert turned_down(status, command=command) == Rejected(f"HTTP {status}")
    assert turned_down(200, command=command) is None


def test_a_conflict_without_a_code_may_be_the_commands_own_earlier_call() -> None:
    assert turned_down(409, command=False) == Rejected("HTTP 409")
    said = turned_down(409, command=True)
    assert isinstance(said, Unknown)
    assert said.fault is Fault.ANSWER

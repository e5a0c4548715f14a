"""`bridgectl cache`: what it asks the bridge, and what it prints."""

from typing import Any

import pytest
from typer.testing import CliRunner

from bridgectl.cli import app
from protocol.messages import Role
from protocol.reports import HotOperationReport, HotReport
from tests.unit.bridgectl.test_maintenance import Asked, daemon

__all__ = ["daemon"]


def ran(*words: str, given: str | None = None) -> Any:
    return CliRunner().invoke(app, ["cache", *words], input=given)


def test_show_has_the_share_that_cost_no_call(daemon: Asked) -> None:
    one = HotOperationReport(operation="bill-query", lifetime_s=60, kept=3, bytes=1 << 20, hit=7, joined=1, miss=2)
    report = HotReport(operations=(one,), kept=3, bytes=1 << 20, limit=4 << 20, evicted=5, invalidated={"command": 6})
    daemon.answers = [report.model_dump(mode="json")]
    done = ran("show")
    assert daemon.questions == [(Role.BRIDGE, "hot", {})]
    for words in ("bill-query", "60 s", "80%", "3 answers in 1.0 of 4.0 MiB; 5 went", "6 were dropped"):
        assert words in done.stdout


def test_show_says_that_nothing_is_kept(daemon: Asked) -> None:
    daemon.answers = [HotReport().model_dump(mode="json")]
    assert "nothing is kept" in ran("show").stdout
    assert '"limit": 0' in ran("show", "--json").stdout


def test_an_account_comes_by_standard_input_alone(daemon: Asked) -> None:
    daemon.answers = [{"dropped": 2}]
    done = ran("clear", "bill-query", "--account-of-stdin", given="3210000000001\n")
    assert (done.exit_code, done.stdout) == (0, "2 kept answers forgotten\n")
    asked = {"operation": "bill-query", "account": "3210000000001", "sudo_user": "li"}
    assert daemon.questions == [(Role.BRIDGE, "clear-hot", asked)]


@pytest.mark.parametrize("given", ["", "\n", "1" * 65 + "\n"])
def test_no_account_clears_nothing(daemon: Asked, given: str) -> None:
    assert ran("clear", "--account-of-stdin", given=given).exit_code == 2
    assert daemon.questions == []


def test_all_is_cleared_without_an_account(daemon: Asked) -> None:
    daemon.answers = [{"dropped": 9}]
    assert ran("clear").exit_code == 0
    assert daemon.questions[0][2] == {"operation": "", "account": "", "sudo_user": "li"}

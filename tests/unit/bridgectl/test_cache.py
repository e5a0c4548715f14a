"""`bridgectl cache`: what it asks the bridge, and what it prints."""

from typing import Any

import pytest
from typer.testing import CliRunner

from bridgectl.cli import app
from protocol.messages import Role
from protocol.reports.marketing_data import HotOperationReport, HotReport, PrequeryReport, PrequeryWindowReport
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


def test_show_has_what_was_asked_ahead(daemon: Asked) -> None:
    one = HotOperationReport(operation="bill-query", lifetime_s=900, kept=3, bytes=1 << 20)
    now = PrequeryWindowReport(since=1, until=1_790_000_000_000, asked=9, kept=8, failed=1, rested_s=90, rounds=1)
    last = now.model_copy(update={"asked": 70, "rounds": 0})
    ahead = PrequeryReport(active=5, bridges=2, spared=4, now=now, last=last, rests="bill-query: slow")
    daemon.answers = [HotReport(operations=(one,), prequery=ahead).model_dump(mode="json")]
    shown = ran("show").stdout
    for words in (
        "for 5 active accounts and those subscribed: 4 answers were of use", "rate shared by 2 bridges",
        "9 asked, 8 kept, 0 refused, 1 failed; 1 round; rested for 90 s", "it rests: bill-query: slow",
        "70 asked, 8 kept, 0 refused, 1 failed; 0 rounds",
    ):  # fmt: skip
        assert words in shown, shown


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

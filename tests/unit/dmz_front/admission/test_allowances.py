"""What is left of an application's limits, and what is said when nothing is."""

import re
from typing import Any

import pytest

from dmz_front.admission.allowances import Allowances, Standing, fields
from dmz_front.admission.quotas import DailyQuotas
from dmz_front.problems.details import Headers, Problem
from dmz_front.settings import LimitsSection
from protocol.runtime.applications import Application, Limits

NOON = 1_772_366_400_000
"""2026-03-01T12:00:00Z"""
ITEM = r'"[a-z-]+"(;[a-z]+=\d+)*'


def application(rate: float = 0.0, **limits: Any) -> Application:
    return Application("wechat", frozenset({"*"}), (), rate, 0, None, limits=Limits(**limits) if limits else None)


def allowances(now: list[float], **limits: Any) -> Allowances:
    quotas = DailyQuotas(None, "front-1", "", lambda: NOON + int(now[0] * 1000))  # type: ignore[arg-type]
    return Allowances(LimitsSection(**limits), quotas, now=lambda: now[0])


def said(headers: Headers) -> dict[str, str]:
    found = {name.decode(): value.decode() for name, value in headers}
    for name in ("ratelimit", "ratelimit-policy"):
        assert name not in found or re.fullmatch(rf"{ITEM}(, {ITEM})*", found[name])
    return found


def refusal(problem: pytest.ExceptionInfo[Problem]) -> tuple[int, str, dict[str, str]]:
    return problem.value.status, problem.value.code, said(problem.value.headers)


def test_the_fields_are_those_of_the_draft() -> None:
    assert fields([]) == []
    assert said(fields([Standing("day", 100, 86_400, 3, 7.2), Standing("operation", 5, 10, 0, 0)])) == {
        "ratelimit-policy": '"day";q=100;w=86400, "operation";q=5;w=10',
        "ratelimit": '"day";r=3;t=8, "operation";r=0;t=0',
    }


def test_an_operations_rate_is_its_own_and_what_is_left_is_what_may_come() -> None:
    now = [0.0]
    counts = allowances(now, burst_s=2)
    app = application(rates={"bill-query": 2})
    assert [said(counts.take(app, "bill-query"))["ratelimit"] for _ in range(4)] == [
        f'"operation";r={left};t={reset}' for left, reset in ((3, 1), (2, 1), (1, 2), (0, 2))
    ]
    with pytest.raises(Problem) as problem:
        counts.take(app, "bill-query")
    assert refusal(problem) == (
        429,
        "too-many-requests",
        {"retry-after": "1", "ratelimit-policy": '"operation";q=4;w=2', "ratelimit": '"operation";r=0;t=2'},
    )
    assert counts.take(app, "outage-query") == []
    now[0] = 0.5
    assert counts.take(app, "bill-query")
    assert counts.refused == {("wechat", "bill-query", "operation"): 1}


def test_quotas_of_one_operation_and_of_all_last_until_the_day_ends() -> None:
    now = [0.0]
    counts = allowances(now)
    app = application(quotas={"bill-query": 2, "*": 3})
    assert said(counts.take(app, "bill-query"))["ratelimit"] == '"day";r=1;t=43200, "day-all";r=2;t=43200'
    counts.take(app, "bill-query")
    with pytest.raises(Problem) as problem:
        counts.take(app, "bill-query")
    assert refusal(problem) == (
        429,
        "quota-used-up",
        {
            "retry-after": "43200",
            "ratelimit-policy": '"day";q=2;w=86400, "day-all";q=3;w=86400',
            "ratelimit": '"day";r=0;t=43200, "day-all";r=1;t=43200',
        },
    )
    assert said(counts.take(app, "outage-query"))["ratelimit"] == '"day-all";r=0;t=43200'
    with pytest.raises(Problem):
        counts.take(app, "outage-query")
    assert counts.refused == {("wechat", "bill-query", "day"): 1, ("wechat", "outage-query", "day-all"): 1}
    now[0] = 43_200
    assert said(counts.take(app, "bill-query"))["ratelimit"] == '"day";r=1;t=86400, "day-all";r=2;t=86400'


def test_different_accounts_of_an_hour_are_few_and_those_known_go_on() -> None:
    now = [0.0]
    counts = allowances(now)
    app = application(accounts=2)
    for account in ("1001", "1002", "1001", "1002"):
        counts.account(app, "bill-query", account, 0)
    with pytest.raises(Problem) as problem:
        counts.account(app, "bill-query", "1003", 0)
    assert refusal(problem) == (
        429,
        "too-many-accounts",
        {"retry-after": "3600", "ratelimit-policy": '"accounts";q=2;w=3600', "ratelimit": '"accounts";r=0;t=3600'},
    )
    assert "1003" not in problem.value.detail
    counts.account(app, "bill-query", "1001", 0)
    now[0] = 3600
    counts.account(app, "bill-query", "1003", 0)
    assert not any(b"1003" in digest for digest in counts._hours["wechat"].seen)


@pytest.mark.parametrize("rate", [0.1, 0.3, 1, 7, 333.3])
def test_what_is_said_to_be_left_is_taken_and_not_one_more(rate: float) -> None:
    now = [0.0]
    counts, app, refused = allowances(now, burst_s=1), application(rates={"bill-query": rate}), 0
    left = max(1, int(rate))
    for _ in range(500):
        try:
            headers = said(counts.take(app, "bill-query"))
            assert left > 0
            left = int(headers["ratelimit"].split("r=")[1].partition(";")[0])
        except Problem:
            assert left == 0
            refused += 1
            now[0] += 1 / rate
            left = 1
    assert refused > 10
    [(name, _, labels, count)] = counts.samples()
    assert (name, labels["policy"], count) == ("dmz_front_limited_total", "operation", refused)

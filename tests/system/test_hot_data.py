"""Kept answers across the boundary: one marketing call for many queries, until a command changes what they tell of."""

from collections.abc import Iterator

import httpx
import pytest

from scripts.tools.testbed.testbed import Testbed
from scripts.tools.testbed.toml_values import with_values
from tests.support.testbeds import ACCOUNT, ctl, eventually, journal, work_order

MONTHS = {"account": ACCOUNT, "first_month": "2026-01", "last_month": "2026-06"}
STATUS = "cache-status"


@pytest.fixture
def keeping(testbed: Testbed) -> Iterator[Testbed]:
    """The session's testbed, its bridge keeping bills."""
    file = testbed.config / "intranet_bridge.toml"
    before = file.read_text()
    tables = {"hot.operations.bill-query.lifetime_s": 600, "hot.operations.bill-query.no_cache": True}
    file.write_text(with_values(before, tables))
    assert ctl(testbed, "reload", "bridge").returncode == 0
    yield testbed
    file.write_text(before)
    assert ctl(testbed, "reload", "bridge").returncode == 0


def asked(http: httpx.Client, **headers: str) -> httpx.Response:
    answer = http.post("/v1/bill-query", json=MONTHS, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def test_a_kept_answer_is_told_and_ends_with_a_command_of_its_account(keeping: Testbed, http: httpx.Client) -> None:
    first, second = asked(http), asked(http)
    assert first.headers[STATUS].startswith("intranet-bridge; fwd=uri-miss; stored; ttl=")
    assert second.headers[STATUS].startswith("intranet-bridge; hit; ttl=")
    assert (int(second.headers["age"]) < 60, second.json()["result"]) == (True, first.json()["result"])
    assert asked(http, **{"Cache-Control": "no-cache"}).headers[STATUS].startswith("intranet-bridge; fwd=request")
    done = http.post("/v1/work-order", json=work_order(), headers={"Idempotency-Key": "hot-1", "Prefer": "wait=20"})
    assert done.json()["status"] == "succeeded", done.text
    assert [one["applied"] for one in journal(keeping, done.json()["request_id"])] == [1]
    assert "fwd=uri-miss" in asked(http).headers[STATUS]
    shown = ctl(keeping, "cache", "show")
    assert "bill-query" in shown.stdout, shown.stderr
    cleared = ctl(keeping, "cache", "clear", "bill-query")
    assert cleared.stdout == "1 kept answers forgotten\n", cleared.stderr
    assert "fwd=uri-miss" in asked(http).headers[STATUS]


def test_an_account_that_is_active_is_asked_ahead_and_its_first_query_is_a_hit(
    testbed: Testbed, http: httpx.Client
) -> None:
    file = testbed.config / "intranet_bridge.toml"
    before = file.read_text()
    tables = {
        "hot.operations.balance-query.lifetime_s": 900,
        "hot.prequery.requests.balance-query": {},
        "hot.prequery.windows": [{"from": "00:00", "to": "00:00"}],
        "hot.prequery.slow_ms": 60_000,  # this machine may be busy
        "hot.prequery.subscribed": False,  # others had this testbed before, and may have left subscriptions
        "maintenance.zone": "Asia/Shanghai",
    }
    file.write_text(with_values(before, tables))
    try:
        assert ctl(testbed, "reload", "bridge").returncode == 0
        asked(http)  # of another operation: now the account is an active one
        eventually(lambda: "1 asked, 1 kept" in ctl(testbed, "cache", "show").stdout, 60, "asking ahead")
        first = http.post("/v1/balance-query", json={"account": ACCOUNT})
        assert first.headers[STATUS].startswith("intranet-bridge; hit; ttl="), first.text
        assert "1 active account and those subscribed: 1 answer was of use" in ctl(testbed, "cache", "show").stdout
    finally:
        file.write_text(before)
        assert ctl(testbed, "reload", "bridge").returncode == 0


def test_without_it_nothing_is_told(testbed: Testbed, http: httpx.Client) -> None:
    assert STATUS not in asked(http).headers

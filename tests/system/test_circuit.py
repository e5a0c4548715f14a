"""The circuit breaker of one marketing interface: it opens on failures or slowness, pauses that operation only, is
seen in the metrics, lets the front answer at once, and closes by a probe when the interface is well again.
"""

import time
import uuid
from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from scripts.tools.testbed.processes import free_port
from scripts.tools.testbed.testbed import Testbed
from tests.support.promtool import promtool
from tests.support.testbeds import ACCOUNT, LOOPBACK, client, command, eventually, journal, running_testbed, work_order

SLOW_S = 0.5
PORT = free_port()
SETTINGS = {
    "intranet_bridge": {
        "presence_interval_s": 0.5,
        "metrics.port": PORT,
        "breaker.failures": 3,
        "breaker.slow_s": SLOW_S,
        "breaker.open_min_s": 2,
        "breaker.open_max_s": 2,
        "commands.retry_max_s": 1,
    }
}


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    with running_testbed(tmp_path_factory.mktemp("circuit"), settings=SETTINGS) as testbed:
        yield testbed


@pytest.fixture(autouse=True)
def well(testbed: Testbed) -> Iterator[None]:
    yield
    httpx.delete(f"{testbed.marketing_url}/faults", **LOOPBACK).raise_for_status()


def trouble(testbed: Testbed, **plan: object) -> None:
    httpx.put(f"{testbed.marketing_url}/faults", json=plan, **LOOPBACK).raise_for_status()


def circuit(operation: str) -> float:
    """0 closed, 1 half open, 2 open: as the bridge's metrics say."""
    name = f'intranet_bridge_circuit{{operation="{operation}"}} '
    lines = httpx.get(f"http://127.0.0.1:{PORT}/metrics", **LOOPBACK).text.splitlines()
    return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def arrears(http: httpx.Client) -> httpx.Response:
    return http.post("/v1/arrears-query", json={"account": ACCOUNT})


def succeeded(http: httpx.Client, place: str) -> bool:
    return bool(http.get(place).json()["status"] == "succeeded")


def bills(http: httpx.Client) -> httpx.Response:
    return http.post("/v1/bill-query", json={"account": ACCOUNT, "first_month": "2026-06", "last_month": "2026-06"})


@pytest.mark.parametrize("plan", [{"error_rate": 1}, {"latency_ms": SLOW_S * 1000 + 200}], ids=["failures", "slowness"])
def test_it_opens_pauses_that_operation_only_and_closes_by_a_probe(testbed: Testbed, plan: dict[str, float]) -> None:
    with client(testbed) as http:
        assert arrears(http).status_code == 200
        trouble(testbed, **plan, paths=["/api/arrears"])

        def paused() -> bool:
            answer = arrears(http)
            return answer.status_code == 503 and answer.json()["code"] == "operation-paused"

        # between two probes it is open, and half open for a moment
        eventually(lambda: paused() and circuit("arrears-query") == 2, what="the front's notice")

        def at_once() -> bool:
            begun = time.monotonic()
            answer = arrears(http)
            quick = time.monotonic() - begun < SLOW_S / 2
            return answer.status_code == 503 and quick and int(answer.headers["retry-after"]) > 0

        eventually(at_once, what="an immediate answer")  # between two probes
        assert bills(http).status_code == 200
        assert circuit("bill-query") == 0

        httpx.delete(f"{testbed.marketing_url}/faults", **LOOPBACK).raise_for_status()
        eventually(lambda: arrears(http).status_code == 200, what="the probe")
        assert circuit("arrears-query") == 0


def test_commands_wait_out_a_pause_and_other_operations_go_on(testbed: Testbed) -> None:
    trouble(testbed, error_rate=1, paths=["/api/wo/create"])
    keys = [str(uuid.uuid4()) for _ in range(4)]
    with client(testbed) as http:
        places = []
        for number, key in enumerate(keys):
            headers = {"Idempotency-Key": key, "Prefer": "respond-async"}
            order = work_order(account=f"32100000000{number + 1:02}")  # of different keys: side by side
            answer = http.post("/v1/work-order", json=order, headers=headers)
            assert answer.status_code == 202
            places.append(answer.headers["location"])
        eventually(lambda: circuit("work-order") == 2, what="the open circuit")
        assert bills(http).status_code == 200
        assert arrears(http).status_code == 200
        httpx.delete(f"{testbed.marketing_url}/faults", **LOOPBACK).raise_for_status()
        for place in places:
            eventually(partial(succeeded, http, place), 60, "the outcome")
    assert {entry["applied"] for entry in journal(testbed)} == {1}


def test_the_metrics_are_as_prometheus_wants_them(testbed: Testbed) -> None:
    with client(testbed) as http:
        bills(http)
        command(http, "work-order", work_order())
        http.post("/v1/bill-query", json={}, headers={"Authorization": "Bearer none"})
    for url in (testbed.metrics_url, f"http://127.0.0.1:{PORT}/metrics"):
        assert not promtool("check", "metrics", given=httpx.get(url, **LOOPBACK).text)

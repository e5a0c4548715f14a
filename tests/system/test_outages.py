"""What callers see while a part is away, and that everything comes right by itself afterwards."""

import threading
import uuid
from collections.abc import Iterator

import httpx
import pytest

from scripts.tools.testbed.processes import stop
from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import ACCOUNT, LOOPBACK, client, eventually, journal, running_testbed, work_order

QUICK = {
    "dmz_front": {"delivery.presence_ttl_s": 4, "delivery.resend_after_s": 3, "link.reconnect_max_s": 0.5},
    "intranet_bridge": {"presence_interval_s": 0.5, "link.reconnect_max_s": 0.5},
}


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    with running_testbed(tmp_path_factory.mktemp("outages"), settings=QUICK) as testbed:
        yield testbed


@pytest.fixture
def http(testbed: Testbed) -> Iterator[httpx.Client]:
    with client(testbed) as http:
        yield http


def order(http: httpx.Client, **headers: str) -> httpx.Response:
    return http.post("/v1/work-order", json=work_order(), headers={"Idempotency-Key": str(uuid.uuid4())} | headers)


def arrears(http: httpx.Client) -> httpx.Response:
    return http.post("/v1/arrears-query", json={"account": ACCOUNT})


def succeeds(http: httpx.Client, accepted: httpx.Response) -> None:
    assert accepted.status_code == 202, accepted.text
    place = accepted.headers["location"]
    eventually(lambda: http.get(place).json()["status"] == "succeeded", 60, "the outcome")


def test_without_a_bridge_queries_say_so_and_commands_wait(testbed: Testbed, http: httpx.Client) -> None:
    testbed.stop("bridge")  # it says that it leaves, so this is known when that has come
    refused = eventually(
        lambda: (answer := arrears(http)).json().get("code") == "no-bridge" and answer, 60, "the notice"
    )
    assert refused.status_code == 502
    assert int(refused.headers["retry-after"]) > 0
    assert http.get("/readyz").status_code == 503
    accepted = order(http, Prefer="wait=10")
    testbed.start("bridge")
    succeeds(http, accepted)
    assert arrears(http).status_code == 200


def test_a_bridge_killed_without_a_word_is_missed_within_seconds(testbed: Testbed, http: httpx.Client) -> None:
    testbed.kill("bridge")
    eventually(lambda: arrears(http).json().get("code") == "no-bridge", 60, "the front's notice")
    testbed.start("bridge")
    assert arrears(http).status_code == 200


def test_without_a_broker_queries_say_so_and_commands_wait(testbed: Testbed, http: httpx.Client) -> None:
    testbed.stop("broker")
    refused = eventually(lambda: (answer := arrears(http)).status_code != 200 and answer, 60, "the front's notice")
    assert refused.status_code in (502, 503)
    assert refused.json()["code"] in ("broker-unreachable", "no-bridge")
    accepted = order(http, Prefer="wait=0")
    testbed.start("broker")
    succeeds(http, accepted)
    eventually(lambda: arrears(http).status_code == 200, 60, "queries to work again")


def test_a_failing_marketing_system_is_told_apart_and_does_not_lose_commands(
    testbed: Testbed, http: httpx.Client
) -> None:
    testbed.stop("marketing")
    # the tight presence of this testbed can lapse for a moment on a machine that stalls
    failed = eventually(lambda: (answer := arrears(http)).json().get("code") != "no-bridge" and answer, 60, "an answer")
    assert failed.status_code in (502, 503), failed.text
    assert failed.json()["code"].startswith(("marketing-", "operation-paused"))
    accepted = order(http, Prefer="wait=1")
    testbed.start("marketing")
    succeeds(http, accepted)
    eventually(lambda: arrears(http).status_code == 200, 60, "the circuit to close")


def test_a_marketing_system_that_hangs_is_a_504(testbed: Testbed, http: httpx.Client) -> None:
    faults = f"{testbed.marketing_url}/faults"
    plan = {"hang": True, "paths": ["/api/arrears"], "times": 1}
    httpx.put(faults, json=plan, **LOOPBACK).raise_for_status()
    answer = http.post("/v1/arrears-query", json={"account": ACCOUNT}, headers={"Prefer": "wait=1"})
    assert answer.status_code == 504, answer.text
    httpx.delete(faults, **LOOPBACK)
    eventually(lambda: arrears(http).status_code == 200, 60, "the circuit to close")


@pytest.mark.parametrize("part", ["front", "bridge"])
def test_sigterm_drains(testbed: Testbed, http: httpx.Client, part: str) -> None:
    """What is being answered when SIGTERM comes is still answered."""
    faults = f"{testbed.marketing_url}/faults"
    httpx.put(faults, json={"latency_ms": 700, "times": 8}, **LOOPBACK).raise_for_status()
    answers: list[httpx.Response] = []

    def ask(number: int) -> None:
        with client(testbed) as mine:
            answers.append(arrears(mine) if number % 2 else order(mine, Prefer="wait=10"))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: httpx.get(faults, **LOOPBACK).json()["hits"] >= 4, 60, "four calls under way")
    pid = testbed.pids[part]
    stop(pid)
    for thread in threads:
        thread.join(30)
    assert [answer.status_code for answer in answers] == [200] * 4, [answer.text for answer in answers]
    httpx.delete(faults, **LOOPBACK)
    testbed.start(part)
    eventually(lambda: arrears(http).status_code == 200, 60, "queries to work again")


def test_nothing_was_applied_twice_by_all_that(testbed: Testbed) -> None:
    assert {entry["applied"] for entry in journal(testbed)} == {1}

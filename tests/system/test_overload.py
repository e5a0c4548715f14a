"""More queries than the marketing system can bear: the answers that can be given in time are, the rest is refused
at once, and memory stays bounded. (`./scripts/bench overload` prints the whole curve.)
"""

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from scripts.tools.benchmark import overload
from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import ACCOUNT, LOOPBACK, client, eventually, running_testbed

SECONDS = 6
SLOTS = 5
CAPACITY = SLOTS / overload.LATENCY_S
"""A quarter of the bench's: a busy machine too can offer three times as much, and refuse it."""
SETTINGS = {
    "dmz_front": overload.SETTINGS["dmz_front"],
    "intranet_bridge": {**overload.SETTINGS["intranet_bridge"], "queries.slots": SLOTS},
}


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    with running_testbed(tmp_path_factory.mktemp("overload"), settings=SETTINGS) as testbed:
        yield testbed


def test_three_times_the_capacity(testbed: Testbed) -> None:
    overload.slowed(testbed)
    overload.measured(testbed, 0.5, 2, CAPACITY)
    memory = overload.memory(testbed.pids["front"]), overload.memory(testbed.pids["bridge"])
    at_capacity = overload.measured(testbed, 1.0, SECONDS, CAPACITY)
    answers = overload.measured(testbed, 3.0, SECONDS, CAPACITY)
    goodput = len(overload.good(answers))
    peak = max(len(overload.good(at_capacity)), goodput)
    assert goodput >= 0.5 * peak, f"{goodput} of {peak}"
    refused = [answer for answer in answers if answer.code == "overloaded"]
    outcomes = Counter(answer.code for answer in answers)
    assert len(refused) > len(answers) / 3, outcomes
    assert len(refused) + outcomes[""] >= 0.9 * len(answers), outcomes  # hardly one waits for nothing
    assert {(answer.status, answer.retry_after) for answer in refused} == {(503, True)}
    quickly = sorted(answer.seconds for answer in refused)[len(refused) // 2]
    assert quickly < overload.DEADLINE_S / 4
    grown = overload.memory(testbed.pids["front"]) - memory[0], overload.memory(testbed.pids["bridge"]) - memory[1]
    assert max(grown) < 100, f"MB: {grown}"


def test_afterwards_all_is_as_before(testbed: Testbed) -> None:
    httpx.delete(f"{testbed.marketing_url}/faults", **LOOPBACK).raise_for_status()
    with client(testbed) as http:
        eventually(lambda: http.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 200)

        def metrics() -> str:
            return httpx.get(testbed.metrics_url, **LOOPBACK).text

        assert "dmz_front_shed_total" in metrics()
        eventually(lambda: 'dmz_front_waiting{kind="query"} 0.0' in metrics(), what="nobody waiting any more")

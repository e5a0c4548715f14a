"""More queries than the marketing system can bear: the answers that can be given in time are, the rest is refused
at once, and memory stays bounded. (`./scripts/bench overload` prints the whole curve.)
"""

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from scripts.tools.benchmark import overload
from scripts.tools.testbed.testbed import Stand
from tests.support.stands import ACCOUNT, PLAIN, client, eventually, standing

SECONDS = 6
SLOTS = 5
CAPACITY = SLOTS / overload.LATENCY_S
"""A quarter of the bench's: a busy machine too can offer three times as much, and refuse it."""
SETTINGS = {
    "dmz_front": overload.SETTINGS["dmz_front"],
    "intranet_bridge": {**overload.SETTINGS["intranet_bridge"], "queries.slots": SLOTS},
}


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with standing(tmp_path_factory.mktemp("overload"), settings=SETTINGS) as stand:
        yield stand


def test_three_times_the_capacity(stand: Stand) -> None:
    overload.slowed(stand)
    overload.measured(stand, 0.5, 2, CAPACITY)
    memory = overload.memory(stand.pids["front"]), overload.memory(stand.pids["bridge"])
    at_capacity = overload.measured(stand, 1.0, SECONDS, CAPACITY)
    answers = overload.measured(stand, 3.0, SECONDS, CAPACITY)
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
    grown = overload.memory(stand.pids["front"]) - memory[0], overload.memory(stand.pids["bridge"]) - memory[1]
    assert max(grown) < 100, f"MB: {grown}"


def test_afterwards_all_is_as_before(stand: Stand) -> None:
    httpx.delete(f"{stand.marketing_url}/faults", trust_env=False, verify=PLAIN).raise_for_status()
    with client(stand) as http:
        eventually(lambda: http.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 200)
        metrics = httpx.get(stand.metrics_url, trust_env=False, verify=PLAIN).text
    assert "dmz_front_shed_total" in metrics
    assert 'dmz_front_waiting{kind="query"} 0.0' in metrics

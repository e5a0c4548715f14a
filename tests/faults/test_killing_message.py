"""A message that kills whoever takes it in hand is set aside after the third time, and nothing else suffers by it.

The killer is a crash point armed for one request id: whatever the daemon does with that request at that place, it
dies, at each start again.
"""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.tools.testbed.processes import ended
from scripts.tools.testbed.testbed import Testbed
from tests.support.stomp import browsed
from tests.support.testbeds import ACCOUNT, client, eventually, journal, running_testbed, work_order

ARM = "DMZ_BRIDGE_TEST_CRASH_AT"
SETTINGS = {
    "dmz_front": {
        "delivery.presence_ttl_s": 3, "delivery.resend_after_s": 1.5, "delivery.sweep_s": 0.5,
        "link.reconnect_max_s": 0.5,
    },
    "intranet_bridge": {
        "presence_interval_s": 0.3, "link.reconnect_max_s": 0.5, "commands.sweep_s": 0.5, "commands.retry_min_s": 0.1,
        "operations.work-order.settle_s": 0.2,
    },
}  # fmt: skip
ORDERS = 12


@pytest.fixture
def testbed(tmp_path: Path) -> Iterator[Testbed]:
    with running_testbed(tmp_path / "testbed", settings=SETTINGS) as testbed:
        yield testbed


def submitted(testbed: Testbed, count: int = ORDERS) -> list[str]:
    """Orders accepted while no bridge runs, of four customers: request ids."""
    ids = []
    with client(testbed) as http:
        for number in range(count):
            order = work_order(f"第{number}单", account=f"321000000000{number % 4 + 1}")
            headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"}
            answer = http.post("/v1/work-order", json=order, headers=headers)
            assert answer.status_code == 202, answer.text
            ids.append(answer.json()["request_id"])
    return ids


def dies(testbed: Testbed, part: str) -> None:
    testbed.start(part, wait=False)
    eventually(lambda: not testbed.running(part), 60, f"the {part}'s death")
    assert ended[testbed.pids[part]] == -9


def status(testbed: Testbed, id: str) -> dict[str, str]:
    with client(testbed) as http:
        body: dict[str, str] = http.get(f"/v1/requests/{id}").json()
        return body


def all_succeed(testbed: Testbed, ids: list[str]) -> None:
    eventually(lambda: {status(testbed, id)["status"] for id in ids} == {"succeeded"}, 60, "all the others' outcome")


def dead_letters(testbed: Testbed, queue: str) -> int:
    rows = {row["name"]: row for row in json.loads(testbed.ctl("queues", "--json"))}
    count: int = rows[queue]["dead_letters"]
    return count


def test_a_command_that_kills_the_worker_is_held(testbed: Testbed) -> None:
    testbed.stop("bridge")
    ids = submitted(testbed)
    guilty = ids[3]
    innocent = [id for id in ids if id != guilty]
    testbed.environment["bridge"] = {ARM: f"bridge.calling-committed:id={guilty}"}
    for _ in range(3):
        dies(testbed, "bridge")
    testbed.start("bridge")  # still armed
    all_succeed(testbed, innocent)  # those of the same customer too
    told = eventually(lambda: (body := status(testbed, guilty))["status"] == "held" and body, 60, "the verdict")
    assert "kills-worker" in json.dumps(told)
    applied = {entry["request_id"]: entry["applied"] for entry in journal(testbed)}
    assert {id: applied.get(id) for id in innocent} == dict.fromkeys(innocent, 1)
    assert guilty not in applied
    with client(testbed) as http:  # and the bridge is as good as new
        headers = {"Idempotency-Key": "afterwards", "Prefer": "wait=10"}
        assert http.post("/v1/work-order", json=work_order(), headers=headers).status_code == 200
    assert testbed.running("bridge")
    log = (testbed.logs / "bridge.log").read_text()
    assert log.count("CRASH-POINT-REACHED") == 3
    assert log.count("poison-command-held") == 1


def test_a_message_that_kills_while_it_is_opened_is_quarantined(testbed: Testbed) -> None:
    testbed.stop("bridge")
    ids = submitted(testbed)
    guilty = ids[5]
    testbed.environment["bridge"] = {ARM: f"bridge.opened:id={guilty}"}
    for _ in range(3):
        dies(testbed, "bridge")
    testbed.start("bridge")
    all_succeed(testbed, [id for id in ids if id != guilty])
    queue = "bridge.command.main"
    eventually(lambda: dead_letters(testbed, queue) >= 1, 60, "the dead letter")
    # the front sends it again: known by now, however it arrives
    eventually(lambda: dead_letters(testbed, queue) >= 2, 60, "the next dead letter")
    assert {headers["reason"] for headers, _ in browsed(testbed, f"DLQ.{queue}")} == {"kills-worker"}
    assert testbed.running("bridge")
    assert (testbed.logs / "bridge.log").read_text().count("CRASH-POINT-REACHED") == 3
    assert status(testbed, guilty)["status"] == "sent"
    assert {entry["request_id"]: entry["applied"] for entry in journal(testbed)} == {
        id: 1 for id in ids if id != guilty
    }  # fmt: skip


def test_a_reply_that_kills_the_front_is_quarantined(testbed: Testbed) -> None:
    testbed.stop("bridge")
    ids = submitted(testbed)
    guilty = ids[2]
    testbed.kill("front")
    testbed.start("bridge")
    testbed.environment["front"] = {ARM: f"front.reply-opened:id={guilty}"}
    for _ in range(3):
        dies(testbed, "front")
    testbed.start("front")
    all_succeed(testbed, [id for id in ids if id != guilty])
    queue = "bridge.reply.command.front-1"
    eventually(lambda: dead_letters(testbed, queue) >= 2, 60, "dead letters, of what is sent again too")
    assert {headers["reason"] for headers, _ in browsed(testbed, f"DLQ.{queue}")} == {"kills-worker"}
    assert testbed.running("front")
    assert (testbed.logs / "front.log").read_text().count("CRASH-POINT-REACHED") == 3
    assert status(testbed, guilty)["status"] == "sent"
    assert {entry["request_id"]: entry["applied"] for entry in journal(testbed)} == dict.fromkeys(ids, 1)


def test_a_query_that_kills_ends_with_its_deadline(testbed: Testbed) -> None:
    """Queries are counted by nobody: they live a few seconds, so what kills dies out by itself."""

    def begun() -> int:
        return (testbed.logs / "bridge.log").read_text().count('"ready"')

    before = begun()
    testbed.kill("bridge")
    testbed.environment["bridge"] = {ARM: "bridge.query-opened"}
    testbed.start("bridge")
    eventually(lambda: begun() > before, 60, "the bridge")
    with client(testbed) as http:

        def asked_to_death() -> float | None:
            """When it was asked last before the bridge's death. What is asked before the front has heard of the
            new bridge goes nowhere."""
            asked = time.monotonic()
            answer = http.post("/v1/arrears-query", json={"account": ACCOUNT}, headers={"Prefer": "wait=2"})
            assert answer.status_code in (502, 504), answer.text
            return None if testbed.running("bridge") else asked

        asked = eventually(asked_to_death, 60, "the bridge's death")
        time.sleep(max(0.0, asked + 2 - time.monotonic()))
        testbed.start("bridge")  # still armed: a query that came again would kill it
        headers = {"Idempotency-Key": "q", "Prefer": "wait=20"}
        accepted = http.post("/v1/work-order", json=work_order(), headers=headers)
        eventually(lambda: status(testbed, accepted.json()["request_id"])["status"] == "succeeded", 60, "the outcome")
        assert testbed.running("bridge")

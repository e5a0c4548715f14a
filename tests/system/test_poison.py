"""Poisoned messages, sent by somebody who holds a front's certificate but no keys: each is set aside with its
reason, and none stops the queue. More are sent than the bridge may hold unacknowledged at once.
"""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import pytest

from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.testbed import Testbed
from tests.support.stomp import connected, put
from tests.support.testbeds import ACCOUNT, client, eventually, running_testbed, work_order

MANY = 70  # the shipped prefetch is 64


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    with running_testbed(tmp_path_factory.mktemp("poison")) as testbed:
        yield testbed


@pytest.mark.parametrize("lane", ["query", "command"])
@pytest.mark.parametrize(
    "body",
    [b"", b"junk", b"\xd7\x01\x01" + (4).to_bytes(4, "big") + b"junk", b"\xd7\x09\x01junk", os.urandom(1_048_000)],
    ids=["empty", "no-frame", "no-envelope", "unknown-version", "as-long-as-can-be"],
)
def test_it_is_set_aside_and_the_queue_goes_on(testbed: Testbed, lane: str, body: bytes) -> None:
    def dead() -> int:
        rows = {row["name"]: row for row in json.loads(testbed.ctl("queues", "--json"))}
        count: int = rows[f"bridge.{lane}.main"]["dead_letters"]
        return count

    before = dead()
    stomp = connected(testbed, "front")
    many = MANY if len(body) < 1_000 else 3  # what the broker holds in memory is bounded too
    for number in range(many):
        stomp.send("SEND", body, destination=f"/queue/bridge.{lane}.main", persistent="true", receipt=str(number))
        answer = stomp.receive()
        assert answer is not None
        assert answer[0] == "RECEIPT", answer
    with client(testbed) as http:
        headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=10"}
        assert http.post("/v1/work-order", json=work_order(), headers=headers).status_code == 200
        assert http.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 200
    eventually(lambda: dead() == before + many, what="every dead letter")


def forged(testbed: Testbed, count: int, **said: object) -> list[bytes]:
    """Frames that a front which was taken over makes with its keys, with these attributes."""
    changes = [f"{name}={value}" for name, value in said.items()]
    command = [sys.executable, "-m", "tests.unit.hostile", str(testbed.folder / "keys"), str(count), *changes]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    return [bytes.fromhex(line) for line in found.stdout.split()]


def test_signed_with_a_deadline_beyond_all_time_it_stops_no_honest_order_and_no_reply(testbed: Testbed) -> None:
    log = testbed.logs / "bridge.log"
    connections = log.read_text(encoding="utf-8").count("link-connected")
    put(testbed, "front", "bridge.command.main", *forged(testbed, 71, deadline=10**25), persistent="true")
    reply_to = "/queue/bridge.reply.query.front-1"
    for deadline in (10**25, 2**63 - 1, time.time_ns() // 1_000_000 + 86_400_000):
        frames = forged(testbed, 1, type="arrears-query", deadline=deadline, reply_to=reply_to)
        put(testbed, "front", "bridge.query.main", *frames)
    with client(testbed) as http:
        for _ in range(3):
            headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=10"}
            assert http.post("/v1/work-order", json=work_order(), headers=headers).status_code == 200
            assert http.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 200
    eventually(lambda: log.read_text(encoding="utf-8").count("out-of-range") >= 74, what="every one in the log")
    assert log.read_text(encoding="utf-8").count("link-connected") == connections

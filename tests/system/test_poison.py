"""Poisoned messages, sent by somebody who holds a front's certificate but no keys: each is set aside with its
reason, and none stops the queue. More are sent than the bridge may hold unacknowledged at once.
"""

import base64
import json
import os
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.testbed import Testbed
from tests.support.stomp import connected, put
from tests.support.testbeds import (
    ACCOUNT,
    bridgectl,
    client,
    ctl,
    eventually,
    journal,
    running_testbed,
    work_order,
)  # fmt: skip

MANY = 70  # the shipped prefetch is 64


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    with running_testbed(tmp_path_factory.mktemp("poison")) as testbed:
        yield testbed


def dead(testbed: Testbed, *lanes: str) -> int:
    """How many dead letters these lanes have."""
    rows = {row["name"]: row for row in json.loads(testbed.ctl("queues", "--json"))}
    return sum(int(rows[f"bridge.{lane}.main"]["dead_letters"]) for lane in lanes)


@pytest.mark.parametrize("lane", ["query", "command"])
@pytest.mark.parametrize(
    "body",
    [b"", b"junk", b"\xd7\x01\x01" + (4).to_bytes(4, "big") + b"junk", b"\xd7\x09\x01junk", os.urandom(1_048_000)],
    ids=["empty", "no-frame", "no-envelope", "unknown-version", "as-long-as-can-be"],
)
def test_it_is_set_aside_and_the_queue_goes_on(testbed: Testbed, lane: str, body: bytes) -> None:
    before = dead(testbed, lane)
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
    eventually(lambda: dead(testbed, lane) == before + many, what="every dead letter")


def forged(testbed: Testbed, count: int, **said: object) -> list[bytes]:
    """Frames that a front which was taken over makes with its keys, with these attributes."""
    changes = [f"{name}={value}" for name, value in said.items()]
    command = [sys.executable, "-m", "tests.unit.hostile", str(testbed.folder / "keys"), str(count), *changes]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    return [bytes.fromhex(line) for line in found.stdout.split()]


def test_signed_with_a_deadline_beyond_all_time_it_stops_no_honest_order_and_no_reply(testbed: Testbed) -> None:
    log = testbed.logs / "bridge.log"
    connections = log.read_text(encoding="utf-8").count("link-connected")
    before = dead(testbed, "query", "command")
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
    eventually(lambda: dead(testbed, "query", "command") == before + 74, what="every dead letter")
    assert "out-of-range" in log.read_text(encoding="utf-8")  # said once, and once a minute with its count
    assert log.read_text(encoding="utf-8").count("link-connected") == connections


def dlq(testbed: Testbed, *words: str) -> "subprocess.CompletedProcess[str]":
    """`bridgectl dlq` with an operator's certificate."""
    control = testbed.config / "bridgectl.toml"
    operator = control.with_name("operator.toml")
    operator.write_text(control.read_text().replace("monitor.", "operator."))
    return bridgectl(operator, "dlq", *words)


def test_dead_letters_are_read_sent_again_and_taken_away(testbed: Testbed, tmp_path: Path) -> None:
    assert dlq(testbed, "purge", "--all", "--note", "of the tests before", "--yes").returncode == 0
    assert json.loads(dlq(testbed, "list", "--json").stdout) == []
    with client(testbed) as http:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        done = http.post("/v1/work-order", json=work_order(), headers=headers).json()["request_id"]
    [known] = forged(testbed, 1, id=done)  # its outcome is in the inbox: it is answered from there
    put(testbed, "operator", "DLQ.bridge.command.main", known, reason="kills-worker", persistent="true")
    put(testbed, "front", "bridge.command.main", b"junk", persistent="true")
    found = eventually(
        lambda: len(rows := json.loads(dlq(testbed, "list", "--json").stdout)) == 2 and rows, what="both letters"
    )
    by_reason = {row["reason"]: row for row in found}
    letter = by_reason["kills-worker"]
    assert (letter["requests"], letter["operations"], letter["now"]) == ([done], ["work-order"], ["succeeded"])
    assert "digest" in by_reason["malformed"]["hopeless"]
    shown = dlq(testbed, "show", done)
    assert "kills-worker" in shown.stdout
    assert "家里没电了" not in shown.stdout + shown.stderr

    file = tmp_path / "letters.jsonl"
    assert dlq(testbed, "export", "--all", "-o", str(file)).returncode == 0
    sealed = {line["reason"]: line for line in map(json.loads, file.read_text().splitlines())}
    assert base64.b64decode(sealed["kills-worker"]["body"]) == known
    assert "opened" not in sealed["kills-worker"]
    assert dlq(testbed, "export", done, "--reveal", "-o", str(file)).returncode == 2  # why is wanted
    revealed = dlq(testbed, "export", done, "--reveal", "--note", "what killed it?", "-o", str(file), "--force")
    assert "1 of 1 requests and replies" in revealed.stdout, revealed.stderr
    [opened] = json.loads(file.read_text())["opened"]
    assert (opened["request"], opened["because"], "payload" in opened) == (done, "", True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "what killed it?" in (testbed.logs / "bridge.log").read_text(encoding="utf-8")

    dry = dlq(testbed, "redrive", "--all", "--note", "mended")
    assert "--yes does it" in dry.stdout
    assert "purging is safe" in dry.stdout
    assert len(json.loads(dlq(testbed, "list", "--json").stdout)) == 2
    again = dlq(testbed, "redrive", done, "--note", "mended", "--yes", "--json")
    assert (json.loads(again.stdout)["done"], again.returncode) == (1, 0), again.stderr
    assert {entry["request_id"]: entry["applied"] for entry in journal(testbed)}[done] == 1
    hopeless = dlq(testbed, "redrive", "--all", "--note", "n", "--yes")
    assert (hopeless.returncode, "only a digest was kept" in hopeless.stderr) == (1, True)
    assert "1 of 1" in dlq(testbed, "purge", "--all", "--reason", "malformed", "--note", "noise", "--yes").stdout
    assert json.loads(dlq(testbed, "list", "--json").stdout) == []
    for program in ("front", "bridge"):
        text = (testbed.logs / f"{program}.log").read_text(encoding="utf-8")
        assert text.count("dlq-redrive") == 1, program
        assert "mended" in text
    monitor = ctl(testbed, "dlq", "list", "--queue", "bridge.command.main", "--timeout", "2")
    assert (monitor.returncode, "operator's certificate" in monitor.stderr) == (1, True)

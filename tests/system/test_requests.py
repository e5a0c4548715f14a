"""`bridgectl requests`: held commands are found, looked at and decided on the bridge's host, and callers are told.

Real programs. The rows are made `held` in the stopped bridge's inbox, as the bridge holds what it cannot decide itself.
"""

import json
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import (
    ACCOUNTS,
    FINAL,
    LOOPBACK,
    client,
    ctl,
    eventually,
    journal,
    running_testbed,
    work_order,
)

SETTINGS: dict[str, dict[str, Any]] = {
    "dmz_front": {"link.reconnect_max_s": 1},
    "intranet_bridge": {
        "link.reconnect_max_s": 1,
        "commands.sweep_s": 0.5,
        "operations.work-order.settle_s": 1.0,
        "commands.unreadable_max": 1,
    },
}
DIRECTIONS = ("applied", "not-applied", "call-again", "ask-again")
RESULT = {"work_order": "WO2026000099", "accepted_at": "2026-03-01T08:00:00+08:00"}


@pytest.fixture
def testbed(tmp_path: Path) -> Iterator[Testbed]:
    with running_testbed(tmp_path / "testbed", settings=SETTINGS) as testbed:
        yield testbed


def requests(testbed: Testbed, *words: str) -> "subprocess.CompletedProcess[str]":
    return ctl(testbed, "requests", *words, SUDO_USER="")


def held(testbed: Testbed, http: httpx.Client, count: int) -> list[str]:
    """Orders whose call never ended; the marketing system applied none."""
    plan = {"hang": True, "paths": ["/api/wo/create"]}
    url = f"{testbed.marketing_url}/faults"
    httpx.put(url, json=plan, **LOOPBACK).raise_for_status()
    ids = [ordered(http, number) for number in range(count)]
    file = testbed.folder / "data" / "bridge.sqlite3"

    def calling() -> bool:
        with closing(sqlite3.connect(file, timeout=10)) as database:
            return len(database.execute("select id from inbox where state = 'calling'").fetchall()) == count

    eventually(calling, what="calls")
    testbed.kill("bridge")
    httpx.delete(url, **LOOPBACK).raise_for_status()
    with closing(sqlite3.connect(file, timeout=10)) as database, database:
        database.execute(
            "update inbox set state = 'held', code = 'held', note = 'its outcome is unknown' where state = 'calling'"
        )
    testbed.start("bridge")
    return ids


@pytest.mark.timeout(240)
def test_each_decision_reaches_its_caller(testbed: Testbed) -> None:
    with client(testbed) as http:
        ids = dict(zip(DIRECTIONS, held(testbed, http, len(DIRECTIONS)), strict=True))
        eventually(lambda: requests(testbed, "list").returncode == 0, what="the bridge's answer")
        listed = json.loads(requests(testbed, "list", "--json").stdout)
        assert {row["id"] for row in listed} == set(ids.values())
        assert ACCOUNTS[0] not in requests(testbed, "list").stdout

        one = ids["applied"]
        shown = requests(testbed, "show", one).stdout
        assert "家里没电了" not in shown
        assert "it is not there" in shown  # the marketing system was asked
        assert "家里没电了" in requests(testbed, "show", one, "--show").stdout
        assert "家里没电了" in ctl(testbed, "trace", one, "--reveal").stdout

        result = ["--result", json.dumps(RESULT)]
        for direction, id in ids.items():
            more = result if direction == "applied" else []
            done = requests(testbed, "resolve", id, f"--{direction}", *more, "--note", "asked the marketing people")
            assert done.returncode == 0, done.stderr

        def told() -> dict[str, Any] | None:
            found = {direction: http.get(f"/v1/requests/{id}").json() for direction, id in ids.items()}
            final = {"succeeded", "failed"}
            return found if {one["status"] for one in found.values()} <= final else None

        said = eventually(told, 30, "what the callers are told")
        assert (said["applied"]["status"], said["applied"]["result"]) == ("succeeded", RESULT)
        assert said["not-applied"]["status"] == "failed"
        assert said["not-applied"]["failure"]["code"] == "not-applied"
        assert "operator" in said["not-applied"]["failure"]["message"]
        called = {ids[direction] for direction in ("call-again", "ask-again")}  # the latter found nothing, and called
        assert {said["call-again"]["status"], said["ask-again"]["status"]} == {"succeeded"}
        assert {entry["request_id"]: entry["applied"] for entry in journal(testbed)} == dict.fromkeys(called, 1)

        decided = json.loads(requests(testbed, "show", one, "--json").stdout)["decisions"]
        assert [(each["choice"], each["note"]) for each in decided] == [("applied", "asked the marketing people")]
        again = requests(testbed, "resolve", one, "--not-applied", "--note", "no")
        assert (again.returncode, "succeeded, not held" in again.stderr) == (1, True)
        assert json.loads(requests(testbed, "list", "--json").stdout) == []
        at_the_front(testbed, http)


def at_the_front(testbed: Testbed, http: httpx.Client) -> None:
    """A held command is decided, and a waiting one taken back, on the other host."""
    url = f"{testbed.marketing_url}/faults"
    httpx.put(url, json={"mix_up": True, "paths": ["/api/wo/create"]}, **LOOPBACK)
    one = ordered(http, 4)
    eventually(lambda: http.get(f"/v1/requests/{one}").json()["status"] == "held", what="its being held")
    done = requests(testbed, "resolve", one, "--applied", "--note", "seen there", "--side", "front", "--wait", "30")
    assert (done.returncode, f"{one} is succeeded" in done.stdout) == (0, True), done.stderr
    eventually(lambda: http.get(f"/v1/requests/{one}").json()["status"] == "succeeded", what="the caller's status")
    [decided] = json.loads(requests(testbed, "show", one, "--side", "bridge", "--json").stdout)["decisions"]
    assert decided["by"].endswith(" at front-1")

    testbed.kill("marketing")
    two = ordered(http, 5)

    def taken_back() -> bool:  # it is refused at the instant of a call
        return requests(testbed, "cancel", two, "--note", "twice", "--side", "front", "--wait", "30").returncode == 0

    eventually(taken_back, what="its being taken back")
    testbed.start("marketing")
    said: dict[str, Any] = eventually(lambda: final(http, two), what="its status")
    assert (said["status"], said["failure"]["code"]) == ("failed", "cancelled")
    assert two not in {entry["request_id"] for entry in journal(testbed)}


def ordered(http: httpx.Client, number: int) -> str:
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"}
    answer = http.post("/v1/work-order", json=work_order(account=ACCOUNTS[number]), headers=headers)
    return str(answer.json()["request_id"])


def final(http: httpx.Client, id: str) -> dict[str, Any] | None:
    said: dict[str, Any] = http.get(f"/v1/requests/{id}").json()
    return said if said["status"] in FINAL else None

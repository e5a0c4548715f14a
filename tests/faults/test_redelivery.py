"""The very messages that crossed are put on the queues again, by whom the broker allows it: nothing changes.

Captured as an administrator sees them (browsing), replayed with the sender's own certificate: before the first copy
was taken, after its outcome is known, and when the bridge has long forgotten it.
"""

import contextlib
import json
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.testbed import Testbed
from tests.support.stomp import browsed, put
from tests.support.testbeds import ACCOUNT, LOOPBACK, client, eventually, journal, running_testbed, work_order

SETTINGS = {
    "dmz_front": {"delivery.presence_ttl_s": 20, "link.reconnect_max_s": 0.5},
    "intranet_bridge": {
        "presence_interval_s": 0.3, "link.reconnect_max_s": 0.5, "commands.sweep_s": 0.5,
        "operations.work-order.settle_s": 0.2,
    },
}  # fmt: skip
COMMANDS, QUERIES, REPLIES = "bridge.command.main", "bridge.query.main", "bridge.reply.command.front-1"
FORTY_DAYS_MS = 40 * 24 * 3_600_000


@pytest.fixture
def testbed(tmp_path: Path) -> Iterator[Testbed]:
    with running_testbed(tmp_path / "testbed", settings=SETTINGS) as testbed:
        yield testbed


def submit(http: httpx.Client, content: str) -> str:
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"}
    answer = http.post("/v1/work-order", json=work_order(content), headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["request_id"])


def rows(testbed: Testbed, part: str, columns: str) -> list[tuple[Any, ...]]:
    table = {"front": "requests", "bridge": "inbox"}[part]
    with contextlib.closing(sqlite3.connect(testbed.folder / "data" / f"{part}.sqlite3", timeout=10)) as database:
        return list(database.execute(f"select {columns} from {table} order by id"))


def ledger(testbed: Testbed) -> list[tuple[Any, ...]]:
    return rows(testbed, "front", "id, state, code, reply, envelope, sends, updated_at")


def inbox(testbed: Testbed) -> list[tuple[Any, ...]]:
    return rows(testbed, "bridge", "id, state, code, reply, envelope, attempts, sequence, received_at")


def emptied(testbed: Testbed, *queues: str) -> bool:
    now = {row["name"]: row for row in json.loads(testbed.ctl("queues", "--json"))}
    return all(now[queue]["depth"] == 0 and now[queue]["in_flight"] == 0 for queue in queues)


def test_commands_and_replies_sent_again_change_nothing(testbed: Testbed, tmp_path: Path) -> None:
    testbed.stop("bridge")
    with client(testbed) as http:
        ids = {submit(http, f"第{number}单") for number in range(6)}
        eventually(lambda: {row[1] for row in ledger(testbed)} == {"sent"}, what="the broker to have them all")
    requests = [body for _, body in browsed(testbed, COMMANDS)]
    assert requests
    put(testbed, "front", COMMANDS, *requests * 3, persistent="true")  # four of each, before any is taken

    testbed.kill("front")
    testbed.start("bridge")
    eventually(lambda: {row[0] for row in rows(testbed, "bridge", "state")} == {"succeeded"}, 60, "every outcome")
    eventually(lambda: all(row[0] for row in rows(testbed, "bridge", "replied_at")), 60, "every reply")
    eventually(lambda: emptied(testbed, COMMANDS), 60, "every copy to be taken")
    applied = {entry["request_id"]: entry["applied"] for entry in journal(testbed)}
    assert applied == dict.fromkeys(ids, 1)

    replies = [body for _, body in browsed(testbed, REPLIES)]
    assert replies
    put(testbed, "bridge", REPLIES, *replies * 2, persistent="true")
    testbed.start("front")
    eventually(lambda: {row[1] for row in ledger(testbed)} == {"succeeded"}, 60, "the callers' answers")
    eventually(lambda: emptied(testbed, REPLIES), 60, "every reply to be taken")
    told, known = ledger(testbed), inbox(testbed)

    # all once more, now that everything is final
    put(testbed, "front", COMMANDS, *requests * 2, persistent="true")
    put(testbed, "bridge", REPLIES, *replies * 2, persistent="true")
    eventually(lambda: emptied(testbed, COMMANDS, REPLIES), 60, "every copy to be taken")
    assert (ledger(testbed), inbox(testbed)) == (told, known)
    assert {entry["request_id"]: entry["applied"] for entry in journal(testbed)} == applied

    # and when the bridge has long forgotten that it ever knew them: too old to be opened at all
    testbed.stop("front", "bridge")
    for name in ("protocol", "intranet_bridge"):
        shutil.copytree(ROOT / name, tmp_path / "later" / name)
    clock = tmp_path / "later" / "protocol" / "runtime" / "clock.py"
    text = clock.read_text()
    assert text.count("// 1_000_000") == 1
    clock.write_text(text.replace("// 1_000_000", f"// 1_000_000 + {FORTY_DAYS_MS}"))
    hourly, jobs = tmp_path / "later" / "intranet_bridge" / "housekeeping.py", 'every(3600.0, "forget"'
    text = hourly.read_text()
    assert text.count(jobs) == 1
    hourly.write_text(text.replace(jobs, 'every(1.0, "forget"'))
    testbed.environment["bridge"] = {"PYTHONPATH": str(tmp_path / "later")}
    testbed.start("bridge")
    eventually(lambda: not inbox(testbed), 60, "the rows to be forgotten")
    put(testbed, "front", COMMANDS, *requests, persistent="true")
    letters = eventually(
        lambda: len(found := browsed(testbed, f"DLQ.{COMMANDS}")) == len(ids) and found, 30, "the dead letters"
    )
    assert {headers["reason"] for headers, _ in letters} == {"stale"}
    assert not inbox(testbed)
    assert {entry["request_id"]: entry["applied"] for entry in journal(testbed)} == applied


def test_a_query_sent_again_is_asked_once(testbed: Testbed) -> None:
    plan = {"latency_ms": 1, "paths": ["/api/arrears"]}
    httpx.put(f"{testbed.marketing_url}/faults", json=plan, **LOOPBACK).raise_for_status()
    testbed.kill("bridge")  # the front counts on it for a while
    answers: list[httpx.Response] = []

    def ask() -> None:
        with client(testbed) as http:
            answers.append(http.post("/v1/arrears-query", json={"account": ACCOUNT}, headers={"Prefer": "wait=20"}))

    thread = threading.Thread(target=ask)
    thread.start()
    (captured,) = eventually(lambda: browsed(testbed, QUERIES), 60, "the query")
    put(testbed, "front", QUERIES, captured[1], captured[1], expires=captured[0]["expires"])
    testbed.start("bridge")
    thread.join(40)
    assert [answer.status_code for answer in answers] == [200], [answer.text for answer in answers]
    eventually(lambda: emptied(testbed, QUERIES), 60, "every copy to be taken")
    put(testbed, "front", QUERIES, captured[1], expires=captured[0]["expires"])
    eventually(lambda: emptied(testbed, QUERIES), 60, "that one too")
    assert httpx.get(f"{testbed.marketing_url}/faults", **LOOPBACK).json()["hits"] == 1

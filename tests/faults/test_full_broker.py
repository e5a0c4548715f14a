"""A broker that is full, whose disk is full, that cannot write, or that is slow: nothing hangs, commands are kept or
refused as configured, and when it is well again everything drains, each command done exactly once.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.processes import TestbedError
from scripts.tools.testbed.testbed import Testbed
from tests.support.proxy import Proxy
from tests.support.testbeds import (
    ACCOUNT,
    LOOPBACK,
    client,
    done_as_told,
    eventually,
    journal,
    running_testbed,
    status,
    work_order,
)  # fmt: skip

QUICK: dict[str, dict[str, Any]] = {
    "dmz_front": {
        "delivery.resend_after_s": 3,
        "delivery.sweep_s": 0.5,
        "delivery.presence_ttl_s": 3,
        "link.receipt_timeout_s": 3,
        "link.heartbeat_ms": 1000,
        "link.reconnect_max_s": 0.5,
    },
    "intranet_bridge": {"presence_interval_s": 0.5, "link.heartbeat_ms": 1000, "link.reconnect_max_s": 0.5},
}
BROKER = [sys.executable, str(ROOT / "scripts" / "broker")]


def with_front(**changes: object) -> dict[str, dict[str, Any]]:
    return {**QUICK, "dmz_front": QUICK["dmz_front"] | changes}


JOURNAL, STORE = 'journalMaxFileLength="32 mb"', 'storeUsage limit="${dmz.store:4 gb}"'


def configuration(folder: Path, **changes: str) -> Path:
    """A copy of the broker's configuration with other values of some attributes, each named with what it has."""
    shutil.copytree(ROOT / "activemq", folder)
    file = folder / "activemq.xml"
    text = file.read_text()
    for old, new in {JOURNAL: "128 kb", **changes}.items():
        assert text.count(old) == 1
        text = text.replace(old, f'{old.partition("=")[0]}="{new}"')
    file.write_text(text)
    return folder


def order(http: httpx.Client, number: int = 0) -> httpx.Response:
    """One work order that does not wait for its outcome; fails the test, by the client's patience, if it hangs."""
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"}
    account = f"32100000000{number % 4 + 1:02}"
    return http.post("/v1/work-order", json=work_order("长" * 300, account=account), headers=headers)


def reading(testbed: Testbed, name: str) -> float:
    lines = httpx.get(testbed.metrics_url, **LOOPBACK).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def told(testbed: Testbed) -> dict[str, set[str]]:
    """What `bridgectl status` tells, each with its consequences."""
    return {one["key"]: {under["key"] for under in one["consequences"]} for one in status(testbed)[1]}


def works(http: httpx.Client) -> bool:
    return http.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 200


def exactly_once(testbed: Testbed, http: httpx.Client, ids: list[str], seconds: float = 120) -> None:
    """All are done, once, their callers are told so, and nothing else was done."""
    eventually(lambda: reading(testbed, "dmz_front_backlog") == 0, seconds, "the drain")
    left = set(ids)

    def all_succeeded() -> bool:
        left.difference_update({id for id in left if http.get(f"/v1/requests/{id}").json()["status"] == "succeeded"})
        return not left

    eventually(all_succeeded, what="every outcome")
    assert {entry["request_id"]: entry["applied"] for entry in journal(testbed)} == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("rule", ["keep", pytest.param("refuse", marks=pytest.mark.rare)])
def test_a_full_store(tmp_path: Path, rule: str) -> None:
    conf = configuration(tmp_path / "conf", **{STORE: "1 mb"})
    settings = with_front(**{"delivery.when_broker_refuses": rule})
    ids: list[str] = []
    with running_testbed(tmp_path / "testbed", settings=settings, broker_conf=conf) as testbed, client(testbed) as http:
        testbed.stop("bridge")

        def fill() -> bool:
            for number in range(50):
                answer = order(http, number)
                if answer.status_code == 202:
                    ids.append(answer.json()["request_id"])
                else:
                    assert (answer.status_code, answer.json()["code"]) == (503, "broker-refused")
                    assert int(answer.headers["retry-after"]) > 0
                    return True
            return reading(testbed, "dmz_front_outbox_failures_total") > 0

        eventually(fill, 90, "the broker's refusal")
        all_of_it = {"bridge-down": {"broker-full", "no-bridge", "queue-not-consumed"}}
        eventually(lambda: told(testbed) == all_of_it, what="why, with what follows from it")
        sent = reading(testbed, 'dmz_front_requests{state="sent"}')
        assert sent < len(ids)  # some are on the broker, and some in the ledger alone
        if rule == "keep":
            for number in range(50):
                answer = order(http, number)
                assert answer.status_code == 202
                ids.append(answer.json()["request_id"])
        done_as_told(testbed, status(testbed)[1][0], "systemctl restart intranet-bridge")
        eventually(lambda: works(http), what="a query while the store is still full")
        exactly_once(testbed, http, ids, 180)
        assert order(http).status_code == 202


@contextlib.contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[None]:
    """A file system of its own at `directory`; skips the test where that cannot be had."""
    directory.mkdir(parents=True)
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(directory)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {made.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def filled(directory: Path) -> Path:
    """Take all the room that is left."""
    junk = directory / "junk"
    with contextlib.suppress(OSError), junk.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 65536)
    with contextlib.suppress(OSError), junk.open("ab", buffering=0) as file:
        while True:
            file.write(b"x" * 512)
    return junk


def revived(testbed: Testbed) -> bool:
    """What systemd does for a broker that ended (activemq/README.md, Restart=always)."""
    if not testbed.running("broker"):
        testbed.pids.pop("broker", None)
        with contextlib.suppress(TestbedError):
            testbed.start("broker")
    return testbed.running("broker")


def test_a_full_disk(tmp_path: Path) -> None:
    """Other files take the broker's disk. It stops, starts again until there is room, and leaves out what was torn."""
    conf = configuration(tmp_path / "conf", **{JOURNAL: "1 mb"})
    data = tmp_path / "testbed" / "broker" / "data"
    ids: list[str] = []
    with (
        small_disk(data, 24),
        running_testbed(tmp_path / "testbed", settings=QUICK, broker_conf=conf) as testbed,
        client(testbed) as http,
    ):
        assert works(http)
        junk = filled(data)

        def troubled() -> bool:
            for number in range(100):
                answer = order(http, number)
                assert answer.status_code == 202
                ids.append(answer.json()["request_id"])
            return reading(testbed, "dmz_front_outbox_failures_total") > 0

        eventually(troubled, 90, "the broker's trouble")
        # whatever it says, it says it
        http.post("/v1/arrears-query", json={"account": ACCOUNT}, headers={"Prefer": "wait=2"})
        time.sleep(3)  # long enough for some attempts to start on a full disk
        junk.unlink()
        eventually(lambda: revived(testbed) and works(http), 90, "the broker's return")
        exactly_once(testbed, http, ids, 180)


def test_a_disk_that_became_read_only(tmp_path: Path) -> None:
    """As after an error of the device: the broker cannot be started; when it can, it has all it had."""
    data = tmp_path / "testbed" / "broker" / "data"
    instance = ["--instance", str(data.parent)]
    with (
        small_disk(data, 128),
        running_testbed(tmp_path / "testbed", settings=QUICK) as testbed,
        client(testbed) as http,
    ):
        testbed.stop("bridge")
        ids = [order(http, number).json()["request_id"] for number in range(20)]
        eventually(lambda: reading(testbed, "dmz_front_outbox_in_flight") == 0, what="all on the broker's disk")
        testbed.stop("broker")
        subprocess.run(["mount", "-o", "remount,ro", str(data)], check=True)
        start = [*BROKER, "start", *instance, "--certs", str(testbed.certs), "--port", str(testbed.ports.broker)]
        hopeless = subprocess.run(start, capture_output=True, text=True, check=False)
        assert hopeless.returncode != 0
        assert "read-only" in hopeless.stderr
        ids += [order(http, number).json()["request_id"] for number in range(20)]  # kept
        refused = http.post("/v1/arrears-query", json={"account": ACCOUNT})
        assert refused.status_code in (502, 503)
        subprocess.run(["mount", "-o", "remount,rw", str(data)], check=True)
        testbed.start("broker", "bridge")
        eventually(lambda: works(http), 60, "queries to work again")
        exactly_once(testbed, http, ids)


class Between:
    """A proxy between the front and the broker, on a thread and a loop of its own."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.proxy = Proxy("localhost", port)
        asyncio.run_coroutine_threadsafe(self.proxy.start(), self._loop).result(10)

    def do(self, what: str) -> None:
        self._loop.call_soon_threadsafe(getattr(self.proxy, what))

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.proxy.close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def test_a_broker_that_stands_still(tmp_path: Path) -> None:
    """It takes bytes and says nothing, for longer than heart-beats and receipts have patience."""
    testbed = Testbed(tmp_path / "testbed", customers=200)
    testbed.ports = testbed.ports.chosen()
    between = Between(testbed.ports.broker)
    testbed.settings = with_front(**{"link.brokers": [f"localhost:{between.proxy.port}"]})
    try:
        testbed.set_up()
        testbed.start()
        with client(testbed) as http:
            ids = [order(http, number).json()["request_id"] for number in range(20)]
            between.do("stall")
            for number in range(20):
                answer = order(http, number)
                assert answer.status_code == 202
                ids.append(answer.json()["request_id"])
            answer = http.post("/v1/arrears-query", json={"account": ACCOUNT}, headers={"Prefer": "wait=2"})
            assert answer.status_code in (502, 503, 504)
            eventually(lambda: reading(testbed, "dmz_front_link_connected") == 0, what="the front's notice")
            between.do("flow")
            eventually(lambda: works(http), 60, "queries to work again")
            exactly_once(testbed, http, ids)
    finally:
        testbed.stop()
        between.close()

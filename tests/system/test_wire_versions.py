"""A new front with an old bridge, and the other way round, by the wire version rule: what is sent, every bridge that
may take it can read. "Old" is the program told to speak the version before the latest and, where git has it, the first
release itself, which speaks version 1.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.layout import ROOT, kind_of
from scripts.tools.testbed.testbed import Testbed
from scripts.tools.testbed.toml_values import with_values
from tests.support.testbeds import ACCOUNT, LOOPBACK, client, eventually, journal, work_order

QUICK: dict[str, dict[str, Any]] = {
    "dmz_front": {"delivery.resend_after_s": 3, "delivery.sweep_s": 0.5},
    "intranet_bridge": {"presence_interval_s": 0.5, "operations.work-order.settle_s": 1.0},
}
CONFIGURATION = {"front": "dmz_front", "bridge": "intranet_bridge"}


@dataclass
class Mixed(Testbed):
    """A testbed one part of which is of another release."""

    old: str = ""
    """`front` or `bridge`."""
    old_root: Path = ROOT

    def _of(self, part: str) -> Path:
        return self.old_root if kind_of(part) == self.old else ROOT

    def _write_configuration(self, shipped: str, name: str, values: dict[str, Any]) -> None:
        self.root = self._of({"dmz_front": "front", "intranet_bridge": "bridge"}.get(shipped, ""))
        try:
            super()._write_configuration(shipped, name, values)
        finally:
            self.root = ROOT

    def _program(self, daemon: str) -> list[str]:
        self.root = self._of({"dmz-front": "front", "intranet-bridge": "bridge"}[daemon])
        try:
            return super()._program(daemon)
        finally:
            self.root = ROOT

    def _launch(self, part: str, command: list[str], ready: Any) -> None:
        self.root = self._of(part)
        try:
            super()._launch(part, command, ready)
        finally:
            self.root = ROOT

    def speak(self, kind: str, version: int) -> None:
        """Change what a part speaks, from its next start on."""
        file = self.config / f"{CONFIGURATION[kind]}.toml"
        file.write_text(with_values(file.read_text(), {"wire.version_max": version}))


LATEST, BEFORE = 3, 2


@pytest.fixture(params=["told to speak the version before", "first release"])
def old_root(request: pytest.FixtureRequest) -> Path | None:
    """None: the program of today with the setting."""
    if request.param == "first release":
        root: Path = request.getfixturevalue("first_release")
        return root
    return None


@pytest.fixture(params=["front", "bridge"])
def mixed(request: pytest.FixtureRequest, tmp_path: Path, old_root: Path | None) -> Iterator[Mixed]:
    testbed = Mixed(tmp_path / "testbed", customers=200, settings=QUICK, old=request.param, old_root=old_root or ROOT)
    try:
        testbed.set_up()
        if old_root is None:
            testbed.speak(request.param, BEFORE)
        testbed.start()
        yield testbed
    finally:
        testbed.stop()


def order(http: httpx.Client, number: int = 0, prefer: str = "wait=20") -> httpx.Response:
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": prefer}
    return http.post("/v1/work-order", json=work_order(f"第{number}单"), headers=headers)


def dead_letters(testbed: Testbed) -> int:
    return sum(row["dead_letters"] for row in json.loads(testbed.ctl("queues", "--json")))


def spoken(testbed: Testbed) -> int | None:
    """What the front's metrics say it sends; None for one that does not say."""
    lines = httpx.get(testbed.metrics_url, **LOOPBACK).text.splitlines()
    found = [line for line in lines if line.startswith("dmz_front_wire_version ")]
    return int(float(found[0].split()[1])) if found else None


def succeeded(http: httpx.Client, id: str) -> bool:
    return bool(http.get(f"/v1/requests/{id}").json()["status"] == "succeeded")


def test_old_and_new_understand_each_other(mixed: Mixed, old_root: Path | None) -> None:
    with client(mixed) as http:
        assert http.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 200
        assert order(http).json()["status"] == "succeeded"
        ids = [order(http, number, "respond-async").json()["request_id"] for number in range(20)]
        eventually(lambda: all(succeeded(http, id) for id in ids), 60, "every outcome")
        effects = {entry["request_id"]: entry["applied"] for entry in journal(mixed)}
        assert {id: effects[id] for id in ids} == dict.fromkeys(ids, 1)
        if mixed.old == "front":  # one that knows nothing of maintenance takes it for an open circuit
            mixed.ctl("pause", "arrears-query")
            codes = {"operation-paused", "maintenance"}
            eventually(
                lambda: http.post("/v1/arrears-query", json={"account": ACCOUNT}).json().get("code") in codes,
                what="the pause",
            )
    assert spoken(mixed) in (BEFORE if old_root is None else 1, None)
    assert dead_letters(mixed) == 0


def test_the_bridge_is_upgraded_under_load(tmp_path: Path, old_root: Path | None) -> None:
    """Commands accepted before, while and after: each is done once; then the new version is spoken."""
    testbed = Mixed(tmp_path / "testbed", customers=200, settings=QUICK, old="bridge", old_root=old_root or ROOT)
    try:
        testbed.set_up()
        if old_root is None:
            testbed.speak("bridge", BEFORE)
        testbed.start()
        with client(testbed) as http:
            old = BEFORE if old_root is None else 1
            assert spoken(testbed) == old
            ids = [order(http, number, "respond-async").json()["request_id"] for number in range(10)]
            testbed.stop("bridge")
            ids += [order(http, number, "respond-async").json()["request_id"] for number in range(10)]
            assert spoken(testbed) == old  # the last one that was here is remembered
            testbed.old = ""
            if old_root is None:
                testbed.speak("bridge", LATEST)
            else:
                testbed._configure()
            testbed.start("bridge")
            eventually(lambda: spoken(testbed) == LATEST, what="the new version")
            ids += [order(http, number, "respond-async").json()["request_id"] for number in range(10)]
            eventually(lambda: all(succeeded(http, id) for id in ids), 60, "every outcome")
        effects = {entry["request_id"]: entry["applied"] for entry in journal(testbed)}
        assert effects == dict.fromkeys(ids, 1)
        assert dead_letters(testbed) == 0
    finally:
        testbed.stop()


def test_what_a_bridge_cannot_read_is_set_aside_with_its_reason(tmp_path: Path) -> None:
    """A downgrade without draining: the case the documentation warns of. Nothing is lost: the letter is kept."""
    testbed = Mixed(tmp_path / "testbed", customers=200, settings=QUICK)
    try:
        testbed.set_up()
        testbed.start()
        with client(testbed) as http:
            assert order(http).status_code == 200
            eventually(lambda: spoken(testbed) == LATEST, what="the latest version")
            testbed.kill("bridge")
            id = order(http, 1, "respond-async").json()["request_id"]
            testbed.speak("bridge", 1)
            testbed.start("bridge")
            eventually(lambda: dead_letters(testbed) >= 1, what="the dead letter")
            eventually(lambda: spoken(testbed) == 1, what="version 1")
            assert order(http, 2).status_code == 200  # what is sent from now on can be read
            assert http.get(f"/v1/requests/{id}").json()["status"] == "sent"
    finally:
        testbed.stop()

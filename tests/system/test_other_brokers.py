"""The same configuration on the other ActiveMQs: the one an operator already has, and Debian's."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.testbed.layout import ROOT
from tests.support.testbeds import ACCOUNT, client, eventually, journal, running_testbed, work_order


@pytest.mark.parametrize("kind", ["home", "debian"])
def test_the_pair_on_another_broker(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "home":
        homes = sorted((ROOT / "var" / "broker").glob("activemq-*/"))
        if not homes:
            pytest.skip("no ActiveMQ of Maven's here to point ACTIVEMQ_HOME at")
        monkeypatch.setenv("ACTIVEMQ_HOME", str(homes[-1]))
    elif shutil.which("apt-get") is None:
        pytest.skip("Debian's package needs apt-get")
    fetch = [sys.executable, str(ROOT / "scripts" / "broker"), "fetch", "--kind", kind]
    fetched = subprocess.run(fetch, capture_output=True, text=True)
    if fetched.returncode != 0 and kind == "debian" and os.geteuid() != 0:
        pytest.skip(f"Debian's package is not installed, and needs root: {fetched.stderr.strip()}")
    assert fetched.returncode == 0, fetched.stderr
    with running_testbed(tmp_path / "testbed", broker_kind=kind) as testbed, client(testbed) as http:
        assert http.post("/v1/arrears-query", json={"account": ACCOUNT}).json()["status"] == "succeeded"
        headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=10"}
        made = http.post("/v1/work-order", json=work_order(), headers=headers)
        assert made.status_code == 200, made.text
        assert [entry["applied"] for entry in journal(testbed, made.json()["request_id"])] == [1]

        def commands() -> Any:
            return {row["name"]: row for row in json.loads(testbed.ctl("queues", "--json"))}["bridge.command.main"]

        eventually(lambda: commands()["dequeued"] == 1, what="the acknowledgement")
        # what the bridge is not there for waits, and its age is told
        testbed.stop("bridge")
        http.post("/v1/work-order", json=work_order(), headers={"Idempotency-Key": "waits", "Prefer": "respond-async"})
        row = eventually(lambda: (row := commands())["depth"] and row, what="the command on the broker")
        assert row["depth"] == 1
        assert row["oldest_s"] is None or row["oldest_s"] >= 0  # 5.17 does not tell

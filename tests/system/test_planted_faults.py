"""Faults of keys, certificates, clocks, queues and commands are planted in an installation: the first line of
`bridgectl status` names each, and the command it names mends it. Those of processes, databases and disks:
test_status.py.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.fault_campaign.site import CLOCK_SOURCE
from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import ACCOUNT, client, ctl, eventually, journal, running_testbed, status, work_order

FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
needs_faketime = pytest.mark.skipif(FAKETIME is None, reason="moving a clock needs Debian's package `faketime`")
SETTINGS: dict[str, dict[str, Any]] = {
    "dmz_front": {"delivery.presence_ttl_s": 2, "delivery.resend_after_s": 2, "delivery.sweep_s": 0.5},
    "intranet_bridge": {"presence_interval_s": 0.5, "commands.unreadable_max": 1, "commands.sweep_s": 0.5},
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    folder = tmp_path_factory.mktemp("planted")
    operator = {
        f"link.{end}": str(folder / "certs" / f"operator.{ext}")
        for end, ext in (("certificate", "pem"), ("key", "key"))
    }
    with running_testbed(folder, settings={**SETTINGS, "bridgectl": operator}) as testbed:
        yield testbed


@pytest.fixture
def http(own: Testbed) -> Iterator[httpx.Client]:
    with client(own) as one:
        yield one


def alone(testbed: Testbed, key: str) -> dict[str, Any]:
    """The trouble of this kind, when it is the one that is told; all else is folded under it."""

    told: list[dict[str, Any]] = []

    def found() -> bool:
        told[:] = status(testbed)[1]
        return [one["key"] for one in told] == [key]

    with contextlib.suppress(pytest.fail.Exception):
        eventually(found, 30)
    assert [one["key"] for one in told] == [key], json.dumps(told, indent=1, ensure_ascii=False)
    return told[0]


def well(testbed: Testbed) -> None:
    eventually(lambda: status(testbed) == (0, []), what="the mend")


@contextlib.contextmanager
def restored(*files: Path) -> Iterator[None]:
    """Puts the files back as they were."""
    before = {file: file.read_bytes() for file in files}
    try:
        yield
    finally:
        for file, content in before.items():
            file.write_bytes(content)


def restarted(testbed: Testbed, part: str) -> None:
    testbed.stop(part)
    testbed.start(part, wait=False)


def order(http: httpx.Client, content: str = "家里没电了", **headers: str) -> str:
    """The id of an accepted order."""
    asked = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"} | headers
    accepted = http.post("/v1/work-order", json=work_order(content), headers=asked)
    assert accepted.status_code == 202, accepted.text
    return str(accepted.json()["request_id"])


@needs_faketime
def test_a_certificate_that_has_expired(own: Testbed) -> None:
    role = "bridge"
    files = [own.certs / f"{role}.pem", own.certs / f"{role}.key"]
    with restored(*files):
        issue = ["certs", "issue", role, "--name", f"{role}-1", "--dir", str(own.certs), "--days", "1", "--force"]
        assert ctl(own, *issue, LD_PRELOAD=str(FAKETIME), FAKETIME="-40d").returncode == 0
        restarted(own, role)
        trouble = alone(own, "certificate-expired")
        assert (str(files[0]) in trouble["why"], trouble["level"]) == (True, "critical")
        assert trouble["consequences"]
    assert "bridgectl reload" in trouble["mend"]
    assert ctl(own, "reload", role).returncode == 0
    well(own)


def test_a_fronts_certificate_at_the_bridge(own: Testbed) -> None:
    pem, key = own.certs / "bridge.pem", own.certs / "bridge.key"
    with restored(pem, key):
        shutil.copy(own.certs / "front.pem", pem)
        shutil.copy(own.certs / "front.key", key)
        restarted(own, "bridge")  # which does not come up: the broker would let it in and take nothing from a queue
        trouble = alone(own, "certificate-wrong")
        assert "bridge-down" in {one["key"] for one in trouble["consequences"]}
        assert "is the certificate of a front (CN=front-1); here belongs one with OU=bridge" in trouble["why"]
    assert "restart intranet-bridge" in trouble["mend"]
    restarted(own, "bridge")
    well(own)


def test_keys_that_do_not_fit(own: Testbed, http: httpx.Client, tmp_path: Path) -> None:
    keys = own.folder / "keys"
    own_files = [keys / "bridge.keyring", keys / "trusted.json"]
    assert ctl(own, "keys", "init", "--dir", str(tmp_path / "others")).returncode == 0
    with restored(*own_files):
        for file in own_files:
            shutil.copy(tmp_path / "others" / file.name, file)
        restarted(own, "bridge")
        trouble = alone(own, "no-bridge")
        assert "the keys do not fit" in trouble["why"]
        assert trouble["mend"].startswith("bridgectl keys show")
    assert ctl(own, "reload", "bridge").returncode == 0
    well(own)
    assert http.post("/v1/arrears-query", json={"account": ACCOUNT}).status_code == 200


def test_a_dead_letter(own: Testbed, http: httpx.Client, tmp_path: Path) -> None:
    """A command that the bridge cannot open, for the front has sealed it to a key that the bridge does not have."""
    keys = own.folder / "keys"
    own_files = [keys / "bridge.keyring", keys / "trusted.json"]
    assert ctl(own, "keys", "init", "--dir", str(tmp_path / "others")).returncode == 0
    with restored(*own_files):
        id = order(http)
        eventually(lambda: http.get(f"/v1/requests/{id}").json()["status"] == "succeeded", what="the first order")
        own.stop("bridge")
        later = order(http)
        for file in own_files:
            shutil.copy(tmp_path / "others" / file.name, file)
        own.start("bridge", wait=False)
        eventually(lambda: "dead-letters" in {one["key"] for one in status(own)[1]}, what="the dead letter")
    restarted(own, "bridge")
    trouble = alone(own, "dead-letters")
    assert trouble["mend"].startswith("bridgectl dlq list")
    listed = ctl(own, "dlq", "list")
    assert "unknown-key" in listed.stdout, (listed.stdout, listed.stderr)
    eventually(lambda: http.get(f"/v1/requests/{later}").json()["status"] == "succeeded", what="the order, sent again")
    done = ctl(own, "dlq", "purge", "--all", "--note", "the key is back", "--yes")
    assert done.returncode == 0, (done.stdout, done.stderr)
    well(own)
    assert [entry["applied"] for entry in journal(own, later)] == [1]


def test_a_held_command(own: Testbed, http: httpx.Client) -> None:
    """The marketing system answers about another order, and about another when it is asked what became of this one."""
    fault(own, {"mix_up": True, "paths": ["/api/wo/create", "/api/req/status"]})
    id = order(http)
    eventually(lambda: "commands-held" in {one["key"] for one in status(own)[1]}, what="the held command")
    assert status(own)[1][0]["key"] == "system-failing"  # why it is held comes first, as long as it lasts
    fault(own, {})
    order(http, "另一单")  # what shows that the system answers again
    trouble = alone(own, "commands-held")
    assert "bridgectl requests" in trouble["mend"]
    listed = json.loads(ctl(own, "requests", "list", "--json").stdout)
    assert [row["id"] for row in listed] == [id]
    decided = ctl(own, "requests", "resolve", id, "--ask-again", "--note", "it answers about itself again")
    assert decided.returncode == 0, decided.stderr
    eventually(lambda: http.get(f"/v1/requests/{id}").json()["status"] == "succeeded", what="the outcome")
    well(own)
    assert [entry["applied"] for entry in journal(own, id)] == [1]


def test_a_clock_that_is_off(own: Testbed, tmp_path: Path) -> None:
    library, offset = tmp_path / "clock.so", tmp_path / "offset"
    compile_it = ["cc", "-shared", "-fPIC", "-o", str(library), str(CLOCK_SOURCE), "-ldl"]
    if shutil.which("cc") is None or subprocess.run(compile_it, check=False).returncode:
        pytest.skip("a clock that can be set wrong needs a C compiler")
    offset.write_bytes((-50_000_000_000).to_bytes(8, sys.byteorder, signed=True))
    own.environment["bridge"] = {"LD_PRELOAD": str(library), "CAMPAIGN_CLOCK": str(offset)}
    try:
        restarted(own, "bridge")
        trouble = alone(own, "clock-off")
        assert "bridge-1" in trouble["what"] + trouble["why"]
        with offset.open("r+b") as file:  # the mend: what NTP does. The daemon has this very file mapped
            file.write(bytes(8))
        well(own)
    finally:
        own.environment["bridge"] = {}
        restarted(own, "bridge")


def fault(testbed: Testbed, plan: dict[str, Any]) -> None:
    httpx.put(f"{testbed.marketing_url}/faults", json=plan, trust_env=False).raise_for_status()

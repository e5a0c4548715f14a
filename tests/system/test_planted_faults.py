"""Faults of keys, certificates, clocks, queues and commands are planted in an installation: the first line of
`bridgectl status` names each, and the command it names mends it. Those of processes, databases and disks:
test_status.py.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.testbed import Testbed
from tests.support.clocks import Clock
from tests.support.postgres import server_or_skip
from tests.support.testbeds import (
    ACCOUNT,
    LOOPBACK,
    client,
    ctl,
    done_as_told,
    eventually,
    journal,
    running_testbed,
    status,
    work_order,
)  # fmt: skip

SETTINGS: dict[str, dict[str, Any]] = {
    "dmz_front": {"delivery.presence_ttl_s": 2, "delivery.resend_after_s": 2, "delivery.sweep_s": 0.5},
    "intranet_bridge": {"presence_interval_s": 0.5, "commands.unreadable_max": 1, "commands.sweep_s": 0.5},
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    folder = tmp_path_factory.mktemp("planted")
    (folder / "data").mkdir()
    operator = {
        f"link.{end}": str(folder / "certs" / f"operator.{ext}")
        for end, ext in (("certificate", "pem"), ("key", "key"))
    }
    with (
        large_disk(folder / "data.image", folder / "data"),
        running_testbed(folder, settings={**SETTINGS, "bridgectl": operator}) as testbed,
    ):
        yield testbed


@contextlib.contextmanager
def large_disk(image: Path, folder: Path) -> Iterator[None]:
    """A disk of 2 GB for the databases, of which next to nothing is there in truth; for who may mount one."""
    with image.open("wb") as file:
        file.truncate(2 << 30)
    made = shutil.which("mkfs.ext4") is not None and all(
        subprocess.run(command, capture_output=True, check=False).returncode == 0
        for command in (["mkfs.ext4", "-q", "-m0", str(image)], ["mount", "-o", "loop", str(image), str(folder)])
    )
    try:
        yield
    finally:
        if made:
            subprocess.run(["umount", "-l", folder], check=False)
        image.unlink()


@pytest.fixture
def http(own: Testbed) -> Iterator[httpx.Client]:
    with client(own) as one:
        yield one


def alone(testbed: Testbed, key: str, *after: str) -> dict[str, Any]:
    """The trouble of this kind, when it is the one that is told; all else is folded under it. `after`: those that are
    told after it all the same.
    """

    told: list[dict[str, Any]] = []

    def found() -> bool:
        told[:] = status(testbed)[1]
        return [one["key"] for one in told] == [key, *after]

    with contextlib.suppress(pytest.fail.Exception):
        eventually(found)
    assert [one["key"] for one in told] == [key, *after], json.dumps(told, indent=1, ensure_ascii=False)
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


def test_a_certificate_that_has_expired(own: Testbed, tmp_path: Path) -> None:
    role, then = "bridge", Clock(tmp_path, -40 * 86400)
    files = [own.certs / f"{role}.pem", own.certs / f"{role}.key"]
    with restored(*files):
        issue = ["certs", "issue", role, "--name", f"{role}-1", "--dir", str(own.certs), "--days", "1", "--force"]
        assert ctl(own, *issue, **then.environment).returncode == 0
        restarted(own, role)
        trouble = alone(own, "certificate-expired")
        assert (str(files[0]) in trouble["why"], trouble["level"]) == (True, "critical")
        assert trouble["consequences"]
    done_as_told(own, trouble, "bridgectl reload")
    well(own)


def test_a_certificate_that_was_renewed_and_not_reloaded(own: Testbed) -> None:
    """What lies on the disk is good, and the daemon goes by what will end."""
    issue = ["certs", "issue", "bridge", "--name", "bridge-1", "--dir", str(own.certs), "--force"]
    assert ctl(own, *issue).returncode == 0
    trouble = alone(own, "not-reloaded")
    assert (str(own.certs / "bridge.pem") in trouble["why"], trouble["level"]) == (True, "warning")
    assert 0 <= time.time() - trouble["since"] / 1000 < 60
    done_as_told(own, trouble, "bridgectl reload bridge")
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
    done_as_told(own, trouble, "systemctl restart intranet-bridge")
    well(own)


def test_keys_that_do_not_fit(own: Testbed, http: httpx.Client, tmp_path: Path) -> None:
    keys = own.folder / "keys"
    own_files = [keys / "bridge.keyring", keys / "trusted.json"]
    assert ctl(own, "keys", "init", "--dir", str(tmp_path / "others")).returncode == 0
    with restored(*own_files):
        for file in own_files:
            shutil.copy(tmp_path / "others" / file.name, file)
        restarted(own, "bridge")
        # on one host the front sees that its list of trusted keys was changed: it is the same file
        trouble = alone(own, "no-bridge", "not-reloaded")
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
    done_as_told(own, trouble, "bridgectl dlq list")
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
    # why it is held comes first, as long as it lasts
    eventually(lambda: status(own)[1][0]["key"] == "system-failing", what="why it is held")
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
    clock = Clock(tmp_path, -50)
    own.environment["bridge"] = clock.environment
    try:
        restarted(own, "bridge")
        trouble = alone(own, "clock-off")
        assert "bridge-1" in trouble["what"] + trouble["why"]
        clock.set(0)  # the mend: what NTP does
        well(own)
    finally:
        own.environment["bridge"] = {}
        restarted(own, "bridge")


def test_a_disk_that_fills_up(own: Testbed, http: httpx.Client) -> None:
    data = own.folder / "data"
    if not data.is_mount():
        pytest.skip("a disk of its own needs root, and ext4")
    ballast = data / "ballast"
    left = 150 << 20
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(data).free - left)
    alone(own, "disk-nearly-full", "disk-nearly-full")
    told = status(own)[1]
    assert [("ledger" in one["what"], "inbox" in one["what"]) for one in told] == [(True, False), (False, True)]
    place = Path(told[0]["mend"].removeprefix("free space under "))
    order(http)  # it is a warning: everything goes on
    max(place.parent.iterdir(), key=lambda file: file.stat().st_size).unlink()
    assert not ballast.exists()
    well(own)


def test_a_ledger_that_is_damaged(own: Testbed, http: httpx.Client, tmp_path: Path) -> None:
    copy = str(json.loads(ctl(own, "backup", str(tmp_path), "--side", "front", "--json").stdout)["file"])
    ledger = own.folder / "data" / "front.sqlite3"
    with ledger.open("r+b") as file:  # all but the first page, as by a disk that lies
        file.seek(4096)
        file.write(b"\xa5" * (ledger.stat().st_size - 4096))

    def noticed() -> bool:
        http.post(
            "/v1/work-order", json=work_order(), headers={"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=0"}
        )
        return "database-damaged" in {one["key"] for one in status(own)[1]}

    eventually(noticed, what="the damage")
    trouble = alone(own, "database-damaged")
    assert (str(ledger) in trouble["why"], trouble["level"]) == (True, "critical")
    done_as_told(own, trouble, "systemctl stop dmz-front; .*; systemctl start dmz-front", FILE=copy)
    well(own)
    id = order(http, "水管漏水")  # not like those of before: what is like one that the copy has forgotten is held
    eventually(lambda: http.get(f"/v1/requests/{id}").json()["status"] == "succeeded", what="an order")


def test_a_database_server_that_is_gone(tmp_path: Path) -> None:
    with server_or_skip(durable=False) as server:
        stores = {"front": server.database("front")}
        with running_testbed(tmp_path, settings=SETTINGS, stores=stores) as one, client(one) as http:
            server.stop(signal.SIGKILL)
            trouble = alone(one, "database-unreachable")
            assert (trouble["level"], "front-1" in trouble["what"]) == ("critical", True)
            # queries need no ledger (the tight presence of this testbed can lapse for a moment)
            asked = {"account": ACCOUNT}
            eventually(lambda: http.post("/v1/arrears-query", json=asked).status_code == 200, what="a query's answer")
            assert trouble["mend"] == "on the database's host: systemctl start postgresql"
            server.start()
            well(one)
            order(http)


def fault(testbed: Testbed, plan: dict[str, Any]) -> None:
    httpx.put(f"{testbed.marketing_url}/faults", json=plan, **LOOPBACK).raise_for_status()

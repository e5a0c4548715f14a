"""`bridgectl bundle` of a host on which requests cross: it has what support needs, no secret, nothing of a customer."""

import base64
import json
import stat
import tarfile
import uuid
from pathlib import Path

import httpx

from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import ctl, work_order

MARK = f"MARK{uuid.uuid4().hex}"
ACCOUNT, PHONE, NAME = "3210000000009", "13987650001", "标记姓名欧阳"
WORDS = "somebody wrote into a log"


def unpacked(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        found = {one.name.partition("/")[2]: tar.extractfile(one) for one in tar.getmembers()}
        return {name: member.read() for name, member in found.items() if member is not None}


def secrets(testbed: Testbed) -> set[str]:
    """Of this installation, a line each: the application's key, private keys, keyrings, passwords of stores."""
    found = {testbed.app_key}
    for file in testbed.certs.glob("*.key"):
        found.update(line for line in file.read_text().splitlines() if line and not line.startswith("-----"))
    for file in testbed.certs.glob("*.password"):
        found.add(file.read_text().strip())
    for file in (testbed.folder / "keys").glob("*.keyring"):
        own = json.loads(file.read_text())
        found.update([*(key["private"] for key in own["keys"]), *filter(None, [own.get("secret")])])
    return found


def forms(value: str) -> list[bytes]:
    """How a value may stand in a file."""
    return [
        value.encode(), value.encode("unicode_escape"), value.encode("utf-16-be"), value.encode().hex().encode(),
        base64.b64encode(value.encode())[2:-4],
    ]  # fmt: skip


def test_a_bundle_has_what_support_needs_and_nothing_secret(
    testbed: Testbed, http: httpx.Client, tmp_path: Path
) -> None:
    order = work_order(f"{MARK} content", account=ACCOUNT, contact_phone=PHONE, contact_name=NAME, address=MARK)
    headers = {"Idempotency-Key": f"{MARK}-{ACCOUNT}", "Prefer": "wait=10"}
    accepted = http.post("/v1/work-order", json=order, headers=headers)
    assert accepted.status_code in (200, 202), accepted.text
    http.post("/v1/bill-query", json={"account": ACCOUNT, "first_month": MARK, "last_month": "2026-06"})
    hidden = secrets(testbed)
    assert len(hidden) > 20
    planted = tmp_path / "planted.log"
    numbers = f"customer {PHONE} of account {ACCOUNT}"
    planted.write_text("\n".join([f"{WORDS}: {one}" for one in sorted(hidden)] + [numbers]) + "\n", encoding="utf-8")

    file = tmp_path / "support.tar.gz"
    logs = [testbed.logs / "front.log", testbed.logs / "bridge.log", planted]
    # whole: tests before this one may have filled the logs
    words = ["--log-lines", "100000", *(word for log in logs for word in ("--log", str(log)))]
    done = ctl(testbed, "bundle", str(file), *words)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    members = unpacked(file)
    manifest = json.loads(members["manifest.json"])
    assert {one["name"] for one in manifest["members"]} == members.keys() - {"manifest.json"}

    both = ("dmz-front", "intranet-bridge")
    told = {name: json.loads(data) for name, data in members.items() if name.endswith(".json")}
    assert [told[f"reports/{program}.json"]["name"] for program in both] == ["front-1", "bridge-1"]
    assert told["status.json"]["front"]["name"] == "front-1"
    assert told["status.json"]["queues"]
    for program in both:
        assert told[f"databases/{program}.json"]["schema_revision"], program
        assert told[f"config/{program}.json"]["tables"]["link"]["brokers"], program
        assert told[f"keys/{program}.json"]["own"], program
    assert sum(told["databases/dmz-front.json"]["rows"]["requests"].values()) > 0
    assert {"CN=front-1,OU=front,O=dmz-bridge", "CN=bridge-1,OU=bridge,O=dmz-bridge"} <= {
        one["subject"] for one in told["certificates.json"]
    }  # fmt: skip
    ready = [data for name, data in members.items() if name.startswith("logs/") and b'"ready"' in data]
    assert len(ready) == 2, sorted(members)  # what the daemons say is there, and not masked away
    assert members["logs/03-planted.log"].decode().count(WORDS) == len(hidden)

    everything = members | {"what it said": (done.stdout + done.stderr).encode()}
    for value in (*hidden, MARK, ACCOUNT, PHONE, NAME):
        for needle in forms(value):
            for name, data in everything.items():
                assert needle not in data, f"{value} stands in {name}"
    assert manifest["masked"] >= len(hidden)
    acts = json.loads(ctl(testbed, "audit", "show", "--event", "act", "--json").stdout)
    written = [one["chain"] for one in acts if one["details"].get("act") == "bundle" and str(file) in str(one)]
    assert sorted(written) == ["bridge-1", "front-1"]

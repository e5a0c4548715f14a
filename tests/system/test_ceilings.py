"""A front that was taken over, with its real key and certificate: 20,000 accounts, 2,000 orders in another name."""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator

import httpx
import pytest

from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.testbed import Testbed
from scripts.tools.testbed.toml_values import with_values
from tests.support.stomp import connected
from tests.support.testbeds import ACCOUNT, client, ctl, eventually, journal, status, work_order

ACCOUNTS = 500


@pytest.fixture
def bounded(testbed: Testbed) -> Iterator[Testbed]:
    """The session's testbed, with its front and application named at the bridge, and a ceiling of accounts."""
    file = testbed.config / "intranet_bridge.toml"
    before = file.read_text()
    tables = {"fronts.front-1.applications.demo.accounts": ACCOUNTS, "fronts.front-1.applications.kiosk.rate": 5}
    file.write_text(with_values(before, tables))
    assert ctl(testbed, "reload", "bridge").returncode == 0
    yield testbed
    file.write_text(before)
    assert ctl(testbed, "reload", "bridge").returncode == 0


def forged(testbed: Testbed, kind: str, count: int, source: str) -> list[bytes]:
    """Frames of 50 requests each, sealed with the front's keys."""
    keyring = testbed.folder / "keys" / "front.keyring"
    words = [sys.executable, "-m", "tests.unit.flood", str(keyring), kind, str(count), source]
    found = subprocess.run(words, cwd=ROOT, capture_output=True, check=True, text=True)
    return [bytes.fromhex(line) for line in found.stdout.split()]


def flood(testbed: Testbed, queue: str, frames: list[bytes], **headers: str) -> None:
    stomp = connected(testbed, "front")
    for number, frame in enumerate(frames):
        receipt = {"receipt": str(number)} if number % 10 == 9 or frame is frames[-1] else {}
        stomp.send("SEND", frame, destination=f"/queue/{queue}", **receipt, **headers)
        if receipt:
            answer = stomp.receive()
            assert answer is not None
            assert answer[0] == "RECEIPT", answer
    stomp.socket.close()


def test_twenty_thousand_accounts_and_two_thousand_orders_are_stopped_and_told(
    bounded: Testbed, http: httpx.Client
) -> None:
    log = bounded.logs / "bridge.log"
    before = log.stat().st_size
    flood(bounded, "bridge.query.main", forged(bounded, "accounts", 20_000, "front-1/demo"))
    orders = forged(bounded, "orders", 2_000, "front-1/ghost")
    flood(bounded, "bridge.command.main", orders, persistent="true")

    def met() -> dict[str, str]:
        code, found = status(bounded)
        told = {one["what"]: one["why"] for one in found if one["key"] == "ceiling-met"}
        assert code == 2 or not told
        return told

    told = eventually(lambda: len(found := met()) == 2 and found, what="both to be told")
    assert told.keys() == {"front-1/demo met the ceiling accounts", "front-1/ghost met the ceiling application"}
    eventually(
        lambda: "; 2000 times" in met()["front-1/ghost met the ceiling application"], what="all orders to be refused"
    )
    assert not [one for one in journal(bounded) if one["request_id"].encode() in b"".join(orders)]
    # who was asked about before goes on; a customer who was not has to wait, and is told for how long
    refused = http.post("/v1/arrears-query", json={"account": ACCOUNT})
    assert (refused.status_code, refused.json()["code"]) == (429, "ceiling-met")
    assert 0 < int(refused.headers["retry-after"]) <= 3600
    answer = http.post("/v1/arrears-query", json={"account": "9000000000001"})
    assert answer.status_code == 200, answer.text
    lines = [
        json.loads(line) for line in log.read_bytes()[before:].decode().splitlines() if '"event": "ceiling-met"' in line
    ]
    assert {(line["front"], line["application"], line["ceiling"]) for line in lines} == {
        ("front-1", "demo", "accounts"), ("front-1", "ghost", "application"),
    }  # fmt: skip
    assert len(lines) < 10
    with client(bounded, headers={"Idempotency-Key": str(uuid.uuid4())}) as honest:
        assert honest.post("/v1/outlets", json={}).status_code != 429  # it is about no account
        waits = honest.post("/v1/work-order", json=work_order(), headers={"Prefer": "wait=1"})
        assert waits.status_code == 202
    id = waits.json()["request_id"]
    cancel = ("requests", "cancel", id, "--note", "of a test", "--side", "bridge")
    eventually(lambda: ctl(bounded, *cancel).returncode == 0, what="the bridge to have it, and to let go of it")

"""Two bridges of one region with an inbox each: the fronts take no command, and nothing is done twice.

The bridge that was first is killed while the marketing system has applied what it does not answer; the broker gives
what was not acknowledged to whoever is left, which has never heard of it.
"""

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import (
    ACCOUNT,
    ACCOUNTS,
    LOOPBACK,
    assert_reconciled,
    bridgectl,
    client,
    ctl,
    done_as_told,
    eventually,
    journal,
    work_order,
)  # fmt: skip

QUICK = {
    "dmz_front": {
        "delivery.resend_after_s": 1, "delivery.sweep_s": 0.5, "delivery.presence_ttl_s": 3, "link.reconnect_max_s": 1,
    },
    "intranet_bridge": {
        "operations.work-order.settle_s": 1.0, "presence_interval_s": 0.5, "link.reconnect_max_s": 1,
    },
}  # fmt: skip
ORDERS = 20


@pytest.fixture
def testbed(tmp_path: Path) -> Iterator[Testbed]:
    """One of each, and a second bridge's configuration, whose inbox is a file of its own."""
    testbed = Testbed(tmp_path / "testbed", customers=200, settings=QUICK, twins=("bridge-2",))
    try:
        testbed.set_up()
        file = testbed.config / "bridge-2.toml"
        text = file.read_text()
        assert text.count("bridge.sqlite3") == 1
        file.write_text(text.replace("bridge.sqlite3", "bridge-2.sqlite3"))
        testbed.start("broker", "marketing", "bridge", "front")
        yield testbed
    finally:
        testbed.stop()


def submit(http: httpx.Client, number: int = 0) -> httpx.Response:
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"}
    return http.post("/v1/work-order", json=work_order(account=ACCOUNTS[number]), headers=headers)


def faults(testbed: Testbed, plan: dict[str, object] | None) -> None:
    method = "DELETE" if plan is None else "PUT"
    url = f"{testbed.marketing_url}/faults"
    httpx.request(method, url, json=plan, **LOOPBACK).raise_for_status()


def conflict(http: httpx.Client, ids: set[str]) -> bool:
    """Whether one more order is refused for it; if it is accepted instead, its id is kept."""
    answer = submit(http, len(ids) % len(ACCOUNTS))  # of different customers: one's are done one after the other
    if answer.status_code == 202:
        ids.add(answer.json()["request_id"])
        time.sleep(0.5)
        return False
    return answer.status_code == 503 and answer.json()["code"] == "inbox-conflict"


def inbox_of(testbed: Testbed, file: str) -> str:
    with closing(sqlite3.connect(testbed.folder / "data" / file, timeout=10)) as database:
        return str(database.execute("select inbox from identity").fetchone()[0])


def doctor(testbed: Testbed) -> dict[str, str]:
    """What it says of inboxes."""
    words = ["doctor", "--json", "--role", "front", "--front-config", str(testbed.config / "dmz_front.toml")]
    findings: list[dict[str, str]] = json.loads(ctl(testbed, *words).stdout)["findings"]
    return next(finding for finding in findings if finding["name"] == "inbox")


def status(testbed: Testbed, **hidden: str) -> dict[str, Any]:
    """The first trouble; `hidden` are configurations of daemons that are on another host."""
    control = testbed.config / "status.toml"
    lines = [f'{name} = "{path}"' for name, path in hidden.items()]
    text = (testbed.config / "bridgectl.toml").read_text()
    assert text.rstrip().splitlines()[-1].startswith("broker_data")  # of [doctor]
    control.write_text("\n".join([text.rstrip(), *lines, ""]))
    troubles = json.loads(bridgectl(control, "status", "--json").stdout)["troubles"]
    first: dict[str, Any] = troubles[0] if troubles else {}
    return first


def assert_told(testbed: Testbed, http: httpx.Client) -> None:
    """By `status` alone, on each of the three hosts."""

    def heard(**hidden: str) -> dict[str, Any]:
        asked = {"account": ACCOUNT}
        for _ in range(20):  # queries go on (but for who is not heard for a moment), and tell both bridges
            eventually(lambda: http.post("/v1/arrears-query", json=asked).status_code == 200, what="a query's answer")
        told = status(testbed, **hidden)
        return told if told.get("key") == "inbox-conflict" else {}

    nowhere = str(testbed.config / "nowhere.toml")
    at_front = status(testbed, bridge_config=nowhere)
    assert (at_front["key"], "on the host of bridge-2: systemctl stop" in at_front["mend"]) == ("inbox-conflict", True)
    right = eventually(lambda: heard(front_config=nowhere), what="what the first bridge hears")
    assert right["mend"] == "on its host: systemctl stop intranet-bridge"
    other = {"front_config": nowhere, "bridge_config": str(testbed.config / "bridge-2.toml")}
    wrong = eventually(lambda: heard(**other), what="what the second hears")
    assert wrong["mend"].startswith("here: systemctl stop")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("then", ["it comes back", pytest.param("it is gone for good", marks=pytest.mark.rare)])
def test_a_bridge_with_an_inbox_of_its_own_beside_the_first(testbed: Testbed, then: str) -> None:
    with client(testbed) as http:
        faults(testbed, {"hang_after_applying": True, "paths": ["/api/wo/create"]})
        answers = [submit(http, number) for number in range(ORDERS)]
        assert {answer.status_code for answer in answers} == {202}
        ids = {answer.json()["request_id"] for answer in answers}
        eventually(lambda: len(journal(testbed)) >= 8, what="orders that are applied and not answered")
        testbed.start("bridge-2", wait=False)
        eventually(lambda: conflict(http, ids), what="the front's refusal")
        assert_told(testbed, http)
        log = testbed.logs / "front.log"

        def alone() -> bool:
            """Whether the conflict that was said last is with the second bridge alone."""
            said = [json.loads(line) for line in log.read_text().splitlines() if '"event": "inbox-conflict"' in line]
            return bool(said) and [one.partition(" ")[2] for one in said[-1]["heard"]] == ["(bridge-2)"]

        eventually(lambda: '"inbox-conflict"' in log.read_text(), what="an error in the front's log")
        assert not alone()
        testbed.kill("bridge")
        faults(testbed, None)
        # the one that is left does not keep the region's inbox, however long the other is gone
        eventually(alone, what="the front to hear of one alone")
        finding = doctor(testbed)
        assert (finding["status"], inbox_of(testbed, "bridge.sqlite3") in finding["seen"]) == ("fail", True), finding
        time.sleep(8)  # the broker has given back what was not acknowledged, and the front sent it again, twice
        assert conflict(http, ids)
        with closing(sqlite3.connect(testbed.folder / "data" / "bridge-2.sqlite3", timeout=10)) as database:
            assert database.execute("select count(*) from inbox").fetchone() == (0,)
        if then == "it comes back":
            testbed.stop("bridge-2")
            testbed.start("bridge")
        else:
            at_front = status(testbed, bridge_config=str(testbed.config / "nowhere.toml"))
            assert inbox_of(testbed, "bridge-2.sqlite3") in at_front["mend"]
            done_as_told(testbed, at_front, r"bridgectl inbox bind \S+ --note WHY", WHY="its disk is broken")
        eventually(lambda: not conflict(http, ids), 60, "commands to be taken again")
        assert_reconciled(testbed, ids)

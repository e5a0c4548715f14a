"""Two fronts and two bridges on PostgreSQL: they share the work, and whoever dies is replaced by the others.

As in test_kill.py three records are reconciled: what callers were told, what the fronts say, and the marketing system's
journal, whose interface is deliberately not idempotent. Nothing that is killed here is started again.
"""

import asyncio
import json
import os
import signal
import subprocess
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.layout import BIN
from scripts.tools.testbed.processes import alive
from scripts.tools.testbed.testbed import Testbed
from tests.support.postgres import Postgres, server_or_skip
from tests.support.testbeds import ACCOUNTS, PLAIN, assert_reconciled, client, eventually, running_testbed, work_order

FRONTS = ("front", "front-2")
BRIDGES = ("bridge", "bridge-2")
TWINS = ("front-2", "bridge-2")
CALLERS = 16
QUICK: dict[str, dict[str, Any]] = {
    "dmz_front": {"store.lease_s": 5, "delivery.resend_after_s": 3, "delivery.sweep_s": 0.5, "link.reconnect_max_s": 1},
    "intranet_bridge": {"store.lease_s": 5, "operations.work-order.settle_s": 1.0, "link.reconnect_max_s": 1},
}
"""Patience shortened so that recovery is quick to see; the promises do not depend on it."""

Storm = Callable[[Callable[[], int]], Awaitable[None]]


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server of the test's own: it is broken here."""
    with server_or_skip() as server:
        yield server


def four(folder: Path, server: Postgres, settings: dict[str, dict[str, Any]] = QUICK) -> Any:
    """Two of each, on one database a side."""
    stores = {"front": server.database("front"), "bridge": server.database("bridge")}
    return running_testbed(folder, settings=settings, twins=TWINS, stores=stores)


async def submit(https: list[httpx.AsyncClient], key: str, number: int) -> str:
    """One order, as a careful application behind a balancer does: the same key, at any front, until it is accepted."""
    order = work_order(f"第{number}单", account=ACCOUNTS[number % len(ACCOUNTS)])
    headers = {"Idempotency-Key": key, "Prefer": "wait=1"}
    for turn in range(600):
        try:
            answer = await https[(number + turn) % len(https)].post("/v1/work-order", json=order, headers=headers)
        except httpx.TransportError:
            await asyncio.sleep(0.1)
            continue
        if answer.status_code in (200, 202):
            return str(answer.json()["request_id"])
        assert answer.status_code in (409, 429, 503), answer.text
        await asyncio.sleep(0.1)
    pytest.fail(f"order {number} was not accepted")


async def storm(testbed: Testbed, orders: int, havoc: Callable[[Callable[[], int]], Awaitable[None]]) -> dict[str, str]:
    """Orders from 16 callers through both fronts, and `havoc` meanwhile (told how many are accepted by now)."""
    accepted: dict[str, str] = {}
    todo = [(number, f"order-{uuid.uuid4()}") for number in range(orders)]
    headers = {"Authorization": f"Bearer {testbed.app_key}"}

    async def caller(https: list[httpx.AsyncClient]) -> None:
        while todo:
            number, key = todo.pop()
            accepted[key] = await submit(https, key, number)

    https = [
        httpx.AsyncClient(base_url=testbed.url_of(front), headers=headers, timeout=15, trust_env=False, verify=PLAIN)
        for front in FRONTS
    ]
    try:
        await asyncio.gather(havoc(lambda: len(accepted)), *(caller(https) for _ in range(CALLERS)))
    finally:
        for http in https:
            await http.aclose()
    assert len(set(accepted.values())) == orders
    return accepted


async def reached(count: Callable[[], int], wanted: int) -> None:
    while count() < wanted:  # noqa: ASYNC110 - a dict tells nobody
        await asyncio.sleep(0.01)


def said(testbed: Testbed, part: str, event: str) -> list[dict[str, Any]]:
    """A part's log lines of one kind."""
    lines = (testbed.logs / f"{part}.log").read_text().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{") and f'"{event}"' in line]
    return [line for line in found if line["event"] == event]


def owners(server: Postgres, testbed: Testbed) -> set[object]:
    """Who owns what is not finished."""
    rows = server.query(
        testbed.stores["bridge"], "SELECT DISTINCT owner FROM inbox WHERE state IN ('received', 'calling')"
    )
    return {row[0] for row in rows}


def test_what_the_dead_left_is_done_by_the_living(tmp_path: Path, server: Postgres) -> None:
    with four(tmp_path / "testbed", server) as testbed:

        async def havoc(count: Callable[[], int]) -> None:
            await reached(count, 120)
            testbed.kill("bridge")
            await reached(count, 240)
            testbed.kill("front-2")

        accepted = asyncio.run(storm(testbed, 400, havoc))
        assert_reconciled(testbed, set(accepted.values()), "front")
        # the storm may be over before the lease of the dead is
        eventually(lambda: said(testbed, "bridge-2", "instance-adopted"), 60, "the dead bridge's adoption")
        eventually(lambda: said(testbed, "front", "instance-adopted"), 60, "the dead front's adoption")
        eventually(lambda: said(testbed, "front", "front-gone"), 60, "the dead front's queue being read")
        fronts = server.query(testbed.stores["front"], "SELECT count(DISTINCT front) FROM requests")
        assert fronts[0][0] == 2  # both had taken orders before
        sources = server.query(testbed.stores["bridge"], "SELECT count(DISTINCT split_part(source, '/', 1)) FROM inbox")
        assert sources[0][0] == 2


def test_replies_already_on_a_dead_fronts_queue_are_read(tmp_path: Path, server: Postgres) -> None:
    """No second sending helps: the replies that wait on the dead front's queue are the ones that tell."""
    settings = {**QUICK, "dmz_front": {**QUICK["dmz_front"], "delivery.resend_after_s": 3600}}
    with four(tmp_path / "testbed", server, settings) as testbed:
        testbed.stop(*BRIDGES)
        headers = {"Prefer": "respond-async"}
        ids = set()
        with client(testbed, "front-2") as http:
            for number in range(30):
                answer = http.post(
                    "/v1/work-order", json=work_order(), headers=headers | {"Idempotency-Key": f"{number}"}
                )
                ids.add(answer.json()["request_id"])
            eventually(
                lambda: {http.get(f"/v1/requests/{id}").json()["status"] for id in ids} == {"sent"}, 60, "all sent"
            )
        testbed.kill("front-2")
        testbed.start(*BRIDGES)
        assert_reconciled(testbed, ids, "front", 60)
        # the dead one returns, takes its queue again, and tells the same
        testbed.start("front-2")
        eventually(lambda: said(testbed, "front", "front-returned"), 60, "the queue's return")
        with client(testbed, "front-2") as http:
            for number in range(30):
                answer = http.post("/v1/work-order", json=work_order(), headers={"Idempotency-Key": f"{number}"})
                assert answer.status_code == 200
                assert answer.json()["request_id"] in ids
            new = http.post(
                "/v1/work-order", json=work_order(), headers={"Idempotency-Key": "new", "Prefer": "wait=20"}
            )
            assert new.status_code == 200, new.text


def test_a_bridge_that_sleeps_through_its_lease_does_nothing_afterwards(tmp_path: Path, server: Postgres) -> None:
    """SIGSTOP in the middle of calls, adoption, SIGCONT: it finds its lease gone and ends."""
    with four(tmp_path / "testbed", server) as testbed:
        pid = testbed.pids["bridge"]

        async def havoc(count: Callable[[], int]) -> None:
            await reached(count, 100)
            os.kill(pid, signal.SIGSTOP)
            await asyncio.to_thread(
                eventually, lambda: said(testbed, "bridge-2", "instance-adopted"), 60, "the adoption"
            )
            await reached(count, 200)
            os.kill(pid, signal.SIGCONT)

        try:
            accepted = asyncio.run(storm(testbed, 300, havoc))
        finally:
            os.kill(pid, signal.SIGCONT) if alive(pid) else None
        assert_reconciled(testbed, set(accepted.values()), "front")
        eventually(lambda: not alive(pid), 60, "the end of the bridge that lost its lease")
        assert said(testbed, "bridge", "lease-lost")
        testbed.start("bridge")  # as its service manager would
        eventually(lambda: owners(server, testbed) <= {"bridge-1", "bridge-2"}, 60, "order")


def test_the_same_key_at_both_fronts_at_once_is_accepted_once(tmp_path: Path, server: Postgres) -> None:
    with four(tmp_path / "testbed", server) as testbed:

        async def both() -> list[tuple[str, str]]:
            headers = {"Authorization": f"Bearer {testbed.app_key}"}
            https = [
                httpx.AsyncClient(
                    base_url=testbed.url_of(front), headers=headers, timeout=30, trust_env=False, verify=PLAIN
                )
                for front in FRONTS
            ]

            async def one(http: httpx.AsyncClient, number: int) -> str:
                headers = {"Idempotency-Key": f"race-{number}", "Prefer": "wait=5"}
                order = work_order(f"第{number}单", account=ACCOUNTS[number % len(ACCOUNTS)])
                answer = await http.post("/v1/work-order", json=order, headers=headers)
                assert answer.status_code in (200, 202), answer.text
                return str(answer.json()["request_id"])

            pairs = []
            for first in range(0, 200, 20):
                asked = [one(http, number) for number in range(first, first + 20) for http in https]
                ids = await asyncio.gather(*asked)
                pairs += list(zip(ids[::2], ids[1::2], strict=True))
            other = await https[1].post(
                "/v1/work-order", json=work_order("别的"), headers={"Idempotency-Key": "race-0", "Prefer": "wait=0"}
            )
            assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
            for http in https:
                await http.aclose()
            return pairs

        pairs = asyncio.run(both())
        assert all(one == two for one, two in pairs)
        ids = {one for one, _ in pairs}
        assert len(ids) == 200
        for front in FRONTS:
            assert_reconciled(testbed, ids, front)
        accepted_by = server.query(testbed.stores["front"], "SELECT count(DISTINCT front) FROM requests")
        assert accepted_by[0][0] == 2  # it was a race, won now by the one, now by the other


@pytest.mark.parametrize("how", [pytest.param(signal.SIGINT, marks=pytest.mark.rare), signal.SIGKILL])
def test_the_database_goes_away_and_comes_back(tmp_path: Path, server: Postgres, how: signal.Signals) -> None:
    with four(tmp_path / "testbed", server) as testbed:
        pids = dict(testbed.pids)

        async def havoc(count: Callable[[], int]) -> None:
            for turn, away_s in enumerate((0.5, 9.0), 1):  # the second for longer than all leases
                await reached(count, 100 * turn)
                await asyncio.to_thread(server.stop, how)
                await asyncio.sleep(away_s)
                await asyncio.to_thread(server.start)

        accepted = asyncio.run(storm(testbed, 300, havoc))
        assert_reconciled(testbed, set(accepted.values()), "front-2")
        assert {part: pid for part, pid in pids.items() if alive(pid)} == pids  # nobody died of it


def test_a_living_twin_is_refused_and_a_crashed_one_succeeded_at_once(tmp_path: Path, server: Postgres) -> None:
    patient = {"dmz_front": {"store.lease_s": 300}, "intranet_bridge": {"store.lease_s": 3}}
    with four(tmp_path / "testbed", server, patient) as testbed:
        # a second process of the same name
        command = [str(BIN / "intranet-bridge"), "--config", str(testbed.config / "bridge-2.toml")]
        twin = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert twin.returncode == 2, twin.stderr
        assert "another instance named bridge-2 is running" in twin.stderr
        assert testbed.running("bridge-2")
        # a front with a lease of five minutes: its successor on the same host knows that it is dead
        testbed.kill("front-2")
        testbed.start("front-2")  # which has less patience than that
        with client(testbed, "front-2") as http:
            answer = http.post(
                "/v1/work-order", json=work_order(), headers={"Idempotency-Key": "k", "Prefer": "wait=20"}
            )
            assert answer.status_code == 200, answer.text

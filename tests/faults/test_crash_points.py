"""A daemon is killed at each named point in the life of a command, and started again: nothing is lost, nothing done
twice, nobody told wrong.

One testbed for all. Each case arms one daemon (`DMZ_BRIDGE_TEST_CRASH_AT`, by a file), sends orders through HTTP as a
careful application does (the same Idempotency-Key again until it is accepted), sees the process end by SIGKILL at
that very point, reads its database as it is on disk, and starts it again unarmed.
"""

import contextlib
import os
import sqlite3
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.layout import BIN
from scripts.tools.testbed.processes import ended
from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import LOOPBACK, client, eventually, journal, running_testbed, work_order

ARM = "DMZ_BRIDGE_TEST_CRASH_AT"
SETTINGS = {
    "dmz_front": {
        "delivery.presence_ttl_s": 3, "delivery.resend_after_s": 1.5, "delivery.sweep_s": 0.5,
        "link.reconnect_max_s": 0.5,
    },
    "intranet_bridge": {
        "presence_interval_s": 0.3, "link.reconnect_max_s": 0.5, "commands.sweep_s": 0.5, "commands.retry_min_s": 0.1,
        "operations.work-order.settle_s": 0.4,
    },
}  # fmt: skip
"""Patience shortened so that recovery is quick to see; the promises do not depend on it."""

ORDERS = 3
RANK = {"accepted": 0, "sent": 1, "held": 2, "succeeded": 3, "refused": 3, "failed": 3, "expired": 3}
LOST = {"drop": True, "paths": ["/api/wo/"], "times": 1}
"""One call is applied, and its answer never comes: its connection is lost."""
SLOW = {"latency_ms": 3000, "paths": ["/api/wo/"], "times": 3}
"""The answers take longer than the front waits to write a receipt down with the outcome."""
BROKEN = {"error_rate": 1, "paths": ["/api/wo/"], "times": 1}
"""One call is answered HTTP 500, and nothing was applied."""


@dataclass(frozen=True)
class Case:
    part: str
    point: str
    found: frozenset[str | None]
    """The states its database may hold for the orders when it died at this point; None: no row of one."""
    faults: dict[str, Any] | None = None
    account: str = ""
    ends: str = "succeeded"

    def __str__(self) -> str:
        return f"{self.part}@{self.point}{'+faults' if self.faults else ''}{'+' + self.ends if self.account else ''}"


def front(point: str, *found: str | None, **more: Any) -> Case:
    return Case("front", point, frozenset(found), **more)


def bridge(point: str, *found: str | None, **more: Any) -> Case:
    return Case("bridge", point, frozenset(found), **more)


UNWRITTEN, DOING, DONE = (None, "received"), (None, "received", "calling"), (None, "received", "calling", "succeeded")
"""What is on a socket dies some turns of the loop later: on a busy machine it may be answered by then."""
TOLD = (None, "accepted", "sent", "succeeded")
"""What is written may be done and answered before the front learns that the broker has it."""
NOBODY = {"account": "9999999999999", "ends": "refused"}
CASES = [
    front("front.accept-due", None),
    front("front.accept-uncommitted", None),
    front("front.accept-committed", None, "accepted"),
    front("outbox.offered", None, "accepted"),
    front("front.answer-due", *TOLD),
    front("outbox.written", *TOLD),
    front("outbox.receipted", *TOLD),
    front("front.sent-uncommitted", *TOLD, faults=SLOW),
    front("outbox.recorded", *TOLD),
    bridge("bridge.delivered", None),
    bridge("bridge.opened", None),
    bridge("bridge.received-uncommitted", None),
    bridge("bridge.received-committed", *UNWRITTEN),
    bridge("bridge.acknowledged", *DONE),
    bridge("bridge.calling-due", *UNWRITTEN),
    bridge("bridge.calling-uncommitted", *UNWRITTEN),
    bridge("bridge.calling-committed", *DOING),
    bridge("bridge.request-written", *DONE),
    bridge("bridge.called", *DOING),
    bridge("bridge.finished-uncommitted", *DOING),
    bridge("bridge.finished-committed", *DONE),
    bridge("outbox.offered", *DONE),
    bridge("outbox.written", *DONE),
    bridge("outbox.receipted", *DONE),
    bridge("bridge.replied-uncommitted", *DONE),
    bridge("outbox.recorded", *DONE),
    # the answer of a call is lost: calling → unknown → (inquiry) → succeeded, or received once more
    bridge("bridge.moved-uncommitted", *DONE, faults=LOST),
    bridge("bridge.moved-committed", "unknown", *DONE, faults=LOST),
    bridge("bridge.inquiry-due", "unknown", *DONE, faults=LOST),
    bridge("bridge.request-written:4", "unknown", *DONE, faults=LOST),
    bridge("bridge.inquired", "unknown", *DONE, faults=LOST),
    bridge("bridge.moved-uncommitted:2", "unknown", *DONE, faults=BROKEN),
    bridge("bridge.moved-committed:2", *DONE, faults=BROKEN),
    bridge("bridge.called:4", *DONE, faults=BROKEN),
    # the marketing system's no
    bridge("bridge.finished-uncommitted", *DOING, **NOBODY),
    bridge("bridge.finished-committed", "refused", *DOING, **NOBODY),
    front("front.reply-delivered", None, "accepted", "sent"),
    front("front.reply-opened", None, "accepted", "sent"),
    front("front.told-uncommitted", None, "accepted", "sent"),
    front("front.told-committed", *TOLD),
    front("front.told-committed", None, "accepted", "sent", "refused", **NOBODY),
    front("front.reply-acknowledged", *TOLD),
]


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    folder = tmp_path_factory.mktemp("crash")
    environment = {part: {ARM: f"file:{folder / part}.armed"} for part in ("front", "bridge")}
    with running_testbed(folder, settings=SETTINGS, environment=environment) as testbed:
        yield testbed
        ids = set(recorded_states(testbed, "front"))
        assert {entry["applied"] for entry in journal(testbed)} == {1}  # over all cases together
        assert {entry["request_id"] for entry in journal(testbed)} <= ids


def recorded_states(testbed: Testbed, part: str) -> dict[str, str]:
    """Request id → state, as the part's database says."""
    table = {"front": "requests", "bridge": "inbox"}[part]
    with contextlib.closing(sqlite3.connect(testbed.folder / "data" / f"{part}.sqlite3", timeout=10)) as database:
        return dict(database.execute(f"select id, state from {table}"))


def deaths(testbed: Testbed, case: Case) -> int:
    point = case.point.partition(":")[0]
    lines = (testbed.logs / f"{case.part}.log").read_text().splitlines()
    return sum("CRASH-POINT-REACHED" in line and f'"{point}"' in line for line in lines)


def all_replied(testbed: Testbed) -> bool:
    """Whether nothing of earlier orders goes on at the bridge: it would be what reaches the next case's point."""
    with contextlib.closing(sqlite3.connect(testbed.folder / "data" / "bridge.sqlite3", timeout=10)) as database:
        return bool(database.execute("select count(*) = 0 from inbox where replied_at is null").fetchone()[0])


def set_faults(testbed: Testbed, plan: dict[str, Any] | None) -> None:
    url = f"{testbed.marketing_url}/faults"
    answer = httpx.put(url, json=plan, **LOOPBACK) if plan else httpx.delete(url, **LOOPBACK)
    answer.raise_for_status()


def submit(testbed: Testbed, number: int, account: str) -> str:
    """As a careful application does: the same key again until it is accepted. The request id."""
    order = work_order(f"第{number}单", account=account or f"321000000000{number + 1}")
    headers = {"Idempotency-Key": f"crash-{uuid.uuid4()}", "Prefer": "wait=1"}
    told: set[str] = set()
    with client(testbed) as http:
        for _ in range(600):
            with contextlib.suppress(httpx.TransportError):
                answer = http.post("/v1/work-order", json=order, headers=headers)
                if answer.status_code in (200, 202):
                    return str(answer.json()["request_id"])
                assert answer.status_code in (409, 503), answer.text
                told |= {answer.json()["code"]}
            time.sleep(0.05)
    pytest.fail(f"order {number} was not accepted: {told}")


def told_once(http: httpx.Client, id: str, status: str) -> dict[str, Any] | None:
    """What is told of a request, once it has this status."""
    told: dict[str, Any] = http.get(f"/v1/requests/{id}").json()
    return told if told["status"] == status else None


class Watch:
    """Asks for the status of requests all the time, and remembers every answer."""

    def __init__(self, testbed: Testbed) -> None:
        self.seen: dict[str, list[str]] = {}
        self._testbed, self._end = testbed, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(30)

    def _watch(self) -> None:
        with client(self._testbed) as http:
            while not self._end.wait(0.05):
                for id in list(self.seen):
                    with contextlib.suppress(httpx.TransportError):
                        answer = http.get(f"/v1/requests/{id}")
                        if answer.status_code == 200:
                            self.seen[id].append(answer.json()["status"])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_killed_at(testbed: Testbed, case: Case) -> None:
    for part in ("front", "bridge"):  # a case that failed fails alone
        (testbed.folder / f"{part}.armed").unlink(missing_ok=True)
        if not testbed.running(part):
            testbed.start(part)
    set_faults(testbed, case.faults)
    eventually(lambda: all_replied(testbed), 60, "the replies of the case before")
    before, known = deaths(testbed, case), set(recorded_states(testbed, "front"))
    armed, pid = testbed.folder / f"{case.part}.armed", testbed.pids[case.part]
    armed.with_suffix(".new").write_text(case.point)
    armed.with_suffix(".new").replace(armed)

    with ThreadPoolExecutor(ORDERS) as pool, Watch(testbed) as watch:
        submitted = [pool.submit(submit, testbed, number, case.account) for number in range(ORDERS)]
        eventually(lambda: not testbed.running(case.part), 60, f"the death at {case.point}")
        assert ended[pid] == -9
        assert deaths(testbed, case) == before + 1
        found = recorded_states(testbed, case.part).items()
        states: set[str | None] = {state for id, state in found if id not in known} or {None}
        assert states <= case.found

        armed.unlink()
        testbed.start(case.part)
        ids = {order.result(120) for order in submitted}
        assert len(ids) == ORDERS
        watch.seen.update({id: [] for id in ids})
        with client(testbed) as http:
            for id in ids:
                told = eventually(partial(told_once, http, id, case.ends), 60, f"the outcome of {id}")
                assert bool(told.get("result")) == (case.ends == "succeeded")
        eventually(lambda: all(watch.seen.values()), 60, "every status seen")
    for seen in watch.seen.values():
        assert seen == sorted(seen, key=RANK.__getitem__)
    applied = {entry["request_id"]: entry["applied"] for entry in journal(testbed)}
    assert {id: applied.get(id, 0) for id in ids} == dict.fromkeys(ids, int(case.ends == "succeeded"))
    assert {recorded_states(testbed, "bridge")[id] for id in ids} == {case.ends}


@pytest.mark.parametrize(("part", "config"), [("dmz-front", "dmz_front"), ("intranet-bridge", "intranet_bridge")])
def test_an_unknown_point_is_a_configuration_error(testbed: Testbed, part: str, config: str) -> None:
    command = [str(BIN / part), "--config", str(testbed.config / f"{config}.toml"), "--check-config"]
    environment = {**os.environ, "PYTHONPATH": str(testbed.root), ARM: "bridge.nowhere"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"error: {ARM}: 'bridge.nowhere' is not a crash point" in done.stderr

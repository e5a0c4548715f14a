"""Two brokers, and the active one killed under load: nothing lost, nothing twice, and traffic goes on.

Both kinds of a pair: two brokers on one store, of which one stands by; and two independent brokers, each with a
store of its own, of which the dead one keeps what it had until it comes back.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.processes import free_port
from scripts.tools.testbed.testbed import Testbed
from tests.support.broker import LocalBroker
from tests.support.testbeds import ACCOUNT, PLAIN, assert_reconciled, client, eventually, work_order

PATIENCE = 120.0
"""Seconds a thing may take before a test fails: brokers start slowly on a busy machine."""


@dataclass
class Pair:
    """A testbed on two brokers of its own."""

    testbed: Testbed
    brokers: tuple[LocalBroker, LocalBroker]

    def until_ready(self) -> None:
        """Wait until queries work."""
        with client(self.testbed) as http:
            eventually(lambda: arrears(http).status_code == 200, PATIENCE, "a query to be answered")

    def depth(self, place: int, queue: str) -> int:
        """What waits in a queue of one broker, by that broker's own account; 0 if it has no such queue."""
        control = self.testbed.config / "bridgectl.toml"
        text = control.read_text()
        first, second = (f"localhost:{broker.port}" for broker in self.brokers)
        if place == 1:
            control.write_text(text.replace(f'["{first}", "{second}"]', f'["{second}"]'))
        try:
            rows = {row["name"]: row for row in httpx_json(self.testbed.ctl("queues", "--json"))}
        finally:
            control.write_text(text)
        return int(rows[queue]["depth"]) if queue in rows else 0

    def empty(self, place: int, queue: str) -> bool:
        """Whether nothing waits there."""
        return self.depth(place, queue) == 0


def httpx_json(text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = httpx.Response(200, text=text).json()
    return rows


@contextlib.contextmanager
def pair(folder: Path, *, shared: bool) -> Iterator[Pair]:
    """Front, bridge and marketing system on two brokers; all ended afterwards whatever happens."""
    testbed = Testbed(folder / "testbed", customers=200)
    ports = (free_port(), free_port())
    link = {"link.brokers": [f"localhost:{one}" for one in ports], "link.reconnect_max_s": 1.0}
    testbed.settings = {
        "dmz_front": {**link, "delivery.resend_after_s": 3, "delivery.sweep_s": 0.5},
        "intranet_bridge": {**link, "operations.work-order.settle_s": 1.0},
        "bridgectl": link,
    }
    store = folder / "store" if shared else None
    brokers = tuple(LocalBroker(folder / f"broker-{one}", testbed.certs, port=one, data=store) for one in ports)
    two = Pair(testbed, (brokers[0], brokers[1]))
    try:
        testbed.set_up()
        for broker in brokers:
            broker.start()
        testbed.start("marketing", "bridge", "front")
        two.until_ready()
        yield two
    finally:
        testbed.stop()
        for broker in brokers:
            broker.stop()


def arrears(http: httpx.Client) -> httpx.Response:
    return http.post("/v1/arrears-query", json={"account": ACCOUNT})


@dataclass
class Load:
    """Callers that submit orders, and callers that ask, until told to stop."""

    testbed: Testbed
    accepted: dict[str, str] = field(default_factory=dict)
    """Idempotency key → request id."""
    answered: list[float] = field(default_factory=list)
    """When queries were answered."""
    finished: list[float] = field(default_factory=list)
    """When orders were done within their caller's patience."""
    unanswered: set[int] = field(default_factory=set)
    """How queries failed."""
    stopping: bool = False

    async def run(self, during: "asyncio.Future[None]") -> None:
        """Load until `during` is done."""
        headers = {"Authorization": f"Bearer {self.testbed.app_key}"}
        async with httpx.AsyncClient(
            base_url=self.testbed.front_url, headers=headers, timeout=30, trust_env=False, verify=PLAIN
        ) as http:
            callers = [asyncio.create_task(self._order(http)) for _ in range(6)]
            callers += [asyncio.create_task(self._ask(http)) for _ in range(3)]
            try:
                await during
            finally:
                self.stopping = True
            await asyncio.gather(*callers)

    async def _order(self, http: httpx.AsyncClient) -> None:
        """As a careful application does: the same key again until it is accepted."""
        while not self.stopping:
            key = str(uuid.uuid4())
            while key not in self.accepted:
                headers = {"Idempotency-Key": key, "Prefer": "wait=2"}
                answer = await http.post("/v1/work-order", json=work_order(key), headers=headers)
                assert answer.status_code in (200, 202, 409, 429, 503), answer.text
                if answer.status_code in (200, 202):
                    self.accepted[key] = answer.json()["request_id"]
                if answer.status_code == 200:
                    self.finished.append(time.monotonic())
            await asyncio.sleep(0.05)

    async def _ask(self, http: httpx.AsyncClient) -> None:
        while not self.stopping:
            answer = await http.post("/v1/arrears-query", json={"account": ACCOUNT}, headers={"Prefer": "wait=2"})
            if answer.status_code == 200:
                self.answered.append(time.monotonic())
            else:
                assert answer.json()["code"], answer.text  # a problem that says why
                self.unanswered.add(answer.status_code)
            await asyncio.sleep(0.05)

    async def back_after(self, moment: float) -> tuple[float, float]:
        """Seconds from `moment` until a query that was asked later is answered, and until an order is done."""
        while not (self.answered and self.finished and min(self.answered[-1], self.finished[-1]) > moment + 0.2):
            assert time.monotonic() < moment + PATIENCE, "traffic did not go on"
            await asyncio.sleep(0.02)
        return tuple(min(at for at in times if at > moment + 0.2) - moment for times in (self.answered, self.finished))  # type: ignore[return-value]

    async def some(self, orders: int) -> None:
        """Wait for so many more orders to be accepted."""
        enough, end = len(self.accepted) + orders, time.monotonic() + PATIENCE
        while len(self.accepted) < enough:
            assert time.monotonic() < end, "orders are not accepted"
            await asyncio.sleep(0.02)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "shared", [True, pytest.param(False, marks=pytest.mark.rare)], ids=["shared-store", "independent"]
)
def test_the_active_broker_is_killed_under_load(shared: bool, tmp_path: Path, record_property: object) -> None:
    """Twice, so that both brokers are once the one that dies and once the one that takes over."""
    with pair(tmp_path, shared=shared) as two:
        first, second = two.brokers
        assert first.accepting
        assert second.accepting is not shared
        load, took = Load(two.testbed), list[str]()

        async def kills() -> None:
            for dies, stays in ((first, second), (second, first)):
                await load.some(60)
                await asyncio.to_thread(dies.kill)
                query_s, order_s = await load.back_after(time.monotonic())
                took.append(f"queries after {query_s:.1f} s, orders after {order_s:.1f} s")
                await load.some(60)
                await asyncio.to_thread(dies.start)
                assert stays.accepting
                assert dies.accepting is not shared
            await load.some(60)

        async def run() -> None:
            await load.run(asyncio.ensure_future(kills()))

        asyncio.run(run())
        assert_reconciled(two.testbed, set(load.accepted.values()))
        for place in range(2):
            if two.brokers[place].accepting:
                eventually(partial(two.empty, place, "bridge.command.main"), PATIENCE, "an empty queue")
        print(f"{len(load.accepted)} orders, {len(load.answered)} queries; back: {'; '.join(took)}; {load.unanswered}")


@pytest.mark.timeout(900)
def test_what_a_dead_broker_had_is_sent_again_and_its_old_copies_do_no_harm(tmp_path: Path) -> None:
    with pair(tmp_path, shared=False) as two, client(two.testbed) as http:
        testbed, (first, second) = two.testbed, two.brokers

        def order() -> str:
            headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"}
            return str(http.post("/v1/work-order", json=work_order(), headers=headers).json()["request_id"])

        def done(ids: set[str]) -> bool:
            return {http.get(f"/v1/requests/{id}").json()["status"] for id in ids} == {"succeeded"}

        # On the first broker's disk, and nobody has taken them, when it dies.
        testbed.stop("bridge")
        ids = {order() for _ in range(20)}
        eventually(lambda: two.depth(0, "bridge.command.main") > 0, PATIENCE, "the orders on the first broker")
        first.kill()
        testbed.start("bridge")
        eventually(lambda: done(ids), PATIENCE, "the orders' second way")
        # The first comes back with the copies it had; they are taken, known by their ids, and gone.
        first.start()
        eventually(lambda: two.depth(0, "bridge.command.main") == 0, PATIENCE, "the old copies' end")
        assert_reconciled(testbed, ids)

        # A front that starts now sends by the first broker again, while the bridge's replies go by the second.
        testbed.stop("front")
        testbed.start("front")
        two.until_ready()
        ids |= {order() for _ in range(20)}
        eventually(lambda: done(ids), PATIENCE, "orders across two brokers")
        assert arrears(http).status_code == 200
        assert_reconciled(testbed, ids)
        # And the other way round: the bridge is new, the front is where it was.
        second.kill()
        two.until_ready()
        second.start()
        testbed.stop("bridge")
        testbed.start("bridge")
        two.until_ready()
        ids |= {order() for _ in range(20)}
        eventually(lambda: done(ids), PATIENCE, "orders across two brokers")
        assert_reconciled(testbed, ids)

"""`kill -9` in the middle of 500 work orders: every accepted one is applied exactly once.

Three records are reconciled: what the callers were told, what the front says afterwards, and the marketing system's
own journal, which counts every effect (its interface is deliberately not idempotent). One testbed for all, and all its
orders are reconciled after each storm.
"""

import asyncio
import uuid
from collections.abc import Iterator

import httpx
import pytest

from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import (
    ACCOUNT,
    ACCOUNTS,
    FINAL,
    LOOPBACK,
    PLAIN,
    assert_reconciled,
    eventually,
    journal,
    running_testbed,
    work_order,
)

ORDERS = 500
CALLERS = 16
QUICK = {
    "dmz_front": {"delivery.resend_after_s": 3, "delivery.sweep_s": 0.5},
    "intranet_bridge": {"operations.work-order.settle_s": 1.0},
}
"""Patience shortened so that recovery is quick to see; the promises do not depend on it."""


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    with running_testbed(tmp_path_factory.mktemp("kill"), settings=QUICK) as testbed:
        yield testbed


@pytest.fixture(scope="module")
def orders() -> set[str]:
    """The request ids of all storms' orders by now."""
    return set()


async def submit(http: httpx.AsyncClient, key: str, number: int) -> str:
    """Submit one order as a careful application does: the same key again until it is accepted. Its request id."""
    order = work_order(f"第{number}单", account=ACCOUNTS[number % len(ACCOUNTS)])
    for _ in range(400):
        try:
            answer = await http.post("/v1/work-order", json=order, headers={"Idempotency-Key": key, "Prefer": "wait=1"})
        except httpx.TransportError:
            await asyncio.sleep(0.1)
            continue
        if answer.status_code in (200, 202):
            return str(answer.json()["request_id"])
        assert answer.status_code in (409, 429, 503), answer.text
        await asyncio.sleep(0.1)
    pytest.fail(f"order {number} was not accepted")


async def storm(testbed: Testbed, victims: list[str]) -> dict[str, str]:
    """500 orders from 16 callers; each victim is killed and started again along the way. Key → request id."""
    keys = [f"order-{uuid.uuid4()}" for _ in range(ORDERS)]
    accepted: dict[str, str] = {}
    todo = list(enumerate(keys))

    async def caller(http: httpx.AsyncClient) -> None:
        while todo:
            number, key = todo.pop()
            accepted[key] = await submit(http, key, number)

    async def havoc() -> None:
        for turn, part in enumerate(victims, 1):
            while len(accepted) < ORDERS * turn // (len(victims) + 1):  # noqa: ASYNC110 - a dict tells nobody
                await asyncio.sleep(0.01)
            await asyncio.to_thread(testbed.kill, part)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(testbed.start, part)

    headers = {"Authorization": f"Bearer {testbed.app_key}"}
    limits = httpx.Limits(max_connections=CALLERS)
    async with httpx.AsyncClient(
        base_url=testbed.front_url, headers=headers, timeout=15, trust_env=False, verify=PLAIN, limits=limits
    ) as http:
        await asyncio.gather(havoc(), *(caller(http) for _ in range(CALLERS)))
    return accepted


@pytest.mark.parametrize(
    "victims",
    [
        *(pytest.param([one], marks=pytest.mark.rare) for one in ("front", "bridge", "marketing")),
        ["broker"],
        ["bridge", "front", "broker", "bridge"],
    ],
    ids="+".join,
)
def test_every_accepted_order_is_applied_exactly_once(testbed: Testbed, orders: set[str], victims: list[str]) -> None:
    accepted = asyncio.run(storm(testbed, victims))
    assert len(accepted) == ORDERS
    ids, before = set(accepted.values()), set(orders)
    orders |= ids
    assert len(ids - before) == ORDERS
    assert_reconciled(testbed, ids, before=before)


def test_a_marketing_system_that_dies_after_applying(testbed: Testbed, orders: set[str]) -> None:
    """The hardest case for a caller: done, but the answer is lost. The bridge asks before it repeats."""
    httpx.put(f"{testbed.marketing_url}/faults", json={"die_after_applying": 1}, **LOOPBACK).raise_for_status()
    headers = {"Authorization": f"Bearer {testbed.app_key}", "Idempotency-Key": "dies", "Prefer": "respond-async"}
    with httpx.Client(base_url=testbed.front_url, headers=headers, **LOOPBACK) as http:
        id = http.post("/v1/work-order", json=work_order("最难的一单", account=ACCOUNT)).json()["request_id"]
        eventually(lambda: not testbed.running("marketing"), what="the marketing system's death")
        testbed.start("marketing")
        told = eventually(
            lambda: (status := http.get(f"/v1/requests/{id}").json())["status"] in FINAL and status,
            what="the outcome",
        )
    assert told["status"] == "succeeded"
    assert told["result"]["work_order"]
    assert [entry["applied"] for entry in journal(testbed, id)] == [1]
    assert_reconciled(testbed, {id}, before=orders)

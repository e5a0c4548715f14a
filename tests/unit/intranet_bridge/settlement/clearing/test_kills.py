"""A bridge that dies while a person signs a sheet, pays it out, sees it arrive or says what its difference is: what is
not committed is said once more, what is committed is there, and the books have each of it once.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from intranet_bridge.settlement.clearing.sheets import NotCleared
from protocol.runtime.crash_points import Point
from tests.unit.forked import dies_at
from tests.unit.intranet_bridge.settlement.clearing.world import NEXT, World, pay, world

SHEET = "power.wechat.20261124"
ACTS: tuple[tuple[str, Callable[[World], Awaitable[object]]], ...] = (
    ("signed", lambda at: at.clearing.approve(SHEET, "wang")),
    ("approved", lambda at: at.clearing.approve(SHEET, "li")),
    ("paid-out", lambda at: at.clearing.paid_out(SHEET, "wang")),
    ("short", lambda at: at.clearing.arrived(SHEET, 1_000_000, "B1", NEXT, "wang")),
    ("said", lambda at: at.clearing.adjust(SHEET, "channel", "the bank keeps it", "wang")),
    ("closed", lambda at: at.clearing.adjust(SHEET, "channel", "the bank keeps it", "li")),
)
"""All that people do with it, in this order: its net is 20,000.00 yuan, and half of it does not arrive."""
BOOKS = {"channel:wechat": 0, "company:power": 0, "transit:power": 0}


async def ready(url: str) -> None:
    async with world(url) as at:
        await at.statement([pay("T1", 2_000_000)])
        await at.look()
        await at.look()


async def done(url: str, acts: slice) -> None:
    async with world(url) as at:
        for _, act in ACTS[acts]:
            await act(at)


async def books(url: str) -> tuple[dict[str, int], str, list[str]]:
    async with world(url) as at:
        await at.whole()
        acts = [act for _, act, _, _ in (await at.clearing.sheet(SHEET)).acts]
        return await at.balances(), (await at.sheets())[SHEET].state, acts


@pytest.mark.parametrize("point", [Point.BRIDGE_SHEET_UNCOMMITTED, Point.BRIDGE_SHEET_COMMITTED])
@pytest.mark.parametrize("number", range(len(ACTS)), ids=[name for name, _ in ACTS])
def test_kills(point: str, number: int, database_url: str) -> None:
    if database_url.startswith("postgresql") and point == Point.BRIDGE_SHEET_COMMITTED:
        pytest.skip("what is committed is so in either")
    asyncio.run(ready(database_url))
    asyncio.run(done(database_url, slice(number)))
    dies_at(point, lambda: done(database_url, slice(number, number + 1)))
    again = slice(number, number + 1)
    if point == Point.BRIDGE_SHEET_UNCOMMITTED or ACTS[number][0] == "short":  # the bank's row is known by its number
        asyncio.run(done(database_url, again))
    else:
        before = asyncio.run(books(database_url))
        with pytest.raises(NotCleared):
            asyncio.run(done(database_url, again))
        assert asyncio.run(books(database_url)) == before
    asyncio.run(done(database_url, slice(number + 1, len(ACTS))))
    balances, state, acts = asyncio.run(books(database_url))
    assert {name: balances.get(name, 0) for name in BOOKS} == {
        "channel:wechat": 0, "company:power": 0, "transit:power": 0,
    }  # fmt: skip
    assert state == "closed"
    assert acts == ["computed", "signed", "approve", "pay-out", "arrive-short", "difference", "adjust"]

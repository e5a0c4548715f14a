"""Orders of ours beside statements: a payment that a channel has is proof, and so is a refund nobody asked us for."""

from dataclasses import replace

import pytest

from intranet_bridge.settlement.payments.orders import Line, Order
from intranet_bridge.settlement.payments.records import Made, create, load
from intranet_bridge.settlement.rows import BOOKS
from protocol.lifecycle import State
from protocol.operations.orders import LineState, OrderState
from protocol.runtime.books import balances
from tests.unit.intranet_bridge.settlement.statements.desks import DAY, Desk, booked, desk

pytestmark = pytest.mark.anyio
NUMBER, T1, T2 = "06AZ3KQ8YV7N2M4X6R9S1T5W0B", "2026112422001400000000000001", "2026112422001400000000000002"
ACCOUNT = "3210000000001"


async def ordered(at: Desk, state: OrderState = OrderState.PAYING, line: LineState = LineState.OPEN) -> None:
    lines = (Line(1, "power-yunhe", ACCOUNT, 5000, ("2026-10",), line),)
    order = Order(NUMBER, "alipay", lines, state=state, expires_at=at.now)
    await at.store.write(lambda connection: create(connection, order, Made("r1", "wechat", "", ()), at.now))


async def states(at: Desk) -> tuple[OrderState, LineState]:
    stored = await at.store.read(lambda connection: load(connection, NUMBER, at.now, lock=False))
    assert stored is not None
    return stored.order.state, stored.order.lines[0].state


async def left(at: Desk) -> dict[str, int]:
    found = await at.store.read(lambda connection: balances(connection, BOOKS, "", None))
    return {name: fen for name, fen in found.items() if fen}


async def test_a_statement_is_proof_for_an_order(database_url: str) -> None:
    """Its write-off is the order's own: whatever comes later of it, the channel's notification too, finds it paid."""
    async with desk(database_url) as at:
        await ordered(at)
        await at.statement(DAY, (T1, NUMBER, "pay", 5000, "08:00:00"))
        assert await at.given() == [f"{NUMBER}-1"]
        assert await states(at) == (OrderState.WRITING_OFF, LineState.OPEN)
        assert await at.items() == {f"{T1}/pay": ("platform-only", "done")}
        assert await left(at) == {"channel:alipay": 5000, f"order:{NUMBER}": -5000}
        [run] = await at.books.runs()
        await at.books.rerun(run.file, "wang")
        await at.loop.look()
        assert await at.given() == [f"{NUMBER}-1"]


async def test_a_payment_of_another_amount_writes_nothing_off(database_url: str) -> None:
    async with desk(database_url) as at:
        await ordered(at)
        await at.statement(DAY, (T1, NUMBER, "pay", 4000, "08:00:00"))
        assert await at.items() == {f"{T1}/pay": ("amount-differs", "held")}
        assert (await at.given(), await states(at)) == ([], (OrderState.PAYING, LineState.OPEN))


async def test_a_refund_that_nobody_asked_us_for_is_reversed_and_booked(database_url: str) -> None:
    async with desk(database_url) as at:
        await ordered(at)
        await at.statement(DAY, (T1, NUMBER, "pay", 5000, "08:00:00"))
        await at.own_outcome(f"{NUMBER}-1", State.SUCCEEDED)
        assert await states(at) == (OrderState.COMPLETED, LineState.WRITTEN_OFF)
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:00")]
        await at.statement(DAY.replace(day=25), (T1, NUMBER, "CONSOLE-1", 5000, "09:00:00"))
        reversal = f"recon:alipay:{T1}:refund:all"
        assert await at.given() == sorted([f"{NUMBER}-1", reversal])
        await at.outcome(reversal, State.SUCCEEDED)
        assert (await states(at))[1] is LineState.REFUNDED
        assert await left(at) == {}
        assert (await at.items())[f"{T1}/refund"] == ("refund-not-reversed", "done")


async def test_a_combined_payment_has_a_transaction_for_each_line(database_url: str) -> None:
    """What the channel calls by the line's name is the line's; together they prove the order."""
    async with desk(database_url) as at:
        lines = tuple(Line(n, "power-yunhe", ACCOUNT[:-1] + str(n), 5000, (f"2026-1{n}",)) for n in (1, 2))
        order = Order(NUMBER, "alipay", lines, state=OrderState.PAYING, expires_at=at.now)
        await at.store.write(lambda connection: create(connection, order, Made("r1", "wechat", "", ()), at.now))
        paid = ((T1, f"{NUMBER}-1", "pay", 5000, "08:00:00"), (T2, f"{NUMBER}-2", "pay", 5000, "08:00:00"))
        await at.statement(DAY, *paid)
        assert await at.given() == [f"{NUMBER}-1", f"{NUMBER}-2"]
        assert sorted((await at.items()).values()) == [("platform-only", "done"), ("platform-only", "open")]
        at.marketing.rows = [
            replace(booked(T1, 5000, "2026-11-24T08:00:00"), line=1, account=lines[0].account),
            replace(booked(T2, 5000, "2026-11-24T08:00:00"), line=2, account=lines[1].account),
        ]
        await at.statement(DAY.replace(day=25))
        assert set((await at.items()).values()) == {("platform-only", "done")}

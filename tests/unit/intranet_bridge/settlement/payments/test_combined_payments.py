"""Combined payments: one transaction a line, each refunded by itself; all, some, killed between two."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError, IntegrityError

from intranet_bridge.settlement.clearing.books import surplus
from intranet_bridge.settlement.clearing.counting import Row
from intranet_bridge.settlement.payments import records
from intranet_bridge.settlement.payments.rows import REFUNDS
from intranet_bridge.settlement.statements.profiles import Kind, Status
from protocol.errors import BridgeError
from tests.unit.intranet_bridge.settlement.payments.world import CASH, WATER, Killed, Reaper, expired, states

pytestmark = pytest.mark.anyio
OF_LINES = {1: 12_345, 2: 6789, 3: 866}
"""What each part of a combined payment brings, in fen, where there are no coupons."""


def back(order: Any) -> list[tuple[str, str, int]]:
    """Each refund of an order: what it is called after the order's number, of which transaction, how much."""
    return [(one.refund.removeprefix(order.order), one.transaction, one.cash) for one in order.refunds]


async def test_a_combined_payment_too_many_goes_back_part_by_part(make: Callable[..., Any]) -> None:
    """Each part on its own transaction: no channel gives back on one what another brought."""
    async with make() as at:
        order = await at.paying()
        assert await at.combined(order.order, OF_LINES) == "paid"
        assert await at.combined(order.order, OF_LINES, "a", "alipay") == "surplus"
        assert await at.combined(order.order, OF_LINES, "a", "alipay") == "repeated"
        await at.run()
        waiting = await at.order(order.order)
        assert (waiting.state, back(waiting)) == (
            "completed", [("-0-R1", "a1", 12_345), ("-0-R2", "a2", 6789), ("-0-R3", "a3", 866)],
        )  # fmt: skip
        # clearing is told of each transaction that there is one too many
        rows = [Row("F", n, Kind.PAY, f"a{n}", "", "", fen, fen, 0, Status.PROVEN) for n, fen in OF_LINES.items()]
        assert await at.store.read(lambda connection: surplus(connection, "alipay", rows)) == {"a1", "a2", "a3"}
        first, second, third = waiting.refunds
        await at.prove(first)
        for said in ("sent", "failed", "sent"):  # the channel refuses one, and takes it when it is asked once more
            assert (await at.ask("refund-confirm", refund=second.refund, said=said)).state == said
        assert [one.state for one in (await at.order(order.order)).refunds] == ["proven", "sent", "requested"]
        assert (await at.left())["refund:alipay"] == -7655
        await at.prove(third)
        await at.prove(second)
        assert {name for name in await at.left() if not name.startswith("company:")} == {"channel:wechat"}


async def test_a_combined_payment_of_another_amount_goes_back_part_by_part(make: Callable[..., Any]) -> None:
    """The order has ended when all of it is back, not before."""
    async with make() as at:
        order = await at.paying()
        assert await at.combined(order.order, OF_LINES | {2: 6788}) == "amount-mismatch"
        await at.run()
        await at.told("orders-settle", order=order.order, verdict="give-back", note="seen at the channel")
        with pytest.raises(BridgeError, match="under way"):
            await at.told("orders-settle", order=order.order, verdict="give-back", note="seen at the channel")
        waiting = await at.order(order.order)
        assert back(waiting) == [("-0-R1", "t1", 12_345), ("-0-R2", "t2", 6788), ("-0-R3", "t3", 866)]
        for refund in waiting.refunds:
            assert (await at.order(order.order)).state == "held"
            await at.prove(refund)
        assert (await at.order(order.order)).state == "completed-with-refunds"
        assert await at.left() == {}


@pytest.mark.parametrize("late", [True, False])
async def test_lines_of_a_combined_payment_go_back_each_on_its_own(make: Callable[..., Any], late: bool) -> None:
    """All of them: refused by their companies, or paid too late."""
    async with make() as at:
        order = await expired(at) if late else await at.paying()
        if late:
            at.companies.owed[WATER] = 0
        else:
            at.companies.outcomes |= {f"{order.order}-{line}": ["bill-not-open"] for line in OF_LINES}
        await at.combined(order.order, dict(reversed(OF_LINES.items())))  # in whichever order the channel names them
        await at.run()
        waiting = await at.order(order.order)
        assert back(waiting) == [(f"-{line}-R1", f"t{line}", fen) for line, fen in OF_LINES.items()]
        one, *others = waiting.refunds
        assert (await at.ask("refund-confirm", refund=one.refund, said="failed")).state == "failed"
        for refund in others:
            await at.prove(refund)
        await at.run()
        assert states(await at.order(order.order)) == ["refunding", "refunded", "refunded"]
        again = await at.ask("refund-request", order=order.order, line=1)
        assert (again.refund.refund, again.refund.state) == (one.refund, "requested")
        await at.prove(one)
        await at.run()
        assert (await at.order(order.order)).state == "completed-with-refunds"
        assert await at.left() == {}


async def test_what_the_database_refuses_of_a_transaction(make: Callable[..., Any]) -> None:
    """A second refund of all of one in flight, and more than one brought, though the payment brought as much."""
    async with make() as at:
        order = await at.paying()
        await at.combined(order.order, OF_LINES)
        await at.combined(order.order, OF_LINES, "a", "alipay")
        await at.run()
        row = {
            "number": "X", "order_no": order.order, "line": 0, "payment": 1, "channel": "wechat",
            "transaction_no": "t3", "cash": 866, "state": "requested", "statements": 0, "requested_at": 1,
            "updated_at": 1,
        }  # fmt: skip

        def insert(**more: Any) -> Any:
            return at.store.write(lambda connection: connection.execute(REFUNDS.insert(), row | more))

        for more in ({"cash": 867}, {"line": 3, "cash": 867}, {"transaction_no": "a3", "payment": 1}):
            with pytest.raises(DBAPIError, match="more would be refunded of a transaction"):
                await insert(**more)
        await insert(cash=866 - 1)
        with pytest.raises(IntegrityError):
            await insert(number="Y", cash=1)
        with pytest.raises(DBAPIError, match="more would be refunded of a transaction"):
            await at.store.write(
                lambda connection: connection.execute(
                    update(REFUNDS).where(REFUNDS.c.number == "X").values(transaction_no="a3", payment=2)
                )
            )


@pytest.mark.parametrize("times", [2, 3, 5])
async def test_a_kill_between_two_refunds_of_a_payment(
    make: Callable[..., Any], times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same refunds are there after it, once; in the second payment's, or in those of its refused lines."""
    reaper = Reaper("bridge.refund-uncommitted")
    monkeypatch.setattr(records, "reach", reaper.reach)
    async with make() as at:
        order = await at.paying()
        at.companies.outcomes |= {f"{order.order}-{line}": ["bill-not-open"] for line in OF_LINES}
        await at.combined(order.order, OF_LINES)
        reaper.left = times
        for work in (lambda: at.combined(order.order, OF_LINES, "a", "alipay"), at.run):
            try:
                await work()
            except Killed:
                reaper.dead = False
                await at.restarted()
                await work()
        assert reaper.left <= 0, "it was not killed"
        await at.run()
        found = await at.order(order.order)
        assert sorted(back(found)) == sorted(
            [(f"-0-R{line}", f"a{line}", fen) for line, fen in OF_LINES.items()]
            + [(f"-{line}-R1", f"t{line}", fen) for line, fen in OF_LINES.items()]
        )
        assert (await at.left()) == {
            "channel:alipay": CASH, "channel:wechat": CASH, "refund:alipay": -CASH, "refund:wechat": -CASH,
        }  # fmt: skip
        for refund in found.refunds:
            await at.prove(refund)
        await at.run()
        assert (await at.left(), (await at.order(order.order)).state) == ({}, "completed-with-refunds")

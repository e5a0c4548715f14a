"""Refunds that statements prove, and those that none does."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from intranet_bridge.settlement.payments.rows import REFUNDS
from tests.unit.intranet_bridge.settlement.payments.world import CASH

pytestmark = pytest.mark.anyio


async def test_statements_prove_refunds_and_are_counted_for_the_others(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.paying()
        at.companies.outcomes |= {f"{order.order}-{line}": ["bill-not-open"] for line in (1, 2, 3)}
        await at.confirm(order.order, CASH)
        await at.run()
        refunds = (await at.order(order.order)).refunds
        at.clock.now += 1000
        row = {"channel": "wechat", "transaction_no": "t1", "gross": refunds[0].cash, "refund_no": refunds[0].refund}
        await at.statement("F1", row, {**row, "refund_no": refunds[1].refund})  # of another amount
        await at.statement("F2", {**row, "refund_no": refunds[2].refund, "gross": refunds[2].cash}, state="refused")
        assert await at.payments._looking.statements() == 1
        assert await at.payments._looking.statements() == 0
        found = await at.order(order.order)
        assert [one.state for one in found.refunds] == ["proven", "requested", "requested"]
        counted = await at.store.read(
            lambda connection: connection.execute(select(REFUNDS.c.statements)).scalars().all()
        )
        assert sorted(counted) == [0, 1, 1]


async def test_statements_prove_what_went_back_whole_whatever_they_call_it(make: Callable[..., Any]) -> None:
    """By parts, and where two statements have the same row; as long as something is left of it, nothing is proven."""
    async with make() as at:
        order = await at.paying()
        at.companies.outcomes |= {f"{order.order}-{line}": ["bill-not-open"] for line in (1, 2, 3)}
        await at.confirm(order.order, CASH)
        await at.run()
        at.clock.now += 1000
        desk = {"transaction_no": "t1", "gross": CASH - 866, "refund_no": "DESK-1"}
        await at.statement("F1", desk)
        await at.statement("F2", desk)  # the fund statement has it too
        await at.statement("F3", {"transaction_no": "t2", "gross": CASH, "refund_no": "DESK-2"})
        assert await at.payments._looking.statements() == 0
        await at.statement("F4", {"transaction_no": "t1", "gross": 866, "refund_no": ""})
        assert await at.payments._looking.statements() == 3
        done = await at.order(order.order)
        assert (done.state, await at.left()) == ("completed-with-refunds", {})


async def test_a_refund_that_a_statement_has_before_it_is_asked_for_is_proven_at_once(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.paying()
        await at.confirm(order.order, CASH)
        await at.run()
        await at.statement("F1", {"transaction_no": "t2", "gross": CASH, "refund_no": "DESK-1"})
        assert await at.confirm(order.order, CASH, "t2") == "surplus"
        (refund,) = (await at.order(order.order)).refunds
        assert (refund.transaction, refund.state) == ("t2", "proven")
        assert not any(name.startswith("refund:") for name in await at.left())


async def test_a_refund_that_three_statements_do_not_prove_is_reported(make: Callable[..., Any]) -> None:
    async with make() as at:
        order = await at.paying()
        at.companies.outcomes[f"{order.order}-2"] = ["bill-not-open"]
        await at.confirm(order.order, CASH)
        await at.run()
        for day in range(3):
            assert (await at.payments.desk.report()).unproven == ()
            at.clock.now += 86_400_000
            await at.statement(f"F{day}", {"transaction_no": "other", "gross": 1, "refund_no": "other"})
            await at.payments._looking.statements()
        report = await at.payments.desk.report()
        assert (report.unproven, report.unproven_fen) == ((f"{order.order}-2-R1",), 6789)
        await at.payments._count()
        waiting = {
            labels["state"]: value
            for name, _, labels, value in at.payments.samples()
            if name == "intranet_bridge_payment_orders_waiting"
        }
        assert waiting == {"held": 0, "refund-unproven": 1}

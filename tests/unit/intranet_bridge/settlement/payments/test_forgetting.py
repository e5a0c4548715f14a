"""What is forgotten of payment orders, and what never is."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.schema import Table

from intranet_bridge.marketing import Refused
from intranet_bridge.settlement.payments import forgetting
from intranet_bridge.settlement.payments.rows import (
    BILLS,
    LINES,
    ORDERS,
    PARTS,
    PAYMENTS,
    REFUNDS,
    TRANSACTIONS,
)
from protocol.keyring import Keyring
from protocol.lifecycle import State
from tests.unit.intranet_bridge.settlement.payments.world import GAS, POWER, WATER, World, world

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000
COUPON = {"id": "CP0001", "kind": "coupon", "funder": "bank", "amount": 100}
TABLES = (BILLS, LINES, ORDERS, PARTS, PAYMENTS, REFUNDS, TRANSACTIONS)


async def rows_of(at: World, number: str) -> int:
    def count(connection: Any) -> int:
        def of(table: Table) -> Any:
            return table.c.number if table is ORDERS else table.c.order_no

        return sum(len(connection.execute(select(table).where(of(table) == number)).all()) for table in TABLES)

    return await at.store.read(count)


async def paid(at: World, company: str, account: str, transaction: str, **more: Any) -> Any:
    order = await at.paying(lines=[(company, account)], **more)
    await at.confirm(order.order, order.cash, transaction)
    await at.run()
    return order


async def test_ended_orders_are_forgotten_and_the_ledger_stays(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path, keep_days=400) as at:
        done = await paid(at, "power", POWER, "t1", parts=(COUPON,))
        refunded = await at.paying(lines=[("water", WATER)])
        at.companies.outcomes[f"{refunded.order}-1"] = ["bill-not-open"]
        await at.confirm(refunded.order, refunded.cash, "t2")
        await at.run()
        await at.prove((await at.order(refunded.order)).refunds[0])
        expired = await at.paying(lines=[("gas", GAS)])
        at.clock.now += 900_000
        await at.run()
        gone = [done.order, refunded.order, expired.order]
        assert [str((await at.order(number)).state) for number in gone] == [
            "completed", "completed-with-refunds", "expired",
        ]  # fmt: skip
        books = await at.left()
        at.clock.now += 400 * DAY_MS - 900_000
        await at.payments.forget(0)
        assert [await rows_of(at, number) > 0 for number in gone] == [True] * 3
        at.clock.now += 900_001
        await at.payments.forget(0)
        assert [await rows_of(at, number) for number in gone] == [0, 0, 0]
        assert await at.ask("payment-order", order=done.order) == Refused("no-such-order")
        assert await at.left() == books


async def test_what_somebody_has_yet_to_do_something_about_is_never_forgotten(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as at:
        kept: dict[str, str] = {}
        order = await at.paying(lines=[("power", POWER)])
        at.companies.outcomes[f"{order.order}-1"] = [State.HELD]
        await at.confirm(order.order, order.cash, "t1")
        await at.run()
        kept[order.order] = "held"
        order = await at.paying(lines=[("water", WATER)])
        at.companies.outcomes[f"{order.order}-1"] = ["bill-not-open"]
        await at.confirm(order.order, order.cash, "t2")
        await at.run()
        kept[order.order] = "writing-off"
        order = await paid(at, "gas", GAS, "t3")
        await at.confirm(order.order, order.cash, "t4")  # a second payment, whose refund nobody has proven
        await at.run()
        kept[order.order] = "completed"
        order = await paid(at, "gas", GAS, "t5")
        at.companies.outcomes[f"{order.order}-1-X"] = [State.HELD]  # whether it is reversed nobody knows
        await at.ask("refund-request", order=order.order, line=1)
        await at.run()
        kept[order.order] = "completed"
        order = await paid(at, "gas", GAS, "t6", parts=(COUPON,))
        unresolved = update(PARTS).where(PARTS.c.order_no == order.order).values(code="x", state="reserved")
        await at.store.write(lambda connection: connection.execute(unresolved))
        kept[order.order] = "completed"
        order = await paid(at, "gas", GAS, "t8")
        held = update(ORDERS).where(ORDERS.c.number == order.order).values(state="held")
        await at.store.write(lambda connection: connection.execute(held))
        kept[order.order] = "held"
        order = await paid(at, "gas", GAS, "t7")
        at.clock.now += 900_000
        await at.run()
        over = at.clock.now
        at.clock.now += 4000 * DAY_MS
        await at.payments.forget(0)
        assert {number: str((await at.order(number)).state) for number in kept} == kept
        assert await rows_of(at, order.order) == 0
        number = next(iter(kept))
        values = {"state": "completed", "due_at": None, "updated_at": over}
        ended = update(ORDERS).where(ORDERS.c.number == number).values(values)
        await at.store.write(lambda connection: connection.execute(ended))
        forgotten = await at.store.read(lambda connection: forgetting.old(connection, at.clock.now))
        assert number not in forgotten  # its account has money on it, and its write-off is under way


async def test_what_changes_while_it_is_looked_at_stays(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as at:
        order = await paid(at, "gas", GAS, "t1")
        at.clock.now += 4000 * DAY_MS
        assert await at.store.read(lambda connection: forgetting.old(connection, at.clock.now)) == [order.order]
        await at.ask("refund-request", order=order.order, line=1)
        gone = await at.store.write(lambda connection: forgetting.forget(connection, [order.order, "x"], at.clock.now))
        assert (gone, (await at.order(order.order)).state) == ([0, 0], "completed")

"""A bill is paid by an order or charged by a bank, never both: who is first has it, on both databases."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from intranet_bridge.settlement.payments.orders import Line, LineEvent, Order, OrderEvent, OrderRefused, bills_judged
from intranet_bridge.settlement.payments.records import Made, Stored, bills_of, create, in_use, load
from intranet_bridge.settlement.withholding import records
from intranet_bridge.settlement.withholding.rows import LINES
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.operations.orders import OrderState
from protocol.runtime.store import Store
from tests.unit.intranet_bridge.settlement.withholding.world import BATCH, FIRST, World, at, world

pytestmark = pytest.mark.anyio
ACCOUNT, MONTH, BILL = FIRST[0][:3]


def order_of(number: str) -> Order:
    lines = (Line(1, "power", ACCOUNT, 5980, (MONTH,)), Line(2, "power", ACCOUNT, 100))
    return Order(number, "wechat", lines, state=OrderState.RESERVED, expires_at=at(30))


async def made(it: World, number: str = "ORDER1") -> None:
    await it.store.write(
        lambda connection: create(connection, order_of(number), Made(number, "app", "", ()), it.clock())
    )


def stored(connection: Connection, it: World, number: str = "ORDER1") -> Stored:
    found = load(connection, number, it.clock())
    assert found is not None
    return found


async def pays(it: World, number: str = "ORDER1") -> bool:
    """Its payer is sent to the channel, if its bills can be reserved."""

    def work(connection: Connection) -> bool:
        order = stored(connection, it, number)
        if taken := order.use_bills():
            order.move(OrderEvent.PAY)
        return taken

    return await it.store.write(work)


def refused(connection: Connection) -> str:
    """What a new order of the bill is told; empty: it is taken."""
    try:
        bills_judged(
            order_of("X"), {("power", ACCOUNT, MONTH): 5980}, in_use(connection, bills_of(order_of("X").lines))
        )
    except OrderRefused as error:
        return str(error)
    return ""


async def told(it: World) -> str:
    return await it.store.read(lambda connection: refused(connection))


async def test_a_bill_that_a_bank_is_asked_to_charge_is_in_no_order(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    """From the sealing on, without an answer or with one that is not settled; free again when the bank has refused."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await made(it)
        for bill in FIRST[:3]:
            await it.charge(bill)
        assert await told(it) == ""  # it waits: the batch may yet lose it
        it.clock.now = at(25, 6)
        await it.turn()
        assert ((await it.batch()).state, await told(it)) == ("sent", "bill-in-use, line 1")
        assert await pays(it) is False
        assert (await it.lines())[BILL].state == "requested"
        other = {("power", ACCOUNT, "2026-09"), ("power", FIRST[1][0], MONTH)}
        found = await it.store.read(lambda connection: in_use(connection, sorted(other)))
        assert set(found) == {("power", FIRST[1][0], MONTH)}
        for state, free in (("unanswered", False), ("charged", False), ("refused", True)):
            values = {"state": state, "ended_at": 1 if free else None}
            change = LINES.update().where(LINES.c.bill == BILL).values(values)
            await it.store.write(partial(Connection.execute, statement=change))
            assert (await told(it) == "") is free
        assert await pays(it) is True


async def test_a_bill_that_is_frozen_for_a_batch_is_in_no_order(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        it.marketing.freezes = True
        await made(it)
        await it.charge(FIRST[0])
        it.clock.now = at(25, 6)
        await it.part.look()
        assert ((await it.lines())[BILL].hold, await pays(it)) == ("asked", False)
        await it.commands.comes("D20261125000001-F", State.REFUSED, "bill-not-open")
        assert await pays(it) is True


@pytest.mark.parametrize("freezes", [True, False])
async def test_a_bill_that_is_being_paid_is_not_sent_to_the_bank(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path, freezes: bool
) -> None:
    """Nor frozen; the other lines go. What its order lets go is free for the next batch."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        it.marketing.freezes = freezes
        for bill in FIRST[:2]:
            await it.charge(bill)
        await made(it)
        assert await pays(it)
        it.clock.now = at(25, 6)
        await it.turn()
        if freezes:
            assert set(await it.commands.given("bill-freeze")) == {"D20261125000002-F"}
            await it.commands.comes("D20261125000002-F")
        await it.turn()
        await it.turn()
        assert await it.states() == {BILL: "dropped", FIRST[1][2]: "requested"}
        assert (await it.lines())[BILL].code == "bill-in-use"
        assert ((await it.batch()).state, (await it.batch()).count) == ("sent", 1)
        await it.store.write(lambda connection: stored(connection, it).move(OrderEvent.CANCEL))
        await it.charge(FIRST[0])
        it.clock.now = at(26, 6)
        it.marketing.freezes = False
        await it.turn()
        await it.turn()
        assert (await it.lines())[BILL].state == "requested"


async def test_a_bill_that_its_order_lets_go_unpaid_goes_with_the_banks_next_batch(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    """Nobody asks for it again: the customer's agreement stands. Not while the order has it, and not as a retry."""
    async with world(database_url, bridge_keyring, tmp_path, days=(25, 26, 28)) as it:
        for bill in FIRST[:2]:
            await it.charge(bill)
        await made(it)
        assert await pays(it)
        it.clock.now = at(25, 6)
        await it.turn()
        assert await it.states() == {BILL: "dropped", FIRST[1][2]: "requested"}
        it.clock.now = at(26, 4)
        await it.turn()
        assert await it.states() == {BILL: "dropped", FIRST[1][2]: "requested"}
        await it.store.write(lambda connection: stored(connection, it).move(OrderEvent.EXPIRE))
        it.clock.now = at(27, 4)
        await it.turn()
        again = (await it.lines())[BILL]
        assert (again.state, again.batch, again.id) == ("waiting", "SDDL-37101-20261128", "D20261128000001")
        assert (again.tries, again.first_day.day, again.amount) == (0, 28, FIRST[0][3])


@pytest.mark.parametrize("looked", ["never", "before"])
async def test_a_bill_that_an_order_has_written_off_is_not_sent_to_the_bank(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path, looked: str
) -> None:
    """Where nobody can be asked what is open, and where it was asked before the order paid; nor is it made again."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        for bill in FIRST[:2]:
            await it.charge(bill)
        if looked == "before":
            change = LINES.update().values(checked_at=it.clock.now)
            await it.store.write(partial(Connection.execute, statement=change))
        it.clock.now += 1000
        await made(it)
        assert await pays(it)

        def written_off(connection: Connection) -> None:
            order = stored(connection, it)
            order.line(1, LineEvent.APPLY)

        await it.store.write(written_off)
        it.clock.now = at(25, 6)
        await it.turn()
        await it.turn()
        assert await it.states() == {BILL: "dropped", FIRST[1][2]: "requested"}
        assert (await it.lines())[BILL].code == "bill-not-open"
        it.clock.now = at(26, 6)
        await it.turn()
        assert await it.states() == {BILL: "dropped", FIRST[1][2]: "requested"}


async def test_what_an_order_paid_before_its_company_was_asked_is_the_companys_to_say(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    """What is open of a month again, such as a correction, is charged."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await made(it)
        assert await pays(it)
        await it.store.write(lambda connection: stored(connection, it).line(1, LineEvent.APPLY))
        it.clock.now += 1000
        bill = {"account": ACCOUNT, "bill": BILL, "month": MONTH, "amount": 50, "penalty": 0, "due_on": "2026-11-25"}
        it.marketing.bills = [bill]
        await it.charge((ACCOUNT, MONTH, BILL, 50, 0, "1", FIRST[0][6]))
        it.clock.now = at(25, 6)
        await it.turn()
        await it.turn()
        assert ((await it.lines())[BILL].state, (await it.lines())[BILL].amount) == ("requested", 50)


async def test_an_order_and_a_batch_at_the_same_moment(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is written, and looks for orders while one is being reserved, not committed: it waits for that."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.charge(FIRST[0])
        await made(it)
        it.clock.now = at(25, 6)
        looking, reserved = asyncio.Event(), asyncio.Event()
        loop, seen = asyncio.get_running_loop(), records.being_paid
        sqlite = database_url.startswith("sqlite")

        def looks(connection: Connection, batch: str) -> Any:
            loop.call_soon_threadsafe(looking.set)
            return seen(connection, batch)

        monkeypatch.setattr(records, "being_paid", looks)

        def reserve(connection: Connection) -> bool:
            taken = stored(connection, it).use_bills()
            loop.call_soon_threadsafe(reserved.set)
            if not sqlite:  # there the batch could not begin to write
                asyncio.run_coroutine_threadsafe(looking.wait(), loop).result(60)
            return taken

        other = Store(database_url, lambda engine: None)
        await other.start()
        try:
            paying = asyncio.create_task(other.write(reserve))
            await reserved.wait()
            await it.part.look()
            assert await paying is True
        finally:
            await other.close()
        await it.turn()
        assert await it.states() == {BILL: "dropped"}


async def test_a_batch_and_an_order_at_the_same_moment(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch has looked, and is not committed, when an order reserves the bill: the order waits, and is refused."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.charge(FIRST[0])
        await made(it)
        it.clock.now = at(25, 6)
        loop, seen = asyncio.get_running_loop(), records.being_paid
        other = Store(database_url, lambda engine: None)
        watch = Store(database_url, lambda engine: None)
        for store in (other, watch):
            await store.start()
        paying: list[asyncio.Task[bool]] = []

        async def begun() -> None:
            """Until the order has its bill, or waits for it."""
            paying.append(asyncio.create_task(other.write(lambda connection: stored(connection, it).use_bills())))
            waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while not paying[0].done():
                if await watch.read(lambda connection: connection.execute(waits).scalar_one()):
                    return

        def looks(connection: Connection, batch: str) -> Any:
            found = seen(connection, batch)
            if not paying and not database_url.startswith("sqlite"):  # there nobody else writes meanwhile
                asyncio.run_coroutine_threadsafe(begun(), loop).result(60)
            return found

        monkeypatch.setattr(records, "being_paid", looks)
        try:
            await it.part.look()
            taken = await paying[0] if paying else await pays(it)
        finally:
            for store in (other, watch):
                await store.close()
        assert (taken, (await it.batch(BATCH)).state) == (False, "sealed")

"""A month's bill is issued again, under another number: it is charged once, and under the number that is open."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from intranet_bridge.marketing import Refused
from intranet_bridge.settlement.withholding.rows import ISSUED
from protocol.keyring import Keyring
from protocol.lifecycle import State
from tests.unit.intranet_bridge.settlement.withholding.world import BATCH, FIRST, World, at, world

pytestmark = pytest.mark.anyio
ACCOUNT, MONTH, OLD, AMOUNT, *_ = FIRST[0]
NEW = "R201B"
AGREED = {"account": ACCOUNT, "agreement": "WH000000000001", "bank": "ccb", "bank_account": "2088000000000013"}


def open_bill(bill: str, amount: int = AMOUNT) -> dict[str, Any]:
    return {
        "account": ACCOUNT, "bill": bill, "month": MONTH, "amount": amount, "penalty": 0, "due_on": "2026-11-25",
    }  # fmt: skip


async def issued(it: World, id: str, bill: str | None = None, amount: int = AMOUNT) -> None:
    number = {} if bill is None else {"bill": bill}
    await it.pushed(id, account=ACCOUNT, month=MONTH, amount_fen=amount, **number)
    await it.part.look()


async def answers(it: World, debited: str, flag: str) -> None:
    """The bank, of the one line that was sent."""
    (content,) = it.files.sent.values()
    header, row = content.decode("gb18030").splitlines()
    count, total, *rest = header.split("|")
    first = "|".join((count, total, flag, debited if flag == "1" else "0.00", *rest))
    answer = f"{first}\r\n{row}20261125|{debited}|{flag}||x|\r\n".encode("gb18030")
    await it.answered("SDDL_REDKKK_37101_20261125.txt", answer)


async def rows(it: World) -> dict[str, tuple[str, str]]:
    found = await it.store.read(lambda c: c.execute(select(ISSUED)).all())
    return {row.bill: (row.state, row.code) for row in found}


@pytest.mark.parametrize(("asked", "numbered"), [(True, True), (True, False), (False, True)])
async def test_what_waits_gives_way_to_it_at_once(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path, asked: bool, numbered: bool
) -> None:
    async with world(database_url, bridge_keyring, tmp_path, automatic=True, in_transit="0") as it:
        it.marketing.agreements = [AGREED]
        it.marketing.bills = [open_bill(OLD)] if asked else None
        await issued(it, "p1", OLD if numbered else None)
        it.marketing.bills = [open_bill(NEW, 4000)] if asked else None
        await issued(it, "p2", NEW if numbered else None, 4000)
        await issued(it, "p3", NEW if numbered else None, 4000)
        await issued(it, "p4", OLD if numbered else None)  # late
        lines = await it.lines()
        assert {bill: (one.state, one.code, one.amount) for bill, one in lines.items()} == {
            OLD: ("dropped", "bill-not-open", AMOUNT), NEW: ("waiting", "", 4000),
        }  # fmt: skip
        assert lines[NEW].batch == BATCH
        await it.sealed(())
        assert await it.states() == {OLD: "dropped", NEW: "requested"}
        assert (await it.batch()).total == 4000


async def test_who_takes_the_first_back_takes_back_what_came_in_its_place(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path, automatic=True) as it:
        made = await it.charge(FIRST[0])
        it.marketing.agreements = [AGREED]
        await issued(it, "p1", NEW)
        await it.ask("withholding-charge-cancel", account=ACCOUNT, line=made.line)
        assert await it.states() == {OLD: "dropped", NEW: "withdrawn"}


async def test_the_hold_on_the_month_is_kept_for_it(database_url: str, bridge_keyring: Keyring, tmp_path: Path) -> None:
    """One that has ended is not made again for the same batch."""
    async with world(database_url, bridge_keyring, tmp_path, automatic=True) as it:
        it.marketing.agreements, it.marketing.freezes = [AGREED], True
        await issued(it, "p1", OLD)
        it.clock.now = at(25, 6)
        await it.turn()
        assert (await it.lines())[OLD].hold == "asked"
        await issued(it, "p2", NEW)
        assert await it.states() == {OLD: "waiting"}  # its outcome comes at once
        await it.commands.comes("D20261125000001-F")
        await it.turn()
        lines = await it.lines()
        assert (lines[OLD].state, lines[OLD].hold) == ("dropped", "")
        assert (lines[NEW].state, lines[NEW].hold) == ("requested", "held")
        assert set(await it.commands.given()) == {"D20261125000001-F"}


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("charged", [True, False])
async def test_while_a_bank_is_asked_it_waits_for_what_becomes_of_that(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path, asked: bool, charged: bool
) -> None:
    async with world(database_url, bridge_keyring, tmp_path, automatic=True, retry_days=(3,), in_transit="0") as it:
        it.marketing.agreements = [AGREED]
        it.marketing.bills = [open_bill(OLD)] if asked else None
        await issued(it, "p1", OLD)
        await it.sealed(())
        it.marketing.bills = [open_bill(NEW)] if asked else None
        await issued(it, "p2", NEW)
        assert (await it.states(), await rows(it)) == ({OLD: "requested"}, {OLD: ("line", ""), NEW: ("waiting", "")})
        await answers(it, "58.60" if charged else "0.00", "1" if charged else "0")
        if charged:
            it.marketing.bills = [] if asked else None
            await it.commands.comes("D20261125000001", State.SUCCEEDED, payment="PY1")
            await it.turn()
            assert await it.states() == {OLD: "written-off"}
            assert (await rows(it))[NEW] == ("none", "bill-not-open")
            return
        assert await it.states() == {OLD: "refused", NEW: "waiting"}
        it.clock.now = at(28, 6)  # the retry of the first is due
        await it.turn()
        assert await it.states() == {OLD: "refused", NEW: "requested"}


async def test_a_retry_of_the_first_is_not_made_when_the_second_is_paid(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    days = (25, 26)
    async with world(
        database_url, bridge_keyring, tmp_path, automatic=True, retry_days=(5,), in_transit="0", days=days
    ) as it:
        it.marketing.agreements = [AGREED]
        await issued(it, "p1", OLD)
        await it.sealed(())
        await answers(it, "0.00", "0")
        await issued(it, "p2", NEW)
        line = (await it.lines())[NEW]
        await it.ask("withholding-charge-cancel", account=ACCOUNT, line=line.id)
        it.clock.now = at(1, 7, month=12)
        await it.turn()
        assert await it.states() == {OLD: "refused", NEW: "withdrawn"}


async def test_a_month_is_charged_once_under_whatever_number(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    """Its write-off names the month: that of a second charge could not be booked."""
    other = (ACCOUNT, MONTH, NEW, *FIRST[0][3:])
    async with (
        world(database_url, bridge_keyring, tmp_path) as it,
        world(database_url, bridge_keyring, tmp_path) as beside,
    ):
        both = await asyncio.gather(it.charge(FIRST[0], id="a"), beside.charge(other, id="b"))
        assert [one for one in both if isinstance(one, Refused)] == [Refused("bill-in-batch")]
        assert len(await it.lines()) == 1


async def test_a_command_for_the_bill_that_is_open_takes_the_place_of_what_waits(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    other = (ACCOUNT, MONTH, NEW, *FIRST[0][3:])
    async with world(database_url, bridge_keyring, tmp_path) as it:
        it.marketing.bills = [open_bill(OLD)]
        await it.charge(FIRST[0])
        it.marketing.bills = [open_bill(NEW)]
        made = await it.charge(other, id="b")
        assert (made.bill, made.batch) == (NEW, BATCH)
        assert await it.charge(other, id="b") == made
        assert await it.charge(other) == Refused("bill-in-batch")
        assert await it.states() == {OLD: "dropped", NEW: "waiting"}

"""What statements have done: given once under a key for ever, braked when it is much, resolved by people."""

import json
from datetime import date
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from intranet_bridge.settlement.rows import FILES, LINES
from intranet_bridge.settlement.statements.acting import OPERATIONS, NotActionable, command_id, commands_of
from intranet_bridge.settlement.statements.items import ItemState, NotResolved
from intranet_bridge.settlement.statements.life import NotInThisState
from intranet_bridge.settlement.statements.matching import Action
from intranet_bridge.settlement.statements.run_records import NotRun, RunState
from intranet_bridge.settlement_sections.statements import StatementFileSection
from protocol.lifecycle import State
from protocol.operations.payment import Reversal, Writeoff
from protocol.runtime.crash_points import Point
from tests.unit.forked import dies_at
from tests.unit.intranet_bridge.settlement.statements.desks import DAY, SECTION, Desk, booked, desk

pytestmark = pytest.mark.anyio
T1, T2 = "2026112422001400000000000001", "2026112422001400000000000002"
REVERSAL = f"recon:alipay:{T1}:refund:all"
WRITE_OFF = "recon:utility:DS20261124000003:pay:"
UTILITY = SECTION.model_copy(
    update={"files": {"dsdz": StatementFileSection(profile="utility-dsdz", company="power-yunhe")}}
)


async def refunded(at: Desk, day: date = DAY) -> None:
    at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:06")]
    await at.statement(day, (T1, "PO1", "pay", 5000, "08:00:00"), (T1, "PO1", "RF1", 5000, "09:00:00"))


async def paid_at_the_utility(at: Desk, *payments: tuple[str, int]) -> None:
    """A text statement that names accounts: what it has alone can be written off."""
    at.at(date(2026, 11, 25))
    rows = "".join(
        f"3210000000001|{serial}|20261124|{fen / 100:.2f}|1|3210000000001$B{n}$202610$#|\r\n"
        for n, (serial, fen) in enumerate(payments)
    )
    total = sum(fen for _, fen in payments) / 100
    at.crossed.add("SDDL_DSDZ_37101_20261124.txt", f"{total:.2f}|{len(payments)}|\r\n{rows}".encode(), "dsdz")
    await at.loop.look()


async def test_a_refund_is_reversed_once(database_url: str) -> None:
    async with desk(database_url) as at:
        await refunded(at)
        assert list(at.commands.recorded) == [REVERSAL]
        body = at.commands.recorded[REVERSAL].body
        assert isinstance(body, Reversal)
        assert (body.account, body.amount, body.refund, body.booked_on) == ("3210000000001", 5000, "RF1", "2026-11-25")
        assert body.paid_at == "2026-11-24T09:00:00+08:00"
        assert await at.items() == {f"{T1}/refund": ("refund-not-reversed", "acting")}
        await at.outcome(REVERSAL, State.SUCCEEDED)
        await at.outcome(REVERSAL, State.SUCCEEDED)
        assert await at.items() == {f"{T1}/refund": ("refund-not-reversed", "done")}
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:06", back=5000)]
        [run] = await at.books.runs()
        await at.books.rerun(run.file, "wang")
        await at.loop.look()
        assert list(at.commands.recorded) == [REVERSAL]


async def test_platform_only_keeps_penalty_date(database_url: str) -> None:
    async with desk(database_url, UTILITY) as at:
        await paid_at_the_utility(at, ("DS20261124000003", 12050))
        body = at.commands.recorded[WRITE_OFF].body
        assert isinstance(body, Writeoff)
        assert (body.amount, body.paid_at, body.booked_on) == (12050, "2026-11-24T00:00:00+08:00", "2026-11-25")
        await at.outcome(WRITE_OFF, State.SUCCEEDED)


async def test_without_an_account_it_is_held(database_url: str) -> None:
    async with desk(database_url) as at:
        await at.statement(DAY, (T1, "PO1", "pay", 5000, "08:00:00"))
        [item] = await at.books.items()
        assert (item.what, item.state, item.code) == ("platform-only", ItemState.HELD, "not-actionable")
        assert "whose account" in item.why
        assert at.commands.recorded == {}


async def test_refused_is_held_and_unknown_waits(database_url: str) -> None:
    async with desk(database_url) as at:
        await refunded(at)
        await at.outcome(REVERSAL, State.HELD)
        assert await at.items() == {f"{T1}/refund": ("refund-not-reversed", "acting")}
        await at.outcome(REVERSAL, State.REFUSED, "no-such-payment")
        [item] = await at.books.items()
        assert (item.state, item.code) == (ItemState.HELD, "no-such-payment")
        shown = await at.books.item(item.id)
        assert [(one.id, one.state) for one in shown.actions] == [(REVERSAL, "refused")]


async def test_brake_stops_wrong_file(database_url: str) -> None:
    async with desk(database_url, UTILITY) as at:
        await paid_at_the_utility(at, *((f"DS{n:014d}", 100) for n in range(21)))
        [run] = await at.books.runs()
        assert (run.state, run.actions, at.commands.recorded) == (RunState.NEEDS_APPROVAL, 21, {})
        await at.loop.look()
        assert at.commands.recorded == {}
        approved = await at.books.approve(run.id, "wang", "与平台核对无误")
        await at.loop.look()
        assert (approved.state, len(at.commands.recorded)) == (RunState.ACTING, 21)
        with pytest.raises(NotRun):
            await at.books.approve(run.id, "li", "x")


async def test_much_money_takes_two_people(database_url: str) -> None:
    async with desk(database_url, UTILITY) as at:
        await paid_at_the_utility(at, ("DS1", 5_000_001))
        [run] = await at.books.runs()
        assert run.state is RunState.NEEDS_APPROVAL
        assert (await at.books.approve(run.id, "wang", "一")).state is RunState.NEEDS_APPROVAL
        at.now += 1000
        for again in ("wang", "root (wang)"):
            with pytest.raises(NotResolved, match="two people"):
                await at.books.approve(run.id, again, "二")
        done = await at.books.approve(run.id, "li", "二")
        assert (done.state, [one.who for one in done.approvals]) == (RunState.ACTING, ["wang", "li"])


async def test_what_went_back_while_its_run_waited_is_not_written_off(database_url: str) -> None:
    """A braked run is approved after the next day's statement has the refund: to write off now would give it away."""
    both = SECTION.model_copy(update={"files": {**SECTION.files, **UTILITY.files}})
    async with desk(database_url, both) as at:
        await paid_at_the_utility(at, ("DS1", 5_000_001), ("DS2", 100))
        [run] = await at.books.runs()
        assert run.state is RunState.NEEDS_APPROVAL

        def came(connection) -> None:  # type: ignore[no-untyped-def]
            row = connection.execute(select(LINES).where(LINES.c.transaction_no == "DS1")).one()._mapping
            file = connection.execute(select(FILES).where(FILES.c.id == row["file"])).one()._mapping
            connection.execute(FILES.insert(), {**file, "id": "next", "name": "next", "state": "matched"})
            connection.execute(LINES.insert(), {**row, "file": "next", "kind": "refund", "refund_no": "R1"})

        await at.store.write(came)
        for who in ("wang", "li"):
            await at.books.approve(run.id, who, "seen")
            at.now += 1
        await at.loop.look()
        assert await at.given() == ["recon:utility:DS2:pay:"]
        assert await at.items() == {"DS1/pay": ("platform-only", "held"), "DS2/pay": ("platform-only", "acting")}
        [held] = await at.books.items(states=["held"])
        assert held.code == "refunded-already"


@pytest.mark.parametrize("action", [one for one in Action if one not in OPERATIONS])
def test_only_what_is_to_be_written_off_or_reversed_has_a_command(action: Action) -> None:
    """What an order, or a person, is to do is no write-off for want of another word."""
    item = SimpleNamespace(
        action=action, channel="alipay", transaction_no=T1, kind="pay", merchant="", whole=True, refunds="[]",
        steps=json.dumps([(1, "3210000000001", 5000)]), paid_at="2026-11-24T08:00:06+08:00",
    )  # fmt: skip
    with pytest.raises(NotActionable):
        commands_of(item, DAY)


async def test_a_run_of_a_file_that_was_replaced_does_not_act(database_url: str) -> None:
    async with desk(database_url, UTILITY) as at:
        await paid_at_the_utility(at, ("DS1", 5_000_001))
        [run] = await at.books.runs()
        await paid_at_the_utility(at, ("DS2", 100))
        [waits] = await at.books.waiting_files()
        await at.books.accept(waits.id, "wang")
        with pytest.raises(NotRun, match="counts no more"):
            await at.books.approve(run.id, "wang", "x")
        with pytest.raises(NotInThisState):
            await at.books.refuse(waits.id, "wang")
        await at.loop.look()
        assert list(at.commands.recorded) == ["recon:utility:DS2:pay:"]


async def test_a_run_whose_file_is_replaced_after_its_approval_does_not_act(database_url: str) -> None:
    async with desk(database_url, UTILITY) as at:
        await paid_at_the_utility(at, ("DS1", 5_000_001))
        [run] = await at.books.runs()
        await paid_at_the_utility(at, ("DS2", 100))
        for who in ("wang", "li"):
            await at.books.approve(run.id, who, "x")
        [waits] = await at.books.waiting_files()
        await at.books.accept(waits.id, "wang")
        await at.loop.look()
        assert (await at.books.run(run.id)).state is RunState.SUPERSEDED
        assert list(at.commands.recorded) == ["recon:utility:DS2:pay:"]


async def test_marketing_only_never_reversed(database_url: str) -> None:
    async with desk(database_url) as at:
        at.marketing.rows = [booked(T1, 200_000, "2026-11-24T08:00:06")]
        for day in (24, 25, 26):
            await at.statement(date(2026, 11, day))
        [item] = await at.books.items()
        assert (item.what, item.state, item.people, at.commands.recorded) == ("marketing-only", "held", 2, {})
        assert (await at.books.resolve(item.id, "wang", "平台确认未收款")).state is ItemState.HELD
        at.now += 1000
        with pytest.raises(NotResolved):
            await at.books.resolve(item.id, "wang", "再说一次")
        with pytest.raises(NotResolved, match="note"):
            await at.books.resolve(item.id, "li", "  ")
        resolved = await at.books.resolve(item.id, "li", "同意")
        assert (resolved.state, [one.note for one in resolved.resolutions]) == ("resolved", ["平台确认未收款", "同意"])


POINTS = [
    Point.BRIDGE_STATEMENT_READ, Point.BRIDGE_STATEMENT_ITEMS_COMMITTED, Point.BRIDGE_STATEMENT_MATCHED_UNCOMMITTED,
    Point.BRIDGE_STATEMENT_ACTING_UNCOMMITTED, Point.BRIDGE_STATEMENT_ACTING_COMMITTED,
    Point.BRIDGE_STATEMENT_OUTCOME_UNCOMMITTED,
]  # fmt: skip


async def reversed_once(url: str) -> None:
    """From a statement to a reversal and its outcome."""
    async with desk(url) as at:
        await refunded(at)
        await at.outcome(REVERSAL, State.SUCCEEDED)


@pytest.mark.parametrize("point", POINTS)
async def test_kill_9_rerun_applies_once(database_url: str, point: str) -> None:
    """A bridge is killed anywhere on the way; another goes on when its claim is over. Each command is given once."""
    dies_at(point, lambda: reversed_once(database_url))
    async with desk(database_url, name="bridge-2") as at:
        await refunded(at)
        at.now += 180_000  # the claim of who was killed is over
        await at.loop.look()
        assert await at.given() == [REVERSAL]
        await at.outcome(REVERSAL, State.SUCCEEDED)
        assert await at.items() == {f"{T1}/refund": ("refund-not-reversed", "done")}
        assert [one.state for one in await at.books.runs()] == [RunState.DONE]


async def test_who_was_killed_goes_on_at_once_when_it_is_started_again(database_url: str) -> None:
    """What it gives back at its start is its own."""
    dies_at(Point.BRIDGE_STATEMENT_ITEMS_COMMITTED, lambda: reversed_once(database_url))
    async with desk(database_url) as at:
        await refunded(at)
        assert await at.given() == []
        await at.loop.release()
        await at.loop.look()
        assert await at.given() == [REVERSAL]


def test_ids_of_commands() -> None:
    key = "recon:wechat:4200000000202611241234567890:refund:all"
    assert (command_id(key, 1, 1), command_id(key, 2, 3)) == (key, f"{key}:2")
    long = command_id(key + "x" * 40, 1, 1)
    assert len(long) == 64
    assert long != command_id(key + "x" * 41, 1, 1)
    assert command_id("recon:wechat:4200:refund:退款", 1, 1).isascii()

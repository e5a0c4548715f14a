"""Statements from a file to items, on a real database: what is found, what waits, and what stops a run."""

import json
from datetime import date, timedelta

import pytest

from intranet_bridge.settlement.statements.asking import Incomplete
from intranet_bridge.settlement.statements.life import FileState, NotInThisState
from intranet_bridge.settlement.statements.reconciling import CLAIM_MS
from intranet_bridge.settlement.statements.run_records import (
    NotRun,
    RunState,
    claim_arrival,
    forget_arrivals,
    note,
    renew,
)
from intranet_bridge.settlement_sections.statements import StatementFileSection
from tests.unit.done_twice import written_twice
from tests.unit.intranet_bridge.settlement.statements.desks import DAY, MERCHANT, SECTION, alipay, booked, desk

pytestmark = pytest.mark.anyio
T1, T2, T3 = "2026112422001400000000000001", "2026112422001400000000000002", "2026112422001400000000000003"

ARRIVAL = {
    "file": "f", "source": "alipay", "name": "f.csv", "sha256": "", "size": 1, "state": "waiting", "code": "",
    "attempts": 0, "due_at": 0, "claimed_by": "", "received_at": 1,
}  # fmt: skip


async def test_a_day_that_agrees(database_url: str) -> None:
    async with desk(database_url) as at:
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:06"), booked(T2, 700, "2026-11-25T00:00:02")]
        await at.statement(DAY, (T1, "PO1", "pay", 5000, "08:00:00"), (T2, "PO2", "pay", 700, "23:59:58"))
        [run] = await at.books.runs()
        assert (run.state, run.counts) == (RunState.DONE, {"matched": (2, 0)})
        assert await at.items() == {}
        assert at.marketing.asked == [(date(2026, 11, 23), date(2026, 11, 25))]
        [file] = await at.books.files(DAY)
        assert (file.state, file.rows, file.paid, file.company) == (FileState.MATCHED, 2, 5700, "power-yunhe")
        await at.loop.look()
        assert len(await at.books.runs()) == 1


async def test_an_incomplete_list_stops_the_run_and_nothing_is_found(database_url: str) -> None:
    async with desk(database_url) as at:
        at.marketing.wrong = Incomplete("list-incomplete", "1 row of 2")
        await at.statement(DAY, (T1, "PO1", "pay", 5000, "08:00:00"))
        [run] = await at.books.runs()
        assert (run.state, run.code, run.attempts) == (RunState.WAITING, "list-incomplete", 1)
        assert await at.items() == {}
        at.marketing.wrong, at.marketing.rows = None, [booked(T1, 5000, "2026-11-24T08:00:06")]
        await at.loop.look()
        assert [one.state for one in await at.books.runs()] == [RunState.WAITING]  # not before its time
        at.now += 5 * 60_000
        await at.loop.look()
        assert [one.state for one in await at.books.runs()] == [RunState.DONE]


async def test_what_was_claimed_by_a_commit_that_seemed_to_fail_is_worked_on_when_the_claim_is_over(
    database_url: str,
) -> None:
    """Nobody works on it: so it is not kept as what somebody works on is."""
    async with desk(database_url) as at:
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:06")]
        once = at.store._do
        written_twice(at.store)
        await at.statement(DAY, (T1, "PO1", "pay", 5000, "08:00:00"))
        assert (await at.books.runs(), at.loop.verdicts) == ([], {})
        at.store._do = once  # type: ignore[method-assign]
        at.now += CLAIM_MS // 2
        await at.loop.renew()
        at.now += CLAIM_MS // 2
        await at.loop.look()
        [run] = await at.books.runs()
        assert (run.state, run.counts, run.rows) == (RunState.DONE, {"matched": (1, 0)}, 1)


async def test_what_is_worked_on_stays_claimed(database_url: str) -> None:
    async with desk(database_url) as at:
        await at.store.write(lambda connection: note(connection, "alipay", [ARRIVAL], (1, "f")))
        claimed = await at.store.write(lambda connection: claim_arrival(connection, "b", at.now, at.now + CLAIM_MS))
        assert claimed is not None
        at.now += CLAIM_MS - 1
        later = at.now + CLAIM_MS
        await at.store.write(lambda connection: renew(connection, "b", "f", later, at.now))
        at.now += 2
        assert await at.store.write(lambda connection: claim_arrival(connection, "b", at.now, later)) is None


async def test_pool_counts_statements(database_url: str) -> None:
    """What we wrote off waits for its own day's and two more accepted statements, however many days that takes."""
    async with desk(database_url) as at:
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:06")]
        await at.statement(DAY)
        assert await at.items() == {f"{T1}/pay": ("pooled", "open")}
        await at.statement(date(2026, 11, 27))  # two days later, and one statement
        assert await at.items() == {f"{T1}/pay": ("pooled", "open")}
        await at.statement(date(2026, 11, 28))
        assert await at.items() == {f"{T1}/pay": ("marketing-only", "held")}
        assert at.commands.recorded == {}


async def test_midnight_payment_leaves_pool(database_url: str) -> None:
    async with desk(database_url) as at:
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T23:59:59")]
        await at.statement(DAY)
        assert await at.items() == {f"{T1}/pay": ("pooled", "open")}
        await at.statement(date(2026, 11, 25), (T1, "PO1", "pay", 5000, "00:00:03"))
        assert await at.items() == {f"{T1}/pay": ("pooled", "done")}
        assert at.commands.recorded == {}


async def test_what_was_written_off_today_waits_for_its_own_statement(database_url: str) -> None:
    async with desk(database_url) as at:
        at.marketing.rows = [booked(T1, 5000, "2026-11-25T09:00:00")]
        await at.statement(DAY)
        assert await at.items() == {}
        at.marketing.rows.append(booked(T2, 100, "2026-11-20T09:00:00"))  # from before the first statement
        await at.statement(date(2026, 11, 25))
        assert await at.items() == {f"{T1}/pay": ("pooled", "open")}


async def test_refund_pending_waits_and_a_refund_of_a_payment_nobody_knows(database_url: str) -> None:
    async with desk(database_url) as at:
        await at.statement(DAY, (T1, "PO1", "RF1", 500, "08:00:00"))
        assert await at.items() == {f"{T1}/refund": ("refund-unmatched", "open")}
        await at.statement(date(2026, 11, 25))
        await at.statement(date(2026, 11, 26))
        assert await at.items() == {f"{T1}/refund": ("refund-unmatched", "open")}
        await at.statement(date(2026, 11, 27))
        assert await at.items() == {f"{T1}/refund": ("refund-unmatched", "held")}


async def test_refund_of_earlier_day(database_url: str) -> None:
    """The payment is long written off: that is asked of the payment itself, as no list of these days has it."""
    async with desk(database_url) as at:
        at.marketing.rows = [booked(T1, 5000, "2026-11-10T08:00:06")]
        await at.statement(date(2026, 11, 10), (T1, "PO1", "pay", 5000, "08:00:00"))
        for day in range(11, 24):
            await at.statement(date(2026, 11, day))
        await at.statement(DAY, (T1, "PO1", "RF1", 5000, "09:00:00"))
        [only] = (await at.items()).values()
        assert only == ("refund-not-reversed", "acting")


async def test_a_file_that_is_refused_has_no_run_and_says_why(database_url: str) -> None:
    async with desk(database_url) as at:
        at.at(date(2026, 11, 25))
        at.crossed.add("2088001234567890_20261124.csv", b"#nothing\r\n")
        at.crossed.add("another name.csv", b"x")
        at.crossed.add("other.csv", b"x", "of-nobody")
        await at.loop.look()
        assert await at.books.runs() == []
        [file] = await at.books.waiting_files()
        assert file.state in (FileState.REFUSED, FileState.INCOMPLETE)
        assert at.loop.verdicts["wrong-name"] == 1
        assert at.loop.verdicts.total() == 2


async def test_what_has_not_come_is_late_and_then_missing(database_url: str) -> None:
    async with desk(database_url) as at:
        for hour, state in ((10, FileState.EXPECTED), (11, FileState.LATE), (18, FileState.MISSING)):
            at.at(date(2026, 11, 25), hour, 0)
            assert [one.state for one in await at.books.files(DAY)] == [state]
        assert [one.state for one in await at.books.absent()] == [FileState.MISSING]
        await at.books.confirm_empty("alipay", DAY, "wang", "无业务，已电话确认")
        assert await at.books.absent() == []
        assert [one.state for one in await at.books.files(DAY)] == [FileState.EMPTY_CONFIRMED]
        assert at.acts == [("settle-empty", "wang")]


async def test_arrivals_are_forgotten_and_what_was_read_stays(database_url: str) -> None:
    async with desk(database_url) as at:
        await at.statement(DAY)
        assert await at.store.write(lambda connection: forget_arrivals(connection, 1)) == 0
        assert await at.store.write(lambda connection: forget_arrivals(connection, at.now)) == 1
        await at.loop.look()
        assert len(await at.books.files(DAY)) == len(await at.books.runs()) == 1


async def test_a_fee_that_is_not_the_agreed_one_is_held_alone(database_url: str) -> None:
    kind = StatementFileSection(profile="alipay-trade", company="power-yunhe", fee_rate="0.006")
    rated = SECTION.model_copy(update={"files": {"alipay": kind}})
    async with desk(database_url, rated) as at:
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:06")]
        await at.statement(DAY, (T1, "PO1", "pay", 5000, "08:00:00"))
        [run] = await at.books.runs()
        assert run.counts == {"matched": (1, 0), "fee-differs": (1, 30)}
        [item] = await at.books.items(run=run.id)
        assert (item.state, item.field, item.platform, item.books) == ("held", "fee", 0, 30)


async def test_a_replaced_statement_is_compared_again(database_url: str) -> None:
    async with desk(database_url) as at:
        await at.statement(DAY, (T1, "PO1", "RF1", 500, "08:00:00"))
        await at.statement(DAY, (T2, "PO2", "RF2", 700, "08:00:00"))
        [waits] = await at.books.waiting_files()
        assert waits.state is FileState.CONFLICTING
        shown = await at.books.difference(waits.id)
        assert ([row.transaction for row in shown.added], [row.transaction for row in shown.gone]) == ([T2], [T1])
        await at.books.accept(waits.id, "wang")
        await at.loop.look()
        assert waits.id in {one.file for one in await at.books.runs()}
        assert await at.items() == {
            f"{T1}/refund": ("refund-unmatched", "done"), f"{T2}/refund": ("refund-unmatched", "open"),
        }  # fmt: skip


async def test_several_runs_do_not_change_what_is_decided(database_url: str) -> None:
    async with desk(database_url) as at:
        at.marketing.rows = [booked(T1, 4000, "2026-11-24T08:00:06")]
        await at.statement(DAY, (T1, "PO1", "pay", 5000, "08:00:00"))
        [item] = await at.books.items()
        assert (item.what, item.state, item.platform, item.books) == ("amount-differs", "held", 5000, 4000)
        await at.books.resolve(item.id, "wang", "已补记")
        await at.books.rerun(item_file(await at.books.runs()), "wang")
        await at.loop.look()
        assert await at.items() == {f"{T1}/pay": ("amount-differs", "resolved")}
        assert json.dumps([one.state for one in await at.books.runs()]) == '["done", "done"]'


def item_file(runs: list) -> str:  # type: ignore[type-arg]
    return str(runs[0].file)


async def test_payments_of_two_merchants_with_one_number(database_url: str) -> None:
    """Each has its item, and its command: what is written off for the one is not for the other."""
    other = "20880099999999990156"
    async with desk(database_url) as at:
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:06", merchant=MERCHANT)]
        await at.statement(DAY, (T1, "PO1", "pay", 5000, "08:00:00"))
        await at.statement(DAY, (T1, "PO1", "pay", 700, "09:00:00"), merchant=other)
        runs = await at.books.runs()
        assert sorted((run.counts for run in runs), key=len) == [  # both are of one moment
            {"matched": (1, 0)}, {"matched": (1, 0), "platform-only": (1, 700)},
        ]  # fmt: skip
        [item] = await at.books.items(classes=["platform-only"])
        assert (item.amount, item.why) == (700, f"of merchant {other}")
        assert (await at.items())[f"{T1}/pay"] == ("platform-only", "held")  # its account is not known


async def test_a_file_is_closed_when_its_day_is_and_nothing_is_left_of_it(database_url: str) -> None:
    async with desk(database_url) as at:
        at.marketing.rows = [booked(T1, 4000, "2026-11-24T08:00:06")]
        await at.statement(DAY, (T1, "PO1", "pay", 5000, "08:00:00"))
        [item] = await at.books.items()
        assert (item.what, item.state) == ("amount-differs", "held")

        async def state(day: date = DAY) -> FileState:
            await at.loop.look()
            return (await at.books.files(day))[0].state

        at.at(DAY + timedelta(5))
        assert await state() is FileState.MATCHED  # somebody has to say what became of the item
        at.at(DAY + timedelta(3))
        await at.books.resolve(item.id, "wang", "the meter was read again")
        assert await state() is FileState.MATCHED  # its day is not closed: a better file may take its place
        at.at(DAY + timedelta(4))
        assert await state() is FileState.CLOSED

        with pytest.raises(NotRun, match="whose day is not closed"):
            await at.books.rerun((await at.books.files(DAY))[0].id, "wang")
        at.crossed.add(f"{MERCHANT[:16]}_{DAY:%Y%m%d}.csv", alipay(DAY, (T1, "PO1", "pay", 4000, "08:00:00")))
        await at.loop.look()
        other = (await at.books.files(DAY))[-1]
        assert other.state is FileState.CONFLICTING
        with pytest.raises(NotInThisState, match="closed"):
            await at.books.accept(other.id, "wang")
        at.marketing.rows = []
        await at.statement(date(2026, 11, 28), (T1, "PO1", "R1", 5000, "08:00:00"))  # late: of the day that is open
        assert [one.state for one in await at.books.files(DAY)] == [FileState.CLOSED, FileState.CONFLICTING]
        assert (await at.books.item(item.id)).state == "resolved"


async def test_a_file_whose_items_wait_or_act_is_not_closed(database_url: str) -> None:
    async with desk(database_url) as at:
        at.marketing.rows = [booked(T1, 5000, "2026-11-24T08:00:06")]
        await at.statement(DAY, (T2, "", "R1", 5000, "09:00:00"))  # a refund of nobody's payment waits; T1 is pooled
        at.at(DAY + timedelta(9))
        await at.loop.look()
        [file] = await at.books.files(DAY)
        assert file.state is FileState.MATCHED

"""The record of statements, on a real database: files take effect whole, once, and an operator decides what differs."""

import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select

from intranet_bridge.settlement.rows import FILES, LINES
from intranet_bridge.settlement.statements.life import FileState, NotInThisState
from intranet_bridge.settlement.statements.matching import Class, Rules, WriteOff, cases, matched
from intranet_bridge.settlement.statements.records import DayUnknown, NoSuchFile, Statements, Taken
from intranet_bridge.settlement.statements.rows import Expected
from intranet_bridge.settlement.statements.verdicts import Code, StatementRefused
from intranet_bridge.store import MIGRATIONS
from protocol.runtime.store import Store
from protocol.times import CHINA
from tests.unit.done_twice import written_twice
from tests.unit.intranet_bridge.settlement.statements.reads import DAY, PROFILES, SAMPLES, taken

pytestmark = pytest.mark.anyio
NAME = "SDDL_DSDZ_37101_20261124.txt"
FIRST, RESENT = SAMPLES / NAME, SAMPLES / "resend" / NAME
OPERATOR = "wang"


class World:
    """The record, and what is in it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.record = Statements(store, PROFILES, lambda: 1_795_500_000_000)

    async def take(self, content: bytes, name: str = NAME, profile: str = "utility-dsdz", **more: Any) -> Taken:
        digest = hashlib.sha256(content).hexdigest()
        return await self.record.take(name, profile, partial(io.BytesIO, content), digest, **more)

    async def lines(self) -> int:
        count = select(func.count()).select_from(LINES)
        return await self.store.read(lambda connection: connection.execute(count).scalar_one())

    async def states(self) -> list[str]:
        states = select(FILES.c.state).order_by(FILES.c.state)
        return await self.store.read(lambda connection: list(connection.execute(states).scalars()))


@asynccontextmanager
async def world(url: str) -> AsyncIterator[World]:
    store = Store(url, MIGRATIONS.prepare)
    await store.start()
    try:
        yield World(store)
    finally:
        await store.close()


async def test_a_file_is_taken_and_its_rows_are_as_they_were_read(database_url: str) -> None:
    async with world(database_url) as at:
        found = await at.take(FIRST.read_bytes(), "SDDL_DSDZ_ 37101_20261124.txt")
        assert (found.name, found.state, found.code) == (NAME, FileState.ACCEPTED, None)
        _, wanted = taken(NAME, "utility-dsdz")
        assert await at.record.rows_of(found.id) == list(wanted.values())  # without the copy
        assert (await at.record.accepted()).days == {"utility": [DAY]}
        bill = (SAMPLES / "wechat_20261125_ALL.csv.gz").read_bytes()
        found = await at.take(bill, "1900000001_ALL_20261125.csv.gz", "wechat-trade")
        _, wanted = taken(bill, "wechat-trade", Expected(date(2026, 11, 25)))
        assert await at.record.rows_of(found.id) == list(wanted.values())


async def test_same_file_twice(database_url: str) -> None:
    async with world(database_url) as at:
        await at.take(FIRST.read_bytes())
        again = await at.take(FIRST.read_bytes())
        assert (again.state, again.code, await at.lines()) == (FileState.DUPLICATE, Code.DUPLICATE, 3)
        assert await at.states() == ["accepted", "duplicate"]


async def test_same_file_twice_though_each_commit_seems_to_fail(database_url: str) -> None:
    async with world(database_url) as at:
        written_twice(at.store)
        first = await at.take(FIRST.read_bytes())
        assert (first.state, first.code) == (FileState.ACCEPTED, None)
        again = await at.take(FIRST.read_bytes())
        assert (again.state, again.code, await at.lines()) == (FileState.DUPLICATE, Code.DUPLICATE, 3)
        assert await at.states() == ["accepted", "duplicate"]


async def test_conflicting_resend_waits(database_url: str) -> None:
    async with world(database_url) as at:
        first = await at.take(FIRST.read_bytes())
        second = await at.take(RESENT.read_bytes())
        assert (second.state, second.code) == (FileState.CONFLICTING, Code.CONFLICTING_RESEND)
        assert await at.record.rows_of(second.id) == []  # they do not count
        shown = await at.record.differing(second.id)
        assert [(row.account, row.gross) for row in shown.added] == [("3210000000004", 800)]
        assert (shown.gone, shown.changed) == ((), ())
        await at.store.write(partial(at.record.replace, file=second.id, who=OPERATOR))
        assert await at.states() == ["accepted", "replaced"]
        assert (await at.record.rows_of(first.id), len(await at.record.rows_of(second.id))) == ([], 4)
        assert (await at.take(RESENT.read_bytes())).state is FileState.DUPLICATE
        with pytest.raises(NotInThisState):
            await at.store.write(partial(at.record.replace, file=second.id, who=OPERATOR))


async def test_operator_keeps_the_earlier_file(database_url: str) -> None:
    async with world(database_url) as at:
        first = await at.take(FIRST.read_bytes())
        second = await at.take(RESENT.read_bytes())
        await at.store.write(partial(at.record.refuse, file=second.id, who=OPERATOR))
        await at.record.forget_lines(second.id)
        assert (await at.states(), await at.lines()) == (["accepted", "refused"], 3)
        with pytest.raises(NotInThisState):
            await at.store.write(partial(at.record.refuse, file=first.id, who=OPERATOR))
        with pytest.raises(NoSuchFile):
            await at.store.write(partial(at.record.refuse, file="none", who=OPERATOR))


async def test_totals_mismatch_changes_nothing(database_url: str) -> None:
    async with world(database_url) as at:
        wrong = FIRST.read_bytes().replace(b"211.57|3|", b"211.58|3|")
        found = await at.take(wrong)
        assert (found.state, found.code) == (FileState.REFUSED, Code.AMBIGUOUS_DUPLICATE)
        short = (SAMPLES / "wechat_20261124_totals_mismatch.csv").read_bytes()
        found = await at.take(short, "1900000001_ALL_20261124.csv", "wechat-trade")
        assert (found.state, found.code) == (FileState.REFUSED, Code.TOTALS_MISMATCH)
        assert found.findings[0].line == 5
        assert await at.lines() == 0
        assert (await at.record.accepted()).days == {}
        assert (await at.take(FIRST.read_bytes())).state is FileState.ACCEPTED  # the right one is not a resend


async def test_incomplete_file_is_looked_at_again(database_url: str) -> None:
    async with world(database_url) as at:
        name = "20880000000000010156_20261124.csv"
        cut = await at.take((SAMPLES / "alipay_20261124_truncated.csv").read_bytes(), name, "alipay-trade")
        assert (cut.state, cut.code, await at.lines()) == (FileState.INCOMPLETE, Code.INCOMPLETE, 0)
        whole = await at.take((SAMPLES / "alipay_20261124_detail.csv").read_bytes(), name, "alipay-trade")
        assert (whole.id, whole.state, await at.states()) == (cut.id, FileState.ACCEPTED, ["accepted"])


async def test_kill_9_rerun_applies_once(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the rows were written, before they counted: they never do, and taken again they are there once."""

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    async with world(database_url) as at:
        with monkeypatch.context() as patch:
            patch.setattr(at.record, "_drop", killed)
            with pytest.raises(Killed):
                await at.take(FIRST.read_bytes())
        assert (await at.states(), await at.lines()) == (["received"], 4)
        assert (await at.record.accepted()).days == {}
        found = await at.take(FIRST.read_bytes())
        assert (found.state, await at.states(), await at.lines()) == (FileState.ACCEPTED, ["accepted"], 3)


async def test_name_and_day_agree(database_url: str) -> None:
    async with world(database_url) as at:
        other = Expected(date(2026, 11, 25))
        with pytest.raises(StatementRefused) as refused:
            await at.take(FIRST.read_bytes(), expected=other)
        assert refused.value.code is Code.WRONG_DAY
        with pytest.raises(StatementRefused) as refused:
            await at.take(FIRST.read_bytes(), "../" + NAME)
        assert refused.value.code is Code.WRONG_NAME
        nameless = PROFILES["utility-dsdz"].model_copy(update={"names": (r"day\.txt",)})
        at.record = Statements(at.store, {"utility-dsdz": nameless}, lambda: 1)
        with pytest.raises(DayUnknown):
            await at.take(FIRST.read_bytes(), "day.txt")
        assert (await at.take(FIRST.read_bytes(), "day.txt", expected=Expected(DAY))).state is FileState.ACCEPTED
        assert await at.states() == ["accepted"]


async def test_many_rows_are_written_and_read_in_pages(database_url: str) -> None:
    rows = "".join(f"{n % 10}3100000000{n % 100:02}|S{n}|20261124|1.00|0||\r\n" for n in range(1201))
    content = f"1201.00|1201|\r\n{rows}".encode()
    async with world(database_url) as at:
        found = await at.take(content)
        assert (found.state, await at.lines()) == (FileState.ACCEPTED, 1201)
        assert [row.transaction for row in await at.record.rows_of(found.id)] == [f"S{n}" for n in range(1201)]
        refused = await at.take(content.replace(b"1201.00|1201|", b"1202.00|1201|"))
        assert refused.state is FileState.REFUSED
        assert await at.lines() == 1201


def bill(day: str, *rows: str) -> bytes:
    """An Alipay bill of these rows."""
    head, rest = (SAMPLES / "alipay_20261124_empty.csv").read_bytes().decode("gb18030").split("备注\r\n")
    first = date.fromisoformat(day)
    head = head.replace("2026年11月25日", f"{first + timedelta(days=1):%Y年%m月%d日}")
    head = head.replace("2026年11月24日", f"{first:%Y年%m月%d日}")
    paid = [row for row in rows if ",交易," in row]
    back = [row for row in rows if ",退款," in row]
    sums = [sum(round(float(row.split(",")[11])) for row in some) for some in (paid, back)]
    rest = rest.replace("交易合计：0笔，商家实收共0.00", f"交易合计：{len(paid)}笔，商家实收共{sums[0]}.00")
    rest = rest.replace("退款合计：0笔，商家实收退款共0.00", f"退款合计：{len(back)}笔，商家实收退款共{sums[1]}.00")
    return (head + "备注\r\n" + "".join(f"{row}\r\n" for row in rows) + rest).encode("gb18030")


def row(kind: str, number: int, amount: int, at: str, refund: str = "") -> str:
    return f"T{number},PO{number},{kind},,{at},{at},,,,,,{amount},{amount},,,,,,,,,{refund},0,,"


async def test_refunds_of_two_statements_are_one_reversal(database_url: str) -> None:
    async with world(database_url) as at:
        day = "2026-11-24"
        both = row("交易", 1, 60, f"{day} 10:00:00"), row("退款", 1, -20, f"{day} 11:00:00", "A")
        first = bill(day, *both, row("交易", 2, 50, f"{day} 10:00:00"))
        second = bill("2026-11-25", row("退款", 1, -40, "2026-11-25 11:00:00", "B"))
        for content, day in ((first, "20261124"), (second, "20261125")):
            last = await at.take(content, f"20880000000000010156_{day}.csv", "alipay-trade")
            assert last.state is FileState.ACCEPTED, last.findings
        written = datetime(2026, 11, 24, 10, tzinfo=CHINA)
        ours = [WriteOff(f"PO{number}", "", "alipay", amount, written) for number, amount in ((1, 6000), (2, 5000))]
        rules = Rules(date(2026, 11, 26), await at.record.accepted())
        items = list(matched(cases(await at.record.to_match(last.id, ours), ours), lambda order: None, rules))
        found = {(item.order, item.what, item.key) for item in items if item.what is not Class.MATCHED}
        assert found == {("PO1", Class.REFUND_NOT_REVERSED, "recon:alipay:T1:refund:all")}
        assert {item.order for item in items if item.what is Class.MATCHED} == {"PO1", "PO2"}  # none is only ours
        only = await at.record.to_match(last.id, ())
        assert {(one.order, one.refund) for one in only} == {("PO1", ""), ("PO1", "A"), ("PO1", "B")}
        waiting = await at.record.to_match(last.id, (), ["PO2"])
        assert len(waiting) == 4
        await at.record.matched(last.id)
        assert await at.states() == ["accepted", "matched"]


async def test_rows_of_files_that_do_not_count_are_not_matched(database_url: str) -> None:
    async with world(database_url) as at:
        first, second = await at.take(FIRST.read_bytes()), await at.take(RESENT.read_bytes())
        rows = await at.record.to_match(first.id, ())
        assert len(rows) == 3
        await at.store.write(partial(at.record.replace, file=second.id, who=OPERATOR))
        assert len(await at.record.to_match(second.id, ())) == 4

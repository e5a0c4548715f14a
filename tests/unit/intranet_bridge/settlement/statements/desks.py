"""A statements part on a real database, between doubles of the marketing system, of files and of internal commands."""

import hashlib
import io
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any

from sqlalchemy import Column, Connection, MetaData, String, Table, select

from intranet_bridge.commands.internal import Consumer, InternalCommand, InternalOutcome
from intranet_bridge.files.service import ReceivedFile
from intranet_bridge.settlement.order_shares import orders_to_match
from intranet_bridge.settlement.payments import acting as payments
from intranet_bridge.settlement.payments.records import Stored
from intranet_bridge.settlement.statements.acting import CONSUMER, Acting
from intranet_bridge.settlement.statements.asking import Incomplete
from intranet_bridge.settlement.statements.comparing import Found, day_of
from intranet_bridge.settlement.statements.desk import StatementBooks
from intranet_bridge.settlement.statements.matching import WriteOff
from intranet_bridge.settlement.statements.orders import Orders
from intranet_bridge.settlement.statements.reconciling import Reconciliation
from intranet_bridge.settlement.statements.records import Statements
from intranet_bridge.settlement.statements.run_records import expect
from intranet_bridge.settlement.statements.run_rows import ITEMS
from intranet_bridge.settlement.statements.sources import expected_of, sources_of
from intranet_bridge.settlement.statements.worker import END, Question, Totals, answered, question, work, written
from intranet_bridge.settlement_sections.statements import StatementFileSection, StatementsSection
from intranet_bridge.store import MIGRATIONS
from protocol.lifecycle import State
from protocol.runtime.store import Store
from protocol.runtime.store_engine import engine
from protocol.times import CHINA
from tests.unit.acts import transacting

DAY = date(2026, 11, 24)
SECTION = StatementsSection(
    files={"alipay": StatementFileSection(profile="alipay-trade", company="power-yunhe")}
)  # fmt: skip
HEAD = (
    "#支付宝业务明细查询\r\n#账号：[{2}]\r\n#起始日期：[{0} 00:00:00] 终止日期：[{1} 00:00:00]\r\n#--业务明细列表--\r\n"
)
COLUMNS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,"
    "商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注\r\n"
)


def yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


MERCHANT = "20880012345678900156"


def alipay(day: date, *rows: tuple[str, str, str, int, str], merchant: str = MERCHANT) -> bytes:
    """A bill of the day: (transaction, order, `pay` or a refund's number, fen, clock)."""
    lines, totals = [], {"交易": [0, 0], "退款": [0, 0]}
    for transaction, order, kind, fen, clock in rows:
        what = "交易" if kind == "pay" else "退款"
        signed = fen if kind == "pay" else -fen
        totals[what][0] += 1
        totals[what][1] += signed
        at = f"{day} {clock}"
        lines.append(
            f"{transaction}\t,{order}\t,{what},电费,{at},{at},,,,,,{yuan(signed)},{yuan(signed)},0.00,0.00,0.00,0.00,"
            f"0.00,,0.00,0.00,{'' if kind == 'pay' else kind}\t,0.00,0.00,\r\n"
        )
    (paid, gross), (back, returned) = totals["交易"], totals["退款"]
    text = (
        HEAD.format(f"{day:%Y年%m月%d日}", f"{day.replace(day=day.day + 1):%Y年%m月%d日}", merchant)
        + COLUMNS
        + "".join(lines)
        + "#--业务明细列表结束--\r\n"
        f"#交易合计：{paid}笔，商家实收共{yuan(gross)}元，商家优惠共0.00元\r\n"
        f"#退款合计：{back}笔，商家实收退款共{yuan(returned)}元，商家优惠退款共0.00元\r\n"
        f"#导出时间：[{day} 23:59:59]\r\n"
    )
    return text.encode("gb18030")


def booked(
    transaction: str, fen: int, at: str, back: int = 0, account: str = "3210000000001", line: int = 1,
    merchant: str = "",
) -> WriteOff:  # fmt: skip
    """What the marketing system wrote off."""
    when = datetime.fromisoformat(at).replace(tzinfo=CHINA)
    return WriteOff("", transaction, "alipay", fen, when, back, line, account, None, merchant)


GIVEN = Table("test_given", MetaData(), Column("id", String(64), primary_key=True))
"""In the database, so that it is there, or not, as what was written with it."""


class Marketing:
    """What was written off, by whatever way."""

    def __init__(self) -> None:
        self.rows: list[WriteOff] = []
        self.wrong: Incomplete | None = None
        self.asked: list[tuple[date, date]] = []
        self.applied: list[InternalCommand] = []

    async def between(self, channel: str, first: date, last: date) -> AsyncIterator[list[WriteOff]]:
        self.asked.append((first, last))
        yield [one for one in self.rows if one.channel == channel and first <= day_of(one.at) <= last]
        if self.wrong is not None:
            raise self.wrong

    async def of(
        self, channel: str, transactions: Collection[str], lines: Mapping[str, Collection[int]]
    ) -> list[WriteOff]:
        return [one for one in self.rows if one.channel == channel and one.transaction in transactions]

    async def count(self, channel: str, day: date) -> int:
        return sum(1 for one in self.rows if one.channel == channel and day_of(one.at) == day)


class InProcess:
    """The comparison here: what goes to a process of its own is written and read just so."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def compare(self, asked: Question, pages: AsyncIterator[Sequence[WriteOff]]) -> AsyncIterator[Found | Totals]:
        lines = [written(one) async for page in pages for one in page]
        told: list[str] = []
        database = engine(self._url)
        with database.connect() as connection:
            work(iter([*lines, f'"{END}"']), told.append, connection, question(asked.line()), orders_to_match)
        database.dispose()
        for line in told:
            yield answered(line)


class Commands:
    """Recorded in the caller's transaction, as the real ones are; done when a test says so."""

    def __init__(self) -> None:
        self.recorded: dict[str, InternalCommand] = {}
        self.takes: Consumer | None = None

    def record(self, connection: Connection, commands: Sequence[InternalCommand]) -> None:
        for one in commands:
            assert one.consumer in (CONSUMER, payments.CONSUMER)
            self.recorded[one.id] = one
            connection.execute(GIVEN.insert().values(id=one.id))  # a second one of its id fails

    def begin(self) -> None:
        pass

    def consume(self, consumer: str, take: Consumer, taken: Callable[[], None] | None = None) -> None:
        self.takes = take


class Files:
    """Files that crossed."""

    def __init__(self) -> None:
        self.kept: list[tuple[ReceivedFile, bytes]] = []

    def add(self, name: str, content: bytes, profile: str = "alipay") -> str:
        digest, at = hashlib.sha256(content).hexdigest(), len(self.kept) + 1
        self.kept.append((ReceivedFile(f"file-{at}", "bank", name, profile, len(content), digest, at), content))
        return f"file-{at}"

    async def received(
        self, profile: str = "", after: tuple[int, str] = (0, ""), limit: int = 100
    ) -> list[ReceivedFile]:
        mine = (file for file, _ in self.kept if profile in ("", file.profile))
        return [file for file in mine if (file.accepted_at, file.id) > after][:limit]

    async def content(self, id: str) -> AsyncIterator[bytes]:
        stream = io.BytesIO(next(content for file, content in self.kept if file.id == id))
        while data := stream.read(1000):
            yield data


class Desk:
    """All of it."""

    def __init__(
        self, store: Store, url: str, section: StatementsSection, name: str, elsewhere: frozenset[str]
    ) -> None:
        self.store, self.name = store, name
        self.now = int(datetime(2026, 11, 25, 10, 30, tzinfo=CHINA).timestamp() * 1000)
        self.marketing, self.commands, self.crossed = Marketing(), Commands(), Files()
        self.acts: list[tuple[str, str]] = []
        sources = sources_of(section)
        statements = Statements(store, {name: one.profile for name, one in sources.items()}, self.clock)
        self.acting = Acting(lambda: self.commands, self.clock, Orders(self.payments, lambda: None))
        files: Any = self.crossed
        self.loop = Reconciliation(
            section=section, sources=sources, store=store, statements=statements, files=lambda: files,
            write_offs=self.marketing, matcher=InProcess(url), acting=self.acting, begin=lambda: None,
            allowed=lambda: True, name=name, clock=self.clock, elsewhere=lambda: elsewhere,
        )  # fmt: skip
        self.books = StatementBooks(
            section=section, sources=sources, store=store, statements=statements,
            transact=transacting(store, self.act), clock=self.clock, changed=lambda: None,
        )  # fmt: skip

    def payments(self, stored: Stored) -> payments.Acting:
        """What is done about an order."""
        return payments.Acting(stored, self.commands.record)

    async def own_outcome(self, id: str, state: State) -> None:
        """A command of an order comes to that."""
        told = [InternalOutcome(id, "", state)]
        await self.store.write(lambda connection: payments.take(connection, told, self.now, self.payments))

    def clock(self) -> int:
        return self.now

    def at(self, day: date, hour: int = 10, minute: int = 30) -> None:
        self.now = int(datetime(day.year, day.month, day.day, hour, minute, tzinfo=CHINA).timestamp() * 1000)

    async def act(self, name: str, by: str, /, **details: Any) -> None:
        self.acts.append((name, by))

    async def statement(self, day: date, *rows: tuple[str, str, str, int, str], merchant: str = MERCHANT) -> None:
        """A day's bill comes, the day after at half past ten, and is worked on."""
        self.at(day.replace(day=day.day + 1))
        self.crossed.add(f"{merchant[:16]}_{day:%Y%m%d}.csv", alipay(day, *rows, merchant=merchant))
        await self.loop.look()

    async def outcome(self, id: str, state: State, code: str = "") -> None:
        """A command comes to that."""
        told = [InternalOutcome(id, "", state, code)]
        await self.store.write(lambda connection: self.acting.take(connection, told))

    async def given(self) -> list[str]:
        """Ids of commands in the database."""
        asked = select(GIVEN.c.id).order_by(GIVEN.c.id)
        return await self.store.read(lambda connection: list(connection.execute(asked).scalars()))

    async def items(self) -> dict[str, tuple[str, str]]:
        """Class and state by transaction, of what is not an agreement."""
        asked = select(ITEMS).order_by(ITEMS.c.id)
        rows = await self.store.read(lambda connection: list(connection.execute(asked)))
        return {f"{row.transaction_no}/{row.kind}": (row._mapping["class"], row.state) for row in rows}


@asynccontextmanager
async def desk(
    url: str, section: StatementsSection = SECTION, name: str = "bridge-1", elsewhere: frozenset[str] = frozenset()
) -> AsyncIterator[Desk]:
    store = Store(url, MIGRATIONS.prepare)
    await store.start()
    try:
        made = Desk(store, url, section, name, elsewhere)
        await store.write(lambda connection: expect(connection, expected_of(sources_of(section)), DAY))
        await store.write(lambda connection: GIVEN.create(connection, checkfirst=True))
        yield made
    finally:
        await store.close()

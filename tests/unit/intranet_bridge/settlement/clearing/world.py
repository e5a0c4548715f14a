"""A bridge's clearing on a real database, with statements put there as their reader puts them."""

import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from intranet_bridge.settlement.clearing.counting import OrderFacts, OrderLine
from intranet_bridge.settlement.clearing.desk import SheetView
from intranet_bridge.settlement.clearing.service import Clearing
from intranet_bridge.settlement.events import Event, posting
from intranet_bridge.settlement.ledger import book
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.settlement.rows import BOOKS, FILES, LINES
from intranet_bridge.settlement_sections.clearing import ClearingSection
from intranet_bridge.store import MIGRATIONS
from protocol.runtime.audit import logged
from protocol.runtime.books import balances, verify
from protocol.runtime.store import Store
from protocol.times import CHINA
from tests.unit.acts import transacting
from tests.unit.clock import Clock

DAY = date(2026, 11, 24)
NEXT = date(2026, 11, 25)
SECTION = ClearingSection.model_validate(
    {
        "channels": {
            "wechat": {"statements": ("wechat-trade",), "company": "power", "merchants": {"1900000002": "water"}},
            "alipay": {"statements": ("alipay-trade", "alipay-refund"), "company": "power"},
        },
        "two_people_above": 1_000_000,
        "arrivals": {"bank-icbc": {"company": "power"}},
    }
)


class World:
    """Clearing, and what it is of."""

    def __init__(self, store: Store, section: ClearingSection, clock: Clock) -> None:
        self.store, self.clock = store, clock
        self.orders: dict[str, OrderFacts] = {}
        self.submitted: list[tuple[str, str, bytes]] = []
        self.allowed = True
        nothing: Callable[[], Any] = lambda: None  # noqa: E731
        self.ports = Ports(
            store=store, at_rest=None, commands=nothing, calls=nothing, files=lambda: self,  # type: ignore[arg-type, return-value]
            allowed=lambda: self.allowed, name="bridge-1", act=logged, transact=transacting(store, logged),
            clock=clock,
        )  # fmt: skip
        self.clearing = Clearing(section, self.ports, self.known)
        self._files = 0

    def known(self, connection: Connection, numbers: Collection[str]) -> Mapping[str, OrderFacts]:
        return {number: self.orders[number] for number in numbers if number in self.orders}

    async def submit(self, target: str, profile: str, name: str, content: bytes) -> str:
        if (target, name, content) not in self.submitted:
            self.submitted.append((target, name, content))
        return f"{target}/{name}"[:64]

    async def statement(
        self, rows: Sequence[Mapping[str, Any]], day: date = DAY, channel: str = "wechat", profile: str = "",
        name: str = "", state: str = "accepted", merchant: str = "1900000001",
    ) -> str:  # fmt: skip
        """A statement that is accepted, of rows such as `pay("T1", 100)`; one of a name that is there replaces it."""
        self._files += 1
        id, name = f"file-{self._files}", name or f"{channel}-{day}-{self._files}"
        file = {
            "id": id, "name": name, "profile": profile or f"{channel}-trade", "channel": channel, "day": day,
            "merchant": merchant, "sha256": hashlib.sha256(id.encode()).hexdigest(), "state": state, "code": "",
            "findings": "[]", "rows": len(rows), "paid": 0, "refunded": 0, "settled": 0, "fee": 0, "who": "",
            "received_at": 1, "updated_at": 1,
        }  # fmt: skip
        lines = [
            {
                "file": id, "line": line, "platform_refund_no": "", "at": datetime(day.year, day.month, day.day, 9,
                tzinfo=CHINA).isoformat(), "account": "", "month": "", "bills": "", "penalty": None, **row,
            }
            for line, row in enumerate(rows, 1)
        ]  # fmt: skip

        def put(connection: Connection) -> None:
            same = (FILES.c.name == name) & (FILES.c.state != "replaced")
            connection.execute(FILES.update().where(same).values(state="replaced"))
            connection.execute(FILES.insert(), file)
            if lines:
                connection.execute(LINES.insert(), lines)

        await self.store.write(put)
        return id

    async def book(self, *events: Event, day: date = DAY) -> None:
        def write(connection: Connection) -> None:
            for event in events:
                book(connection, posting(event, day), 1)

        await self.store.write(write)

    def decide(self, number: str, line: int, **said: bool) -> None:
        """What became of a line."""
        order = self.orders[number]
        more: dict[str, Any] = dict(said)
        lines = tuple(replace(one, **more) if one.number == line else one for one in order.lines)
        self.orders[number] = replace(order, lines=lines)

    def order(self, number: str, *lines: OrderLine, transactions: Collection[str] = ()) -> None:
        self.orders[number] = OrderFacts(number, lines, frozenset(transactions))

    async def look(self) -> None:
        await self.clearing.look()
        await self.clearing.send()

    async def sheets(self) -> dict[str, SheetView]:
        """By id."""
        return {one.id: one for one in await self.clearing.sheets(date(2026, 1, 1), date(2027, 12, 31))}

    async def sign(self, id: str) -> SheetView:
        """By two people, if it takes two."""
        found = await self.clearing.approve(id, "wang")
        return found if found.state != "computed" else await self.clearing.approve(id, "li")

    async def balances(self) -> dict[str, int]:
        return await self.store.read(lambda connection: balances(connection, BOOKS, "", None))

    async def whole(self) -> None:
        """The books are as they were written."""
        assert not (await self.store.read(lambda connection: verify(connection, BOOKS))).broken

    async def count(self, table: Any) -> int:
        return len(await self.store.read(lambda connection: connection.execute(select(table)).all()))

    def tomorrow(self, days: int = 1) -> None:
        self.clock.now += int(timedelta(days).total_seconds() * 1000)


def pay(transaction: str, gross: int, order: str = "", fee: int = 0, settled: int | None = None) -> dict[str, Any]:
    """A payment; `fee` in thousandths of a fen."""
    return _row("pay", transaction, gross, order, "", fee, gross if settled is None else settled)


def refund(
    transaction: str, gross: int, number: str, order: str = "", fee: int = 0, settled: int | None = None
) -> dict[str, Any]:
    return _row("refund", transaction, gross, order, number, fee, -gross if settled is None else settled)


def income(row: str, amount: int, order: str = "") -> dict[str, Any]:
    """A row of a bank's."""
    return _row("in", row, amount, order, "", 0, amount)


def _row(kind: str, transaction: str, gross: int, order: str, refund: str, fee: int, settled: int) -> dict[str, Any]:
    return {
        "kind": kind, "transaction_no": transaction, "order_no": order, "refund_no": refund, "gross": gross,
        "settled": settled, "fee": fee, "status": "proven",
    }  # fmt: skip


@asynccontextmanager
async def world(url: str, section: ClearingSection = SECTION, clock: Clock | None = None) -> AsyncIterator[World]:
    store = Store(url, MIGRATIONS.prepare)
    await store.start()
    try:
        yield World(store, section, clock or Clock(1_795_600_000_000))  # 2026-11-25 17:46 in China
    finally:
        await store.close()

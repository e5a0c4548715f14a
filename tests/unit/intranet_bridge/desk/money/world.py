"""An accountant's desk over a real database: files come, are read and matched, and money is booked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

from intranet_bridge.desk.money.rooms import Desks, pages
from intranet_bridge.settlement import ledger
from intranet_bridge.settlement.events import Event, posting
from intranet_bridge.settlement.statements import shown
from intranet_bridge.settlement.statements.shown import FileOnRecord
from intranet_bridge.settlement_sections.statements import StatementFileSection, StatementsSection
from tests.unit.intranet_bridge.desk.staff import Staff
from tests.unit.intranet_bridge.settlement.statements import desks
from tests.unit.intranet_bridge.settlement.statements.reads import SAMPLES

NAME = "SDDL_DSDZ_37101_20261124.txt"
DAY = date(2026, 11, 24)
ROLES = {"li": ("settle",), "wang": ("approve",), "zhao": ("settle", "approve"), "qian": ("edit",), "sun": ("settle",)}
SECTION = StatementsSection(
    files={
        "alipay": StatementFileSection(profile="alipay-trade", company="power-yunhe"),
        "utility": StatementFileSection(profile="utility-dsdz", company="power-yunhe"),
    }
)  # fmt: skip


class World:
    """What is there to be looked at."""

    def __init__(self, money: desks.Desk) -> None:
        self.money, self.store = money, money.store
        self.staff = Staff(self.store, ROLES, money.clock)
        self.staff.open(pages(Desks(money.books), store=self.store, clock=money.clock, act=self.staff.act))

    async def take(self, sample: str, content: bytes | None = None) -> FileOnRecord:
        """A utility's file, as it comes."""
        data = (SAMPLES / sample).read_bytes() if content is None else content
        self.money.crossed.add(Path(sample).name, data, "utility")
        self.money.now += 1_000
        await self.money.loop.look()
        (found,) = await self.store.read(lambda one: shown.files(one, limit=1))
        return found

    async def book(self, *events: Event, day: date = DAY) -> None:
        """Money moves."""
        for event in events:
            await self.store.write(lambda one, event=event: ledger.book(one, posting(event, day), 1))  # type: ignore[misc]

    def done(self) -> list[tuple[str, str]]:
        """Acts in the audit, but the log-ins."""
        return self.money.acts + self.staff.done()


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """Its database is new."""
    async with desks.desk(f"sqlite:///{folder / 'bridge.sqlite3'}", SECTION) as money:
        yield World(money)

"""An accountant's desk over a real database, with files taken and money booked as the bridge does it."""

import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from functools import partial
from itertools import count
from pathlib import Path

from intranet_bridge.app import MIGRATIONS
from intranet_bridge.desk.money.rooms import pages
from intranet_bridge.settlement import ledger
from intranet_bridge.settlement.events import Event, posting
from intranet_bridge.settlement.statements.records import Statements, Taken
from protocol.runtime.store import Store
from tests.unit.intranet_bridge.desk.staff import NOW, Staff
from tests.unit.intranet_bridge.settlement.statements.reads import PROFILES, SAMPLES

NAME = "SDDL_DSDZ_37101_20261124.txt"
DAY = date(2026, 11, 24)
ROLES = {"li": ("settle",), "wang": ("approve",), "zhao": ("settle", "approve"), "qian": ("edit",)}


class World:
    """What is there to be looked at."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._ticks = count(NOW)
        self.statements = Statements(store, PROFILES, self._ticks.__next__)
        self.staff = Staff(store, ROLES)
        self.staff.open(pages(store, self.staff.now, self.staff.act))

    async def take(self, sample: str, profile: str = "utility-dsdz", content: bytes | None = None) -> Taken:
        """A file, as it comes."""
        data = (SAMPLES / sample).read_bytes() if content is None else content
        name, digest = Path(sample).name, hashlib.sha256(data).hexdigest()
        return await self.statements.take(name, profile, partial(io.BytesIO, data), digest)

    async def book(self, *events: Event, day: date = DAY) -> None:
        """Money moves."""
        for event in events:
            await self.store.write(lambda one, event=event: ledger.book(one, posting(event, day), NOW))  # type: ignore[misc]


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """Its database is new."""
    store = Store(f"sqlite:///{folder / 'bridge.sqlite3'}", MIGRATIONS.prepare)
    await store.start()
    try:
        yield World(store)
    finally:
        await store.close()

"""A day's statement through the whole loop of the bridge: it arrives, is read and judged, its write-offs are asked
page by page, it is compared in the process that does that, and what differs is written down as items. SQLite, as it is
shipped.

The marketing system and the relay are doubles that answer at once: what is measured is the bridge's own.
"""

import asyncio
import hashlib
import resource
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from intranet_bridge.commands.internal import InternalCommand
from intranet_bridge.files.service import ReceivedFile
from intranet_bridge.inbox.rows import AUDIT
from intranet_bridge.settlement.payments.acting import Acting as OrderActing
from intranet_bridge.settlement.payments.rows import LINES, ORDERS, PAYMENTS, TRANSACTIONS
from intranet_bridge.settlement.statements.acting import Acting
from intranet_bridge.settlement.statements.asking import PAGE
from intranet_bridge.settlement.statements.desk import StatementBooks
from intranet_bridge.settlement.statements.matcher import ProcessMatcher
from intranet_bridge.settlement.statements.matching import WriteOff
from intranet_bridge.settlement.statements.orders import Orders
from intranet_bridge.settlement.statements.reconciling import Reconciliation
from intranet_bridge.settlement.statements.records import Statements
from intranet_bridge.settlement.statements.sources import sources_of
from intranet_bridge.settlement_sections.statements import StatementFileSection, StatementsSection
from intranet_bridge.store import MIGRATIONS
from protocol.runtime.audit import Audit
from protocol.runtime.store import Store
from protocol.times import CHINA

_TOGETHER = 2_000
_CHUNK = 192 * 1024
_SECTION = StatementsSection(files={"wechat": StatementFileSection(profile="wechat-trade", company="power")})


def looped(
    bill: Path, day: date, write_offs: Callable[[], Iterable[WriteOff]], orders: Iterable[tuple[str, str, int]] = ()
) -> dict[str, Any]:
    """Measures one statement. `orders`: number, transaction and fen of each order of ours that was paid that day."""
    return asyncio.run(_looped(bill, day, write_offs, orders))


async def _looped(
    bill: Path, day: date, write_offs: Callable[[], Iterable[WriteOff]], orders: Iterable[tuple[str, str, int]]
) -> dict[str, Any]:
    file = bill.parent / "statements.sqlite3"
    file.unlink(missing_ok=True)
    store = Store(f"sqlite:///{file}", MIGRATIONS.prepare)
    await store.start()
    try:
        await _ordered(store, orders, day)
        now = int(datetime(day.year, day.month, day.day, 10, 30, tzinfo=CHINA).timestamp() * 1000) + 86_400_000
        loop, books, commands = _made(store, bill, day, write_offs, lambda: now)
        began, own, children = time.perf_counter(), time.process_time(), _children()
        task = asyncio.create_task(loop.look())
        longest = 0.0
        read_after = 0.0
        while not task.done():  # what a command waits meanwhile
            asked = time.perf_counter()
            await store.write(lambda connection: None)
            longest = max(longest, time.perf_counter() - asked)
            if not read_after and loop.verdicts:
                read_after = time.perf_counter() - began
            await asyncio.sleep(0.02)
        await task
        seconds = time.perf_counter() - began
        [run] = await books.runs()
        found = ", ".join(f"{count} {name}" for name, (count, _) in sorted(run.counts.items()) if name != "matched")
        return {
            "seconds": round(seconds, 1), "of them CPU": round(time.process_time() - own + _children() - children, 1),
            "until it was read": round(read_after, 1),
            "MiB at most": _mib(resource.RUSAGE_SELF), "and the process that compares": _mib(resource.RUSAGE_CHILDREN),
            "found": found, "run": run.state.value, "commands": len(commands.recorded),
            "ms the longest write beside it": round(longest * 1000),
        }  # fmt: skip
    finally:
        await store.close()
        file.unlink(missing_ok=True)


def _made(
    store: Store, bill: Path, day: date, write_offs: Callable[[], Iterable[WriteOff]], clock: Callable[[], int]
) -> tuple[Reconciliation, StatementBooks, "_Commands"]:
    sources = sources_of(_SECTION)
    statements = Statements(store, {name: one.profile for name, one in sources.items()}, clock)
    commands: Any = _Commands()
    files: Any = _Files(bill, day)
    acting = Acting(lambda: commands, clock, Orders(lambda at: OrderActing(at, commands.record), lambda: None))
    loop = Reconciliation(
        section=_SECTION, sources=sources, store=store, statements=statements, files=lambda: files,
        write_offs=_Marketing(write_offs), matcher=ProcessMatcher(), acting=acting, begin=lambda: None,
        allowed=lambda: True, name="bridge-1", clock=clock,
    )  # fmt: skip
    books = StatementBooks(
        section=_SECTION, sources=sources, store=store, statements=statements,
        transact=Audit(store, AUDIT, "bridge-1", clock).transact, clock=clock,
        changed=lambda: None,
    )  # fmt: skip
    return loop, books, commands


class _Files:
    """The one file that crossed."""

    def __init__(self, bill: Path, day: date) -> None:
        with bill.open("rb") as raw:
            digest = hashlib.file_digest(raw, "sha256").hexdigest()
        self._bill = bill
        name = f"1900000001_ALL_{day:%Y%m%d}.csv"
        self._file = ReceivedFile("file-1", "wechat", name, "wechat", bill.stat().st_size, digest, 1)

    async def received(
        self, profile: str = "", after: tuple[int, str] = (0, ""), limit: int = 100
    ) -> list[ReceivedFile]:
        return [self._file] if (self._file.accepted_at, self._file.id) > after else []

    async def content(self, id: str) -> AsyncIterator[bytes]:
        with self._bill.open("rb") as raw:
            while data := raw.read(_CHUNK):
                yield data
                await asyncio.sleep(0)


class _Marketing:
    """Its list, a page at a time."""

    def __init__(self, write_offs: Callable[[], Iterable[WriteOff]]) -> None:
        self._write_offs = write_offs

    async def between(self, channel: str, first: date, last: date) -> AsyncIterator[list[WriteOff]]:
        rows = iter(self._write_offs())
        while page := list(islice(rows, PAGE)):
            yield page
            await asyncio.sleep(0)

    async def of(
        self, channel: str, transactions: Collection[str], lines: Mapping[str, Collection[int]]
    ) -> list[WriteOff]:
        return []

    async def count(self, channel: str, day: date) -> int:
        return 0


class _Commands:
    """Takes commands, and does nothing."""

    def __init__(self) -> None:
        self.recorded: list[str] = []

    def record(self, connection: Connection, commands: Sequence[InternalCommand]) -> None:
        self.recorded += [one.id for one in commands]

    def begin(self) -> None:
        """Nothing is worked on."""


async def _ordered(store: Store, orders: Iterable[tuple[str, str, int]], day: date) -> None:
    """Orders of one line each, paid and written off that day."""
    at = int(datetime(day.year, day.month, day.day, 12, tzinfo=CHINA).timestamp() * 1000)
    rest = iter(orders)
    while page := list(islice(rest, _TOGETHER)):
        await store.write(lambda connection, page=page: _write_orders(connection, page, at))  # type: ignore[misc]


def _write_orders(connection: Connection, page: Sequence[tuple[str, str, int]], at: int) -> None:
    common = {"channel": "wechat", "payment": 1}

    def rows(**same: Any) -> Iterator[dict[str, Any]]:
        for number, transaction, fen in page:
            yield {"order_no": number, "transaction_no": transaction, "cash": fen, "amount": fen} | common | same

    def insert(table: Any, values: Iterable[dict[str, Any]]) -> None:
        names = {column.name for column in table.columns}
        connection.execute(table.insert(), [{key: one[key] for key in names & one.keys()} for one in values])

    insert(
        ORDERS,
        (
            row | {"number": row["order_no"], "request": row["order_no"]}
            for row in rows(
                application="app", payer="", state="completed", code="", honoured=True, late="", expires_at=at,
                due_at=None, created_at=at, updated_at=at,
            )
        ),
    )  # fmt: skip
    insert(
        LINES,
        rows(
            line=1, company="power", account="3210000000001", state="written-off", code="", asked="", credit=False,
            refund_request="", ended_at=at,
        ),
    )  # fmt: skip
    insert(PAYMENTS, rows(taken="", paid_at=at, received_at=at, evidence="", source="bench"))
    insert(TRANSACTIONS, (row | {"reference": row["order_no"]} for row in rows(number=1)))


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _mib(who: int) -> int:
    return resource.getrusage(who).ru_maxrss * 1024 >> 20

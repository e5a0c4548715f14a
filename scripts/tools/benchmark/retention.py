"""What rows that are only kept cost: ledger and inbox with millions of them beside empty ones, in turn.

The databases are real files, filled by SQLite itself with final rows of the last 30 days, as an installation of years
has them; the statements are the product's own (`Ledger`, `Inbox`). A *command* is all that is written and read for one:
at the front acceptance, receipt, outcome and a status; at the bridge its row, the call, the outcome, the receipt of the
reply. Beside it: what the daemons do by the clock, and how long a commit waits while rows are forgotten.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from dmz_front import store as front_store
from dmz_front.ledger.ledger import Ledger, ReportedOutcome
from dmz_front.ledger.rows import Row
from intranet_bridge import store as bridge_store
from intranet_bridge.inbox.inbox import Inbox, entry
from intranet_bridge.inbox.ordering import Ordering, QueuedCommand
from intranet_bridge.inbox.paging import Paging
from intranet_bridge.inbox.rows import Received
from protocol.backoff import Backoff
from protocol.lifecycle import State
from protocol.messages import uuid7
from protocol.runtime.clock import wall_clock
from protocol.runtime.store import Store

ROWS = 5_000_000
ROUNDS = 7
AT_ONCE = 32
"""Commands side by side: they share commits, as under load."""
COMMANDS = 320
"""Of one round."""
_DAYS = 30
_DAY_MS = 86_400_000
_BATCH = 100_000
_ENVELOPE, _REPLY = bytes(700), bytes(450)

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)"
_RANDOM = "abs(random()) % 4096, abs(random()) % (1 << 48)"
_ID = f"printf('%08x-%04x-7%03x-8%03x-%012x', at >> 16, at & 65535, i & 4095, {_RANDOM})"
_AT = "FROM (SELECT i, :now - :span + i * :span / :rows AS at FROM n)"
_STATE = "CASE WHEN i % 20 THEN 'succeeded' ELSE 'refused' END"
_FILL = {
    "requests": f"""{_NUMBERS} INSERT INTO requests (id, front, application, idempotency_key, fingerprint, operation,
        destination, state, code, envelope, reply, accepted_at, sent_at, updated_at, expires_at, sends, subject,
        position, answered_at)
        SELECT {_ID}, 'front-1', 'wechat', hex(randomblob(11)), randomblob(32), 'work-order',
        '/queue/bridge.command.main', {_STATE}, '', x'02',
        CASE WHEN at > :now - {_DAY_MS} THEN randomblob({len(_REPLY)}) END, at, at, at + 900, 0, 1,
        hex(randomblob(11)), 1, at + 1000 {_AT}""",
    "inbox": f"""{_NUMBERS} INSERT INTO inbox (id, sequence, owner, operation, source, subject, state, attempts,
        envelope, reply, reply_to, deadline, code, note, received_at, calling_at, updated_at, replied_at, after,
        crashes, likeness)
        SELECT {_ID}, at << 16, 'bridge-1', 'work-order', 'front-1/wechat', hex(randomblob(11)), {_STATE}, 1, x'',
        randomblob({len(_REPLY)}), '/queue/bridge.reply.command.front-1', 0, '', '', at, at, at + 400, at + 450, '', 0,
        randomblob(16) {_AT}""",
}


@dataclass(frozen=True, slots=True)
class Side:
    """A database, empty or full, as its daemon uses it."""

    store: Store
    command: Callable[[int], Awaitable[None]]
    clockwork: dict[str, Callable[[], Awaitable[Any]]]
    """What is done again and again, by name."""
    forget: Callable[[int], Awaitable[int]]


def run(folder: Path, rows: int = ROWS) -> list[dict[str, object]]:
    """Rows of a table: what was measured, empty, full, and the ratio."""
    folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_run(folder, rows))


async def _run(folder: Path, rows: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for table, open_ in (("requests", ledger_side), ("inbox", inbox_side)):
        sides = {}
        for kind, count in (("empty", 0), ("full", rows)):
            file = folder / f"{table}-{kind}.sqlite3"
            sides[kind] = await open_(file)
            if count:
                began = time.monotonic()
                await fill(sides[kind].store, table, count)
                took_s = time.monotonic() - began
                print(f"== {count} rows of {table} in {took_s:.0f} s, {_size(file)} MB", file=sys.stderr, flush=True)
        found += await _compared("ledger" if table == "requests" else "inbox", sides)
        for side in sides.values():
            await side.store.close()
        await asyncio.to_thread(remove, folder, table)
    return found


async def fill(store: Store, table: str, rows: int, days: int = _DAYS) -> None:
    """Final rows of the last days, evenly."""
    now = wall_clock() - 10_000
    for first in range(0, rows, _BATCH):
        values = {
            "first": first, "last": min(first + _BATCH, rows) - 1, "now": now, "span": days * _DAY_MS, "rows": rows,
        }  # fmt: skip

        def work(connection: Connection, values: dict[str, int] = values) -> None:
            connection.execute(text(_FILL[table]), values)

        await store.write(work)


async def _compared(name: str, sides: dict[str, Side]) -> list[dict[str, object]]:
    cpu: dict[str, list[float]] = {kind: [] for kind in sides}
    wall: dict[str, list[float]] = {kind: [] for kind in sides}
    for number in range(ROUNDS + 1):  # the first warms up
        for kind, side in sides.items():
            spent, took = await measure(side, number)
            if number:
                cpu[kind].append(spent)
                wall[kind].append(took)
    rows = [_row(f"{name}: a command, CPU ms", cpu), _row(f"{name}: a command, ms at {AT_ONCE} at once", wall)]
    for what in sides["empty"].clockwork:
        times: dict[str, list[float]] = {kind: [] for kind in sides}
        for _ in range(3):
            for kind, side in sides.items():
                began = time.perf_counter()
                await side.clockwork[what]()
                times[kind].append((time.perf_counter() - began) * 1000)
        rows.append(_row(f"{name}: {what}, ms", times))
    rest, busy = [], []
    for number in range(3):  # at rest and while rows are forgotten, in turn: the disk has its moods
        rest.append(await meanwhile(sides["full"].store, _rest))
        before = wall_clock() - _DAYS * _DAY_MS + (number + 1) * _DAY_MS // 3
        busy.append(await meanwhile(sides["full"].store, partial(sides["full"].forget, before)))
    gone, seconds = sum(one.result for one in busy), sum(one.seconds for one in busy)
    rows.append({"what": f"{name}: {gone} rows forgotten, s", "full": seconds})
    for what, read in (
        ("the longest commit", attrgetter("longest")), ("a commit, 99th of 100", attrgetter("late")),
        ("the event loop stood still", attrgetter("stood")),
    ):  # fmt: skip
        at_rest, then = (statistics.median(map(read, found)) for found in (rest, busy))
        rows.append({"what": f"{name}: {what}, ms", "at rest": at_rest, "while forgetting": then})
    return rows


async def measure(side: Side, number: int) -> tuple[float, float]:
    """One round of commands: milliseconds of CPU and of the clock for each. `number`: of the round."""
    began, spent = time.perf_counter(), time.process_time()
    for first in range(0, COMMANDS, AT_ONCE):
        await asyncio.gather(*(side.command(number * COMMANDS + first + at) for at in range(AT_ONCE)))
    per = 1000 / COMMANDS
    return (time.process_time() - spent) * per, (time.perf_counter() - began) * per


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """How others fared while something was done; milliseconds."""

    result: int
    seconds: float
    longest: float
    late: float
    stood: float


async def meanwhile(store: Store, work: Callable[[], Awaitable[int]]) -> Meanwhile:
    """Do `work`, and commit a little all the time beside it."""
    done = asyncio.Event()
    probe = asyncio.ensure_future(_commits(store, done))
    beat = asyncio.ensure_future(_beats(done))
    began = time.perf_counter()
    result = await work()
    seconds = time.perf_counter() - began
    done.set()
    waits = sorted(await probe)
    return Meanwhile(result, seconds, waits[-1], waits[len(waits) * 99 // 100], await beat)


async def _commits(store: Store, done: asyncio.Event) -> list[float]:
    waits: list[float] = []
    while not done.is_set():
        began = time.perf_counter()
        await store.write(_touch)
        waits.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.002)
    return waits


def _touch(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA user_version = 0")


async def _beats(done: asyncio.Event) -> float:
    longest = 0.0
    while not done.is_set():
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - began - 0.001)
    return longest * 1000


def _row(what: str, times: dict[str, list[float]]) -> dict[str, object]:
    empty, full = (statistics.median(times[kind]) for kind in ("empty", "full"))
    return {"what": what, "empty": empty, "full": full, "ratio": full / empty if empty else 0.0}


def remove(folder: Path, table: str) -> None:
    """Take a table's databases away, with what SQLite keeps beside them."""
    for file in folder.glob(f"{table}-*"):
        file.unlink()


async def _rest() -> int:
    await asyncio.sleep(2)
    return 0


def _size(file: Path) -> int:
    return file.stat().st_size >> 20


async def ledger_side(file: Path) -> Side:
    """The front's ledger in this file, with what is written and read for one command."""
    return await ledger_at(f"sqlite:///{file}")


async def ledger_at(url: str) -> Side:
    """The same in any database."""
    store = Store(url, front_store.MIGRATIONS.prepare)
    await store.start()
    ledger = Ledger(store, wall_clock)

    async def command(number: int) -> None:
        id, now = uuid7(wall_clock(), os.urandom(10)), wall_clock()
        row = Row(
            id, "front-1", "wechat", f"key {id}", os.urandom(32), "work-order", "/queue/bridge.command.main",
            subject=f"subject {number}", accepted_at=now, updated_at=now,
        )  # fmt: skip
        await ledger.accept(row, lambda _: _ENVELOPE)
        await ledger.sent([id])
        await ledger.record_outcomes([ReportedOutcome(id, State.SUCCEEDED, "", _REPLY)])
        await ledger.find(id, "wechat")

    return Side(
        store, command,
        {
            "status's report": ledger.report, "the count of the backlog": partial(ledger.count_backlog, "front-1"),
            "what is due": partial(ledger.due, "front-1", 30_000, 10_000), "the start's look": ledger.fronts,
        },
        ledger.forget,
    )  # fmt: skip


async def inbox_side(file: Path) -> Side:
    """The bridge's inbox in this file, likewise."""
    return await inbox_at(f"sqlite:///{file}")


async def inbox_at(url: str) -> Side:
    """The same in any database."""
    store = Store(url, bridge_store.MIGRATIONS.prepare)
    await store.start()
    inbox = Inbox(store, "bridge-1", wall_clock)
    await inbox.start()

    async def look() -> Paging:
        await inbox.start()
        backoff = Backoff(1.0, 1.0, lambda: 0.0)
        paging = Paging(store=store, inbox=inbox, ordering=Ordering(), owner="bridge-1", most=100_000, backoff=backoff)
        await paging.start()
        return paging

    reply_to = "/queue/bridge.reply.command.front-1"

    async def command(number: int) -> None:
        id = uuid7(wall_clock(), os.urandom(10))
        received = Received(
            id, "work-order", "front-1/wechat", f"subject {number}", reply_to, 0, _ENVELOPE, "",
            likenesses=(os.urandom(16),),
        )  # fmt: skip
        await inbox.record([received])
        queued = QueuedCommand(id, "work-order", f"subject {number}", State.RECEIVED)
        await inbox.calling(queued, 1)
        await inbox.finished(id, State.SUCCEEDED, 1, "", "", _REPLY)
        await inbox.replied([entry(id, State.SUCCEEDED, reply_to, _REPLY).id])

    return Side(
        store, command,
        {
            "status's report": inbox.report, "replies without a receipt": partial(inbox.unsent, 10_000),
            "decisions to act on": inbox.decided, "the start's look": look, "whose rows": inbox.owners,
        },
        inbox.forget,
    )  # fmt: skip

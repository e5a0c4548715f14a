"""What grows with the number of rows: ledger and inbox at several sizes, as curves that should be flat.

Each curve is a part of its own. `kept`: final rows of the last 30 days. `backlog`: rows that nobody has an outcome of
yet, as after a marketing system that was away; the time of the start's look and of what is done by the clock is what
an installation waits for after a crash. Databases are filled as in retention.py, and what is measured is what is
measured there: all that is written and read for one command, and each statement of the clock's.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import text

from scripts.tools.benchmark import retention
from scripts.tools.benchmark.chart import Curve

Row = dict[str, object]

SIZES = (10_000, 1_000_000, 5_000_000)
CURVES = ("kept", "backlog")
_LOOKS = 3
_BACKLOG_DAYS = 6
"""What has had no outcome for longer is held, and not sent any more (`UNDELIVERED_MS`)."""
_OPEN = {
    "requests": "UPDATE requests SET state = 'sent', envelope = randomblob(700), reply = NULL, answered_at = NULL",
    "inbox": "UPDATE inbox SET state = 'received', envelope = randomblob(700), reply = NULL, replied_at = NULL,"
    " calling_at = NULL, attempts = 0",
}
"""Makes of kept rows what they were before their outcome came."""
_OF_DAEMONS = {
    "memory": ("Memory over queries", "queries"),
    "recovery": ("A start with commands left", "commands"),
    "applications": ("Applications", "applications"),
    "accounts": ("Accounts whose answers are kept", "accounts"),
    "fleet": ("Fronts and bridges on PostgreSQL, all of a kind together", "fronts, and as many bridges"),
}
"""Curves of whole daemons (daemons.py, applications.py, accounts.py, fleet.py): their title, and what is counted."""


def run(folder: Path, sizes: Sequence[int] = SIZES, curves: Sequence[str] = CURVES) -> list[Row]:
    """One line a curve, table and size."""
    folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_run(folder, sizes, curves))


async def _run(folder: Path, sizes: Sequence[int], curves: Sequence[str]) -> list[Row]:
    found: list[Row] = []
    for curve in curves:
        for table, open_ in (("requests", retention.ledger_side), ("inbox", retention.inbox_side)):
            for size in sizes:
                file = folder / f"{table}-{curve}.sqlite3"
                side = await open_(file)
                await filled(side, table, size, curve)
                found += await _measured(side, {"curve": curve, "table": table, "rows": size})
                await side.store.close()
                await asyncio.to_thread(retention.remove, folder, table)
    return found


async def filled(side: retention.Side, table: str, size: int, curve: str) -> None:
    """Rows of the last days: final, or all without an outcome."""
    if curve == "kept":
        await retention.fill(side.store, table, size)
    else:
        await retention.fill(side.store, table, size, _BACKLOG_DAYS)
        await side.store.write(lambda connection: connection.execute(text(_OPEN[table])))


async def _measured(side: retention.Side, about: Row) -> list[Row]:
    await retention.measure(side, 0)  # warms up
    rounds = [await retention.measure(side, number + 1) for number in range(retention.ROUNDS)]
    found: list[Row] = [
        {**about, "what": "a command, CPU ms", "value": statistics.median(spent for spent, _ in rounds)},
        {**about, "what": "a command, ms", "value": statistics.median(took for _, took in rounds)},
    ]
    for what, look in side.clockwork.items():
        times = []
        for _ in range(_LOOKS):
            began = time.perf_counter()
            await look()
            times.append((time.perf_counter() - began) * 1000)
        found.append({**about, "what": f"{what}, ms", "value": statistics.median(times)})
    return found


def curves_of(rows: Sequence[Row]) -> list[Curve]:
    """The page's curves: a line for each thing that was measured, over the number of rows."""
    names: dict[tuple[str, str], dict[str, list[tuple[float, float]]]] = {}
    units: dict[tuple[str, str], tuple[str, str]] = {}
    for row in rows:
        point = float(str(row["rows"])), float(str(row["value"]))
        if row["curve"] in _OF_DAEMONS:
            title, axis = _OF_DAEMONS[str(row["curve"])]
            what, unit = str(row["what"]).rsplit(", ", 1)
            units[title, unit] = axis, unit.partition(" ")[0]
            names.setdefault((title, unit), {}).setdefault(what, []).append(point)
            continue
        table = "Ledger" if row["table"] == "requests" else "Inbox"
        title = f"{table}, rows {'that are only kept' if row['curve'] == 'kept' else 'without an outcome'}"
        kind = "a command" if str(row["what"]).startswith("a command") else "by the clock"
        lines = names.setdefault((title, kind), {})
        lines.setdefault(str(row["what"]).removesuffix(", ms"), []).append(point)
    return [
        Curve(f"{title}: {kind}", *units.get((title, kind), ("rows", "ms")), lines)
        for (title, kind), lines in names.items()
    ]

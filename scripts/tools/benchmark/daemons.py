"""What grows in the daemons themselves: memory over many requests, and the time of a start with much left to do.

`memory`: resident memory of front and bridge, after each tenth of so many queries. `recovery`: both databases hold
commands without an outcome, whose operations are paused, as in a long maintenance of the marketing system; measured is
the time from the process's start until it reports itself ready (sd_notify), and its resident memory then.
"""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, TextClause, text

from scripts.tools.benchmark import retention
from scripts.tools.benchmark.growth import filled
from scripts.tools.benchmark.pair import QUERY, Bench, resident_mb
from scripts.tools.testbed.testbed import Testbed

Row = dict[str, object]

REQUESTS = 100_000
_POINTS = 10
_CONNECTIONS = 32
_SIDES = {"front": ("requests", "front"), "bridge": ("inbox", "owner")}
"""A daemon's table of commands, and the column that says whose a row is."""


CURVES = ("memory", "recovery")


def run(folder: Path, sizes: Sequence[int], requests: int, curves: Sequence[str]) -> list[Row]:
    """One line a curve, daemon and size."""
    rows = memory(folder / "memory", requests) if "memory" in curves else []
    return rows + (recovery(folder / "recovery", sizes) if "recovery" in curves else [])


def memory(folder: Path, requests: int) -> list[Row]:
    """Resident memory of both daemons over so many queries."""
    rows: list[Row] = []
    with Bench(folder, "instant") as bench:
        done, seconds = 0, 2
        while done < requests:
            found = bench.load(QUERY, _CONNECTIONS, seconds)
            rate = float(found["requests/s"])
            done += round(rate * seconds)
            seconds = max(1, round(requests / _POINTS / rate))  # wrk takes whole ones
            for part in _SIDES:
                about = {"curve": "memory", "table": part, "rows": done, "what": f"{part}, MB resident"}
                rows.append({**about, "value": resident_mb(bench.testbed.pids[part])})
    return rows


def recovery(folder: Path, sizes: Sequence[int]) -> list[Row]:
    """How long each daemon takes to be ready with so many commands that have no outcome."""
    rows: list[Row] = []
    for size in sizes:
        with Bench(folder / str(size), "instant") as bench:
            testbed = bench.testbed
            testbed.ctl("pause", "--all", "--for", "2h")
            testbed.stop("front", "bridge")
            asyncio.run(_fill(testbed, size))
            for part in ("bridge", "front"):
                began = time.monotonic()
                testbed.start_and_confirm(part)
                took_s = time.monotonic() - began
                about = {"curve": "recovery", "table": part, "rows": size}
                rows.append({**about, "what": f"{part}, s until ready", "value": took_s})
                mb = resident_mb(testbed.pids[part])
                rows.append({**about, "what": f"{part}, MB when ready", "value": mb})
    return rows


async def _fill(testbed: Testbed, size: int) -> None:
    for part, (table, whose) in _SIDES.items():
        open_ = retention.ledger_side if table == "requests" else retention.inbox_side
        side = await open_(testbed.folder / "data" / f"{part}.sqlite3")
        await filled(side, table, size, "backlog")
        own = text(f"UPDATE {table} SET {whose} = (SELECT name FROM instances)")  # noqa: S608 - our own names
        await side.store.write(partial(_execute, statement=own))
        await side.store.close()


def _execute(connection: Connection, statement: TextClause) -> None:
    connection.execute(statement)

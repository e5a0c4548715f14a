"""The pair on PostgreSQL beside the pair on SQLite, under the same load of commands in turn; and what the group commit
costs in round trips to a PostgreSQL server.

Both pairs stand ready all the time, each with a broker of its own; rounds of load alternate between them, and every
other round begins with the other. A round ends when all its commands have their outcome, so that its CPU time is that
of a command's whole life, the database server's included. Both databases are on the same disk and wait for it
(`fsync`).
"""

import asyncio
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from sqlalchemy import event
from sqlalchemy.pool import Pool

from scripts.tools.benchmark import handovers, pair, retention
from scripts.tools.testbed.postgres import Postgres, postgres_server

Row = dict[str, Any]

CONNECTIONS = 64
SECONDS = 2
"""Of one load: short, so that a round of both meets the same moment of the machine."""
_ROUNDS = 4
"""Of 320 commands, whose round trips are counted."""


def run(folder: Path, rounds: int) -> Iterator[Row]:
    """Rows of both tables. Raises Unavailable where there is no PostgreSQL server."""
    folder.mkdir(parents=True, exist_ok=True)
    with postgres_server() as server:
        yield from asyncio.run(_round_trips(server))
        for told in (False, True):
            yield asyncio.run(handovers.measure(server.database("inbox"), told=told))
        with ExitStack() as stack:
            sides = [
                stack.enter_context(pair.Bench(folder / "postgresql", "instant", server=server)),
                stack.enter_context(pair.Bench(folder / "sqlite", "instant")),
            ]
            for side in sides * (pair.WARM_S // SECONDS):
                _round(side)
            pairs = []
            for number in range(rounds):
                order = (0, 1) if number % 2 == 0 else (1, 0)
                found = {at: _round(sides[at]) for at in order}
                pairs.append((found[0], found[1]))
        for measure in pairs[0][0]:
            yield compared(measure, [(one[measure], other[measure]) for one, other in pairs])


def _round(bench: pair.Bench) -> dict[str, float]:
    """One load until its last outcome: commands a second, and milliseconds of CPU a command."""
    before, began = bench.cpu(), time.monotonic()
    row = bench.load(pair.COMMAND, CONNECTIONS, SECONDS)
    bench.drained()
    took = time.monotonic() - began
    commands = row["requests/s"] * SECONDS
    used = {part: (seconds - before[part]) / commands * 1000 for part, seconds in bench.cpu().items()}
    used.setdefault("database", 0.0)
    all_ = sum(used[part] for part in ("front", "bridge", "broker", "database"))
    return {
        "accepted/s": row["requests/s"],
        "done/s, of a load and its drain": commands / took,
        "p50 ms": row["p50 ms"],
        "CPU ms a command: all": all_,
        **{f"CPU ms a command: {part}": used[part] for part in ("front", "bridge", "broker", "database")},
    }


def compared(measure: str, pairs: Sequence[tuple[float, float]]) -> Row:
    """One line: medians of both, and the ratio, PostgreSQL to SQLite, with its quartiles. (SQLite is no process.)"""
    postgresql, sqlite = (statistics.median(both[side] for both in pairs) for side in (0, 1))
    ratios = [one / other for one, other in pairs if other]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3 or [float("nan")] * 3
    return {
        "measure": measure, "postgresql": postgresql, "sqlite": sqlite, "ratio": middle,
        "quartiles": f"{low:.3f} to {high:.3f}",
    }  # fmt: skip


async def _round_trips(server: Postgres) -> list[Row]:
    rows: list[Row] = []
    for name, open_ in (("ledger", retention.ledger_at), ("inbox", retention.inbox_at)):
        side = await open_(server.database(name))
        await retention.measure(side, 0)  # connects
        with traced("store-writer") as trace:
            commits, spent = side.store.commits, 0.0
            for number in range(_ROUNDS):
                spent += (await retention.measure(side, number + 1))[0]
            commits = side.store.commits - commits
        trips = round_trips(trace)
        rows.append({
            "side": name, "commands at once": retention.AT_ONCE, "rows a transaction": _rows_of(trace, commits),
            "round trips a transaction": trips / commits, "round trips a command": trips / _ROUNDS / retention.COMMANDS,
            "client's CPU ms a command": spent / _ROUNDS,
        })  # fmt: skip
        await side.store.close()
    return rows


def round_trips(trace: Sequence[str]) -> int:
    """How often a client waited for its server, in libpq's trace: the server is ready once for each."""
    return sum("\tReadyForQuery\t" in line for line in trace)


def _rows_of(trace: Sequence[str], commits: int) -> float:
    """Rows that were inserted or updated, a transaction."""
    tags = [line.split('"')[1].split() for line in trace if "\tCommandComplete\t" in line]
    return sum(int(tag[-1]) for tag in tags if tag[0] in ("INSERT", "UPDATE")) / commits


@contextmanager
def traced(thread: str) -> Iterator[list[str]]:
    """While it lasts, what libpq sends and receives on the connections that a thread of this name has checked out.

    The list is filled at the end.
    """
    lines: list[str] = []

    def begin(connection: Any, _record: object, _proxy: object) -> None:
        if threading.current_thread().name == thread:
            connection.pgconn.trace(file.fileno())

    def end(connection: Any, _record: object) -> None:
        if connection is not None:
            connection.pgconn.untrace()

    file: IO[bytes]
    with tempfile.TemporaryFile() as file:
        event.listen(Pool, "checkout", begin)
        event.listen(Pool, "checkin", end)
        try:
            yield lines
        finally:
            event.remove(Pool, "checkout", begin)
            event.remove(Pool, "checkin", end)
            file.seek(0, os.SEEK_SET)
            lines += file.read().decode(errors="replace").splitlines()

"""What commands cost to their outcome: accepted under load, then drained until the caller could have each outcome.

It imports nothing of the product and only asks for what any commit's `pair.Bench` has, because compare.py loads this
file into the other tree too.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]

PARTS = ("front", "broker", "bridge")
SETTLE_S = 0.5
"""After the last outcome: for the receipts of its reply, which are written down too."""


def to_outcome(bench: Any, load: Callable[[], Row]) -> Row:
    """What `load` gives, and of the commands it brought, to their outcome: how many ended a second from the first's
    acceptance to the last's outcome, and CPU milliseconds of each part for one.
    """
    folder, pids = bench.testbed.folder, bench.testbed.pids
    before, there, begun = {part: _cpu_seconds(pids[part]) for part in PARTS}, _accepted(folder), time.monotonic()
    row = load()
    bench.drained()
    took_s = time.monotonic() - begun
    time.sleep(SETTLE_S)
    ended = _accepted(folder) - there
    spent = {part: (_cpu_seconds(pids[part]) - before[part]) / ended * 1000 for part in PARTS}
    return {
        **row,
        "commands": ended,
        "ended/s": ended / took_s,
        "to outcome, CPU s/1000: pair": sum(spent.values()),
        **{f"to outcome: {part}": spent[part] for part in PARTS},
    }


def _accepted(folder: Path) -> int:
    """All that the front ever did."""
    with sqlite3.connect(f"file:{folder}/data/front.sqlite3?mode=ro", uri=True) as database:
        return int(database.execute("SELECT count(*) FROM requests").fetchone()[0])


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

"""What grows with the accounts whose answers are kept: memory, and a query's cost, with a kept answer and without one.

Accounts are asked about one after the other until so many are kept (what that costs is the query that finds nothing
kept); then any of them, by chance, all of whose answers are there.
"""

import re
import statistics
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.tools.benchmark.pair import QUIET, WARM_S, Bench, Row, resident_mb
from scripts.tools.testbed.processes import TestbedError, free_port

SIZES = (1_000, 10_000, 100_000)
CURVE = "accounts"
_BYTES_EACH = 4_096
"""Room for the answer about one account, amply."""
_LIFETIME_S = 7_200
_CONNECTIONS = 32
_LOADS = 3
"""Of which the median counts."""
_FILL_S = 2
_FILLS = 600
_PARTS = ("front", "bridge")
_NEARLY = 0.95
_WAYS = ("hit", "joined", "miss", "stale")

_ASK = """
local headers = {["Content-Type"] = "application/json"}
headers["Authorization"] = "Bearer " .. io.open(os.getenv("KEY_FILE")):read("*l")
local number, accounts = %d, %d
function init(args) math.randomseed(7) end
function request()
    %s
    local body = string.format('{"account":"321%%010d","first_month":"2026-06","last_month":"2026-06"}', number)
    return wrk.format("POST", "/v1/bill-query", headers, body)
end
"""


def one_by_one(first: int, accounts: int) -> str:
    """A load that asks about the accounts from this one on, and about all of them again after the last."""
    return _ASK % (first, accounts, "number = (number + 1) % accounts")


def any_of(accounts: int) -> str:
    """A load that asks about so many accounts, any of them as often as another."""
    return _ASK % (0, accounts, "number = math.random(0, accounts - 1)")


def run(folder: Path, sizes: Sequence[int], seconds: float) -> list[Row]:
    """One line a size, daemon and measure."""
    rows: list[Row] = []
    port = free_port()
    with Bench(folder, "instant", _settings(max(sizes), port)) as bench:
        bench.load(one_by_one(0, min(sizes)), _CONNECTIONS, WARM_S)
        for size in sorted(sizes):
            found = _filled(bench, size, port)
            before = _numbers(port)
            loads = [bench.load(any_of(size), _CONNECTIONS, seconds) for _ in range(_LOADS)]
            now = _numbers(port)
            found["queries", "share answered by a kept one"] = share(before, now, "hit")
            for part in _PARTS:
                found[f"{part}, a kept answer", "ms of CPU a query"] = statistics.median(load[part] for load in loads)
                found[part, "MB resident"] = resident_mb(bench.testbed.pids[part])
            found["kept answers, as the bridge reckons", "MB resident"] = now["bytes"] / (1 << 20)
            rows += rows_of(size, found)
    return rows


def rows_of(size: int, found: Mapping[tuple[str, str], float]) -> list[Row]:
    """As growth.py takes them."""
    return [
        {"curve": CURVE, "table": what, "rows": size, "what": f"{what}, {unit}", "value": value}
        for (what, unit), value in found.items()
    ]


def _filled(bench: Bench, size: int, port: int) -> dict[tuple[str, str], float]:
    """Have the answers about so many accounts kept. What a query cost meanwhile, by the loads of which nearly none
    was answered by a kept one: they are too long for a thousand accounts.
    """
    loads: list[Row] = []
    now = _numbers(port)
    for _ in range(_FILLS):
        if now["kept"] >= size:
            break
        # a load is cut off with what is under way: some of the last ones may not be there
        first = max(0, int(now["kept"]) - 2 * _CONNECTIONS)
        load, before, now = bench.load(one_by_one(first, size), _CONNECTIONS, _FILL_S), now, _numbers(port)
        if share(before, now, "miss") >= _NEARLY:
            loads.append(load)
    else:
        raise TestbedError(f"only {now['kept']:.0f} of {size} answers are kept")
    if not loads:
        return {}
    return {
        (f"{part}, an answer kept from now on", "ms of CPU a query"): statistics.median(load[part] for load in loads)
        for part in _PARTS
    }


def share(before: Row, now: Row, way: str) -> float:
    """Of the queries in between, how many were answered in a way."""
    asked = sum(now[one] - before[one] for one in _WAYS)
    return float((now[way] - before[way]) / asked) if asked else 0.0


def _settings(accounts: int, port: int) -> dict[str, dict[str, Any]]:
    bridge = {
        **QUIET["intranet_bridge"],
        "metrics.port": port,
        "hot.bytes": max(1 << 20, accounts * _BYTES_EACH),
        "hot.operations.bill-query.lifetime_s": _LIFETIME_S,
        # one application asks about all of them
        "ceilings.application_accounts": 1_000_000,
        "ceilings.front_accounts": 1_000_000,
    }
    return {**QUIET, "intranet_bridge": bridge}


def _numbers(port: int) -> Row:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return numbers(answer.read().decode())


def numbers(metrics: str) -> Row:
    """What the bridge's metrics tell of kept answers: how many, their bytes, and queries by how they were answered."""
    found = dict.fromkeys(_WAYS, 0.0)
    for way, number in re.findall(
        r'^intranet_bridge_hot_queries_total\{.*way="(\w+)".*\} (\S+)', metrics, re.MULTILINE
    ):
        found[way] = float(number)
    for name in ("answers", "bytes"):
        value = re.search(rf"^intranet_bridge_hot_{name} (\S+)", metrics, re.MULTILINE)
        found[name.replace("answers", "kept")] = float(value[1]) if value else 0.0
    return found

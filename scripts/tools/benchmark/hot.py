"""Hot data: what kept answers spare a marketing system that takes its time over each call.

Cold and hot in one run: the same pair and the same load, once with nothing kept and once with all. Each call takes
`LATENCY_MS`, and where it says so the marketing system bears only `AT_ONCE` calls at once. `zipf` asks about
`ACCOUNTS` accounts, the n-th most wanted of them 1/n as often as the first, beginning with nothing kept.
"""

import urllib.request
from pathlib import Path
from typing import Any

from scripts.tools.benchmark.pair import QUERY, QUIET, WARM_S, Bench

Row = dict[str, Any]

LATENCY_MS = 20.0
AT_ONCE = 4
ACCOUNTS = 100_000
LIFETIME_S = 3600
_ZIPF_LASTS = 3

ZIPF = """
local key = io.open(os.getenv("KEY_FILE")):read("*l")
local accounts, sums, total = %d, {}, 0
local headers = {["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. key}
function init(args)
    math.randomseed(7)
    for rank = 1, accounts do total = total + 1 / rank; sums[rank] = total end
end
function request()
    local wanted, low, high = math.random() * total, 1, accounts
    while low < high do
        local middle = math.floor((low + high) / 2)
        if sums[middle] < wanted then low = middle + 1 else high = middle end
    end
    local body = string.format('{"account":"321%%010d","first_month":"2026-06","last_month":"2026-06"}', low)
    return wrk.format("POST", "/v1/bill-query", headers, body)
end
"""


def run(folder: Path, seconds: float) -> list[Row]:
    """One line a measurement; `calls/query` is what is left of the load on the marketing system."""
    rows: list[Row] = []
    loads = (("one caller", QUERY, 1), ("32 callers", QUERY, 32), ("zipf", ZIPF % ACCOUNTS, 32))
    for kept in (False, True):
        with Bench(folder / ("hot" if kept else "cold"), "instant", _settings(kept=kept), LATENCY_MS) as bench:
            bench.load(QUERY, 32, WARM_S)
            for name, script, connections in loads:
                before = _calls(bench)
                lasts_s = seconds * (_ZIPF_LASTS if script is not QUERY else 1)
                row = bench.load(script, connections, lasts_s)
                asked = row["requests/s"] * lasts_s
                rows.append(
                    {
                        "load": name, "kept": "hot" if kept else "cold",
                        **{column: row[column] for column in ("requests/s", "not 2xx", "p50 ms", "p99 ms")},
                        "calls/query": (_calls(bench) - before) / asked,
                    }
                )  # fmt: skip
    return rows + _ratios(rows)


def _ratios(rows: list[Row]) -> list[Row]:
    half = len(rows) // 2
    return [
        {
            "load": cold["load"], "kept": "hot/cold",
            "requests/s": hot["requests/s"] / cold["requests/s"], "not 2xx": hot["not 2xx"] + cold["not 2xx"],
            "p50 ms": hot["p50 ms"] / cold["p50 ms"], "p99 ms": hot["p99 ms"] / cold["p99 ms"],
            "calls/query": hot["calls/query"] / cold["calls/query"],
        }
        for cold, hot in zip(rows[:half], rows[half:], strict=True)
    ]  # fmt: skip


def _settings(*, kept: bool) -> dict[str, dict[str, Any]]:
    bridge = {
        **QUIET["intranet_bridge"], "operations.bill-query.concurrency": AT_ONCE,
        # one application asks about all accounts here
        "ceilings.application_accounts": 10 * ACCOUNTS, "ceilings.front_accounts": 10 * ACCOUNTS,
    }  # fmt: skip
    if kept:
        bridge["hot.operations.bill-query.lifetime_s"] = LIFETIME_S
    return {**QUIET, "intranet_bridge": bridge}


def _calls(bench: Bench) -> int:
    with urllib.request.urlopen(f"{bench.testbed.marketing_url}/calls", timeout=5) as answer:  # noqa: S310 - our own
        return int(answer.read())

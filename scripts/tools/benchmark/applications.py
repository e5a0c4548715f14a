"""What grows with the applications that an installation has: a query's cost, CPU at rest, the time of a start, memory.

Each application has a key of its own, a rate, a daily quota, and a table in the bridge's configuration that names each
operation it may ask for; the callers take turns. Once with four operations bound and allowed, once with forty; what is
asked is always the same one.
"""

import json
import statistics
import time
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from protocol.operations import CATALOGUE, OFFERED
from protocol.runtime import applications
from protocol.runtime.clock import wall_clock
from scripts.tools.benchmark import pair
from scripts.tools.benchmark.pair import QUIET, Bench, cpu_seconds, resident_mb
from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.testbed import Testbed

Row = dict[str, object]

SIZES = (1, 100, 10_000)
OPERATIONS = (4, 40)
CURVE = "applications"
_USUAL = ("bill-query", "arrears-query", "work-order", "work-order-progress")
_PARTS = ("front", "bridge")
_CONNECTIONS = 32
_LOADS = 3
"""Of which the median counts."""
_REST_S = 10.0
_RATE, _QUOTA = 100_000.0, 1_000_000_000
"""Of each application: never used up."""

QUERY = """
local keys, number = {}, 0
for key in io.lines("%s") do keys[#keys + 1] = "Bearer " .. key end
local body = '{"account":"3210000000001","first_month":"2026-06","last_month":"2026-06"}'
function request()
    number = number + 1
    local headers = {["Content-Type"] = "application/json", ["Authorization"] = keys[number %% #keys + 1]}
    return wrk.format("POST", "/v1/bill-query", headers, body)
end
"""


def run(folder: Path, sizes: Sequence[int], seconds: float) -> list[Row]:
    """One line a size, number of operations, daemon and measure."""
    rows: list[Row] = []
    bound = sorted(bound_operations())
    for number in OPERATIONS:
        operations = chosen(bound, number)
        unbound = {f'operations."{name}"': None for name in bound if name not in operations}
        settings: dict[str, dict[str, Any]] = {**QUIET, "intranet_bridge": {**QUIET["intranet_bridge"], **unbound}}
        with Bench(folder / str(number), "instant", settings) as bench:
            bench.load(pair.QUERY, _CONNECTIONS, pair.WARM_S)
            testbed = bench.testbed
            plain = (testbed.config / "intranet_bridge.toml").read_text(encoding="utf-8")
            keys: dict[str, str] = {}
            for size in sizes:
                testbed.stop("front", "bridge")
                missing = [name for name in names(size) if name not in keys]
                keys |= add(testbed.folder / "data" / "front.sqlite3", missing, scopes_of(operations))
                (testbed.folder / "keys.txt").write_text("\n".join(keys[name] for name in names(size)))
                ceilings = tables(names(size), operations)
                (testbed.config / "intranet_bridge.toml").write_text(f"{plain}\n{ceilings}", encoding="utf-8")
                rows += _measured(bench, size, f"{number} operations", seconds)
    return rows


def _measured(bench: Bench, size: int, about: str, seconds: float) -> list[Row]:
    testbed, found = bench.testbed, dict[tuple[str, str], float]()
    for part in reversed(_PARTS):  # a front is ready when a bridge is
        began = time.monotonic()
        testbed.start_and_confirm(part)
        found[part, "s until ready"] = time.monotonic() - began
        found[part, "s of CPU until ready"] = cpu_seconds(testbed.pids[part])
        found[part, "MB when ready"] = resident_mb(testbed.pids[part])
    script = QUERY % (testbed.folder / "keys.txt")
    bench.load(script, _CONNECTIONS, 3)
    loads = [bench.load(script, _CONNECTIONS, seconds) for _ in range(_LOADS)]
    if failed := sum(int(load["not 2xx"]) for load in loads):
        raise RuntimeError(f"{failed} answers were none of success: nothing can be told by their cost")
    at_rest = _at_rest(testbed)
    for part in _PARTS:
        found[part, "ms of CPU a query"] = statistics.median(float(load[part]) for load in loads)
        found[part, "ms of CPU a second at rest"] = at_rest[part]
        found[part, "MB under load"] = resident_mb(testbed.pids[part])
    for of, column in (("50 of 100 queries", "p50 ms"), ("99 of 100 queries", "p99 ms")):
        found[of, "ms until answered"] = statistics.median(load[column] for load in loads)
    return rows_of(size, about, found)


def rows_of(size: int, about: str, found: Mapping[tuple[str, str], float]) -> list[Row]:
    """As growth.py takes them."""
    return [
        {"curve": CURVE, "table": part, "rows": size, "what": f"{part}, {about}, {unit}", "value": value}
        for (part, unit), value in found.items()
    ]


def _at_rest(testbed: Testbed) -> dict[str, float]:
    """CPU milliseconds a second, while nobody asks."""
    before = {part: cpu_seconds(testbed.pids[part]) for part in _PARTS}
    time.sleep(_REST_S)
    return {part: (cpu_seconds(testbed.pids[part]) - before[part]) / _REST_S * 1000 for part in _PARTS}


def names(size: int) -> list[str]:
    """The first so many applications."""
    return [f"app-{number:05}" for number in range(size)]


def bound_operations() -> set[str]:
    """Those that the shipped configuration binds, and applications may ask for."""
    files = [tomllib.loads(file.read_text(encoding="utf-8")) for file in (ROOT / "config" / "bindings").glob("*.toml")]
    return {name for file in files for name in file.get("operations", {})}


def chosen(bound: Iterable[str], number: int) -> list[str]:
    """So many of them that applications may ask for, the usual ones first."""
    others = [name for name in bound if name in OFFERED and name not in _USUAL]
    return [*_USUAL, *others][:number]


def scopes_of(operations: Iterable[str]) -> list[str]:
    """What an application is granted, to ask for these."""
    return sorted({CATALOGUE[name].scope for name in operations})


def tables(wanted: Iterable[str], operations: Collection[str]) -> str:
    """The bridge's tables of a front with these applications, each with the operations it may ask for."""
    named = json.dumps(sorted(operations))
    begin = "[fronts.front-1]\nrate = 1000000\n"
    return begin + "".join(
        f"[fronts.front-1.applications.{name}]\nrate = {_RATE:.0f}\noperations = {named}\n" for name in wanted
    )


def add(file: Path, wanted: Iterable[str], scopes: Sequence[str]) -> dict[str, str]:
    """Register applications in a front's database; their keys by name."""
    engine = sa.create_engine(f"sqlite:///{file}")
    limits = applications.Limits(quotas={applications.ALL_OPERATIONS: _QUOTA})
    try:
        with engine.begin() as connection:
            now = wall_clock()
            return {
                name: applications.add(connection, name, scopes, rate=_RATE, limits=limits, now_ms=now)
                for name in wanted
            }
    finally:
        engine.dispose()

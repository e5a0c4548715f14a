"""The whole pair under load: wrk → dmz-front → ActiveMQ → intranet-bridge → a backend, and back.

Two backends: an instant one (instant_backend.py), which shows what the pair itself costs, and the marketing
simulator, whose own work is included.
"""

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from scripts.tools.benchmark.outcomes import to_outcome
from scripts.tools.testbed.layout import Ports
from scripts.tools.testbed.postgres import Postgres
from scripts.tools.testbed.processes import TestbedError, free_port, start, wait_until
from scripts.tools.testbed.testbed import Testbed

Row = dict[str, Any]

TICKS = os.sysconf("SC_CLK_TCK")

QUERY = """
wrk.method = "POST"
wrk.path = "/v1/bill-query"
wrk.body = '{"account":"3210000000001","first_month":"2026-06","last_month":"2026-06"}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. io.open(os.getenv("KEY_FILE")):read("*l")
"""

COMMAND = """
local key = io.open(os.getenv("KEY_FILE")):read("*l")
local number = 0
local body = '{"type":"suggestion","contact_name":"张伟","contact_phone":"13800000001",' ..
    '"address":"人民路1号","content":"建议"}'
function init(args) math.randomseed(os.time()) run = math.random(1, 1e9) end
function request()
    number = number + 1
    return wrk.format("POST", "/v1/work-order", {
        ["Content-Type"] = "application/json",
        ["Authorization"] = "Bearer " .. key,
        ["Prefer"] = "respond-async",
        ["Idempotency-Key"] = "bench-" .. (os.getenv("CALLER") or "") .. "-" .. run .. "-" .. number,
    }, body)
end
"""

WARM_S = 20
"""Of load before anything is measured: until then the broker's just-in-time compiler takes more than the broker."""

_ANY_OPEN = "SELECT 1 FROM requests WHERE state IN ('accepted', 'sent') LIMIT 1"

QUIET: dict[str, dict[str, Any]] = {
    "dmz_front": {"log.level": "warning"},
    # one application asks for all: beyond its ceiling a refusal would be measured, which costs less than an answer
    "intranet_bridge": {"log.level": "warning", "ceilings.application_rate": 1e6, "ceilings.front_rate": 1e6},
}


def queries(folder: Path, seconds: float) -> list[Row]:
    """Query round trips at 32 and 128 connections, against both backends, after a warm-up."""
    rows: list[Row] = []
    for backend in ("instant", "simulator"):
        with Bench(folder / backend, backend) as bench:
            bench.load(QUERY, 32, WARM_S)
            for connections in (1, 32, 128):
                rows.append({"backend": backend, **bench.load(QUERY, connections, seconds)})
    return rows


def commands(folder: Path, seconds: float) -> list[Row]:
    """Durable commands: each 202 has a commit behind it; then until all of them are final. And how the rows of both
    databases shared their transactions meanwhile, each of which is a sync of the disk.
    """
    port = free_port()
    settings = {**QUIET, "intranet_bridge": {**QUIET["intranet_bridge"], "metrics.port": port}}
    with Bench(folder, "instant", settings) as bench:
        bench.load(COMMAND, 64, WARM_S)
        bench.drained()
        sides = {
            "front": (bench.testbed.metrics_url, "dmz_front_commits_total", "dmz_front_store"),
            "bridge": (
                f"http://127.0.0.1:{port}/metrics",
                "intranet_bridge_store_commits_total",
                "intranet_bridge_store",
            ),
        }
        before = {side: _committed(*where) for side, where in sides.items()}
        row = to_outcome(bench, lambda: bench.load(COMMAND, 64, seconds))
        took_s = row["commands"] / row["ended/s"]
        after = {side: _committed(*where) for side, where in sides.items()}
        shared = [_shared(side, row["commands"], took_s, before[side], after[side]) for side in sides]
        return [row, *shared]


def _committed(url: str, commits: str, of_store: str) -> dict[str, float]:
    """Transactions committed, rows written in them, and transactions undone, as a daemon counts them."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own
        text = answer.read().decode()
    names = {"commits": commits, "rows": f"{of_store}_rows_written_total", "undone": f"{of_store}_rollbacks_total"}
    return {of: float(_found(rf"^{name} (\S+)", text)) for of, name in names.items()}


def _shared(side: str, ended: int, took_s: float, before: dict[str, float], after: dict[str, float]) -> Row:
    done = {of: after[of] - before[of] for of in after}
    return {
        "group commit": side,
        "transactions/s": done["commits"] / took_s,
        "rows a transaction": done["rows"] / done["commits"],
        "transactions a command": done["commits"] / ended,
        "undone": int(done["undone"]),
    }


class Bench:
    """A testbed under load."""

    def __init__(
        self,
        folder: Path,
        backend: str,
        settings: dict[str, dict[str, Any]] = QUIET,
        latency_ms: float = 0.0,
        server: Postgres | None = None,
    ) -> None:
        """`latency_ms`: of each call of the instant backend. `server`: where both databases are, instead of files."""
        stores = {side: server.database(side) for side in ("front", "bridge")} if server else {}
        self.testbed = Testbed(folder, Ports(), settings=settings, stores=stores)
        self._server = server
        self.backend, self.latency_ms = backend, latency_ms

    @property
    def urls(self) -> list[str]:
        """The fronts that are put under load."""
        return [self.testbed.front_url]

    def __enter__(self) -> Self:
        testbed = self.testbed
        testbed.set_up()
        try:
            if self.backend == "instant":
                program = Path(__file__).with_name("instant_backend.py")
                token = testbed.folder / "data" / "marketing.token"
                token.touch(mode=0o600)
                token.write_text("bench")
                log = testbed.logs / "marketing.log"
                pid = testbed.pids["marketing"] = start(
                    [sys.executable, str(program), str(testbed.ports.marketing), str(self.latency_ms)], log
                )
                wait_until(lambda: testbed._answers(f"{testbed.marketing_url}/health"), 10, "the backend", pid, log)
            testbed.start()
        except BaseException:
            testbed.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.testbed.stop()

    def load(self, script: str, connections: int, seconds: float) -> Row:
        """Run wrk with so many connections to each front, and measure the CPU time of every process meanwhile. Of
        several fronts the latencies are those of the slowest.
        """
        lua = self.testbed.folder / "load.lua"
        lua.write_text(script)
        before = self.cpu()

        def offer(number: int, url: str) -> str:
            done = subprocess.run(
                ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", str(lua), url],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "KEY_FILE": str(self.testbed.folder / "app.key"), "CALLER": str(number)},
            )
            return done.stdout

        with ThreadPoolExecutor(len(self.urls)) as callers:
            outputs = list(callers.map(offer, *zip(*enumerate(self.urls), strict=True)))
        used = {part: seconds - before[part] for part, seconds in self.cpu().items()}
        requests = sum(int(_found(r"(\d+) requests in", output)) for output in outputs)
        failed = sum(int(_found(r"Non-2xx or 3xx responses: (\d+)", output) or 0) for output in outputs)
        per_thousand = {part: seconds / requests * 1000 for part, seconds in used.items()}
        pair = sum(per_thousand[part] for part in ("front", "broker", "bridge"))
        return {
            "connections": connections,
            "requests/s": sum(float(_found(r"Requests/sec:\s+([\d.]+)", output)) for output in outputs),
            "not 2xx": failed,
            "p50 ms": max(_milliseconds(_found(r"^\s+50%\s+(\S+)", output)) for output in outputs),
            "p99 ms": max(_milliseconds(_found(r"^\s+99%\s+(\S+)", output)) for output in outputs),
            "CPU s/1000: pair": pair,
            **{part: per_thousand[part] for part in ("front", "broker", "bridge")},
            "backend CPU": per_thousand["marketing"],
        }

    def cpu(self) -> dict[str, float]:
        """Seconds that each process has used, and the database server with all of its own (as `database`)."""
        used = {part: cpu_seconds(pid) for part, pid in self.testbed.pids.items()}
        if self._server is not None:
            used["database"] = tree_seconds(self._server.pid)
        return used

    def drained(self) -> None:
        """Wait until every command in the front's database is final."""
        end = time.monotonic() + 120
        with contextlib.closing(self._front_database()) as database:
            while database.execute(_ANY_OPEN).fetchone() is not None:
                if time.monotonic() > end:
                    raise TestbedError("there are commands without an outcome after two minutes")
                time.sleep(0.1)  # not often: the look is at the cost of what is measured

    def _front_database(self) -> Any:
        if self._server is not None:
            return self._server.connect(self.testbed.stores["front"])
        file = f"file:{self.testbed.folder}/data/front.sqlite3?mode=ro"
        return sqlite3.connect(file, uri=True, isolation_level=None)


def cpu_seconds(pid: int) -> float:
    """User and system time a process has used (proc(5))."""
    return sum(_ticks(pid)[:2]) / TICKS


def tree_seconds(pid: int) -> float:
    """The same of a process and its children, those that have ended included. Where one ends while this looks, it looks
    again: else that one might be counted nowhere.
    """
    while True:
        own = _ticks(pid)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            seconds = sum(own) / TICKS + sum(cpu_seconds(int(child)) for child in children)
            if _ticks(pid)[2:] == own[2:]:
                return seconds


def _ticks(pid: int) -> list[int]:
    """User and system time of a process, and of its children that have ended."""
    return [int(field) for field in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]]


def resident_mb(pid: int) -> float:
    """Of a process, now (proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1] if match else ""


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if found is None:
        raise ValueError(f"{text!r} is not a time as wrk writes it")
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1e3, "m": 6e4}[found[2]]

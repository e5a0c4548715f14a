"""What grows with the number of fronts and bridges: the CPU time of a request, of all processes of a kind together.

So many fronts and as many bridges share a private PostgreSQL server, each side a database of it; two or more of them
have two brokers, each with a store of its own, which all of them know (`link.brokers`). Each front has callers of its
own. On one machine the rate tells nothing of what several machines would do: what has to stay flat is the cost. What
each process does by the clock is in it, and the more of them share the same cores, the fewer requests share that; so it
stands beside it, and the cost without it.

The more processes take turns on a core, the colder each finds its caches, whatever they have to do with each other. So
as many pairs that share nothing, each with a broker and a database server of its own, are put under the same load in
the same run: what a fleet costs beyond them is what sharing costs.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from scripts.tools.benchmark.outcomes import SETTLE_S
from scripts.tools.benchmark.pair import COMMAND, QUERY, WARM_S, Bench, Row
from scripts.tools.testbed.layout import kind_of
from scripts.tools.testbed.postgres import Postgres, postgres_server
from scripts.tools.testbed.processes import TestbedError

SIZES = (1, 2, 4)
CURVE = "fleet"
FLEET, APART = "all of them", "all of as many pairs that share nothing"
KINDS = ("front", "bridge", "broker", "database")
_CONNECTIONS = 32
"""To each front."""
_LOADS = 3
"""Of each kind of request, of which the median counts."""
_REST_S = 10.0


def run(folder: Path, sizes: Sequence[int], seconds: float) -> list[Row]:
    """One line a number of fronts, kind of process and of request. Raises Unavailable where there is no PostgreSQL."""
    rows: list[Row] = []
    folder.mkdir(parents=True, exist_ok=True)
    for size in sizes:
        with ExitStack() as stack:
            server = stack.enter_context(postgres_server())
            rows += measured([stack.enter_context(Fleet(folder / f"of-{size}", size, server))], size, seconds, KINDS)
        if size > 1:
            with ExitStack() as stack:
                pairs = [
                    stack.enter_context(
                        Fleet(folder / f"{number}-of-{size}", 1, stack.enter_context(postgres_server()))
                    )
                    for number in range(size)
                ]
                rows += measured(pairs, size, seconds, ())
    return rows


def measured(fleets: Sequence["Fleet"], size: int, seconds: float, kinds: Sequence[str]) -> list[Row]:
    """What fleets under load at the same time cost, so many fronts in all: each of `kinds`, and all of them."""
    loads = (("a query", Fleet.query), ("a command to its outcome", Fleet.command))
    brokers = sum(kind_of(part) == "broker" for fleet in fleets for part in fleet.testbed.parts)
    whose = FLEET if len(fleets) == 1 else APART
    rows: list[Row] = []
    with ThreadPoolExecutor(len(fleets)) as callers:

        def together(load: Callable[[Fleet, float], Spent], for_s: float) -> Spent:
            return Spent.of_all(list(callers.map(lambda fleet: load(fleet, for_s), fleets)))

        for _, load in loads:
            together(load, WARM_S * brokers)
        at_rest = total(list(callers.map(lambda fleet: fleet.at_rest(_REST_S), fleets)))
        rows += rows_of(size, "a second at rest", [at_rest], kinds, whose)
        for of, load in loads:
            spent = [together(load, seconds) for _ in range(_LOADS)]
            rows += rows_of(size, of, [one.each() for one in spent], kinds, whose)
            beyond = [one.each(at_rest) for one in spent]
            rows += rows_of(size, f"{of} beyond what is spent at rest", beyond, kinds, whose)
    return rows


@dataclass(frozen=True, slots=True)
class Spent:
    """What a load took, to its last outcome."""

    cpu_s: Mapping[str, float]
    """By kind of process."""
    took_s: float
    requests: int

    @classmethod
    def of_all(cls, loads: Sequence["Spent"]) -> "Spent":
        """Of loads at the same time: one load."""
        return cls(
            total([load.cpu_s for load in loads]),
            statistics.fmean(load.took_s for load in loads),
            sum(load.requests for load in loads),
        )

    def each(self, at_rest: Mapping[str, float] = MappingProxyType({})) -> dict[str, float]:
        """CPU milliseconds of one request, less those that are spent a second anyway."""
        return {
            kind: (seconds * 1000 - at_rest.get(kind, 0.0) * self.took_s) / self.requests
            for kind, seconds in self.cpu_s.items()
        }


def total(costs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By kind of process."""
    return {kind: sum(cost[kind] for cost in costs) for kind in KINDS}


def rows_of(size: int, of: str, costs: Sequence[Mapping[str, float]], kinds: Sequence[str], whose: str) -> list[Row]:
    """Medians of the loads, as growth.py takes them: of each of `kinds`, and of all together, called `whose`."""
    medians = {kind: statistics.median(cost[kind] for cost in costs) for kind in kinds}
    medians[whose] = statistics.median(sum(cost[kind] for kind in KINDS) for cost in costs)
    return [
        {"curve": CURVE, "table": kind, "rows": size, "what": f"{kind}, ms of CPU {of}", "value": value}
        for kind, value in medians.items()
    ]


def twins_of(size: int) -> tuple[str, ...]:
    """What there is beside the first front, bridge and broker."""
    brokers = ("broker-2",) if size > 1 else ()
    return (*brokers, *(f"{kind}-{number}" for kind in ("bridge", "front") for number in range(2, size + 1)))


def by_kind(used: Mapping[str, float]) -> dict[str, float]:
    """Seconds of parts, those of a kind together."""
    found: dict[str, float] = {}
    for part, seconds in used.items():
        found[kind_of(part)] = found.get(kind_of(part), 0.0) + seconds
    return found


class Fleet(Bench):
    """Several fronts and bridges under load."""

    def __init__(self, folder: Path, size: int, server: Postgres) -> None:
        super().__init__(folder, "instant", server=server)
        self.testbed.twins = twins_of(size)
        self._ledger = self.testbed.stores["front"]
        self._postgres = server

    @property
    def urls(self) -> list[str]:
        """The fronts that are put under load."""
        return [self.testbed.url_of(part) for part in self.testbed.parts if kind_of(part) == "front"]

    def cpu(self) -> dict[str, float]:
        """Seconds that all processes of a kind have used, those of the database server too."""
        return by_kind(super().cpu())

    def query(self, seconds: float) -> Spent:
        """Queries for so long."""
        before, began = self.cpu(), time.monotonic()
        row = self.load(QUERY, _CONNECTIONS, seconds)
        if row["not 2xx"]:
            raise TestbedError(f"{row['not 2xx']} answers were none of success: nothing can be told by their cost")
        return self._spent(before, began, round(row["requests/s"] * seconds))

    def command(self, seconds: float) -> Spent:
        """Commands for so long, to the last one's outcome."""
        before, there, began = self.cpu(), self._accepted(), time.monotonic()
        self.load(COMMAND, _CONNECTIONS, seconds)
        self.drained()
        time.sleep(SETTLE_S)
        return self._spent(before, began, self._accepted() - there)

    def at_rest(self, seconds: float) -> dict[str, float]:
        """CPU milliseconds a second, while nobody asks, by kind of process."""
        before = self.cpu()
        time.sleep(seconds)
        return {kind: spent_s / seconds * 1000 for kind, spent_s in self._since(before).items()}

    def _spent(self, before: Mapping[str, float], began: float, requests: int) -> Spent:
        return Spent(self._since(before), time.monotonic() - began, requests)

    def _since(self, before: Mapping[str, float]) -> dict[str, float]:
        now = self.cpu()
        return {kind: now[kind] - before[kind] for kind in KINDS}

    def _accepted(self) -> int:
        return int(self._postgres.query(self._ledger, "SELECT count(*) FROM requests")[0][0])

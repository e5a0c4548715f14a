"""`./scripts/bench`: what the product costs on this machine, measured as CPU time by the operating system.

Everything (load, front, broker, bridge, backend) shares the machine's cores. Compare figures of one run with each
other; absolute ones depend on the machine.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import structlog

from scripts.tools.benchmark import (
    accounts,
    applications,
    capacity,
    chart,
    compare,
    daemons,
    databases,
    envelope,
    fleet,
    growth,
    hot,
    notices,
    overload,
    pair,
    retention,
    settle,
    soap,
)
from scripts.tools.testbed.layout import Ports
from scripts.tools.testbed.testbed import Testbed

Row = dict[str, Any]

_UNDER_LOAD = (applications, accounts, fleet)
"""Parts of `growth` that put whole daemons under load: CURVE, SIZES and run(folder, sizes, seconds) of each."""
_CURVES = (*growth.CURVES, *daemons.CURVES, *(one.CURVE for one in _UNDER_LOAD))


def main() -> int:
    """Run the requested parts and print tables or JSON."""
    parser = argparse.ArgumentParser(prog="./scripts/bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART",
        help="envelope, link, queries, commands, overload, soap (default: all), growth, hot, retention, notices, "
        "settle, databases (commands on PostgreSQL beside SQLite, in turn), capacity (arithmetic alone); "
        "or `compare REVISION [query|command]`: this tree against another commit, in turn",
    )  # fmt: skip
    parser.add_argument(
        "--rows", type=int, default=0,
        help=f"`retention`: kept in each database ({retention.ROWS:,}); `settle`: of the bill ({settle.ROWS:,})",
    )  # fmt: skip
    parser.add_argument(
        "--sizes", type=_sizes,
        help=f"`growth`: of the tables, in rows (default: {_listed(growth.SIZES)}), or, by --curve, as many "
        + " or ".join(f"{one.CURVE} ({_listed(one.SIZES)})" for one in _UNDER_LOAD),
    )  # fmt: skip
    parser.add_argument("--curve", choices=_CURVES, action="append", help="`growth`: only this one; may be repeated")
    parser.add_argument(
        "--requests", type=int, default=daemons.REQUESTS,
        help=f"`growth`: over which memory is looked at ({daemons.REQUESTS:,})",
    )  # fmt: skip
    parser.add_argument("--page", type=Path, help="`growth`: the curves as a page of HTML, into this file")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=12, help="of each load, to compare by")
    parser.add_argument(
        "--priority", action="store_true",
        help="`compare`: at the system's highest priority, for a machine that has other work (root only)",
    )  # fmt: skip
    options = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # migrations log; stdout has figures
    parts = options.parts or ["envelope", "link", "queries", "commands", "overload", "soap"]
    results: dict[str, Any] = {"machine": {"cores": os.cpu_count(), "load": os.getloadavg()[0]}}

    def report(part: str, rows: Iterable[Row]) -> None:
        found = list(rows)
        results.setdefault(part, []).extend(found)
        if not options.json:
            print(f"\n{part}")
            print(table(found), flush=True)

    with tempfile.TemporaryDirectory(prefix="dmz-bridge-bench-") as folder:
        if parts[0] == "compare":
            only = parts[2:]
            if len(parts) < 2 or not {*only} <= {name for name, _, _ in compare.LOADS} or options.rounds < 1:
                parser.error("compare takes one revision, for example `compare HEAD~1 command`, and one round or more")
            try:
                found = compare.run(
                    parts[1], Path(folder), options.rounds, only, highest_priority=options.priority
                )  # fmt: skip
                report(f"compare {parts[1]}", found)
            except compare.CompareError as error:
                print(f"error: {error}", file=sys.stderr)
                return 1
            parts = []
        for part in parts:
            print(f"== measuring {part}", file=sys.stderr, flush=True)
            match part:
                case "envelope":
                    report(part, envelope.run())
                case "link":
                    report(part, _link(Path(folder) / part, options.seconds))
                case "queries":
                    report(part, pair.queries(Path(folder) / part, options.seconds))
                case "commands":
                    report(part, pair.commands(Path(folder) / part, options.seconds))
                case "overload":
                    report(part, overload.run(Path(folder) / part, options.seconds))
                case "notices":
                    report(part, notices.run(Path(folder) / part))
                case "capacity":
                    report(part, capacity.rows())
                case "databases":
                    report(part, databases.run(Path(folder) / part, options.rounds))
                case "retention":
                    report(part, retention.run(Path(folder) / part, options.rows or retention.ROWS))
                case "settle":
                    report(part, settle.run(Path(folder) / part, options.rows or settle.ROWS))
                case "growth":
                    try:
                        for rows in _growth(Path(folder) / part, options):
                            report(part, rows)
                    finally:  # what was measured before something failed took long, too
                        if options.page:
                            about = "{cores} cores; load at the start {load:.1f}".format(**results["machine"])
                            text = chart.page("Growth", about, growth.curves_of(results.get(part, [])))
                            options.page.write_text(text, encoding="utf-8")
                case "hot":
                    report(part, hot.run(Path(folder) / part, options.seconds))
                case "soap":
                    report(part, soap.run(Path(folder) / part, options.seconds))
                case _:
                    parser.error(f"there is no part {part}")
    if options.json:
        print(json.dumps(results, indent=2))
    return 0


def _growth(folder: Path, options: argparse.Namespace) -> Iterator[list[Row]]:
    """The rows of each curve that is asked for."""
    sizes = options.sizes or growth.SIZES
    for curve in options.curve or _CURVES:
        if curve in growth.CURVES:
            yield growth.run(folder, sizes, [curve])
        elif curve in daemons.CURVES:
            yield daemons.run(folder, sizes, options.requests, [curve])
        else:
            part = next(one for one in _UNDER_LOAD if curve == one.CURVE)
            own = options.sizes if options.curve else None  # else there would be as many fronts as rows
            yield part.run(folder / curve, own or part.SIZES, options.seconds)


def _listed(sizes: Iterable[int]) -> str:
    return ",".join(map(str, sizes))


def _sizes(text: str) -> tuple[int, ...]:
    """Raises ValueError, of which argparse makes its message."""
    sizes = tuple(sorted({int(size) for size in text.split(",")}))
    if sizes[0] < 1:
        raise ValueError("a table of no rows has no curve")
    return sizes


def _link(folder: Path, seconds: float) -> list[Row]:
    from scripts.tools.benchmark import link

    testbed = Testbed(folder, Ports())
    try:
        testbed.set_up()
        testbed.start("broker")
        return link.run("localhost", testbed.ports.broker, testbed.certs, seconds, broker_pid=testbed.pids["broker"])
    finally:
        testbed.stop()


def table(rows: list[Row]) -> str:
    """Columns as wide as their widest cell; rows of other keys than the one before begin a table of their own."""
    return "\n\n".join(_alike(list(names), list(group)) for names, group in itertools.groupby(rows, key=tuple))


def _alike(names: list[str], rows: list[Row]) -> str:
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())

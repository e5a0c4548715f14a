"""What a campaign prints at its end, for people and for programs. Pure."""

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from scripts.tools.fault_campaign.campaign import Done, Orders, Result
from scripts.tools.fault_campaign.plan import counts

SHOWN = 20
"""Violations printed; all of them are in the JSON."""


def document(orders: Orders, result: Result, lacking: dict[str, str]) -> dict[str, Any]:
    """Everything, for `--json`."""
    verdict = result.verdict
    return {
        "seed": orders.seed,
        "good": result.good,
        "seconds": orders.seconds,
        "wall_s": round(result.wall_s, 1),
        "commands": result.commands,
        "accepted": verdict.accepted,
        "applied_once": verdict.applied_once,
        "applied_more_than_once": verdict.applied_more,
        "lost": verdict.lost,
        "told_wrong": verdict.told_wrong,
        "went_backwards": verdict.backwards,
        "out_of_order": verdict.out_of_order,
        "outcomes": dict(verdict.outcomes),
        "held": verdict.held,
        "unknown": dict(verdict.unknown),
        "queries": result.queries,
        "turned_away": result.turned_away,
        "replayed": result.replayed,
        "drain_s": round(result.drain_s, 1),
        "memory_mb": {part: [round(value, 1) for value in values] for part, values in result.memory_mb.items()},
        "faults": counts([done.fault for done in result.done]),
        "skipped": lacking,
        "recovery": recoveries(result.done),
        "done": [asdict(done) for done in result.done],
        "violations": [asdict(violation) for violation in verdict.violations],
    }


def recoveries(done: Sequence[Done]) -> dict[str, dict[str, Any]]:
    """By kind of fault and by lane: shortest, median and longest time, and how often it was not seen in time."""
    found: dict[str, dict[str, Any]] = {}
    for kind in sorted({entry.fault.kind for entry in done}):
        row: dict[str, Any] = {"count": sum(entry.fault.kind == kind for entry in done)}
        for lane in ("command_s", "query_s"):
            times = [getattr(entry.recovery, lane) for entry in done if entry.fault.kind == kind]
            seen = sorted(value for value in times if value is not None)
            row[lane] = [seen[0], round(median(seen), 2), seen[-1]] if seen else []
            if len(seen) < len(times):
                row[f"{lane}_not_seen"] = len(times) - len(seen)
        found[kind] = row
    return found


def text(orders: Orders, result: Result, lacking: dict[str, str]) -> str:
    """The printout."""
    told = document(orders, result, lacking)
    lines = [
        f"campaign of {orders.seconds / 60:g} minutes, seed {orders.seed}; {told['wall_s']:g} s in all,"
        f" {told['drain_s']:g} s of them to drain",
        "",
        f"accepted                {told['accepted']} of {told['commands']}",
        f"applied once            {told['applied_once']}",
        f"applied more than once  {told['applied_more_than_once']}",
        f"lost                    {told['lost']}",
        f"told wrong              {told['told_wrong']}",
        f"status went backwards   {told['went_backwards']}",
        f"out of order            {told['out_of_order']}",
        f"outcomes                {_counted(told['outcomes'])}",
        f"unknown for a time      {_counted(told['unknown'])}",
        f"held                    {', '.join(told['held']) or 'none'}",
        f"not accepted at first   {_counted(told['turned_away'])}",
        f"queries                 {_counted(told['queries'])}",
        f"replayed                {told['replayed']}",
    ]
    for part, (first, most, last) in told["memory_mb"].items():
        lines.append(f"memory of the {part:<9} {first:g} MB at the start, {most:g} at most, {last:g} at the end")
    lines += [
        "",
        f"{'fault':<13} {'times':>5}  {'commands again after':<24} {'queries again after':<24} (min/median/max s)",
    ]
    for kind, row in told["recovery"].items():
        lines.append(
            f"{kind:<13} {row['count']:>5}  {_times(row, 'command_s'):<24} {_times(row, 'query_s'):<24}".rstrip()
        )
    lines += [f"not done: faults that need {what}: {why}" for what, why in lacking.items()]
    lines.append("")
    if result.good:
        lines.append("every invariant held")
    else:
        violations = result.verdict.violations
        lines.append(f"{len(violations)} VIOLATIONS")
        lines += [f"  {violation}" for violation in violations[:SHOWN]]
        if len(violations) > SHOWN:
            lines.append(f"  and {len(violations) - SHOWN} more")
    return "\n".join(lines)


def _counted(values: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(values.items())) or "none"


def _times(row: dict[str, Any], lane: str) -> str:
    text = " / ".join(f"{value:g}" for value in row[lane]) or "-"
    missed = row.get(f"{lane}_not_seen", 0)
    return f"{text} (+{missed} never)" if missed else text

"""The report at the end of a campaign, as text and as JSON. Pure."""

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from scripts.tools.fault_campaign.campaign import InjectedFault, Result, Settings
from scripts.tools.fault_campaign.money_books import MoneyVerdict
from scripts.tools.fault_campaign.notice_books import NoticeVerdict
from scripts.tools.fault_campaign.plan import counts
from scripts.tools.fault_campaign.withholding_books import WithholdingVerdict

SHOWN = 20
"""Violations in the text; all of them are in the JSON."""


def document(settings: Settings, result: Result, unavailable: dict[str, str]) -> dict[str, Any]:
    """Everything, for `--json`."""
    verdict = result.verdict
    return {
        "seed": settings.seed,
        "good": result.good,
        "seconds": settings.seconds,
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
        "turned_away": result.rejected,
        "replayed": result.replayed,
        "notices": notices(result.notices),
        "money": money(result) if settings.money else {},
        "died_at_a_named_point": result.died_at,
        "drain_s": round(result.drain_s, 1),
        "memory_mb": {part: [round(value, 1) for value in values] for part, values in result.memory_mb.items()},
        "faults": counts([injected.fault for injected in result.injected]),
        "skipped": unavailable,
        "recovery": recoveries(result.injected),
        "done": [asdict(injected) for injected in result.injected],
        "violations": [asdict(violation) for violation in result.violations],
    }


def notices(verdict: NoticeVerdict) -> dict[str, Any]:
    """What came of pushes and notices, without the violations."""
    return _plain(verdict)


def _plain(verdict: NoticeVerdict | MoneyVerdict | WithholdingVerdict) -> dict[str, Any]:
    values = {name: getattr(verdict, name) for name in verdict.__slots__ if name != "violations"}
    return {name: dict(value) if isinstance(value, dict) else value for name, value in values.items()}


def money(result: Result) -> dict[str, Any]:
    """What came of money, without the violations. Money is fen."""
    return _plain(result.money) | {
        "withholding": _plain(result.withholding),
        "payments": result.payments,
        "died_at": sorted(point for point, reached in result.points.items() if reached),
        "not_reached": sorted(point for point, reached in result.points.items() if not reached),
    }


def _money_lines(data: dict[str, Any]) -> list[str]:
    return [
        f"payment orders          {data['orders']}: {_counted(data['states'])}",
        f"notifications, orders   {_counted(data['payments'])}",
        f"refunds done            {data['refunds']}",
        f"fen charged             {data['charged']}, {data['given_back']} of it given back",
        f"fen written off         {data['written_off']}, {data['coupons']} of it by coupons",
        f"fen lost                {data['lost']}",
        f"fen doubled             {data['doubled']}",
        f"differences             {data['planted']} planted and {data['unnotified']} unnotified payments,"
        f" {data['found']} of them found; {data['explained']} refunds and {data['passing']} orders under way reported,"
        f" {data['unexplained']} unexplained",
        *_withholding_lines(data["withholding"]),
        f"the bridge died at      {', '.join(data['died_at']) or 'no point'}",
        f"not reached             {', '.join(data['not_reached']) or 'none'}",
    ]


def _withholding_lines(data: dict[str, Any]) -> list[str]:
    return [
        f"lines of withholding    {data['lines']}; the banks' last word: {_counted(data['said'])}",
        f"fen that banks charged  {data['charged']}, {data['written_off']} of it written off, {data['in_doubt']} held;"
        f" {data['lost']} lost, {data['doubled']} doubled",
    ]


def _notice_lines(data: dict[str, Any]) -> list[str]:
    return [
        f"pushes answered         {data['answered']} of {data['pushes']}; sent {data['attempts']} times,"
        f" {data['repeated']} answered as known already",
        f"notices to come         {_counted(data['expected'])}",
        f"notices by callbacks    {data['called']}; {data['called_again']} came again with the same id,"
        f" {data['turned_away']} were turned away",
        f"notices asked for       {_counted(data['asked'])}",
        f"notices lost            {data['lost']}",
        f"notices doubled         {data['doubled']}",
        f"notices out of order    {data['out_of_order']}",
        f"notices wrong           {data['wrong']}",
    ]


def recoveries(injected: Sequence[InjectedFault]) -> dict[str, dict[str, Any]]:
    """By kind of fault, for commands and queries: shortest, median and longest recovery, and how many had none."""
    found: dict[str, dict[str, Any]] = {}
    for kind in sorted({entry.fault.kind for entry in injected}):
        row: dict[str, Any] = {"count": sum(entry.fault.kind == kind for entry in injected)}
        for lane in ("command_s", "query_s"):
            times = [getattr(entry.recovery, lane) for entry in injected if entry.fault.kind == kind]
            seen = sorted(value for value in times if value is not None)
            row[lane] = [seen[0], round(median(seen), 2), seen[-1]] if seen else []
            if len(seen) < len(times):
                row[f"{lane}_not_seen"] = len(times) - len(seen)
        found[kind] = row
    return found


def text(settings: Settings, result: Result, unavailable: dict[str, str]) -> str:
    """The report for people."""
    data = document(settings, result, unavailable)
    lines = [
        f"campaign of {settings.seconds / 60:g} minutes, seed {settings.seed}; {data['wall_s']:g} s in all,"
        f" {data['drain_s']:g} s of them to drain",
        "",
        f"accepted                {data['accepted']} of {data['commands']}",
        f"applied once            {data['applied_once']}",
        f"applied more than once  {data['applied_more_than_once']}",
        f"lost                    {data['lost']}",
        f"told wrong              {data['told_wrong']}",
        f"status went backwards   {data['went_backwards']}",
        f"out of order            {data['out_of_order']}",
        f"outcomes                {_counted(data['outcomes'])}",
        f"unknown for a time      {_counted(data['unknown'])}",
        f"held                    {', '.join(data['held']) or 'none'}",
        f"not accepted at first   {_counted(data['turned_away'])}",
        f"queries                 {_counted(data['queries'])}",
        f"replayed                {data['replayed']}",
    ]
    if settings.pushes:
        lines += _notice_lines(data["notices"])
    if settings.money:
        lines += _money_lines(data["money"])
    for part, (first, most, last) in data["memory_mb"].items():
        lines.append(f"memory of the {part:<9} {first:g} MB at the start, {most:g} at most, {last:g} at the end")
    lines += [
        "",
        f"{'fault':<13} {'times':>5}  {'commands again after':<24} {'queries again after':<24} (min/median/max s)",
    ]
    for kind, row in data["recovery"].items():
        lines.append(
            f"{kind:<13} {row['count']:>5}  {_times(row, 'command_s'):<24} {_times(row, 'query_s'):<24}".rstrip()
        )
    lines += [f"not done: faults that need {what}: {why}" for what, why in unavailable.items()]
    lines.append("")
    if result.good:
        lines.append("every invariant held")
    else:
        violations = result.violations
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

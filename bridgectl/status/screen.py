"""The one screen of `bridgectl status`: what is wrong first, then how each part stands."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from bridgectl.instants import shown, span
from bridgectl.output import few, table
from bridgectl.status.observation import Observation, Silent
from bridgectl.status.trouble import Level, Trouble, runbook, verdict
from protocol.maintenance import Pause, by_operation
from protocol.reports import BridgeReport, FrontReport, InterfaceReport

_COLOURS = {Level.CRITICAL: "\033[31m", Level.WARNING: "\033[33m", Level.UNKNOWN: "\033[35m", Level.OK: "\033[32m"}
_INDENT = 10


def screen(seen: Observation, found: Sequence[Trouble], *, colour: bool, width: int | None = None) -> str:
    """The whole screen. `width` in characters; default: the terminal's."""
    wide = width or shutil.get_terminal_size((100, 40)).columns
    lines = [headline(seen, found, colour=colour)]
    for trouble in found:
        lines += ["", *_trouble(trouble, seen.now, wide, colour=colour)]
    for part in (seen.front, seen.bridge):
        if isinstance(part, FrontReport | BridgeReport):
            lines += ["", *_daemon(part, seen.now)]
    if isinstance(seen.bridge, BridgeReport) and seen.bridge.interfaces:
        lines += ["", _interfaces(seen.bridge, seen.now)]
    if seen.queues:
        rows = [
            (queue.name, queue.depth, queue.consumers, "-" if queue.oldest_s is None else f"{queue.oldest_s:g} s",
             queue.enqueued, queue.dead_letters)
            for queue in seen.queues
        ]  # fmt: skip
        lines += ["", table(("queue", "depth", "consumers", "oldest", "enqueued", "dead letters"), rows)]
    return "\n".join(lines)


def as_dict(seen: Observation, found: Sequence[Trouble]) -> dict[str, Any]:
    """For programs."""
    return {
        "status": verdict(found).name.lower(),
        "troubles": [_plain(trouble) for trouble in found],
        "front": _part(seen.front),
        "bridge": _part(seen.bridge),
        "queues": None if seen.queues is None else [queue.as_dict() for queue in seen.queues],
    }


def _plain(trouble: Trouble) -> dict[str, Any]:
    shown = asdict(trouble)
    shown["level"] = trouble.level.name.lower()
    shown["runbook"] = runbook(trouble)
    shown["consequences"] = [_plain(one) for one in trouble.consequences]
    del shown["because"]
    return shown


def _part(part: FrontReport | BridgeReport | Silent | None) -> dict[str, Any] | None:
    if part is None:
        return None
    return {"silent": part.why, "detail": part.detail} if isinstance(part, Silent) else part.model_dump(mode="json")


def headline(seen: Observation, found: Sequence[Trouble], *, colour: bool = False) -> str:
    """The verdict, how many of each, and when."""
    level = verdict(found)
    counts = [
        f"{number} {kind.name.lower()}"
        for kind in (Level.CRITICAL, Level.UNKNOWN, Level.WARNING)
        if (number := sum(trouble.level is kind for trouble in found))
    ]
    told = f"{level.name}: {', '.join(counts) or 'nothing is wrong that can be seen from here'}"
    return f"{_coloured(told, level, colour=colour)}  ({shown(seen.now)})"


def _trouble(trouble: Trouble, now: int, width: int, *, colour: bool) -> Iterator[str]:
    since = f" (since {shown(trouble.since)}, {span(now - trouble.since)})" if trouble.since else ""
    label = _coloured(trouble.level.name.ljust(_INDENT - 1), trouble.level, colour=colour)
    first, *rest = _wrapped(f"{trouble.what}{since}", width)
    yield f"{label} {first}"
    yield from (f"{'':{_INDENT}}{line}" for line in rest)
    told = (("why", trouble.why), ("hurts", trouble.hurts), ("mend", trouble.mend), ("more", runbook(trouble)))
    for name, text in told:
        if text:
            yield from _told(name, text, width)
    for one in trouble.consequences:
        yield from _told("so", one.what + (f": {one.why}" if one.why else ""), width)


def _told(name: str, text: str, width: int) -> Iterator[str]:
    first, *rest = _wrapped(text, width - 7)
    yield f"{'':{_INDENT}}{name + ':':<7}{first}"
    yield from (f"{'':{_INDENT + 7}}{line}" for line in rest)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(30, width - _INDENT), break_long_words=False, break_on_hyphens=False) or [""]


def _daemon(report: FrontReport | BridgeReport, now: int) -> Iterator[str]:
    kind = "dmz-front" if isinstance(report, FrontReport) else "intranet-bridge"
    up = span(now - report.started)
    yield f"{kind} {report.name}, region {report.region}, {report.software or 'unversioned'}, up {up}"
    links = ", ".join(f"{link.name} {'up' if link.connected else 'DOWN'} ({link.connections})" for link in report.links)
    yield f"  links     {links}"
    states = ", ".join(f"{count} {state}" for state, count in sorted(report.commands.by_state.items())) or "none"
    oldest = report.commands.oldest_unfinished
    yield f"  commands  {states}" + (f"; oldest unfinished {span(now - oldest)}" if oldest else "")
    store = report.store
    free = f", {store.free_bytes / (1 << 30):.1f} GB free" if store.free_bytes is not None else ""
    yield f"  store     {store.place}, {store.trouble or f'a write takes {store.write_ms:g} ms'}{free}"
    if report.backup.folder:
        made = f"{span(now - report.backup.last)} ago" if report.backup.last else "none yet"
        yield f"  backup    {report.backup.folder}, the latest {made}"
    if report.forgotten[1]:
        since, until = (shown(at) for at in report.forgotten)
        yield f"  history   put back {until} as of {since}: what came between is forgotten, and guarded"
    for file in report.certificates:
        ends = shown(file.not_after)[:10] if file.not_after else file.trouble
        yield f"  tls       {file.use}: until {ends}"
    if report.drain is not None:
        yield f"  drains    since {shown(report.drain.since)} by {report.drain.by}"
    for pause in report.maintenance:
        yield f"  paused    {_pause(pause)}"
    if report.next_window is not None:
        window = report.next_window
        times = f"from {shown(window.since)} until {shown(window.until)}"
        yield f"  scheduled {few(window.operations)} paused {times}{_because(window)}"
    if isinstance(report, FrontReport):
        for one in report.bridges:
            working = sum(state == "up" for state in one.operations.values())
            heard = span(now - one.heard)
            yield f"  bridge    {one.name}: {working} of {len(one.operations)} operations up, heard {heard} ago"
            for pause in one.maintenance:
                yield f"            paused there: {_pause(pause)}"


def _pause(pause: Pause) -> str:
    until = f"until {shown(pause.until)}" if pause.until else "until it is resumed"
    return f"{few(pause.operations)} since {shown(pause.since)} {until} by {pause.by}{_because(pause)}"


def _because(pause: Pause) -> str:
    return f": {pause.reason}" if pause.reason else ""


def _interfaces(bridge: BridgeReport, now: int) -> str:
    troubled_first = sorted(
        bridge.interfaces, key=lambda one: (one.circuit == "closed", not one.failing_since, one.operation)
    )
    paused = by_operation(bridge.maintenance)
    rows = [
        (one.operation, one.system, "paused" if one.operation in paused else one.circuit, one.calls, _at_once(one),
         one.failures,
         f"{span(now - one.last_success)} ago" if one.last_success else "-", one.reason or "-")
        for one in troubled_first
        if one.calls or one.circuit != "closed" or one.waiting
    ]  # fmt: skip
    if not rows:
        return "no interface was called yet"
    return table(("interface", "system", "circuit", "calls", "at once", "failed", "last success", "last failure"), rows)


def _at_once(one: InterfaceReport) -> str:
    if not one.at_once:
        return "-"
    return f"{one.in_use} of {one.at_once}" + (f", {one.waiting} wait" if one.waiting else "")


def _coloured(text: str, level: Level, *, colour: bool) -> str:
    return f"{_COLOURS[level]}{text}\033[0m" if colour else text

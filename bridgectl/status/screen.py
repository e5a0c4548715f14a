"""The one screen of `bridgectl status`: what is wrong first, then how each part stands."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from bridgectl.cells import left, wrapped
from bridgectl.instants import in_seconds, shown, span
from bridgectl.language import tr
from bridgectl.output import few, table
from bridgectl.status.live import percentile_ms
from bridgectl.status.observation import Observation, Silent
from bridgectl.status.trouble import Level, Trouble, runbook, said, verdict
from bridgectl.vocabulary import passed_on
from protocol.maintenance import Pause, by_operation
from protocol.reports.bridge import BridgeReport
from protocol.reports.calls import InterfaceReport, LatelyReport
from protocol.reports.front import FrontReport
from protocol.reports.marketing_data import PushesReport

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
    if isinstance(seen.front, FrontReport) and (answered := _operations(seen.front)):
        lines += ["", answered]
    if isinstance(seen.bridge, BridgeReport) and seen.bridge.interfaces:
        lines += ["", _interfaces(seen.bridge, seen.now)]
    if seen.queues:
        rows = [
            (queue.name, queue.depth, queue.consumers, "-" if queue.oldest_s is None else in_seconds(queue.oldest_s),
             queue.enqueued, queue.dead_letters)
            for queue in seen.queues
        ]  # fmt: skip
        lines += [
            "",
            table((tr("queue"), tr("depth"), tr("consumers"), tr("oldest"), tr("enqueued"), tr("dead letters")), rows),
        ]
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
        f"{number} {said(kind).lower()}"
        for kind in (Level.CRITICAL, Level.UNKNOWN, Level.WARNING)
        if (number := sum(trouble.level is kind for trouble in found))
    ]
    troubled = ", ".join(counts) or tr("nothing is wrong that can be seen from here")
    told = f"{said(level)}: {troubled}"
    return f"{_coloured(told, level, colour=colour)}  ({shown(seen.now)})"


def _trouble(trouble: Trouble, now: int, width: int, *, colour: bool) -> Iterator[str]:
    since = (
        tr(" (since {since}, {now})", since=shown(trouble.since), now=span(now - trouble.since))
        if trouble.since
        else ""
    )
    label = _coloured(left(said(trouble.level), _INDENT - 1), trouble.level, colour=colour)
    first, *rest = _wrapped(f"{trouble.what}{since}", width)
    yield f"{label} {first}"
    yield from (f"{'':{_INDENT}}{line}" for line in rest)
    told = (
        (tr("why"), passed_on(trouble.why)),
        (tr("hurts"), trouble.hurts),
        (tr("mend"), trouble.mend),
        (tr("more"), runbook(trouble)),
    )
    for name, text in told:
        if text:
            yield from _told(name, text, width)
    for one in trouble.consequences:
        yield from _told(tr("so"), one.what + (f": {passed_on(one.why)}" if one.why else ""), width)


def _told(name: str, text: str, width: int) -> Iterator[str]:
    first, *rest = _wrapped(text, width - 7)
    yield f"{'':{_INDENT}}{left(name + ':', 7)}{first}"
    yield from (f"{'':{_INDENT + 7}}{line}" for line in rest)


def _wrapped(text: str, width: int) -> list[str]:
    return wrapped(text, max(30, width - _INDENT))


def _daemon(report: FrontReport | BridgeReport, now: int) -> Iterator[str]:
    kind = "dmz-front" if isinstance(report, FrontReport) else "intranet-bridge"
    up = span(now - report.started)
    yield tr(
        "{kind} {name}, region {region}, {version}, up {up}",
        kind=kind,
        name=report.name,
        region=report.region,
        version=report.software or tr("unversioned"),
        up=up,
    )
    up_or_not = {True: tr("up"), False: tr("DOWN")}
    links = ", ".join(f"{link.name} {up_or_not[link.connected]} ({link.connections})" for link in report.links)
    yield tr("  links     {links}", links=links)
    states = ", ".join(f"{count} {state}" for state, count in sorted(report.commands.by_state.items())) or tr("none")
    oldest = report.commands.oldest_unfinished
    yield tr("  commands  {states}", states=states) + (
        tr("; oldest unfinished {now}", now=span(now - oldest)) if oldest else ""
    )
    store = report.store
    free = (
        tr(", {free_bytes:.1f} GB free", free_bytes=store.free_bytes / (1 << 30))
        if store.free_bytes is not None
        else ""
    )
    yield tr(
        "  store     {place}, {trouble}{free}",
        place=store.place,
        trouble=store.trouble or tr("a write takes {ms:g} ms", ms=store.write_ms),
        free=free,
    )
    if report.backup.folder:
        made = tr("{now} ago", now=span(now - report.backup.last)) if report.backup.last else tr("none yet")
        yield tr("  backup    {folder}, the latest {made}", folder=report.backup.folder, made=made)
    if report.forgotten[1]:
        since, until = (shown(at) for at in report.forgotten)
        yield tr(
            "  history   put back {until} as of {since}: what came between is forgotten, and guarded",
            until=until,
            since=since,
        )
    for file in report.certificates:
        ends = shown(file.not_after)[:10] if file.not_after else file.trouble
        yield tr("  tls       {use}: until {ends}", use=file.use, ends=ends)
    if report.drain is not None:
        yield tr("  drains    since {since} by {by}", since=shown(report.drain.since), by=report.drain.by)
    for pause in report.maintenance:
        yield tr("  paused    {pause}", pause=_pause(pause))
    if report.next_window is not None:
        window = report.next_window
        times = tr("from {since} until {until}", since=shown(window.since), until=shown(window.until))
        yield tr(
            "  scheduled {operations} paused {times}{window}",
            operations=few(window.operations),
            times=times,
            window=_because(window),
        )
    if isinstance(report, BridgeReport):
        yield from _pushes(report.pushes, now)
    if isinstance(report, FrontReport):
        for one in report.bridges:
            working = sum(state == "up" for state in one.operations.values())
            heard = span(now - one.heard)
            yield tr(
                "  bridge    {name}: {working} of {operations} operations up, heard {heard} ago",
                name=one.name,
                working=working,
                operations=len(one.operations),
                heard=heard,
            )
            for pause in one.maintenance:
                yield tr("            paused there: {pause}", pause=_pause(pause))


def _pushes(pushes: PushesReport, now: int) -> Iterator[str]:
    if pushes.listens or pushes.tables:
        yield tr(
            "  pushes    {accepted} taken, {lately} in the last minute, {repeated} repeated, {refused} refused; {last}",
            accepted=pushes.accepted,
            lately=pushes.lately,
            repeated=pushes.repeated,
            refused=pushes.refused,
            last=tr("the last {now} ago", now=span(now - pushes.last)) if pushes.last else tr("none yet"),
        )
    for one in pushes.tables:
        read = tr("read {now} ago", now=span(now - one.read)) if one.read else tr("not read yet")
        behind = tr(", {lag} behind", lag=span(int(one.lag_s * 1000))) if one.lag_s else ""
        error = f": {one.error}" if one.error else ""
        yield tr(
            "            table {name}: {read}{behind}{error}", name=one.name, read=read, behind=behind, error=error
        )


def _pause(pause: Pause) -> str:
    until = tr("until {until}", until=shown(pause.until)) if pause.until else tr("until it is resumed")
    return tr(
        "{operations} since {since} {until} by {by}{pause}",
        operations=few(pause.operations),
        since=shown(pause.since),
        until=until,
        by=pause.by,
        pause=_because(pause),
    )


def _because(pause: Pause) -> str:
    return f": {pause.reason}" if pause.reason else ""


def _lately_headings() -> tuple[str, str, str]:
    return tr("a second"), tr("failing"), "p99"


def _lately(lately: LatelyReport | None) -> tuple[str, str, str]:
    """Rate, share of failures and p99 in the last minutes."""
    if lately is None or not lately.count:
        return "-", "-", "-"
    p99 = percentile_ms(lately.latency)
    rate, failing = lately.count / lately.seconds, lately.failures / lately.count
    return f"{rate:.2g}" if rate < 10 else f"{rate:.0f}", f"{failing:.0%}", "-" if p99 is None else f"≤{p99:g} ms"


def _operations(front: FrontReport) -> str:
    """What callers were answered, by operation."""
    rows = [
        (one.operation, one.answers, one.failures, one.turned_away, *_lately(one.lately)) for one in front.operations
    ]
    headings = (tr("operation"), tr("answers"), "5xx", "4xx", *_lately_headings())
    return table(headings, rows) if rows else ""


def _interfaces(bridge: BridgeReport, now: int) -> str:
    troubled_first = sorted(
        bridge.interfaces, key=lambda one: (one.circuit == "closed", not one.failing_since, one.operation)
    )
    paused = by_operation(bridge.maintenance)
    rows = [
        (one.operation, one.system, "paused" if one.operation in paused else one.circuit, one.calls, _at_once(one),
         one.failures, *_lately(one.lately),
         tr("{now} ago", now=span(now - one.last_success)) if one.last_success else "-", passed_on(one.reason) or "-")
        for one in troubled_first
        if one.calls or one.circuit != "closed" or one.waiting
    ]  # fmt: skip
    if not rows:
        return tr("no interface was called yet")
    return table(
        (
            tr("interface"),
            tr("system"),
            tr("circuit"),
            tr("calls"),
            tr("at once"),
            tr("failed"),
            *_lately_headings(),
            tr("last success"),
            tr("last failure"),
        ),
        rows,
    )


def _at_once(one: InterfaceReport) -> str:
    if not one.at_once:
        return "-"
    return tr("{in_use} of {at_once}", in_use=one.in_use, at_once=one.at_once) + (
        tr(", {waiting} wait", waiting=one.waiting) if one.waiting else ""
    )


def _coloured(text: str, level: Level, *, colour: bool) -> str:
    return f"{_COLOURS[level]}{text}\033[0m" if colour else text

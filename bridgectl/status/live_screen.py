"""The screen of `bridgectl top`: what is wrong, then operations and queues, as rich draws them. Pure."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bridgectl.cells import left
from bridgectl.instants import in_seconds
from bridgectl.language import tr
from bridgectl.status.live import History, OperationRow, QueueRow, Sample, View, ordered, sparkline
from bridgectl.status.observation import Observation
from bridgectl.status.screen import headline
from bridgectl.status.trouble import Level, Trouble, said, verdict
from bridgectl.vocabulary import passed_on

_STYLES = {Level.CRITICAL: "bold red", Level.WARNING: "yellow", Level.UNKNOWN: "magenta", Level.OK: "green"}
_MOST_TROUBLES = 3
_WIDE = 100


def live_screen(
    seen: Observation, found: Sequence[Trouble], one: Sample, history: History, view: View,
    *, width: int, height: int, keys: bool = True,
) -> RenderableType:  # fmt: skip
    """All of it, in at most `height` lines. `keys`: say what they do."""
    level = verdict(found)
    parts: list[RenderableType] = [_line(headline(seen, found), _STYLES[level])]
    for trouble in found[:_MOST_TROUBLES]:
        parts.append(
            _line(
                f"{left(said(trouble.level), 9)} {trouble.what}: {passed_on(trouble.why)}".rstrip(": "),
                _STYLES[trouble.level],
            )
        )
        if trouble.mend:
            parts.append(_line(" " * 10 + tr("mend") + f": {trouble.mend}"))
    if len(found) > _MOST_TROUBLES:
        parts.append(_line(" " * 10 + tr("and {more} more: bridgectl status", more=len(found) - _MOST_TROUBLES)))
    rows = ordered(one.operations, view.order)
    chosen = next((row for row in rows if row.key == view.chosen), rows[0] if rows else None)
    details = _details(chosen, history) if view.open and chosen else []
    queues = one.queues[: max(0, (height - len(parts) - len(details)) // 2 - 4)]
    queue_lines = len(queues) + 2 if queues else 0
    room = max(1, height - len(parts) - len(details) - queue_lines - 5)
    if rows:
        parts += [Text(""), _operations(_around(rows, chosen, room), chosen, history, view, width)]
    else:
        parts += [Text(""), Text(tr("nothing was asked yet"))]
    parts += details
    if queues:
        parts += [Text(""), _queues(queues, history, width)]
    if keys:
        parts.append(_line(tr("q quit   s sort   ↑↓ choose   o open   sorted by {order}", order=view.order), "dim"))
    return Group(*parts)


def _around(rows: list[OperationRow], chosen: OperationRow | None, room: int) -> list[OperationRow]:
    at = rows.index(chosen) if chosen in rows else 0
    first = max(0, min(at - room // 2, len(rows) - room))
    return rows[first : first + room]


def _operations(
    rows: Sequence[OperationRow], chosen: OperationRow | None, history: History, view: View, width: int
) -> Table:
    wide = width >= _WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    table.add_column(tr("OPERATION"), no_wrap=True, overflow="ellipsis", ratio=1 if not wide else None)
    table.add_column(tr("AT"), no_wrap=True)
    for heading in (tr("PER S"), tr("FAILED"), tr("P99 MS")):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(tr("CIRCUIT"), no_wrap=True)
    if wide:
        table.add_column(tr("WAIT"), justify="right", no_wrap=True)
    if width >= 80:
        table.add_column(tr("LATELY"), no_wrap=True)
    for row in rows:
        cells = [
            row.operation, row.side, _number(row.rate), _share(row.failed),
            "-" if row.p99_ms is None else f"≤{row.p99_ms:g}", row.circuit or "-",
        ]  # fmt: skip
        cells += [str(row.waiting)] if wide else []
        cells += [sparkline(history.of(row.key), 30 if wide else 12)] if width >= 80 else []
        style = "red" if row.badness >= (3, 0) or (row.failed or 0) >= 0.5 else "yellow" if row.failed else ""
        table.add_row(*(Text(cell) for cell in cells), style=f"{style} reverse".strip() if row is chosen else style)
    return table


def _details(row: OperationRow, history: History) -> list[RenderableType]:
    lately = history.of(row.key)
    told = (
        *row.more,
        (
            tr("lately"),
            tr(
                "{sparkline} most {lately} per s",
                sparkline=sparkline(lately),
                lately=_number(max(lately, default=None)),
            ),
        ),
    )
    return [
        Text(""),
        _line(tr("{operation} at the {side}", operation=row.operation, side=row.side), "bold"),
        *(_line(f"  {left(n, 14)} {t}") for n, t in told),
    ]


def _queues(rows: Sequence[QueueRow], history: History, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    table.add_column(tr("QUEUE"), no_wrap=True, overflow="ellipsis")
    headings = [tr("DEPTH"), tr("IN/S"), tr("OUT/S"), tr("OLDEST"), tr("DEAD")]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    if width >= 80:
        table.add_column(tr("LATELY"), no_wrap=True)
    for row in rows:
        oldest = "-" if row.oldest_s is None else in_seconds(row.oldest_s)
        cells = [row.name, str(row.depth), _number(row.rate_in), _number(row.rate_out), oldest, str(row.dead_letters)]
        cells += [sparkline(history.of(row.key), 30 if width >= _WIDE else 12)] if width >= 80 else []
        table.add_row(*(Text(cell) for cell in cells), style="yellow" if row.dead_letters or not row.consumers else "")
    return table


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _number(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1f}" if rate < 100 else f"{rate:.0f}"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}" if share == 0 or share >= 0.01 else "<1%"

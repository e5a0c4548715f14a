"""`bridgectl stats`: what the front counted of requests, read from its database, whether it runs or not."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection, MetaData

from bridgectl import daemons, databases
from bridgectl.language import noted, tr
from bridgectl.options import spread
from bridgectl.output import Json, as_json, table
from bridgectl.statistics.figures import SHARES, By, Came, Figures, Key, Statistics, rows
from bridgectl.statistics.files import as_csv, as_parquet, written
from bridgectl.statistics.words import GROUPS, NAMES, duration, share
from bridgectl.stores import from_store
from protocol.messages import Role
from protocol.runtime.statistics import counted, statistics_tables, took

app = typer.Typer(invoke_without_command=True)

_DAYS = 30
_MOST_DAYS = 3_660
_REASONS = 10
_ENDS = (Came.SUCCEEDED, Came.REFUSED, Came.FAILED)


@dataclass(frozen=True, slots=True)
class Span:
    """Which days, as options say it."""

    days: Annotated[
        int | None, typer.Option(min=1, max=_MOST_DAYS, help="the last so many, today included [default: 30]")
    ] = None
    since: Annotated[str, typer.Option("--since", metavar="DAY", help="from this day on: 2026-11-29")] = ""
    until: Annotated[str, typer.Option("--until", metavar="DAY", help="to this day [default: today]")] = ""

    def ends(self, today: date) -> tuple[date, date]:
        """The first and the last day. Raises BadParameter."""
        last = _day(self.until, "--until") if self.until else today
        if self.since and self.days:
            raise typer.BadParameter(tr("--days and --since exclude each other"), param_hint="--days")
        try:
            first = _day(self.since, "--since") if self.since else last - timedelta(days=(self.days or _DAYS) - 1)
        except OverflowError:
            raise typer.BadParameter(
                tr("so many days before {last} there is none", last=last), param_hint="--days"
            ) from None
        if first > last:
            raise typer.BadParameter(tr("{first} is after {last}", first=first, last=last), param_hint="--since")
        if (last - first).days >= _MOST_DAYS:
            raise typer.BadParameter(tr("at most {most} days", most=_MOST_DAYS), param_hint="--since")
        return first, last


@app.callback()
@spread("span", Span)
def stats(
    context: typer.Context,
    span: Span,
    by: Annotated[By, typer.Option("--by", help="what each line is of")] = By.OPERATION,
    json: Json = False,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="write each day's figures there")] = None,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", metavar="FILE", help="likewise; needs the extra `parquet`")
    ] = None,
) -> None:
    """Show what the front counted, on the front's host: of all fronts of this database together.

    CALLS are answers over HTTP; those that were TURNED AWAY (4xx) are in no latency. What became of commands that were
    ACCEPTED (202) is counted when it is known. Days are the front's own. A file has a line for each day, operation and
    application. Exit codes: 0 done, 1 the database cannot be read or the file not written, 2 wrong usage.
    """
    if context.invoked_subcommand:
        return
    found = _statistics(span)
    if csv or parquet:
        lines = list(rows(found))
        if csv:
            written(csv, lambda path: as_csv(lines, path))
        if parquet:
            written(parquet, lambda path: as_parquet(lines, path))
        typer.echo(tr("{number} lines written", number=len(lines)), err=json)
        if not json:
            return
    groups = found.by(by)
    if json:
        shown = [{by.value: key[0]} | figures.as_dict() for key, figures in groups.items()]
        reasons = [
            {"operation": one.operation, "came": one.came, "reason": one.reason, "number": one.number}
            for one in found.reasons()
        ]
        typer.echo(as_json({"since": found.since, "until": found.until, "groups": shown, "reasons": reasons}))
        return
    _show(found, by, groups)


@app.command()
@spread("span", Span)
def report(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the HTML file; an old one is replaced")],
    span: Span,
) -> None:
    """Write a page with plots and tables: one file that opens anywhere, without a network or a script."""
    from bridgectl.statistics.page import page

    found = _statistics(span)
    text = page(found, f"{datetime.now():%Y-%m-%d %H:%M}")
    written(file, lambda path: path.write_text(text, encoding="utf-8"))
    typer.echo(tr("{file} written", file=file))


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(tr("{text!r} is not a day such as 2026-11-29", text=text), param_hint=option) from None


def _statistics(span: Span) -> Statistics:
    """Read it. Raises BridgeError, BadParameter."""
    first, last = (one.isoformat() for one in span.ends(datetime.now().date()))
    tables = statistics_tables(MetaData())

    def read(connection: Connection) -> Statistics:
        return Statistics(
            first, last, tuple(counted(connection, tables, first, last)), tuple(took(connection, tables, first, last))
        )

    _, path = daemons.one(Role.FRONT)
    return from_store(databases.store_of(path), Role.FRONT, tables.counts.name, read)


def _show(found: Statistics, by: By, groups: Mapping[Key, Figures]) -> None:
    if not groups:
        typer.echo(
            tr("nothing was counted from {since} to {until}; a front writes once a minute", since=found.since,
               until=found.until)
        )  # fmt: skip
        return
    headings = [GROUPS[by], noted("calls"), *NAMES.values(), *(f"{one:.0%}" for one in SHARES)]
    cells = [[name or tr("(none)"), *_cells(figures)] for (name,), figures in groups.items()]
    if any(figures.kept for figures in groups.values()):
        headings.append(noted("kept answers"))
        for row, figures in zip(cells, groups.values(), strict=True):
            row.append(share(figures.kept, figures.calls))
    typer.echo(table(headings, cells))
    if any(figures.ends for figures in groups.values()):
        ends = [
            (name or tr("(none)"), *(figures.ends[came] for came in _ENDS))
            for (name,), figures in groups.items()
            if figures.ends
        ]
        typer.echo("\n" + tr("Commands at their end"))
        typer.echo(table((GROUPS[by], *(NAMES[came] for came in _ENDS)), ends))
    if reasons := found.reasons()[:_REASONS]:
        typer.echo("\n" + tr("Why requests came to nothing"))
        lines = [(one.number, tr(NAMES[one.came]), one.reason, one.operation) for one in reasons]
        typer.echo(table((noted("times"), noted("outcome"), noted("reason"), noted("operation")), lines))
    if sys.stdout.isatty():
        _chart(found.by(By.DAY))


def _cells(figures: Figures) -> tuple[str | int, ...]:
    latency = figures.latency_s()
    return (
        figures.calls,
        *(figures.answers[came] for came in Came),
        *(("",) * len(SHARES) if latency is None else map(duration, latency)),
    )


def _chart(days: Mapping[Key, Figures]) -> None:
    """Calls by day, as bars as wide as the terminal has room."""
    from rich.bar import Bar
    from rich.console import Console
    from rich.table import Table

    most = max(figures.calls for figures in days.values()) or 1
    chart = Table.grid(padding=(0, 1), expand=True)
    chart.add_column(no_wrap=True)
    chart.add_column(ratio=1)
    chart.add_column(justify="right", no_wrap=True)
    for (day,), figures in days.items():
        chart.add_row(day, Bar(most, 0, figures.calls, color="blue"), f"{figures.calls:,}")
    typer.echo("")
    Console().print(chart)

"""`bridgectl trace`: one request's life, as far as this host knows it."""

import json as jsons
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bridgectl import daemons
from bridgectl.language import tr
from bridgectl.output import as_json, table
from bridgectl.programs import PROGRAMS
from bridgectl.tracing import Event, events_of, events_of_log, revealed
from bridgectl.vocabulary import passed_on
from protocol.administration import CommandDetail, TraceReport
from protocol.errors import BridgeError
from protocol.messages import Role

app = typer.Typer()

_JOURNAL_S = 20.0


@app.command()
def trace(
    id: Annotated[str, typer.Argument(metavar="REQUEST-ID", help="as the caller has it (`Request-Id`)")],
    log: Annotated[
        list[Path] | None, typer.Option("--log", help="a log file to look into too; repeat for more")
    ] = None,
    journal: Annotated[bool, typer.Option("--journal/--no-journal", help="look into systemd's journal")] = True,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="open what was asked too, on the bridge's host: a customer's data")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="for programs: a list of events")] = False,
) -> None:
    """Tell what is known here of one request: ledger or inbox, what the daemons remember, and their logs.

    Times, waits, who had it, and why; nothing of a customer without --reveal, which opens a command with the bridge's
    keys and is written to the audit log. What happened on the other side, the other host tells.
    Exit codes: 0 something is known, 1 nothing is, 3 no daemon could be asked.
    """
    events: list[Event] = []
    silent: list[BridgeError] = []
    configured = list(daemons.configured())
    for role, path in configured:
        try:
            report = TraceReport.model_validate(daemons.tell(role, path, "trace", id=id))
            events += events_of(report)
            if reveal and report.command is not None and role is Role.BRIDGE:
                told = daemons.tell(role, path, "command", id=id, reveal=True, inquire=False)
                events.append(revealed(report, CommandDetail.model_validate(told)))
        except BridgeError as error:
            silent.append(error)
        if journal:
            events += events_of_log(_journal(PROGRAMS[role], id), id, role.value)
    for file in log or ():
        events += events_of_log(_lines(file, id), id, file.stem)
    events = sorted(dict.fromkeys(events), key=lambda event: event.at)
    if json:
        typer.echo(as_json([event.as_dict() for event in events]))
    elif events:
        rows, before = [], events[0].at
        for event in events:
            rows.append((_instant(event.at), f"+{(event.at - before) / 1000:.3f}", event.where, event.what, event.more))
            before = event.at
        typer.echo(table((tr("time"), tr("s"), tr("where"), tr("what"), ""), rows))
    for reason in silent:
        typer.echo(f"bridgectl: {passed_on(reason)}", err=True)
    if reveal and Role.BRIDGE not in dict(configured):
        sealed = tr("what was asked is sealed for the bridge: ask on its host")
        typer.echo(f"bridgectl: {sealed}", err=True)
    if not events:
        if silent or not configured:
            raise typer.Exit(3)
        raise BridgeError(
            tr("nothing is known here of {id}: another front's, forgotten, or a query of long ago", id=id)
        )


def _journal(unit: str, id: str) -> Iterator[dict[str, Any]]:
    """Lines of a unit's journal that name the request; none where there is no journal."""
    program = shutil.which("journalctl")
    if program is None:
        return
    command = [program, "-u", unit, "-o", "cat", "--no-pager", "--since", "-8days", "--grep", id]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_JOURNAL_S, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return
    yield from _parsed(done.stdout.splitlines())


def _lines(file: Path, id: str) -> Iterator[dict[str, Any]]:
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            yield from _parsed(line for line in lines if id in line)
    except OSError as error:
        raise BridgeError(f"{file}: {error.strerror}") from None


def _parsed(lines: Any) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            found = jsons.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "")

"""`bridgectl drain`: before a stop."""

import time
from typing import Annotated

import typer

from bridgectl import daemons
from bridgectl.language import tr
from bridgectl.operators import sudo_user
from bridgectl.output import Json, as_json
from bridgectl.programs import PROGRAMS
from bridgectl.sides import At, Config, daemon
from protocol.reports.daemon import DrainReport

app = typer.Typer()
_AGAIN_S = 0.3


@app.command()
def drain(
    undo: Annotated[bool, typer.Option("--undo", help="take work again")] = False,
    wait: Annotated[float, typer.Option(min=0, max=3600, help="seconds, for what runs to end")] = 60.0,
    json: Json = False,
    side: At = None,
    bridge_config: Config = None,
) -> None:
    """Take nothing new, finish what runs, and say when it is safe to stop. A restart takes work again.

    A front answers 503 `shutting-down` and its /readyz says so; a bridge says in its presence that it leaves, and its
    commands wait in the inbox. Exit codes: 0 it is safe to stop (or takes work again), 1 something still runs.
    """
    role, path = daemon(side, bridge_config)
    end = time.monotonic() + wait
    told = daemons.tell(role, path, "drain", undo=undo, sudo_user=sudo_user())
    while not undo and not told["safe"] and time.monotonic() < end:
        time.sleep(_AGAIN_S)
        told = daemons.tell(role, path, "drain", look=True)
    program, report = PROGRAMS[role], told["drain"] and DrainReport.model_validate(told["drain"])
    if json:
        typer.echo(as_json(told))
    elif report is None:
        typer.echo(tr("{program} takes work", program=program))
    elif report.safe:
        typer.echo(
            tr(
                "{program} takes nothing new and has nothing in hand: safe to stop (systemctl stop {program})",
                program=program,
            )
        )
    else:
        left = ", ".join(f"{count} {kind}" for kind, count in report.running.items() if count)
        typer.echo(tr("{program} takes nothing new; still in hand: {left}", program=program, left=left))
    raise typer.Exit(0 if told["safe"] or report is None else 1)

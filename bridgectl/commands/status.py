"""`bridgectl status`: what is wrong, and what mends it, from whichever host it runs on."""

import asyncio
import os
import sys
from typing import Annotated

import typer

from bridgectl.language import tr
from bridgectl.output import as_json
from bridgectl.settings import settings_or_defaults
from bridgectl.status.observation import observe
from bridgectl.status.screen import as_dict, screen
from bridgectl.status.trouble import Level, Trouble, verdict
from bridgectl.status.troubles import troubles
from bridgectl.vocabulary import passed_on
from protocol.runtime import logs

app = typer.Typer()


@app.command()
def status(
    json: Annotated[bool, typer.Option("--json", help="for programs: `status`, `troubles`, and the parts")] = False,
    plugin: Annotated[bool, typer.Option("--plugin", help="one line, for Nagios or Icinga")] = False,
    patience: Annotated[float, typer.Option("--timeout", min=0.5, max=60, help="seconds for each answer")] = 2.5,
    width: Annotated[int | None, typer.Option(min=40, help="of the screen, in characters")] = None,
) -> None:
    """What is wrong first, each with its cause and the one command that mends it; then how each part stands.

    Exit codes: 0 all is well, 1 warning, 2 critical, 3 could not be asked.
    """
    logs.configure("critical")
    path, settings = settings_or_defaults()
    seen = asyncio.run(observe(path, settings, patience))
    found = troubles(seen)
    if seen.front is None and seen.bridge is None:
        found.append(Trouble(Level.UNKNOWN, "nothing-here", tr("neither daemon is configured on this host"),
                             tr("no dmz_front.toml or intranet_bridge.toml beside {path}", path=path),
                             mend=tr("set BRIDGECTL_CONFIG, or [doctor] front_config or bridge_config")))  # fmt: skip
    if json:
        typer.echo(as_json(as_dict(seen, found)))
    elif plugin:
        first = f"{found[0].what}: {passed_on(found[0].why)}".rstrip(": ") if found else tr("nothing is wrong")
        typer.echo(f"DMZ-BRIDGE {verdict(found).name} - {first}")
    else:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        typer.echo(screen(seen, found, colour=colour, width=width))
    raise typer.Exit(int(verdict(found)))

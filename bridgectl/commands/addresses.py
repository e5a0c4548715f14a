"""`bridgectl addresses`: which client addresses the front has paused, and how one is let in again."""

from typing import Annotated

import typer

from bridgectl import daemons
from bridgectl.language import tr
from bridgectl.operators import sudo_user
from bridgectl.output import Json, as_json, table
from bridgectl.sides import Config, Side, daemon

app = typer.Typer(no_args_is_help=True, help="Client addresses that the front has paused; let one in again.")


@app.command("list")
def list_(json: Json = False, bridge_config: Config = None) -> None:
    """List the addresses that are paused, by the running front. IPv6 addresses are paused by /64."""
    role, path = daemon(Side.FRONT, bridge_config)
    found = daemons.tell(role, path, "addresses")
    if json:
        typer.echo(as_json(found))
        return
    rows = [(one["address"], f"{one['seconds']} s", str(one["times"])) for one in found]
    typer.echo(table([tr("address"), tr("left"), tr("times")], rows))


@app.command()
def lift(
    address: Annotated[str, typer.Argument(help="as `list` shows it")],
    bridge_config: Config = None,
) -> None:
    """Let an address in again, and forget how often it was paused."""
    role, path = daemon(Side.FRONT, bridge_config)
    daemons.tell(role, path, "address-lift", address=address, sudo_user=sudo_user())
    typer.echo(tr("{address} is let in again", address=address))

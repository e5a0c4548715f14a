"""`bridgectl files`: files of platforms, on either host."""

from typing import Annotated, Any

import typer

from bridgectl import daemons
from bridgectl.instants import shown
from bridgectl.language import tr
from bridgectl.operators import sudo_user
from bridgectl.output import Json, as_json, table
from bridgectl.sides import At, Config, daemon

app = typer.Typer(
    no_args_is_help=True,
    help="Files of platforms across the boundary: look at them, have a refused one sent again.",
)


@app.command("list")
def listed(
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="receiving, whole, sending, accepted, archived, refused [default: all]"),
    ] = None,
    peer: Annotated[str, typer.Option("--peer", help="of this source or target alone")] = "",
    direction: Annotated[str, typer.Option("--direction", help="in: to the bridge, out: from it")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 100,
    side: At = None,
    bridge_config: Config = None,
    json: Json = False,
) -> None:
    """List the latest files, the oldest of them first: as the bridge has them, or the front's relay. Of a refused one
    the code says why.

    Exit codes: 0 none is refused, 1 some are, 3 the daemon could not be asked.
    """
    role, path = daemon(side, bridge_config)
    rows = daemons.tell(role, path, "files", states=tuple(state or ()), peer=peer, direction=direction, limit=limit)
    if json:
        typer.echo(as_json(rows))
    elif not rows:
        typer.echo(tr("none"))
    else:
        columns = (
            tr("id"), tr("direction"), tr("peer"), tr("name"), tr("profile"), tr("bytes"), tr("state"), tr("code"),
            tr("recorded"),
        )  # fmt: skip
        typer.echo(table(columns, [_row(one) for one in rows]))
    raise typer.Exit(any(one["state"] == "refused" for one in rows))


@app.command()
def show(
    id: Annotated[str, typer.Argument(help="as the list has it")],
    side: At = None,
    bridge_config: Config = None,
    json: Json = False,
) -> None:
    """Show one: what it is, how many of its chunks are there, what was decided."""
    role, path = daemon(side, bridge_config)
    one = daemons.tell(role, path, "file", id=id)
    if json:
        typer.echo(as_json(one))
        return
    times = {name: shown(one[name]) if one[name] else "-" for name in ("created", "updated", "decided")}
    typer.echo(table((tr("field"), tr("value")), [(name, str(value)) for name, value in (one | times).items()]))


@app.command()
def resend(
    id: Annotated[str, typer.Argument(help="as the list has it")], side: At = None, bridge_config: Config = None
) -> None:
    """Have a refused file sent again, once its cause is mended: one from a platform on the front's host, where it still
    lies at its source; one for a platform on the bridge's host.
    """
    role, path = daemon(side, bridge_config)
    daemons.tell(role, path, "resend-file", id=id, sudo_user=sudo_user())
    typer.echo(tr("{id} is sent again", id=id))


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    return (
        one["id"], one["direction"], one["peer"], one["name"], one["profile"], one["bytes"], one["state"],
        one["code"] or "-", shown(one["created"]),
    )  # fmt: skip

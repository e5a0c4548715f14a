"""`bridgectl keys`: the keys that sign and seal what crosses the boundary."""

import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bridgectl.output import as_json, table
from protocol.errors import ConfigurationError
from protocol.messages import Role

app = typer.Typer(help="Make, show and rotate the envelope's keys.", no_args_is_help=True, rich_markup_mode=None)

Directory = Annotated[Path, typer.Option("--dir", help="The key directory.")]
INSTALLED = Path("/etc/dmz-bridge/keys")
"""Where an installation keeps them."""


class Holder(StrEnum):
    """The roles that have envelope keys."""

    FRONT = Role.FRONT.value
    BRIDGE = Role.BRIDGE.value


@app.command()
def init(
    directory: Directory,
    force: Annotated[
        bool, typer.Option("--force", help="Replace all keys: what is on its way becomes unreadable.")
    ] = False,
) -> None:
    """Make the first keys of front and bridge."""
    from bridgectl import keys

    for path in keys.init(directory, now=_now(), force=force):
        typer.echo(f"wrote {path}")
    typer.echo("Each front gets front.keyring and trusted.json, each bridge bridge.keyring and trusted.json.")


@app.command()
def show(
    directory: Directory = INSTALLED, as_json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List ids, ages and states; never a secret."""
    from bridgectl import keys

    found = keys.describe(directory, now=_now())
    if as_json_:
        typer.echo(as_json(found))
        return
    rows = (
        {
            **one,
            "retired": one["retired"] or "-",
            "private_key_here": "here" if one["private_key_here"] else "-",
        }
        for one in found
    )
    headings = ["role", "algorithm", "id", "state", "age_days", "created", "retired", "private_key_here"]
    typer.echo(table([heading.replace("_", " ") for heading in headings], ([row[h] for h in headings] for row in rows)))


@app.command()
def rotate(
    role: Annotated[Holder, typer.Argument(help="Whose keys.")],
    directory: Directory,
    activate: Annotated[bool, typer.Option("--activate", help="Second step: use the new keys.")] = False,
) -> None:
    """Change a role's keys in two steps: make and distribute, then --activate and distribute."""
    from bridgectl import keys

    whose = Role(role.value)
    other = Role.BRIDGE if whose is Role.FRONT else Role.FRONT
    if activate:
        keys.activate(directory, whose, now=_now())
        typer.echo(f"The {whose}'s new keys are active; the old ones stay readable.")
        typer.echo(f"Now copy {whose}.keyring and {keys.TRUSTED} to every {whose}, {keys.TRUSTED} to every {other},")
        typer.echo(f"and restart them, in any order. After {keys.SAFE_PRUNE_DAYS} days: bridgectl keys prune.")
        return
    made = keys.rotate(directory, whose, now=_now())
    typer.echo(f"The {whose}'s next keys {'are made' if made else 'were there already'}; nobody uses them yet.")
    typer.echo(f"Now copy {whose}.keyring and {keys.TRUSTED} to every {whose}, {keys.TRUSTED} to every {other},")
    typer.echo(f"and restart them all. Only then: bridgectl keys rotate {whose} --activate --dir {directory}")


@app.command()
def prune(
    directory: Directory,
    older_than: Annotated[int, typer.Option(min=0, help="Days since a key ceased to be active.")] = 30,
    force: Annotated[bool, typer.Option("--force", help="Even if messages on their way become unreadable.")] = False,
) -> None:
    """Remove keys that are no longer needed to read anything."""
    from bridgectl import keys

    if older_than < keys.SAFE_PRUNE_DAYS and not force:
        raise ConfigurationError(
            f"messages up to {keys.SAFE_PRUNE_DAYS - 1} days old may still need these keys: "
            f"give --older-than {keys.SAFE_PRUNE_DAYS} or more, or --force"
        )
    gone = keys.prune(directory, older_than_days=older_than, now=_now())
    for key in gone:
        typer.echo(f"removed {key.role} {key.algorithm} {key.id}, retired {key.retired_at:%Y-%m-%d}")
    if not gone:
        typer.echo("nothing to remove")
    else:
        typer.echo("Now copy the keyrings and trusted.json to their hosts and restart the daemons.")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)

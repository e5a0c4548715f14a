"""`bridgectl backup`: a verified copy of the daemon's database, made while it runs."""

from pathlib import Path
from typing import Annotated

import typer

from bridgectl import audit, databases
from bridgectl.language import tr
from bridgectl.output import as_json
from bridgectl.sides import Config
from protocol.runtime.backup import back_up
from protocol.runtime.clock import wall_clock

app = typer.Typer()


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="a new file, or a folder, where it gets a name")],
    side: databases.At = None,
    bridge_config: Config = None,
    json: Annotated[bool, typer.Option("--json", help="for programs: the manifest, and the file's name")] = False,
) -> None:
    """Copy ledger or inbox, consistently, while the daemon runs; the copy is verified, and described in FILE.json.

    Sealed content stays sealed in it. PostgreSQL: pg_dump, which must be installed here.
    """
    place = databases.of(side, bridge_config)
    audit.record("backup", program=place.owner.program, target=str(target))
    file, manifest = back_up(place.store, place.owner, target, wall_clock())
    if json:
        typer.echo(as_json({"file": str(file), **manifest.model_dump()}))
        return
    typer.echo(
        tr(
            "{file}: {commands} commands, {bytes} KB, schema {schema_revision}, verified",
            file=file,
            commands=manifest.commands,
            bytes=manifest.bytes >> 10,
            schema_revision=manifest.schema_revision,
        )
    )

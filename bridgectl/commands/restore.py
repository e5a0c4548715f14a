"""`bridgectl restore`: put a backup back, with what it has forgotten marked, so that nothing is done twice for it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bridgectl import audit, databases
from bridgectl.language import tr
from bridgectl.output import Json, as_json
from bridgectl.restoring import restore as put_back
from bridgectl.restoring import seen
from bridgectl.sides import Config
from protocol.runtime.backup import verified
from protocol.runtime.clock import wall_clock

app = typer.Typer()


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="made by `bridgectl backup`, its manifest beside it")],
    yes: Annotated[bool, typer.Option("--yes", help="do it; without it, only say what would be done")] = False,
    force: Annotated[bool, typer.Option("--force", help="though it is of another instance, region or inbox")] = False,
    bridge_config: Config = None,
    json: Json = False,
) -> None:
    """Put a backup in the place of the daemon's database, which is kept beside it. The daemon must not run.

    A backup is older than what it replaces: what came between is forgotten. The daemon finds that marked when it
    starts, and asks, holds or refuses what may have been done before: docs/explanation/restore.md.
    """
    manifest = verified(file)
    place = databases.of(databases.side_of(manifest.program), bridge_config)
    doubts = seen(place, manifest)
    if doubts and not force:
        raise typer.BadParameter(tr("{doubts} (--force: all the same)", doubts="; ".join(doubts)), param_hint="FILE")
    taken = datetime.fromtimestamp(manifest.taken_at / 1000, UTC).isoformat(timespec="seconds")
    if not yes:
        told = tr(
            "would put back {file} of {taken} ({commands} commands); the daemon must be stopped. Add --yes",
            file=file,
            taken=taken,
            commands=manifest.commands,
        )
        typer.echo(as_json({"done": False, **manifest.model_dump()}) if json else told)
        return
    audit.record("restore", program=manifest.program, file=str(file), taken_at=manifest.taken_at)
    done = put_back(place, file, manifest, wall_clock())
    if json:
        typer.echo(as_json({"done": True, "kept": str(done.kept or ""), "revoked": done.revoked}))
        return
    typer.echo(
        tr(
            "{file} of {taken} is in place; what was there is kept as {kept}",
            file=file,
            taken=taken,
            kept=done.kept or tr("(there was none)"),
        )
    )
    for line in done.notes:
        typer.echo(line)
    typer.echo(
        tr(
            "next: systemctl start {program}; then bridgectl status, and bridgectl requests list",
            program=manifest.program,
        )
    )

"""`bridgectl bundle`: one file with what a vendor or a colleague needs to see of this host, without its secrets."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from bridgectl import audit
from bridgectl.bundle import archive
from bridgectl.bundle.collection import collect, made, told
from bridgectl.language import english, tr
from bridgectl.output import as_json
from protocol.runtime import logs
from protocol.runtime.clock import wall_clock

app = typer.Typer()


@app.command()
def bundle(
    file: Annotated[Path, typer.Argument(metavar="FILE.tar.gz", help="to be written, for its owner alone")],
    log_lines: Annotated[int, typer.Option(min=0, max=100_000, help="the last lines of each log; 0: no logs")] = 1000,
    log: Annotated[list[Path], typer.Option(help="a log file, besides the journal; repeat for more")] = [],  # noqa: B006
    force: Annotated[bool, typer.Option("--force", help="replace FILE if it is there")] = False,
    json: Annotated[bool, typer.Option("--json", help="for programs: the manifest")] = False,
) -> None:
    """Reports, status, versions, masked configurations, certificates' dates, metrics, logs and counts of this host.

    Secrets and what looks like a customer's number are masked; no row of a database, no key. What could not be had is
    told in the manifest and makes it fail in nothing. Run it as root on each host, and look through it before it is
    sent. Exit codes: 0 written, 1 not written.
    """
    logs.configure("critical")
    archive.refuse_existing(file, force=force)
    now = wall_clock()
    with english():  # who reads it may have no Chinese
        found = collect(log_lines, log)
    audit.record("bundle", file=str(file.absolute()), log_lines=log_lines, logs=len(log))
    members, left_out, masked = found.scrubbed()
    listed = archive.manifest(
        members, left_out, made=made(now), software=f"dmz-bridge {version('dmz-bridge')}", masked=masked
    )
    archive.write(file, archive.packed(members, listed, now // 1000), force=force)
    if json:
        typer.echo(as_json(listed))
        return
    typer.echo(
        tr(
            "{file}: {members} members, {masked} places masked; look through it before you send it",
            file=file,
            members=len(members),
            masked=masked,
        )
    )
    typer.echo("\n".join(told(listed)))

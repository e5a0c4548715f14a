"""`bridgectl reload`: the running daemons of this host take up what changed in their files, without a restart."""

from typing import Annotated

import typer

from bridgectl import daemons
from bridgectl.language import tr
from bridgectl.output import Json, as_json
from bridgectl.programs import PROGRAMS
from bridgectl.vocabulary import passed_on
from protocol.administration import ReloadReport
from protocol.errors import BridgeError, ConfigurationError, NotAsked
from protocol.messages import Role

app = typer.Typer()

_PATIENCE_S = 85.0
"""Brokers are tried and connections replaced before it is answered."""


@app.command()
def reload(
    which: Annotated[
        list[Role] | None, typer.Argument(help="front or bridge; default: every daemon configured on this host")
    ] = None,
    json: Json = False,
) -> None:
    """Read configuration, certificates, keys and bindings again, judge them, and go by them; no request fails.

    If anything is wrong nothing changes, and it is said where. Exit codes: 0 all is taken up, 1 something waits for a
    restart, 2 refused, 3 a daemon could not be asked.
    """
    found = [(role, path) for role, path in daemons.configured() if not which or role in which]
    if not found:
        raise NotAsked(tr("no such daemon is configured on this host: which is it, and where is bridgectl.toml?"))
    worst, told = 0, []
    for role, path in found:
        program = PROGRAMS[role]
        try:
            report = ReloadReport.model_validate(daemons.tell(role, path, "reload", _PATIENCE_S))
        except NotAsked as error:
            worst, code, why = max(worst, 3), 3, str(error)
        except (ConfigurationError, BridgeError) as error:
            worst, code, why = max(worst, 2), 2, str(error)
        else:
            worst = max(worst, 1 if report.restart else 0)
            told.append({"program": program, "code": int(bool(report.restart)), **report.model_dump(mode="json")})
            if not json:
                typer.echo("\n".join(said(program, report)))
            continue
        told.append({"program": program, "code": code, "error": why})
        if not json:
            came = tr("not asked") if code == 3 else tr("refused, nothing has changed")
            typer.echo(f"{program}: {came}: {passed_on(why)}", err=True)
    if json:
        typer.echo(as_json(told))
    raise typer.Exit(worst)


def said(program: str, report: ReloadReport) -> list[str]:
    """A report for people."""
    lines = [f"{program} ({report.name}): " + (tr("taken up") if report.changed else tr("nothing has changed"))]
    lines += [tr("  changed  {ones}", ones=one) for one in report.changed]
    lines += [
        tr("  restart  {ones} changed, and is taken up at the next start alone", ones=one) for one in report.restart
    ]
    lines += [tr("  note     {ones}", ones=passed_on(one)) for one in report.notes]
    if report.in_use:
        lines.append(
            tr("  in use   {codes}", codes=", ".join(f"{what} {code}" for what, code in report.in_use.items()))
        )
    if report.changed:
        lines.append(tr("  same     {same}", same=", ".join(report.same)))
    return lines

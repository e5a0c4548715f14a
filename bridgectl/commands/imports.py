"""`bridgectl import`: data that the bridge of this host fetches by the clock, and answers from."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from bridgectl import daemons
from bridgectl.instants import shown, span
from bridgectl.language import tr
from bridgectl.operators import sudo_user
from bridgectl.output import Json, as_json, table
from bridgectl.sides import Config
from protocol.errors import BridgeError
from protocol.messages import Role
from protocol.reports.marketing_data import ImportReport

app = typer.Typer(no_args_is_help=True, help="Imports into the bridge's own store: how far they are; run one now.")


@app.command("list")
def list_(json: Json = False, bridge_config: Config = None) -> None:
    """Show each import: how many rows are answered from, how old they are, and what is being read."""
    found = _reports(bridge_config)
    if json:
        typer.echo(as_json([one.model_dump(mode="json") for one in found]))
        return
    if not found:
        typer.echo(tr("nothing is imported: there is no [imports.NAME]"))
        return
    now = round(datetime.now(UTC).timestamp() * 1000)
    columns = (tr("import"), tr("mode"), tr("rows"), tr("age"), tr("run"), tr("next"))
    typer.echo(table(columns, [_row(one, now) for one in found]))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="of the import")], json: Json = False, bridge_config: Config = None
) -> None:
    """Show one import, and how far the run under way has come."""
    found = next((one for one in _reports(bridge_config) if one.name == name), None)
    if found is None:
        raise BridgeError(tr("there is no import {name}", name=name))
    if json:
        typer.echo(as_json(found.model_dump(mode="json")))
        return
    now = round(datetime.now(UTC).timestamp() * 1000)
    lines = [
        (tr("mode"), found.mode),
        (tr("answers"), ", ".join(found.answers) or "-"),
        (tr("rows"), str(found.rows)),
        (tr("as of"), shown(found.as_of) if found.as_of else "-"),
        (tr("answered from"), tr("yes") if found.fresh else tr("no: nothing there, or too old")),
        (tr("run"), _run(found, now)),
        (tr("next"), shown(found.following) if found.following else tr("at once")),
    ]
    if found.error:
        lines.append((tr("error"), found.error))
    for label, words in lines:
        typer.echo(f"{label}: {words}")


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="of the import")],
    full: Annotated[bool, typer.Option("--full", help="all of it, whatever its mode")] = False,
    bridge_config: Config = None,
) -> None:
    """Have an import run now, whenever it is due. In the marketing system's quiet hours it waits for their end."""
    _, path = daemons.one(Role.BRIDGE, bridge_config)
    told: dict[str, Any] = daemons.tell(Role.BRIDGE, path, "run-import", name=name, full=full, sudo_user=sudo_user())
    report = ImportReport.model_validate(told)
    if report.quiet:
        typer.echo(tr("{name} will run after the quiet hours", name=name))
    else:
        typer.echo(tr("{name} runs; bridgectl import show {name} has how far it is", name=name))


def _reports(bridge_config: Config) -> list[ImportReport]:
    _, path = daemons.one(Role.BRIDGE, bridge_config)
    told = daemons.tell(Role.BRIDGE, path, "imports")
    return [ImportReport.model_validate(one) for one in told["imports"]]


def _row(one: ImportReport, now: int) -> tuple[Any, ...]:
    age = span(now - one.as_of) if one.as_of else "-"
    return (
        one.name,
        one.mode,
        one.rows,
        age if one.fresh else tr("{age}, too old", age=age),
        _run(one, now),
        (shown(one.following) if one.following else tr("at once")),
    )


def _run(one: ImportReport, now: int) -> str:
    if one.error:
        return tr("failing: {reason}", reason=one.error)
    if not one.running:
        return "-"
    if one.quiet:
        return tr("waits for the end of the quiet hours, {read} read", read=one.read)
    share = f" ({min(99, 100 * one.read // one.rows)}%)" if one.rows and one.mode == "full" else ""
    return tr(
        "{read} read{share} in {took}, by {runner}",
        read=one.read,
        share=share,
        took=span(now - one.began),
        runner=one.runner,
    )

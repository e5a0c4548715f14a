"""`bridgectl circuit`: the circuit breakers of the bridge of this host."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from bridgectl import daemons, probing
from bridgectl.instants import shown
from bridgectl.language import tr
from bridgectl.operators import sudo_user
from bridgectl.output import Json, as_json, table
from bridgectl.sides import Config
from bridgectl.vocabulary import passed_on
from protocol.maintenance import by_operation
from protocol.messages import Role
from protocol.reports.calls import InterfaceReport

app = typer.Typer(no_args_is_help=True, help="Circuit breakers: which are open, since when, why; close one.")


@app.command()
def show(
    operation: Annotated[str | None, typer.Argument(help="of the catalogue [default: those that are not well]")] = None,
    every: Annotated[bool, typer.Option("--all", help="the closed ones too")] = False,
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """Show circuits: since when each is open, the last failure and its kind, when the next call probes it.

    Exit codes: 0 those shown are closed, 1 one is half open (the next call probes it), 2 one is open, 3 the bridge
    could not be asked.
    """
    _, path = daemons.one(Role.BRIDGE, bridge_config)
    report = probing.bridge_report(path)
    paused = by_operation(report.maintenance)
    known = {one.operation: one for one in report.interfaces}
    if operation is not None and operation not in known:
        raise typer.BadParameter(
            tr("not bound here; bound are {known}", known=", ".join(sorted(known))), param_hint="OPERATION"
        )
    chosen = [known[operation]] if operation else [one for one in report.interfaces if every or not _well(one)]
    if json:
        shown_as = [one.model_dump(mode="json") | {"paused": one.operation in paused} for one in chosen]
        typer.echo(as_json(shown_as))
    elif not chosen:
        typer.echo(tr("all {known} circuits are closed, and no interface fails", known=len(known)))
    else:
        now = round(datetime.now(UTC).timestamp() * 1000)
        columns = (
            tr("operation"), tr("system"), tr("circuit"), tr("open since"), tr("next probe"), tr("fault"),
            tr("last failure"),
        )  # fmt: skip
        typer.echo(table(columns, [_row(one, now, paused=one.operation in paused) for one in chosen]))
    raise typer.Exit(max((_CODES[one.circuit] for one in chosen if one.operation not in paused), default=0))


_CODES = {"closed": 0, "half-open": 1, "open": 2}


def _well(one: InterfaceReport) -> bool:
    return one.circuit == "closed" and not one.failing_since


def _row(one: InterfaceReport, now: int, *, paused: bool) -> tuple[Any, ...]:
    if paused:
        probe = tr("after maintenance")
    elif one.circuit == "closed":
        probe = "-"
    else:
        probe = (
            tr("in {seconds:.0f} s", seconds=max(0, one.next_probe - now) / 1000)
            if one.next_probe
            else tr("by the next call")
        )
    since = shown(one.opened) if one.opened else "-"
    return (one.operation, one.system, one.circuit, since, probe, one.fault or "-", passed_on(one.reason) or "-")


@app.command()
def close(
    operation: Annotated[str, typer.Argument(help="of the catalogue, e.g. bill-query")],
    bridge_config: Config = None,
) -> None:
    """Let calls of an operation through at once, for example after the marketing system was mended. If they fail, the
    circuit opens again.
    """
    _, path = daemons.one(Role.BRIDGE, bridge_config)
    daemons.tell(Role.BRIDGE, path, "close-circuit", operation=operation, sudo_user=sudo_user())
    typer.echo(tr("the circuit of {operation} is closed", operation=operation))

"""`bridgectl probe`: an operation's binding, tried by the running bridge with the catalogue's example."""

from pathlib import Path
from typing import Annotated

import typer

from bridgectl import daemons, probing
from bridgectl.language import tr
from bridgectl.output import Json, as_json, table
from bridgectl.vocabulary import passed_on
from protocol.messages import Role

app = typer.Typer()


@app.command()
def probe(
    operation: Annotated[str | None, typer.Argument(help="of the catalogue, e.g. bill-query")] = None,
    every: Annotated[bool, typer.Option("--all", help="every query that is bound, in a table")] = False,
    really: Annotated[bool, typer.Option("--really", help="send a command: the marketing system applies it")] = False,
    reveal: Annotated[bool, typer.Option("--show", help="show values; secrets stay masked")] = False,
    json: Json = False,
    bridge_config: Annotated[
        Path | None, typer.Option("--bridge-config", help="of intranet-bridge [default: beside bridgectl.toml]")
    ] = None,
) -> None:
    """Try an interface of the marketing system: the request as it is sent, its answer, each expression, the verdict.

    On the bridge's host. Queries are sent; a command is only rendered, unless --really. Exit codes: 0 it answers as
    its binding says, 1 it does not, 3 the bridge could not be asked.
    """
    if (operation is None) != every:
        raise typer.BadParameter(tr("give an operation, or --all"), param_hint="OPERATION")
    if every and really:
        raise typer.BadParameter(tr("goes with one operation"), param_hint="--really")
    _, path = daemons.one(Role.BRIDGE, bridge_config)
    names = [operation] if operation else probing.bound_queries(probing.bridge_report(path))
    found = [probing.probe(path, name, really=really, reveal=reveal) for name in names]
    if json:
        typer.echo(as_json([one.model_dump(mode="json") for one in found]))
    elif every:
        rows = [(one.operation, one.system, one.outcome, passed_on(one.verdict)) for one in found]
        typer.echo(table((tr("operation"), tr("system"), tr("outcome"), tr("verdict")), rows))
    else:
        typer.echo("\n".join(map(_line, found[0].lines)))
    raise typer.Exit(0 if all(one.well for one in found) else 1)


def _line(text: str) -> str:
    told = text.lstrip(" ")
    return text[: len(text) - len(told)] + passed_on(told)

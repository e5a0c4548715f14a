"""`bridgectl risk`: lists of payers, cards and accounts, and what the rules decided, on the bridge's host."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bridgectl import daemons
from bridgectl.instants import instant, shown
from bridgectl.language import tr
from bridgectl.operators import sudo_user
from bridgectl.output import Json, as_json, table
from bridgectl.sides import Config
from protocol.errors import BridgeError
from protocol.messages import Role
from protocol.money import text

app = typer.Typer(no_args_is_help=True, help="Risk: lists of payers and cards, and what the rules decided.")

ListArgument = Annotated[str, typer.Argument(metavar="LIST", help="as a rule's `in_list` names it")]
Value = Annotated[
    str,
    typer.Argument(metavar="VALUE", help="a payer, a card, or COMPANY:ACCOUNT; - reads it from standard input"),
]


def _ask(config: Path | None, question: str, **more: Any) -> Any:
    _, path = daemons.one(Role.BRIDGE, config)
    return daemons.tell(Role.BRIDGE, path, question, daemons.PATIENCE_S, sudo_user=sudo_user(), **more)


def _given(value: str) -> str:
    """What is on a command line is seen by everybody on the host."""
    return sys.stdin.readline().strip() if value == "-" else value


@app.command("list")
def list_(
    name: Annotated[str, typer.Argument(metavar="[LIST]", help="this one alone")] = "",
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """Show what is on the lists: hashes, for nobody knows what they are of."""
    found = _ask(bridge_config, "risk-list", list=name)["entries"]
    if json:
        typer.echo(as_json(found))
        return
    if not found:
        typer.echo(tr("there is none"))
        return
    columns = (tr("list"), tr("hash"), tr("until"), tr("by"), tr("note"))
    rows = [(one["list"], one["value"], _until(one), one["by"], one["note"] or "-") for one in found]
    typer.echo(table(columns, rows))


@app.command()
def add(
    name: ListArgument,
    value: Value,
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="it ends then: 2026-12-31 [default: never]")
    ] = "",
    note: Annotated[str, typer.Option("--note", help="why; nothing of a customer")] = "",
    bridge_config: Config = None,
) -> None:
    """Put a payer, a card or an account on a list. What is kept is its hash by the database's own key."""
    try:
        ends = int(instant(until, datetime.now(UTC)).timestamp() * 1000) if until else None
    except ValueError as error:
        raise BridgeError(f"--until: {error}") from None
    made = _ask(bridge_config, "risk-add", list=name, value=_given(value), expires_at=ends, note=note)
    typer.echo(tr("{value} is on the list {name}", value=made["value"], name=name))


@app.command()
def remove(name: ListArgument, value: Value, bridge_config: Config = None) -> None:
    """Take it off a list: as it was put on, or by its hash."""
    _ask(bridge_config, "risk-remove", list=name, value=_given(value))
    typer.echo(tr("it is off the list {name}", name=name))


@app.command()
def decisions(
    verdict: Annotated[str, typer.Option("--verdict", help="allow, review or refuse [default: whatever fired]")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="the newest so many")] = 50,
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """Show of which orders and refunds a rule decided, also in dry run, the newest first."""
    found = _ask(bridge_config, "risk-decisions", verdict=verdict or None, limit=limit)["decisions"]
    if json:
        typer.echo(as_json(found))
        return
    if not found:
        typer.echo(tr("there is none"))
        return
    columns = (tr("at"), tr("what"), tr("number"), tr("yuan"), tr("verdict"), tr("rule"), tr("dry run"))
    rows = [
        (shown(one["at"]), one["subject"], one["id"], text(one["amount"]), one["verdict"], one["rule"] or "-",
         ", ".join(one["dry"]) or "-")
        for one in found
    ]  # fmt: skip
    typer.echo(table(columns, rows))


def _until(one: Any) -> str:
    if one["expires_at"] is None:
        return "-"
    return tr("over") if one["over"] else shown(one["expires_at"])

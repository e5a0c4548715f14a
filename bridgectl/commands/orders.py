"""`bridgectl orders`: payment orders, and what people decide of those that are held."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bridgectl import daemons
from bridgectl.instants import shown
from bridgectl.language import tr
from bridgectl.operators import sudo_user
from bridgectl.output import Json, as_json, table
from bridgectl.sides import Config
from protocol.administration import OrderVerdict
from protocol.messages import Role
from protocol.money import text
from protocol.operations.orders import OrderState

app = typer.Typer(no_args_is_help=True, help="Payment orders: look at them, settle those that are held.")

_MOST = 1000
Number = Annotated[str, typer.Argument(metavar="ORDER", help="as the list has it")]


@app.command("list")
def list_(
    state: Annotated[
        OrderState | None, typer.Option("--state", metavar="STATE", help="in this state alone: held, writing-off, ...")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_MOST)] = 100,
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """List payment orders, the latest first."""
    rows = _tell(bridge_config, "orders-list", state=state.value if state else "", limit=limit)
    if json:
        typer.echo(as_json(rows))
    elif not rows:
        typer.echo(tr("none"))
    else:
        columns = (tr("order"), tr("state"), tr("channel"), tr("lines"), tr("amount"), tr("created"), tr("why"))
        told = [
            (
                one["number"], one["state"], one["channel"], one["lines"], text(one["amount"]),
                shown(one["created_at"]),
                one["code"] or "-",
            )
            for one in rows
        ]  # fmt: skip
        typer.echo(table(columns, told))


@app.command()
def show(order: Number, json: Json = False, bridge_config: Config = None) -> None:
    """Show one payment order: its lines, what paid it, its refunds."""
    told = _tell(bridge_config, "orders-show", order=order)
    if json:
        typer.echo(as_json(told))
        return
    fields = [(name, str(told[name] or "-")) for name in ("order", "state", "code", "channel", "application", "late")]
    amounts = [(tr("amount"), text(told["amount"])), (tr("cash"), text(told["cash"]))]
    typer.echo(table((tr("field"), tr("value")), [*fields, *amounts]))
    lines = [
        (one["line"], one["company"], one["account"], text(one["amount"]), text(one["cash"]), one["state"], one["code"])
        for one in told["lines"]
    ]
    columns = (tr("line"), tr("company"), tr("account"), tr("amount"), tr("cash"), tr("state"), tr("why"))
    typer.echo("\n" + table(columns, lines))
    parts = [
        (one["kind"], one["funder"], text(one["amount"]), one["state"] or "-", text(one["returned"]))
        for one in told["parts"]
    ]
    if parts:
        of_part = (tr("part"), tr("funder"), tr("amount"), tr("state"), tr("returned in the books"))
        typer.echo("\n" + table(of_part, parts))
    payments = [
        (one["channel"], text(one["cash"]), shown(one["paid_at"]), ", ".join(one["transactions"]))
        for one in told["payments"]
    ]
    if payments:
        typer.echo("\n" + table((tr("channel"), tr("cash"), tr("paid"), tr("transactions")), payments))
    refunds = [
        (one["refund"], one["channel"], one["transaction"], text(one["cash"]), one["state"]) for one in told["refunds"]
    ]
    if refunds:
        typer.echo("\n" + table((tr("refund"), tr("channel"), tr("transaction"), tr("cash"), tr("state")), refunds))


@app.command()
def settle(
    order: Number,
    verdict: Annotated[
        OrderVerdict,
        typer.Argument(
            help="written-off, refused: of a line; go-on: it was held for its risk; give-back: another amount was paid"
        ),
    ],
    note: Annotated[str, typer.Option("--note", help="why; it is kept")],
    line: Annotated[int, typer.Option("--line", min=0, max=50, help="of which line")] = 0,
    bridge_config: Config = None,
) -> None:
    """Say how an order goes on that is held. Look at its company's books first: what is said here is believed."""
    told = _tell(
        bridge_config, "orders-settle", order=order, verdict=verdict, line=line, note=note, sudo_user=sudo_user()
    )
    typer.echo(tr("{order} is {state}", order=told["order"], state=told["state"]))


def _tell(bridge_config: Path | None, question: str, **more: Any) -> Any:
    _, path = daemons.one(Role.BRIDGE, bridge_config)
    return daemons.tell(Role.BRIDGE, path, question, **more)

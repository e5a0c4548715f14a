"""`bridgectl notices`: what is told to customers' applications unasked."""

import json as jsons
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from bridgectl import daemons
from bridgectl.instants import shown
from bridgectl.language import tr, trn
from bridgectl.operators import sudo_user
from bridgectl.output import Json, as_json, table
from bridgectl.sides import Config
from protocol.messages import Role
from protocol.notices import EXAMPLES, NoticeKind

app = typer.Typer(
    no_args_is_help=True,
    help="Notices to applications: publish one by hand (bridge), look at them and deliver them again (front).",
)
_COLUMNS = ("id", "application", "kind", "callback", "state", "attempts", "recorded", "next", "fault")


@app.command("list")
def listed(
    state: Annotated[
        list[str] | None, typer.Option("--state", help="waiting, dead, delivered, kept [default: waiting and dead]")
    ] = None,
    application: Annotated[str, typer.Option("--application", help="of this one alone")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 100,
    json: Json = False,
) -> None:
    """List callbacks that wait for their application, and those that were given up, the oldest first, with why the last
    attempt failed. What a notice says is not shown: it is sealed.

    Exit codes: 0 none is dead, 1 some are, 3 the front could not be asked.
    """
    _, path = daemons.one(Role.FRONT)
    states = tuple(state) if state else ("waiting", "dead")
    rows = daemons.tell(Role.FRONT, path, "notices", states=states, application=application, limit=limit)
    if json:
        typer.echo(as_json(rows))
    elif not rows:
        typer.echo(tr("none"))
    else:
        columns = (
            tr("id"), tr("application"), tr("kind"), tr("callback"), tr("state"), tr("attempts"), tr("recorded"),
            tr("next"), tr("fault"),
        )  # fmt: skip
        typer.echo(table(columns, [_row(one) for one in rows]))
    raise typer.Exit(any(one["state"] == "dead" for one in rows))


@app.command()
def show(id: Annotated[str, typer.Argument(help="as the list has it, and `webhook-id`")], json: Json = False) -> None:
    """Show one: whose it is, how far its delivery is."""
    _, path = daemons.one(Role.FRONT)
    one = daemons.tell(Role.FRONT, path, "notice", id=id)
    typer.echo(as_json(one) if json else table(_COLUMNS, [_row(one)]))


@app.command()
def redeliver(
    ids: Annotated[list[str] | None, typer.Argument(help="as the list has them")] = None,
    application: Annotated[str, typer.Option("--application", help="all of it that are dead")] = "",
) -> None:
    """Deliver again, with the ids they had: those named, whatever their state, or all that are dead of an application.
    An application that has seen an id before ignores it.
    """
    if bool(ids) == bool(application):
        raise typer.BadParameter(tr("name ids, or --application"), param_hint="IDS")
    _, path = daemons.one(Role.FRONT)
    told = daemons.tell(
        Role.FRONT, path, "redeliver-notices", ids=ids or [], application=application, sudo_user=sudo_user()
    )
    typer.echo(trn("{count} is delivered again", "{count} are delivered again", told["count"]))


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    return (
        one["id"], one["application"], one["kind"], one["callback"] or "-", one["state"], one["attempts"],
        shown(one["recorded"]), shown(one["next"]) if one["next"] else "-", one["fault"] or "-",
    )  # fmt: skip


@app.command()
def publish(
    kind: Annotated[str, typer.Argument(help=", ".join(NoticeKind))],
    data: Annotated[str | None, typer.Option("--data", metavar="JSON", help="its data [default: an example]")] = None,
    account: Annotated[str | None, typer.Option("--account", help="put into the data")] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="when it happened [default: now]")] = None,
    push_id: Annotated[str | None, typer.Option("--push-id", help="published once [default: a new one]")] = None,
    bridge_config: Config = None,
) -> None:
    """Publish a notice as a push of the marketing system's would be, on the bridge's host: to see that it arrives. It
    goes to the applications that have subscribed to its kind for the account, and to nobody else.
    """
    if kind not in set(NoticeKind):
        raise typer.BadParameter(tr("there are {kinds}", kinds=", ".join(NoticeKind)), param_hint="KIND")
    try:
        body = dict(EXAMPLES[NoticeKind(kind)]) if data is None else jsons.loads(data)
    except ValueError as error:
        raise typer.BadParameter(tr("is not JSON: {error}", error=error), param_hint="--data") from None
    if not isinstance(body, dict):
        raise typer.BadParameter(tr("is not a JSON object"), param_hint="--data")
    if account is not None:
        body["account"] = account
    when = at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    _, path = daemons.one(Role.BRIDGE, bridge_config)
    told = daemons.tell(
        Role.BRIDGE, path, "publish-notice", kind=kind, at=when, data=body,
        push_id=push_id or f"by-hand-{uuid.uuid4()}", sudo_user=sudo_user(),
    )  # fmt: skip
    count = told["applications"]
    typer.echo(
        tr("published for {count} application(s)", count=count)
        if count
        else tr("published for nobody: no application subscribes")
    )

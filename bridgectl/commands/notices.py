"""`bridgectl notices`: what is told to customers' applications unasked."""

import json as jsons
import uuid
from datetime import UTC, datetime
from typing import Annotated

import typer

from bridgectl import daemons
from bridgectl.language import tr
from bridgectl.operators import sudo_user
from bridgectl.sides import Config
from protocol.messages import Role
from protocol.notices import EXAMPLES, NoticeKind

app = typer.Typer(no_args_is_help=True, help="Notices to applications: publish one by hand.")


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

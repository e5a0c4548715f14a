"""`bridgectl inbox`: which inbox the region's commands are for, on the front's host."""

import uuid
from typing import Annotated

import typer

from bridgectl import audit
from bridgectl.instants import iso
from bridgectl.language import tr
from bridgectl.operators import operator
from bridgectl.output import Json, as_json, table
from bridgectl.settings import front_store
from bridgectl.stores import from_store, in_store
from protocol.envelope import SKEW_MS
from protocol.errors import BridgeError
from protocol.messages import Role
from protocol.runtime import region_inbox
from protocol.runtime.clock import wall_clock
from protocol.runtime.region_inbox import ADDRESS, Address

app = typer.Typer(no_args_is_help=True, help="The inbox that commands of this region are for.")


@app.command()
def show(json: Json = False) -> None:
    """Say which inbox commands are addressed to, and since when."""
    found = from_store(front_store(), Role.FRONT, ADDRESS.name, region_inbox.read)
    if found is None:
        raise BridgeError(tr("no bridge was heard of yet: the first inbox heard of becomes the region's"))
    row = {
        "inbox": found.inbox, "bound_at": iso(found.bound_at), "bound_by": found.bound_by, "note": found.note,
    }  # fmt: skip
    typer.echo(
        as_json(row) if json else table([tr("inbox"), tr("bound at"), tr("bound by"), tr("note")], [list(row.values())])
    )


@app.command()
def bind(
    inbox: Annotated[str, typer.Argument(help="its id, as `bridgectl doctor` and the front's log name it")],
    note: Annotated[str, typer.Option("--note", help="why; kept with the decision")],
) -> None:
    """Address commands to another inbox, because the former one is gone FOR GOOD.

    What was accepted before and has no outcome is sent to the new inbox, which treats it as of unknown outcome: it
    inquires, or holds it, as the operation says. A bridge with the former inbox must never be started again: it would
    still do what it was sent.
    """
    try:
        wanted = str(uuid.UUID(inbox))
    except ValueError:
        raise BridgeError(tr("{inbox!r} is no inbox's id, which is a UUID", inbox=inbox)) from None
    if not note.strip():
        raise BridgeError(tr("--note is empty: say why"))
    now = wall_clock()
    # clocks of fronts may be apart: what is sealed a little later is asked about too, which does no harm
    meant = Address(wanted, now + SKEW_MS, now, operator(), note.strip()[:400])
    in_store(front_store(), Role.FRONT, ADDRESS.name, lambda connection: region_inbox.bind(connection, meant))
    audit.record("inbox-bind", inbox=wanted)
    typer.echo(tr("commands are for inbox {wanted} from now on; the fronts follow within two seconds", wanted=wanted))

"""`bridgectl desk`: who may use the front's pages for staff. On the front's host."""

import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, TypeVar

import typer
from sqlalchemy import Connection

from bridgectl import audit
from bridgectl.instants import iso
from bridgectl.language import tr
from bridgectl.output import Json, as_json, table
from bridgectl.settings import front_store
from bridgectl.stores import from_store, in_store
from protocol.desk import staff as members
from protocol.desk.staff import Credentials
from protocol.errors import BridgeError
from protocol.messages import Role
from protocol.runtime.clock import wall_clock

app = typer.Typer(no_args_is_help=True, help="Staff of the front's desk: passwords, second factors, roles.")

T = TypeVar("T")


class Act(StrEnum):
    """What is done about staff."""

    LIST = "list"
    ADD = "add"
    RESET = "reset"
    DISABLE = "disable"


@app.callback()
def _group() -> None:
    """Keep `staff` a command of its own while it is the only one."""


@app.command()
def staff(
    act: Annotated[Act, typer.Argument(help="list, add, reset (new password and second factor), or disable")],
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="who: a-z, 0-9, '.', '_' and '-'")] = "",
    role: Annotated[list[str], typer.Option("--role", help="issue, lookup or revoke; repeat for more")] = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Who may use the desk. A password and the secret of the second factor are printed this once.

    A password alone opens nothing, and the database holds neither: who lost one of them gets both anew.
    """
    if act is Act.LIST:
        _list(json=json)
        return
    if not name:
        raise typer.BadParameter(tr("say who"), param_hint="NAME")
    if act is Act.DISABLE:
        _changed(lambda connection: members.disable(connection, name, wall_clock()))
        audit.record("desk-staff-disable", member=name)
        typer.echo(tr("{name} is let in no more, and is logged out", name=name))
        return
    made: Credentials
    if act is Act.ADD:
        made = _changed(lambda connection: members.add(connection, name, role, wall_clock()))
        audit.record("desk-staff-add", member=name, roles=sorted(role))
    else:
        made = _changed(lambda connection: members.reset(connection, name, role, wall_clock()))
        audit.record("desk-staff-reset", member=name, roles=sorted(role))
    _tell(name, made, json=json)


def _tell(name: str, made: Credentials, *, json: bool) -> None:
    uri = made.uri(name)
    if json:
        typer.echo(as_json({"name": name, "password": made.password, "secret": made.secret, "uri": uri}))
        return
    typer.echo(tr("Give these to {name}; they are not shown again:", name=name), err=True)
    typer.echo(tr("password: {password}", password=made.password))
    typer.echo(tr("second factor: {uri}", uri=uri))
    if sys.stdout.isatty():
        import segno

        segno.make(uri, error="l").terminal(compact=True)


def _list(*, json: bool) -> None:
    found = from_store(front_store(), Role.FRONT, members.STAFF.name, members.members)
    now = wall_clock()
    rows = [
        {
            "name": one.name,
            "roles": sorted(one.roles),
            "state": "disabled" if one.disabled_at else "locked" if one.locked_until > now else "active",
            "changed_at": iso(one.changed_at),
        }
        for one in found
    ]
    if json:
        typer.echo(as_json(rows))
        return
    columns = (tr("name"), tr("roles"), tr("state"), tr("changed at"))
    typer.echo(
        table(columns, [(row["name"], ", ".join(row["roles"]), row["state"], row["changed_at"]) for row in rows])
    )


def _changed(work: Callable[[Connection], T]) -> T:
    try:
        return in_store(front_store(), Role.FRONT, members.STAFF.name, work)
    except ValueError as error:
        raise BridgeError(str(error)) from error

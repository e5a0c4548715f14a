"""`bridgectl desk`: who may use the pages for staff, of the front or of the bridge. On its host."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from sqlalchemy import Connection

from bridgectl import audit, databases
from bridgectl.instants import iso
from bridgectl.language import tr
from bridgectl.output import Json, as_json, table
from bridgectl.settings import front_store
from bridgectl.sides import Config, Side
from bridgectl.stores import from_store, in_store
from protocol.desk import staff as members
from protocol.desk.staff import Credentials
from protocol.errors import BridgeError
from protocol.messages import Role
from protocol.runtime.clock import wall_clock
from protocol.runtime.settings import StoreSection

app = typer.Typer(no_args_is_help=True, help="Staff of the desks: passwords, second factors, roles.")

T = TypeVar("T")


class Act(StrEnum):
    """What is done about staff."""

    LIST = "list"
    ADD = "add"
    RESET = "reset"
    DISABLE = "disable"


@dataclass(frozen=True, slots=True)
class _Desk:
    """One of the two."""

    store: StoreSection
    role: Role
    roles: tuple[str, ...]


def _desk(side: Side, bridge_config: Path | None) -> _Desk:
    if side is Side.FRONT:
        return _Desk(front_store(), Role.FRONT, members.ROLES)
    return _Desk(databases.of(side, bridge_config).store, Role.BRIDGE, members.BRIDGE_ROLES)


@app.callback()
def _group() -> None:
    """Keep `staff` a command of its own while it is the only one."""


@app.command()
def staff(
    act: Annotated[Act, typer.Argument(help="list, add, reset (new password and second factor), or disable")],
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="who: a-z, 0-9, '.', '_' and '-'")] = "",
    role: Annotated[
        list[str],
        typer.Option(
            "--role",
            help="at the front issue, lookup or revoke; at the bridge edit, review, settle or approve; repeat for more",
        ),
    ] = [],  # noqa: B006
    side: Annotated[Side, typer.Option("--side", help="whose desk: front or bridge", show_default=True)] = Side.FRONT,
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """Who may use the desk. A password and the secret of the second factor are printed this once.

    A password alone opens nothing, and the database holds neither: who lost one of them gets both anew.
    """
    desk = _desk(side, bridge_config)
    if act is Act.LIST:
        _list(desk, json=json)
        return
    if not name:
        raise typer.BadParameter(tr("say who"), param_hint="NAME")
    if act is Act.DISABLE:
        _changed(desk, lambda connection: members.disable(connection, name, wall_clock()))
        audit.record("desk-staff-disable", member=name, desk=side.value)
        typer.echo(tr("{name} is let in no more, and is logged out", name=name))
        return
    made: Credentials
    if act is Act.ADD:
        made = _changed(desk, lambda connection: members.add(connection, name, role, wall_clock(), desk.roles))
        audit.record("desk-staff-add", member=name, roles=sorted(role), desk=side.value)
    else:
        made = _changed(desk, lambda connection: members.reset(connection, name, role, wall_clock(), desk.roles))
        audit.record("desk-staff-reset", member=name, roles=sorted(role), desk=side.value)
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


def _list(desk: _Desk, *, json: bool) -> None:
    found = from_store(desk.store, desk.role, members.STAFF.name, members.members)
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


def _changed(desk: _Desk, work: Callable[[Connection], T]) -> T:
    try:
        return in_store(desk.store, desk.role, members.STAFF.name, work)
    except ValueError as error:
        raise BridgeError(str(error)) from error

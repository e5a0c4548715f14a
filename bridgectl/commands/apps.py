"""`bridgectl apps`: which applications may use the front, and what each may do."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer
from sqlalchemy import Connection

from bridgectl import audit
from bridgectl.instants import iso, span_s
from bridgectl.language import tr
from bridgectl.output import Json, as_json, table
from bridgectl.settings import front_store
from bridgectl.stores import from_store, in_store
from protocol.errors import BridgeError
from protocol.messages import Role
from protocol.operations import CATALOGUE
from protocol.runtime import applications
from protocol.runtime.applications import Application
from protocol.runtime.clock import wall_clock

app = typer.Typer(no_args_is_help=True, help="Applications: keys, scopes, networks and rates.")

T = TypeVar("T")


def _in_store(work: Callable[[Connection], T]) -> T:
    return in_store(front_store(), Role.FRONT, applications.APPLICATIONS.name, work)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="the application, e.g. wechat")],
    scope: Annotated[list[str], typer.Option(help="an operation's scope; `*` grants all; repeat for more")],
    network: Annotated[list[str], typer.Option(help="only from this network; repeat for more")] = [],  # noqa: B006
    rate: Annotated[float, typer.Option(help="requests a second; 0 sets no limit")] = 0.0,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="answered from examples; nothing is carried out")] = False,
) -> None:
    """Register an application. Its key is printed this once and stored nowhere."""
    known = {"*"}.union(*(operation.scopes for operation in CATALOGUE.values()))
    for wanted in scope:
        if wanted not in known:
            raise BridgeError(
                tr("there is no scope {wanted}; there are: {known}", wanted=wanted, known=", ".join(sorted(known)))
            )
    try:
        key = _in_store(
            lambda connection: applications.add(
                connection, name, scope, networks=network, rate=rate, sandbox=sandbox, now_ms=wall_clock()
            )
        )
    except ValueError as error:
        raise BridgeError(str(error)) from error
    audit.record("apps-add", application=name, scopes=sorted(scope), networks=network, sandbox=sandbox)
    what = tr("sandbox key") if sandbox else tr("key")
    typer.echo(tr("Give this {what} to the application; it is not shown again:", what=what), err=True)
    typer.echo(key)


@app.command("list")
def list_(json: Json = False) -> None:
    """List applications, revoked ones too. Keys are not known here."""
    found = from_store(front_store(), Role.FRONT, applications.APPLICATIONS.name, applications.all_applications)
    if json:
        rows = [
            {
                "name": one.name,
                "scopes": sorted(one.scopes),
                "networks": [str(network) for network in one.networks],
                "rate": one.rate,
                "sandbox": one.sandbox,
                "created_at": iso(one.created_at),
                "old_key_until": _old_key(one),
                "revoked_at": iso(one.revoked_at) if one.revoked_at else None,
            }
            for one in found
        ]
        typer.echo(as_json(rows))
        return
    typer.echo(
        table(
            [
                tr("name"),
                tr("scopes"),
                tr("networks"),
                tr("rate"),
                tr("sandbox"),
                tr("created"),
                tr("old-until"),
                tr("revoked"),
            ],
            [
                (
                    one.name,
                    ",".join(sorted(one.scopes)),
                    ",".join(str(network) for network in one.networks) or tr("any"),
                    f"{one.rate:g}/s" if one.rate else "-",
                    tr("yes") if one.sandbox else "-",
                    iso(one.created_at),
                    _old_key(one) or "-",
                    iso(one.revoked_at) if one.revoked_at else "-",
                )
                for one in found
            ],
        )
    )


@app.command()
def rotate(
    name: Annotated[str, typer.Argument(help="the application")],
    overlap: Annotated[str, typer.Option("--overlap", metavar="SPAN", help="how long the old key stays valid")] = "7d",
    end: Annotated[bool, typer.Option("--end", help="the application has changed over: end its old key now")] = False,
) -> None:
    """Give an application a new key, printed this once; its old one stays valid for a while.

    `apps list` shows until when. What the application may do, and what it has accepted, stays the same.
    """
    if end:
        if not _in_store(lambda connection: applications.end_former(connection, name, wall_clock())):
            raise BridgeError(tr("{name} has no old key that is valid", name=name))
        audit.record("apps-end-former-key", application=name)
        typer.echo(tr("{name}'s old key is not valid any more", name=name))
        return
    try:
        overlap_ms = span_s(overlap) * 1000
        key = _in_store(
            lambda connection: applications.rotate(connection, name, overlap_ms=overlap_ms, now_ms=wall_clock())
        )
    except ValueError as error:
        raise BridgeError(str(error)) from error
    audit.record("apps-rotate", application=name, overlap=overlap)
    until = iso(wall_clock() + overlap_ms)
    typer.echo(
        tr("Give this key to the application; it is not shown again. The old is valid until {until}:", until=until),
        err=True,
    )
    typer.echo(key)
    typer.echo(tr("When the application uses it: bridgectl apps rotate {name} --end", name=name), err=True)


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="the application")]) -> None:
    """Take an application's keys away; fronts stop taking it within a second or two."""
    if not _in_store(lambda connection: applications.revoke(connection, name, wall_clock())):
        raise BridgeError(tr("there is no active application {name}", name=name))
    audit.record("apps-revoke", application=name)
    typer.echo(tr("{name} is revoked", name=name))


def _old_key(one: Application) -> str | None:
    """Until when its key of before is valid."""
    if one.former_until is None or one.former_until <= wall_clock() or one.revoked_at:
        return None
    return iso(one.former_until)

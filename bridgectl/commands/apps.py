"""`bridgectl apps`: which applications may use the front, and what each may do."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import typer
from sqlalchemy import Connection

from bridgectl import audit
from bridgectl.commands.app_credentials import certificate, signature
from bridgectl.instants import iso, span_s
from bridgectl.language import tr
from bridgectl.output import Json, as_json, table
from bridgectl.settings import front_store
from bridgectl.stores import from_store, in_store
from protocol.errors import BridgeError
from protocol.messages import Role
from protocol.operations import OFFERED
from protocol.runtime import applications
from protocol.runtime.applications import ALL_OPERATIONS, Application, Limits
from protocol.runtime.clock import wall_clock

app = typer.Typer(no_args_is_help=True, help="Applications: keys, scopes, networks, rates and quotas.")
app.add_typer(signature, name="signature")
app.add_typer(certificate, name="certificate")

T = TypeVar("T")

OperationRate = Annotated[
    list[str],
    typer.Option("--operation-rate", metavar="OPERATION=N", help="requests a second of one operation; repeat for more"),
]
Quota = Annotated[
    list[str],
    typer.Option(
        "--quota", metavar="OPERATION=N", help="requests a day of one operation, `*`: of all; repeat for more"
    ),
]


def _in_store(work: Callable[[Connection], T]) -> T:
    return in_store(front_store(), Role.FRONT, applications.APPLICATIONS.name, work)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="the application, e.g. wechat")],
    scope: Annotated[list[str], typer.Option(help="an operation's scope; `*` grants all; repeat for more")],
    network: Annotated[list[str], typer.Option(help="only from this network; repeat for more")] = [],  # noqa: B006
    rate: Annotated[float, typer.Option(help="requests a second; 0 sets no limit")] = 0.0,
    operation_rate: OperationRate = [],  # noqa: B006
    quota: Quota = [],  # noqa: B006
    accounts: Annotated[int, typer.Option(help="different accounts an hour; 0 sets no limit")] = 0,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="answered from examples; nothing is carried out")] = False,
) -> None:
    """Register an application. Its key is printed this once and stored nowhere."""
    known = {"*"}.union(*(operation.scopes for operation in OFFERED.values()))
    for wanted in scope:
        if wanted not in known:
            raise BridgeError(
                tr("there is no scope {wanted}; there are: {known}", wanted=wanted, known=", ".join(sorted(known)))
            )
    limits = _limits(operation_rate, quota, accounts)
    try:
        key = _in_store(
            lambda connection: applications.add(
                connection,
                name,
                scope,
                networks=network,
                rate=rate,
                sandbox=sandbox,
                limits=limits,
                now_ms=wall_clock(),
            )
        )
    except ValueError as error:
        raise BridgeError(str(error)) from error
    audit.record("apps-add", application=name, scopes=sorted(scope), networks=network, sandbox=sandbox)
    what = tr("sandbox key") if sandbox else tr("key")
    typer.echo(tr("Give this {what} to the application; it is not shown again:", what=what), err=True)
    typer.echo(key)


@app.command("limit")
def limit(
    name: Annotated[str, typer.Argument(help="the application")],
    rate: Annotated[float | None, typer.Option(help="requests a second; 0 sets no limit")] = None,
    operation_rate: OperationRate = [],  # noqa: B006
    quota: Quota = [],  # noqa: B006
    accounts: Annotated[int | None, typer.Option(help="different accounts an hour; 0 sets no limit")] = None,
) -> None:
    """Change what an application may ask for; its key stays. 0 takes a limit away; what is not named stays."""
    if rate is None and accounts is None and not operation_rate and not quota:
        raise BridgeError(tr("say what to change: --rate, --operation-rate, --quota or --accounts"))
    if accounts is not None and accounts < 0:
        raise BridgeError(tr("--accounts: a number of different accounts an hour, 0 or more"))
    changes = _limits(operation_rate, quota, -1 if accounts is None else accounts)
    try:
        now = _in_store(lambda connection: applications.set_limits(connection, name, rate, changes))
    except ValueError as error:
        raise BridgeError(str(error)) from error
    audit.record("apps-limit", application=name, rate=now.rate, limits=_said(now))
    others = _words(now) or tr("no other limits")
    typer.echo(f"{name}: {_rate(now)}, {others}")


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
                "limits": _said(one),
                "requires": sorted(one.requires),
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
                tr("limits"),
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
                    _rate(one),
                    _words(one) or "-",
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
    """Take an application's keys and certificates away; fronts stop taking it within a second or two."""
    if not _in_store(lambda connection: applications.revoke(connection, name, wall_clock())):
        raise BridgeError(tr("there is no active application {name}", name=name))
    audit.record("apps-revoke", application=name)
    typer.echo(tr("{name} is revoked", name=name))


def _limits(rates: Sequence[str], quotas: Sequence[str], accounts: int) -> Limits:
    """Of the options' words. Raises BridgeError."""
    by_quota: dict[str, int] = {}
    for name, number in _pairs("--quota", quotas, {*OFFERED, ALL_OPERATIONS}).items():
        if not number.is_integer():
            raise BridgeError(tr("{option}: {word} is no number, 0 or more", option="--quota", word=str(number)))
        by_quota[name] = int(number)
    return Limits(_pairs("--operation-rate", rates, OFFERED.keys()), by_quota, accounts)


def _pairs(option: str, words: Sequence[str], known: Set[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for word in words:
        name, _, number = word.partition("=")
        if name not in known:
            raise BridgeError(tr("{option}: there is no operation {name}", option=option, name=name))
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = -1.0
        if not 0 <= found[name] < 2**53:  # not a number neither
            raise BridgeError(tr("{option}: {word} is no number, 0 or more", option=option, word=number))
    return found


def _said(one: Application) -> Mapping[str, Any]:
    return asdict(one.limits) if one.limits is not None else {}


def _rate(one: Application) -> str:
    return f"{one.rate:g}/s" if one.rate else "-"


def _words(one: Application) -> str:
    """`bill-query 5/s, bill-query 10000/d, * 50000/d, 500 accounts/h`"""
    if one.limits is None:
        return ""
    parts = [f"{name} {rate:g}/s" for name, rate in sorted(one.limits.rates.items())]
    parts += [f"{name} {quota}/d" for name, quota in sorted(one.limits.quotas.items())]
    if one.limits.accounts:
        parts.append(tr("{count} accounts/h", count=one.limits.accounts))
    return ", ".join(parts)


def _old_key(one: Application) -> str | None:
    """Until when its key of before is valid."""
    if one.former_until is None or one.former_until <= wall_clock() or one.revoked_at:
        return None
    return iso(one.former_until)

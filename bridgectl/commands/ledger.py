"""`bridgectl ledger`: the books of money, read from the bridge's database on its host, whether it runs or not."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection, MetaData, inspect
from sqlalchemy.exc import SQLAlchemyError

from bridgectl import daemons, databases
from bridgectl.instants import iso
from bridgectl.language import tr
from bridgectl.output import Json, as_json, table
from bridgectl.sides import Config
from bridgectl.stores import reader
from bridgectl.vocabulary import passed_on
from protocol.errors import NotAsked
from protocol.messages import Role
from protocol.money import text
from protocol.runtime.books import Books, NotClosed, balances, books_tables, journals_of
from protocol.runtime.books import verify as verified

app = typer.Typer(no_args_is_help=True, help="The books of money: balances, journals, and whether they are whole.")

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@app.command()
def balance(
    account: Annotated[
        str,
        typer.Argument(
            metavar="[ACCOUNT]", help="one, or those of a kind: company: channel: order: promo: refund: transit:"
        ),
    ] = "",
    day: Annotated[
        str, typer.Option("--day", metavar="DAY", help="at the end of it [default: all that is booked]")
    ] = "",
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """Show what is on each account, in yuan; what is 0 is left out. All together the two columns are equal."""
    through = _day(day, "--day")
    with _books(bridge_config) as (connection, books):
        found = balances(connection, books, account, through)
    if json:
        typer.echo(as_json({"accounts": [{"account": name, "fen": fen} for name, fen in found.items()]}))
        return
    rows = [(name, *_sides(fen)) for name, fen in found.items()]
    debits = sum(fen for fen in found.values() if fen > 0)
    credits = sum(fen for fen in found.values() if fen < 0)
    rows.append((tr("together"), text(debits), text(-credits)))
    typer.echo(table((tr("account"), tr("debit"), tr("credit")), rows))


@app.command()
def journal(
    account: Annotated[str, typer.Option("--account", help="that move money on this one")] = "",
    ref: Annotated[str, typer.Option("--ref", help="about this order, transaction, statement or clearing sheet")] = "",
    kind: Annotated[
        str, typer.Option("--kind", help="of this kind: paid, written-off, refund-due, reversal, ...")
    ] = "",
    since: Annotated[str, typer.Option("--since", metavar="DAY", help="from this day on: 2026-11-29")] = "",
    until: Annotated[str, typer.Option("--until", metavar="DAY", help="to this day")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="the newest so many")] = 50,
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """Show journals with their entries, the newest last. A debit is positive in --json, a credit negative."""
    first, last = _day(since, "--since"), _day(until, "--until")
    with _books(bridge_config) as (connection, books):
        found = journals_of(
            connection, books, account=account, ref=ref, kind=kind, since=first, until=last, limit=limit
        )
    if json:
        typer.echo(
            as_json(
                [
                    {
                        "number": one.number, "day": one.day, "kind": one.kind, "ref": one.ref,
                        "event_key": one.event_key, "reverses": one.reverses, "booked_at": iso(one.booked_at),
                        "entries": [{"account": name, "fen": fen} for name, fen in one.entries],
                    }
                    for one in found
                ]
            )
        )  # fmt: skip
        return
    rows: list[tuple[object, ...]] = []
    for one in found:
        kind_ = one.kind if one.reverses is None else f"{one.kind} {one.reverses}"
        for at, (name, fen) in enumerate(one.entries):
            head = (one.number, one.day, kind_, one.ref) if at == 0 else ("", "", "", "")
            rows.append((*head, name, *_sides(fen)))
    typer.echo(
        table((tr("number"), tr("day"), tr("kind"), tr("about"), tr("account"), tr("debit"), tr("credit")), rows)
    )


@app.command()
def verify(
    after: Annotated[
        str, typer.Option("--after", metavar="DAY", help="only later days than this closed one [default: all]")
    ] = "",
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """Recompute the books from their entries, and say what is not as it was; exit code 0 whole, 2 broken, 3 cannot be
    read.

    Every journal sums to 0 and has all its entries; every closed day has the journals and balances it was closed with;
    what protects them is there. The digest that is printed stands in the audit log too (ledger-day-closed): that a
    history was written anew is found by it.

    --after reads less, and says less: that what is on later days follows from the digest and the balances of that one.
    """
    since = _day(after, "--after")
    with _books(bridge_config) as (connection, books):
        try:
            found = verified(connection, books, since)
        except NotClosed as error:
            raise typer.BadParameter(passed_on(str(error)), param_hint="--after") from None
    if json:
        typer.echo(
            as_json(
                {
                    "journals": found.journals, "entries": found.entries, "closed_days": found.days,
                    "digest": found.head, "after": str(since) if since else None,
                    "broken": [{"where": one.where, "reason": one.reason} for one in found.broken],
                }
            )
        )  # fmt: skip
    else:
        for one in found.broken:
            typer.echo(tr("BROKEN: {where}: {reason}", where=passed_on(one.where), reason=passed_on(one.reason)))
        if not found.broken:
            typer.echo(
                tr(
                    "whole: {journals} journals, {entries} entries, {days} closed days; digest {digest}",
                    journals=found.journals,
                    entries=found.entries,
                    days=found.days,
                    digest=found.head,
                )
            )
            if since is not None:
                typer.echo(tr("what is on {day} and before was not read", day=since))
    if found.broken:
        raise typer.Exit(2)


def _sides(fen: int) -> tuple[str, str]:
    """Debit and credit."""
    return (text(fen), "") if fen > 0 else ("", text(-fen))


def _day(value: str, option: str) -> date | None:
    if not value:
        return None
    try:
        if _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise typer.BadParameter(tr("{value!r} is not a day such as 2026-11-29", value=value), param_hint=option)


@contextmanager
def _books(bridge_config: Path | None) -> Iterator[tuple[Connection, Books]]:
    _, path = daemons.one(Role.BRIDGE, bridge_config)
    store = databases.store_of(path)
    if store.file is not None and not store.file.exists():
        raise NotAsked(tr("the {role}'s database is not there: {file}", role=Role.BRIDGE, file=store.file))
    books, database = books_tables(MetaData()), reader(store)
    try:
        with database.connect() as connection:
            if not inspect(connection).has_table(books.journals.name):
                raise NotAsked(
                    tr("the {role}'s database is of an older release: it has no ledger of money yet", role=Role.BRIDGE)
                )
            yield connection, books
    except SQLAlchemyError as error:
        raise NotAsked(
            tr("the {role}'s database cannot be read: {cause}", role=Role.BRIDGE, cause=error.__cause__ or error)
        ) from error
    finally:
        database.dispose()

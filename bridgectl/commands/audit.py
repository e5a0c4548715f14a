"""`bridgectl audit`: the audit logs of this host's daemons, read from their databases, whether they run or not."""

import json as jsonlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection, MetaData, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from bridgectl import daemons, databases
from bridgectl.instants import iso
from bridgectl.language import tr, trn
from bridgectl.output import Json, as_json, table
from bridgectl.sides import Config
from bridgectl.stores import reader
from bridgectl.vocabulary import passed_on
from protocol.audit import ACCEPTED, ACT, GENESIS, PRUNED, WITNESSED, Broken, Head, Stored, Verification, canonical
from protocol.errors import BridgeError, NotAsked
from protocol.messages import Role
from protocol.runtime.audit import AuditTables, anchor_of, audit_tables, chains_of, head_of, records_of

app = typer.Typer(no_args_is_help=True, help="What administrators did and which commands were accepted, chained.")

_PAGE = 1000
At = Annotated[str | None, typer.Option("--side", help="front or bridge [default: all that are configured here]")]
Chain = Annotated[str, typer.Option("--chain", help="of this daemon alone, e.g. front-1")]


class Event(StrEnum):
    """What a record is of."""

    ACT = ACT
    ACCEPTED = ACCEPTED
    WITNESSED = WITNESSED
    PRUNED = PRUNED


@app.command()
def verify(
    heads: Annotated[
        list[str] | None,
        typer.Option("--head", metavar="CHAIN:SEQUENCE:HASH", help="a head that was kept elsewhere; repeat for more"),
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="an export, instead of the databases")] = None,
    json: Json = False,
    side: At = None,
    bridge_config: Config = None,
) -> None:
    """Verify the chains, and name the first record that is wrong; exit code 0 whole, 2 broken, 3 cannot be read.

    Found: a record that was changed, removed from the middle, put in or moved. That the newest were cut off, or that
    all was computed anew, is found with --head alone: `bridgectl audit head` prints one to keep; the daemon's journal
    (audit-head), the syslog server and the front's log (of its bridges) have others. Heads in the other chains that are
    read here are used by themselves.
    """
    known = [Head.parsed(one) for one in heads or []]
    results: list[dict[str, Any]] = []
    if file is not None:
        results = [_verified(chain, *_of_file(file, chain), known) for chain in _chains_of_file(file)]
    else:
        for _, connection, tables in _databases(side, bridge_config):
            known += _witnessed(connection, tables)
        for role, connection, tables in _databases(side, bridge_config):
            results += [
                _verified(chain, anchor_of(connection, tables, chain), _all(connection, tables, chain), known)
                | {"side": role.value}
                for chain in chains_of(connection, tables)
            ]
    unknown = {head.chain for head in known} - {result["chain"] for result in results}
    if json:
        typer.echo(as_json({"chains": results, "heads_of_other_chains": sorted(unknown)}))
    else:
        for result in results:
            typer.echo(_sentence(result))
        if not results:
            typer.echo(tr("there is no record yet"))
        if unknown:
            typer.echo(tr("heads of chains that are not here: {unknown}", unknown=", ".join(sorted(unknown))))
    if any(result["broken"] for result in results):
        raise typer.Exit(2)


@app.command()
def head(json: Json = False, side: At = None, bridge_config: Config = None) -> None:
    """Print the head of each chain: keep it where nobody of this host can change it, for `verify --head`."""
    found = [
        head_of(connection, tables, chain)
        for _, connection, tables in _databases(side, bridge_config)
        for chain in chains_of(connection, tables)
    ]
    typer.echo(as_json([str(one) for one in found]) if json else "\n".join(str(one) for one in found))


@app.command()
def show(
    event: Annotated[
        Event | None, typer.Option(metavar="EVENT", help="act, accepted, witnessed or pruned alone")
    ] = None,
    request: Annotated[str, typer.Option(help="that name this request")] = "",
    chain: Chain = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="the newest so many")] = 50,
    json: Json = False,
    side: At = None,
    bridge_config: Config = None,
) -> None:
    """Show records, the newest last: what administrators did, which commands were accepted."""
    chosen: list[Stored] = []
    for one in _records(side, bridge_config, chain):
        if (not event or one.event == event) and request in one.text:
            chosen.append(one)
            if len(chosen) > 2 * limit:
                chosen = _newest(chosen, limit)
    chosen = _newest(chosen, limit)
    if json:
        typer.echo(as_json([one.as_dict() for one in chosen]))
        return
    rows = [
        (iso(one.at), one.chain, one.sequence, one.event, canonical(jsonlib.loads(one.text)["details"]))
        for one in chosen
    ]  # fmt: skip
    typer.echo(table((tr("at"), tr("chain"), tr("number"), tr("event"), tr("details")), rows))


@app.command()
def export(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="a file [default: standard output]")] = None,
    chain: Chain = "",
    side: At = None,
    bridge_config: Config = None,
) -> None:
    """Write all records as JSON lines, each with its hash; `verify --file` verifies them anywhere."""
    with _opened(output) as out:
        for one in _records(side, bridge_config, chain):
            out.write(canonical(one.as_dict()) + "\n")


def _verified(chain: str, anchor: Head, records: Iterator[Stored], known: list[Head]) -> dict[str, Any]:
    going = Verification(anchor, known)
    broken: Broken | None = None
    for record in records:
        broken = going.next(record)
        if broken:
            break
    broken = broken or going.end()
    return {
        "chain": chain, "records": going.count, "since": iso(going.first) if going.first else None,
        "head": str(going.head), "pruned_through": anchor.sequence,
        "broken": {"sequence": broken.sequence, "reason": broken.reason} if broken else None,
        "heads_checked": sum(one.chain == chain for one in known),
    }  # fmt: skip


def _sentence(result: dict[str, Any]) -> str:
    if result["broken"]:
        return tr(
            "{chain}: BROKEN at record {number}: it {reason}",
            chain=result["chain"],
            number=result["broken"]["sequence"],
            reason=passed_on(result["broken"]["reason"]),
        )
    checked = result["heads_checked"]
    held = (
        trn("held against {count} head kept elsewhere", "held against {count} heads kept elsewhere", checked)
        if checked
        else tr("no head was given: whether the newest records were cut off cannot be told")
    )
    since = tr(", since {since}", since=result["since"]) if result["since"] else ""
    return tr(
        "{chain}: whole: {records} records{since}; head {head}; {held}",
        chain=result["chain"],
        records=result["records"],
        since=since,
        head=result["head"],
        held=held,
    )


def _witnessed(connection: Connection, tables: AuditTables) -> list[Head]:
    """What these chains know of others."""
    known = []
    statement = select(tables.records.c.record).where(tables.records.c.event == WITNESSED)
    for text in connection.execute(statement).scalars():
        try:
            said = jsonlib.loads(text)["details"]
            known.append(Head(said["chain"], said["sequence"], said["hash"]))
        except (ValueError, KeyError, TypeError):
            continue  # the verification says what is wrong with it
    return known


def _records(side: str | None, bridge_config: Path | None, chain: str) -> Iterator[Stored]:
    for _, connection, tables in _databases(side, bridge_config):
        for name in chains_of(connection, tables):
            if chain in ("", name):
                yield from _all(connection, tables, name)


def _all(connection: Connection, tables: AuditTables, chain: str) -> Iterator[Stored]:
    """Page by page, each a read of its own: the daemon's writes wait for none."""
    after = -1
    while page := records_of(connection, tables, chain, after, _PAGE):
        yield from page
        after = page[-1].sequence


def _databases(side: str | None, bridge_config: Path | None) -> Iterator[tuple[Role, Connection, AuditTables]]:
    if side not in (None, Role.FRONT.value, Role.BRIDGE.value):
        raise typer.BadParameter(tr("is front or bridge"), param_hint="--side")
    found = [(role, path) for role, path in daemons.configured(bridge_config) if side in (None, role.value)]
    if not found:
        raise NotAsked(tr("no daemon is configured on this host"))
    for role, path in found:
        store = databases.store_of(path)
        if store.file is not None and not store.file.exists():
            raise NotAsked(tr("the {role}'s database is not there: {file}", role=role, file=store.file))
        database = reader(store)
        tables = audit_tables(MetaData())
        try:
            with database.connect() as connection:
                if not inspect(connection).has_table(tables.records.name):
                    raise NotAsked(
                        tr("the {role}'s database is of an older release: it has no audit log yet", role=role)
                    )
                yield role, connection, tables
        except SQLAlchemyError as error:
            raise NotAsked(
                tr("the {role}'s database cannot be read: {cause}", role=role, cause=error.__cause__ or error)
            ) from error
        finally:
            database.dispose()


def _of_file(file: Path, chain: str) -> tuple[Head, Iterator[Stored]]:
    """The anchor, and the records of one chain, of an export."""
    first = next(_lines(file, chain), None)
    if first is None or first.sequence <= 1:
        return Head(chain), _lines(file, chain)
    previous = str(jsonlib.loads(first.text).get("previous", GENESIS))
    return Head(chain, first.sequence - 1, previous), _lines(file, chain)


def _chains_of_file(file: Path) -> list[str]:
    return sorted({one.chain for one in _lines(file, "")})


def _lines(file: Path, chain: str) -> Iterator[Stored]:
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    said = jsonlib.loads(line)
                    hash = said.pop("hash")
                    one = Stored(said["chain"], said["sequence"], said["at"], said["event"], canonical(said), hash)
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise BridgeError(
                        tr("{file}:{number}: is no record of an audit log", file=file, number=number)
                    ) from None
                if chain in ("", one.chain):
                    yield one
    except (OSError, UnicodeDecodeError) as error:
        raise NotAsked(f"{file}: {error}") from None


@contextmanager
def _opened(output: Path | None) -> Iterator[Any]:
    if output is None:
        yield sys.stdout
        return
    try:
        with output.open("x", encoding="utf-8") as out:
            yield out
    except OSError as error:
        raise BridgeError(f"{output}: {error.strerror}") from None


def _newest(records: list[Stored], limit: int) -> list[Stored]:
    return sorted(records, key=lambda one: (one.at, one.chain, one.sequence))[-limit:]

"""`bridgectl withholding`: batches that banks are asked to charge, their lines, and what people decide of them."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from bridgectl import daemons
from bridgectl.instants import iso, shown
from bridgectl.language import tr, trn
from bridgectl.operators import sudo_user
from bridgectl.output import Json, as_json, table
from bridgectl.sides import Config
from protocol.errors import BridgeError
from protocol.messages import Role
from protocol.money import text
from protocol.spreadsheets import as_csv, safe

app = typer.Typer(
    no_args_is_help=True,
    help="Batches that banks are asked to charge: look at them, send one again or before its day, settle what is held.",
)

_PAGE = 1000
_COLUMNS = (
    "id", "batch", "state", "account", "bill", "month", "amount", "penalty", "debited", "paid_on", "bank_number",
    "payment", "code", "reason", "hold", "tries", "retry_on", "retried_as", "updated_at",
)  # fmt: skip
_HELD = ("amount-differs", "unknown-line", "not-written-off")
_MONEY = frozenset({"amount", "penalty", "debited"})
Batch = Annotated[str, typer.Argument(metavar="BATCH", help="as the list has it: ORG-UNIT-20261125")]


@app.command()
def batches(
    month: Annotated[str, typer.Option("--month", metavar="MONTH", help="2026-11 [default: this one]")] = "",
    name: Annotated[str, typer.Option("--name", help="of this arrangement alone")] = "",
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """List a month's batches, the oldest first.

    Exit codes: 0 nothing of them is to be looked at, 1 one cannot be sealed, is overdue or has lines that are held,
    3 the daemon could not be asked.
    """
    rows = _tell(bridge_config, "withholding-batches", month=month, name=name)
    if json:
        typer.echo(as_json(rows))
    elif not rows:
        typer.echo(tr("none"))
    else:
        columns = (
            tr("batch"), tr("day"), tr("bank"), tr("state"), tr("lines"), tr("asked"), tr("charged"), tr("written off"),
            tr("held"),
        )  # fmt: skip
        typer.echo(table(columns, [_batch(one) for one in rows]))
    raise typer.Exit(any(one["findings"] or one["state"] == "overdue" or _held(one) for one in rows))


@app.command()
def show(batch: Batch, json: Json = False, bridge_config: Config = None) -> None:
    """Show one batch: its file, its lines by state, why it cannot be sealed, and the answers that came."""
    told = _tell(bridge_config, "withholding-batch", id=batch)
    if json:
        typer.echo(as_json(told))
        return
    one = told["batch"]
    times = [
        (name, shown(one[name]) if one[name] else "-")
        for name in ("created_at", "sealed_at", "sent_at", "answered_at", "closed_at")
    ]
    fields = [(name, str(one[name] or "-")) for name in ("state", "day", "bank", "file_name", "size", "sha256")]
    typer.echo(table((tr("field"), tr("value")), [*fields, (tr("total"), text(one["total"])), *times]))
    if one["states"]:
        rows = [
            (state["state"], state["lines"], text(state["asked"]), text(state["charged"])) for state in one["states"]
        ]
        typer.echo("\n" + table((tr("lines"), tr("count"), tr("asked"), tr("charged")), rows))
    for found in one["findings"]:
        typer.echo(
            tr("cannot be sealed: {line}, {column}: {what}", **{k: found[k] for k in ("line", "column", "what")})
        )
    for answer in told["answers"]:
        words = tr("answer {name}: {state}", name=answer["name"], state=answer["code"] or answer["state"])
        typer.echo(f"\n{words}, {shown(answer['received_at'])}")
        for found in answer["findings"]:
            typer.echo(f"  {_finding(found)}")


@app.command()
def lines(
    batch: Annotated[str, typer.Option("--batch", help="of this one alone")] = "",
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="waiting, requested, charged, refused, unanswered, amount-differs, ..."),
    ] = None,
    after: Annotated[str, typer.Option("--after", metavar="LINE", help="that follow this one")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=_PAGE)] = 100,
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """List lines by their number. Without --batch and --state: those that a person has to look at."""
    wanted = tuple(state or (() if batch else (*_HELD, "unanswered")))
    rows = _tell(bridge_config, "withholding-lines", batch=batch, states=wanted, after=after, limit=limit)
    if json:
        typer.echo(as_json(rows))
    elif not rows:
        typer.echo(tr("none"))
    else:
        columns = (
            tr("line"), tr("state"), tr("account"), tr("bill"), tr("asked"), tr("charged"), tr("why"), tr("updated")
        )  # fmt: skip
        typer.echo(table(columns, [_line(one) for one in rows]))


@app.command()
def resend(batch: Batch, bridge_config: Config = None) -> None:
    """Hand a batch's file over once more: the same bytes as the first time."""
    told = _tell(bridge_config, "withholding-resend", id=batch, sudo_user=sudo_user())
    typer.echo(tr("{batch} is sent again: bridgectl files show {file}", batch=batch, file=told["file"]))


@app.command()
def seal(
    name: Annotated[str, typer.Argument(metavar="NAME", help="of the arrangement, as the configuration has it")],
    note: Annotated[str, typer.Option("--note", help="why; it is kept in the audit log")] = "",
    bridge_config: Config = None,
) -> None:
    """Send an extra batch: what waits in an arrangement is sealed and sent today, outside its days. There is one batch
    a day.
    """
    told = _tell(bridge_config, "withholding-seal", name=name, note=note, sudo_user=sudo_user())
    values = {"batch": told["batch"], "at": told["at"]}
    if told["at"]:
        said = trn(
            "{batch}: {count} line is sealed and sent at {at}", "{batch}: {count} lines are sealed and sent at {at}",
            told["lines"], **values,
        )  # fmt: skip
    else:
        said = trn(
            "{batch}: {count} line is being sealed and sent", "{batch}: {count} lines are being sealed and sent",
            told["lines"], **values,
        )  # fmt: skip
    typer.echo(f"{said}: bridgectl withholding show {told['batch']}")


@app.command()
def release(
    line: Annotated[str, typer.Argument(metavar="LINE", help="as the list has it")],
    note: Annotated[str, typer.Option("--note", help="why; it is kept")],
    owed: Annotated[bool, typer.Option("--owed", help="what was charged is owed to the payer: booked so")] = False,
    bridge_config: Config = None,
) -> None:
    """Take a waiting line out of its batch, or settle one that is held, unanswered or overdue: its bill is free
    again. Above 1,000 yuan two people say so.
    """
    told = _tell(bridge_config, "withholding-release", id=line, note=note, owed=owed, sudo_user=sudo_user())
    if told["state"] in ("released", "withdrawn"):
        typer.echo(tr("{line} is {state}", line=line, state=told["state"]))
    else:
        typer.echo(tr("{line}: a second person has to say so too", line=line))


@app.command()
def export(
    batch: Batch,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="CSV, UTF-8 with a byte order mark")],
    file: Annotated[bool, typer.Option("--file", help="the file that the bank gets, as it is")] = False,
    bridge_config: Config = None,
) -> None:
    """Write a batch's lines as a table for a spreadsheet, text that one would take for a formula with an apostrophe in
    front; or its file.
    """
    if file:
        content = _content(bridge_config, batch)
        out.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        typer.echo(tr("{bytes} bytes in {file}, sha256 {digest}", bytes=len(content), file=out, digest=digest))
        return
    rows = list(_all(bridge_config, batch))
    out.write_bytes(exported(rows))
    typer.echo(tr("{count} rows in {file}", count=len(rows), file=out))


def exported(rows: list[dict[str, Any]]) -> bytes:
    """Lines as CSV; amounts in yuan."""
    return as_csv(_COLUMNS, ([_cell(one, name) for name in _COLUMNS] for one in rows))


def _cell(one: dict[str, Any], name: str) -> str:
    value = one[name]
    if name in _MONEY:
        return text(value)
    if name == "updated_at":
        return iso(value)
    return safe("" if value is None else str(value))


def _content(bridge_config: Path | None, batch: str) -> bytes:
    parts: list[bytes] = []
    size = 1
    while sum(map(len, parts)) < size:
        told = _tell(bridge_config, "withholding-part", id=batch, part=len(parts))
        size, part = told["size"], base64.b64decode(told["data"])
        if not part and size:
            raise BridgeError(tr("{batch}: its file came to an end too early", batch=batch))
        parts.append(part)
    return b"".join(parts)


def _all(bridge_config: Path | None, batch: str) -> Iterator[dict[str, Any]]:
    after = ""
    while True:
        rows = _tell(bridge_config, "withholding-lines", batch=batch, states=(), after=after, limit=_PAGE)
        yield from rows
        if len(rows) < _PAGE:
            return
        after = rows[-1]["id"]


def _tell(bridge_config: Path | None, question: str, **more: Any) -> Any:
    _, path = daemons.one(Role.BRIDGE, bridge_config)
    return daemons.tell(Role.BRIDGE, path, question, **more)


def _held(one: dict[str, Any]) -> int:
    return sum(state["lines"] for state in one["states"] if state["state"] in _HELD)


def _batch(one: dict[str, Any]) -> tuple[Any, ...]:
    by = {state["state"]: state for state in one["states"]}
    charged = sum(state["charged"] for state in one["states"])
    return (
        one["id"], one["day"], one["bank"], one["state"], one["lines"], text(one["total"]), text(charged),
        by.get("written-off", {}).get("lines", 0), _held(one),
    )  # fmt: skip


def _line(one: dict[str, Any]) -> tuple[Any, ...]:
    why = one["code"] or one["reason"] or "-"
    return (
        one["id"], one["state"], one["account"] or "-", one["bill"] or "-", text(one["amount"] + one["penalty"]),
        text(one["debited"]), why, shown(one["updated_at"]),
    )  # fmt: skip


def _finding(one: dict[str, Any]) -> str:
    place = " ".join(str(part) for part in (one["line"], one["column"]) if part)
    values = f" ({one['expected']} / {one['found']})" if one["expected"] or one["found"] else ""
    return f"{place}: {one['what']}{values}" if place else f"{one['what']}{values}"

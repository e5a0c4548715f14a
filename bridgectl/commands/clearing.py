"""`bridgectl clearing`: what companies are owed of a channel's day, on the bridge's host, and what people do about it.

Who asks is who signs: the user of this host, or who became root by sudo.
"""

import base64
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from bridgectl import daemons
from bridgectl.files import Content, write_all
from bridgectl.instants import shown
from bridgectl.language import noted, tr
from bridgectl.operators import sudo_user
from bridgectl.output import Json, as_json, table
from bridgectl.sides import Config
from protocol.errors import BridgeError
from protocol.messages import Role
from protocol.money import text
from protocol.times import CHINA

app = typer.Typer(no_args_is_help=True, help="Clearing sheets: show, sign, pay out, what arrived, adjust, export.")

SheetArgument = Annotated[str, typer.Argument(metavar="SHEET", help="as `list` shows it: power.wechat.20261124")]
Note = Annotated[str, typer.Option("--note", help="why; it stays on record")]
_DAYS = 31
_YUAN = re.compile(r"(-?)([0-9]{1,11})(?:\.([0-9]{1,2}))?")
_STATES = {
    "computed": noted("computed"), "approved": noted("approved"), "paid-out": noted("paid out"),
    "arrived": noted("arrived"), "short": noted("short"), "over": noted("over"), "carried": noted("carried"),
    "closed": noted("closed"),
}  # fmt: skip
_KINDS = {
    "rows": noted("of the day"), "late": noted("late"), "correction": noted("correction"),
    "adjustment": noted("adjustment"), "carried": noted("carried"),
}  # fmt: skip


def _ask(config: Path | None, question: str, **more: Any) -> Any:
    _, path = daemons.one(Role.BRIDGE, config)
    return daemons.tell(Role.BRIDGE, path, question, daemons.PATIENCE_S, sudo_user=sudo_user(), **more)


@app.command("list")
def list_(
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="from this day on [default: 31 days ago]")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="to this day [default: today]")] = "",
    company: Annotated[str, typer.Option("--company", help="of this company alone")] = "",
    channel: Annotated[str, typer.Option("--channel", help="of this channel alone")] = "",
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """Show sheets, the latest day first, in yuan; and adjustments that wait for a second person or for a sheet."""
    until = _day(last, "--to") if last else _today()
    since = _day(first, "--from") if first else until - timedelta(_DAYS)
    found = _ask(
        bridge_config, "clearing-list", first=since.isoformat(), last=until.isoformat(), company=company,
        channel=channel,
    )  # fmt: skip
    if json:
        typer.echo(as_json(found))
        return
    if not found["sheets"]:
        typer.echo(tr("there is none"))
    else:
        columns = (tr("sheet"), tr("state"), tr("rows"), tr("waiting"), tr("net"), tr("arrived"), tr("outstanding"))
        rows = [
            (one["id"], tr(_STATES[one["state"]]), one["count"], one["waiting"] or "-", text(one["net"]),
             text(one["arrived"]), text(one["outstanding"]))
            for one in found["sheets"]
        ]  # fmt: skip
        typer.echo(table(columns, rows))
    if found["adjustments"]:
        typer.echo("")
        typer.echo(_adjustments(found["adjustments"]))


@app.command()
def show(sheet: SheetArgument, json: Json = False, bridge_config: Config = None) -> None:
    """Show a sheet: its parts, what arrived, what was adjusted, and who did what."""
    found = _ask(bridge_config, "clearing-show", sheet=sheet)
    if json:
        typer.echo(as_json(found))
        return
    one = found["sheet"]
    net = tr("net {yuan} yuan", yuan=text(one["net"]))
    typer.echo(f"{one['id']}: {tr(_STATES[one['state']])}, {net}")
    if one["signed_by"]:
        typer.echo(tr("signed by {who}", who=", ".join(one["signed_by"])))
    if one["waiting"]:
        typer.echo(tr("{count} rows of its day wait: nobody knows yet what became of them", count=one["waiting"]))
    columns = (
        tr("kind"), tr("of"), tr("from"), tr("rows"), tr("paid"), tr("promotions"), tr("refunds"), tr("fee"),
        tr("adjusted"), tr("net"),
    )  # fmt: skip
    rows = [
        (tr(_KINDS[part["kind"]]), part["origin"], part["source"], part["count"],
         *(text(part[name]) for name in ("gross", "promotions", "refunds", "fee", "adjustments", "net")))
        for part in found["parts"]
    ]  # fmt: skip
    typer.echo(table(columns, rows))
    if found["arrivals"]:
        typer.echo("")
        arrivals = [(one["day"], one["row"], text(one["amount"]), one["who"]) for one in found["arrivals"]]
        typer.echo(table((tr("day"), tr("row of the bank"), tr("yuan"), tr("by")), arrivals))
    if found["adjustments"]:
        typer.echo("")
        typer.echo(_adjustments(found["adjustments"]))
    typer.echo("")
    acts = [(shown(at), act, who, words or "-") for at, act, who, words in found["acts"]]
    typer.echo(table((tr("at"), tr("act"), tr("by"), tr("remark")), acts))


@app.command()
def approve(sheet: SheetArgument, bridge_config: Config = None) -> None:
    """Sign a computed sheet. Above the bound it takes two people; what is negative is carried forward."""
    _told(_ask(bridge_config, "clearing-approve", sheet=sheet))


@app.command("paid-out")
def paid_out(sheet: SheetArgument, bridge_config: Config = None) -> None:
    """Say that an approved sheet's money is on its way to the company."""
    _told(_ask(bridge_config, "clearing-paid-out", sheet=sheet))


@app.command()
def arrived(
    sheet: SheetArgument,
    amount: Annotated[str, typer.Argument(metavar="YUAN", help="what came, such as 12910.00")],
    row: Annotated[str, typer.Option("--row", help="the bank's number of it: it counts once")],
    day: Annotated[str, typer.Option("--day", metavar="DAY", help="when it came [default: today]")] = "",
    bridge_config: Config = None,
) -> None:
    """Enter what arrived of a sheet that is paid out. Less than that: it is short; more: it is over."""
    of = _day(day, "--day") if day else _today()
    _told(_ask(bridge_config, "clearing-arrived", sheet=sheet, amount=_fen(amount), row=row, day=of.isoformat()))


@app.command()
def adjust(
    sheet: Annotated[str, typer.Argument(metavar="[SHEET]", help="a sheet that is short or over")] = "",
    against: Annotated[
        str,
        typer.Option("--against", help="of a sheet's difference: next-sheet, or channel, which bears it"),
    ] = "next-sheet",
    company: Annotated[str, typer.Option("--company", help="without a sheet: who is owed more or less")] = "",
    channel: Annotated[str, typer.Option("--channel", help="without a sheet: of which channel")] = "",
    amount: Annotated[str, typer.Option("--amount", metavar="YUAN", help="without a sheet; negative: less")] = "",
    note: Note = "",
    bridge_config: Config = None,
) -> None:
    """Say what a sheet's difference is, or that a company is owed more or less with its next sheet. It takes two
    people: the second says just the same.
    """
    if bool(sheet) == bool(company or channel or amount):
        raise BridgeError(tr("either a sheet, or --company, --channel and --amount"))
    if sheet:
        _told(_ask(bridge_config, "clearing-adjust", sheet=sheet, against=against, note=note))
        return
    found = _ask(
        bridge_config, "clearing-owe", company=company, channel=channel, amount=_fen(amount), note=note
    )  # fmt: skip
    typer.echo(_adjustments([found]))


@app.command()
def export(
    sheet: SheetArgument,
    out: Annotated[Path | None, typer.Option("--out", help="the file [default: as it is named]")] = None,
    bridge_config: Config = None,
) -> None:
    """Write a sheet's file, as the company is given it."""
    content, name, length = b"", "", 1
    while len(content) < length:
        part = _ask(bridge_config, "clearing-file", sheet=sheet, offset=len(content))
        name, length = part["name"], part["length"]
        content += base64.b64decode(part["data"])
    target = out or Path(name)
    write_all(target.parent, {target.name: Content(content)})
    typer.echo(tr("wrote {target}", target=target))


def _told(one: Any) -> None:
    typer.echo(f"{one['id']}: {tr(_STATES[one['state']])}")
    if one["state"] == "computed" and one["signed_by"]:
        typer.echo(tr("signed by {who}; a second person signs too", who=", ".join(one["signed_by"])))
    if one["outstanding"]:
        typer.echo(tr("{yuan} yuan have not arrived", yuan=text(one["outstanding"])))


def _adjustments(found: list[Any]) -> str:
    columns = (tr("adjustment"), tr("company"), tr("channel"), tr("yuan"), tr("against"), tr("said by"), tr("note"))
    rows = [
        (one["id"], one["company"], one["channel"], text(one["amount"]), one["against"], ", ".join(one["said_by"]),
         one["note"])
        for one in found
    ]  # fmt: skip
    return table(columns, rows)


def _fen(written: str) -> int:
    found = _YUAN.fullmatch(written.strip())
    if found is None:
        raise BridgeError(tr("{text!r} is no amount such as 12.30", text=written))
    sign, yuan, rest = found.groups()
    amount = int(yuan) * 100 + int((rest or "").ljust(2, "0"))
    return -amount if sign else amount


def _today() -> date:
    """By the time that banks go by."""
    return datetime.now(CHINA).date()


def _day(written: str, option: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        told = tr("{value!r} is not a day such as 2026-11-29", value=written)
        raise typer.BadParameter(told, param_hint=option) from None

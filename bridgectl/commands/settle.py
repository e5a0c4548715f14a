"""`bridgectl settle`: statements compared with the books: what came, what differs, and what people decide."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from bridgectl import daemons
from bridgectl.instants import iso, shown
from bridgectl.language import tr
from bridgectl.operators import sudo_user
from bridgectl.output import Json, as_json, table
from bridgectl.sides import Config
from protocol.messages import Role
from protocol.money import text
from protocol.spreadsheets import as_csv, safe

app = typer.Typer(
    no_args_is_help=True,
    help="Statements compared with the books: files, runs, what differs; resolve, approve, accept, run again.",
)

_ACTIONS = ("write-off", "reverse", "reverse-part", "redrive", "prove")
"""What changes anything, of what an item may take."""
_PAGE = 1000
_COLUMNS = (
    "id", "day", "source", "channel", "what", "action", "state", "transaction", "order", "kind", "refunds", "lines",
    "amount", "field", "platform", "books", "paid_at", "why", "code", "created_at", "updated_at",
)  # fmt: skip
_MONEY = ("amount", "cash", "refunds", "refunded", "payment", "fee", "penalty", "line", "written off")
"""Fields whose two values are fen."""
Id = Annotated[str, typer.Argument(metavar="ID", help="as the list has it")]
Note = Annotated[str, typer.Option("--note", help="why; it is kept")]
Day = Annotated[str, typer.Option("--day", metavar="DAY", help="the statement's: 2026-11-29")]


@app.command()
def files(day: Day = "", json: Json = False, bridge_config: Config = None) -> None:
    """List a day's statements, those that have not come too; without a day those that somebody has to look at.

    Exit codes: 0 none is refused, waits, or is late; 1 some are; 3 the daemon could not be asked.
    """
    rows = _tell(bridge_config, "settle-files", day=day or None)
    if json:
        typer.echo(as_json(rows))
    elif not rows:
        typer.echo(tr("none"))
    else:
        columns = (
            tr("id"), tr("day"), tr("kind"), tr("name"), tr("state"), tr("code"), tr("rows"), tr("paid"),
            tr("refunded"), tr("recorded"),
        )  # fmt: skip
        typer.echo(table(columns, [_file(one) for one in rows]))
    bad = {"late", "missing", "incomplete", "refused", "conflicting-resend"}
    raise typer.Exit(any(one["state"] in bad for one in rows))


@app.command()
def runs(
    day: Day = "",
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="waiting, matching, needs-approval, acting, done, superseded [default: all]"),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_PAGE)] = 50,
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """List the latest comparisons, the oldest of them first, with how much each would do.

    Exit codes: 0 all are at their end, 1 one is incomplete or waits for approval, 3 the daemon could not be asked.
    """
    rows = _tell(bridge_config, "settle-runs", day=day or None, states=tuple(state or ()), limit=limit)
    if json:
        typer.echo(as_json(rows))
    elif not rows:
        typer.echo(tr("none"))
    else:
        columns = (
            tr("id"), tr("day"), tr("kind"), tr("state"), tr("code"), tr("rows"), tr("written off"), tr("actions"),
            tr("yuan"), tr("recorded"),
        )  # fmt: skip
        typer.echo(table(columns, [_run(one) for one in rows]))
    raise typer.Exit(any(one["state"] == "needs-approval" or one["code"] for one in rows))


@app.command()
def items(
    run: Annotated[str, typer.Option("--run", help="of this run alone")] = "",
    kind: Annotated[list[str] | None, typer.Option("--class", help="platform-only, amount-differs, ...")] = None,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="open, acting, done, refused, held, resolved [default: all]")
    ] = None,
    day: Day = "",
    after: Annotated[str, typer.Option("--after", help="this item: the next page")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=_PAGE)] = 100,
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """List what differs, with both values; amounts are yuan, in --json fen. Exit codes: 0, or 1: some are held."""
    rows = _tell(
        bridge_config, "settle-items", run=run, classes=tuple(kind or ()), states=tuple(state or ()),
        day=day or None, after=after, limit=limit,
    )  # fmt: skip
    if json:
        typer.echo(as_json(rows))
    elif not rows:
        typer.echo(tr("none"))
    else:
        columns = (
            tr("id"), tr("day"), tr("class"), tr("state"), tr("payment"), tr("yuan"), tr("field"), tr("platform"),
            tr("books"), tr("why"),
        )  # fmt: skip
        typer.echo(table(columns, [_item(one) for one in rows]))
    raise typer.Exit(any(one["state"] == "held" for one in rows))


@app.command()
def show(id: Id, json: Json = False, bridge_config: Config = None) -> None:
    """Show a run, an item or a file: counts, both values, its commands, what people said, where it was refused."""
    one = _tell(bridge_config, "settle-show", id=id)
    if json:
        typer.echo(as_json(one))
        return
    for line in _shown(one):
        typer.echo(line)


@app.command()
def resolve(id: Id, note: Note, bridge_config: Config = None) -> None:
    """Say how a held item was dealt with. Above 1,000 yuan a second person says so too."""
    one = _tell(bridge_config, "settle-resolve", id=id, note=note, sudo_user=sudo_user())
    if one["state"] == "resolved":
        typer.echo(tr("{id} is resolved", id=id))
    else:
        typer.echo(tr("{id} stays held until a second person says so too", id=id))


@app.command()
def approve(
    id: Id,
    note: Note = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what it would do, and change nothing")] = False,
    bridge_config: Config = None,
) -> None:
    """Let a run past the brake write off and reverse. Above 1,000 yuan it takes a second person."""
    if dry_run:
        one = _tell(bridge_config, "settle-show", id=id)
        for line in _shown(one):
            typer.echo(line)
        rows = [row for row in _all(bridge_config, run=id) if row["action"] in _ACTIONS]
        columns = (tr("payment"), tr("class"), tr("action"), tr("state"), tr("yuan"))
        typer.echo(
            table(columns, [(_name(r), r["what"], r["action"], r["state"], text(r["amount"])) for r in rows[:_PAGE]])
        )
        return
    if not note.strip():
        raise typer.BadParameter(tr("say why"), param_hint="--note")
    one = _tell(bridge_config, "settle-approve", id=id, note=note, sudo_user=sudo_user())
    if one["state"] == "needs-approval":
        typer.echo(tr("{id} waits for a second person", id=id))
    else:
        typer.echo(tr("{id} goes on: {actions} actions, {yuan} yuan", id=id, actions=one["actions"],
                      yuan=text(one["amount"])))  # fmt: skip


@app.command()
def accept(
    id: Id,
    replace: Annotated[bool, typer.Option("--replace", help="take it in place of the accepted one")] = False,
    note: Note = "",
    bridge_config: Config = None,
) -> None:
    """Show in which rows a file that came again differs; with --replace take it in place of the accepted one."""
    for line in _shown(_tell(bridge_config, "settle-show", id=id)):
        typer.echo(line)
    if not replace:
        typer.echo(tr("nothing was changed: --replace takes it, `bridgectl settle refuse {id}` does not", id=id))
        return
    _tell(bridge_config, "settle-accept", id=id, note=note, sudo_user=sudo_user())
    typer.echo(tr("{id} counts now; it is compared next", id=id))


@app.command()
def refuse(id: Id, note: Note = "", bridge_config: Config = None) -> None:
    """Do not take a file that came again with other content; the accepted one stays."""
    _tell(bridge_config, "settle-refuse", id=id, note=note, sudo_user=sudo_user())
    typer.echo(tr("{id} is refused", id=id))


@app.command()
def rerun(
    file: Annotated[str, typer.Argument(metavar="FILE", help="as the list has it")], bridge_config: Config = None
) -> None:
    """Compare an accepted file again. What was done is not done again."""
    one = _tell(bridge_config, "settle-rerun", id=file, sudo_user=sudo_user())
    typer.echo(tr("run {id}", id=one["run"]))


@app.command()
def empty(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="of statements, as the configuration names it")],
    day: Annotated[str, typer.Argument(metavar="DAY", help="such as 2026-11-29")],
    note: Note,
    bridge_config: Config = None,
) -> None:
    """Say that a day without a statement had nothing: it is not waited for any more."""
    _tell(bridge_config, "settle-empty", source=kind, day=day, note=note, sudo_user=sudo_user())
    typer.echo(tr("{kind} of {day}: nothing, confirmed", kind=kind, day=day))


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="CSV, UTF-8 with a byte order mark")],
    run: Annotated[str, typer.Option("--run", help="of this run alone")] = "",
    day: Day = "",
    state: Annotated[list[str] | None, typer.Option("--state", help="held, ...")] = None,
    bridge_config: Config = None,
) -> None:
    """Write items as a table for a spreadsheet. Text that one would take for a formula gets an apostrophe in front."""
    rows = list(_all(bridge_config, run=run, day=day or None, states=tuple(state or ())))
    out.write_bytes(exported(rows))
    typer.echo(tr("{count} rows in {file}", count=len(rows), file=out))


def exported(rows: list[dict[str, Any]]) -> bytes:
    """Items as CSV; amounts in yuan."""
    return as_csv(_COLUMNS, ([_cell(one, name) for name in _COLUMNS] for one in rows))


def _cell(one: dict[str, Any], name: str) -> str:
    value = one[name]
    if name in ("platform", "books"):
        return _value(one, name) if isinstance(value, int) else safe(str(value or ""))
    if name == "amount":
        return text(value)
    if name in ("created_at", "updated_at"):
        return iso(value)
    return safe(" ".join(map(str, value)) if isinstance(value, list) else str(value))


def _all(bridge_config: Path | None, **which: Any) -> Iterator[dict[str, Any]]:
    after = ""
    while True:
        page = _tell(bridge_config, "settle-items", after=after, limit=_PAGE, **which)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1]["id"]


def _tell(bridge_config: Path | None, question: str, **more: Any) -> Any:
    role, path = daemons.one(Role.BRIDGE, bridge_config)
    return daemons.tell(role, path, question, **more)


def _file(one: dict[str, Any]) -> tuple[Any, ...]:
    return (
        one["id"] or "-", one["day"], one["source"], one["name"] or "-", one["state"], one["code"] or "-", one["rows"],
        text(one["paid"]), text(one["refunded"]), shown(one["received_at"]) if one["received_at"] else "-",
    )  # fmt: skip


def _run(one: dict[str, Any]) -> tuple[Any, ...]:
    return (
        one["id"], one["day"], one["source"], one["state"], one["code"] or "-", one["rows"], one["write_offs"],
        one["actions"], text(one["amount"]), shown(one["created_at"]),
    )  # fmt: skip


def _item(one: dict[str, Any]) -> tuple[Any, ...]:
    return (
        one["id"], one["day"], one["what"], one["state"], _name(one), text(one["amount"]), one["field"] or "-",
        _value(one, "platform"), _value(one, "books"), one["code"] or one["why"] or "-",
    )  # fmt: skip


def _name(one: dict[str, Any]) -> str:
    named: str = one["order"] if one["order"] and ":" not in one["order"] else one["transaction"]
    return named if one["kind"] == "pay" else f"{named}/{one['kind']}"


def _value(one: dict[str, Any], side: str) -> str:
    value = one[side]
    if isinstance(value, int) and one["field"] in _MONEY:
        return text(value)
    return "-" if value is None else str(value)


def _shown(one: dict[str, Any]) -> Iterator[str]:
    match one.get("is"):
        case "run":
            yield table((tr("field"), tr("value")), [
                ("id", one["id"]), (tr("file"), one["file"]), (tr("day"), one["day"]), (tr("state"), one["state"]),
                (tr("code"), one["code"] or "-"), (tr("why"), one["detail"] or "-"), (tr("rows"), one["rows"]),
                (tr("written off"), one["write_offs"]), (tr("actions"), one["actions"]),
                (tr("yuan"), text(one["amount"])),
            ])  # fmt: skip
            counted = [(name, count, text(amount)) for name, (count, amount) in sorted(one["counts"].items())]
            if counted:
                yield table((tr("class"), tr("items"), tr("yuan")), counted)
            yield from _said(one["approvals"])
        case "file":
            yield table((tr("field"), tr("value")), [
                ("id", one["id"]), (tr("name"), one["name"]), (tr("day"), one["day"]), (tr("state"), one["state"]),
                (tr("code"), one["code"] or "-"), (tr("rows"), one["rows"]), (tr("paid"), text(one["paid"])),
                (tr("refunded"), text(one["refunded"])),
            ])  # fmt: skip
            found = [
                (f["line"] or "-", f["column"] or "-", f["what"], f["expected"] or "-", f["found"] or "-")
                for f in one["findings"]
            ]
            if found:
                yield table((tr("line"), tr("column"), tr("what"), tr("expected"), tr("found")), found)
            if "difference" in one:
                yield from _difference(one)
        case _:
            yield table((tr("field"), tr("value")), [
                ("id", one["id"]), (tr("day"), one["day"]), (tr("class"), one["what"]), (tr("state"), one["state"]),
                (tr("payment"), _name(one)), (tr("yuan"), text(one["amount"])), (tr("field"), one["field"] or "-"),
                (tr("platform"), _value(one, "platform")), (tr("books"), _value(one, "books")),
                (tr("why"), one["why"] or "-"), (tr("code"), one["code"] or "-"), (tr("people"), one["people"]),
            ])  # fmt: skip
            if one["actions"]:
                columns = (tr("request"), tr("operation"), tr("yuan"), tr("state"), tr("code"))
                yield table(columns, [
                    (a["id"], a["operation"], text(a["amount"]), a["state"], a["code"] or "-") for a in one["actions"]
                ])  # fmt: skip
            yield from _said(one["resolutions"])


def _said(resolutions: list[dict[str, Any]]) -> Iterator[str]:
    if resolutions:
        yield table((tr("who"), tr("at"), tr("note")), [(one["who"], one["at"], one["note"]) for one in resolutions])


def _difference(one: dict[str, Any]) -> Iterator[str]:
    difference = one["difference"]
    rows = [("+", row) for row in difference["added"]] + [("-", row) for row in difference["gone"]]
    for before, now in difference["changed"]:
        rows += [("<", before), (">", now)]
    columns = ("", tr("line"), tr("payment"), tr("refund"), tr("yuan"), tr("account"))
    yield table(columns, [
        (sign, row["line"], row["transaction"] or row["order"], row["refund"] or "-", text(row["gross"]),
         row["account"] or "-")
        for sign, row in rows
    ])  # fmt: skip
    counted = one["differing"]
    yield tr(
        "{added} rows more, {gone} fewer, {changed} changed", added=counted["added"], gone=counted["gone"],
        changed=counted["changed"],
    )  # fmt: skip

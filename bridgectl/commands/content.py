"""`bridgectl content`: what is published, on the bridge's host. It is written and reviewed at the desk."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bridgectl import daemons
from bridgectl.content_files import Row, as_csv, parsed
from bridgectl.language import tr
from bridgectl.operators import sudo_user
from bridgectl.output import Json, as_json, table
from bridgectl.sides import Config
from protocol.errors import BridgeError
from protocol.messages import Role

app = typer.Typer(
    no_args_is_help=True, help="News, questions, policies, outlets and outages that the bridge publishes."
)

MOST_BYTES = 32 * 1024 * 1024
_AT_ONCE = 20
"""Rows in one question."""


class Kind(StrEnum):
    """What there is."""

    NEWS = "news"
    FAQ = "faq"
    POLICY = "policy"
    OUTLET = "outlet"
    OUTAGE = "outage"


class Form(StrEnum):
    """How a file is written."""

    JSON = "json"
    CSV = "csv"


KindArgument = Annotated[Kind, typer.Argument(metavar="KIND", help="news, faq, policy, outlet or outage")]


def _ask(config: Path | None, question: str, **more: Any) -> Any:
    _, path = daemons.one(Role.BRIDGE, config)
    return daemons.tell(Role.BRIDGE, path, question, 60.0, sudo_user=sudo_user(), **more)


@app.command("list")
def list_(
    kind: Annotated[Kind | None, typer.Option("--kind", help="of this kind alone")] = None,
    stage: Annotated[
        str, typer.Option("--stage", help="draft, in-review, approved, published or withdrawn [default: all]")
    ] = "",
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """Show what there is, changed last first: of each item its newest version."""
    found = _ask(bridge_config, "content-list", kind=kind or "", stage=stage)["items"]
    if json:
        typer.echo(as_json(found))
        return
    if not found:
        typer.echo(tr("there is none"))
        return
    columns = (tr("kind"), tr("number"), tr("version"), tr("stage"), tr("live"), tr("changed at"), tr("title"))
    rows = [
        (one["kind"], one["number"], one["version"], one["stage"], tr("yes") if one["live"] else "-",
         one["changed_at"][:16], one["heading"][:40])
        for one in found
    ]  # fmt: skip
    typer.echo(table(columns, rows))


@app.command()
def show(
    kind: KindArgument,
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="its number")],
    json: Json = False,
    bridge_config: Config = None,
) -> None:
    """Show an item: its versions, who wrote and who approved them, what was done, and the text of the newest."""
    found = _ask(bridge_config, "content-show", kind=kind, number=number)
    if json:
        typer.echo(as_json(found))
        return
    columns = (tr("version"), tr("stage"), tr("authors"), tr("reviewer"), tr("published at"), tr("withdrawn at"))
    rows = [
        (one["version"], one["stage"], ", ".join(one["authors"]), one["reviewer"] or "-",
         (one["published_at"] or "-")[:16], (one["withdrawn_at"] or "-")[:16])
        for one in found["versions"]
    ]  # fmt: skip
    typer.echo(table(columns, rows))
    typer.echo("")
    acts = [(one["at"], one["version"], one["act"], one["by"], one["remark"] or "-") for one in found["acts"]]
    typer.echo(table((tr("at"), tr("version"), tr("act"), tr("by"), tr("remark")), acts))
    typer.echo("")
    for name, value in found["versions"][0]["fields"].items():
        typer.echo(f"{name}: {value}")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="*.csv, or JSON: a list of objects")],
    kind: Annotated[Kind | None, typer.Option("--kind", help="of rows that do not say theirs")] = None,
    submit: Annotated[bool, typer.Option("--submit", help="hand the drafts in for review too")] = False,
    check: Annotated[bool, typer.Option("--check", help="only say whether all is right")] = False,
    bridge_config: Config = None,
) -> None:
    """Take items from a file as drafts, which somebody at the desk approves. A number that is there gets a new version,
    unless nothing has changed. All rows are looked at first: with one that is wrong, nothing is taken.
    """
    rows, texts = parsed(_read(file), str(file), kind or "")
    _unlike(file, rows)
    _sent(file, rows, bridge_config, texts=texts, check=True)
    if check:
        typer.echo(tr("{count} rows are right", count=len(rows)))
        return
    outcomes = _sent(file, rows, bridge_config, texts=texts, submit=submit)
    counts = {name: outcomes.count(name) for name in ("new", "changed", "unchanged")}
    typer.echo(tr("{new} new, {changed} changed, {unchanged} as they were", **counts))


def _unlike(file: Path, rows: Sequence[Row]) -> None:
    """Of two rows with one number the second would be another version of the first."""
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        key = str(row.values.get("kind", "")), str(row.values.get("number", ""))
        first = seen.get(key)
        seen[key] = row.line
        if first is not None and all(key):
            raise BridgeError(
                tr("{file}:{line}: number: {number} is on line {first} too", file=file, line=row.line, number=key[1],
                   first=first)
            )  # fmt: skip


def _sent(file: Path, rows: Sequence[Row], config: Path | None, **how: bool) -> list[str]:
    outcomes, wrong = [], 0
    for at in range(0, len(rows), _AT_ONCE):
        part = rows[at : at + _AT_ONCE]
        told = _ask(config, "content-import", rows=[dict(row.values) for row in part], **how)["rows"]
        for row, one in zip(part, told, strict=True):
            outcomes.append(one["outcome"])
            for complaint in one["complaints"]:
                wrong += 1
                print(f"{file}:{row.line}: {complaint['field'] or '-'}: {complaint['why']}", file=sys.stderr)
    if wrong:
        bad = outcomes.count("wrong")
        raise BridgeError(tr("{bad} of {count} rows are wrong; nothing of them is taken", bad=bad, count=len(outcomes)))
    return outcomes


@app.command()
def export(
    kind: KindArgument,
    out: Annotated[Path | None, typer.Option("--out", help="the file [default: the terminal]")] = None,
    form: Annotated[Form, typer.Option("--format", help="json or csv; `import` takes both")] = Form.JSON,
    newest: Annotated[bool, typer.Option("--newest", help="the newest versions, published or not")] = False,
    bridge_config: Config = None,
) -> None:
    """Write what is published of a kind into a file."""
    rows: list[dict[str, Any]] = []
    after, more = "", True
    while more:
        found = _ask(bridge_config, "content-export", kind=kind, after=after, newest=newest)
        rows += found["rows"]
        more = found["more"] and bool(found["rows"])
        after = rows[-1]["number"] if rows else ""
    if form is Form.JSON:
        text = as_json(rows) + "\n"
    else:
        columns = list(dict.fromkeys(name for row in rows for name in row)) or ["kind", "number"]
        text = as_csv(rows, columns)
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise BridgeError(f"{out}: {error.strerror}") from None
    typer.echo(tr("wrote {target}", target=out))


def _read(file: Path) -> bytes:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BridgeError(f"{file}: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise BridgeError(tr("{file}: has more than 32 MB", file=file))
    return data

"""`bridgectl dlq`: dead letters, with an operator's certificate: why each is there; sent again, kept, or taken away."""

import asyncio
import base64
import json as jsonlib
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from bridgectl import audit, daemons, dead_letters, opening
from bridgectl.brokers import connected
from bridgectl.bundle import archive
from bridgectl.dead_letters import Choice, Letter
from bridgectl.instants import iso, span
from bridgectl.language import english, heard, tr
from bridgectl.opening import HostKeys
from bridgectl.options import OlderThan, before, spread
from bridgectl.output import Json, as_json, table
from bridgectl.queues import ask, health
from bridgectl.settings import operator_section
from protocol.administration import CommandDetail
from protocol.errors import BridgeError, EnvelopeError
from protocol.frames import unpack
from protocol.lifecycle import FINAL
from protocol.link.port import Link
from protocol.messages import Role
from protocol.runtime import logs
from protocol.runtime.clock import wall_clock

app = typer.Typer(no_args_is_help=True, help="Dead letters: what nobody could act on. Their content stays sealed.")

T = TypeVar("T")
_ASKED = 200
"""So many requests are looked up at a daemon of this host."""
Yes = Annotated[bool, typer.Option("--yes", help="do it; without it is only said what would be done")]
Note = Annotated[str, typer.Option("--note", help="why; written to the audit log")]
Rate = Annotated[float, typer.Option(min=0.1, max=1000, help="letters a second")]
Patience = Annotated[float, typer.Option("--timeout", min=0.5, help="seconds for each answer of the broker")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which letters are meant, by what they are."""

    queue: Annotated[str | None, typer.Option(help="of this queue alone, e.g. bridge.command.main")] = None
    reason: Annotated[str, typer.Option(help="of this reason alone")] = ""
    operation: Annotated[str, typer.Option(help="of this operation alone")] = ""
    older_than: OlderThan = None
    older: Annotated[float | None, typer.Option("--older", min=0, metavar="MINUTES", hidden=True)] = None
    """As `--older-than` was spelt before."""

    def choice(self, named: Sequence[str] = ()) -> Choice:
        """Of letters that are shown."""
        if self.older is not None and self.older_than is not None:
            raise typer.BadParameter(tr("goes without --older-than"), param_hint="--older")
        latest = before(self.older_than) if self.older is None else wall_clock() - int(self.older * 60_000)
        return Choice(tuple(named), self.reason, self.operation, latest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection(Filter):
    """Which letters are acted on: by name, or all that the filter leaves."""

    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="of letters, or of requests in them")] = (
        None
    )
    every: Annotated[bool, typer.Option("--all", help="all that the other options leave")] = False

    def letters(self, patience: float, *, whole: bool = False) -> list[Letter]:
        """Those meant. Raises BadParameter if neither is given, or both."""
        if bool(self.ids) == self.every:
            raise typer.BadParameter(tr("give ids, or --all"), param_hint="ID")
        choice = self.choice(self.ids or ())
        return dead_letters.chosen(_seen(self.queue, patience, choice if whole else None), choice)


@app.command("list")
@spread("wanted", Filter)
def list_(wanted: Filter, json: Json = False, patience: Patience = 10.0) -> None:
    """List dead letters: queue, reason, age, the requests in them, and what became of those as far as is known here."""
    letters = dead_letters.chosen(_seen(wanted.queue, patience), wanted.choice())
    states = _states(letters)
    if json:
        typer.echo(as_json([one.as_dict() | {"now": [states.get(id, "") for id in one.requests]} for one in letters]))
        return
    now = wall_clock()
    rows = [
        (one.queue, one.reason, span(now - one.at) if one.at else "-", len(one.requests) or "-",
         _some(one.requests), ", ".join(one.operations) or "-",
         ", ".join(sorted({states.get(id, "?") for id in one.requests})) or "-", one.id)
        for one in letters
    ]  # fmt: skip
    typer.echo(
        table(
            (tr("queue"), tr("reason"), tr("age"), tr("requests"), tr("request"), tr("operation"), tr("now"), "id"),
            rows,
        )
    )
    if letters:
        typer.echo(_advice(letters, states))


@app.command()
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="of the letter, or of a request in it")],
    json: Json = False,
    patience: Patience = 10.0,
) -> None:
    """Show one dead letter: its headers and what its envelopes say of themselves in clear. Nothing sealed is opened."""
    [one, *_] = dead_letters.chosen(_seen(None, patience), Choice((id,)))
    states = _states([one])
    shown = one.as_dict() | {
        "at": iso(one.at) if one.at else "",
        "now": [states.get(each, "") for each in one.requests],
    }
    if json:
        typer.echo(as_json(shown))
        return
    for name, value in shown.items():
        text = ", ".join(value) if isinstance(value, list | tuple) else value
        typer.echo(f"{name:<12}  {'-' if text in (None, '') else text}")


@app.command()
@spread("wanted", Selection)
def redrive(
    wanted: Selection,
    note: Note,
    yes: Yes = False,
    rate: Rate = 50.0,
    json: Json = False,
    patience: Patience = 10.0,
) -> None:
    """Send dead letters again, each to the queue it came from; without --yes only say which.

    Nothing is done twice by it: a bridge knows a command by its id, a front its outcome.
    """
    meant = wanted.letters(patience)
    can = [one for one in meant if not one.hopeless]
    if not can:
        said = f": {meant[0].hopeless}" if meant else ""
        raise BridgeError(tr("none of {meant} dead letters can be sent again{said}", meant=len(meant), said=said))
    _act("redrive", can, note, yes, rate, json, patience, left=len(meant) - len(can))


@app.command()
@spread("wanted", Selection)
def purge(
    wanted: Selection,
    note: Note,
    yes: Yes = False,
    rate: Rate = 1000.0,
    json: Json = False,
    patience: Patience = 10.0,
) -> None:
    """Take dead letters away for good; without --yes only say which. A front still sends what it has no outcome of."""
    _act("purge", wanted.letters(patience), note, yes, rate, json, patience)


@app.command()
@spread("wanted", Selection)
def export(
    wanted: Selection,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="to be written, for its owner alone")],
    reveal: Annotated[
        bool, typer.Option("--reveal", help="what is sealed too, where keys of this host open it: customers' data")
    ] = False,
    note: Annotated[str, typer.Option("--note", help="with --reveal: why; written to the audit log")] = "",
    force: Annotated[bool, typer.Option("--force", help="replace FILE if it is there")] = False,
    json: Json = False,
    patience: Patience = 10.0,
) -> None:
    """Write dead letters to a file, a line of JSON each, and leave them where they are. What is sealed stays sealed.

    A line has what `list` tells of a letter, the headers it would be sent again with and, in base64, its body. With
    --reveal it has the requests in it too, opened with the keys of this host's daemons, or why one cannot be: which
    key is missing.
    """
    if reveal and not note.strip():
        raise typer.BadParameter(tr("is empty: say why it has to be opened"), param_hint="--note")
    archive.refuse_existing(output, force=force)
    keys = HostKeys.found() if reveal else None
    letters = wanted.letters(patience, whole=True)
    states = _states(letters)
    queues = sorted({one.queue for one in letters})
    audit.record("dlq-export", count=len(letters), queues=queues, requests=_named(letters), revealed=reveal,
                 file=str(output.absolute()), note=note.strip()[:400])  # fmt: skip
    with english():  # the file is for others
        told = [(one, _opened(one, keys) if keys else []) for one in letters]
    lines = [
        jsonlib.dumps(
            one.as_dict() | {
                "at": iso(one.at) if one.at else "", "now": [states.get(id, "") for id in one.requests],
                "headers": dict(one.headers), "body": base64.b64encode(one.body).decode(),
            } | ({"opened": opened} if keys else {}),
            ensure_ascii=False,
        )
        for one, opened in told
    ]  # fmt: skip
    archive.write(output, "".join(f"{line}\n" for line in lines).encode(), force=force)
    every = [one for _, opened in told for one in opened]
    missing = Counter(one["because"] for one in every if one["because"])
    if json:
        typer.echo(as_json({
            "file": str(output), "letters": len(letters), "opened": len(every) - missing.total(),
            "not_opened": dict(missing), "troubles": keys.troubles if keys else [],
        }))  # fmt: skip
        return
    typer.echo(
        tr("{file}: {letters} dead letters", file=output, letters=len(letters))
        + (
            tr(", {opened} of {all} requests and replies in them opened",
               opened=len(every) - missing.total(), all=len(every))
            if keys else tr("; what is sealed in them stays sealed")
        )
    )  # fmt: skip
    for because, count in missing.items():
        because = heard(because, opening.REASONS)
        typer.echo(tr("{count} not opened: {because}", count=count, because=because), err=True)
    for trouble in keys.troubles if keys else ():
        typer.echo(trouble, err=True)


def _opened(one: Letter, keys: HostKeys) -> list[dict[str, str]]:
    """Of each envelope in a letter what it holds, or why it is not known. Nothing is in what is only a digest."""
    try:
        envelopes = unpack(one.body)
    except EnvelopeError:
        return []
    found = []
    for id, envelope in zip(one.requests, envelopes, strict=False):
        try:
            payload, because = keys.opened(envelope).decode(errors="replace"), ""
        except BridgeError as error:
            payload, because = "", str(error)
        found.append({"request": id, "payload": payload, "because": because})
    return found


def _act(
    what: str, letters: Sequence[Letter], note: str, yes: bool, rate: float, json: bool, patience: float, left: int = 0
) -> None:
    if not note.strip():
        raise typer.BadParameter(tr("is empty: say why"), param_hint="--note")
    states = _states(letters)
    failures: list[str] = []
    if yes and letters:
        queues = sorted({one.queue for one in letters})
        audit.record(
            f"dlq-{what}", count=len(letters), queues=queues, requests=_named(letters), note=note.strip()[:400]
        )
        failures = _on_link(lambda link: _each(link, letters, rate, patience, again=what == "redrive"))
    told = {
        "done": len(letters) - len(failures) if yes else 0, "meant": len(letters), "failures": failures,
        "cannot": left, "dry_run": not yes,
    }  # fmt: skip
    if json:
        typer.echo(as_json(told))
    elif yes:
        verb = tr("sent again") if what == "redrive" else tr("taken away")
        typer.echo(
            tr("{told} of {letters} dead letters {verb}", told=told["done"], letters=len(letters), verb=verb)
            + (tr(", {left} cannot be", left=left) if left else "")
        )
        for failure in failures:
            typer.echo(failure, err=True)
    else:
        for one in letters:
            typer.echo(f"{one.queue}  {one.reason}  {_some(one.requests) if one.requests else one.id}")
        typer.echo(
            tr("{letters} dead letters: --yes does it", letters=len(letters))
            + (tr("; {left} more cannot be sent again", left=left) if left else "")
        )
        if letters:
            typer.echo(_advice(letters, states))
    if failures:
        raise typer.Exit(1)


async def _each(link: Link, letters: Sequence[Letter], rate: float, patience: float, *, again: bool) -> list[str]:
    failures = []
    for number, one in enumerate(letters):
        if number:
            await asyncio.sleep(1 / rate)
        try:
            if not await dead_letters.remove(link, one, patience, again=again):
                failures.append(tr("{id}: it is not there any more", id=one.id))
        except BridgeError as error:
            failures.append(f"{one.id}: {error}")
    return failures


def _named(letters: Sequence[Letter]) -> list[str]:
    """For the audit log."""
    return [id for one in letters for id in one.requests or (one.id,)][:20]


def _seen(queue: str | None, patience: float, whole: Choice | None = None) -> list[Letter]:
    if queue is not None and not dead_letters.NAME.fullmatch(queue):
        raise typer.BadParameter(tr("is the name of no queue: `bridgectl queues` lists them"), param_hint="--queue")

    async def look(link: Link) -> list[Letter]:
        if queue is not None:
            return await dead_letters.browse(link, queue, patience, whole)
        found = health(await ask(link, f"dlq-{os.getpid()}", patience), wall_clock())
        letters = []
        for one in found:
            if one.dead_letters:
                letters += await dead_letters.browse(link, one.name, patience, whole)
        return letters

    return _on_link(look)


def _on_link(work: Callable[[Link], Awaitable[T]]) -> T:
    logs.configure("critical")
    section = operator_section()

    async def run() -> T:
        async with connected(section, "bridgectl-dlq", 10) as link:
            return await work(link)

    return asyncio.run(run())


def _states(letters: Sequence[Letter]) -> dict[str, str]:
    """Request → its state, as a daemon of this host has it: the front before the bridge."""
    ids = list(dict.fromkeys(id for one in letters for id in one.requests))[:_ASKED]
    states: dict[str, str] = {}
    for role, path in sorted(daemons.configured(), key=lambda one: one[0] is not Role.FRONT):
        for id in ids:
            if id in states:
                continue
            try:
                told = daemons.tell(role, path, "command", 2.0, id=id)
                states[id] = CommandDetail.model_validate(told).command.state
            except BridgeError:
                continue
    return states


def _advice(letters: Sequence[Letter], states: dict[str, str]) -> str:
    ids = [id for one in letters for id in one.requests]
    finished = sum(states.get(id) in FINAL for id in ids)
    if ids and finished == len(ids) and all(one.requests for one in letters):
        return tr("all of their requests are finished since: purging is safe")
    if not states and ids:
        return tr("what became of their requests is not known on this host")
    if ids:
        return tr("{finished} of {ids} requests in them are finished since", finished=finished, ids=len(ids))
    return tr("they cannot be read: fronts send their commands again by themselves; purging is safe")


def _some(ids: Sequence[str]) -> str:
    return "-" if not ids else ids[0] + (tr(" and {ids} more", ids=len(ids) - 1) if len(ids) > 1 else "")

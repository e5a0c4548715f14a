"""`bridgectl requests`: commands as the running daemons have them, and the decisions that some wait for."""

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter

from bridgectl import daemons
from bridgectl.instants import iso, span
from bridgectl.language import noted, tr
from bridgectl.operators import sudo_user
from bridgectl.options import OlderThan, before, spread
from bridgectl.output import Json, as_json, table
from bridgectl.sides import At, Config, daemon
from bridgectl.vocabulary import passed_on
from protocol.administration import (
    LONGEST_NOTE,
    MOST_ROWS,
    Choice,
    CommandDetail,
    CommandReport,
    DecisionReport,
    Evidence,
    MatchReport,
    NotDecided,
)
from protocol.errors import BridgeError, NotAsked
from protocol.lifecycle import State
from protocol.messages import Role
from protocol.runtime.clock import wall_clock

app = typer.Typer(no_args_is_help=True, help="Commands in ledger and inbox; decide those that are held.")

_REPORTS = TypeAdapter(list[CommandReport])
_INQUIRY_S = 60.0
"""The marketing system is asked meanwhile."""
_LOOK_S = 0.2


class Wanted(StrEnum):
    """The states of a command, and all of them."""

    HELD = State.HELD.value
    ACCEPTED = State.ACCEPTED.value
    SENT = State.SENT.value
    RECEIVED = State.RECEIVED.value
    CALLING = State.CALLING.value
    UNKNOWN = State.UNKNOWN.value
    SUCCEEDED = State.SUCCEEDED.value
    REFUSED = State.REFUSED.value
    FAILED = State.FAILED.value
    EXPIRED = State.EXPIRED.value
    ALL = "all"


_IN_STATE = f"in this state; repeat for more: {', '.join(Wanted)}"


Note = Annotated[str, typer.Option("--note", help="how you know; kept with the decision")]
Wait = Annotated[float, typer.Option("--wait", min=0, max=300, help="seconds, at the front, for what the bridge says")]
Operations = Annotated[list[str] | None, typer.Option("--operation", help="of this operation; repeat for more")]
Id = Annotated[str, typer.Argument(metavar="ID", help="the request id, as the caller and both logs know it")]


@dataclass(frozen=True, slots=True)
class _Selection:
    """Of --all."""

    states: tuple[State, ...]
    operations: tuple[str, ...]
    before: int
    yes: bool

    def question(self) -> dict[str, Any]:
        """As a daemon is asked."""
        return {
            "states": [one.value for one in self.states], "operations": list(self.operations), "before": self.before,
            "sudo_user": sudo_user(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """The options by which many are meant."""

    every: Annotated[bool, typer.Option("--all", help="all that match; without --yes they are only counted")] = False
    state: Annotated[
        list[State] | None, typer.Option("--state", metavar="STATE", help="with --all: in this state; repeat for more")
    ] = None
    operation: Operations = None
    older_than: OlderThan = None
    yes: Annotated[bool, typer.Option("--yes", help="with --all: do it")] = False

    def of(self, ids: list[str]) -> _Selection | None:
        """What --all is of; None: ids are given. Raises BadParameter for what does not go together."""
        if bool(ids) == self.every:
            raise typer.BadParameter(tr("give ids, or --all"), param_hint="ID")
        if self.every:
            latest = before(self.older_than) or wall_clock()
            return _Selection(tuple(self.state or ()), tuple(self.operation or ()), latest, self.yes)
        if self.state or self.operation or self.older_than or self.yes:
            said = tr("--state, --operation, --older-than and --yes go with --all")
            raise typer.BadParameter(said, param_hint="--all")
        return None


@app.command("list")
def list_(
    state: Annotated[list[Wanted], typer.Option(metavar="STATE", help=_IN_STATE)] = [  # noqa: B006
        Wanted.HELD,
        Wanted.UNKNOWN,
    ],
    operation: Operations = None,
    older_than: OlderThan = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_ROWS, help="how many at most, the oldest first")] = 100,
    json: Json = False,
    side: At = None,
    bridge_config: Config = None,
) -> None:
    """List commands: those held or of unknown outcome, or in another state. Nothing of a customer is shown."""
    wanted = set(Wanted) if Wanted.ALL in state else set(state)
    states = sorted(State(one.value) for one in wanted - {Wanted.ALL})
    role, path = daemon(side, bridge_config)
    found = _REPORTS.validate_python(daemons.tell(
        role, path, "commands", states=states, limit=limit, operations=operation or [], before=before(older_than) or 0
    ))  # fmt: skip
    if json:
        typer.echo(as_json([_readable(one) for one in found]))
        return
    now = datetime.now(UTC).timestamp() * 1000
    rows = [
        (one.id, one.operation, one.source, one.state, one.code or "-", span(now - one.recorded), one.attempts or
         one.sends, one.owner, one.decide or "-", one.note or "-")
        for one in found
    ]  # fmt: skip
    columns = (
        "id", tr("operation"), tr("source"), tr("state"), tr("code"), tr("age"), tr("tries"), tr("owner"), tr("decide"),
        tr("note"),
    )  # fmt: skip
    typer.echo(table(columns, rows))


@app.command()
def show(
    id: Id,
    body: Annotated[bool, typer.Option("--show", help="open the request too: a customer's data")] = False,
    inquire: Annotated[bool, typer.Option("--ask/--no-ask", help="ask the marketing system about it")] = True,
    json: Json = False,
    side: At = None,
    bridge_config: Config = None,
) -> None:
    """Show one command, what was decided of it, and what the marketing system says; its content only with --show.

    A command that is held or unknown is asked about by its request id, where its binding can ask: nothing is applied.
    """
    role, path = daemon(side, bridge_config)
    told = daemons.tell(role, path, "command", _INQUIRY_S, id=id, reveal=body, inquire=inquire)
    detail = CommandDetail.model_validate(told)
    if json:
        typer.echo(as_json(_detail(detail, body=body)))
        return
    lines = list(_readable(detail.command).items())
    if detail.evidence is not None:
        lines.append(("marketing", _evidence(detail.evidence)))
    lines += [
        (
            "decided",
            tr(
                "{choice} by {by} at {at}: {note}{came}",
                choice=one.choice,
                by=one.by,
                at=iso(one.at),
                note=one.note,
                came=_came(one),
            ),
        )
        for one in detail.decisions
    ]
    if body:
        lines.append(("request", detail.request))
    for name, value in lines:
        typer.echo(f"{name:<12}  {'-' if value in (None, '') else value}")


@app.command()
@spread("matching", Matching)
def resolve(
    matching: Matching,
    note: Note,
    id: Annotated[str, typer.Argument(metavar="[ID]", help="the request id, as the caller and both logs know it")] = "",
    applied: Annotated[bool, typer.Option("--applied", help="the marketing system did it: succeeded")] = False,
    not_applied: Annotated[bool, typer.Option("--not-applied", help="it did not, and shall not: failed")] = False,
    call_again: Annotated[bool, typer.Option("--call-again", help="it did not: call it again")] = False,
    ask_again: Annotated[
        bool, typer.Option("--ask-again", help="ask it once more by request id, and do as that says")
    ] = False,
    result: Annotated[str | None, typer.Option(metavar="JSON", help="with --applied: the answer's JSON")] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="with --not-applied, at the front, of what is undelivered: without the bridge's word"
        ),
    ] = False,
    wait: Wait = 10.0,
    json: Json = False,
    side: At = None,
    bridge_config: Config = None,
) -> None:
    """Decide a held command: exactly one of --applied, --not-applied, --call-again, --ask-again. It cannot be undone.

    The running daemon does it, once, whoever else decides at the same moment; the caller's status follows within
    seconds. --call-again is called as if it had just arrived. --ask-again takes the answer if there is one, and calls
    it again if the marketing system has no such request.

    On the front's host the decision travels to the bridge, sealed, and is pending until the bridge has carried it out,
    or refused to. --force gives up at once what no bridge has confirmed for a week: should the marketing system have
    applied it all the same, its caller is told that it failed, and will order it again. Look there before.
    """
    flags = {
        Choice.APPLIED: applied, Choice.NOT_APPLIED: not_applied, Choice.CALL_AGAIN: call_again,
        Choice.ASK_AGAIN: ask_again,
    }  # fmt: skip
    chosen = [choice for choice, given in flags.items() if given]
    if len(chosen) != 1:
        said = tr("give exactly one of --applied, --not-applied, --call-again and --ask-again")
        raise typer.BadParameter(said, param_hint="choice")
    [choice] = chosen
    if result is not None and choice is not Choice.APPLIED:
        raise typer.BadParameter(tr("goes with --applied alone"), param_hint="--result")
    said_why(note)
    if result is not None and not result.strip():
        raise typer.BadParameter(tr("is empty: leave it out if the answer is not known"), param_hint="--result")
    if force and choice is not Choice.NOT_APPLIED:
        raise typer.BadParameter(tr("goes with --not-applied alone"), param_hint="--force")
    selection = matching.of([id] if id else [])
    role, path = daemon(side, bridge_config)
    if selection:
        if result is not None or force:
            raise typer.BadParameter(tr("--result and --force are for one command"), param_hint="--all")
        _decide_all(role, path, choice, note, selection, json=json)
        return
    _finish([_decide(role, path, id, choice, note, wait, result=result or "", force=force)], json=json)


@app.command()
@spread("matching", Matching)
def cancel(
    matching: Matching,
    note: Note,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="the request ids")] = None,
    wait: Wait = 10.0,
    json: Json = False,
    side: At = None,
    bridge_config: Config = None,
) -> None:
    """Take commands back that were not called yet; their callers are told `failed`, code `cancelled`.

    Surely: what is being called, or may have been, is refused. One whose every call is known to have had no effect
    counts as not called. On the front's host the bridge decides, and a command that it never had is never called.
    """
    said_why(note)
    selection = matching.of(ids or [])
    role, path = daemon(side, bridge_config)
    if selection:
        _decide_all(role, path, Choice.CANCEL, note, selection, json=json)
        return
    _finish([_decide(role, path, id, Choice.CANCEL, note, wait) for id in ids or []], json=json)


@app.command()
@spread("matching", Matching)
def resend(
    matching: Matching,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="the request ids")] = None,
    undelivered: Annotated[
        bool, typer.Option("--undelivered", help="what is held as undelivered: the bridge is to take it")
    ] = False,
    note: Annotated[str, typer.Option("--note", help="with --undelivered: why; kept with the decision")] = "",
    wait: Wait = 10.0,
    json: Json = False,
) -> None:
    """On the front's host: send now what waits for its next turn, for example after the bridge was mended.

    With --all it is what waits for an outcome, of this front, sent in the order in which it was accepted. The bridge
    knows a command by its id: what it has already is not done again. With --undelivered it takes, however old, what
    nobody confirmed for a week: it calls it if it surely never had it, and otherwise treats it as of unknown outcome,
    which is asked about or held.
    """
    selection = matching.of(ids or [])
    if undelivered:
        said_why(note)
    role, path = daemons.one(Role.FRONT)
    if undelivered and selection:
        _decide_all(role, path, Choice.RESEND, note, selection, json=json)
        return
    if undelivered:
        _finish([_decide(role, path, id, Choice.RESEND, note, wait) for id in ids or []], json=json)
        return
    if selection:
        words = _Words(tr("--yes sends them again"), tr("sent again"))
        _do_all(role, path, "resend-matching", {}, selection, words, json=json)
        return
    told = daemons.tell(role, path, "resend", ids=ids or [])
    if json:
        typer.echo(as_json(told))
        return
    typer.echo(tr("{told} sent again", told=told["sent"]))


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of one decision."""

    id: str
    choice: Choice
    standing: str
    """`done`, `pending` or `refused`."""
    state: str = ""
    because: str = ""

    def sentence(self) -> str:
        """For people."""
        because = f": {passed_on(self.because)}" if self.because else ""
        if self.standing == "refused":
            return tr(
                "{id}: {choice} was refused, and nothing was changed{because}",
                id=self.id,
                choice=self.choice,
                because=because,
            )
        if self.standing == "pending":
            return tr(
                "{id}: {choice} is written down and waits for a bridge that takes it; bridgectl requests show "
                "{id} says what came of it",
                id=self.id,
                choice=self.choice,
            )
        return tr(
            "{id} is {becomes}; it is {state} here now, and its caller is told{because}",
            id=self.id,
            becomes=tr(_BECOMES[self.choice]),
            state=self.state,
            because=because,
        )


_BECOMES = {
    Choice.APPLIED: noted("succeeded"), Choice.NOT_APPLIED: noted("failed"), Choice.CALL_AGAIN: noted("called again"),
    Choice.ASK_AGAIN: noted("asked about again"), Choice.CANCEL: noted("taken back"),
    Choice.RESEND: noted("sent again"),
}  # fmt: skip


def said_why(note: str) -> None:
    """Raises BadParameter for a note that says nothing, or too much."""
    if not note.strip() or len(note.strip()) > LONGEST_NOTE:
        raise typer.BadParameter(
            tr("say in 1 to {longest_note} characters how you know", longest_note=LONGEST_NOTE), param_hint="--note"
        )


def _decide(role: Role, path: Path, id: str, choice: Choice, note: str, wait_s: float, **more: Any) -> Decided:
    """Have it decided; at the front, wait so long for what the bridge says."""
    try:
        told = daemons.tell(role, path, "resolve", id=id, choice=choice.value, note=note, sudo_user=sudo_user(), **more)
    except NotAsked:
        raise
    except BridgeError as error:
        return Decided(id, choice, "refused", because=str(error))
    if role is Role.BRIDGE:
        return Decided(id, choice, "done", CommandReport.model_validate(told).state)
    detail = CommandDetail.model_validate(told)
    [*_, mine] = detail.decisions
    end = time.monotonic() + wait_s
    while mine.standing == "pending" and time.monotonic() < end:
        time.sleep(_LOOK_S)
        detail = CommandDetail.model_validate(daemons.tell(role, path, "command", id=id))
        [mine] = [one for one in detail.decisions if one.id == mine.id]
    return Decided(id, choice, mine.standing, detail.command.state, mine.because)


@dataclass(frozen=True, slots=True)
class _Words:
    """How it is told what is done with all that match."""

    would: str
    done: str


def _decide_all(role: Role, path: Path, choice: Choice, note: str, selection: _Selection, *, json: bool) -> None:
    waits = tr("; the bridge's answers are in `bridgectl requests show ID`") if role is Role.FRONT else ""
    words = _Words(
        tr("--yes decides them, {choice}", choice=choice), tr("decided, {choice}{waits}", choice=choice, waits=waits)
    )
    _do_all(role, path, "resolve-matching", {"choice": choice.value, "note": note}, selection, words, json=json)


def _do_all(
    role: Role, path: Path, what: str, more: dict[str, str], selection: _Selection, words: _Words, *, json: bool
) -> None:
    """Count those that match, and with --yes have the daemon act on them, in their order; exits with 1 if it did not on
    some.
    """
    question = {**more, **selection.question()}
    counted = MatchReport.model_validate(daemons.tell(role, path, what, _INQUIRY_S, **question))
    decided: list[str] = []
    failures: list[NotDecided] = []
    after, going = "", selection.yes
    while going:
        told = daemons.tell(role, path, what, _INQUIRY_S, dry_run=False, after=after, **question)
        part = MatchReport.model_validate(told)
        decided += part.decided
        failures += part.failures
        after, going = part.next, bool(part.next)
    total = sum(counted.by_operation.values())
    if json:
        shown = {
            "matching": total, "by_operation": counted.by_operation, "dry_run": not selection.yes, "decided": decided,
            "failures": [one.model_dump() for one in failures],
        }  # fmt: skip
        typer.echo(as_json(shown))
    else:
        for name, number in sorted(counted.by_operation.items()):
            typer.echo(f"{number:>7}  {name}")
        if not selection.yes:
            typer.echo(tr("{total} commands match; nothing was done: {would}", total=total, would=words.would))
        else:
            typer.echo(tr("{decided} of {total} commands {done}", decided=len(decided), total=total, done=words.done))
        for one in failures:
            typer.echo(f"{one.id}: {passed_on(one.because)}", err=True)
    if failures:
        raise typer.Exit(1)


def _finish(decided: list[Decided], *, json: bool) -> None:
    """Say what came of them; exits with 1 if some were refused."""
    if json:
        typer.echo(as_json([asdict(one) for one in decided]))
    else:
        for one in decided:
            typer.echo(one.sentence(), err=one.standing == "refused")
    if any(one.standing == "refused" for one in decided):
        raise typer.Exit(1)


_TIMES = ("recorded", "sent", "calling", "updated", "replied", "expires")


def _readable(report: CommandReport) -> dict[str, Any]:
    shown = report.model_dump(mode="json")
    return {name: (iso(value) if value else None) if name in _TIMES else value for name, value in shown.items()}


def _detail(detail: CommandDetail, *, body: bool) -> dict[str, Any]:
    shown = _readable(detail.command)
    shown["evidence"] = detail.evidence.model_dump(mode="json") if detail.evidence else None
    shown["decisions"] = [one.model_dump(mode="json") | {"at": iso(one.at)} for one in detail.decisions]
    if body:
        shown["request"] = detail.request
    return shown


def _evidence(evidence: Evidence) -> str:
    said = {
        "applied": tr("it was applied"), "refused": tr("it was refused"), "absent": tr("it is not there"),
        "unknown": tr("nothing that can be used"), "not-asked": tr("was not asked"),
    }[evidence.came_to]  # fmt: skip
    return f"{said}: {passed_on(evidence.detail)}" if evidence.detail else said


def _came(one: DecisionReport) -> str:
    if one.standing == "done" and not one.because:
        return ""
    return f" ({one.standing}{': ' if one.because else ''}{passed_on(one.because)})"

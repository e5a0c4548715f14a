"""`bridgectl requests`: commands in the bridge's inbox, and the decision that a held one waits for."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bridgectl import requests
from bridgectl.doctor.installation import CONFIGURATIONS, PROGRAMS, View
from bridgectl.output import as_json, table
from bridgectl.requests import DECISIONS, LONGEST_NOTE, Choice, Decision
from bridgectl.settings import ControlSettings, control_path
from bridgectl.stores import in_store, operator
from protocol.errors import BridgeError
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.messages import Role
from protocol.runtime.clock import wall_clock
from protocol.runtime.keyfiles import load_keyring
from protocol.runtime.settings import load

app = typer.Typer(no_args_is_help=True, help="Commands in the bridge's inbox; decide those that are held.")


class Wanted(StrEnum):
    """The states of an inbox, and all of them."""

    HELD = State.HELD.value
    RECEIVED = State.RECEIVED.value
    CALLING = State.CALLING.value
    UNKNOWN = State.UNKNOWN.value
    SUCCEEDED = State.SUCCEEDED.value
    REFUSED = State.REFUSED.value
    FAILED = State.FAILED.value
    EXPIRED = State.EXPIRED.value
    ALL = "all"


Config = Annotated[
    Path | None, typer.Option("--bridge-config", help="of intranet-bridge [default: beside bridgectl.toml]")
]


def _view(given: Path | None) -> View:
    control = control_path()
    if given is None and control.exists():
        given = load(control, ControlSettings).doctor.bridge_config
    return load(given or control.parent / CONFIGURATIONS[Role.BRIDGE], View)


def _in_inbox(view: View, work: Any) -> Any:
    return in_store(view.store, "bridge", DECISIONS.name, PROGRAMS[Role.BRIDGE], work)


def _keyring(view: View) -> Keyring:
    keyring = load_keyring(view.keys.keyring, view.keys.trusted)
    if keyring.role is not Role.BRIDGE:
        raise BridgeError(f"{view.keys.keyring} is not a bridge's keyring")
    return keyring


@app.command("list")
def list_(
    state: Annotated[list[Wanted], typer.Option(help="in this state; repeat for more")] = [Wanted.HELD],  # noqa: B006
    limit: Annotated[int, typer.Option(min=1, help="how many at most, the oldest first")] = 100,
    json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
    bridge_config: Config = None,
) -> None:
    """List commands: those held, or in another state. Nothing of a customer is shown."""
    wanted = set(Wanted) if Wanted.ALL in state else set(state)
    states = [State(one.value) for one in wanted - {Wanted.ALL}]
    rows = _in_inbox(_view(bridge_config), lambda connection: requests.listed(connection, states, limit))
    if json:
        typer.echo(as_json([_readable(row) for row in rows]))
        return
    columns = ("id", "operation", "source", "state", "code", "received_at", "attempts", "owner", "note")
    typer.echo(table(columns, [[_readable(row)[name] or "-" for name in columns] for row in rows]))


@app.command()
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="the request id, as the caller and both logs know it")],
    body: Annotated[bool, typer.Option("--show", help="open the request too: a customer's data")] = False,
    json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
    bridge_config: Config = None,
) -> None:
    """Show one command and what was decided of it; its content only with --show, with the bridge's keys."""
    view = _view(bridge_config)
    row = _in_inbox(view, lambda connection: requests.found(connection, id))
    envelope = row.pop("envelope")
    shown = _readable(row) | {"replied": row["replied_at"] is not None}
    del shown["reply"], shown["replied_at"]
    shown["decisions"] = [one | {"decided_at": _instant(one["decided_at"])} for one in row["decisions"]]
    if body:
        shown["request"] = requests.opened(_keyring(view), envelope)
    if json:
        typer.echo(as_json(shown))
        return
    lines = [(name, value) for name, value in shown.items() if name != "decisions"]
    lines += [
        ("decided", f"{one['choice']} by {one['decided_by']} at {one['decided_at']}: {one['note']}")
        for one in shown["decisions"]
    ]
    for name, value in lines:
        typer.echo(f"{name:<12}  {'-' if value in (None, '') else value}")


@app.command()
def resolve(
    id: Annotated[str, typer.Argument(metavar="ID", help="the request id")],
    note: Annotated[str, typer.Option("--note", help="how you know; kept with the decision")],
    applied: Annotated[bool, typer.Option("--applied", help="the marketing system did it: succeeded")] = False,
    not_applied: Annotated[bool, typer.Option("--not-applied", help="it did not, and shall not: failed")] = False,
    call_again: Annotated[bool, typer.Option("--call-again", help="it did not: call it again")] = False,
    result: Annotated[str | None, typer.Option(metavar="JSON", help="with --applied: the answer's JSON")] = None,
    bridge_config: Config = None,
) -> None:
    """Decide a held command: exactly one of --applied, --not-applied and --call-again. It cannot be undone.

    The caller's status follows within seconds; --call-again is called as if it had just arrived.
    """
    flags = {Choice.APPLIED: applied, Choice.NOT_APPLIED: not_applied, Choice.CALL_AGAIN: call_again}
    chosen = [choice for choice, given in flags.items() if given]
    if len(chosen) != 1:
        raise typer.BadParameter("give exactly one of --applied, --not-applied and --call-again", param_hint="choice")
    [choice] = chosen
    if result is not None and choice is not Choice.APPLIED:
        raise typer.BadParameter("goes with --applied alone", param_hint="--result")
    if not note.strip() or len(note.strip()) > LONGEST_NOTE:
        raise typer.BadParameter(f"say in 1 to {LONGEST_NOTE} characters how you know", param_hint="--note")
    if result is not None and not result.strip():
        raise typer.BadParameter("is empty: leave it out if the answer is not known", param_hint="--result")
    view = _view(bridge_config)
    keyring = None if choice is Choice.CALL_AGAIN else _keyring(view)
    decision = Decision(choice, operator(), " ".join(note.split()), (result or "").encode("utf-8", "replace"))
    _in_inbox(view, lambda connection: requests.resolve(connection, keyring, id, decision, wall_clock()))
    becomes = {Choice.APPLIED: "succeeded", Choice.NOT_APPLIED: "failed", Choice.CALL_AGAIN: "called again"}[choice]
    typer.echo(f"{id} is {becomes}; the bridge acts on it at its next sweep")


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    times = ("received_at", "calling_at", "updated_at", "deadline")
    return {name: _instant(value) if name in times and value else value for name, value in row.items()}


def _instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")

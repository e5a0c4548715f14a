"""`bridgectl pause` and `bridgectl resume`: maintenance of the marketing system."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter

from bridgectl import daemons
from bridgectl.instants import instant, shown, span_s
from bridgectl.language import tr
from bridgectl.operators import sudo_user
from bridgectl.output import as_json, few, table
from bridgectl.programs import PROGRAMS
from bridgectl.sides import At, Config, Side, daemon
from protocol.maintenance import LONGEST_REASON, Pause

app = typer.Typer()
"""`pause`."""
resuming = typer.Typer()
"""`resume`."""
_PAUSES = TypeAdapter(tuple[Pause, ...])


Names = Annotated[list[str] | None, typer.Argument(metavar="[OPERATION]...", help="of the catalogue, e.g. bill-query")]
Every = Annotated[bool, typer.Option("--all", help="all of them")]
Json = Annotated[bool, typer.Option("--json", help="for programs: what is paused then")]


@app.command()
def pause(
    operations: Names = None,
    every: Every = False,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="03:30 (the next), 2026-12-01T03:30 or with an offset, +08:00")
    ] = None,
    lasting: Annotated[str | None, typer.Option("--for", metavar="SPAN", help="2h, 90m, 1h30m, 1d")] = None,
    reason: Annotated[str, typer.Option(help="kept with it, and shown by status")] = "",
    json: Json = False,
    side: At = None,
    bridge_config: Config = None,
) -> None:
    """Pause operations while the marketing system is maintained: queries are answered 503 with the end in Retry-After,
    commands are accepted, wait, and go on afterwards in their order.

    On the bridge's host, for all fronts; on the front's host (or with --side front), for that front alone: then what
    the bridge has already goes on. It outlasts a restart. Times without an offset are of this host's clock.
    """
    if until is not None and lasting is not None:
        raise typer.BadParameter(tr("goes without --until"), param_hint="--for")
    if len(reason) > LONGEST_REASON:
        raise typer.BadParameter(
            tr("at most {longest_reason} characters", longest_reason=LONGEST_REASON), param_hint="--reason"
        )
    now = datetime.now(UTC)
    end = 0
    try:
        if until is not None:
            end = round(instant(until, now).timestamp() * 1000)
        elif lasting is not None:
            end = round(now.timestamp() * 1000) + span_s(lasting) * 1000
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error), param_hint="--until" if until is not None else "--for") from None
    _tell("pause", operations, side, bridge_config, every=every, json=json, until=end, reason=reason)


@resuming.command()
def resume(
    operations: Names = None,
    every: Every = False,
    json: Json = False,
    side: At = None,
    bridge_config: Config = None,
) -> None:
    """Go on with operations that are paused, by an administrator or by the schedule; a window that is scheduled is over
    for them until it comes again.
    """
    _tell("resume", operations, side, bridge_config, every=every, json=json)


def _tell(
    act: str,
    names: Sequence[str] | None,
    side: Side | None,
    config: Path | None,
    *,
    every: bool,
    json: bool,
    **more: Any,
) -> None:
    if every == bool(names):
        raise typer.BadParameter(tr("give operations, or --all"), param_hint="OPERATION")
    role, path = daemon(side, config)
    told = daemons.tell(role, path, act, operations=names or [], every=every, sudo_user=sudo_user(), **more)
    pauses = _PAUSES.validate_python(told["pauses"])
    if json:
        typer.echo(as_json(told["pauses"]))
        return
    typer.echo(f"{PROGRAMS[role]}: " + (tr("nothing is paused now") if not pauses else tr("paused now")))
    if pauses:
        typer.echo(pauses_table(pauses))


def pauses_table(pauses: Sequence[Pause]) -> str:
    """What is paused, for people."""
    rows = [
        (few(one.operations), shown(one.since), shown(one.until) if one.until else tr("it is resumed"), one.by,
         one.reason or "-")
        for one in pauses
    ]  # fmt: skip
    return table((tr("operations"), tr("since"), tr("until"), tr("by"), tr("reason")), rows)

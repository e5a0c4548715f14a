"""`bridgectl cache`: the answers that the bridge of this host keeps, and those that it is to forget."""

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from bridgectl import daemons
from bridgectl.instants import shown, span
from bridgectl.language import tr, trn
from bridgectl.operators import sudo_user
from bridgectl.output import Json, as_json, table
from bridgectl.sides import Config
from protocol.messages import Role
from protocol.reports.marketing_data import HotOperationReport, HotReport, PrequeryReport, PrequeryWindowReport

app = typer.Typer(no_args_is_help=True, help="Kept answers of the marketing system: show how many, forget some.")
_LONGEST_ACCOUNT = 64


@app.command()
def show(json: Json = False, bridge_config: Config = None) -> None:
    """Show, by operation, what is kept and how many queries cost no call of the marketing system."""
    _, path = daemons.one(Role.BRIDGE, bridge_config)
    report = HotReport.model_validate(daemons.tell(Role.BRIDGE, path, "hot"))
    if json:
        typer.echo(as_json(report.model_dump(mode="json")))
        return
    if not report.operations:
        typer.echo(tr("nothing is kept: [hot.operations] names no operation"))
        return
    columns = (
        tr("operation"), tr("lifetime"), tr("kept"), tr("size"), tr("hits"), tr("joined"), tr("asked"), tr("spared"),
    )  # fmt: skip
    typer.echo(table(columns, [_row(one) for one in report.operations]))
    typer.echo(
        tr(
            "{kept} answers in {used:.1f} of {limit:.1f} MiB; {evicted} went for want of room, {dropped} were dropped",
            kept=report.kept,
            used=report.bytes / (1 << 20),
            limit=report.limit / (1 << 20),
            evicted=report.evicted,
            dropped=sum(report.invalidated.values()),
        )
    )
    if report.prequery is not None:
        for line in _ahead(report.prequery):
            typer.echo(line)


@app.command()
def clear(
    operation: Annotated[str | None, typer.Argument(help="of the catalogue [default: all that are kept]")] = None,
    account_of_stdin: Annotated[
        bool, typer.Option("--account-of-stdin", help="only what tells of the account that a line of input names")
    ] = False,
    bridge_config: Config = None,
) -> None:
    """Forget kept answers, for example after the marketing system's data was corrected by hand.

    An account number is read from standard input and never from the command line, which others can see. It is not
    written to the audit log either.
    """
    account = _account() if account_of_stdin else ""
    _, path = daemons.one(Role.BRIDGE, bridge_config)
    told: dict[str, Any] = daemons.tell(
        Role.BRIDGE, path, "clear-hot", operation=operation or "", account=account, sudo_user=sudo_user()
    )
    typer.echo(tr("{count} kept answers forgotten", count=told["dropped"]))


def _ahead(report: PrequeryReport) -> Iterator[str]:
    yield tr(
        "asked ahead, for {active} and those subscribed: {spared} since the start; rate shared by {bridges}",
        active=trn("{count} active account", "{count} active accounts", report.active),
        spared=trn("{count} answer was of use", "{count} answers were of use", report.spared),
        bridges=trn("{count} bridge", "{count} bridges", report.bridges),
    )
    if report.now is not None:
        yield tr("  now, until {until}: {done}", until=shown(report.now.until), done=_window(report.now))
    if report.rests:
        yield tr("  it rests: {reason}", reason=report.rests)
    if report.last is not None:
        yield tr("  last, until {until}: {done}", until=shown(report.last.until), done=_window(report.last))
    if report.following:
        yield tr("  next, from {since}", since=shown(report.following))


def _window(one: PrequeryWindowReport) -> str:
    return tr(
        "{asked} asked, {kept} kept, {refused} refused, {failed} failed; {rounds}; rested for {rested}",
        asked=one.asked,
        kept=one.kept,
        refused=one.refused,
        failed=one.failed,
        rounds=trn("{count} round", "{count} rounds", one.rounds),
        rested=span(int(one.rested_s * 1000)),
    )


def _account() -> str:
    account = sys.stdin.readline().strip()
    if not 0 < len(account) <= _LONGEST_ACCOUNT:
        raise typer.BadParameter(
            tr("standard input must begin with a line of 1 to {most} characters", most=_LONGEST_ACCOUNT),
            param_hint="--account-of-stdin",
        )
    return account


def _row(one: HotOperationReport) -> tuple[Any, ...]:
    asked = one.miss + one.stale + one.bypassed
    return (
        one.operation, tr("{seconds:g} s", seconds=one.lifetime_s), one.kept, f"{one.bytes / (1 << 20):.1f} MiB",
        one.hit, one.joined, asked, f"{one.spared:.0%}" if one.hit + one.joined + asked else "-",
    )  # fmt: skip

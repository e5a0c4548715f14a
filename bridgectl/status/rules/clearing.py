"""What of clearing somebody has to look at."""

from collections.abc import Iterator

from bridgectl.language import tr
from bridgectl.output import few
from bridgectl.status.observation import Observation
from bridgectl.status.trouble import Level, Trouble
from protocol.reports.bridge import BridgeReport
from protocol.reports.settlement import ClearingReport


def _report(seen: Observation) -> ClearingReport:
    bridge = seen.bridge
    return (bridge.clearing if isinstance(bridge, BridgeReport) else None) or ClearingReport()


def late(seen: Observation) -> Iterator[Trouble]:
    if days := _report(seen).late:
        yield Trouble(
            Level.WARNING,
            "clearing-late",
            tr("{count} days are not cleared: statements are missing", count=len(days)),
            few(days, 3),
            hurts=tr("companies are not paid for these days"),
            mend=tr("bring the statements, or confirm that there are none; the days are computed then"),
            because=("file-late", "file-place-unreachable", "file-host-key-changed", "files-refused"),
        )


def differing(seen: Observation) -> Iterator[Trouble]:
    if sheets := _report(seen).differing:
        yield Trouble(
            Level.WARNING,
            "clearing-differs",
            tr("of {count} clearing sheets another amount arrived than was paid out", count=len(sheets)),
            few(sheets, 3),
            hurts=tr("a company has less, or more, than it is owed"),
            mend=tr("bridgectl clearing show {sheet}; then two people: bridgectl clearing adjust", sheet=sheets[0]),
        )


def carried(seen: Observation) -> Iterator[Trouble]:
    if sheets := _report(seen).carried:
        yield Trouble(
            Level.WARNING,
            "clearing-carried",
            tr("{count} clearing sheets with a negative net wait to be set off", count=len(sheets)),
            few(sheets, 3),
            hurts=tr("a company owes us until it has a later sheet"),
            mend=tr("none, if it has payments again; else agree with it, and two people: bridgectl clearing adjust"),
        )


def calendar(seen: Observation) -> Iterator[Trouble]:
    if ends := _report(seen).calendar_ends:
        yield Trouble(
            Level.WARNING,
            "bank-calendar-ends",
            tr("the bank calendar ends on {day}", day=ends),
            tr("past it Monday to Friday are taken for bank days"),
            hurts=tr("what is due on a bank day may be expected on a holiday"),
            mend=tr("write the coming year's days into [settlement] holidays and workdays, then bridgectl reload"),
        )

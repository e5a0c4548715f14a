"""What the bridge's own probes say of the marketing system, and whether every operation is bound."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from bridgectl.doctor.finding import Finding, Status
from bridgectl.instants import shown
from bridgectl.language import tr
from bridgectl.probing import bridge_report, one_each, probe
from protocol.administration import ProbeReport
from protocol.errors import BridgeError
from protocol.maintenance import by_operation
from protocol.reports.bridge import BridgeReport


def findings(configuration: Path) -> Iterator[Finding]:
    """What doctor says: one query of each back end is tried, and every operation of the catalogue is bound."""
    try:
        report = bridge_report(configuration)
    except BridgeError as error:
        action = tr("set [control] socket, start intranet-bridge, and run doctor as root")
        yield Finding("marketing", str(configuration), Status.SKIP, tr("not tried: {error}", error=error), action)
        return
    yield from judge_bound(report)
    yield from judge_paused(report)
    for system, operation in one_each(report).items():
        try:
            probed = probe(configuration, operation)
        except BridgeError as error:
            yield Finding("marketing", system, Status.SKIP, tr("not tried: {error}", error=error), "bridgectl status")
            continue
        yield judge_probe(probed)


def judge_bound(report: BridgeReport) -> Iterator[Finding]:
    """Every operation of the catalogue is bound somewhere."""
    if report.unbound:
        action = tr("bind it (config/bindings/); callers get 502 unless another bridge serves it")
        yield Finding(
            "binding", report.name, Status.FAIL, tr("bound nowhere: {some}", some=_some(report.unbound)), action
        )
    else:
        yield Finding(
            "binding",
            report.name,
            Status.OK,
            tr("{interfaces} operations are bound", interfaces=len(report.interfaces)),
        )


def judge_paused(report: BridgeReport) -> Iterator[Finding]:
    """A back end that is maintained is let alone."""
    paused, tried = by_operation(report.maintenance), one_each(report)
    ends_of: dict[str, int] = {}
    for one in report.interfaces:
        if one.operation in paused and one.system not in tried:
            ends_of[one.system] = max(ends_of.get(one.system, 0), paused[one.operation].until)
    for system, ends in sorted(ends_of.items()):
        said = (
            tr("not tried: paused for maintenance, until {ends}", ends=shown(ends))
            if ends
            else tr("not tried: paused for maintenance")
        )
        yield Finding("marketing", system, Status.SKIP, said, tr("bridgectl resume, when it is over"))


def judge_probe(probed: ProbeReport) -> Finding:
    """Whether a back end answers as the binding says."""
    seen = f"{probed.operation}: {probed.verdict}"
    if probed.well:
        return Finding("marketing", probed.system, Status.OK, seen)
    action = tr("see to that system; bridgectl probe {operation} shows each step", operation=probed.operation)
    return Finding("marketing", probed.system, Status.FAIL, seen, action)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:5])
    return shown if len(names) <= 5 else tr("{shown} and {names} more", shown=shown, names=len(names) - 5)

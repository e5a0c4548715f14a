"""What the bridge's own probes say of the marketing system, and whether every operation is bound."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from bridgectl.doctor.finding import Finding, Status
from bridgectl.instants import shown
from bridgectl.probing import bridge_report, one_each, probe
from protocol.administration import ProbeReport
from protocol.errors import BridgeError
from protocol.maintenance import by_operation
from protocol.reports import BridgeReport


def findings(configuration: Path) -> Iterator[Finding]:
    """What doctor says: one query of each back end is tried, and every operation of the catalogue is bound."""
    try:
        report = bridge_report(configuration)
    except BridgeError as error:
        action = "set [control] socket, start intranet-bridge, and run doctor as root"
        yield Finding("marketing", str(configuration), Status.SKIP, f"not tried: {error}", action)
        return
    yield from judge_bound(report)
    yield from judge_paused(report)
    for system, operation in one_each(report).items():
        try:
            probed = probe(configuration, operation)
        except BridgeError as error:
            yield Finding("marketing", system, Status.SKIP, f"not tried: {error}", "bridgectl status")
            continue
        yield judge_probe(probed)


def judge_bound(report: BridgeReport) -> Iterator[Finding]:
    """Every operation of the catalogue is bound somewhere."""
    if report.unbound:
        action = "bind it (config/bindings/); callers get 502 unless another bridge serves it"
        yield Finding("binding", report.name, Status.FAIL, f"bound nowhere: {_some(report.unbound)}", action)
    else:
        yield Finding("binding", report.name, Status.OK, f"{len(report.interfaces)} operations are bound")


def judge_paused(report: BridgeReport) -> Iterator[Finding]:
    """A back end that is maintained is let alone."""
    paused, tried = by_operation(report.maintenance), one_each(report)
    ends_of: dict[str, int] = {}
    for one in report.interfaces:
        if one.operation in paused and one.system not in tried:
            ends_of[one.system] = max(ends_of.get(one.system, 0), paused[one.operation].until)
    for system, ends in sorted(ends_of.items()):
        said = (
            f"not tried: paused for maintenance, until {shown(ends)}" if ends else "not tried: paused for maintenance"
        )
        yield Finding("marketing", system, Status.SKIP, said, "bridgectl resume, when it is over")


def judge_probe(probed: ProbeReport) -> Finding:
    """Whether a back end answers as the binding says."""
    seen = f"{probed.operation}: {probed.verdict}"
    if probed.well:
        return Finding("marketing", probed.system, Status.OK, seen)
    action = f"see to that system; bridgectl probe {probed.operation} shows each step"
    return Finding("marketing", probed.system, Status.FAIL, seen, action)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"

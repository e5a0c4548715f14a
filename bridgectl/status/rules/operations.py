"""Operations: interfaces that fail, what is paused, what nobody serves."""

from collections.abc import Iterator

from bridgectl.language import tr
from bridgectl.status.causes import cause, found
from bridgectl.status.observation import Observation
from bridgectl.status.rules.naming import some
from bridgectl.status.trouble import Level, Trouble
from protocol.maintenance import by_operation
from protocol.reports.bridge import BridgeReport
from protocol.reports.calls import InterfaceReport
from protocol.reports.front import FrontReport

_LONG_PAUSE_MS = 86_400_000
_FEW = 5


def interfaces(seen: Observation) -> Iterator[Trouble]:
    bridge = seen.bridge
    if not isinstance(bridge, BridgeReport):
        return
    paused = by_operation(bridge.maintenance)
    failing = [
        one
        for one in bridge.interfaces
        if (one.circuit != "closed" or one.failing_since) and one.operation not in paused
    ]
    diagnoses = {one.system: one for one in bridge.diagnoses}
    systems: dict[str, list[InterfaceReport]] = {}
    for one in failing:
        systems.setdefault(one.system, []).append(one)
    for system, ones in systems.items():
        began = min((one.failing_since for one in ones if one.failing_since), default=0)
        others = [
            one
            for one in bridge.interfaces
            if one not in ones and one.system == system and one.last_success > (began or seen.now)
        ]
        opened = sorted(one.operation for one in ones if one.circuit != "closed")
        worst = max(ones, key=lambda one: one.failures)
        names = some([one.operation for one in ones])
        diagnosis = diagnoses.get(system)
        # the one that was tried by itself is a query, and harmless
        tried = worst.operation if diagnosis is None else diagnosis.operation
        said = cause(worst, diagnosis)
        why = worst.reason or tr("no usable answer")
        if diagnosis is not None:
            seconds = max(0, seen.now - diagnosis.at) // 1000
            why += tr(
                "; {operation} was tried {seconds} s ago: {found}",
                operation=diagnosis.operation,
                seconds=seconds,
                found=found(diagnosis),
            )
        yield Trouble(
            Level.CRITICAL if opened else Level.WARNING,
            "interface-failing" if others else "system-failing",
            tr("the system {system} fails for {names}: {said}", system=system, names=names, said=said)
            if others
            else tr("the system {system} does not answer as it should: {said}", system=system, said=said),
            why + (tr("; left alone for the moment: {opened}", opened=some(opened)) if opened else ""),
            began,
            hurts=tr("{names}: queries are answered 503 or 502, commands wait", names=names),
            mend=tr("it answers again: bridgectl circuit close {operation}", operation=diagnosis.operation)
            if diagnosis is not None and diagnosis.well and diagnosis.operation in opened and diagnosis.at > began
            else tr("see to the bridge's own database: it answers these itself")
            if _own(worst.operation)
            else tr("see to that system; bridgectl probe {operation} shows what it answers", operation=tried),
        )


def _own(operation: str) -> bool:
    """Whether the bridge answers it itself. The catalogue is half of what a status needs to import, and mostly no
    interface fails."""
    from protocol.operations import OWN

    return operation in OWN


def announced(seen: Observation) -> Iterator[Trouble]:
    front = seen.front
    if not isinstance(front, FrontReport) or not front.bridges:
        return
    states: dict[str, set[str]] = {}
    for one in front.bridges:
        maintained = by_operation(one.maintenance)
        for operation, state in one.operations.items():
            states.setdefault(operation, set()).add("maintained" if operation in maintained else state)
    # what is maintained is left alone by somebody's will: that is no fault
    paused = sorted(name for name, found in states.items() if "paused" in found and found <= {"paused", "maintained"})
    if paused:
        yield Trouble(
            Level.CRITICAL,
            "operations-paused",
            tr("the bridges leave alone: {paused}", paused=", ".join(paused)),
            tr("their interfaces fail"),
            hurts=tr("queries are answered 503 with Retry-After, commands wait"),
            mend=tr("on the intranet host: bridgectl status"),
            because=("system-failing", "interface-failing"),
        )
    if front.unserved:
        yield Trouble(
            Level.WARNING,
            "operation-unserved",
            tr("no bridge serves {unserved}", unserved=some(front.unserved)),
            tr("bound nowhere"),
            hurts=tr("callers get 502"),
            mend=tr("bind it (config/bindings/) and bridgectl reload bridge, or take its scope from applications"),
        )


def long_pauses(seen: Observation) -> Iterator[Trouble]:
    for report in seen.reports():
        for pause in report.maintenance:
            if pause.until or seen.now - pause.since < _LONG_PAUSE_MS:
                continue
            names = some(pause.operations)
            yield Trouble(
                Level.WARNING,
                "paused-for-long",
                tr("{names} paused for long at {name}, without an end", names=names, name=report.name),
                tr("by {by}", by=pause.by) + (f": {pause.reason}" if pause.reason else ""),
                pause.since,
                hurts=tr("queries are answered 503, commands wait"),
                mend=f"bridgectl resume --side {report.role} {' '.join(pause.operations)}"
                if len(pause.operations) <= _FEW
                else f"bridgectl resume --side {report.role} --all",
            )


def unbound(seen: Observation) -> Iterator[Trouble]:
    bridge = seen.bridge
    if isinstance(bridge, BridgeReport) and bridge.unbound and not isinstance(seen.front, FrontReport):
        yield Trouble(
            Level.WARNING,
            "operation-unserved",
            tr("{bridge} does not serve {unbound}", bridge=bridge.name, unbound=some(bridge.unbound)),
            tr("not bound"),
            hurts=tr("callers get 502 if no other bridge serves it"),
            mend=tr("bind it (config/bindings/)"),
        )

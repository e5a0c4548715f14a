"""What is wrong, by what was seen: a pure judgement. Consequences are folded under their cause, the cause comes first.

Each rule gives a `Trouble`; a rule's place in `RULES` is its place in the chain of causes: what a host's disk does to a
ledger comes before what the ledger's silence does to callers. A later trouble that names an earlier one in `because` is
shown under it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from bridgectl.status.causes import cause, found
from bridgectl.status.observation import Observation, Silence, Silent
from protocol.maintenance import by_operation
from protocol.messages import Role
from protocol.reports import BridgeReport, FileReport, FrontReport, InterfaceReport, LinkReport, StoreReport

_DAY_MS = 86_400_000
_WARN_DAYS = 30
_OLD_MS = 5 * 60_000
_LATELY_MS = 10 * 60_000
_SKEW_MS = 30_000
_LONG_PAUSE_MS = _DAY_MS
_FEW = 5
_DISK_WARN, _DISK_BYTES, _DISK_FULL = 0.10, 1 << 30, 100 << 20
_SLOW_MS = 1_000.0
_USED_WARN, _USED_FULL = 80, 99
_PROGRAMS = {Role.FRONT: "dmz-front", Role.BRIDGE: "intranet-bridge"}
_CERTIFICATES = ("certificate-expired", "certificate-unreadable", "certificate-wrong")


class Level(IntEnum):
    """How bad it is. The numbers are exit codes of monitoring plug-ins (Monitoring Plugins Development Guidelines)."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong."""

    level: Level
    key: str
    """Which kind, for programs and runbooks: `broker-unreachable`."""
    what: str
    why: str = ""
    since: int = 0
    """Epoch milliseconds; 0: not known."""
    hurts: str = ""
    """Whom, and how."""
    mend: str = ""
    """The one command, or the one thing to do."""
    because: tuple[str, ...] = ()
    """Keys of troubles that explain this one, if they are there."""
    consequences: tuple["Trouble", ...] = ()


def troubles(seen: Observation) -> list[Trouble]:
    """All that is wrong, the worst first, consequences under their causes."""
    found = [trouble for rule in RULES for trouble in rule(seen)]
    keys = {trouble.key for trouble in found}
    roots = [trouble for trouble in found if not keys.intersection(trouble.because)]
    folded = []
    for root in roots:
        under = tuple(
            one for one in found if one is not root and root.key in one.because and _first(one, keys) == root.key
        )
        folded.append(replace(root, consequences=under))
    order = {Level.CRITICAL: 0, Level.UNKNOWN: 1, Level.WARNING: 2}
    return sorted(folded, key=lambda trouble: order[trouble.level])


def _first(trouble: Trouble, keys: set[str]) -> str:
    return next(key for key in trouble.because if key in keys)


def runbook(trouble: Trouble) -> str:
    """The page of docs/ about it. What can befall either daemon has one page."""
    befalls = re.sub("^(front|bridge)-(down|stuck|misconfigured|not-asked)$", r"\2", trouble.key)
    return f"docs/runbooks/{befalls}.md"


def verdict(found: Sequence[Trouble]) -> Level:
    """The exit code."""
    levels = {trouble.level for trouble in found}
    return next((level for level in (Level.CRITICAL, Level.UNKNOWN, Level.WARNING) if level in levels), Level.OK)


# --- rules, causes before consequences --------------------------------------------------------------------


def _silent_daemons(seen: Observation) -> Iterator[Trouble]:
    for silent in (seen.front, seen.bridge):
        if not isinstance(silent, Silent):
            continue
        program = _PROGRAMS[silent.role]
        hurts = {
            Role.FRONT: "nobody is answered, if it is the only front",
            Role.BRIDGE: "no query is answered, commands wait, if it is the only bridge",
        }[silent.role]
        match silent.why:
            case Silence.NOT_RUNNING:
                yield Trouble(
                    Level.CRITICAL,
                    f"{silent.role.value}-down",
                    f"{program} does not run on this host",
                    silent.detail,
                    hurts=hurts,
                    mend=f"systemctl restart {program}; journalctl -u {program} -n 20 says why it ended",
                )
            case Silence.STUCK:
                yield Trouble(
                    Level.CRITICAL,
                    f"{silent.role.value}-stuck",
                    f"{program} runs and does not answer",
                    silent.detail,
                    hurts=hurts,
                    mend=f"systemctl restart {program}",
                )
            case Silence.MISCONFIGURED:
                yield Trouble(
                    Level.CRITICAL,
                    f"{silent.role.value}-misconfigured",
                    f"{program} cannot be asked",
                    silent.detail,
                    mend="mend what is named",
                )
            case _:
                yield Trouble(
                    Level.UNKNOWN,
                    f"{silent.role.value}-not-asked",
                    f"{program} was not asked",
                    silent.detail,
                    mend="run bridgectl as root" if silent.why is Silence.NOT_ALLOWED else "set [control] socket",
                )


def _certificates(seen: Observation) -> Iterator[Trouble]:
    for report in _reports(seen):
        for file in report.certificates:
            yield from _certificate(file, report, seen.now)


def _certificate(file: FileReport, report: FrontReport | BridgeReport, now: int) -> Iterator[Trouble]:
    what = f"the certificate of {report.name} for {file.use}"
    mend = f"renew {file.path} (certs/README.md), then on its host: bridgectl reload"
    if file.trouble:
        yield Trouble(
            Level.CRITICAL,
            "certificate-unreadable",
            f"{what} cannot be read",
            f"{file.path}: {file.trouble}",
            hurts="the next connection fails",
            mend=mend,
        )
    elif file.not_after is not None and file.not_after <= now:
        yield Trouble(
            Level.CRITICAL,
            "certificate-expired",
            f"{what} has expired",
            file.path,
            since=file.not_after,
            hurts="no new connection is made with it",
            mend=mend,
        )
    elif file.objection:
        yield Trouble(
            Level.CRITICAL,
            "certificate-wrong",
            f"{what} is not one for it",
            file.objection,
            hurts="the broker lets it do nothing, or does not let it in",
            mend=f"put the right one at {file.path} (bridgectl certs show), then systemctl restart {_program(report)}",
        )
    elif file.not_after is not None and file.not_after - now < _WARN_DAYS * _DAY_MS:
        days = (file.not_after - now) // _DAY_MS
        yield Trouble(
            Level.WARNING,
            "certificate-expires",
            f"{what} expires in {days} days",
            file.path,
            mend=mend,
        )


def _stores(seen: Observation) -> Iterator[Trouble]:
    for report in _reports(seen):
        yield from _store(report.store, report)


def _ill(store: StoreReport) -> str:
    """What is wrong with a database. A daemon of an older release says it in words alone."""
    words = {
        "full": "full", "malformed": "damaged", "not a database": "damaged", "waits": "locked", "locked": "locked",
    }  # fmt: skip
    said = next((ill for word, ill in words.items() if word in store.trouble), "failing" if store.trouble else "")
    return store.ill or said


def _store(store: StoreReport, report: FrontReport | BridgeReport) -> Iterator[Trouble]:
    name = "ledger" if isinstance(report, FrontReport) else "inbox"
    hurts = "commands are refused with 503" if name == "ledger" else "commands wait on the broker"
    ill = _ill(store)
    full = ill == "full" or (store.free_bytes is not None and store.free_bytes < _DISK_FULL and ill != "damaged")
    remote = store.place.startswith("postgres")
    if full:
        free = "" if store.free_bytes is None else f"{store.free_bytes >> 20} MB are free; "
        yield Trouble(
            Level.CRITICAL,
            "disk-full",
            f"the disk under the {name} of {report.name} is full",
            f"{free}{store.trouble}".rstrip("; "),
            hurts=hurts,
            mend=f"free space under {store.place}",
        )
    elif ill == "damaged":
        yield Trouble(
            Level.CRITICAL,
            "database-damaged",
            f"the {name} of {report.name} is damaged",
            store.trouble if store.place in store.trouble else f"{store.place}: {store.trouble}",
            hurts=hurts,
            mend=f"systemctl stop {_program(report)}; bridgectl restore FILE --yes; systemctl start {_program(report)}",
        )
    elif ill == "unreachable":
        yield Trouble(
            Level.CRITICAL,
            "database-unreachable",
            f"the database of {report.name}'s {name} does not answer",
            f"{store.place}: {store.trouble}",
            hurts=hurts,
            mend="on the database's host: systemctl start postgresql",
        )
    elif ill:
        yield Trouble(
            Level.CRITICAL,
            "database-locked" if ill == "locked" else "database-failing",
            f"the {name} of {report.name} cannot be written",
            f"{store.place}: {store.trouble}",
            hurts=hurts,
            mend="end the session that holds its rows (the page has the query)"
            if remote
            else f"find who holds it: fuser -v {store.place}",
        )
    elif store.write_ms > _SLOW_MS:
        yield Trouble(
            Level.WARNING,
            "database-slow",
            f"the {name} of {report.name} is slow",
            f"a write took {store.write_ms / 1000:.1f} s",
            hurts="every command waits so long",
            mend="see what else uses the disk: iostat -x 1",
        )
    little = min(_DISK_BYTES, _DISK_WARN * (store.total_bytes or 0))
    if not full and store.free_bytes is not None and store.free_bytes < little:
        yield Trouble(
            Level.WARNING,
            "disk-nearly-full",
            f"the disk under the {name} of {report.name} fills up",
            f"{store.free_bytes >> 20} MB of {(store.total_bytes or 0) >> 20} are free",
            mend=f"free space under {store.place}",
        )


def _backups(seen: Observation) -> Iterator[Trouble]:
    for report in _reports(seen):
        backup = report.backup
        late = backup.last and report.now - backup.last > 2 * backup.every_hours * 3_600_000
        if backup.folder and (backup.trouble or late):
            yield Trouble(
                Level.WARNING,
                "backup-failing",
                f"the database of {report.name} is not backed up",
                f"{backup.folder}: {backup.trouble or 'the latest is too old'}",
                since=backup.last,
                hurts="what is accepted meanwhile would be lost with the disk",
                mend=f"bridgectl backup {backup.folder} --side {report.role} says what is wrong",
                because=("disk-full", "database-damaged", "database-unreachable", "database-locked"),
            )


def _broker(seen: Observation) -> Iterator[Trouble]:
    because = _CERTIFICATES
    down = [(report, link) for report in _reports(seen) for link in report.links if not link.connected]
    whole = [report for report in _reports(seen) if report.links and not any(link.connected for link in report.links)]
    if whole or (seen.broker_trouble and not _reports(seen)):
        why = _why([link for report in whole for link in report.links]) or seen.broker_trouble
        who = " and ".join(report.name for report in whole) or "bridgectl"
        since = max((link.since for report in whole for link in report.links), default=0)
        refused = "certificate" in why or "TLS" in why
        yield Trouble(
            Level.CRITICAL,
            "broker-refuses" if refused else "broker-unreachable",
            f"{who} cannot reach the broker" if not refused else f"{who} and the broker do not accept each other",
            why,
            since,
            hurts="no query is answered; commands are kept and go out later",
            mend="bridgectl certs check" if refused else "on the DMZ host: systemctl restart activemq",
            because=because if refused else (),
        )
    elif down:
        names = ", ".join(f"{report.name} {link.name}" for report, link in down)
        why = _why([link for _, link in down])
        yield Trouble(
            Level.CRITICAL,
            "link-down",
            f"not all links are up: {names}",
            why,
            max(link.since for _, link in down),
            mend="bridgectl doctor",
        )
    elif seen.broker_trouble:
        yield Trouble(
            Level.WARNING,
            "queues-unknown",
            "the broker does not say how its queues are",
            seen.broker_trouble,
            mend="bridgectl queues",
        )


def _draining(seen: Observation) -> Iterator[Trouble]:
    for report in _reports(seen):
        if report.drain is None:
            continue
        side = "front" if isinstance(report, FrontReport) else "bridge"
        left = ", ".join(f"{count} {kind}" for kind, count in report.drain.running.items() if count)
        yield Trouble(
            Level.WARNING,
            "draining",
            f"{report.name} takes nothing new, by the word of {report.drain.by}",
            f"still in hand: {left}" if left else "nothing is in hand: it is safe to stop",
            report.drain.since,
            hurts="callers of this front get 503 shutting-down"
            if side == "front"
            else "other bridges do its work, if any",
            mend=f"stop it, or bridgectl drain --undo --side {side}",
        )


def _bridges(seen: Observation) -> Iterator[Trouble]:
    front = seen.front
    if not isinstance(front, FrontReport):
        return
    because = (
        *_CERTIFICATES,
        "draining",
        "broker-unreachable",
        "broker-refuses",
        "link-down",
        "bridge-down",
        "bridge-stuck",
    )
    alone = not front.bridges
    for lost in front.lost_bridges:
        yield Trouble(
            Level.CRITICAL if alone else Level.WARNING,
            "bridge-silent",
            f"{lost.name} is silent",
            "it did not say that it leaves",
            lost.heard,
            hurts="no query is answered; commands wait" if alone else "the other bridges do its work",
            mend="on the intranet host: bridgectl status",
            because=because,
        )
    if alone and front.leaving_bridges:
        latest = max(front.leaving_bridges, key=lambda one: one.heard)
        yield Trouble(
            Level.CRITICAL,
            "bridge-leaves",
            f"{latest.name} has said that it leaves, and there is no other bridge",
            "it drains, or was stopped",
            hurts="no query is answered; commands wait",
            mend="on the intranet host: bridgectl drain --undo, or systemctl start intranet-bridge",
            because=because,
        )
    elif alone and not front.lost_bridges:
        since = front.started
        consumers = {queue.name: queue.consumers for queue in seen.queues or ()}
        connected = any(count for name, count in consumers.items() if name.startswith("bridge.query."))
        yield Trouble(
            Level.CRITICAL,
            "no-bridge",
            f"{front.name} understands no bridge" if connected else f"{front.name} has heard of no bridge",
            "one takes from the broker, and what it announces cannot be opened: the keys do not fit"
            if connected
            else "",
            since,
            hurts="no query is answered; commands wait",
            mend="bridgectl keys show, on both hosts" if connected else "on the intranet host: bridgectl status",
            because=because,
        )
    for one in front.bridges:
        skew = one.heard - one.said if one.said else 0
        if abs(skew) > _SKEW_MS:
            yield Trouble(
                Level.CRITICAL,
                "clock-off",
                f"the clocks of {front.name} and {one.name} are apart",
                f"by {skew / 1000:+.0f} s",
                hurts="messages are refused as too old or too new",
                mend="timedatectl, on both hosts",
            )


def _conflict(seen: Observation) -> Iterator[Trouble]:
    front, bridge = seen.front, seen.bridge
    stop = "systemctl stop intranet-bridge"
    if isinstance(front, FrontReport) and front.conflict:
        pairs = ", ".join(f"{name} keeps {inbox}" for inbox, name in front.conflict)
        wrong = [name for inbox, name in front.conflict if front.bound and inbox != front.bound]
        right = [name for inbox, name in front.conflict if inbox == front.bound]
        if not wrong:
            where = "the host of the copy" if len(right) > 1 else "the host of the one that is not meant"
            mend = f"on {where}: {stop} (bridgectl inbox show says which inbox is meant)"
        else:
            mend = f"on the host of {' and '.join(wrong)}: {stop}"
        if wrong and not right:  # the one that is meant is not there: it may be gone for good
            mend += f"; or, if {front.bound} is lost for good: bridgectl inbox bind {front.conflict[0][0]} --note WHY"
        yield Trouble(
            Level.CRITICAL,
            "inbox-conflict",
            "bridges of this region keep different inboxes" if wrong or not front.bound else "an inbox has a copy",
            pairs + (f"; commands are for {front.bound}" if front.bound else ""),
            hurts="no command is taken or called: it could be done twice",
            mend=mend,
        )
    elif isinstance(bridge, BridgeReport) and bridge.conflict:
        if bridge.meant and bridge.meant == bridge.inbox:
            what, mend = f"another bridge keeps an inbox beside {bridge.name}'s", f"on its host: {stop}"
            hurts = "the fronts take no command"
        elif bridge.meant:
            what, mend = f"fronts mean another inbox than {bridge.name}'s", f"here: {stop}"
            mend += f"; or, if {bridge.meant} is lost for good, on the front's host: "
            mend += f"bridgectl inbox bind {bridge.inbox} --note WHY"
            hurts = "no command is called here, the fronts take none"
        else:
            what, mend = f"the inbox of {bridge.name} has a copy", f"on the copy's host: {stop}"
            hurts = "no command is called here, the fronts take none"
        yield Trouble(
            Level.CRITICAL,
            "inbox-conflict",
            what,
            f"{bridge.name} keeps {bridge.inbox}" + (f", commands are for {bridge.meant}" if bridge.meant else ""),
            hurts=hurts,
            mend=mend,
        )


def _interfaces(seen: Observation) -> Iterator[Trouble]:
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
        names = _some([one.operation for one in ones])
        diagnosis = diagnoses.get(system)
        said = cause(worst, diagnosis)
        why = worst.reason or "no usable answer"
        if diagnosis is not None:
            seconds = max(0, seen.now - diagnosis.at) // 1000
            why += f"; {diagnosis.operation} was tried {seconds} s ago: {found(diagnosis)}"
        yield Trouble(
            Level.CRITICAL if opened else Level.WARNING,
            "interface-failing" if others else "system-failing",
            f"the system {system} fails for {names}: {said}"
            if others
            else f"the system {system} does not answer as it should: {said}",
            why + (f"; left alone for the moment: {_some(opened)}" if opened else ""),
            began,
            hurts=f"{names}: queries are answered 503 or 502, commands wait",
            mend=f"it answers again: bridgectl circuit close {diagnosis.operation}"
            if diagnosis is not None and diagnosis.well and diagnosis.operation in opened and diagnosis.at > began
            else f"see to that system; bridgectl probe {worst.operation} shows what it answers",
        )


def _paused(seen: Observation) -> Iterator[Trouble]:
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
            f"the bridges leave alone: {', '.join(paused)}",
            "their interfaces fail",
            hurts="queries are answered 503 with Retry-After, commands wait",
            mend="on the intranet host: bridgectl status",
            because=("system-failing", "interface-failing"),
        )
    if front.unserved:
        yield Trouble(
            Level.WARNING,
            "operation-unserved",
            f"no bridge serves {_some(front.unserved)}",
            "bound nowhere",
            hurts="callers get 502",
            mend="bind it (config/bindings/) and bridgectl reload bridge, or take its scope from applications",
        )


def _maintenance(seen: Observation) -> Iterator[Trouble]:
    for report in _reports(seen):
        for pause in report.maintenance:
            if pause.until or seen.now - pause.since < _LONG_PAUSE_MS:
                continue
            side = "front" if isinstance(report, FrontReport) else "bridge"
            names = _some(pause.operations)
            yield Trouble(
                Level.WARNING,
                "paused-for-long",
                f"{names} paused for long at {report.name}, without an end",
                f"by {pause.by}" + (f": {pause.reason}" if pause.reason else ""),
                pause.since,
                hurts="queries are answered 503, commands wait",
                mend=f"bridgectl resume --side {side} {' '.join(pause.operations)}"
                if len(pause.operations) <= _FEW
                else f"bridgectl resume --side {side} --all",
            )


def _unbound(seen: Observation) -> Iterator[Trouble]:
    bridge = seen.bridge
    if isinstance(bridge, BridgeReport) and bridge.unbound and not isinstance(seen.front, FrontReport):
        yield Trouble(
            Level.WARNING,
            "operation-unserved",
            f"{bridge.name} does not serve {_some(bridge.unbound)}",
            "not bound",
            hurts="callers get 502 if no other bridge serves it",
            mend="bind it (config/bindings/)",
        )


def _commands(seen: Observation) -> Iterator[Trouble]:
    because = (
        "broker-unreachable",
        "broker-refuses",
        "bridge-silent",
        "no-bridge",
        "bridge-down",
        "bridge-stuck",
        "system-failing",
        "interface-failing",
        "operations-paused",
        "draining",
        "bridge-leaves",
        "inbox-conflict",
        "front-down",
    )
    bridge, front = seen.bridge, seen.front
    if isinstance(bridge, BridgeReport):
        held = bridge.commands.by_state.get("held", 0)
        if held:
            yield Trouble(
                Level.WARNING,
                "commands-held",
                f"{held} command{'s' * (held > 1)} held for a decision",
                "their outcome is not known and may not be guessed",
                hurts="their callers wait",
                mend="bridgectl requests list; requests show ID asks about one; bridgectl requests resolve ID",
            )
    elif isinstance(front, FrontReport) and (held := front.commands.by_state.get("held", 0)):
        yield Trouble(
            Level.WARNING,
            "commands-held",
            f"{held} command{'s' * (held > 1)} held for a decision",
            "their outcome is not known and may not be guessed",
            hurts="their callers wait",
            mend="bridgectl requests list; bridgectl requests resolve ID (the evidence is on the bridge's host)",
        )
    for report in (front, bridge):
        if isinstance(report, FrontReport | BridgeReport):
            oldest = report.commands.oldest_unfinished
            if oldest and seen.now - oldest > _OLD_MS:
                yield Trouble(
                    Level.WARNING,
                    "commands-waiting",
                    f"commands wait at {report.name}",
                    "",
                    oldest,
                    mend="bridgectl requests list --state received --state unknown"
                    if report is bridge
                    else "once the bridge is well: bridgectl requests resend --all",
                    because=because,
                )
                return


def _broker_usage(seen: Observation) -> Iterator[Trouble]:
    if seen.usage is None:
        return
    store, temp = seen.usage.store, seen.usage.temp
    most = max(store, temp)
    if most >= _USED_WARN:
        full = most >= _USED_FULL
        yield Trouble(
            Level.CRITICAL if full else Level.WARNING,
            "broker-full",
            "the broker is full" if full else "the broker fills up",
            f"its store is at {store} %, its temporary space at {temp} % of what it may use",
            hurts="it takes nothing more: commands are kept at the fronts, or refused" if full else "",
            mend="bridgectl queues says what lies there; a bridge takes it away, for dead letters bridgectl dlq purge",
            because=("bridge-down", "bridge-stuck", "bridge-silent", "no-bridge", "bridge-leaves", "draining"),
        )


def _queues(seen: Observation) -> Iterator[Trouble]:
    because = (
        *_CERTIFICATES, "draining", "bridge-leaves", "broker-unreachable", "bridge-down", "bridge-stuck",
        "bridge-silent", "no-bridge",
    )  # fmt: skip
    for queue in seen.queues or ():
        if queue.dead_letters:
            yield Trouble(
                Level.WARNING,
                "dead-letters",
                f"{queue.dead_letters} dead letters of {queue.name}",
                "nobody could make anything of them",
                mend="bridgectl dlq list says why; bridgectl dlq redrive or purge",
            )
        if queue.name.startswith(("bridge.query.", "bridge.command.")) and not queue.consumers:
            yield Trouble(
                Level.CRITICAL,
                "queue-not-consumed",
                f"no bridge takes from {queue.name}",
                f"{queue.depth} wait",
                hurts="what is in it waits",
                mend="on the intranet host: systemctl restart intranet-bridge",
                because=because,
            )


def _denied(seen: Observation) -> Iterator[Trouble]:
    front = seen.front
    if not isinstance(front, FrontReport):
        return
    for one in front.denied:
        if seen.now - one.last > _LATELY_MS or not one.application:
            continue
        who = f"{one.count} request{'s' * (one.count > 1)} of {one.application}"
        if one.code == "unauthenticated":
            yield Trouble(
                Level.WARNING,
                "key-not-valid",
                f"{who} with a key that is not valid",
                f"key {one.key}: revoked, or of another front",
                one.last,
                hurts=f"{one.application} gets 401",
                mend="bridgectl apps list",
            )
        else:
            yield Trouble(
                Level.WARNING,
                "key-not-allowed",
                f"{who} for {one.operation} turned away",
                one.code,
                one.last,
                hurts=f"{one.application} gets 403",
                mend="bridgectl apps list",
            )


RULES: tuple[Callable[[Observation], Iterator[Trouble]], ...] = (
    _certificates,
    _silent_daemons,
    _stores,
    _backups,
    _broker,
    _draining,
    _bridges,
    _conflict,
    _interfaces,
    _paused,
    _maintenance,
    _unbound,
    _commands,
    _broker_usage,
    _queues,
    _denied,
)


def _reports(seen: Observation) -> list[FrontReport | BridgeReport]:
    return [report for report in (seen.front, seen.bridge) if isinstance(report, FrontReport | BridgeReport)]


def _program(report: FrontReport | BridgeReport) -> str:
    return "dmz-front" if isinstance(report, FrontReport) else "intranet-bridge"


def _why(links: Sequence[LinkReport]) -> str:
    return "; ".join(dict.fromkeys(link.trouble for link in links if link.trouble))


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"

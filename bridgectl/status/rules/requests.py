"""Requests: commands that are held or wait, and applications that are turned away."""

from collections.abc import Iterator

from bridgectl.status.observation import Observation
from bridgectl.status.trouble import Level, Trouble
from protocol.reports import BridgeReport, FrontReport

_OLD_MS = 5 * 60_000
_LATELY_MS = 10 * 60_000


def commands(seen: Observation) -> Iterator[Trouble]:
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


def denials(seen: Observation) -> Iterator[Trouble]:
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

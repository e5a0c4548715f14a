"""Requests: commands that are held or wait, and applications that are turned away."""

from collections.abc import Iterator

from bridgectl.language import noted, tr, trn
from bridgectl.status.observation import Observation
from bridgectl.status.trouble import Level, Trouble
from protocol.credential_kinds import CERTIFICATE, SIGNATURE
from protocol.reports.admission import DeniedReport
from protocol.reports.bridge import BridgeReport
from protocol.reports.front import FrontReport

_OLD_MS = 5 * 60_000
_SHOWN = (noted("signature"), noted("certificate"))
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
        "ceiling-met",
        "front-down",
    )
    bridge, front = seen.bridge, seen.front
    if isinstance(bridge, BridgeReport):
        held = bridge.commands.by_state.get("held", 0)
        if held:
            yield Trouble(
                Level.WARNING,
                "commands-held",
                trn("{count} command held for a decision", "{count} commands held for a decision", held),
                tr("their outcome is not known and may not be guessed"),
                hurts=tr("their callers wait"),
                mend=tr("bridgectl requests list; requests show ID asks about one; bridgectl requests resolve ID"),
            )
    elif isinstance(front, FrontReport) and (held := front.commands.by_state.get("held", 0)):
        yield Trouble(
            Level.WARNING,
            "commands-held",
            trn("{count} command held for a decision", "{count} commands held for a decision", held),
            tr("their outcome is not known and may not be guessed"),
            hurts=tr("their callers wait"),
            mend=tr("bridgectl requests list; bridgectl requests resolve ID (the evidence is on the bridge's host)"),
        )
    for report in (front, bridge):
        if isinstance(report, FrontReport | BridgeReport):
            oldest = report.commands.oldest_unfinished
            if oldest and seen.now - oldest > _OLD_MS:
                yield Trouble(
                    Level.WARNING,
                    "commands-waiting",
                    tr("commands wait at {name}", name=report.name),
                    "",
                    oldest,
                    mend="bridgectl requests list --state received --state unknown"
                    if report is bridge
                    else tr("once the bridge is well: bridgectl requests resend --all --yes"),
                    because=because,
                )
                return


_KNOWN_CEILINGS = {
    "front": (noted("a front that is not in the bridge's configuration"), noted("add it under [fronts]")),
    "application": (noted("an application that is not in the bridge's configuration"), noted("add it under [fronts]")),
    "operation": (noted("it may not ask for this"), noted("let its operations in under [fronts] or [ceilings]")),
    "rate": (noted("more requests a second than its ceiling"), noted("raise rate")),
    "accounts": (noted("more different accounts an hour than its ceiling"), noted("raise accounts")),
    "attachments": (noted("more bytes of attachments kept than its ceiling"), noted("raise attachment_bytes")),
}


_HURTS = dict.fromkeys(("rate", "accounts"), noted("its queries are refused, its commands wait here"))
_HURTS["attachments"] = noted("its commands with files wait, and fail when their files do not come")


def ceilings(seen: Observation) -> Iterator[Trouble]:
    """Each ceiling of the bridge that was met lately, by front and application."""
    bridge = seen.bridge
    if not isinstance(bridge, BridgeReport):
        return
    for one in bridge.ceilings:
        who = f"{one.front}/{one.application}" if one.application else one.front
        what, allow = _KNOWN_CEILINGS.get(one.ceiling, (one.ceiling, noted("mend [ceilings]")))
        limit = tr(" of {limit:g}", limit=one.limit) if one.limit else ""
        named = f" ({one.operation})" if one.operation else ""
        yield Trouble(
            Level.CRITICAL,
            "ceiling-met",
            tr("{who} met the ceiling {ceiling}", who=who, ceiling=one.ceiling),
            tr("{what}; {count} times since then", what=tr(what) + limit + named, count=one.count),
            one.since,
            hurts=tr(_HURTS.get(one.ceiling, noted("what it asks is refused"))),
            mend=tr(
                "if it is yours: {allow} in intranet_bridge.toml, bridgectl reload; if not: it was taken over",
                allow=tr(allow),
            ),
        )


def denials(seen: Observation) -> Iterator[Trouble]:
    front = seen.front
    if not isinstance(front, FrontReport):
        return
    for one in front.denied:
        if seen.now - one.last > _LATELY_MS or not one.application:
            continue
        who = trn(
            "{count} request of {application}",
            "{count} requests of {application}",
            one.count,
            application=one.application,
        )
        if one.code == "unauthenticated":
            yield Trouble(
                Level.WARNING,
                "key-not-valid",
                tr("{who} with a key that is not valid", who=who),
                tr("key {key}: revoked, or of another front", key=one.key),
                one.last,
                hurts=tr("{application} gets 401", application=one.application),
                mend=tr("if it may come in: {command} makes a key; bridgectl apps list", command=_new_key(one)),
            )
        elif (kind := one.code.partition("-")[0]) in (CERTIFICATE, SIGNATURE):
            yield Trouble(
                Level.WARNING,
                "key-not-valid",
                tr("{who} turned away: its {kind} is missing or not taken", who=who, kind=tr(kind)),
                one.code,
                one.last,
                hurts=tr("{application} gets 401", application=one.application),
                mend=f"bridgectl apps {kind} list {one.application}",
            )
        else:
            yield Trouble(
                Level.WARNING,
                "key-not-allowed",
                tr("{who} for {operation} turned away", who=who, operation=one.operation),
                one.code,
                one.last,
                hurts=tr("{application} gets 403", application=one.application),
                mend="bridgectl apps list",
            )


def _new_key(one: DeniedReport) -> str:
    what = f"rotate {one.application}" if one.active else f"add {one.application} --scope SCOPE"
    return f"bridgectl apps {what}"

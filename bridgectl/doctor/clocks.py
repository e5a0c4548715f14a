"""Whose clock is how far from this host's: bridges' by their presence, the broker's by a message of our own, fronts'
by what the bridge's metrics say of their requests.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bridgectl.doctor import wire
from bridgectl.doctor.finding import Finding, Status
from bridgectl.doctor.wire import Address
from bridgectl.language import tr
from protocol import destinations
from protocol.envelope import SKEW_MS, Kind, Opener
from protocol.errors import EnvelopeError, ForAnother, WrongKind
from protocol.frames import unpack
from protocol.keyring import Keyring
from protocol.link.tls import client_context
from protocol.messages import WIRE_VERSION
from protocol.presence import Availability, Presence
from protocol.runtime.clock import Clock
from protocol.runtime.settings import LinkSection

WARN_S = 5.0
FAIL_S = 60.0
_MORE_S = 2.5
"""Presence comes every two seconds: who has not been heard so long after the first is not there."""


@dataclass(slots=True)
class Announced:
    """What came on the presence topic while we listened."""

    ahead_s: dict[str, float] = field(default_factory=dict)
    """Bridge → seconds its clock is ahead, at least."""
    last: dict[str, Presence] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    """Why messages were not believed."""
    error: str = ""
    """Why it could not be listened to."""


# --- judgements -------------------------------------------------------------------------------------------


def judge_clock(subject: str, ahead_s: float) -> Finding:
    """A clock that is so many seconds ahead of ours (negative: behind)."""
    apart = abs(ahead_s)
    seen = (
        tr("{apart:.1f} s ahead of this host's clock", apart=apart)
        if ahead_s > 0
        else tr("{apart:.1f} s behind this host's clock", apart=apart)
    )
    if apart <= WARN_S:
        return Finding("clock", subject, Status.OK, seen)
    action = tr(
        "set both clocks by NTP: queries expire early, and beyond {skew_ms} s nothing is accepted",
        skew_ms=SKEW_MS // 1000,
    )
    return Finding("clock", subject, Status.FAIL if apart > FAIL_S else Status.WARN, seen, action)


def judge_presence(announced: Announced, region: str, listened_s: float, bound: str = "") -> Iterator[Finding]:
    """Which bridges are there, whether their clocks are right, and whether they keep the inbox `bound`."""
    if announced.error:
        yield Finding(
            "presence",
            region,
            Status.FAIL,
            tr("cannot be listened to: {error}", error=announced.error),
            tr("mend [link] first"),
        )
        return
    for why, count in announced.refused.items():
        action = tr("the hosts' keys do not fit: copy trusted.json and the keyrings anew (bridgectl keys show)")
        yield Finding(
            "presence", region, Status.FAIL, tr("{count} messages not believed: {why}", count=count, why=why), action
        )
    for name, presence in sorted(announced.last.items()):
        yield _judge_bridge(name, presence)
        yield judge_clock(name, announced.ahead_s[name])
    yield from _judge_inboxes(announced.last, region, bound)
    if not announced.last and not announced.refused:
        seen = tr("no bridge announced itself within {listened_s:.0f} s", listened_s=listened_s)
        action = tr("see that intranet-bridge runs, and that it reaches the broker")
        yield Finding("presence", region, Status.FAIL, seen, action)


def _judge_bridge(name: str, presence: Presence) -> Finding:
    paused = sorted(one for one, state in presence.operations.items() if state is Availability.PAUSED)
    if presence.leaving:
        return Finding("presence", name, Status.WARN, tr("is leaving"), tr("start it again, or remove it for good"))
    if presence.version != WIRE_VERSION:
        seen = tr(
            "speaks wire version {version}; this host {wire_version}",
            version=presence.version,
            wire_version=WIRE_VERSION,
        )
        return Finding("presence", name, Status.WARN, seen, tr("update the older side"))
    if paused:
        action = tr("the marketing system does not answer these: see the bridge's log")
        return Finding("presence", name, Status.WARN, tr("paused: {paused}", paused=", ".join(paused)), action)
    seen = tr(
        "is there, version {software}, serves {operations} operations",
        software=presence.software or tr("unknown"),
        operations=len(presence.operations),
    )
    return Finding("presence", name, Status.OK, seen)


def _judge_inboxes(last: Mapping[str, Presence], region: str, bound: str) -> Iterator[Finding]:
    kept: dict[str, list[str]] = {}
    for name, presence in sorted(last.items()):
        if presence.inbox and not presence.leaving:
            kept.setdefault(presence.inbox, []).append(name)
    files = {presence.inbox for presence in last.values() if not presence.inbox_shared}
    copies = [names for inbox, names in kept.items() if inbox in files and len(names) > 1]
    action = tr("stop all but one, or give them one PostgreSQL inbox; the fronts take no command meanwhile")
    if len(kept) > 1:
        seen = "; ".join(
            tr("{names} keep {inbox}", names=", ".join(names), inbox=inbox) for inbox, names in sorted(kept.items())
        )
        yield Finding("inbox", region, Status.FAIL, tr("bridges keep different inboxes: {seen}", seen=seen), action)
    elif bound and kept and bound not in kept:
        seen = tr(
            "the fronts' commands are for {bound}, and the bridges keep {next}", bound=bound, next=next(iter(kept))
        )
        action = tr("start a bridge with that inbox; if it is gone for good, say so: bridgectl inbox bind")
        yield Finding("inbox", region, Status.FAIL, seen, action)
    elif copies:
        yield Finding(
            "inbox",
            region,
            Status.FAIL,
            tr("{copies} keep copies of one inbox file", copies=", ".join(copies[0])),
            action,
        )
    elif kept:
        yield Finding("inbox", region, Status.OK, tr("all bridges keep {next}", next=next(iter(kept))))


def judge_fronts(ahead_s: Mapping[str, float]) -> Iterator[Finding]:
    """What a bridge's metrics say of the fronts' clocks."""
    for name, seconds in sorted(ahead_s.items()):
        yield judge_clock(name, seconds)


# --- looking ----------------------------------------------------------------------------------------------


def listen(
    address: Address, link: LinkSection, region: str, keyring: Keyring, clock: Clock, patience_s: float
) -> Announced:
    """Listen on the presence topic as a front would, with a front's certificate and keys.

    Raises ConfigurationError for certificate files that cannot be used.
    """
    announced, opener = Announced(), Opener(keyring)
    try:
        with wire.Stomp(address, client_context(link.ca, link.certificate, link.key), patience_s) as stomp:
            stomp.connect()
            stomp.send("SUBSCRIBE", id="1", destination=destinations.presence(region), ack="auto")
            end = time.monotonic() + patience_s
            while (left := end - time.monotonic()) > 0:
                frame = stomp.receive(left)
                if frame.cmd == "ERROR":
                    announced.error = wire.error_text(frame)
                    break
                first = not announced.last
                _hear(announced, opener, frame.body, clock())
                if first and announced.last:
                    end = min(end, time.monotonic() + _MORE_S)
    except wire.Silent:
        pass
    except (wire.Closed, OSError) as error:
        announced.error = wire.reason(error)
    return announced


def _hear(announced: Announced, opener: Opener, body: bytes, now_ms: int) -> None:
    try:
        members: Iterable[bytes] = unpack(body)
        for envelope in members:
            try:
                opened = opener.authentic(envelope)  # however far its date is off: that is what we are here to see
            except ForAnother:
                continue  # a bridge says it to each group of fronts
            if opened.kind is not Kind.PRESENCE:
                raise WrongKind("not presence")
            presence = Presence.from_payload(opened.payload)
            ahead = (opened.attributes.time - now_ms) / 1000
            # the way takes time, so the largest is nearest the truth
            announced.ahead_s[presence.instance] = max(ahead, announced.ahead_s.get(presence.instance, ahead))
            announced.last[presence.instance] = presence
    except EnvelopeError as error:
        announced.refused[error.reason] += 1


def broker_ahead(address: Address, link: LinkSection, clock: Clock, timeout_s: float) -> float | str:
    """Seconds the broker's clock is ahead, by the timestamp it puts on a message of ours; or why it is not known.

    `link` is the administrator's: only an administrator may read what it writes. Raises ConfigurationError.
    """
    queue = f"/queue/bridge.admin.doctor-{os.getpid()}"
    try:
        with wire.Stomp(address, client_context(link.ca, link.certificate, link.key), timeout_s) as stomp:
            frame = stomp.connect()
            if frame.cmd == "CONNECTED":
                stomp.send("SUBSCRIBE", id="1", destination=queue, ack="auto")
                before = clock()
                stomp.send("SEND", b"time", destination=queue, content_length="4")
                frame = stomp.receive()
            after = clock()
            if frame.cmd != "MESSAGE":
                return wire.error_text(frame)
            said = int(frame.headers.get("timestamp", "0"))
    except wire.Silent:
        return tr("no answer")
    except (wire.Closed, OSError, ValueError) as error:
        return wire.reason(error)
    # it was stamped between the two: within them nothing can be told
    return (said - after if said > after else said - before if said < before else 0) / 1000

"""The bridges as a front hears of them: silent, leaving, their clocks, and which inbox is meant."""

from collections.abc import Iterator

from bridgectl.language import tr
from bridgectl.status.observation import Observation
from bridgectl.status.rules.certificates import CERTIFICATES
from bridgectl.status.trouble import Level, Trouble
from protocol.reports.bridge import BridgeReport
from protocol.reports.front import FrontReport

_SKEW_MS = 30_000


def presence(seen: Observation) -> Iterator[Trouble]:
    front = seen.front
    if not isinstance(front, FrontReport):
        return
    because = (
        *CERTIFICATES,
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
            tr("{lost} is silent", lost=lost.name),
            tr("it did not say that it leaves"),
            lost.heard,
            hurts=tr("no query is answered; commands wait") if alone else tr("the other bridges do its work"),
            mend=tr("on the intranet host: bridgectl status"),
            because=because,
        )
    if alone and front.leaving_bridges:
        latest = max(front.leaving_bridges, key=lambda one: one.heard)
        yield Trouble(
            Level.CRITICAL,
            "bridge-leaves",
            tr("{latest} has said that it leaves, and there is no other bridge", latest=latest.name),
            tr("it drains, or was stopped"),
            hurts=tr("no query is answered; commands wait"),
            mend=tr("on the intranet host: bridgectl drain --undo, or systemctl start intranet-bridge"),
            because=because,
        )
    elif alone and not front.lost_bridges:
        since = front.started
        consumers = {queue.name: queue.consumers for queue in seen.queues or ()}
        connected = any(count for name, count in consumers.items() if name.startswith("bridge.query."))
        yield Trouble(
            Level.CRITICAL,
            "no-bridge",
            tr("{front} understands no bridge", front=front.name)
            if connected
            else tr("{front} has heard of no bridge", front=front.name),
            tr("one takes from the broker, and what it announces cannot be opened: the keys do not fit")
            if connected
            else "",
            since,
            hurts=tr("no query is answered; commands wait"),
            mend=tr("bridgectl keys show, on both hosts")
            if connected
            else tr("on the intranet host: bridgectl status"),
            because=because,
        )
    for one in front.bridges:
        skew = one.heard - one.said if one.said else 0
        if abs(skew) > _SKEW_MS:
            yield Trouble(
                Level.CRITICAL,
                "clock-off",
                tr("the clocks of {front} and {name} are apart", front=front.name, name=one.name),
                tr("by {skew:+.0f} s", skew=skew / 1000),
                hurts=tr("messages are refused as too old or too new"),
                mend=tr("timedatectl, on both hosts"),
            )


def inboxes(seen: Observation) -> Iterator[Trouble]:
    front, bridge = seen.front, seen.bridge
    stop = "systemctl stop intranet-bridge"
    if isinstance(front, FrontReport) and front.conflict:
        pairs = ", ".join(tr("{name} keeps {inbox}", name=name, inbox=inbox) for inbox, name in front.conflict)
        wrong = [name for inbox, name in front.conflict if front.bound and inbox != front.bound]
        right = [name for inbox, name in front.conflict if inbox == front.bound]
        if not wrong:
            where = tr("the host of the copy") if len(right) > 1 else tr("the host of the one that is not meant")
            mend = tr("on {where}: {stop} (bridgectl inbox show says which inbox is meant)", where=where, stop=stop)
        else:
            mend = tr("on the host of {wrong}: {stop}", wrong=tr(" and ").join(wrong), stop=stop)
        if wrong and not right:  # the one that is meant is not there: it may be gone for good
            mend += tr(
                "; or, if {bound} is lost for good: bridgectl inbox bind {inbox} --note WHY",
                bound=front.bound,
                inbox=front.conflict[0][0],
            )
        yield Trouble(
            Level.CRITICAL,
            "inbox-conflict",
            tr("bridges of this region keep different inboxes")
            if wrong or not front.bound
            else tr("an inbox has a copy"),
            pairs + (tr("; commands are for {bound}", bound=front.bound) if front.bound else ""),
            hurts=tr("no command is taken or called: it could be done twice"),
            mend=mend,
        )
    elif isinstance(bridge, BridgeReport) and bridge.conflict:
        if bridge.meant and bridge.meant == bridge.inbox:
            what, mend = (
                tr("another bridge keeps an inbox beside {bridge}'s", bridge=bridge.name),
                tr("on its host: {stop}", stop=stop),
            )
            hurts = tr("the fronts take no command")
        elif bridge.meant:
            what, mend = (
                tr("fronts mean another inbox than {bridge}'s", bridge=bridge.name),
                tr("here: {stop}", stop=stop),
            )
            mend += tr(
                "; or, if {meant} is lost for good, on the front's host: bridgectl inbox bind {inbox} --note WHY",
                meant=bridge.meant,
                inbox=bridge.inbox,
            )
            hurts = tr("no command is called here, the fronts take none")
        else:
            what, mend = (
                tr("the inbox of {bridge} has a copy", bridge=bridge.name),
                tr("on the copy's host: {stop}", stop=stop),
            )
            hurts = tr("no command is called here, the fronts take none")
        yield Trouble(
            Level.CRITICAL,
            "inbox-conflict",
            what,
            tr("{bridge} keeps {inbox}", bridge=bridge.name, inbox=bridge.inbox)
            + (tr(", commands are for {meant}", meant=bridge.meant) if bridge.meant else ""),
            hurts=hurts,
            mend=mend,
        )

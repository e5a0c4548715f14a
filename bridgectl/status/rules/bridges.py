"""The bridges as a front hears of them: silent, leaving, their clocks, and which inbox is meant."""

from collections.abc import Iterator

from bridgectl.status.observation import Observation
from bridgectl.status.rules.certificates import CERTIFICATES
from bridgectl.status.trouble import Level, Trouble
from protocol.reports import BridgeReport, FrontReport

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


def inboxes(seen: Observation) -> Iterator[Trouble]:
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

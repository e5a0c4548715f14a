"""Notices outward: those that no front takes, that no application accepts, and that were given up."""

from collections.abc import Iterator

from bridgectl.language import tr, trn
from bridgectl.status.observation import Observation
from bridgectl.status.trouble import Level, Trouble
from protocol.reports.bridge import BridgeReport
from protocol.reports.front import FrontReport

_OLD_MS = 10 * 60_000


def notices(seen: Observation) -> Iterator[Trouble]:
    bridge, front = seen.bridge, seen.front
    if isinstance(bridge, BridgeReport) and bridge.notices.oldest and seen.now - bridge.notices.oldest > _OLD_MS:
        waiting = bridge.notices.waiting
        yield Trouble(
            Level.WARNING,
            "notices-unconfirmed",
            trn("{count} notice that no front has confirmed", "{count} notices that no front has confirmed", waiting),
            tr("they are sent again until a front has them on its disk"),
            bridge.notices.oldest,
            hurts=tr("customers are told late"),
            mend=tr("on the front's host: bridgectl status"),
            because=("broker-unreachable", "broker-refuses", "front-down"),
        )
    if not isinstance(front, FrontReport):
        return
    if front.notices.oldest and seen.now - front.notices.oldest > _OLD_MS:
        waiting = front.notices.waiting
        yield Trouble(
            Level.WARNING,
            "callbacks-waiting",
            trn("{count} callback waits for its application", "{count} callbacks wait for their applications", waiting),
            tr("the application does not accept them, or is slower than they come"),
            front.notices.oldest,
            hurts=tr("customers are told late"),
            mend=tr("bridgectl notices list says why each was not accepted"),
        )
    if front.notices.dead:
        yield Trouble(
            Level.WARNING,
            "notices-dead",
            trn("{count} callback was given up", "{count} callbacks were given up", front.notices.dead),
            tr("the application did not accept them in time"),
            hurts=tr("an application does not know what happened, unless it asks (GET /v1/notices)"),
            mend=tr("bridgectl notices list --state dead; mended: bridgectl notices redeliver --application NAME"),
        )

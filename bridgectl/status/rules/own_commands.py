"""Commands that a bridge gave itself: outcomes that cannot be taken, what waits for another region, and the front that
does not lead there.
"""

from collections.abc import Iterator

from bridgectl.language import tr, trn
from bridgectl.status.observation import Observation
from bridgectl.status.trouble import Level, Trouble
from protocol.reports.bridge import BridgeReport
from protocol.reports.front import FrontReport

_NOT_TAKEN_MS = 5 * 60_000
"""A database that was away, or a restart, is over by then."""
_ELSEWHERE_MS = 30 * 60_000
_UNROUTED_MS = 15 * 60_000
"""What is not routed comes again sooner: what did not has another way by now."""


def own_commands(seen: Observation) -> Iterator[Trouble]:
    """What of them does not go on."""
    if not isinstance(seen.bridge, BridgeReport):
        return
    told = seen.bridge.own
    if told.not_taken and seen.now - told.not_taken_since >= _NOT_TAKEN_MS:
        yield Trouble(
            Level.WARNING,
            "outcomes-not-taken",
            trn(
                "{count} outcome of the bridge's own commands cannot be taken",
                "{count} outcomes of the bridge's own commands cannot be taken",
                told.not_taken,
            ),
            tr("they are kept, and tried every minute"),
            told.not_taken_since,
            hurts=tr("what was done is done, and the order, run or batch that it is of does not go on"),
            mend=tr("the log says what fails (outcomes-not-taken); then bridgectl bundle FILE, for who maintains it"),
            because=("database-failing", "database-locked", "database-unreachable", "database-damaged", "disk-full"),
        )
    if told.elsewhere and seen.now - told.elsewhere_since >= _ELSEWHERE_MS:
        yield Trouble(
            Level.WARNING,
            "region-waiting",
            trn(
                "{count} command waits for another region's bridge",
                "{count} commands wait for another region's bridge",
                told.elsewhere,
            ),
            tr("it goes out again until the outcome is here"),
            told.elsewhere_since,
            hurts=tr("what was paid for a company there is not written off, as far as is known here"),
            mend=tr("bridgectl status on that region's host; here: bridgectl requests list --state sent"),
            because=("region-not-routed", "broker-unreachable", "link-down", "database-failing", "disk-full"),
        )


def unrouted(seen: Observation) -> Iterator[Trouble]:
    """Regions that the front was told nothing of."""
    if not isinstance(seen.front, FrontReport):
        return
    for one in seen.front.unrouted:
        if seen.now - one.last < _UNROUTED_MS:
            yield Trouble(
                Level.WARNING,
                "region-not-routed",
                tr(
                    "the bridge has this front route to {region}, which submissions.regions does not name",
                    region=one.region,
                ),
                trn(
                    "{count} message was let go; it is kept at the bridge, and comes again",
                    "{count} messages were let go; they are kept at the bridge, and come again",
                    one.count,
                ),
                one.since,
                hurts=tr("what was paid for a company there is not written off, and what is owed there not seen"),
                mend=tr(
                    "name {region} in [submissions] regions of dmz_front.toml, then systemctl restart dmz-front",
                    region=one.region,
                ),
            )

"""Commands that a bridge gave itself: outcomes that cannot be taken, and what waits for another region."""

from collections.abc import Iterator

from bridgectl.language import tr, trn
from bridgectl.status.observation import Observation
from bridgectl.status.trouble import Level, Trouble
from protocol.reports.bridge import BridgeReport

_NOT_TAKEN_MS = 5 * 60_000
"""A database that was away, or a restart, is over by then."""
_ELSEWHERE_MS = 30 * 60_000


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
            because=("broker-unreachable", "link-down", "database-failing", "disk-full"),
        )

"""What the bridge asks ahead, when there was not time enough for it."""

from collections.abc import Iterator

from bridgectl.language import tr
from bridgectl.status.observation import Observation
from bridgectl.status.trouble import Level, Trouble
from protocol.reports import BridgeReport


def prequery(seen: Observation) -> Iterator[Trouble]:
    bridge = seen.bridge
    last = bridge.prequery.last if isinstance(bridge, BridgeReport) and bridge.prequery else None
    if last is None or last.rounds or not (last.asked or last.rested_s):
        return
    yield Trouble(
        Level.WARNING,
        "prequery-behind",
        tr("not every account was asked ahead in the last window"),
        tr("it rested: {reason}", reason=last.reason) if last.reason else tr("the window is too short for the rate"),
        last.until,
        hurts=tr("customers wait for the marketing system, as they would without asking ahead"),
        mend=tr("bridgectl cache show; a longer window, a higher rate, or fewer accounts ([hot.prequery])"),
        because=("system-failing", "interface-failing"),
    )

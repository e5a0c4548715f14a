"""What the bridge asks ahead and imports, when there was not time enough for it or it fails."""

from collections.abc import Iterator

from bridgectl.language import tr
from bridgectl.status.observation import Observation
from bridgectl.status.trouble import Level, Trouble
from protocol.reports.bridge import BridgeReport


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


def imports(seen: Observation) -> Iterator[Trouble]:
    bridge = seen.bridge
    if not isinstance(bridge, BridgeReport):
        return
    for one in bridge.imports:
        if not one.error and (one.fresh or one.running or not one.as_of):
            continue
        yield Trouble(
            Level.WARNING,
            "import-failing",
            tr("the import {name} fails", name=one.name)
            if one.error
            else tr("the import {name} is too old", name=one.name),
            one.error or tr("nothing newer was read"),
            one.as_of,
            hurts=(
                tr("callers get data that grows older")
                if one.fresh
                else tr(
                    "{operations} are answered by what they are bound to, or not at all",
                    operations=", ".join(one.answers),
                )
            ),
            mend=tr("bridgectl import show {name}; then bridgectl import run {name}", name=one.name),
            because=("system-failing", "interface-failing"),
        )

"""What the marketing system says unasked, where it cannot be heard."""

from collections.abc import Iterator

from bridgectl.language import tr
from bridgectl.status.observation import Observation
from bridgectl.status.trouble import Level, Trouble
from protocol.reports.bridge import BridgeReport

_PATIENCE_MS = 60_000
"""A database that is restarted is back by then."""


def tables(seen: Observation) -> Iterator[Trouble]:
    """Tables of pushes that cannot be read."""
    bridge = seen.bridge
    if not isinstance(bridge, BridgeReport):
        return
    for table in bridge.pushes.tables:
        if not table.failing_since or seen.now - table.failing_since < _PATIENCE_MS:
            continue
        yield Trouble(
            Level.WARNING,
            "push-table-unread",
            tr("the table of pushes {name} cannot be read", name=table.name),
            table.error,
            table.failing_since,
            hurts=tr("customers are told late, and kept answers may be old; what it says is read later"),
            mend=tr("[pushes.tables.{name}] of intranet_bridge.toml, then bridgectl reload", name=table.name),
            because=("database-failing", "database-locked", "database-unreachable", "database-damaged", "disk-full"),
        )

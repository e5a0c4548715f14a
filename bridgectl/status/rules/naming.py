"""How the rules name what they speak of."""

from collections.abc import Sequence

from bridgectl.output import few
from bridgectl.programs import PROGRAMS
from protocol.messages import Role
from protocol.reports.bridge import BridgeReport
from protocol.reports.front import FrontReport


def program(report: FrontReport | BridgeReport) -> str:
    """Of which a report is."""
    return PROGRAMS[Role(report.role)]


def some(names: Sequence[str]) -> str:
    """Operations, the first of many in order."""
    return few(sorted(names), 6)

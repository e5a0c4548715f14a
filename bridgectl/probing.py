"""Having the running bridge try its bindings: queries alone, unless a command is to be sent really."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bridgectl import daemons
from bridgectl.language import tr
from protocol.administration import ProbeReport
from protocol.errors import BridgeError, NotAsked
from protocol.maintenance import by_operation
from protocol.messages import Role
from protocol.operations import CATALOGUE, OWN, Kind
from protocol.reports import AnyReport
from protocol.reports.bridge import BridgeReport
from protocol.reports.front import FrontReport

_REPORT: TypeAdapter[FrontReport | BridgeReport] = TypeAdapter(AnyReport)
PATIENCE_S = 75.0
"""The marketing system is called meanwhile."""


def probe(configuration: Path, operation: str, *, really: bool = False, reveal: bool = False) -> ProbeReport:
    """Try one operation. Raises BridgeError if it is not bound, NotAsked if the bridge does not answer."""
    more = {"operation": operation, "really": really, "reveal": reveal}
    return ProbeReport.model_validate(daemons.tell(Role.BRIDGE, configuration, "probe", PATIENCE_S, **more))


def bridge_report(configuration: Path) -> BridgeReport:
    """The bridge's own report. Raises BridgeError."""
    try:
        report = _REPORT.validate_python(daemons.tell(Role.BRIDGE, configuration, "report"))
    except ValidationError:
        raise NotAsked(tr("the bridge's report cannot be read: is it of another release?")) from None
    if not isinstance(report, BridgeReport):
        raise BridgeError(tr("the socket belongs to another daemon"))
    return report


def bound_queries(report: BridgeReport) -> list[str]:
    """Operations that may be tried without harm."""
    return [one.operation for one in report.interfaces if _is_query(one.operation)]


def _is_query(operation: str) -> bool:
    return operation in CATALOGUE and operation not in OWN and CATALOGUE[operation].kind is Kind.QUERY


def one_each(report: BridgeReport) -> dict[str, str]:
    """Back end → the query that is tried there: the one that last succeeded, or the first, and none that is paused."""
    found: dict[str, str] = {}
    paused = by_operation(report.maintenance)
    for one in sorted(report.interfaces, key=lambda one: -one.last_success):
        if _is_query(one.operation) and one.operation not in paused:
            found.setdefault(one.system, one.operation)
    return found

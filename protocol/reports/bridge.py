"""What intranet-bridge says."""

from typing import Literal

from protocol.reports.admission import CeilingReport
from protocol.reports.calls import DiagnosisReport, InterfaceReport
from protocol.reports.daemon import Report
from protocol.reports.marketing_data import ImportReport, PrequeryReport, PushesReport
from protocol.reports.settlement import (
    ClearingReport,
    OwnCommandsReport,
    PaymentOrdersReport,
    StatementsReport,
    WithholdingReport,
)


class BridgeReport(Report):
    """Of intranet-bridge."""

    role: Literal["bridge"] = "bridge"
    inbox: str
    interfaces: tuple[InterfaceReport, ...]
    diagnoses: tuple[DiagnosisReport, ...] = ()
    """The latest of each system that was in doubt since the start."""
    conflict: bool = False
    """Fronts hear of bridges with different inboxes, or of a copy of one."""
    meant: str = ""
    """Then: the inbox they mean; empty: there are copies of it, or it is an older daemon."""
    unbound: tuple[str, ...] = ()
    """Operations of the catalogue that are bound nowhere here."""
    ceilings: tuple[CeilingReport, ...] = ()
    """Those that were met in the last quarter of an hour."""
    pushes: PushesReport = PushesReport()
    prequery: PrequeryReport | None = None
    """None: nothing is asked ahead."""
    imports: tuple[ImportReport, ...] = ()
    clearing: ClearingReport | None = None
    """None: nothing is cleared here."""
    withholding: WithholdingReport = WithholdingReport()
    statements: StatementsReport = StatementsReport()
    orders: PaymentOrdersReport = PaymentOrdersReport()
    own: OwnCommandsReport = OwnCommandsReport()

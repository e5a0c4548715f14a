"""Which parts the settlement has, as the configuration says."""

from intranet_bridge.settlement.clearing.books import no_orders
from intranet_bridge.settlement.clearing.service import Clearing
from intranet_bridge.settlement.part import Part
from intranet_bridge.settlement.payments.offer import NotOffered
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.settlement.service import Settlement
from intranet_bridge.settlement.statements.service import StatementsPart
from intranet_bridge.settlement.withholding.service import Withholding, arrangements_of
from intranet_bridge.settlement_sections import SettlementSection


def assembled(section: SettlementSection, ports: Ports) -> Settlement:
    """Opens nothing. Raises ConfigurationError for a file that cannot be used."""
    parts: list[Part] = [NotOffered(), Withholding(arrangements_of(section), ports)]
    if section.statements.files:
        parts.append(StatementsPart(section.statements, ports))
    if section.clearing.channels:
        parts.append(Clearing(section.clearing, ports, no_orders))
    return Settlement(parts)

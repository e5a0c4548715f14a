"""Which parts the settlement has, as the configuration says."""

from intranet_bridge.settlement.part import Part
from intranet_bridge.settlement.payments.offer import NotOffered
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.settlement.service import Settlement
from intranet_bridge.settlement_sections import SettlementSection


def assembled(section: SettlementSection, ports: Ports) -> Settlement:
    """Opens nothing. Raises ConfigurationError for a file that cannot be used."""
    parts: list[Part] = [NotOffered()]
    return Settlement(parts)

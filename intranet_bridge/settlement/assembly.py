"""Which parts the settlement has, as the configuration says."""

from collections.abc import Mapping

from intranet_bridge.settlement.clearing.answering import NotOffered as NotCleared
from intranet_bridge.settlement.clearing.order_facts import known_orders
from intranet_bridge.settlement.clearing.service import Clearing
from intranet_bridge.settlement.days import BankCalendar, extended
from intranet_bridge.settlement.part import Part
from intranet_bridge.settlement.payments.channels import offer_of
from intranet_bridge.settlement.payments.risk_part import RiskPart
from intranet_bridge.settlement.payments.risk_records import RiskRecords
from intranet_bridge.settlement.payments.service import Payments
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.settlement.service import Settlement
from intranet_bridge.settlement.statements.orders import Orders
from intranet_bridge.settlement.statements.service import StatementsPart
from intranet_bridge.settlement.statements.sources import Source, check_cleared, sources_of
from intranet_bridge.settlement.withholding.service import Withholding, arrangements_of
from intranet_bridge.settlement_sections import SettlementSection


def calendar_of(section: SettlementSection) -> BankCalendar:
    """Of the banks: the release's, and what is configured."""
    return extended(section.holidays, section.workdays)


def check(section: SettlementSection) -> None:
    """What a start would find wrong with it. Raises ConfigurationError."""
    offer_of(section)
    arrangements_of(section)
    check_cleared(section.clearing, sources_of(section.statements))


def assembled(section: SettlementSection, ports: Ports) -> Settlement:
    """Opens nothing. Raises ConfigurationError for a file that cannot be used."""

    def elsewhere() -> frozenset[str]:
        return frozenset(name for name, company in settlement.section.companies.items() if company.region)

    def close_after_days() -> int:
        return settlement.section.close_after_days

    risk = RiskRecords(ports.store, ports.at_rest, lambda: settlement.section.risk.rules, ports.clock)
    payments = Payments(offer_of(section), ports, risk)
    parts: list[Part] = [payments, Withholding(arrangements_of(section), ports)]
    sources: Mapping[str, Source] = {}
    if section.statements.files:
        statements = StatementsPart(
            section.statements, ports, Orders(payments.acting, payments.hurry), elsewhere, close_after_days
        )
        sources = statements.sources
        check_cleared(section.clearing, sources)
        parts.append(statements)
    parts.append(RiskPart(section.risk, ports, risk))
    if section.clearing.channels:
        calendar = calendar_of(section)
        parts.append(Clearing(section.clearing, ports, known_orders, calendar, section.companies, sources))
    else:
        parts.append(NotCleared())
    settlement = Settlement(parts, section)
    return settlement

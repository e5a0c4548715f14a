"""The `[settlement]` table of the bridge's configuration: money, and what is settled by it."""

from datetime import date
from typing import Annotated

from pydantic import Field

from intranet_bridge.settlement_sections.clearing import ClearingSection
from intranet_bridge.settlement_sections.payments import PaymentsSection
from intranet_bridge.settlement_sections.peers import PeerSection
from intranet_bridge.settlement_sections.risk import RiskSection
from intranet_bridge.settlement_sections.statements import StatementsSection
from intranet_bridge.settlement_sections.withholding import WithholdingSection
from protocol.runtime.settings import Name, Pattern, Section

ACCOUNT_PATTERN = "[0-9]{10,13}"


class CompanySection(Section):
    """A company whose bills are paid here."""

    region: Name | None = None
    """Of the bridge that has its marketing system, if it is not this one."""
    account_pattern: Annotated[Pattern, Field(min_length=1, max_length=200)] = ACCOUNT_PATTERN
    """A regular expression that a whole account number of it matches."""


class SettlementSection(Section):
    """Money: the ledger, and what is settled by it."""

    close_after_days: Annotated[int, Field(ge=1, le=60)] = 3
    """So many days after its end a day of the ledger is closed: what comes later is booked into an open day."""
    holidays: tuple[date, ...] = ()
    """Days on which banks are closed, besides Saturdays, Sundays and what the release knows: of a coming year all of
    them, which is then covered."""
    workdays: tuple[date, ...] = ()
    """Saturdays and Sundays on which banks work in exchange; of the days that the release has for holidays, too."""
    companies: dict[Name, CompanySection] = Field(default_factory=dict)
    """By the name that orders, statements and clearing sheets have them under."""
    withholding: dict[Name, WithholdingSection] = Field(default_factory=dict)
    """Batches that banks are asked to charge, by the name that callers give them."""
    front: Name | None = None
    """The front that carries what is between us and other regions' bridges (its `submissions.regions` names them).
    Without, nothing is. The broker needs the queue `front.submit.<front>` first.
    """
    peers: dict[Name, PeerSection] = Field(default_factory=dict)
    """Bridges of other regions, by region: those that have companies of ours, and those whose companies we have."""
    resend_after_s: Annotated[float, Field(gt=0, le=3_600)] = 30
    """A command for another region's bridge goes out again after this time, until its outcome is here."""
    risk: RiskSection = RiskSection()
    clearing: ClearingSection = ClearingSection()
    statements: StatementsSection = StatementsSection()
    payments: PaymentsSection | None = None
    """Payment orders: which channels bring the money. Without it none are taken."""

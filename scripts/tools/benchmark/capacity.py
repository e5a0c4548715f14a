"""What a utility needs of processors and disks: arithmetic over what was measured and what is assumed.

Nothing is measured here. Measured figures come from the other parts of `./scripts/bench`, on a machine of two cores
that was otherwise at rest; the page docs/explanation/capacity.md shows both tables, and a test holds it to them.
"""

import math
from dataclasses import dataclass, fields
from typing import Any

Row = dict[str, Any]

CUSTOMERS = (1_000_000, 10_000_000, 50_000_000)
"""Accounts of the three utilities that are reckoned."""


@dataclass(frozen=True)
class Measured:
    """What one of a kind costs. Milliseconds are of one core's time; figures of 2026-11-30. Of a command they are of
    its whole life, until the front has its outcome, and not of its acceptance alone.
    """

    query_front_ms: float = 0.08
    query_broker_ms: float = 0.02
    query_bridge_ms: float = 0.09
    command_front_ms: float = 0.36
    command_broker_ms: float = 0.08
    command_bridge_ms: float = 0.31
    callback_front_ms: float = 1.6
    ledger_row_bytes: int = 350
    inbox_row_bytes: int = 793
    statement_row_ms: float = 0.0664
    statement_row_bytes: int = 1_120
    withholding_line_ms: float = 0.028


@dataclass(frozen=True)
class Assumed:
    """A utility's load, as shares of its customers. To be replaced by one's own."""

    looks_share: float = 0.10
    """Who looks at the bill on the day most bills are issued."""
    looks_requests: int = 5
    """Queries of one look: accounts, arrears, bill, detail, payments."""
    looks_busy_share: float = 0.60
    """Of them within the busiest hours."""
    busy_hours: float = 4
    bursts: float = 3
    """The busiest minute over the mean of those hours."""
    pays_share: float = 0.30
    """Who pays through the bridge at all, once a month."""
    pays_at_once_share: float = 0.15
    """Of them, who do it on that day."""
    pays_commands: int = 4
    """Commands of one payment: order, way of paying, notification, write-off."""
    out_share: float = 0.05
    """Whose supply fails in the night of a storm."""
    out_asks_share: float = 0.40
    """Of them, who ask within the first half hour."""
    out_requests: int = 3
    out_reports_share: float = 0.10
    """Of those who ask, who report it (a command)."""
    notices_share: float = 0.30
    """Who is told of a new bill through a callback."""
    notices_hours: float = 8
    """Within which they are all to be told."""
    other_commands_share: float = 0.002
    """Work orders, bindings and the rest, a day."""
    bank_share: float = 0.10
    """Whose bill a bank collects, all in the batches of one day."""
    busy: float = 0.5
    """Of a core's time at the peak; the rest is what makes answers quick."""


@dataclass(frozen=True)
class Need:
    """What one utility needs."""

    queries_s: float
    """A second, in the busiest minute of the day of bills."""
    outage_queries_s: float
    commands_s: float
    outage_commands_s: float
    notices_s: float
    dmz_cores: float
    """Front and broker, in the worse of the two peaks, at the assumed utilisation."""
    intranet_cores: float
    commands_day: float
    """On the mean of a month's days."""
    ledger_gb: float
    """For the days that rows are kept."""
    inbox_gb: float
    statement_rows: float
    statements_s: float
    """Of one core, in the morning after."""
    statements_gb: float
    """Memory of the process that compares, if all rows were one channel's."""
    withholding_s: float


def need(customers: int, measured: Measured = Measured(), assumed: Assumed = Assumed(), kept_days: float = 30) -> Need:
    """The arithmetic. `kept_days`: `store.retention_days`."""
    m, a = measured, assumed
    peak = a.looks_busy_share / (a.busy_hours * 3600) * a.bursts
    queries = customers * a.looks_share * a.looks_requests * peak
    payments = customers * a.pays_share * a.pays_at_once_share
    commands = payments * a.pays_commands * peak
    asking = customers * a.out_share * a.out_asks_share / 1800
    out_queries, out_commands = asking * a.out_requests, asking * a.out_reports_share
    notices = customers * a.notices_share / (a.notices_hours * 3600)
    peaks = (queries, commands), (out_queries, out_commands)
    query_dmz_ms, command_dmz_ms = m.query_front_ms + m.query_broker_ms, m.command_front_ms + m.command_broker_ms
    dmz = max(asked * query_dmz_ms + given * command_dmz_ms for asked, given in peaks) + notices * m.callback_front_ms
    intranet = max(asked * m.query_bridge_ms + given * m.command_bridge_ms for asked, given in peaks)
    a_day = customers * (a.pays_share * a.pays_commands / 30 + a.other_commands_share)
    return Need(
        queries, out_queries, commands, out_commands, notices,
        dmz_cores=dmz / 1000 / a.busy, intranet_cores=intranet / 1000 / a.busy,
        commands_day=a_day,
        ledger_gb=a_day * kept_days * m.ledger_row_bytes / 1e9, inbox_gb=a_day * kept_days * m.inbox_row_bytes / 1e9,
        statement_rows=payments, statements_s=payments * m.statement_row_ms / 1000,
        statements_gb=payments * m.statement_row_bytes / 1e9,
        withholding_s=customers * a.bank_share * m.withholding_line_ms / 1000,
    )  # fmt: skip


def rounded(value: float) -> str:
    """Two digits that count, as a page says it; cores and seconds below one as they are."""
    if value >= 100:
        digits = int(math.log10(value)) - 1
        return f"{round(value / 10**digits) * 10**digits:,}"
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def rows() -> list[Row]:
    """A row for each thing that is needed, a column for each utility."""
    needs = {customers: need(customers) for customers in CUSTOMERS}
    return [
        {
            "what": one.name,
            **{f"{customers:,}": rounded(getattr(needs[customers], one.name)) for customers in CUSTOMERS},
        }
        for one in fields(Need)
    ]

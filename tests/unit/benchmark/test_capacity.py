"""What a utility needs, and the page that says it."""

from dataclasses import fields
from pathlib import Path

import pytest

from scripts.tools.benchmark.capacity import CUSTOMERS, Assumed, Measured, need, rounded, rows

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "docs" / edition / "explanation" / "capacity.md" for edition in ("", "zh")]


@pytest.mark.parametrize("page", PAGES, ids=["en", "zh"])
def test_the_page_shows_what_the_arithmetic_gives(page: Path) -> None:
    tables = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and "---" not in line
    ]
    inputs = {cells[0]: cells[2] for cells in tables if len(cells) == 3 and cells[0]}
    known = [(one, kind()) for kind in (Measured, Assumed) for one in fields(kind)]
    assert inputs == {one.name: f"{getattr(values, one.name):,}" for one, values in known}
    results = [tuple(cells[1:]) for cells in tables if len(cells) == 4]
    columns = [f"{customers:,}" for customers in CUSTOMERS]
    assert results == [tuple(columns), *(tuple(row[column] for column in columns) for row in rows())]


def test_what_is_needed_grows_as_the_customers_do() -> None:
    one, ten = need(1_000_000), need(10_000_000)
    for name in (one.name for one in fields(one)):
        assert getattr(ten, name) == pytest.approx(10 * getattr(one, name)), name


def test_each_figure_by_hand() -> None:
    assumed = Assumed(
        looks_share=0.5, looks_requests=2, looks_busy_share=0.36, busy_hours=1, bursts=10, pays_share=0.5,
        pays_at_once_share=0.2, pays_commands=3, out_share=0.18, out_asks_share=0.5, out_requests=4,
        out_reports_share=0.5, notices_share=0.36, notices_hours=1, other_commands_share=0.05, bank_share=0.5, busy=0.5,
    )  # fmt: skip
    measured = Measured(
        query_front_ms=1, query_broker_ms=2, query_bridge_ms=4, command_front_ms=10, command_broker_ms=20,
        command_bridge_ms=40, callback_front_ms=5, ledger_row_bytes=1000, inbox_row_bytes=2000, statement_row_ms=1,
        statement_row_bytes=1000, withholding_line_ms=1,
    )  # fmt: skip
    it = need(1000, measured, assumed, kept_days=10)
    assert (it.queries_s, it.commands_s) == pytest.approx((1.0, 0.3))
    assert (it.outage_queries_s, it.outage_commands_s, it.notices_s) == pytest.approx((0.2, 0.025, 0.1))
    assert it.dmz_cores == pytest.approx((1.0 * 3 + 0.3 * 30 + 0.1 * 5) / 1000 / 0.5)
    assert it.intranet_cores == pytest.approx((1.0 * 4 + 0.3 * 40) / 1000 / 0.5)
    assert it.commands_day == pytest.approx(1000 * (0.5 * 3 / 30 + 0.05))
    assert (it.ledger_gb, it.inbox_gb) == pytest.approx((1e-3, 2e-3))
    assert (it.statement_rows, it.statements_s, it.statements_gb) == pytest.approx((100, 0.1, 1e-4))
    assert it.withholding_s == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("value", "said"), [(0.044, "0.04"), (1.04, "1.0"), (45.4, "45"), (3125.0, "3,100"), (2_250_000.0, "2,200,000")]
)
def test_two_digits_count(value: float, said: str) -> None:
    assert rounded(value) == said

"""Rows that stand more than once."""

import pytest

from intranet_bridge.settlement.money import text as yuan
from intranet_bridge.settlement.statements.verdicts import Code
from tests.unit.intranet_bridge.settlement.statements.files import BANK, NEXT, bank, expected_of, payment, utility
from tests.unit.intranet_bridge.settlement.statements.reads import DAY, SAMPLES, refused, taken


def test_duplicate_rows() -> None:
    summary, rows = taken("SDDL_DSDZ_37101_20261124.txt", "utility-dsdz")
    assert (summary.rows, summary.paid, summary.dropped) == (3, 21157, (5,))
    assert summary.warnings[0].line == 5
    assert rows[4].account == "0310000000001"
    assert rows[3].bills == (("R102", "202609"), ("R103", "202610"))
    assert (rows[2].gross, rows[2].at) == (12050, DAY)
    code, findings = refused("dup/SDDL_DSDZ_37101_20261125.txt", "utility-dsdz", NEXT)
    wanted = expected_of("dup/SDDL_DSDZ_37101_20261125.expected.json")
    assert (code, [finding.line for finding in findings]) == (wanted["file"], wanted["lines"])


def test_one_transaction_of_two_amounts() -> None:
    content = utility([payment("1"), payment("1", "21.00")], "41.00", 2)
    code, findings = refused(content, "utility-dsdz")
    assert code is Code.CONFLICTING_DUPLICATE
    assert (findings[0].line, findings[0].column) == (3, "amount")
    assert (findings[0].expected, findings[0].found) == ("20.00", "21.00")


def test_equal_payments_are_both_kept() -> None:
    summary, rows = taken(utility([payment("1"), payment("2")], "40.00", 2), "utility-dsdz")
    assert (summary.rows, summary.dropped, len(rows)) == (2, (), 2)


@pytest.mark.parametrize(
    ("rows", "count", "total", "dropped"),
    [
        (["2026-11-24;5.00;A"] * 3, 3, "15.00", ()),
        (["2026-11-24;5.00;A"] * 3, 2, "10.00", (5,)),
        (["2026-11-24;5.00;A"] * 3, 1, "5.00", (4, 5)),
        (["2026-11-24;5.00;A"] * 2 + ["2026-11-24;7.00;B"] * 2, 4, "24.00", ()),
        (["2026-11-24;5.00;A"] * 2 + ["2026-11-24;7.00;B"] * 2, 2, "12.00", (4, 6)),
        (["2026-11-24;5.00;A"] * 2 + ["2026-11-24;5.00;B"] * 2, 3, "15.00", None),  # whose copy it is nobody knows
        (["2026-11-24;5.00;A"] * 2, 3, "15.00", None),
    ],
)
def test_copies_without_a_number_stand_as_often_as_the_totals_say(
    rows: list[str], count: int, total: str, dropped: tuple[int, ...] | None
) -> None:
    content = bank(*rows, count=count, total=total)
    if dropped is None:
        assert refused(content, BANK)[0] is Code.AMBIGUOUS_DUPLICATE
        return
    summary, kept = taken(content, BANK)
    assert (summary.dropped, summary.rows, yuan(summary.paid)) == (dropped, count, total)
    assert len(kept) == count


def test_copies_in_a_file_without_totals_are_nobodys_to_judge() -> None:
    twice = (SAMPLES / "INN26112488ZM_777000000000001").read_bytes()
    first = twice.split(b"\r\n")[0] + b"\r\n"
    assert refused(first + twice, "unionpay-zm")[0] is Code.AMBIGUOUS_DUPLICATE

"""The bill that is measured is one: it is accepted, and what was planted in it is found, no more."""

from pathlib import Path

from scripts.tools.benchmark.settle import _measured, _read, write_bill


def test_million_rows_in_small(tmp_path: Path) -> None:
    bill = tmp_path / "bill.csv"
    write_bill(bill, 5000)
    assert _read(bill)[0] == 5000
    said = _measured("match", bill, 5000)
    assert said["found"] == "5 amount-differs, 5 platform-only, 4 refund-not-reversed"
    assert said["brake"] == ""

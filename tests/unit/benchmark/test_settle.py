"""The bill that is measured is one: it is accepted, and what was planted in it is found, no more."""

from pathlib import Path

from scripts.tools.benchmark.settle import _measured, _ours, _read, write_bill


def test_million_rows_in_small(tmp_path: Path) -> None:
    bill = tmp_path / "bill.csv"
    write_bill(bill, 5000)
    assert _read(bill)[0] == 5000
    said = _measured("match", bill, 5000)
    assert said["found"] == "5 amount-differs, 5 platform-only, 4 refund-not-reversed"
    assert said["brake"] == ""


def test_the_whole_loop_in_small(tmp_path: Path) -> None:
    bill, ours = tmp_path / "bill.csv", tmp_path / "orders.csv"
    write_bill(bill, 3000)
    write_bill(ours, 3000, _ours)
    for part, file, commands in (("loop", bill, 0), ("orders", ours, 2)):
        said = _measured(part, file, 3000)
        assert said["found"] == "3 amount-differs, 3 platform-only, 2 refund-not-reversed", part
        assert (said["run"], said["commands"]) == ("done", commands)  # what an order paid for, it reverses itself

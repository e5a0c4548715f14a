"""What the bank of a campaign says, against the reader that the bridge has."""

import io
from datetime import date, datetime
from functools import partial
from pathlib import Path

import pytest

from intranet_bridge.settlement.withholding.files import Batch, Charge, answered_again, read_answer, seal
from protocol.times import CHINA
from scripts.tools.fault_campaign.money_bank import KINDS, Bank, answers
from scripts.tools.fault_campaign.withholding_books import STATES

DAY, NAME = date(2026, 11, 30), "SDDL_DKKK_37101_20261130.txt"
NOW = datetime(2026, 11, 30, 9, tzinfo=CHINA)


def request(lines: int) -> Batch:
    charges = tuple(
        Charge(
            f"D202611300000{number:02}", f"32100000009{number:02}", "37101", f"62220200000009{number:02}", "",
            f"B{number}", "202610", 5000 + number, 17,
        )
        for number in range(lines)
    )  # fmt: skip
    return Batch("SDDL", "37101", DAY, "013", "0", charges)


@pytest.mark.parametrize("lines", [1, 3, 5, 6, 40])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_bridges_reader_comes_to_what_is_in_the_banks_journal(lines: int, seed: int) -> None:
    asked = request(lines)
    made = answers(NAME, seal(asked).content, "SDDL-37101-20261130", NOW, seed)
    assert made.first[0] != made.second[0]
    first = read_answer(partial(io.BytesIO, made.first[1]), asked)
    second = read_answer(partial(io.BytesIO, made.second[1]), asked)
    known, _ = answered_again({}, first)
    filled, findings = answered_again(known, second)
    outcomes = first.lines | filled
    for one in made.journal:
        found = outcomes[one.line]
        assert {"written-off": "charged"}.get(STATES[one.what], STATES[one.what]) == found.state
        assert one.debited == found.debited
    refused = [one for one in made.journal if one.what == "refused"]
    assert [finding.what for finding in findings] == ["answered before, and otherwise"] * len(refused)
    if lines >= len(KINDS):
        assert {one.what for one in made.journal} == STATES.keys()
        assert filled


def test_a_request_that_comes_with_other_bytes_is_noticed(tmp_path: Path) -> None:
    bank = Bank(tmp_path, tmp_path, 1)
    assert bank.request("37101") == ""
    file = tmp_path / NAME
    file.write_bytes(b"one")
    assert (bank.request("37101"), bank.request("37102")) == (NAME, "")
    file.write_bytes(b"one")
    bank.take()
    assert bank.changed == []
    file.write_bytes(b"other")
    bank.take()
    bank.take()
    assert bank.changed == [NAME]

"""A bank's simulated answer is read by the bridge as what it says."""

import io
from datetime import date
from functools import partial

import pytest

from intranet_bridge.settlement.withholding.files import Line, answer_name, read_answer
from scripts.tools.channel_simulator.bank import answer
from scripts.tools.channel_simulator.book import BookError
from tests.unit.intranet_bridge.settlement.statements.reads import SAMPLES
from tests.unit.intranet_bridge.settlement.withholding.test_files import FIRST

NAME = FIRST.name
DAY = date(2026, 11, 26)
REQUEST = (SAMPLES / NAME).read_bytes()


def test_what_is_not_refused_is_charged() -> None:
    name, content = answer(NAME, REQUEST, DAY, {"D20261125000003": "余额不足"})
    assert name == "SDDL_REDKKK_37101_20261125.txt"
    assert answer_name(name).day == FIRST.day
    read = read_answer(partial(io.BytesIO, content), FIRST)
    assert read.warnings == ()
    assert {id: one.state for id, one in read.lines.items()} == {
        "D20261125000001": Line.CHARGED, "D20261125000002": Line.CHARGED, "D20261125000003": Line.REFUSED,
        "D20261125000004": Line.CHARGED,
    }  # fmt: skip
    charged, refused = read.lines["D20261125000001"], read.lines["D20261125000003"]
    assert (charged.debited, charged.paid_at, len(charged.bank_number)) == (5980, DAY, 30)
    assert (refused.debited, refused.reason) == (0, "余额不足")


@pytest.mark.parametrize(
    ("name", "content", "refused", "says"),
    [
        ("SDDL_REDKKK_37101_20261125.txt", REQUEST, {}, "is no withholding request"),
        (NAME, REQUEST.split(b"\r\n")[0], {}, "is no withholding request"),
        (NAME, REQUEST, {"D1": "x"}, "has no line D1"),
        (NAME, REQUEST.replace(b"|202609|", b"|"), {}, "line D20261125000004 has not 11 fields"),
    ],
)
def test_what_it_cannot_answer(name: str, content: bytes, refused: dict[str, str], says: str) -> None:
    with pytest.raises(BookError, match=says):
        answer(name, content, DAY, refused)

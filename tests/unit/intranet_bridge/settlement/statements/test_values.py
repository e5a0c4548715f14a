"""What a text says, and texts that say nothing."""

from datetime import date

import pytest

from intranet_bridge.settlement.statements.rows import Expected
from intranet_bridge.settlement.statements.verdicts import Code
from tests.unit.intranet_bridge.settlement.statements.files import ALIPAY, DSDZ, payment, utility
from tests.unit.intranet_bridge.settlement.statements.reads import SAMPLES, refused, taken


@pytest.mark.parametrize("written", ["5.00-", "1,020.00", "１２.３", "1.2E+3", "-20.00", "", "20.001"])
def test_one_bad_amount_refuses_the_file(written: str) -> None:
    code, findings = refused(utility([payment("1"), payment("2", written)], "20.00", 1), "utility-dsdz")
    assert (code, findings[0].line, findings[0].column) == (Code.BAD_VALUE, 3, "amount")


def test_negative_amount_of_a_refund() -> None:
    moved = ALIPAY.replace("-120.50,-120.50", "-110.7,-110.7").replace("共-165.50", "共-155.70")
    assert taken(moved.encode("gb18030"), "alipay-trade")[0].refunded == 11070 + 4500
    wrong = ALIPAY.replace("-120.50,-120.50", "120.50,-120.50")
    assert refused(wrong.encode("gb18030"), "alipay-trade")[0] is Code.BAD_VALUE


@pytest.mark.parametrize(
    ("was", "now", "column"),
    [
        ("20261124|120.5 ", "20261131|120.5 ", "payDate"),
        ("|2|3210000000003$R102", "|3|3210000000003$R102", "bills"),
        ("$R102$202609$#", "$R102$#", "bills"),
        ("0310000000001|2026", "|2026", "consNo"),
        ("|2026112422001400000000000001|", "||", "serial"),
    ],
)
def test_values_that_are_none(was: str, now: str, column: str) -> None:
    code, findings = refused(DSDZ.replace(was.encode(), now.encode(), 1), "utility-dsdz")
    assert (code, findings[0].column) == (Code.BAD_VALUE, column)


def test_time_without_a_year_is_of_the_nearest() -> None:
    content = (SAMPLES / "INN26112488ZM_777000000000001").read_bytes()
    for written, day, year in ((b"1231230000", date(2027, 1, 1), 2026), (b"0101000000", date(2026, 12, 31), 2027)):
        _, rows = taken(content.replace(b"1124101010", written, 1), "unionpay-zm", Expected(day))
        assert rows[1].at.year == year
    assert refused(content.replace(b"1124101010", b"0230101010", 1), "unionpay-zm")[0] is Code.BAD_VALUE


@pytest.mark.parametrize(
    ("was", "now", "code"),
    [
        ("2026112422001400000000000001|", "1" * 65 + "|", Code.BAD_VALUE),
        ("3210000000001|2026", "3" * 65 + "|2026", Code.BAD_VALUE),
        ("$R101$", "$R\x0001$", Code.LAYOUT),
    ],
)
def test_text_that_no_database_should_keep(was: str, now: str, code: Code) -> None:
    found, findings = refused(DSDZ.replace(was.encode(), now.encode(), 1), "utility-dsdz")
    assert (found, findings[0].line) == (code, 2)

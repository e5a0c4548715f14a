"""What a file says beside what its rows sum to."""

from intranet_bridge.settlement.statements.verdicts import Code
from tests.unit.intranet_bridge.settlement.statements.files import ALIPAY, payment, utility
from tests.unit.intranet_bridge.settlement.statements.reads import refused


def test_totals_mismatch_changes_nothing() -> None:
    code, findings = refused("wechat_20261124_totals_mismatch.csv", "wechat-trade")
    assert code is Code.TOTALS_MISMATCH
    said = {finding.column: (finding.line, finding.expected, finding.found) for finding in findings}
    assert said["总交易单数"] == (5, "3", "2")
    assert said["订单总金额"] == (5, "1230.40", "9.90")


def test_totals_of_alipay() -> None:
    for was, now in (("5笔，商家实收共585.90", "5笔，商家实收共585.91"), ("退款合计：2笔", "退款合计：3笔")):
        assert refused(ALIPAY.replace(was, now).encode("gb18030"), "alipay-trade")[0] is Code.TOTALS_MISMATCH


def test_header_order() -> None:
    code, findings = refused(utility([payment("1"), payment("2", "3.00")], "2", "23.00"), "utility-dsdz")
    assert (code, findings[0].found) == (Code.HEADER_ORDER, "23.00, 2")
    assert refused(utility([payment("1")], "1", "20.01"), "utility-dsdz")[0] is Code.TOTALS_MISMATCH

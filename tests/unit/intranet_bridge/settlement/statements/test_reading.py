"""Whole files: the samples of the profiles, and what refuses one."""

import codecs
import gzip
from datetime import datetime, timedelta

import pytest

from intranet_bridge.settlement.money import text as yuan
from intranet_bridge.settlement.statements import opening
from intranet_bridge.settlement.statements.profiles import Kind, Profile, Status
from intranet_bridge.settlement.statements.rows import Expected
from intranet_bridge.settlement.statements.verdicts import Code
from protocol.times import CHINA
from tests.unit.intranet_bridge.settlement.statements.files import (
    DSDZ,
    NEXT,
    WECHAT,
    expected_of,
    payment,
    utility,
)
from tests.unit.intranet_bridge.settlement.statements.reads import DAY, PROFILES, SAMPLES, refused, taken


def test_alipay_bill() -> None:
    summary, rows = taken("alipay_20261124_detail.csv", "alipay-trade")
    wanted = expected_of("alipay_20261124.expected.json")["statement"]
    assert wanted == {
        "rows": summary.rows, "payments": summary.payments, "paid_fen": summary.paid, "refunds": summary.refunds,
        "refunded_fen": summary.refunded, "fee_fen": summary.fee_fen,
    }  # fmt: skip
    assert summary.encoding == "gb18030"
    assert summary.merchant == "20880000000000010156"
    assert rows[8].at == datetime(2026, 11, 24, 0, 0, 3, tzinfo=CHINA)  # completed, not begun
    assert (rows[12].kind, rows[12].gross, rows[12].settled) == (Kind.REFUND, 4500, -4500)
    assert (rows[12].refund, rows[12].order) == ("RF20261124000002", "PO20261120000777")


def test_gb18030_beyond_gbk() -> None:
    assert "𠮷".encode("gb18030") in (SAMPLES / "alipay_20261124_detail.csv").read_bytes()
    with pytest.raises(UnicodeEncodeError):
        "𠮷".encode("gbk")
    assert taken("alipay_20261124_detail.csv", "alipay-trade")[0].rows == 7


def test_cut_character_is_incomplete() -> None:
    code, findings = refused("alipay_20261124_truncated.csv", "alipay-trade")
    assert (code, findings[0].what) == (Code.INCOMPLETE, "the file ends inside a character")


def test_empty_day() -> None:
    summary, rows = taken("alipay_20261124_empty.csv", "alipay-trade", Expected(DAY, rows=3))
    assert (summary.rows, summary.paid, rows) == (0, 0, {})  # what we expected waits in the pool


def test_no_bill_while_we_expect_payments() -> None:
    answer = b'{"code":"NO_STATEMENT_EXIST","message":"..."}'
    code, findings = refused(answer, "wechat-trade", Expected(DAY, rows=3))
    assert (code, findings[0].expected) == (Code.STATEMENT_MISSING, "3 payments")
    summary, _ = taken(answer, "wechat-trade", Expected(DAY))
    assert summary.no_statement
    assert refused(b'{"code":"STATEMENT_CREATING"}', "wechat-trade")[0] is Code.INCOMPLETE


@pytest.mark.parametrize(("layout", "status", "rows"), [("SUCCESS", "SUCCESS", 1), ("REFUND", "REFUND", 1)])
def test_wechat_bills_of_one_kind(layout: str, status: str, rows: int) -> None:
    columns = next(one.columns for one in PROFILES["wechat-trade"].layouts if one.name == layout)
    given = {
        "交易时间": "2026-11-24 10:00:00",
        "商户号": "1900000001",
        "微信订单号": "42",
        "商户订单号": "PO1",
        "交易状态": status,
        "货币种类": "CNY",
        "应结订单金额": "9.90",
        "订单金额": "9.90",
        "手续费": "0.05940",
        "商户退款单号": "R1",
        "退款状态": "SUCCESS",
        "退款金额": "9.90",
        "充值券退款金额": "0.00",
        "申请退款金额": "9.90",
    }
    row = "`" + ",`".join(given.get(name, "") for name in columns)
    names = PROFILES["wechat-trade"].layouts[0].totals
    back = "0.00" if layout == "SUCCESS" else "9.90"
    totals = "`" + ",`".join(["1", "9.90", back, "0.00", "0.05940", "9.90", back])
    content = "\r\n".join([",".join(columns), row, ",".join(names), totals, ""]).encode()
    summary, _ = taken(content, "wechat-trade")
    assert (summary.layout, summary.rows) == (layout, rows)
    assert (summary.paid, summary.refunded) == ((990, 0) if layout == "SUCCESS" else (0, 990))


def test_sha1_of_unpacked() -> None:
    wanted = expected_of("wechat_20261125_ALL.expected.json")
    digest = wanted["sha1_of_the_unpacked_text"]
    summary, rows = taken("wechat_20261125_ALL.csv.gz", "wechat-trade", Expected(NEXT.day, sha1=digest))
    assert summary.sha1 == digest
    said = wanted["statement"]
    assert said.pop("fee_text") == f"{summary.fee / 100_000:.5f}"
    assert said == {
        "rows": summary.rows, "payments": summary.payments, "paid_fen": summary.paid, "refunds": summary.refunds,
        "refunded_fen": summary.refunded, "fee_fen": summary.fee_fen,
    }  # fmt: skip
    assert (rows[5].kind, rows[5].refund, rows[6].status) == (Kind.REVOKE, "", Status.PENDING)
    other = Expected(NEXT.day, sha1="0" * 40)
    assert refused("wechat_20261125_ALL.csv.gz", "wechat-trade", other)[0] is Code.INCOMPLETE


def test_wrong_merchant_currency_and_day() -> None:
    other = Expected(DAY, merchants=frozenset({"20880000000000019999"}))
    code, findings = refused("alipay_20261124_detail.csv", "alipay-trade", other)
    assert (code, findings[0].line, findings[0].found) == (Code.WRONG_MERCHANT, 2, "20880000000000010156")
    code, findings = refused(WECHAT.replace("`CNY", "`USD", 1).encode(), "wechat-trade")
    assert (code, findings[0].line, findings[0].column) == (Code.WRONG_CURRENCY, 2, "货币种类")
    assert refused("alipay_20261124_detail.csv", "alipay-trade", NEXT)[0] is Code.WRONG_DAY
    code, findings = refused("wechat_20261124_ALL.csv", "wechat-trade", NEXT)
    assert (code, findings[0].line, findings[0].column) == (Code.WRONG_DAY, 2, "交易时间")


def test_day_is_half_open() -> None:
    moved = WECHAT.replace("2026-11-24 23:59:59", "2026-11-25 00:00:00")
    assert refused(moved.encode(), "wechat-trade")[0] is Code.WRONG_DAY


def test_character_across_chunks() -> None:
    rows = [payment(f"S{n}").replace("$R1$", "$R" + "珅𠮷" * (n % 7) + "$") for n in range(20_000)]
    content = utility(rows, yuan(2000 * len(rows)), len(rows)).decode().encode("gb18030")
    assert len(content) > 3 * opening._CHUNK
    summary, _ = taken(content, "utility-dsdz")
    assert (summary.rows, summary.encoding) == (20_000, "gb18030")
    assert (
        taken(gzip.compress(content), PROFILES["utility-dsdz"].model_copy(update={"container": ("gzip",)}))[0].rows
        == 20_000
    )


def test_encoding_is_found() -> None:
    text = utility([payment("1").replace("$R1$", "$R電$")], "20.00", 1).decode()
    for encoding, found in (("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("gb18030", "gb18030")):
        summary, rows = taken(text.encode(encoding), "utility-dsdz")
        assert (summary.encoding, rows[2].bills[0][0]) == (found, "R電")
    assert refused(codecs.BOM_UTF8 + text.encode("gb18030"), "utility-dsdz")[0] is Code.LAYOUT
    assert refused(text.encode() + b"\xff\xff\r\n", "utility-dsdz")[0] is Code.LAYOUT


def test_alipay_fund() -> None:
    content = """#支付宝账务明细查询
#账号：[20880000000000010156]
#起始日期：[2026年11月24日 00:00:00]   终止日期：[2026年11月25日 00:00:00]
#---账务明细列表---
账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注
1\t,2\t,PO1\t,电费,2026-11-24 10:00:00,,120.50,,120.50,,在线支付,
2\t,2\t,PO1\t,电费,2026-11-24 10:00:01,,0.00,-0.72,119.78,,收费,
#---账务明细列表结束---
#支出合计：1笔，共-0.72元
#收入合计：1笔，共120.50元
#导出时间：[2026年11月25日 07:27:37]
"""
    summary, rows = taken(content.encode("gb18030"), "alipay-fund")
    assert (summary.rows, summary.settled) == (2, 12050 - 72)
    assert [row.kind for row in rows.values()] == [Kind.INCOME, Kind.OUTGO]
    both = content.replace("0.00,-0.72", "0.72,-0.72")
    assert refused(both.encode("gb18030"), "alipay-fund")[0] is Code.BAD_VALUE
    assert refused(content.replace("共-0.72", "共-0.73").encode("gb18030"), "alipay-fund")[0] is Code.TOTALS_MISMATCH


def test_paycheck() -> None:
    content = b"2|30.50\n20261124|S1|0310000000001|10.5|01|1\n20261124|S2|0310000000001|20|01|1\n"
    summary, rows = taken(content, "utility-paycheck")
    assert (summary.rows, summary.paid, rows[2].account) == (2, 3050, "0310000000001")
    swapped = content.replace(b"2|30.50", b"30.50|2", 1)
    assert refused(swapped, "utility-paycheck")[0] is Code.HEADER_ORDER


def test_refund_row_in_a_layout_without_refunds() -> None:
    profile: Profile = PROFILES["utility-dsdz"]
    kinds = profile.kinds.model_copy(update={"only": Kind.REFUND})
    code, _ = refused(DSDZ, profile.model_copy(update={"kinds": kinds}))
    assert code is Code.LAYOUT


def test_rows_of_the_day_before_are_refused_where_the_profile_wants_the_day() -> None:
    day = (DAY - timedelta(days=1)).strftime("%Y%m%d")
    assert refused(utility([payment("1", day=day)], "20.00", 1), "utility-dsdz")[0] is Code.WRONG_DAY

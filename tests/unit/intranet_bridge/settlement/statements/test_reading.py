"""Statements read by their profiles: the samples, each verdict, and what others got wrong."""

import codecs
import gzip
import json
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from intranet_bridge.settlement.money import text as yuan
from intranet_bridge.settlement.statements import opening
from intranet_bridge.settlement.statements.profiles import Kind, Profile, Status, parsed
from intranet_bridge.settlement.statements.rows import Expected
from intranet_bridge.settlement.statements.verdicts import Code
from protocol.times import CHINA
from tests.unit.intranet_bridge.settlement.statements.reads import DAY, PROFILES, SAMPLES, refused, taken

NEXT = Expected(date(2026, 11, 25))
DSDZ = (SAMPLES / "SDDL_DSDZ_37101_20261124.txt").read_bytes()
ALIPAY = (SAMPLES / "alipay_20261124_detail.csv").read_bytes().decode("gb18030")
WECHAT = (SAMPLES / "wechat_20261124_ALL.csv").read_bytes().decode("utf-8-sig")


def expected_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / name).read_text())
    return found


def utility(rows: list[str], total: str, count: int | str) -> bytes:
    return "".join(f"{line}\r\n" for line in (f"{total}|{count}|", *rows)).encode()


def payment(serial: str, amount: str = "20.00", account: str = "3210000000001", day: str = "20261124") -> str:
    return f"{account}|{serial}|{day}|{amount}|1|{account}$R1$202610$#|"


BANK = parsed(
    """
    name = "bank"
    channel = "bank"
    due = 09:00:00
    separator = ";"
    head = ['(?P<count>[0-9]+);(?P<amount>.*)']
    time_format = "%Y-%m-%d"
    kinds = { only = "pay" }
    totals = [{ value = "count", count = true }, { value = "amount", sum = "amount" }]
    [[layouts]]
    name = "bank"
    columns = ["day", "amount", "payer"]
    rows.pay = { gross = "amount", at = "day" }
    """,
    "bank",
)


def bank(*rows: str, count: int, total: str) -> bytes:
    return "\n".join([f"{count};{total}", "day;amount;payer", *rows, ""]).encode()


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


@pytest.mark.parametrize("kept", [5, 12, 13, 15])
def test_half_uploaded_file_is_incomplete(kept: int) -> None:
    lines = ALIPAY.encode("gb18030").split(b"\r\n")
    assert refused(b"\r\n".join([*lines[:kept], b""]), "alipay-trade")[0] is Code.INCOMPLETE
    cut = ALIPAY.encode("gb18030")
    assert refused(cut[: len(cut) * 2 // 3 // 2 * 2], "alipay-trade")[0] is Code.INCOMPLETE


def test_last_line_cut_off_is_incomplete() -> None:
    assert refused(DSDZ[: DSDZ.index(b"|1|0310")], "utility-dsdz")[0] is Code.INCOMPLETE
    half = "\r\n".join(WECHAT.split("\r\n")[:4]).encode()
    assert refused(half, "wechat-trade")[0] is Code.INCOMPLETE


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


def test_wechat_comma_in_goods() -> None:
    summary, rows = taken("wechat_20261124_ALL.csv", "wechat-trade")
    assert (summary.rows, summary.paid, summary.refunded, summary.fee_fen) == (3, 123040, 3000, 708)
    assert summary.fee == 707940
    assert rows[3].at == datetime(2026, 11, 24, tzinfo=CHINA)
    assert (rows[4].at, rows[4].status) == (datetime(2026, 11, 24, 23, 59, 59, tzinfo=CHINA), Status.PENDING)
    assert (rows[4].refund, rows[4].platform_refund) == ("RF20261124000101", "50000000012026112400000001")


def test_wechat_goods_with_the_pair_cannot_be_read() -> None:
    spoilt = WECHAT.replace("电费,阶梯一档,11月", "电费,`阶梯一档")
    code, findings = refused(spoilt.encode(), "wechat-trade")
    assert code is Code.LAYOUT
    assert (findings[0].line, findings[0].expected, findings[0].found) == (2, "27", "28")


def test_wechat_24_columns() -> None:
    summary, rows = taken("wechat_20261124_old_layout.csv", "wechat-trade")
    assert (summary.layout, summary.paid, summary.fee_fen) == ("24 columns", 1230, 7)
    assert rows[2].order == "PO20261124000111"


def test_columns_by_name() -> None:
    head, *rows, names, totals = WECHAT.rstrip("\r\n").split("\r\n")
    turned = [",".join(reversed(head.split(",")))]
    turned += ["`" + ",`".join(reversed(row.removeprefix("`").split(",`"))) for row in rows]
    moved = "\r\n".join([*turned, names, totals, ""]).encode()
    assert taken(moved, "wechat-trade")[1] == taken("wechat_20261124_ALL.csv", "wechat-trade")[1]


@pytest.mark.parametrize(
    ("name", "instead", "what"),
    [
        ("微信订单号", "订单号", {("an unknown column", "订单号"), ("a column is missing", "微信订单号")}),
        ("微信订单号", "商户号", {("a column stands twice", "商户号"), ("a column is missing", "微信订单号")}),
        ("微信订单号,", "", {("a column is missing", "微信订单号")}),
    ],
)
def test_header_names_are_never_guessed(name: str, instead: str, what: set[tuple[str, str]]) -> None:
    code, findings = refused(WECHAT.replace(name, instead, 1).encode(), "wechat-trade")
    assert code is Code.LAYOUT
    assert {(finding.what, finding.column) for finding in findings} == what
    assert {finding.line for finding in findings} == {1}


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


def test_totals_mismatch_changes_nothing() -> None:
    code, findings = refused("wechat_20261124_totals_mismatch.csv", "wechat-trade")
    assert code is Code.TOTALS_MISMATCH
    said = {finding.column: (finding.line, finding.expected, finding.found) for finding in findings}
    assert said["总交易单数"] == (5, "3", "2")
    assert said["订单总金额"] == (5, "1230.40", "9.90")


def test_totals_of_alipay() -> None:
    for was, now in (("5笔，商家实收共585.90", "5笔，商家实收共585.91"), ("退款合计：2笔", "退款合计：3笔")):
        assert refused(ALIPAY.replace(was, now).encode("gb18030"), "alipay-trade")[0] is Code.TOTALS_MISMATCH


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


def test_header_order() -> None:
    code, findings = refused(utility([payment("1"), payment("2", "3.00")], "2", "23.00"), "utility-dsdz")
    assert (code, findings[0].found) == (Code.HEADER_ORDER, "23.00, 2")
    assert refused(utility([payment("1")], "1", "20.01"), "utility-dsdz")[0] is Code.TOTALS_MISMATCH


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


def test_layout_of_lines() -> None:
    for was, now, line in (
        (b"\r\n3210000000003", b"\r\n\r\n3210000000003", 4),
        (b"$#|\r\n3210000000003", b"$#\r\n3210000000003", 2),
        (b"|59.8|", b"|59.8||", 3),
    ):
        code, findings = refused(DSDZ.replace(was, now), "utility-dsdz")
        assert (code, findings[0].line) == (Code.LAYOUT, line)


def test_alipay_lines_out_of_place() -> None:
    for was, now in (("#账号", "#帐号"), ('电费,水费合并"', "电费,水费合并"), ("退款\t", "调账\t")):
        assert refused(ALIPAY.replace(was, now).encode("gb18030"), "alipay-trade")[0] is Code.LAYOUT
    assert refused((ALIPAY + "再来一行\r\n").encode("gb18030"), "alipay-trade")[0] is Code.LAYOUT


def test_trail_byte_separators() -> None:
    for character, byte in (("珅", b"|"), ("玚", b"`"), ("昞", b"\\")):
        assert character.encode("gb18030")[1:] == byte
    row = payment("1").replace("$R1$", "$R珅昞玚東西$")
    summary, rows = taken(utility([row], "20.00", 1).decode().encode("gb18030"), "utility-dsdz")
    assert (summary.encoding, rows[2].bills) == ("gb18030", (("R珅昞玚東西", "202610"),))


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


def test_fixed_widths() -> None:
    code, findings = refused("fixed_37101_20261124.txt", "utility-fixed")
    assert (code, findings[0].line, findings[0].column) == (Code.BAD_VALUE, 4, "amount")
    allowed = PROFILES["utility-fixed"].model_copy(update={"thousands": True})
    summary, rows = taken("fixed_37101_20261124.txt", allowed)
    assert (summary.rows, summary.paid) == (3, 104180)
    assert [row.account for row in rows.values()] == ["Z05396-0", "0310000000001", "3210000000001"]
    assert rows[2].penalty == 50
    content = (SAMPLES / "fixed_37101_20261124.txt").read_bytes()
    for spoilt in (content.replace(b"0.50        Z", b""), content.replace(b"Z\r\n", b"ZZ\r\n", 1)):
        code, findings = refused(spoilt, allowed)
        assert (code, findings[0].line) == (Code.LAYOUT, 2)


def test_widths_count_bytes() -> None:
    summary, rows = taken("INN26112488ZM_777000000000001", "unionpay-zm")
    assert (summary.paid, summary.refunded, summary.fee, summary.settled) == (12050, 1000, 66_000, 11978 - 994)
    assert (rows[1].fee, rows[1].settled, rows[2].fee, rows[2].settled) == (72_000, 11978, -6_000, -994)
    assert (rows[2].transaction, rows[2].refund) == ("202611201010100000998", "RF20261124000201")
    assert rows[1].at == datetime(2026, 11, 24, 10, 10, 10, tzinfo=CHINA)
    assert summary.merchant == "777000000000001"


def test_time_without_a_year_is_of_the_nearest() -> None:
    content = (SAMPLES / "INN26112488ZM_777000000000001").read_bytes()
    for written, day, year in ((b"1231230000", date(2027, 1, 1), 2026), (b"0101000000", date(2026, 12, 31), 2027)):
        _, rows = taken(content.replace(b"1124101010", written, 1), "unionpay-zm", Expected(day))
        assert rows[1].at.year == year
    assert refused(content.replace(b"1124101010", b"0230101010", 1), "unionpay-zm")[0] is Code.BAD_VALUE


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

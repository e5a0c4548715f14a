"""The lines of a file: before the rows, the rows, and after them."""

from datetime import datetime

import pytest

from intranet_bridge.settlement.statements.profiles import Status
from intranet_bridge.settlement.statements.verdicts import Code
from protocol.times import CHINA
from tests.unit.intranet_bridge.settlement.statements.files import ALIPAY, DSDZ, WECHAT, payment, utility
from tests.unit.intranet_bridge.settlement.statements.reads import PROFILES, SAMPLES, refused, taken


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

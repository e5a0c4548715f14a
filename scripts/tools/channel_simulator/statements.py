"""A day's statement of a channel, from its book, laid out as the platform's: `alipay-trade`, `wechat-trade`."""

import csv
import io
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from protocol.times import CHINA
from scripts.tools.channel_simulator import keys as own
from scripts.tools.channel_simulator.book import Book, BookError, Payment, Refund
from scripts.tools.channel_simulator.notifying import yuan

ALIPAY_COLUMNS = (
    "支付宝交易号", "商户订单号", "业务类型", "商品名称", "创建时间", "完成时间", "门店编号", "门店名称", "操作员",
    "终端号", "对方账户", "订单金额（元）", "商家实收（元）", "支付宝红包（元）", "集分宝（元）", "支付宝优惠（元）",
    "商家优惠（元）", "券核销金额（元）", "券名称", "商家红包消费金额（元）", "卡消费金额（元）", "退款批次号/请求号",
    "服务费（元）", "分润（元）", "备注",
)  # fmt: skip
WECHAT_COLUMNS = (
    "交易时间", "公众账号ID", "商户号", "特约商户号", "设备号", "微信订单号", "商户订单号", "用户标识", "交易类型",
    "交易状态", "付款银行", "货币种类", "应结订单金额", "代金券金额", "微信退款单号", "商户退款单号", "退款金额",
    "充值券退款金额", "退款类型", "退款状态", "商品名称", "商户数据包", "手续费", "费率", "订单金额", "申请退款金额",
    "费率备注",
)  # fmt: skip
WECHAT_TOTALS = (
    "总交易单数", "应结订单总金额", "退款总金额", "充值券退款总金额", "手续费总金额", "订单总金额", "申请退款总金额",
)  # fmt: skip
_LINE = "-" * 41
_ZERO = "0.00"


def statement(book: Book, channel: str, day: date) -> tuple[str, bytes]:
    """Its name and content. Raises BookError for a channel without statements."""
    payments, refunds = book.payments(channel, day=day), book.refunds(channel, day=day)
    match channel:
        case "alipay":
            return f"{own.ALIPAY_ACCOUNT}_{day:%Y%m%d}.csv.zip", _zipped(day, payments, refunds)
        case "wechat":
            return f"{own.WECHAT_MERCHANT}_ALL_{day:%Y%m%d}.csv", wechat(payments, refunds)
    raise BookError(f"{channel} writes no statements")


def alipay(day: date, payments: Sequence[Payment], refunds: Sequence[Refund]) -> bytes:
    """The detail: GB 18030, text fields with a tab behind, fees negative."""
    told = io.StringIO()
    writer = csv.writer(told, lineterminator="\r\n")
    settled = sum(one.stated for one in payments)
    back = sum(one.cash for one in refunds)
    told.write(f"#支付宝业务明细查询\r\n#账号：[{own.ALIPAY_ACCOUNT}]\r\n")
    told.write(f"#起始日期：[{_chinese(day)}]   终止日期：[{_chinese(day + timedelta(days=1))}]\r\n")
    told.write(f"#{_LINE}业务明细列表{_LINE}\r\n")
    writer.writerow(ALIPAY_COLUMNS)
    for payment in payments:
        writer.writerow(
            _alipay_row(
                payment.transaction, payment.reference, "交易", payment.goods, payment.at, "", payment.stated,
                -_rounded(payment.fee),
            )
        )  # fmt: skip
    for refund in refunds:
        writer.writerow(
            _alipay_row(
                refund.transaction, refund.reference, "退款", refund.goods, refund.at, refund.number, -refund.cash,
                _rounded(refund.fee),
            )
        )  # fmt: skip
    told.write(f"#{_LINE}业务明细列表结束{_LINE}\r\n")
    told.write(f"#交易合计：{len(payments)}笔，商家实收共{yuan(settled)}元，商家优惠共0.00元\r\n")
    told.write(f"#退款合计：{len(refunds)}笔，商家实收退款共{yuan(-back)}元，商家优惠退款共0.00元\r\n")
    told.write(f"#导出时间：[{day + timedelta(days=1):%Y年%m月%d日} 07:27:37]\r\n")
    return told.getvalue().encode("gb18030")


def wechat(payments: Sequence[Payment], refunds: Sequence[Refund]) -> bytes:
    """All of a day: UTF-8 with a byte order mark, a backtick before every value, fees with five decimals."""
    rows = sorted(
        [*((one.at, _wechat_payment(one)) for one in payments), *((one.at, _wechat_refund(one)) for one in refunds)],
        key=lambda row: row[0],
    )
    gross, back = sum(one.stated for one in payments), sum(one.cash for one in refunds)
    fees = sum(one.fee for one in payments) - sum(one.fee for one in refunds)
    totals = (str(len(rows)), yuan(gross), yuan(back), _ZERO, _five(fees), yuan(gross), yuan(back))
    lines = [
        ",".join(WECHAT_COLUMNS),
        *("`" + ",`".join(fields) for _, fields in rows),
        ",".join(WECHAT_TOTALS),
        "`" + ",`".join(totals),
    ]
    return ("\ufeff" + "".join(f"{line}\r\n" for line in lines)).encode()


def _zipped(day: date, payments: Sequence[Payment], refunds: Sequence[Refund]) -> bytes:
    """Both files, the summary first, as the platform packs them."""
    name = f"{own.ALIPAY_ACCOUNT}_{day:%Y%m%d}_业务明细"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in (
            (f"{name}(汇总).csv", f"#支付宝业务汇总查询\r\n#账号：[{own.ALIPAY_ACCOUNT}]\r\n".encode("gb18030")),
            (f"{name}.csv", alipay(day, payments, refunds)),
        ):
            archive.writestr(zipfile.ZipInfo(member, (day.year, day.month, day.day, 0, 0, 0)), content)
    return packed.getvalue()


def _alipay_row(
    transaction: str, reference: str, kind: str, goods: str, at: datetime, refund: str, amount: int, fee: int
) -> list[str]:
    begun = at - timedelta(seconds=5)
    texts = (transaction, reference, kind)
    return [
        *(f"{text}\t" for text in texts), goods, f"{begun:%Y-%m-%d %H:%M:%S}", f"{at:%Y-%m-%d %H:%M:%S}",
        "\t", "\t", "\t", "\t", "*三(156******89)\t", yuan(amount), yuan(amount), _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, "",
        f"{_ZERO}\t", _ZERO, f"{refund}\t", yuan(fee), _ZERO, "",
    ]  # fmt: skip


def _wechat_payment(one: Payment) -> list[str]:
    amount = yuan(one.stated)
    return [
        f"{one.at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}", own.WECHAT_APPLICATION, own.WECHAT_MERCHANT, "0", "",
        one.transaction, one.reference, "oSimulated1", "JSAPI", "SUCCESS", "OTHERS", "CNY", amount, _ZERO, "0", "0",
        _ZERO, _ZERO, "", "", one.goods, "", _five(one.fee), "0.60%", amount, _ZERO, "",
    ]  # fmt: skip


def _wechat_refund(one: Refund) -> list[str]:
    amount = yuan(one.cash)
    return [
        f"{one.at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}", own.WECHAT_APPLICATION, own.WECHAT_MERCHANT, "0", "",
        one.transaction, one.reference, "oSimulated1", "JSAPI", "REFUND", "OTHERS", "CNY", _ZERO, _ZERO,
        f"50{one.transaction[-16:]}", one.number, amount, _ZERO, "ORIGINAL", one.status, one.goods, "", _five(-one.fee),
        "0.60%", _ZERO, amount, "",
    ]  # fmt: skip


def _chinese(day: date) -> str:
    return f"{day:%Y年%m月%d日} 00:00:00"


def _rounded(fee: int) -> int:
    """Thousandths of a fen in fen, half up."""
    return (fee + 500) // 1000


def _five(fee: int) -> str:
    """Thousandths of a fen in yuan, with five decimals."""
    return f"{'-' if fee < 0 else ''}{abs(fee) // 100_000}.{abs(fee) % 100_000:05}"

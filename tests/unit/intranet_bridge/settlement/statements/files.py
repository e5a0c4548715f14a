"""Files made up in a test, of several profiles."""

import json
from datetime import date
from typing import Any

from intranet_bridge.settlement.statements.profiles import parsed
from intranet_bridge.settlement.statements.rows import Expected
from tests.unit.intranet_bridge.settlement.statements.reads import SAMPLES

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

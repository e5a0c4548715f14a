"""Rows and write-offs made up in a test, and what matching says of them."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from intranet_bridge.settlement.statements.matching import (
    Accepted,
    Item,
    Order,
    Rules,
    Seen,
    WriteOff,
    cases,
    matched,
)  # fmt: skip
from intranet_bridge.settlement.statements.profiles import Kind
from protocol.times import CHINA

DAY = date(2026, 11, 24)


TODAY = date(2026, 11, 25)


def days(*numbers: int, channel: str = "alipay") -> Accepted:
    return Accepted({channel: [date(2026, 11, number) for number in numbers]})


RULES = Rules(TODAY, days(24))


def at(hour: int = 10, day: int = 24, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, 0, second, tzinfo=CHINA)


def paid(gross: int = 5000, order: str = "PO1", transaction: str = "T1", channel: str = "alipay", **more: Any) -> Seen:
    moment = more.pop("at", at())
    return Seen(channel, more.pop("day", DAY), Kind.PAY, transaction, order, "", gross, moment, **more)


def back(
    gross: int, number: str = "R1", order: str = "PO1", transaction: str = "T1", channel: str = "alipay", **more: Any
) -> Seen:
    kind = more.pop("kind", Kind.REFUND)
    return Seen(channel, more.pop("day", DAY), kind, transaction, order, number, gross, at(12), **more)


def written(
    amount: int = 5000, order: str = "PO1", transaction: str = "", channel: str = "alipay", **more: Any
) -> WriteOff:
    return WriteOff(order, transaction, channel, amount, more.pop("at", at()), **more)


def run(
    rows: Iterable[Seen] = (), write_offs: Iterable[WriteOff] = (), rules: Rules = RULES, *orders: Order
) -> list[Item]:
    known = {order.number: order for order in orders}
    return list(matched(cases(rows, write_offs), known.get, rules))


def said(items: Iterable[Item]) -> list[tuple[str, str]]:
    return [(item.what, item.action) for item in items]

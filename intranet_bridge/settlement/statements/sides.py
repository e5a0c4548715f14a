"""What is compared: the rows of accepted statements on one side, what the marketing system wrote off on the other, and
between them the orders that are ours.
"""

import re
from bisect import bisect_right
from datetime import date, datetime

from intranet_bridge.settlement.statements.profiles import Kind, Status
from intranet_bridge.settlement.statements.rows import Row
from protocol.values import immutable

ORDER_NAME = re.compile(r"([0-9A-HJKMNP-TV-Z]{26})(?:-([1-9][0-9]?))?")
"""What a payment of an order of ours names: the order, or a line of it that has a transaction of its own."""


@immutable
class Seen:
    """A row of an accepted statement. Amounts in fen, positive."""

    channel: str
    day: date
    """Of the statement."""
    kind: Kind
    transaction: str
    order: str
    refund: str
    gross: int
    at: date
    status: Status = Status.PROVEN
    account: str = ""
    penalty: int | None = None
    merchant: str = ""
    """To whom it was paid; empty: the file does not say."""


def seen(channel: str, day: date, row: Row) -> Seen:
    """What matching needs of a row."""
    return Seen(
        channel, day, row.kind, row.transaction, row.order, row.refund, row.gross, row.at, row.status, row.account,
        row.penalty, row.merchant,
    )  # fmt: skip


@immutable
class WriteOff:
    """What the marketing system wrote off, as its list says."""

    order: str
    transaction: str
    channel: str
    amount: int
    at: datetime
    reversed: int = 0
    """Of the amount."""
    line: int = 0
    """Of our order; 0 for a payment without one."""
    account: str = ""
    penalty: int | None = None
    merchant: str = ""
    """To whom it was paid; empty: the list does not say."""


@immutable
class OrderLine:
    """A line of our order."""

    line: int
    account: str
    cash: int
    """Its share of what the channel was paid."""
    amount: int
    """What is written off: cash, coupons and points."""
    penalty: int | None = None


@immutable
class Order:
    """An order of ours."""

    number: str
    cash: int
    lines: tuple[OrderLine, ...]


@immutable
class Accepted:
    """Days of which a channel's statement is accepted: ages count statements, not days."""

    days: dict[str, list[date]]
    """By channel, in order."""

    def has(self, channel: str, day: date) -> bool:
        """Whether the day's own statement is accepted."""
        return day in self.days.get(channel, [])

    def since(self, channel: str, day: date) -> int:
        """How many statements of later days are accepted."""
        days = self.days.get(channel, [])
        return len(days) - bisect_right(days, day)

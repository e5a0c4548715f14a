"""Clearing: what each company is owed of a day, its sheet, and whether the money arrived. Pure.

::

    gross + promotions - refunds - fee + adjustments + carried = net

    computed -> approved -> paid-out -> arrived | short | over -> closed
    computed -> carried    (net < 0: it is set off against the next day's)
    computed -> closed     (net = 0: there is nothing to pay)

Everything comes from accepted statements. A refund counts on its own day, not on its payment's. A row that comes late
is booked into the day that is open, in a line of its own that names the day it is of. What a coupon or points paid for
a company's lines is owed to that company (positive), and by who funds it (negative): over all companies it is nothing.
"""

import csv
import hashlib
import io
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from enum import StrEnum

from intranet_bridge.settlement.money import text
from protocol.errors import BridgeError
from protocol.values import immutable


class SheetState(StrEnum):
    """Where a sheet stands."""

    COMPUTED = "computed"
    APPROVED = "approved"
    PAID_OUT = "paid-out"
    ARRIVED = "arrived"
    SHORT = "short"
    OVER = "over"
    CARRIED = "carried"
    CLOSED = "closed"


class SheetEvent(StrEnum):
    """What happens to one."""

    APPROVE = "approve"
    PAY_OUT = "pay-out"
    ARRIVE = "arrive"
    """Just what was paid out."""
    ARRIVE_SHORT = "arrive-short"
    ARRIVE_OVER = "arrive-over"
    ADJUST = "adjust"
    """Two people say what the difference is."""
    CARRY = "carry"
    CLOSE = "close"


_MOVES: Mapping[tuple[SheetState, SheetEvent], SheetState] = {
    (SheetState.COMPUTED, SheetEvent.APPROVE): SheetState.APPROVED,
    (SheetState.COMPUTED, SheetEvent.CARRY): SheetState.CARRIED,
    (SheetState.COMPUTED, SheetEvent.CLOSE): SheetState.CLOSED,
    (SheetState.APPROVED, SheetEvent.PAY_OUT): SheetState.PAID_OUT,
    (SheetState.PAID_OUT, SheetEvent.ARRIVE): SheetState.ARRIVED,
    (SheetState.PAID_OUT, SheetEvent.ARRIVE_SHORT): SheetState.SHORT,
    (SheetState.PAID_OUT, SheetEvent.ARRIVE_OVER): SheetState.OVER,
    (SheetState.SHORT, SheetEvent.ARRIVE): SheetState.ARRIVED,  # the rest came
    (SheetState.SHORT, SheetEvent.ARRIVE_SHORT): SheetState.SHORT,  # a part of it
    (SheetState.SHORT, SheetEvent.ARRIVE_OVER): SheetState.OVER,
    (SheetState.SHORT, SheetEvent.ADJUST): SheetState.CLOSED,
    (SheetState.OVER, SheetEvent.ADJUST): SheetState.CLOSED,
    (SheetState.ARRIVED, SheetEvent.CLOSE): SheetState.CLOSED,
}


class NotCleared(BridgeError):
    """What cannot be done with a sheet where it stands, and why."""


def moved(state: SheetState, event: SheetEvent) -> SheetState:
    """Where a sheet stands after an event. Raises NotCleared."""
    after = _MOVES.get((state, event))
    if after is None:
        raise NotCleared(f"a sheet that is {state} cannot {event}")
    return after


@immutable
class Item:
    """What one row of an accepted statement, or a part of it, is for one company. Amounts are fen."""

    company: str
    channel: str
    day: date
    """The statement's."""
    gross: int = 0
    refund: int = 0
    fee: int = 0
    """Its share of the statement's; negative: given back."""
    promotion: int = 0
    """Owed to it; negative: funded by it."""
    adjustment: int = 0


@immutable
class Line:
    """The sum of a company's items of one channel and day."""

    channel: str
    origin: date
    count: int
    gross: int
    refunds: int
    fee: int
    promotions: int
    adjustments: int

    @property
    def net(self) -> int:
        """What it adds to the sheet's."""
        return self.gross + self.promotions - self.refunds - self.fee + self.adjustments


@immutable
class Sheet:
    """What a company is owed of a day."""

    company: str
    day: date
    lines: tuple[Line, ...]
    carried: int = 0
    """From sheets of before whose net was negative: not positive."""

    @property
    def net(self) -> int:
        """To be paid out; what is negative is carried forward."""
        return sum(line.net for line in self.lines) + self.carried


def sheets(day: date, items: Iterable[Item], carried: Mapping[str, int]) -> list[Sheet]:
    """The sheets of a day, by company. `items`: what no sheet has yet, of that day or late; `carried`: by company, what
    is set off. Raises NotCleared for an item of a later day.
    """
    found: dict[str, dict[tuple[str, date], list[Item]]] = {company: {} for company in carried}
    for item in items:
        if item.day > day:
            raise NotCleared(f"{item.company}: a row of {item.day} does not belong to the clearing of {day}")
        found.setdefault(item.company, {}).setdefault((item.channel, item.day), []).append(item)
    return [
        Sheet(company, day, tuple(_line(*key, lines[key]) for key in sorted(lines)), carried.get(company, 0))
        for company, lines in sorted(found.items())
    ]


def _line(channel: str, origin: date, items: Collection[Item]) -> Line:
    return Line(
        channel, origin, len(items), sum(one.gross for one in items), sum(one.refund for one in items),
        sum(one.fee for one in items), sum(one.promotion for one in items), sum(one.adjustment for one in items),
    )  # fmt: skip


def begun(sheet: Sheet) -> SheetState:
    """Where a sheet stands when it was computed: nothing is paid out of one that owes nothing."""
    if sheet.net > 0:
        return SheetState.COMPUTED
    return moved(SheetState.COMPUTED, SheetEvent.CARRY if sheet.net < 0 else SheetEvent.CLOSE)


def arrival(net: int, before: int, amount: int) -> SheetEvent:
    """What the arrival of `amount` is, after `before` had arrived of a sheet that paid `net` out. Raises NotCleared."""
    if amount <= 0:
        raise NotCleared("what arrives is more than nothing")
    missing = net - before - amount
    if missing > 0:
        return SheetEvent.ARRIVE_SHORT
    return SheetEvent.ARRIVE_OVER if missing < 0 else SheetEvent.ARRIVE


def adjusted(who: Collection[str], note: str) -> None:
    """Whether a difference may be closed. Raises NotCleared."""
    if len(set(who)) < 2:
        raise NotCleared("a difference of a clearing is adjusted by two people")
    if not note.strip():
        raise NotCleared("an adjustment says why")


_HEADER = ("日期", "公司", "渠道", "账单日", "笔数", "交易金额", "优惠金额", "退款金额", "手续费", "调整金额", "净额")


def file_name(sheet: Sheet, sequence: int) -> str:
    """Of the file that the company is given; `sequence` counts what it was given of that day, from 1."""
    return f"clearing_{sheet.company}_{sheet.day:%Y%m%d}_{sequence}.csv"


def written(sheet: Sheet) -> bytes:
    """The file: UTF-8 with a BOM (spreadsheets know it by that), CRLF, the totals, then the SHA-256 of all before."""
    rows: list[tuple[str, ...]] = [_HEADER]
    rows += [_row(sheet, line.channel, f"{line.origin:%Y-%m-%d}", line, line.net) for line in sheet.lines]
    if sheet.carried:
        rows.append(_row(sheet, "结转", "", _line("", sheet.day, ()), sheet.carried))
    rows.append(_row(sheet, "合计", "", _total(sheet), sheet.net))
    body = io.StringIO()
    csv.writer(body).writerows(rows)
    data = body.getvalue().encode("utf-8-sig")
    return data + f"#sha256:{hashlib.sha256(data).hexdigest()}\r\n".encode()


def _total(sheet: Sheet) -> Line:
    lines = sheet.lines
    return Line(
        "", sheet.day, sum(one.count for one in lines), sum(one.gross for one in lines),
        sum(one.refunds for one in lines), sum(one.fee for one in lines), sum(one.promotions for one in lines),
        sum(one.adjustments for one in lines),
    )  # fmt: skip


def _row(sheet: Sheet, channel: str, origin: str, line: Line, net: int) -> tuple[str, ...]:
    amounts = (line.gross, line.promotions, -line.refunds, -line.fee, line.adjustments, net)
    return (f"{sheet.day:%Y-%m-%d}", sheet.company, channel, origin, str(line.count), *map(text, amounts))

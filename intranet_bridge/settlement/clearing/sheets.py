"""Clearing: what each company is owed of a channel's day, its sheet, and whether the money arrived. Pure.

::

    gross + promotions - refunds - fee + adjustments + carried = net

    computed -> approved -> paid-out -> arrived | short | over -> closed
    computed -> carried    (approved with net < 0: it is set off against a later sheet)
    computed -> closed     (approved with net = 0: there is nothing to pay)

Everything comes from accepted statements. A refund counts on its own day, not on its payment's. What comes late is
booked into the sheet that is open, in a part of its own that names the day it is of. Of promotions, what a coupon or
points paid for a company's lines is owed to that company, and by who funds it: over all companies it is nothing; what
the channel did not take in for a company's own coupons there is borne by the company.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from enum import StrEnum

from intranet_bridge.settlement.money import text
from protocol.errors import BridgeError
from protocol.people import NO_SECOND, person
from protocol.spreadsheets import as_csv, safe
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


class PartKind(StrEnum):
    """Where a part of a sheet comes from."""

    ROWS = "rows"
    """A statement of the sheet's own day."""
    LATE = "late"
    """Rows that came, or whose lines were decided, after the sheet of their day was approved."""
    CORRECTION = "correction"
    """What an approved sheet has of a statement that was replaced, taken back."""
    ADJUSTMENT = "adjustment"
    """What two people said."""
    CARRIED = "carried"
    """Set off: a sheet of before, whose net was negative."""


@immutable
class Amounts:
    """Sums of rows, in fen. Each may be negative, in what takes others back."""

    count: int = 0
    gross: int = 0
    refunds: int = 0
    fee: int = 0
    promotions: int = 0
    """Owed: what coupons and points of ours paid."""
    funded: int = 0
    """Of such promotions, what it funds."""
    discounts: int = 0
    """What the channel did not take in, for coupons of the company's own there."""
    adjustments: int = 0

    @property
    def net(self) -> int:
        """What it comes to."""
        owed = self.gross + self.promotions + self.adjustments
        return owed - self.refunds - self.fee - self.funded - self.discounts

    @property
    def promoted(self) -> int:
        """Promotions, as the sheet shows them."""
        return self.promotions - self.funded - self.discounts

    def plus(self, other: "Amounts", times: int = 1) -> "Amounts":
        """The sum; `times` -1 takes it back."""
        return Amounts(
            self.count + times * other.count, self.gross + times * other.gross, self.refunds + times * other.refunds,
            self.fee + times * other.fee, self.promotions + times * other.promotions,
            self.funded + times * other.funded, self.discounts + times * other.discounts,
            self.adjustments + times * other.adjustments,
        )  # fmt: skip


NOTHING = Amounts()


def summed(several: Iterable[Amounts]) -> Amounts:
    """All of them together."""
    found = NOTHING
    for one in several:
        found = found.plus(one)
    return found


@immutable
class Part:
    """A part of a sheet."""

    kind: PartKind
    origin: date
    """The day it is of."""
    amounts: Amounts
    """Of what is carried: in `adjustments`."""


@immutable
class Sheet:
    """What a company is owed of a channel's day."""

    company: str
    channel: str
    day: date
    parts: tuple[Part, ...]

    @property
    def total(self) -> Amounts:
        """Of all its parts."""
        return summed(part.amounts for part in self.parts)

    @property
    def net(self) -> int:
        """To be paid out; what is negative is carried forward."""
        return self.total.net


def checked(sheet: Sheet) -> Sheet:
    """Itself. Raises NotCleared for a part of a later day."""
    for part in sheet.parts:
        if part.origin > sheet.day:
            raise NotCleared(f"{sheet.company}: a row of {part.origin} does not belong to the clearing of {sheet.day}")
    return sheet


def signing(net: int) -> SheetEvent:
    """What the approval of a sheet is: nothing is paid out of one that owes nothing."""
    if net > 0:
        return SheetEvent.APPROVE
    return SheetEvent.CARRY if net < 0 else SheetEvent.CLOSE


def arrival(net: int, before: int, amount: int) -> SheetEvent:
    """What the arrival of `amount` is, after `before` had arrived of a sheet that paid `net` out. Raises NotCleared."""
    if amount <= 0:
        raise NotCleared("what arrives is more than nothing")
    missing = net - before - amount
    if missing > 0:
        return SheetEvent.ARRIVE_SHORT
    return SheetEvent.ARRIVE_OVER if missing < 0 else SheetEvent.ARRIVE


def adjusted(who: Collection[str], note: str, *, second: bool = True) -> None:
    """Whether a difference may be closed. `second`: whether the last of them may be the second person. Raises
    NotCleared.
    """
    if len({person(one) for one in who}) < 2:
        raise NotCleared("a difference of a clearing is adjusted by two people")
    if not second:
        raise NotCleared(NO_SECOND)
    if not note.strip():
        raise NotCleared("an adjustment says why")


# --- the company's file -----------------------------------------------------------------------------------

_HEADER = (
    "日期",
    "公司",
    "渠道",
    "账单日",
    "类别",
    "笔数",
    "交易金额",
    "优惠金额",
    "退款金额",
    "手续费",
    "调整金额",
    "净额",
)
_KINDS = {
    PartKind.ROWS: "当日", PartKind.LATE: "迟到", PartKind.CORRECTION: "更正", PartKind.ADJUSTMENT: "调整",
    PartKind.CARRIED: "结转",
}  # fmt: skip


def file_name(company: str, day: date, sequence: int) -> str:
    """Of the file that the company is given; `sequence` counts its sheets of that day, from 1."""
    return f"clearing_{company}_{day:%Y%m%d}_{sequence}.csv"


def written(sheet: Sheet) -> bytes:
    """The file: UTF-8 with a BOM (spreadsheets know it by that), CRLF, the totals, then the SHA-256 of all before."""
    rows = [_row(sheet, f"{part.origin:%Y-%m-%d}", _KINDS[part.kind], part.amounts) for part in sheet.parts]
    data = as_csv(_HEADER, [*rows, _row(sheet, "", "合计", sheet.total)])
    return data + f"#sha256:{hashlib.sha256(data).hexdigest()}\r\n".encode()


def _row(sheet: Sheet, origin: str, kind: str, of: Amounts) -> tuple[str, ...]:
    amounts = (of.gross, of.promoted, -of.refunds, -of.fee, of.adjustments, of.net)
    named = (f"{sheet.day:%Y-%m-%d}", safe(sheet.company), safe(sheet.channel), origin, kind, str(of.count))
    return (*named, *map(text, amounts))

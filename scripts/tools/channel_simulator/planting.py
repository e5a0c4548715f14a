"""Differences planted in a day of a channel's book, chosen by a seed: what a reconciliation must find, and how named.

The kinds are those of matching. Those of a payment that we know of each take one of their own, so a day must have as
many notified payments as there are to be such differences.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from random import Random

from protocol.times import CHINA
from scripts.tools.channel_simulator.book import FEE, Book, BookError, Payment, RefundStatus


class Kind(StrEnum):
    """What a difference is, and is found as."""

    PLATFORM_ONLY = "platform-only"
    """The channel charged, and we were never told."""
    REFUND_NOT_REVERSED = "refund-not-reversed"
    """Refunded whole at the channel, by hand."""
    PARTIAL_REFUND = "partial-refund"
    CHARGED_AND_REFUNDED = "charged-and-refunded"
    """Charged and refunded, and we were told of neither."""
    REFUND_PENDING = "refund-pending"
    """The refund is accepted and not paid out. WeChat Pay's statements say so."""
    REFUND_UNMATCHED = "refund-unmatched"
    """Of a payment that nobody knows."""
    POOLED = "pooled"
    """Ours, and not in the statement; after two more accepted statements it is `marketing-only`."""
    AMOUNT_DIFFERS = "amount-differs"
    FEE_DIFFERS = "fee-differs"


@dataclass(frozen=True, slots=True)
class Planted:
    """One difference."""

    kind: Kind
    channel: str
    day: date
    transaction: str
    reference: str
    refund: str
    amount: int
    """Fen: of what is there and should not be, or the other way round; by how much, where something differs."""


def plant(
    book: Book, channel: str, day: date, seed: int, count: int, kinds: Sequence[Kind] = tuple(Kind)
) -> list[Planted]:
    """Change the book of a day, and say how. Each kind comes once before any comes again. Raises BookError."""
    random = Random(f"{seed} {channel} {day}")  # noqa: S311 - chance for tests, nothing secret
    possible = [kind for kind in kinds if kind is not Kind.REFUND_PENDING or channel == "wechat"]
    if not possible:
        raise BookError("none of these kinds can be planted here")
    chosen: list[Kind] = []
    while len(chosen) < count:
        round_of_all = list(possible)
        random.shuffle(round_of_all)
        chosen += round_of_all
        possible = [kind for kind in possible if kind is not Kind.FEE_DIFFERS]  # one of a statement, not of a row
        if not possible:
            break
    known = [one for one in book.payments(channel, day=day) if one.notified and not one.planted and one.cash > 100]
    random.shuffle(known)
    day_of = _Day(book, channel, day, seed, random, known)
    return [_WAYS[kind](day_of, number) for number, kind in enumerate(chosen[:count], 1)]


def unnotified(book: Book, channel: str, day: date) -> list[Planted]:
    """Payments of a day that we were not told of, nor planted: found as `platform-only` too."""
    return [
        Planted(Kind.PLATFORM_ONLY, channel, day, one.transaction, one.reference, "", one.stated)
        for one in book.payments(channel, day=day)
        if not one.notified and not one.planted
    ]


class _Day:
    """A day that differences are planted in."""

    def __init__(self, book: Book, channel: str, day: date, seed: int, random: Random, known: list[Payment]) -> None:
        self.book, self.channel, self.day, self.random, self._known = book, channel, day, random, known
        self._seed = seed

    def one(self) -> Payment:
        """A payment that nothing is planted in yet."""
        if not self._known:
            raise BookError(f"{self.channel} {self.day}: too few notified payments to plant so many differences")
        return self._known.pop()

    def moment(self) -> datetime:
        start = datetime.combine(self.day, time(12), CHINA)
        return start + timedelta(seconds=self.random.randrange(11 * 3600))

    def name(self, what: str, number: int) -> str:
        """With the channel's first letter: an order of two channels is paid twice, which is another difference."""
        return f"{what}{self.channel[0].upper()}{self.day:%Y%m%d}{self._seed}-{number}"

    def planted(self, kind: Kind, transaction: str, reference: str, refund: str, amount: int) -> Planted:
        return Planted(kind, self.channel, self.day, transaction, reference, refund, amount)


def _stranger(day: _Day, number: int, kind: Kind) -> Payment:
    name = day.name("XP", number)
    cash = day.random.randrange(101, 50_000)
    [made] = day.book.pay(day.channel, name, [(name, cash)], day.moment(), planted=kind)
    return made


def _platform_only(day: _Day, number: int) -> Planted:
    made = _stranger(day, number, Kind.PLATFORM_ONLY)
    return day.planted(Kind.PLATFORM_ONLY, made.transaction, made.reference, "", made.cash)


def _charged_and_refunded(day: _Day, number: int) -> Planted:
    made, kind = _stranger(day, number, Kind.CHARGED_AND_REFUNDED), Kind.CHARGED_AND_REFUNDED
    refund = day.name("XB", number)
    at = min(made.at + timedelta(minutes=5), datetime.combine(day.day, time(23, 59, 59), CHINA))
    day.book.refund(day.channel, made.transaction, refund, made.cash, at, planted=kind)
    return day.planted(kind, made.transaction, made.reference, refund, made.cash)


def _refunded(kind: Kind, share: int, status: RefundStatus = RefundStatus.SUCCESS) -> Callable[[_Day, int], Planted]:
    def way(day: _Day, number: int) -> Planted:
        one, refund = day.one(), day.name("XB", number)
        cash = one.cash // share
        at = datetime.combine(day.day, time(23, 30), CHINA)
        day.book.change(one.transaction, kind)
        day.book.refund(day.channel, one.transaction, refund, cash, at, status=status, planted=kind)
        return day.planted(kind, one.transaction, one.reference, refund, cash)

    return way


def _refund_unmatched(day: _Day, number: int) -> Planted:
    kind = Kind.REFUND_UNMATCHED
    made = day.book.strange_refund(
        day.channel, day.name("XB", number), day.random.randrange(101, 50_000), day.moment(), kind
    )
    return day.planted(kind, made.transaction, made.reference, made.number, made.cash)


def _pooled(day: _Day, _number: int) -> Planted:
    one = day.one()
    day.book.change(one.transaction, Kind.POOLED, left_out=True)
    return day.planted(Kind.POOLED, one.transaction, one.reference, "", one.cash)


def _amount_differs(day: _Day, _number: int) -> Planted:
    one, more = day.one(), day.random.randrange(1, 100)
    stated = one.cash + more
    day.book.change(one.transaction, Kind.AMOUNT_DIFFERS, stated=stated, fee=stated * FEE)
    return day.planted(Kind.AMOUNT_DIFFERS, one.transaction, one.reference, "", more)


def _fee_differs(day: _Day, _number: int) -> Planted:
    one, more = day.one(), day.random.randrange(2, 50)
    day.book.change(one.transaction, Kind.FEE_DIFFERS, fee=one.fee + 1000 * more)
    return day.planted(Kind.FEE_DIFFERS, one.transaction, one.reference, "", more)


_WAYS: dict[Kind, Callable[[_Day, int], Planted]] = {
    Kind.PLATFORM_ONLY: _platform_only,
    Kind.REFUND_NOT_REVERSED: _refunded(Kind.REFUND_NOT_REVERSED, 1),
    Kind.PARTIAL_REFUND: _refunded(Kind.PARTIAL_REFUND, 3),
    Kind.CHARGED_AND_REFUNDED: _charged_and_refunded,
    Kind.REFUND_PENDING: _refunded(Kind.REFUND_PENDING, 1, RefundStatus.PROCESSING),
    Kind.REFUND_UNMATCHED: _refund_unmatched,
    Kind.POOLED: _pooled,
    Kind.AMOUNT_DIFFERS: _amount_differs,
    Kind.FEE_DIFFERS: _fee_differs,
}

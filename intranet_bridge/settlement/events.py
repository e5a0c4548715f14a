"""What happened to money, and what is booked for it. Pure.

====================================  ============================================  ====================================
event                                 debit                                         credit
====================================  ============================================  ====================================
`Paid`                                `channel:{c}` cash, `promo:{funder}` parts    `order:{no}`
`WrittenOff`, `Credited`              `order:{no}`                                  `company:{u}`
`Reversed`                            `company:{u}`                                 `order:{no}`
`RefundDue`                           `order:{no}`                                  `refund:{c}` cash, `promo:{funder}`
`RefundProven`                        `refund:{c}`                                  `channel:{c}`
`Fee`                                 `company:{u}`                                 `channel:{c}`
`PromotionCharged`                    `company:{funder}`                            `promo:{funder}`
`Discount`                            `company:{u}`                                 `channel:{c}`
`PaidOut`                             `company:{u}`                                 `transit:{u}`
`Arrived`                             `transit:{u}`                                 `channel:{c}`
`Adjusted`, of what did not arrive    `transit:{u}`                                 `company:{u}`, or `channel:{c}`
`Payment`, without an order of ours   `channel:{c}`                                 `company:{u}`
`PaymentRefunded`, its refund         `company:{u}`                                 `channel:{c}`
`Surplus`, paid once too often        `channel:{c}`                                 `refund:{c}`
`Corrected`, what was booked of such  `channel:{c}`                                 `company:{u}`
====================================  ============================================  ====================================

The account of an order that has ended is 0; what is on `channel:{c}` after a closed day has not yet arrived. Amounts
are fen; a fee, a discount and a charged promotion are negative where they are given back, a correction where less is
owed, an adjustment where too much arrived. Each event has a key of its own, under which it is booked
once.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date

from protocol.errors import BridgeError
from protocol.values import immutable

ACCOUNT = re.compile(r"(?:channel|promo|order|company|refund|transit):[0-9A-Za-z][0-9A-Za-z._-]{0,63}")
_KEY = re.compile(r"[!-~]{1,200}")
_REF = re.compile(r"[!-~]{1,128}")


class NotBooked(BridgeError):
    """What cannot be booked: it does not balance, or names no account that can be."""


@immutable
class Entry:
    """An amount on an account: a debit positive, a credit negative; never 0."""

    account: str
    amount: int


@immutable
class Posting:
    """A journal that is to be written."""

    event_key: str
    day: date
    """The settlement day: the platform's."""
    kind: str
    ref: str
    """What a person looks for: the order, the transaction, the clearing sheet."""
    entries: tuple[Entry, ...]

    def checked(self) -> "Posting":
        """Itself. Raises NotBooked."""
        if not _KEY.fullmatch(self.event_key) or not _REF.fullmatch(self.ref):
            raise NotBooked("the key of an event, or what it is about, has other characters, or more, than a journal's")
        if total := sum(entry.amount for entry in self.entries):
            raise NotBooked(f"{self.event_key}: its entries sum to {total} fen")
        if len(self.entries) < 2 or not all(entry.amount for entry in self.entries):
            raise NotBooked(f"{self.event_key}: moves no money")
        for entry in self.entries:
            if not ACCOUNT.fullmatch(entry.account):
                raise NotBooked(f"{self.event_key}: there can be no such account")
        return self


@immutable
class Part:
    """What a coupon, a red packet or points pay, and who funds it."""

    funder: str
    amount: int


@immutable
class Paid:
    """An order is paid, by proof."""

    order: str
    channel: str
    cash: int
    parts: tuple[Part, ...] = ()


@immutable
class WrittenOff:
    """A line of an order is written off at its company."""

    order: str
    line: int
    company: str
    amount: int


@immutable
class Credited:
    """A refused line became a prepayment at its company."""

    order: str
    line: int
    company: str
    amount: int


@immutable
class Reversed:
    """What was written off for a line is taken back; `refund` is its refund's number, `all` the whole line."""

    order: str
    line: int
    company: str
    amount: int
    refund: str = "all"


@immutable
class RefundDue:
    """A line's money goes back: its cash by the channel, its part payments to whoever funds them."""

    number: str
    order: str
    channel: str
    cash: int
    parts: tuple[Part, ...] = ()


@immutable
class RefundProven:
    """The channel has proved that it paid a refund."""

    number: str
    channel: str
    cash: int


@immutable
class Fee:
    """A company's share of what a channel keeps of a statement; negative: gives back."""

    statement: str
    channel: str
    company: str
    amount: int


@immutable
class PromotionCharged:
    """What a funder's promotions paid is charged to it, in a clearing."""

    clearing: str
    funder: str
    amount: int


@immutable
class Discount:
    """What a channel did not take in for a company's own coupons there; negative: of refunds."""

    clearing: str
    channel: str
    company: str
    amount: int


@immutable
class PaidOut:
    """A company's share is on its way to it."""

    clearing: str
    company: str
    amount: int


@immutable
class Arrived:
    """It is in the company's account, by a row of the bank's."""

    clearing: str
    row: str
    company: str
    channel: str
    amount: int


@immutable
class Adjusted:
    """What two people said of the difference between what was paid out and what arrived."""

    clearing: str
    company: str
    channel: str
    amount: int
    """That is missing; negative: too much arrived."""
    owed: bool
    """It is owed to the company still; else the channel keeps it."""


@immutable
class Payment:
    """A payment without an order of ours, written off at a company."""

    channel: str
    transaction: str
    company: str
    amount: int


@immutable
class PaymentRefunded:
    """A refund of such a payment."""

    channel: str
    transaction: str
    refund: str
    company: str
    amount: int


@immutable
class Surplus:
    """A payment of what was paid already: it is owed to the payer."""

    channel: str
    transaction: str
    amount: int


@immutable
class Corrected:
    """What a company is owed more of payments without an order than is booked, as a later statement or two people say;
    negative: less.
    """

    what: str
    channel: str
    company: str
    amount: int


Event = (
    Paid
    | WrittenOff
    | Credited
    | Reversed
    | RefundDue
    | RefundProven
    | Fee
    | PromotionCharged
    | Discount
    | PaidOut
    | Arrived
    | Adjusted
    | Payment
    | PaymentRefunded
    | Surplus
    | Corrected
)


def posting(event: Event, day: date) -> Posting:
    """What is booked for an event of a settlement day. Raises NotBooked for amounts that no such event has."""
    match event:
        case Paid(order, channel, cash, parts):
            debits = [(f"channel:{channel}", cash), *_promotions(parts)]
            return _posting("paid", order, order, day, debits, [(f"order:{order}", _sum(debits))])
        case WrittenOff(order, line, company, amount):
            return _moved("written-off", f"{order}-{line}", order, day, f"order:{order}", f"company:{company}", amount)
        case Credited(order, line, company, amount):
            return _moved("credited", f"{order}-{line}", order, day, f"order:{order}", f"company:{company}", amount)
        case Reversed(order, line, company, amount, refund):
            what = f"{order}-{line}:{refund}"
            return _moved("reversed", what, order, day, f"company:{company}", f"order:{order}", amount)
        case RefundDue(number, order, channel, cash, parts):
            credits = [(f"refund:{channel}", cash), *_promotions(parts)]
            return _posting("refund-due", number, order, day, [(f"order:{order}", _sum(credits))], credits)
        case RefundProven(number, channel, cash):
            return _moved("refund-proven", number, number, day, f"refund:{channel}", f"channel:{channel}", cash)
        case Fee(statement, channel, company, amount):
            debit, credit = f"company:{company}", f"channel:{channel}"
            return _either("fee", f"{statement}:{company}", statement, day, debit, credit, amount)
        case PromotionCharged(clearing, funder, amount):
            what = f"{clearing}:{funder}"
            return _either("promotion-charged", what, clearing, day, f"company:{funder}", f"promo:{funder}", amount)
        case Discount(clearing, channel, company, amount):
            debit, credit = f"company:{company}", f"channel:{channel}"
            return _either("discount", f"{clearing}:{company}", clearing, day, debit, credit, amount)
        case PaidOut(clearing, company, amount):
            return _moved("paid-out", clearing, clearing, day, f"company:{company}", f"transit:{company}", amount)
        case Arrived(clearing, row, company, channel, amount):
            what = f"{clearing}:{row}"
            return _moved("arrived", what, clearing, day, f"transit:{company}", f"channel:{channel}", amount)
        case Adjusted(clearing, company, channel, amount, owed):
            credit = f"company:{company}" if owed else f"channel:{channel}"
            return _either("adjusted", clearing, clearing, day, f"transit:{company}", credit, amount)
        case Payment(channel, transaction, company, amount):
            what = f"{channel}:{transaction}"
            return _moved("payment", what, transaction, day, f"channel:{channel}", f"company:{company}", amount)
        case PaymentRefunded(channel, transaction, refund, company, amount):
            what, credit = f"{channel}:{transaction}:{refund}", f"channel:{channel}"
            return _moved("payment-refunded", what, transaction, day, f"company:{company}", credit, amount)
        case Surplus(channel, transaction, amount):
            what = f"{channel}:{transaction}"
            return _moved("surplus", what, transaction, day, f"channel:{channel}", f"refund:{channel}", amount)
        case Corrected(what, channel, company, amount):
            debit, credit = f"channel:{channel}", f"company:{company}"
            return _either("corrected", f"{what}:{company}", what, day, debit, credit, amount)


_Lines = Sequence[tuple[str, int]]
"""Accounts and amounts on one side."""


def _promotions(parts: Iterable[Part]) -> _Lines:
    return [(f"promo:{part.funder}", part.amount) for part in parts]


def _sum(lines: _Lines) -> int:
    return sum(amount for _, amount in lines)


def _moved(kind: str, what: str, ref: str, day: date, debit: str, credit: str, amount: int) -> Posting:
    return _posting(kind, what, ref, day, [(debit, amount)], [(credit, amount)])


def _either(kind: str, what: str, ref: str, day: date, debit: str, credit: str, amount: int) -> Posting:
    """An amount that may be negative: the other way round."""
    if amount < 0:
        debit, credit = credit, debit
    return _moved(kind, what, ref, day, debit, credit, abs(amount))


def _posting(kind: str, what: str, ref: str, day: date, debits: _Lines, credits: _Lines) -> Posting:
    if any(amount < 0 for _, amount in (*debits, *credits)):
        raise NotBooked(f"{kind}:{what}: an amount is negative")
    summed: dict[str, int] = {}
    for sign, lines in ((1, debits), (-1, credits)):
        for account, amount in lines:
            summed[account] = summed.get(account, 0) + sign * amount
    entries = tuple(Entry(account, amount) for account, amount in summed.items() if amount)
    return Posting(f"{kind}:{what}", day, kind, ref, entries).checked()

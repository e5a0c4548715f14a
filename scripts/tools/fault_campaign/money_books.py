"""The four books of money: what callers were told of their orders, the bridge's ledger, what the marketing system has
written off, what channels took and gave back; and what the statements' comparison found. Pure.

What a channel took for an order, less what it gave back, must be what the order's lines brought: each line written off
once, by its amount, or its cash given back. Every difference that was planted must be found, under its name, and
nothing else.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scripts.tools.fault_campaign.reconcile import Violation

ENDED = frozenset({"completed", "completed-with-refunds", "expired", "cancelled"})
STANDING = frozenset({"written-off", "credited"})
"""Lines whose money is at their company."""
BOOKED = frozenset({"paid", "written-off", "credited", "reversed", "refund-due", "refund-proven", "surplus"})
"""Kinds of journals that orders lead to; others come of statements and clearing."""
PASSING = frozenset({"platform-only", "lines-incomplete", "paid-twice", "charged-and-refunded", "amount-differs"})
"""What a statement may find of an order that is under way when it comes."""
REVERSED = "refund-not-reversed"
REFUNDED = "charged-and-refunded"
_REQUEST = re.compile(r"([0-9A-Za-z]{1,27})-([0-9]{1,2})(?:-C)?")
_RESERVATION = re.compile(r"([0-9A-Za-z]{1,27})-P[1-5]-V[0-9]+")
_REFUND = re.compile(r"([0-9A-Za-z]{1,27})-[0-9]{1,2}-R[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an order, as its caller was told last. Amounts are fen."""

    number: int
    company: str
    account: str
    amount: int
    cash: int
    state: str


@dataclass(frozen=True, slots=True)
class Order:
    """An order, as its caller was told last."""

    number: str
    channel: str
    state: str
    lines: Sequence[Line]
    coupon: int = 0
    """What a coupon was to pay of it."""
    funder: str = ""
    refunds: Mapping[str, str] = field(default_factory=dict)
    """Of the refunds that it asked for: number → state."""

    @property
    def standing(self) -> int:
        """What its lines have brought to their companies."""
        return sum(line.amount for line in self.lines if line.state in STANDING)

    @property
    def cash(self) -> int:
        """The same without the coupon's share: what channels must have."""
        return sum(line.cash for line in self.lines if line.state in STANDING)


@dataclass(frozen=True, slots=True)
class Written:
    """A payment in the marketing system's book."""

    request: str
    channel: str
    transaction: str
    account: str
    amount: int
    reversed: bool


@dataclass(frozen=True, slots=True)
class Reservation:
    """A coupon's, in the promotion service's book."""

    name: str
    promotion: str
    amount: int
    state: str


@dataclass(frozen=True, slots=True)
class Charged:
    """What a channel took: one transaction. `order`: of which order of ours; empty: it was planted without one."""

    channel: str
    transaction: str
    order: str
    cash: int
    planted: str = ""


@dataclass(frozen=True, slots=True)
class Back:
    """What a channel gave back of a transaction."""

    channel: str
    number: str
    transaction: str
    cash: int
    planted: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the ledger's, with its journal's kind and what that is about. Debits are positive."""

    kind: str
    ref: str
    account: str
    amount: int


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """A class, a channel and its transaction: what is found of it. Of a statement's fee its day stands for one."""

    what: str
    channel: str
    transaction: str

    def __str__(self) -> str:
        return f"{self.what} of {self.channel} {self.transaction}"


@dataclass(frozen=True, slots=True)
class Books:
    """All that is compared."""

    orders: Sequence[Order]
    written: Sequence[Written]
    reservations: Sequence[Reservation]
    charged: Sequence[Charged]
    back: Sequence[Back]
    ledger: Sequence[Entry]
    planted: Sequence[Difference]
    unnotified: Sequence[Difference]
    """Payments of which nobody was notified: found by the statement."""
    found: Sequence[Difference]
    """The items."""
    differing: Sequence[Difference] = ()
    """Payments of another amount than was asked for; they were given back."""
    passing: frozenset[tuple[str, str]] = frozenset()
    """Channel and transaction of payments whose orders were under way when their statement came."""
    unsettled: Sequence[str] = ()
    """Runs and items that have not come to their end."""
    unread: Sequence[str] = ()
    """Books that could not be read, or do not hold together, and why."""
    known: frozenset[str] = frozenset()
    """Numbers of orders in the bridge's database."""


@dataclass(slots=True)
class MoneyVerdict:
    """The result. Money is fen."""

    orders: int = 0
    states: Counter[str] = field(default_factory=Counter)
    charged: int = 0
    given_back: int = 0
    written_off: int = 0
    coupons: int = 0
    lost: int = 0
    """Charged, and neither written off nor given back."""
    doubled: int = 0
    """Written off twice, or written off and given back, or of nobody's order."""
    refunds: int = 0
    planted: int = 0
    unnotified: int = 0
    found: int = 0
    """Of those that were to be found."""
    explained: int = 0
    """Of payments that were refunded as their orders asked: reported, with nothing left to do."""
    passing: int = 0
    """Of orders that were under way when their statement came."""
    unexplained: int = 0
    violations: list[Violation] = field(default_factory=list)

    def add(self, kind: str, what: str) -> None:
        """Record a violation."""
        self.violations.append(Violation(kind, what))


def check(books: Books) -> MoneyVerdict:
    """Compare all of them."""
    verdict = MoneyVerdict(orders=len(books.orders), states=Counter(order.state for order in books.orders))
    for what in books.unread:
        verdict.add("money-books", what)
    for what in books.unsettled:
        verdict.add("money-open", what)
    channels = {one.channel for one in books.charged} | {order.channel for order in books.orders}
    written = _by_line([one for one in books.written if one.channel in channels])
    takings, ours = _takings(books)
    for order in books.orders:
        _check_order(order, written, takings.get(order.number, 0), ours, verdict)
    _check_strangers(books, written, channels, verdict)
    _check_coupons(books, verdict)
    _check_ledger(books, channels, ours, verdict)
    _check_differences(books, verdict)
    verdict.refunds = sum(bool(_REFUND.fullmatch(one.number)) for one in books.back)
    return verdict


_OfLine = tuple[str, int]


def _by_line(written: Iterable[Written]) -> dict[_OfLine, list[Written]]:
    found: dict[_OfLine, list[Written]] = {}
    for one in written:
        name = _REQUEST.fullmatch(one.request)
        found.setdefault((name[1], int(name[2])) if name else (one.request, 0), []).append(one)
    return found


def _counts(one: Charged | Back) -> bool:
    """Whether the books of orders are to have it: of what was planted, what they themselves act upon."""
    return isinstance(one, Charged) or not one.planted or one.planted == REVERSED


def _takings(books: Books) -> tuple[dict[str, int], dict[str, list[Charged]]]:
    """What channels have of each order, and its transactions."""
    order_of = {(one.channel, one.transaction): one.order for one in books.charged if one.order}
    takings: Counter[str] = Counter()
    ours: dict[str, list[Charged]] = {}
    for one in books.charged:
        if one.order:
            takings[one.order] += one.cash
            ours.setdefault(one.order, []).append(one)
    for back in books.back:
        number = order_of.get((back.channel, back.transaction))
        if number and _counts(back):
            takings[number] -= back.cash
    return dict(takings), ours


def _check_order(
    order: Order, written: Mapping[_OfLine, list[Written]], takings: int, ours: Mapping[str, list[Charged]],
    verdict: MoneyVerdict,
) -> None:  # fmt: skip
    if order.state not in ENDED:
        verdict.add("money-open", f"order {order.number} is {order.state or 'unknown'} at the end")
    verdict.written_off += order.standing
    transactions = {one.transaction for one in ours.get(order.number, [])}
    for line in order.lines:
        _check_line(order, line, written.get((order.number, line.number), []), transactions, verdict)
    if takings > order.cash:
        verdict.lost += takings - order.cash
        what = f"{takings} fen are with {order.channel}, of which its lines have {order.cash}"
        verdict.add("fen-lost", f"order {order.number}, {order.state}: {what}")
    elif takings < order.cash:
        verdict.doubled += order.cash - takings
        what = f"its lines have {order.cash} fen, of which {takings} are with {order.channel}"
        verdict.add("fen-twice", f"order {order.number}, {order.state}: {what}")


def _check_line(
    order: Order, line: Line, written: Sequence[Written], transactions: set[str], verdict: MoneyVerdict
) -> None:
    name, standing = f"line {order.number}-{line.number}, {line.state}", [one for one in written if not one.reversed]
    booked, due = sum(one.amount for one in standing), line.amount if line.state in STANDING else 0
    if booked > due:
        verdict.doubled += booked - due
        verdict.add("fen-twice", f"{name}: {due} fen are due, {booked} written off {len(standing)} times")
    elif booked < due:
        verdict.lost += due - booked
        verdict.add("fen-lost", f"{name}: {due} fen are due, {booked} written off")
    for one in standing:
        if one.account != line.account or one.transaction not in transactions:
            verdict.add("money-books", f"{name}: written off for another account, or under another transaction")


def _check_strangers(
    books: Books, written: Mapping[_OfLine, list[Written]], channels: set[str], verdict: MoneyVerdict
) -> None:
    lines = {(order.number, line.number) for order in books.orders for line in order.lines}
    for key, of_line in written.items():
        amount = sum(one.amount for one in of_line if not one.reversed)
        if key not in lines and amount:
            verdict.doubled += amount
            verdict.add("fen-twice", f"{of_line[0].request} wrote off {amount} fen, and is of no line of an order")
    callers = {order.number for order in books.orders}
    for number in sorted(books.known - callers):
        verdict.add("stranger", f"order {number} is the bridge's, and no caller's")
    for number in sorted(callers - books.known):
        verdict.add("lost", f"order {number} was told to its caller, and is not in the bridge's database")
    for one in books.charged:
        if one.order and one.order not in callers:
            verdict.lost += one.cash
            verdict.add("fen-lost", f"{one.channel} {one.transaction} paid {one.order}, which is no caller's order")


def _check_coupons(books: Books, verdict: MoneyVerdict) -> None:
    posted: dict[str, list[Reservation]] = {}
    uses: Counter[str] = Counter()
    for one in books.reservations:
        if one.state == "posted":
            uses[one.promotion] += 1
            name = _RESERVATION.fullmatch(one.name)
            posted.setdefault(name[1] if name else one.name, []).append(one)
    for promotion, count in uses.items():
        if count > 1:
            verdict.add("fen-twice", f"coupon {promotion} was used {count} times")
    for order in books.orders:
        used = sum(one.amount for one in posted.pop(order.number, []))
        verdict.coupons += order.standing - order.cash
        if used > order.coupon or (used and order.state not in ("completed", "completed-with-refunds")):
            verdict.doubled += used - order.coupon if used > order.coupon else used
            verdict.add("fen-twice", f"order {order.number}, {order.state}: {used} fen of coupons are used up")
        elif used < order.coupon and order.standing:
            verdict.lost += order.coupon - used
            verdict.add("fen-lost", f"order {order.number}: {order.coupon} fen of a coupon pay it, {used} are used up")
    for number in posted:
        verdict.add("stranger", f"coupons are used up for {number}, which is no caller's order")


def _check_ledger(books: Books, channels: set[str], ours: Mapping[str, list[Charged]], verdict: MoneyVerdict) -> None:
    balances: Counter[str] = Counter()
    off: Counter[str] = Counter()
    for entry in books.ledger:
        if entry.kind in BOOKED:
            balances[entry.account] += entry.amount
        off[entry.kind] += entry.amount
    for kind, amount in off.items():
        if amount:
            verdict.add("money-books", f"the journals of kind {kind} are off by {amount} fen")
    wanted: Counter[str] = Counter()
    for order in books.orders:
        wanted[f"order:{order.number}"] = 0
        for line in order.lines:
            if line.state in STANDING:
                wanted[f"company:{line.company}"] -= line.amount
        if order.funder:
            wanted[f"promo:{order.funder}"] += order.standing - order.cash
    transactions = {(one.channel, one.transaction) for of in ours.values() for one in of}
    for one in books.charged:
        if one.order:
            wanted[f"channel:{one.channel}"] += one.cash
            verdict.charged += one.cash
    for back in books.back:
        if (back.channel, back.transaction) in transactions and _counts(back):
            wanted[f"channel:{back.channel}"] -= back.cash
            verdict.given_back += back.cash
    for channel in channels:
        wanted[f"refund:{channel}"] += 0
    for account in sorted(wanted.keys() | balances.keys()):
        if balances[account] != wanted[account]:
            what = f"{account} has {balances[account]} fen of orders, the other books say {wanted[account]}"
            verdict.add("money-books", what)


def _check_differences(books: Books, verdict: MoneyVerdict) -> None:
    verdict.planted, verdict.unnotified = len(books.planted), len(books.unnotified)
    due = Counter([*books.planted, *books.unnotified, *books.differing])
    differing = {(one.channel, one.transaction) for one in books.differing}
    explained = Counter(
        {
            Difference(REFUNDED, one.channel, one.transaction)
            for one in books.back
            if not one.planted and _REFUND.fullmatch(one.number) and (one.channel, one.transaction) not in differing
        }
    )
    found = Counter(books.found)
    missed, more = due - found, found - due
    verdict.found = due.total() - missed.total()
    for difference in missed.elements():
        verdict.add("difference-missed", f"{difference} was not found")
    verdict.explained = (more & explained).total()
    for difference in (explained - more).elements():
        verdict.add("difference-missed", f"{difference} was not reported")
    passing = {one: count for one, count in (more - explained).items() if _passes(one, books)}
    verdict.passing = sum(passing.values())
    for difference in (more - explained - Counter(passing)).elements():
        verdict.unexplained += 1
        verdict.add("difference-unexplained", f"{difference} was reported, and nothing of it was planted")


def _passes(one: Difference, books: Books) -> bool:
    return one.what in PASSING and (one.channel, one.transaction) in books.passing

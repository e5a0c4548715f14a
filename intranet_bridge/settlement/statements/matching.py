"""What the statements say beside our own books: each difference has a class, and each class what follows. Pure.

Decided on the **net of each payment** over all accepted statements, never row by row: a payment that was refunded
before it was written off needs nothing, and refunds that together make the whole are one reversal. Two levels: a
payment beside the order's cash, and the order's lines beside the marketing system's write-offs (all of it, where there
is no order of ours).

=========================  =========================================================================================
`matched`                  nothing
`platform-only`            charged, not refunded, not written off: **write off**, paid at the platform's time
`refund-not-reversed`      refunded whole, and still written off: **reverse**, once
`charged-and-refunded`     nothing: it was never written off
`partial-refund`           reverse that part, if the binding can; else hold
`refund-pending`           wait for proof; after 3 statements, hold
`refund-unmatched`         a refund of a payment nobody knows: wait likewise
`pooled`                   ours, not in this statement: wait
`marketing-only`           in none of three accepted statements: hold, never reversed by itself
`amount-differs` …         hold
`lines-incomplete`         some lines of an order are written off: drive the others again
=========================  =========================================================================================

Only what the platform says licenses the two bold actions. The caller gives the rows of every payment that has one in
the statement at hand, and of all that still wait.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import groupby

from intranet_bridge.settlement import money
from intranet_bridge.settlement.statements.profiles import Kind, Status
from intranet_bridge.settlement.statements.rows import Row
from protocol.times import CHINA
from protocol.values import immutable

WAIT_STATEMENTS = 3
"""For the proof, or the payment, of a refund."""
POOL_STATEMENTS = 2
"""After its own day's."""
FEE_TOLERANCE = 1
"""Fen, of a statement."""
BRAKE_ACTIONS = 20
BRAKE_SHARE = 200
"""One action for so many rows: 0.5 %."""
BRAKE_AMOUNT = 5_000_000
"""Fen."""


class Class(StrEnum):
    """What a difference is."""

    MATCHED = "matched"
    PLATFORM_ONLY = "platform-only"
    REFUND_NOT_REVERSED = "refund-not-reversed"
    CHARGED_AND_REFUNDED = "charged-and-refunded"
    PARTIAL_REFUND = "partial-refund"
    REFUND_PENDING = "refund-pending"
    REFUND_UNMATCHED = "refund-unmatched"
    POOLED = "pooled"
    MARKETING_ONLY = "marketing-only"
    AMOUNT_DIFFERS = "amount-differs"
    ACCOUNT_DIFFERS = "account-differs"
    PENALTY_DIFFERS = "penalty-differs"
    PAID_TWICE = "paid-twice"
    FEE_DIFFERS = "fee-differs"
    LINES_INCOMPLETE = "lines-incomplete"


class Action(StrEnum):
    """What follows."""

    NONE = "none"
    WRITE_OFF = "write-off"
    REVERSE = "reverse"
    REVERSE_PART = "reverse-part"
    REDRIVE = "redrive"
    WAIT = "wait"
    HOLD = "hold"


ACTING = frozenset({Action.WRITE_OFF, Action.REVERSE, Action.REVERSE_PART, Action.REDRIVE})


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


def seen(channel: str, day: date, row: Row) -> Seen:
    """What matching needs of a row."""
    return Seen(
        channel, day, row.kind, row.transaction, row.order, row.refund, row.gross, row.at, row.status, row.account,
        row.penalty,
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


@immutable
class Item:
    """What one payment, or one refund of it, comes to."""

    what: Class
    action: Action
    channel: str
    transaction: str
    order: str
    kind: Kind
    refunds: tuple[str, ...] = ()
    """Their numbers; of a payment none."""
    whole: bool = True
    """All of the payment: the action's key then says `all`, in however many parts it was refunded."""
    lines: tuple[int, ...] = ()
    """Of the order; none means the payment as a whole."""
    amount: int = 0
    """What the action moves."""
    field: str = ""
    """Which value differs; both are below."""
    platform: int | str | None = None
    books: int | str | None = None
    paid_at: date | None = None
    """The platform's time: it fixes the penalty."""
    booked_on: date | None = None
    why: str = ""

    @property
    def key(self) -> str:
        """The action's, for ever: whoever acts again finds it was done."""
        refund = "" if self.kind is Kind.PAY else "all" if self.whole else "+".join(self.refunds)
        return f"recon:{self.channel}:{self.transaction}:{self.kind}:{refund}"

    @property
    def shown(self) -> str:
        """For people."""
        name = self.order or self.transaction
        if self.kind is Kind.PAY:
            return f"{name}/pay"
        return f"{name}/{self.kind}/{self.refunds[0] if len(self.refunds) == 1 else 'all'}"


@immutable
class Case:
    """All that is known of one order, or of one payment without."""

    name: str
    rows: tuple[Seen, ...]
    write_offs: tuple[WriteOff, ...]


@immutable
class Rules:
    """What a run goes by."""

    today: date
    accepted: Accepted
    reverses_in_part: bool = False
    """The binding can."""


def asked_days(statement: date, today: date) -> tuple[date, date]:
    """For which days the write-off list is asked: a payment before midnight may be written off after it, and one of the
    day before come late.
    """
    return statement - timedelta(days=1), today


# Cases


def cases(rows: Iterable[Seen], write_offs: Iterable[WriteOff]) -> Iterator[Case]:
    """Rows and write-offs of one order together, in the order of their numbers. What has no order number is with the
    one of its transaction.
    """
    left, right = list(rows), list(write_offs)
    lacking = {(one.channel, one.transaction) for one in left if not one.order}
    lacking |= {(one.channel, one.transaction) for one in right if not one.order}
    known: dict[tuple[str, str], str] = {}
    if lacking:
        every: list[Seen | WriteOff] = [*left, *right]
        for one in every:
            if one.order and (one.channel, one.transaction) in lacking:
                known.setdefault((one.channel, one.transaction), one.order)

    def name(one: Seen | WriteOff) -> str:
        return one.order or known.get((one.channel, one.transaction)) or f"{one.channel}:{one.transaction}"

    left.sort(key=name)
    right.sort(key=name)
    return merged(left, right, name)


def merged(
    rows: Iterable[Seen], write_offs: Iterable[WriteOff], name: Callable[[Seen | WriteOff], str]
) -> Iterator[Case]:
    """The same of two streams that are in order already, holding one case at a time."""
    ours = groupby(write_offs, key=name)
    held = next(ours, None)
    for called, group in groupby(rows, key=name):
        while held is not None and held[0] < called:
            yield Case(held[0], (), tuple(held[1]))
            held = next(ours, None)
        if held is not None and held[0] == called:
            yield Case(called, tuple(group), tuple(held[1]))
            held = next(ours, None)
        else:
            yield Case(called, tuple(group), ())
    while held is not None:
        yield Case(held[0], (), tuple(held[1]))
        held = next(ours, None)


def matched(given: Iterable[Case], orders: Callable[[str], Order | None], rules: Rules) -> Iterator[Item]:
    """What every case comes to."""
    for case in given:
        yield from decided(case, orders(case.name), rules)


# Decisions


@immutable
class _Refund:
    number: str
    kind: Kind
    gross: int
    status: Status
    day: date


@immutable
class _Payment:
    """One transaction, netted."""

    channel: str
    transaction: str
    pay: Seen | None
    twice: Seen | None
    """The same transaction with another amount, from another statement."""
    proven: tuple[_Refund, ...]
    pending: tuple[_Refund, ...]

    @property
    def refunded(self) -> int:
        return sum(refund.gross for refund in self.proven)

    @property
    def net(self) -> int:
        return (self.pay.gross if self.pay else 0) - self.refunded


def decided(case: Case, order: Order | None, rules: Rules) -> list[Item]:
    """What a case comes to."""
    if len(case.rows) == 1 and len(case.write_offs) == 1 and order is None and _plain(case):
        row = case.rows[0]
        return [Item(Class.MATCHED, Action.NONE, row.channel, row.transaction, case.name, Kind.PAY)]
    payments = _payments(case.rows)
    if not payments:
        return _absent(case, rules)
    items: list[Item] = []
    written, others = _written_for(payments, case.write_offs)
    charged = [payment for payment in payments if payment.pay is not None and payment.net > 0]
    # One payment of an order is written off; which, the write-offs say, and if none does, the earliest.
    has = [payment for payment in charged if written[payment.channel, payment.transaction]]
    surplus = [payment for payment in charged if payment not in has] if has or others else charged[1:]
    items = _absent(Case(case.name, (), tuple(others)), rules)
    for payment in payments:
        if payment in surplus:
            why = "the order is paid already"
            items.append(_item(Class.PAID_TWICE, Action.HOLD, payment, case, amount=payment.net, why=why))
        else:
            items += _Decision(case, payment, order, written[payment.channel, payment.transaction], rules).items()
    return items


def _plain(case: Case) -> bool:
    """The nine hundred and ninety-nine of a thousand: charged once, written off as it is."""
    row, ours = case.rows[0], case.write_offs[0]
    return (
        row.kind is Kind.PAY
        and row.gross == ours.amount
        and not ours.reversed
        and (not ours.transaction or (ours.transaction == row.transaction and ours.channel == row.channel))
        and (not ours.account or not row.account or ours.account == row.account)
        and (ours.penalty is None or row.penalty is None or ours.penalty == row.penalty)
    )


def _payments(rows: Sequence[Seen]) -> list[_Payment]:
    """The transactions of a case, the earliest first."""
    by_transaction: dict[tuple[str, str], list[Seen]] = {}
    for row in rows:
        if row.kind in (Kind.PAY, Kind.REFUND, Kind.REVOKE):
            by_transaction.setdefault((row.channel, row.transaction), []).append(row)
    payments = []
    for (channel, transaction), group in by_transaction.items():
        pays = [row for row in group if row.kind is Kind.PAY]
        refunds: dict[tuple[Kind, str], _Refund] = {}
        for row in group:
            if row.kind is Kind.PAY or row.status is Status.FAILED:
                continue
            known = refunds.get((row.kind, row.refund))
            if known is None or (known.status is Status.PENDING and row.status is Status.PROVEN):
                refunds[row.kind, row.refund] = _Refund(row.refund, row.kind, row.gross, row.status, row.day)
        other = next((pay for pay in pays[1:] if pay.gross != pays[0].gross), None)
        payments.append(
            _Payment(
                channel, transaction, pays[0] if pays else None, other,
                tuple(refund for refund in refunds.values() if refund.status is Status.PROVEN),
                tuple(refund for refund in refunds.values() if refund.status is Status.PENDING),
            )
        )  # fmt: skip
    return sorted(payments, key=lambda one: (one.pay is None, _moment(one.pay.at) if one.pay else ""))


def _moment(at: date) -> str:
    return at.isoformat()


def _written_for(
    payments: Sequence[_Payment], write_offs: Sequence[WriteOff]
) -> tuple[dict[tuple[str, str], list[WriteOff]], list[WriteOff]]:
    """Which payment each write-off is of: its transaction says it, and where it has none it is of the first that is
    charged. With them those of payments that no statement has.
    """
    written: dict[tuple[str, str], list[WriteOff]] = {(one.channel, one.transaction): [] for one in payments}
    first = next((one for one in payments if one.net > 0), payments[0])
    others = []
    for ours in write_offs:
        if not ours.transaction:
            written[first.channel, first.transaction].append(ours)
        elif (ours.channel, ours.transaction) in written:
            written[ours.channel, ours.transaction].append(ours)
        else:
            others.append(ours)
    return written, others


def _absent(case: Case, rules: Rules) -> list[Item]:
    """Written off, and in no statement."""
    items = []
    for ours in case.write_offs:
        booked = ours.amount - ours.reversed
        if booked == 0:
            continue
        day = ours.at.astimezone(CHINA).date()
        accepted = rules.accepted
        gone = accepted.has(ours.channel, day) and accepted.since(ours.channel, day) >= POOL_STATEMENTS
        items.append(
            Item(
                Class.MARKETING_ONLY if gone else Class.POOLED, Action.HOLD if gone else Action.WAIT, ours.channel,
                ours.transaction, case.name, Kind.PAY, lines=(ours.line,) if ours.line else (), amount=booked,
                field="payment", books=booked,
            )
        )  # fmt: skip
    return items


def _item(
    what: Class, action: Action, payment: _Payment, case: Case, kind: Kind = Kind.PAY,
    refunds: tuple[str, ...] = (), *, whole: bool = True, lines: tuple[int, ...] = (), amount: int = 0, field: str = "",
    platform: int | str | None = None, books: int | str | None = None, paid_at: date | None = None,
    booked_on: date | None = None, why: str = "",
) -> Item:  # fmt: skip
    return Item(
        what, action, payment.channel, payment.transaction, case.name, kind, refunds, whole, lines, amount, field,
        platform, books, paid_at, booked_on, why,
    )  # fmt: skip


@immutable
class _Part:
    """A line of an order, or a payment without one: what is cash, what of it came back, and what is booked."""

    line: int
    cash: int
    expected: int
    """To be written off."""
    refunds: tuple[_Refund, ...]
    pending: tuple[_Refund, ...]
    booked: int
    returned: int
    """Reversed already."""
    written: tuple[WriteOff, ...]
    account: str
    penalty: int | None


class _Decision:
    """Of one payment."""

    def __init__(
        self, case: Case, payment: _Payment, order: Order | None, written: Sequence[WriteOff], rules: Rules
    ) -> None:
        self._case, self._payment, self._order, self._written, self._rules = case, payment, order, written, rules

    def items(self) -> list[Item]:
        payment, order = self._payment, self._order
        if payment.pay is None and order is None and not self._written:
            return self._of_nobody()
        if payment.pay is not None:
            if payment.twice is not None:
                return [self._differs("amount", payment.pay.gross, payment.twice.gross, "two statements say it")]
            if order is not None and order.cash != payment.pay.gross:
                return [self._differs("cash", payment.pay.gross, order.cash, "")]
        if self._of_no_line():
            booked = sum(ours.amount - ours.reversed for ours in self._of_no_line())
            return [self._differs("line", 0, booked, "written off under no line of the order")]
        parts = self._parts()
        if parts is None:
            return [self._partial((), "which line was refunded is not known")]
        items: list[Item] = []
        open_parts: list[_Part] = []
        for part in parts:
            found = self._of(part)
            if found is None:
                open_parts.append(part)
            else:
                items += found
        items += self._not_written(open_parts, parts)
        return self._together(items, parts)

    def _line_of(self, ours: WriteOff) -> int | None:
        """Which line of the order a write-off is of: its number says it, or an account that only one line has."""
        assert self._order is not None
        lines = self._order.lines
        if ours.line:
            return ours.line if any(line.line == ours.line for line in lines) else None
        fitting = lines if len(lines) == 1 else [line for line in lines if line.account == ours.account]
        return fitting[0].line if len(fitting) == 1 else None

    def _of_no_line(self) -> list[WriteOff]:
        if self._order is None or not self._order.lines:
            return []
        return [ours for ours in self._written if ours.amount > ours.reversed and self._line_of(ours) is None]

    def _of_nobody(self) -> list[Item]:
        payment = self._payment
        refunds = (*payment.proven, *payment.pending)
        if not refunds:
            return []
        return [
            self._waits(Class.REFUND_UNMATCHED, refunds, (), "its payment is in no accepted statement, and not ours")
        ]

    def _waits(self, what: Class, refunds: Sequence[_Refund], lines: tuple[int, ...], why: str) -> Item:
        payment = self._payment
        since = min(self._rules.accepted.since(payment.channel, refund.day) for refund in refunds)
        action = Action.HOLD if since >= WAIT_STATEMENTS else Action.WAIT
        return _item(
            what, action, payment, self._case, refunds[0].kind, tuple(refund.number for refund in refunds),
            whole=False, lines=lines, amount=sum(refund.gross for refund in refunds), why=why,
        )  # fmt: skip

    def _parts(self) -> list[_Part] | None:
        """The payment's lines with what came back of each; None when that cannot be told."""
        payment, order, written = self._payment, self._order, self._written
        if order is None or not order.lines:
            booked = sum(ours.amount - ours.reversed for ours in written)
            all_of_it = sum(ours.amount for ours in written)
            cash = payment.pay.gross if payment.pay else all_of_it
            row = payment.pay
            return [
                _Part(
                    0, cash, cash, payment.proven, payment.pending, booked, all_of_it - booked, tuple(written),
                    row.account if row else "", row.penalty if row else None,
                )
            ]  # fmt: skip
        whole = bool(payment.proven) and payment.refunded == order.cash
        if len(order.lines) == 1:
            attributed: dict[int, list[_Refund]] = {order.lines[0].line: [*payment.proven, *payment.pending]}
        else:
            attributed = {}
            form = re.compile(re.escape(order.number) + r"-([0-9]{1,3})-R[0-9]{1,4}")
            for refund in (*payment.proven, *payment.pending):
                if found := form.fullmatch(refund.number):
                    attributed.setdefault(int(found[1]), []).append(refund)
                elif not whole and refund.status is Status.PROVEN:
                    return None
        parts = []
        for line in order.lines:
            ours = [one for one in written if self._line_of(one) == line.line]
            booked = sum(one.amount - one.reversed for one in ours)
            refunds = attributed.get(line.line, [])
            proven = tuple(one for one in refunds if one.status is Status.PROVEN)
            if whole:
                proven = (_Refund("all", Kind.REFUND, line.cash, Status.PROVEN, payment.proven[0].day),)
            parts.append(
                _Part(
                    line.line, line.cash, line.amount, proven,
                    tuple(one for one in refunds if one.status is Status.PENDING), booked,
                    sum(one.amount for one in ours) - booked, tuple(ours), line.account, line.penalty,
                )
            )  # fmt: skip
        return parts

    def _of(self, part: _Part) -> list[Item] | None:
        """What a line comes to; None when it is charged and not written off."""
        lines = (part.line,) if part.line else ()
        refunded = sum(refund.gross for refund in part.refunds)
        if refunded > part.cash:
            return [self._differs("refunds", refunded, part.cash, "more was refunded than paid", lines)]
        if part.refunds and refunded == part.cash:
            return self._of_refunded(part, lines)
        items: list[Item] = []
        if part.pending:
            items.append(self._waits(Class.REFUND_PENDING, part.pending, lines, "not proven yet"))
        if refunded:
            return self._of_partial(part, refunded, lines) + items
        if part.booked == 0 and items:
            return items  # what may come back is not written off meanwhile
        if part.booked == 0 and part.returned == 0:
            return None
        return self._of_booked(part, lines) + items

    def _of_refunded(self, part: _Part, lines: tuple[int, ...]) -> list[Item]:
        """The whole came back."""
        if part.booked == 0:
            if part.returned:
                return self._agrees()
            why = "net 0, never written off"
            return [_item(Class.CHARGED_AND_REFUNDED, Action.NONE, self._payment, self._case, why=why, lines=lines)]
        if part.booked not in (part.expected, part.expected - part.returned):
            return [self._differs("amount", part.expected, part.booked + part.returned, "", lines)]
        return [*self._agrees(), self._reversal(part, lines)]

    def _reversal(self, part: _Part, lines: tuple[int, ...]) -> Item:
        numbers = tuple(refund.number for refund in self._payment.proven) if self._all() else tuple(
            refund.number for refund in part.refunds
        )  # fmt: skip
        return _item(
            Class.REFUND_NOT_REVERSED, Action.REVERSE, self._payment, self._case, _kind(self._payment.proven), numbers,
            whole=self._all(), lines=lines, amount=part.booked, booked_on=self._rules.today,
        )  # fmt: skip

    def _all(self) -> bool:
        payment = self._payment
        paid = payment.pay.gross if payment.pay else self._order.cash if self._order else None
        return paid is None or payment.refunded == paid

    def _of_partial(self, part: _Part, refunded: int, lines: tuple[int, ...]) -> list[Item]:
        """A part came back."""
        if part.booked == part.expected - refunded and part.returned == refunded:
            return self._agrees()
        if part.booked == 0 and part.returned == 0:
            return [self._partial(lines, "nothing is written off: which part was meant is not known", part)]
        if part.booked != part.expected:
            return [self._differs("amount", part.expected - refunded, part.booked, "", lines)]
        if self._rules.reverses_in_part:
            numbers = tuple(refund.number for refund in part.refunds)
            item = _item(
                Class.PARTIAL_REFUND, Action.REVERSE_PART, self._payment, self._case, _kind(part.refunds), numbers,
                whole=False, lines=lines, amount=refunded, booked_on=self._rules.today,
            )  # fmt: skip
            return [*self._agrees(), item]
        return [*self._agrees(), self._partial(lines, "the binding reverses whole write-offs only", part)]

    def _partial(self, lines: tuple[int, ...], why: str, part: _Part | None = None) -> Item:
        payment = self._payment
        refunds = part.refunds if part else payment.proven
        return _item(
            Class.PARTIAL_REFUND, Action.HOLD, payment, self._case, _kind(refunds),
            tuple(refund.number for refund in refunds), whole=False, lines=lines, field="refunded",
            amount=sum(refund.gross for refund in refunds), platform=sum(refund.gross for refund in refunds),
            books=part.booked if part else None, why=why,
        )  # fmt: skip

    def _of_booked(self, part: _Part, lines: tuple[int, ...]) -> list[Item]:
        """Charged, not refunded, and written off, or reversed."""
        if part.booked != part.expected:
            standing = [ours for ours in part.written if ours.amount > ours.reversed]
            if len(standing) > 1 and all(ours.amount == part.expected for ours in standing):
                item = _item(
                    Class.PAID_TWICE, Action.HOLD, self._payment, self._case, lines=lines, field="amount",
                    platform=part.expected, books=part.booked, why="written off more than once",
                )  # fmt: skip
                return [item]
            why = "reversed, and not refunded by the platform" if part.returned else ""
            return [self._differs("amount", part.expected, part.booked, why, lines)]
        for ours in part.written:
            if ours.account and part.account and ours.account != part.account:
                return [self._other(Class.ACCOUNT_DIFFERS, "account", part.account, ours.account, lines)]
            if ours.penalty is not None and part.penalty is not None and ours.penalty != part.penalty:
                return [self._other(Class.PENALTY_DIFFERS, "penalty", part.penalty, ours.penalty, lines)]
        return self._agrees()

    def _agrees(self) -> list[Item]:
        """Only what a statement has can agree."""
        if self._payment.pay is None:
            return []
        return [_item(Class.MATCHED, Action.NONE, self._payment, self._case)]

    def _differs(self, field: str, platform: int, books: int, why: str, lines: tuple[int, ...] = ()) -> Item:
        return _item(
            Class.AMOUNT_DIFFERS, Action.HOLD, self._payment, self._case, lines=lines, field=field, platform=platform,
            books=books, amount=abs(platform - books), why=why,
        )  # fmt: skip

    def _other(self, what: Class, field: str, platform: int | str, books: int | str, lines: tuple[int, ...]) -> Item:
        return _item(
            what, Action.HOLD, self._payment, self._case, lines=lines, field=field, platform=platform, books=books
        )

    def _not_written(self, parts: Sequence[_Part], every: Sequence[_Part]) -> list[Item]:
        """Charged, not refunded, not written off."""
        payment = self._payment
        if not parts or payment.pay is None:
            return []
        # A line that was refunded needs no write-off; one that is written off says the others were begun.
        begun = any(part.booked or part.returned for part in every)
        lines = tuple(part.line for part in parts if part.line)
        amount = sum(part.expected for part in parts)
        what, action = (
            (Class.LINES_INCOMPLETE, Action.REDRIVE) if begun and lines else (Class.PLATFORM_ONLY, Action.WRITE_OFF)
        )
        return [
            _item(
                what, action, payment, self._case, lines=lines, amount=amount, field="written off",
                platform=amount, books=0, paid_at=payment.pay.at, booked_on=self._rules.today,
            )
        ]  # fmt: skip

    @staticmethod
    def _together(items: Sequence[Item], parts: Sequence[_Part]) -> list[Item]:
        """One item for what is the same of several lines: a payment agrees once, and is reversed whole once."""
        if len(parts) == 1:
            return list(items)
        kept: list[Item] = []
        whole: list[Item] = []
        for item in items:
            if item.what in (Class.MATCHED, Class.CHARGED_AND_REFUNDED):
                if all(other.what is not item.what for other in kept):
                    kept.append(item)
            elif item.what is Class.REFUND_NOT_REVERSED and item.whole:
                whole.append(item)
            else:
                kept.append(item)
        if whole:
            first = whole[0]
            kept.append(
                Item(
                    first.what, first.action, first.channel, first.transaction, first.order, first.kind, first.refunds,
                    True, tuple(line for item in whole for line in item.lines), sum(item.amount for item in whole),
                    booked_on=first.booked_on,
                )
            )  # fmt: skip
        if any(item.action is not Action.NONE and item.kind is Kind.PAY for item in kept):
            kept = [item for item in kept if item.what is not Class.MATCHED]  # it does not agree as a whole
        return kept


def _kind(refunds: Sequence[_Refund]) -> Kind:
    return Kind.REVOKE if refunds and all(refund.kind is Kind.REVOKE for refund in refunds) else Kind.REFUND


# Of a whole statement


def fee_item(channel: str, day: date, stated: int, expected: int) -> Item | None:
    """What the platform took beside what it should take: only the fee is held. `stated`: thousandths of a fen, rounded
    once; `expected`: fen.
    """
    said = money.rounded(stated)
    if abs(said - expected) <= FEE_TOLERANCE:
        return None
    return Item(
        Class.FEE_DIFFERS, Action.HOLD, channel, day.isoformat(), "", Kind.PAY, amount=abs(said - expected),
        field="fee", platform=said, books=expected,
    )  # fmt: skip


@immutable
class Brake:
    """Why a run does not act by itself."""

    actions: int
    amount: int
    """Fen."""
    most_actions: int


def brake(items: Iterable[Item], rows: int) -> Brake | None:
    """Whether a run would do so much that somebody approves it first: a wrong file looks like a day full of work."""
    most = max(BRAKE_ACTIONS, rows // BRAKE_SHARE)
    actions = amount = 0
    for item in items:
        if item.action in ACTING:
            actions += 1
            amount += item.amount
    return Brake(actions, amount, most) if actions > most or amount > BRAKE_AMOUNT else None


def counted(items: Iterable[Item]) -> Mapping[Class, tuple[int, int]]:
    """How many items of each class, and the fen in them."""
    found: dict[Class, tuple[int, int]] = {}
    for item in items:
        count, amount = found.get(item.what, (0, 0))
        found[item.what] = (count + 1, amount + item.amount)
    return found

"""What a case comes to: the class of each difference, and what follows. See matching.py for the classes."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from intranet_bridge.settlement.statements.cases import Case, both
from intranet_bridge.settlement.statements.differences import Action, Class, Item
from intranet_bridge.settlement.statements.payments import Payment, Refund, netted, written_for
from intranet_bridge.settlement.statements.profiles import Kind, Status
from intranet_bridge.settlement.statements.sides import Accepted, Order, WriteOff
from protocol.times import CHINA
from protocol.values import immutable

WAIT_STATEMENTS = 3
"""For the proof, or the payment, of a refund."""
POOL_STATEMENTS = 2
"""After its own day's."""


@immutable
class Rules:
    """What a run goes by."""

    today: date
    accepted: Accepted
    reverses_in_part: bool = False
    """The binding can."""


def decided(case: Case, order: Order | None, rules: Rules) -> list[Item]:
    """What a case comes to."""
    if case.unsure:
        return _unsure(case)
    items = _decided(case, order, rules)
    if not case.merchant:
        return items
    return [replace(item, merchant=case.merchant, why=item.why or f"of merchant {case.merchant}") for item in items]


def _unsure(case: Case) -> list[Item]:
    """Several merchants have a payment of this number, and nobody knows which of them a side means that names none: of
    each there is an item, whichever side it is on.
    """
    sides = list(both(case.rows, case.write_offs))
    said = sorted({ours.merchant for ours in case.write_offs})
    return [
        Item(
            Class.ACCOUNT_DIFFERS, Action.HOLD, sides[0].channel, sides[0].transaction, case.name, Kind.PAY,
            amount=_of_merchant(case, merchant), field="merchant", platform=merchant, books=", ".join(said),
            why="several merchants have a payment of this number", merchant=merchant,
        )
        for merchant in sorted({one.merchant for one in sides if one.merchant})
    ]  # fmt: skip


def _of_merchant(case: Case, merchant: str) -> int:
    """What a merchant was paid by this number, less refunds; what is written off for it, if no row is its own."""
    rows = [row for row in case.rows if row.merchant == merchant]
    if not rows:
        return sum(ours.amount - ours.reversed for ours in case.write_offs if ours.merchant == merchant)
    proven = [row for row in rows if row.status is Status.PROVEN]
    return abs(sum(row.gross if row.kind is Kind.PAY else -row.gross for row in proven))


def _decided(case: Case, order: Order | None, rules: Rules) -> list[Item]:
    if len(case.rows) == 1 and len(case.write_offs) == 1 and _plain(case) and (order is None or _whole(case, order)):
        row = case.rows[0]
        return [Item(Class.MATCHED, Action.NONE, row.channel, row.transaction, case.name, Kind.PAY)]
    payments = netted(case.rows)
    if not payments:
        return _absent(case, rules)
    items: list[Item] = []
    written, others = written_for(payments, case.write_offs)
    charged = [payment for payment in payments if payment.pay is not None and payment.net > 0]
    # One payment of an order is written off; which, the write-offs say, and if none does, the earliest.
    has = [payment for payment in charged if written[payment.channel, payment.transaction]]
    surplus = [payment for payment in charged if payment not in has] if has or others else charged[1:]
    items = _absent(Case(case.name, (), tuple(others)), rules)
    for payment in payments:
        if payment in surplus:
            why = "the order is paid already"
            action = Action.HOLD if order is None else Action.PROVE
            items.append(_item(Class.PAID_TWICE, action, payment, case, amount=payment.net, why=why))
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


def _whole(case: Case, order: Order) -> bool:
    """Likewise of an order of one line, all of it cash."""
    if len(order.lines) != 1:
        return False
    (row,), (ours,), (line,) = case.rows, case.write_offs, order.lines
    return (
        order.cash == row.gross
        and line.amount == row.gross
        and line.cash == row.gross
        and ours.line in (0, line.line)
        and (not ours.account or ours.account == line.account)
        and (ours.penalty is None or line.penalty is None or ours.penalty == line.penalty)
    )


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
    what: Class, action: Action, payment: Payment, case: Case, kind: Kind = Kind.PAY,
    refunds: tuple[str, ...] = (), *, whole: bool = True, lines: tuple[int, ...] = (), amount: int = 0, field: str = "",
    platform: int | str | None = None, books: int | str | None = None, paid_at: date | None = None,
    booked_on: date | None = None, why: str = "",
) -> Item:  # fmt: skip
    return Item(
        what, action, payment.channel, payment.transaction, case.name, kind, refunds, whole, lines, amount, field,
        platform, books, paid_at, booked_on, why,
    )  # fmt: skip


@immutable
class Part:
    """A line of an order, or a payment without one: what is cash, what of it came back, and what is booked."""

    line: int
    cash: int
    expected: int
    """To be written off."""
    refunds: tuple[Refund, ...]
    pending: tuple[Refund, ...]
    booked: int
    returned: int
    """Reversed already."""
    written: tuple[WriteOff, ...]
    account: str
    penalty: int | None


class _Decision:
    """Of one payment."""

    def __init__(
        self, case: Case, payment: Payment, order: Order | None, written: Sequence[WriteOff], rules: Rules
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
                return [self._differs("cash", payment.pay.gross, order.cash, "", action=Action.PROVE)]
        if self._of_no_line():
            booked = sum(ours.amount - ours.reversed for ours in self._of_no_line())
            return [self._differs("line", 0, booked, "written off under no line of the order")]
        parts = self._parts()
        if parts is None:
            return [self._partial((), "which line was refunded is not known")]
        items: list[Item] = []
        open_parts: list[Part] = []
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

    def _waits(self, what: Class, refunds: Sequence[Refund], lines: tuple[int, ...], why: str) -> Item:
        payment = self._payment
        since = min(self._rules.accepted.since(payment.channel, refund.day) for refund in refunds)
        action = Action.HOLD if since >= WAIT_STATEMENTS else Action.WAIT
        return _item(
            what, action, payment, self._case, refunds[0].kind, tuple(refund.number for refund in refunds),
            whole=False, lines=lines, amount=sum(refund.gross for refund in refunds), why=why,
        )  # fmt: skip

    def _parts(self) -> list[Part] | None:
        """The payment's lines with what came back of each; None when that cannot be told."""
        payment, order, written = self._payment, self._order, self._written
        if order is None or not order.lines:
            booked = sum(ours.amount - ours.reversed for ours in written)
            all_of_it = sum(ours.amount for ours in written)
            cash = payment.pay.gross if payment.pay else all_of_it
            row = payment.pay
            return [
                Part(
                    0, cash, cash, payment.proven, payment.pending, booked, all_of_it - booked, tuple(written),
                    row.account if row else "", row.penalty if row else None,
                )
            ]  # fmt: skip
        whole = bool(payment.proven) and payment.refunded == order.cash
        if len(order.lines) == 1:
            attributed: dict[int, list[Refund]] = {order.lines[0].line: [*payment.proven, *payment.pending]}
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
            returned = sum(one.reversed for one in ours)
            refunds = attributed.get(line.line, [])
            proven = tuple(one for one in refunds if one.status is Status.PROVEN)
            if whole:
                proven = (Refund("all", Kind.REFUND, line.cash, Status.PROVEN, payment.proven[0].day),)
            parts.append(
                Part(
                    line.line, line.cash, line.amount, proven,
                    tuple(one for one in refunds if one.status is Status.PENDING), booked,
                    returned, tuple(ours), line.account, line.penalty,
                )
            )  # fmt: skip
        return parts

    def _of(self, part: Part) -> list[Item] | None:
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

    def _of_refunded(self, part: Part, lines: tuple[int, ...]) -> list[Item]:
        """The whole came back."""
        if part.booked == 0:
            if part.returned:
                return self._agrees()
            why = "net 0, never written off"
            return [_item(Class.CHARGED_AND_REFUNDED, Action.NONE, self._payment, self._case, why=why, lines=lines)]
        if part.booked not in (part.expected, part.expected - part.returned):
            return [self._differs("amount", part.expected, part.booked + part.returned, "", lines)]
        return [*self._agrees(), self._reversal(part, lines)]

    def _reversal(self, part: Part, lines: tuple[int, ...]) -> Item:
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

    def _of_partial(self, part: Part, refunded: int, lines: tuple[int, ...]) -> list[Item]:
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

    def _partial(self, lines: tuple[int, ...], why: str, part: Part | None = None) -> Item:
        payment = self._payment
        refunds = part.refunds if part else payment.proven
        return _item(
            Class.PARTIAL_REFUND, Action.HOLD, payment, self._case, _kind(refunds),
            tuple(refund.number for refund in refunds), whole=False, lines=lines, field="refunded",
            amount=sum(refund.gross for refund in refunds), platform=sum(refund.gross for refund in refunds),
            books=part.booked if part else None, why=why,
        )  # fmt: skip

    def _of_booked(self, part: Part, lines: tuple[int, ...]) -> list[Item]:
        """Charged, not refunded, and written off, or reversed."""
        if part.booked != part.expected:
            standing = [ours for ours in part.written if ours.amount > ours.reversed]
            if len(standing) > 1 and all(ours.amount == part.expected for ours in standing):
                item = _item(
                    Class.PAID_TWICE, Action.HOLD, self._payment, self._case, lines=lines, field="amount",
                    amount=part.booked - part.expected, platform=part.expected, books=part.booked,
                    why="written off more than once",
                )  # fmt: skip
                return [item]
            why = "reversed, and not refunded by the platform" if part.returned else ""
            return [self._differs("amount", part.expected, part.booked, why, lines)]
        for ours in part.written:
            if ours.account and part.account and ours.account != part.account:
                booked = ours.amount - ours.reversed
                return [self._other(Class.ACCOUNT_DIFFERS, "account", part.account, ours.account, lines, booked)]
            if ours.penalty is not None and part.penalty is not None and ours.penalty != part.penalty:
                by = abs(part.penalty - ours.penalty)
                return [self._other(Class.PENALTY_DIFFERS, "penalty", part.penalty, ours.penalty, lines, by)]
        return self._agrees()

    def _agrees(self) -> list[Item]:
        """Only what a statement has can agree."""
        if self._payment.pay is None:
            return []
        return [_item(Class.MATCHED, Action.NONE, self._payment, self._case)]

    def _differs(
        self, field: str, platform: int, books: int, why: str, lines: tuple[int, ...] = (),
        action: Action = Action.HOLD,
    ) -> Item:  # fmt: skip
        return _item(
            Class.AMOUNT_DIFFERS, action, self._payment, self._case, lines=lines, field=field, platform=platform,
            books=books, amount=abs(platform - books), why=why,
        )  # fmt: skip

    def _other(
        self, what: Class, field: str, platform: int | str, books: int | str, lines: tuple[int, ...], amount: int
    ) -> Item:
        return _item(
            what, Action.HOLD, self._payment, self._case, lines=lines, field=field, platform=platform, books=books,
            amount=amount,
        )  # fmt: skip

    def _not_written(self, parts: Sequence[Part], every: Sequence[Part]) -> list[Item]:
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
    def _together(items: Sequence[Item], parts: Sequence[Part]) -> list[Item]:
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


def _kind(refunds: Sequence[Refund]) -> Kind:
    return Kind.REVOKE if refunds and all(refund.kind is Kind.REVOKE for refund in refunds) else Kind.REFUND

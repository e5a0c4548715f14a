"""What a row of an accepted statement is for which company, and whether it counts yet. Pure.

A row of an order of ours is split over the order's lines. It counts for a line's company once the books have the line
there: a payment when the line is written off or credited, a refund when it is reversed. Until then it waits: nobody
owes a company money of a line that it may refuse. A line that was refused and goes back to its payer is no company's,
nor is a payment too many. A row without an order of ours is all of one company.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

from intranet_bridge.settlement import money
from intranet_bridge.settlement.clearing.sheets import Amounts
from intranet_bridge.settlement.statements.profiles import Kind, Status
from protocol.values import immutable

_REFUND = re.compile(r"(?P<order>.+)-(?P<line>[0-9]+)-R(?P<number>[0-9]+)")
_LINE = re.compile(r"(?P<order>.+)-(?P<line>[0-9]+)")
CLEARED_KINDS = (Kind.PAY, Kind.REFUND, Kind.REVOKE)


class Standing(StrEnum):
    """Whether a piece of a row counts."""

    COUNTS = "counts"
    WAITS = "waits"
    NEVER = "never"
    """It is no company's: of a refused line that is refunded, or paid once too often."""


@immutable
class OrderLine:
    """A line of an order of ours, as clearing needs it."""

    number: int
    company: str
    cash: int
    """Its share of what the channel was paid."""
    promotions: tuple[tuple[str, int], ...] = ()
    """Who funds which share of it."""
    written: bool = False
    """It is written off, or credited, in the books."""
    reversed: bool = False
    gone: bool = False
    """Its money goes, or went, back to the payer."""


@immutable
class OrderFacts:
    """An order of ours."""

    number: str
    lines: tuple[OrderLine, ...]
    transactions: frozenset[str]
    """Of the payment that is the order's; empty: none is proven yet."""


@immutable
class Row:
    """A row, as clearing needs it. Amounts as in statements/rows.py."""

    file: str
    line: int
    kind: Kind
    transaction: str
    order: str
    refund: str
    gross: int
    settled: int
    fee: int
    status: Status


@immutable
class Piece:
    """What a row is for one company."""

    company: str
    line: int
    """Of the order; 0: the row has none of ours."""
    standing: Standing
    amounts: Amounts
    """But for the fee."""
    fee: int
    """Thousandths of a fen."""
    funded: tuple[tuple[str, int], ...] = ()
    """Of its promotions: by whom."""


def named(order: str) -> tuple[str, str]:
    """The numbers that an order may have whose statement row says this one: of a whole order, or of one line of it."""
    found = _LINE.fullmatch(order)
    return order, found["order"] if found else ""


def order_of(row: Row, orders: Mapping[str, OrderFacts]) -> OrderFacts | None:
    """Of the orders that were found, the row's. None: it has none of ours."""
    whole, of_line = named(row.order)
    return orders.get(whole) or orders.get(of_line)


def pieces(row: Row, order: OrderFacts | None, company: str) -> list[Piece]:
    """What a row is, for whom. `company`: whose it is without an order of ours."""
    if row.kind not in CLEARED_KINDS or row.status is Status.FAILED:
        return []
    if order is None:
        return [Piece(company, 0, Standing.COUNTS, _amounts(row, row.gross, _discount(row)), row.fee)]
    concerned = _lines(row, order)
    cash = [line.cash for line in concerned]
    if not sum(cash):
        return []
    # Where a statement says another amount than the books have, the difference is nobody's until a person decides.
    gross = cash if row.kind is Kind.PAY else money.shares(row.gross, cash)
    discounts, fees = _signed(_discount(row), cash), _signed(row.fee, cash)
    first = _returns_promotions(row, order, sum(cash))
    found = []
    for line, of_line, discount, fee in zip(concerned, gross, discounts, fees, strict=True):
        promotions: tuple[tuple[str, int], ...] = ()
        if row.kind is Kind.PAY:
            promotions = line.promotions
        elif first:
            promotions = tuple((funder, -amount) for funder, amount in line.promotions)
        amounts = _amounts(row, of_line, discount).plus(Amounts(promotions=sum(amount for _, amount in promotions)))
        found.append(Piece(line.company, line.number, _standing(row, order, line), amounts, fee, promotions))
    return found


def _discount(row: Row) -> int:
    """What the platform took in less than the payer was charged, for the company's own coupons there; of a refund, what
    it gives back so.
    """
    return row.gross - row.settled if row.kind is Kind.PAY else -(row.gross + row.settled)


def _amounts(row: Row, gross: int, discount: int) -> Amounts:
    if row.kind is Kind.PAY:
        return Amounts(1, gross=gross, discounts=discount)
    return Amounts(1, refunds=gross, discounts=discount)


def _lines(row: Row, order: OrderFacts) -> Sequence[OrderLine]:
    """The lines that a row is of."""
    found = _REFUND.fullmatch(row.refund) if row.kind is Kind.REFUND else None
    if found and found["order"] == order.number:
        return [line for line in order.lines if line.number == int(found["line"])]
    if row.order == order.number:
        return order.lines
    mine = [line for line in order.lines if row.order == f"{order.number}-{line.number}"]
    if row.kind is Kind.PAY and mine == [line for line in order.lines if line.cash][:1]:
        mine += [line for line in order.lines if not line.cash]  # all coupon: no row is of it
    return mine


def _returns_promotions(row: Row, order: OrderFacts, cash: int) -> bool:
    """A line is reversed whole, in however many parts its cash goes back: with the first its promotions do."""
    if row.kind is Kind.PAY:
        return False
    found = _REFUND.fullmatch(row.refund)
    if found and found["order"] == order.number:
        return found["number"] == "1"
    return row.gross == cash


def _standing(row: Row, order: OrderFacts, line: OrderLine) -> Standing:
    if order.transactions and row.transaction not in order.transactions:
        return Standing.NEVER
    if row.kind is Kind.PAY:
        if line.written:
            return Standing.COUNTS
        return Standing.NEVER if line.gone else Standing.WAITS
    if line.reversed:
        return Standing.COUNTS
    return Standing.NEVER if line.gone and not line.written else Standing.WAITS


def _signed(total: int, weights: Sequence[int]) -> list[int]:
    parts = money.shares(abs(total), weights)
    return [-part for part in parts] if total < 0 else parts


def fees_in_fen(by_company: Mapping[str, int]) -> dict[str, int]:
    """Each company's share of a statement's fee, in fen: they sum to the statement's, which is rounded once.
    `by_company`: thousandths. The fen left over go to the largest remainders, among equal ones to the first name.
    """
    total = money.rounded(sum(by_company.values()))
    whole = {company: part // 1000 for company, part in by_company.items()}
    left = total - sum(whole.values())
    by_remainder = sorted(by_company, key=lambda company: (-(by_company[company] % 1000), company))
    for company in by_remainder[:left]:
        whole[company] += 1
    return whole

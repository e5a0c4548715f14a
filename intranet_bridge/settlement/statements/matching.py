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

Rows and write-offs (sides.py) become cases (cases.py), the payments of a case are netted (payments.py), each comes to
items (decisions.py, differences.py), and a run of them may be too much to do by itself (brake.py).

Only what the platform says licenses the two bold actions. The caller gives the rows of every payment that has one in
the statement at hand, and of all that still wait.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta

from intranet_bridge.settlement.statements.brake import Brake, brake, counted, fee_item
from intranet_bridge.settlement.statements.cases import Case, cases, merged
from intranet_bridge.settlement.statements.decisions import Rules, decided
from intranet_bridge.settlement.statements.differences import ACTING, Action, Class, Item
from intranet_bridge.settlement.statements.sides import Accepted, Order, OrderLine, Seen, WriteOff, seen

__all__ = [
    "ACTING", "Accepted", "Action", "Brake", "Case", "Class", "Item", "Order", "OrderLine", "Rules", "Seen",
    "WriteOff", "asked_days", "brake", "cases", "counted", "fee_item", "matched", "merged", "seen",
]  # fmt: skip


def asked_days(statement: date, today: date) -> tuple[date, date]:
    """For which days the write-off list is asked: a payment before midnight may be written off after it, and one of the
    day before come late.
    """
    return statement - timedelta(days=1), today


def matched(given: Iterable[Case], orders: Callable[[str], Order | None], rules: Rules) -> Iterator[Item]:
    """What every case comes to."""
    for case in given:
        yield from decided(case, orders(case.name), rules)

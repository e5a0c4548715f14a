"""What callers are told of an order. Pure."""

from intranet_bridge.settlement.payments.acting import timestamp
from intranet_bridge.settlement.payments.orders import returned
from intranet_bridge.settlement.payments.records import Stored
from intranet_bridge.settlement.payments.saga import cash_of
from protocol.operations import orders as catalogue


def standing(stored: Stored) -> catalogue.OrderStanding:
    """All of it."""
    order, cash = stored.order, cash_of(stored.order)
    return catalogue.OrderStanding(
        order=order.number,
        channel=order.channel,
        state=order.state,
        amount=order.amount,
        cash=order.cash,
        expires_at=timestamp(order.expires_at),
        lines=tuple(
            catalogue.LineStanding(
                company=line.company, account=line.account, line=line.number, number=f"{order.number}-{line.number}",
                bills=line.bills, amount=line.amount, cash=cash[line.number], state=line.state, code=line.code,
            )
            for line in order.lines
        ),
        parts=tuple(
            catalogue.PartStanding(
                id=of.promotion, kind=catalogue.PartKind(of.kind), funder=part.funder, amount=part.amount,
                state=part.reservation, returned=back,
            )
            for part, back in zip(order.parts, returned(order), strict=True)
            for of in (stored.parts[part.id],)
        ),
        refunds=tuple(refund(stored, one.number) for one in order.refunds),
    )  # fmt: skip


def refund(stored: Stored, number: str) -> catalogue.RefundStanding:
    """One refund of it."""
    one = stored.find_refund(number)
    return catalogue.RefundStanding(
        refund=one.number, line=one.line, channel=one.channel, transaction=one.transaction, cash=one.cash,
        state=one.state,
    )  # fmt: skip


def refund_of_line(stored: Stored, number: int) -> catalogue.RefundRequested:
    """A line, with its latest refund if it has one."""
    of_line = [one.number for one in stored.order.refunds if one.line == number]
    return catalogue.RefundRequested(
        order=stored.number, line=number, state=stored.order.line(number).state,
        refund=refund(stored, of_line[-1]) if of_line else None,
    )  # fmt: skip

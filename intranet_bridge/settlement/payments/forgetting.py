"""Orders that have ended are forgotten after their time, with all their rows; the ledger stays.

Never one that somebody has yet to do something about: that is open or held, has a refund that is not proven, a command
under way, a coupon that was not resolved, or money on its account.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, func, literal, or_, select

from intranet_bridge.settlement.payments.rows import BILLS, LINES, ORDERS, PARTS, PAYMENTS, REFUNDS, TRANSACTIONS
from intranet_bridge.settlement.rows import BOOKS
from protocol.operations.orders import OrderState, RefundState, ReservationState

_ENDED = (OrderState.COMPLETED, OrderState.COMPLETED_WITH_REFUNDS, OrderState.EXPIRED, OrderState.CANCELLED)
_O, _L, _P, _Y, _R = ORDERS.c, LINES.c, PARTS.c, PAYMENTS.c, REFUNDS.c
_A, _E = BOOKS.accounts.c, BOOKS.entries.c
_AT_ONCE = 200


def old(connection: Connection, before: int) -> Sequence[str]:
    """Some orders that can be forgotten: that ended before then, epoch ms, and of which nothing has come since."""
    asked = select(_O.number).where(*_forgettable(before)).order_by(_O.updated_at, _O.number).limit(_AT_ONCE)
    return connection.execute(asked).scalars().all()


def forget(connection: Connection, numbers: Sequence[str], before: int) -> Sequence[int]:
    """Delete these, as far as they can still be; says for each whether it was."""
    # locked by one statement and looked at by another: what was waited for changes other rows than the order's
    connection.execute(select(_O.number).where(_O.number.in_(numbers)).order_by(_O.number).with_for_update()).all()
    gone = set(
        connection.execute(select(_O.number).where(_O.number.in_(numbers), *_forgettable(before))).scalars()
    )  # fmt: skip
    for table in (REFUNDS, TRANSACTIONS, PAYMENTS, PARTS, BILLS, LINES):
        connection.execute(delete(table).where(table.c.order_no.in_(sorted(gone))))
    connection.execute(delete(ORDERS).where(_O.number.in_(sorted(gone))))
    return [int(number in gone) for number in numbers]


def _forgettable(before: int) -> tuple[ColumnElement[bool], ...]:
    young = select(_Y.order_no).where(_Y.order_no == _O.number, _Y.received_at >= before)
    refunding = select(_R.order_no).where(
        _R.order_no == _O.number, or_(_R.state != RefundState.PROVEN, _R.updated_at >= before)
    )
    asked = select(_L.order_no).where(_L.order_no == _O.number, or_(_L.asked != "", _L.ended_at >= before))
    unresolved = select(_P.order_no).where(
        _P.order_no == _O.number, or_(_P.asked != "", (_P.code != "") & (_P.state == ReservationState.RESERVED))
    )
    money = (
        select(func.coalesce(func.sum(_E.amount), 0))
        .select_from(BOOKS.entries.join(BOOKS.accounts, _A.id == _E.account))
        .where(_A.name == literal("order:") + _O.number)
        .scalar_subquery()
    )
    return (
        _O.state.in_(_ENDED), _O.updated_at < before, _O.late == "", _O.due_at.is_(None), ~young.exists(),
        ~refunding.exists(), ~asked.exists(), ~unresolved.exists(), money == 0,
    )  # fmt: skip

"""What a statement does to orders of ours: that it has a payment is proof, as the channel's notification is; that it
has a refund which nobody asked us for is one, too.
"""

import re
from collections.abc import Callable
from datetime import date, datetime

from sqlalchemy import Connection, select

from intranet_bridge.settlement.payments.acting import Acting
from intranet_bridge.settlement.payments.evidence import PaidPart, PaymentProof
from intranet_bridge.settlement.payments.orders import LineEvent, OrderEvent, RefundEvent
from intranet_bridge.settlement.payments.records import Stored, load
from intranet_bridge.settlement.rows import FILES, LINES
from intranet_bridge.settlement.statements.acting import Driven
from intranet_bridge.settlement.statements.comparing import paid_at
from intranet_bridge.settlement.statements.profiles import Kind
from protocol.operations.orders import LineState, Meant, OrderState

_NAME = re.compile("([0-9A-HJKMNP-TV-Z]{26})(-[0-9]{1,2})?")
"""An order, or a line of one that has a transaction of its own."""
_ENDED = (OrderState.COMPLETED, OrderState.COMPLETED_WITH_REFUNDS)
SOURCE = "statement"


class ProofsOfDay:
    """Within the transaction that acts on a statement's item."""

    def __init__(self, acting: Callable[[Stored], Acting]) -> None:
        """`acting`: on an order (payments/looking.py)."""
        self._acting = acting

    def ours(self, connection: Connection, name: str, now: int) -> bool:
        """Whether a statement's order is one of ours."""
        return self._load(connection, name, now) is not None

    def drive(self, connection: Connection, name: str, file: str, now: int) -> Driven:
        """A payment of an order is not written off, or not all of it. The order does that by itself: it is told of its
        payment, or looked at now.
        """
        stored = self._load(connection, name, now)
        assert stored is not None, "asked of an order of ours"
        if stored.order.payments:
            stored.put(due_at=now)
            return Driven.GOES_ON
        channel = connection.execute(select(FILES.c.channel).where(FILES.c.id == file)).scalar_one()
        names = [stored.number, *(f"{stored.number}-{line.number}" for line in stored.order.lines)]
        asked = select(LINES).where(LINES.c.file == file, LINES.c.kind == Kind.PAY, LINES.c.order_no.in_(names))
        rows = connection.execute(asked.order_by(LINES.c.line)).all()
        if not rows or sum(row.gross for row in rows) != stored.order.cash:
            return Driven.NOT_ALL
        parts = tuple(PaidPart(row.transaction_no, row.order_no, row.gross) for row in rows)
        proof = PaymentProof(stored.number, parts, max(paid_at(_moment(row.at)) for row in rows))
        acts = self._acting(stored)
        meant = acts.prove(channel, proof, file, SOURCE)
        if meant is Meant.PAID:
            acts.advance()
        stored.put(due_at=now)
        return Driven.PROVEN if meant in (Meant.PAID, Meant.LATE) else Driven.NOT_ALL

    def reversed(self, connection: Connection, name: str, line: int, day: date, now: int) -> None:
        """A line was reversed at its company because the platform has paid it back: so it is refunded, and booked."""
        stored = self._load(connection, name, now)
        if stored is None or line not in stored.lines or stored.order.line(line).state is not LineState.WRITTEN_OFF:
            return
        if stored.order.state in _ENDED:
            stored.move(OrderEvent.GO_ON)
        acts = self._acting(stored)
        stored.line(line, LineEvent.REVERSE)
        acts.request_refund(line, None)
        number = stored.order.refunds[-1].number
        if stored.find_refund(number).cash:
            stored.refund(number, RefundEvent.PROVE, day)
        acts.advance()

    @staticmethod
    def _load(connection: Connection, name: str, now: int) -> Stored | None:
        found = _NAME.fullmatch(name)
        return load(connection, found[1], now) if found else None


def _moment(text: str) -> date:
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)

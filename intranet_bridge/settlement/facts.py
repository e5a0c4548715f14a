"""What matching statements has to know of payment orders: which share of the cash each line has."""

import re
from collections.abc import Callable
from functools import lru_cache

from sqlalchemy import Connection, select

from intranet_bridge.settlement.payments.orders import shared
from intranet_bridge.settlement.payments.records import load
from intranet_bridge.settlement.payments.rows import ORDERS
from intranet_bridge.settlement.statements import sides

_OURS = re.compile("[0-9A-HJKMNP-TV-Z]{26}")
"""An order's number (payments/service.py makes them): nothing else is looked for."""
_KEPT = 10_000


def orders_to_match(connection: Connection) -> Callable[[str], sides.Order | None]:
    """Finds an order of ours for who compares statements, by its number."""
    if connection.execute(select(ORDERS.c.number).limit(1)).first() is None:
        return lambda name: None

    @lru_cache(_KEPT)
    def found(name: str) -> sides.Order | None:
        if not _OURS.fullmatch(name):
            return None
        stored = load(connection, name, 0, lock=False)
        if stored is None:
            return None
        shares = {share.line: share.cash for share in shared(stored.order.lines, stored.order.parts)}
        lines = tuple(
            sides.OrderLine(line.number, line.account, shares[line.number], line.amount) for line in stored.order.lines
        )
        return sides.Order(name, stored.order.cash, lines)

    return found

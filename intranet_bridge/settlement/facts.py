"""What matching statements has to know of payment orders: which share of the cash each line has."""

import re
from collections.abc import Callable
from functools import lru_cache

from sqlalchemy import Connection, select

from intranet_bridge.settlement.payments.orders import shared
from intranet_bridge.settlement.payments.records import load
from intranet_bridge.settlement.payments.rows import ORDERS
from intranet_bridge.settlement.statements import sides

_OURS = re.compile("([0-9A-HJKMNP-TV-Z]{26})(?:-([0-9]{1,2}))?")
"""An order's number (payments/service.py makes them), or that of a line whose payment has a transaction of its own:
nothing else is looked for."""
_KEPT = 10_000


def orders_to_match(connection: Connection) -> Callable[[str], sides.Order | None]:
    """Finds an order of ours for who compares statements, by its number."""
    if connection.execute(select(ORDERS.c.number).limit(1)).first() is None:
        return lambda name: None

    @lru_cache(_KEPT)
    def found(name: str) -> sides.Order | None:
        ours = _OURS.fullmatch(name)
        stored = load(connection, ours[1], 0, lock=False) if ours else None
        if ours is None or stored is None:
            return None
        shares = {share.line: share.cash for share in shared(stored.order.lines, stored.order.parts)}
        lines = tuple(
            sides.OrderLine(line.number, line.account, shares[line.number], line.amount)
            for line in stored.order.lines
            if ours[2] in (None, str(line.number))
        )
        return sides.Order(name, sum(line.cash for line in lines), lines) if lines else None

    return found

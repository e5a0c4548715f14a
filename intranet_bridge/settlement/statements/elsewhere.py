"""Lines of our orders whose company is behind another bridge: the list of this marketing system names none of them, so
that our own record says what is written off there, and what was taken back.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, select

from intranet_bridge.settlement.payments.rows import LINES, ORDERS
from intranet_bridge.settlement.statements.sides import ORDER_NAME, WriteOff
from protocol.operations.orders import LineState
from protocol.times import CHINA

_STANDS = frozenset({LineState.WRITTEN_OFF, LineState.CREDITED})
_BACK = frozenset({LineState.REFUNDING, LineState.REFUNDED})
_AT_ONCE = 500


def elsewhere(connection: Connection, names: Iterable[str], companies: Collection[str]) -> list[WriteOff]:
    """What our record has of them. `names`: of orders, as statements call them; `companies`: those behind others."""
    if not companies:
        return []
    named = {name: found for name in names if (found := ORDER_NAME.fullmatch(name))}
    numbers = sorted({found[1] for found in named.values()})
    rows: dict[str, list[WriteOff]] = {}
    for at in range(0, len(numbers), _AT_ONCE):
        asked = (
            select(LINES, ORDERS.c.channel)
            .join(ORDERS, ORDERS.c.number == LINES.c.order_no)
            .where(LINES.c.order_no.in_(numbers[at : at + _AT_ONCE]), LINES.c.company.in_(sorted(companies)))
            .order_by(LINES.c.order_no, LINES.c.line)
        )
        for row in connection.execute(asked):
            if row.state in _STANDS or row.state in _BACK:
                ended, back = datetime.fromtimestamp(row.ended_at / 1000, CHINA), row.state in _BACK
                gone = row.amount if back else 0
                one = WriteOff("", "", row.channel, row.amount, ended, gone, row.line, row.account)
                rows.setdefault(row.order_no, []).append(one)
    return [
        replace(one, order=name)
        for name, of in named.items()
        for one in rows.get(of[1], [])
        if of[2] in (None, str(one.line))
    ]

"""What people do with sheets, each booked in the transaction that makes it true."""

import json
import os
from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, func, select

from intranet_bridge.settlement.clearing import records
from intranet_bridge.settlement.clearing.records import names_of, net_of
from intranet_bridge.settlement.clearing.rows import ADJUSTMENTS, ARRIVALS, SHEETS
from intranet_bridge.settlement.clearing.sheets import (
    NotCleared,
    SheetEvent,
    SheetState,
    adjusted,
    arrival,
    moved,
    signing,
    written,
)
from intranet_bridge.settlement.days import day_of
from intranet_bridge.settlement.events import (
    Adjusted,
    Arrived,
    Corrected,
    Discount,
    Event,
    Fee,
    PaidOut,
    PromotionCharged,
    posting,
)
from intranet_bridge.settlement.ledger import book, open_day
from protocol.messages import uuid7
from protocol.people import among
from protocol.runtime.crash_points import Point, reach

NEXT_SHEET, CHANNEL = "next-sheet", "channel"
AGAINST = (NEXT_SHEET, CHANNEL)
MOST_FEN = 10**13
_S, _A, _R = SHEETS.c, ADJUSTMENTS.c, ARRIVALS.c


def approve(connection: Connection, id: str, who: str, two_people_above: int, now: int) -> None:
    """Sign a sheet. Raises NotCleared."""
    row = records.locked(connection, id)
    net = net_of(row)
    event = signing(net)
    state = moved(SheetState(row.state), event)
    signed = names_of(row.signed)
    if among(who, signed):
        raise NotCleared(f"{who} has signed it already; it takes two people")
    negative = next((one for one in _before(connection, row) if net_of(one) < 0), None)
    if negative is not None:
        raise NotCleared(f"{negative.id} comes first: its net is negative, and is set off")
    signed = (*signed, who)
    if abs(net) > two_people_above and len(signed) < 2:
        records.changed(connection, id, now, {"signed": json.dumps(signed, ensure_ascii=False)})
        records.acted(connection, id, "signed", who, now)
        reach(Point.BRIDGE_SHEET_UNCOMMITTED, id)
        return
    total = records.amounts_of(row)
    events: list[Event] = []
    if total.fee:
        events.append(Fee(id, row.channel, row.company, total.fee))
    if total.discounts:
        events.append(Discount(id, row.channel, row.company, total.discounts))
    if total.funded:
        events.append(PromotionCharged(id, row.company, total.funded))
    _book(connection, events, row.day, now)
    values: dict[str, Any] = {
        "state": state,
        "signed": json.dumps(signed, ensure_ascii=False),
        "file": written(records.sheet_of(connection, row)),
    }
    records.changed(connection, id, now, values)
    records.acted(connection, id, event, who, now)
    if state is SheetState.CARRIED:
        records.set_off(connection, row.company, row.channel, now)
    reach(Point.BRIDGE_SHEET_UNCOMMITTED, id)


def _before(connection: Connection, row: Row[Any]) -> Sequence[Row[Any]]:
    """Sheets of earlier days that nobody has signed yet."""
    asked = (
        select(SHEETS)
        .where(
            _S.company == row.company, _S.channel == row.channel, _S.day < row.day,
            _S.state == SheetState.COMPUTED,
        )
        .order_by(_S.day)
    )  # fmt: skip
    return connection.execute(asked).all()


def pay_out(connection: Connection, id: str, who: str, now: int) -> None:
    """The money of a sheet is on its way. Raises NotCleared."""
    row = records.locked(connection, id)
    state = moved(SheetState(row.state), SheetEvent.PAY_OUT)
    _book(connection, [PaidOut(id, row.company, net_of(row))], day_of(now), now)
    records.changed(connection, id, now, {"state": state})
    records.acted(connection, id, SheetEvent.PAY_OUT, who, now)
    reach(Point.BRIDGE_SHEET_UNCOMMITTED, id)


def arrive(connection: Connection, id: str, amount: int, bank_row: str, day: date, who: str, now: int) -> bool:
    """So much of it came. False: this row of the bank's counted already, just so. Raises NotCleared."""
    if not 0 < amount <= MOST_FEN:
        raise NotCleared("what arrives is more than nothing")
    row = records.locked(connection, id)
    known = connection.execute(select(ARRIVALS).where(_R.sheet == id, _R.row == bank_row)).first()
    if known is not None:
        if known.amount != amount:
            raise NotCleared(f"{bank_row}: has arrived already, and was another amount")
        return False
    event = arrival(net_of(row), row.arrived, amount)
    state = moved(SheetState(row.state), event)
    number = connection.execute(select(func.count()).select_from(ARRIVALS).where(_R.sheet == id)).scalar_one() + 1
    _book(connection, [Arrived(id, str(number), row.company, row.channel, amount)], day, now)
    values = {"sheet": id, "row": bank_row, "day": day, "amount": amount, "who": who, "at": now}
    connection.execute(ARRIVALS.insert(), values)
    records.changed(connection, id, now, {"state": state, "arrived": row.arrived + amount})
    records.acted(connection, id, event, who, now, bank_row)
    reach(Point.BRIDGE_SHEET_UNCOMMITTED, id)
    return True


def adjust(
    connection: Connection, id: str, against: str, note: str, who: str, now: int, *, second: bool = True
) -> None:
    """Say what the difference of a sheet is; the second one who says the same closes it. `second`: whether this one may
    be the second. Raises NotCleared.
    """
    if against not in AGAINST:
        raise NotCleared(f"against: {' or '.join(AGAINST)}")
    row = records.locked(connection, id)
    state = moved(SheetState(row.state), SheetEvent.ADJUST)
    missing = net_of(row) - row.arrived
    asked = select(ADJUSTMENTS).where(_A.sheet == id).order_by(_A.at.desc()).limit(1)
    known = connection.execute(asked.with_for_update()).first()
    if known is None or len(names_of(known.said)) > 1 or (known.amount, known.against) != (missing, against):
        if not note.strip():
            raise NotCleared("an adjustment says why")
        if known is not None and len(names_of(known.said)) == 1:  # it was said otherwise, or of another difference
            connection.execute(ADJUSTMENTS.delete().where(_A.id == known.id))
        _said(connection, row.company, row.channel, missing, against, note, id, who, now)
        records.acted(connection, id, "difference", who, now, note)
        reach(Point.BRIDGE_SHEET_UNCOMMITTED, id)
        return
    said = (*names_of(known.said), who)
    adjusted(said, known.note, second=second)
    _book(connection, [Adjusted(id, row.company, row.channel, missing, against == NEXT_SHEET)], day_of(now), now)
    values = {"said": json.dumps(said, ensure_ascii=False), "into": "" if against == NEXT_SHEET else "-", "at": now}
    connection.execute(ADJUSTMENTS.update().where(_A.id == known.id).values(values))
    records.changed(connection, id, now, {"state": state})
    records.acted(connection, id, SheetEvent.ADJUST, who, now, note)
    reach(Point.BRIDGE_SHEET_UNCOMMITTED, id)


def owe(
    connection: Connection, company: str, channel: str, amount: int, note: str, who: str, now: int, *,
    second: bool = True,
) -> str:  # fmt: skip
    """Say that a company is owed more, or less, with its next sheet; the second one who says the same makes it true.
    `second`: whether this one may be the second. Gives its id. Raises NotCleared.
    """
    if not amount or abs(amount) > MOST_FEN:
        raise NotCleared("amount: what is adjusted is more, or less, than nothing")
    if not note.strip():
        raise NotCleared("an adjustment says why")
    asked = (
        select(ADJUSTMENTS)
        .where(_A.company == company, _A.channel == channel, _A.amount == amount, _A.sheet == "", _A.into == "")
        .order_by(_A.at)
        .with_for_update()
    )
    known = next((row for row in connection.execute(asked) if len(names_of(row.said)) == 1), None)
    if known is None:
        return _said(connection, company, channel, amount, NEXT_SHEET, note, "", who, now)
    said = (*names_of(known.said), who)
    adjusted(said, known.note, second=second)
    _book(connection, [Corrected(known.id, channel, company, amount)], day_of(now), now)
    values = {"said": json.dumps(said, ensure_ascii=False), "at": now}
    connection.execute(ADJUSTMENTS.update().where(_A.id == known.id).values(values))
    reach(Point.BRIDGE_SHEET_UNCOMMITTED, known.id)
    return str(known.id)


def _said(
    connection: Connection, company: str, channel: str, amount: int, against: str, note: str, sheet: str, who: str,
    now: int,
) -> str:  # fmt: skip
    id = uuid7(now, os.urandom(10))
    row = {
        "id": id, "company": company, "channel": channel, "amount": amount, "against": against, "note": note,
        "sheet": sheet, "said": json.dumps([who], ensure_ascii=False), "into": "", "at": now,
    }  # fmt: skip
    connection.execute(ADJUSTMENTS.insert(), row)
    return id


def close_arrived(connection: Connection, now: int) -> int:
    """Close the sheets whose money arrived on days that the ledger has closed. How many."""
    arrived = select(_S.id, _S.changed_at).where(_S.state == SheetState.ARRIVED)
    closed = 0
    for row in connection.execute(arrived.with_for_update()).all():
        day = day_of(row.changed_at)
        if open_day(connection, day) != day:
            records.changed(connection, row.id, now, {"state": moved(SheetState.ARRIVED, SheetEvent.CLOSE)})
            records.acted(connection, row.id, SheetEvent.CLOSE, "bridge", now)
            closed += 1
    return closed


def _book(connection: Connection, events: Sequence[Event], day: date, now: int) -> None:
    opened = open_day(connection, day)
    for event in events:
        book(connection, posting(event, opened), now)

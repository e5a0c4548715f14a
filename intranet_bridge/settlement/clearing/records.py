"""Sheets in the database, and their parts: work within a transaction of the store.

A sheet is added to while it is `computed`, and is never changed afterwards. What comes for a day whose sheet is signed
goes into the one that is open: the company's latest of that channel that is computed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select

from intranet_bridge.settlement.clearing.rows import ACTS, AMOUNTS, FILES, PARTS, SHEETS, WAITING
from intranet_bridge.settlement.clearing.sheets import (
    NOTHING,
    Amounts,
    NotCleared,
    Part,
    PartKind,
    Sheet,
    SheetState,
    checked,
    summed,
)
from protocol.values import immutable

_F, _S, _P, _W, _A = FILES.c, SHEETS.c, PARTS.c, WAITING.c, ACTS.c
BOOKING, BOOKED, CLEARED, WITHDRAWN = "booking", "booked", "cleared", "withdrawn"
CONFLICT, UNDECIDED = "conflict", "undecided"


class NoSheetOpen(NotCleared):
    """What is late waits for the next day's sheet."""


@immutable
class Late:
    """What is to be added to sheets of a company: of the day, or of the one that is open."""

    company: str
    channel: str
    origin: date
    kind: PartKind
    source: str
    amounts: Amounts


def amounts_of(row: Row[Any]) -> Amounts:
    """The sums of a sheet or a part. (A row's own `count` is a method.)"""
    return Amounts(*(int(row._mapping[name]) for name in AMOUNTS))


def values_of(amounts: Amounts) -> dict[str, int]:
    """The columns."""
    return {name: getattr(amounts, name) for name in AMOUNTS}


def locked(connection: Connection, id: str) -> Row[Any]:
    """A sheet, for who changes it. Raises NotCleared."""
    row = connection.execute(select(SHEETS).where(_S.id == id).with_for_update()).first()
    if row is None:
        raise NotCleared(f"there is no sheet {id}")
    return row


def net_of(row: Row[Any]) -> int:
    """What a sheet comes to."""
    return amounts_of(row).net + int(row.carried)


def parts_of(connection: Connection, id: str) -> list[Row[Any]]:
    """A sheet's parts, in the order in which they are shown."""
    asked = select(PARTS).where(_P.sheet == id).order_by(_P.origin, _P.kind, _P.source)
    return list(connection.execute(asked).all())


def sheet_of(connection: Connection, row: Row[Any]) -> Sheet:
    """The value of a sheet."""
    parts = tuple(Part(PartKind(part.kind), part.origin, amounts_of(part)) for part in parts_of(connection, row.id))
    return checked(Sheet(row.company, row.channel, row.day, parts))


def acted(connection: Connection, id: str, act: str, who: str, now: int, words: str = "") -> None:
    """Write down what was done with a sheet."""
    last = connection.execute(select(func.coalesce(func.max(_A.number), 0)).where(_A.sheet == id)).scalar_one()
    row = {"sheet": id, "number": last + 1, "at": now, "act": act, "who": who, "words": words}
    connection.execute(ACTS.insert(), row)


def opened(connection: Connection, company: str, channel: str, origin: date, now: int, own: bool) -> Row[Any] | None:
    """The sheet that takes what is of `origin`, locked. `own`: the day's own is made, if there is none. None: the next
    day's has it, when that is computed.
    """
    mine = select(SHEETS).where(_S.company == company, _S.channel == channel)
    of_day = connection.execute(mine.where(_S.day == origin).with_for_update()).first()
    if of_day is not None and of_day.state == SheetState.COMPUTED:
        return of_day
    if of_day is None and own:
        return _made(connection, company, channel, origin, now)
    later = mine.where(_S.day >= origin, _S.state == SheetState.COMPUTED).order_by(_S.day.desc()).limit(1)
    found = connection.execute(later.with_for_update()).first()
    if found is not None:
        return found
    latest = select(func.max(_F.day)).where(_F.channel == channel, _F.state == CLEARED)
    day = connection.execute(latest).scalar_one()
    if day is None or day < origin:
        return None
    if connection.execute(mine.where(_S.day >= day)).first() is not None:
        return None
    return _made(connection, company, channel, day, now)


def _made(connection: Connection, company: str, channel: str, day: date, now: int) -> Row[Any]:
    count = select(func.count()).select_from(SHEETS).where(_S.company == company, _S.day == day)
    id = f"{company}.{channel}.{day:%Y%m%d}"
    row = {
        "id": id, "company": company, "channel": channel, "day": day,
        "sequence": connection.execute(count).scalar_one() + 1, "state": SheetState.COMPUTED, "signed": "[]",
        **values_of(NOTHING), "carried": 0, "arrived": 0, "carried_into": "", "submitted": "", "created_at": now,
        "changed_at": now,
    }  # fmt: skip
    connection.execute(SHEETS.insert(), row)
    acted(connection, id, "computed", "bridge", now)
    return locked(connection, id)


def add(connection: Connection, sheet: Row[Any], what: Late, now: int) -> None:
    """Add to a computed sheet. Who had signed it signs anew."""
    key = and_(_P.sheet == sheet.id, _P.kind == what.kind, _P.source == what.source)
    known = connection.execute(select(PARTS).where(key)).first()
    if known is None:
        row = {"sheet": sheet.id, "kind": what.kind, "source": what.source, "origin": what.origin}
        connection.execute(PARTS.insert(), row | values_of(what.amounts))
    else:
        connection.execute(PARTS.update().where(key).values(values_of(amounts_of(known).plus(what.amounts))))
    reckoned(connection, sheet.id, now)


def remove(connection: Connection, sheet: str, kind: str, source: str, now: int) -> None:
    """Take a part out of a computed sheet."""
    connection.execute(PARTS.delete().where(_P.sheet == sheet, _P.kind == kind, _P.source == source))
    reckoned(connection, sheet, now)


def reckoned(connection: Connection, sheet: str, now: int) -> None:
    """Sum a computed sheet anew."""
    parts = parts_of(connection, sheet)
    carried = sum(amounts_of(part).net for part in parts if part.kind == PartKind.CARRIED)
    total = summed(amounts_of(part) for part in parts if part.kind != PartKind.CARRIED)
    values = values_of(total) | {"carried": carried, "signed": "[]", "changed_at": now}
    connection.execute(SHEETS.update().where(_S.id == sheet).values(values))


def placed(connection: Connection, several: Iterable[Late], now: int, own: bool) -> None:
    """Add it. Raises NoSheetOpen, while some has none: then nothing of the transaction may be kept."""
    found = []
    for what in sorted(several, key=lambda one: (one.company, one.channel, one.origin, one.kind)):
        sheet = opened(connection, what.company, what.channel, what.origin, now, own)
        if sheet is None:
            raise NoSheetOpen(f"{what.company}, {what.channel}: the next day's sheet takes what is of {what.origin}")
        if what.kind is PartKind.ROWS and sheet.day != what.origin:
            what = Late(what.company, what.channel, what.origin, PartKind.LATE, what.source, what.amounts)
        found.append((sheet, what))
    for sheet, what in found:
        add(connection, sheet, what, now)


def set_off(connection: Connection, company: str, channel: str, now: int) -> None:
    """What is carried goes into the sheet that is open."""
    carried = (
        select(SHEETS)
        .where(
            _S.company == company, _S.channel == channel, _S.state == SheetState.CARRIED, _S.carried_into == "",
        )
        .order_by(_S.day)
        .with_for_update()
    )  # fmt: skip
    for row in connection.execute(carried).all():
        later = (
            select(SHEETS)
            .where(_S.company == company, _S.channel == channel, _S.day > row.day, _S.state == SheetState.COMPUTED)
            .order_by(_S.day)
            .limit(1)
        )
        sheet = connection.execute(later.with_for_update()).first()
        if sheet is not None:
            what = Late(company, channel, row.day, PartKind.CARRIED, row.id, Amounts(adjustments=net_of(row)))
            add(connection, sheet, what, now)
            connection.execute(SHEETS.update().where(_S.id == row.id).values(carried_into=sheet.id))


def withdraw(connection: Connection, file: str, now: int) -> None:
    """Take a statement that was replaced off the sheets: out of computed ones; what signed ones have of it is taken
    back in the one that is open. Raises NoSheetOpen.
    """
    held = select(PARTS, _S.state).join(SHEETS, _S.id == _P.sheet)
    mine = held.where(_P.source == file, _P.kind.in_((PartKind.ROWS, PartKind.LATE)))
    back: list[Late] = []
    free: list[Row[Any]] = []
    for part in connection.execute(mine.order_by(_P.sheet, _P.kind)).all():
        sheet = locked(connection, part.sheet)
        if sheet.state == SheetState.COMPUTED:
            free.append(part)
        else:
            amounts = NOTHING.plus(amounts_of(part), -1)
            back.append(Late(sheet.company, sheet.channel, part.origin, PartKind.CORRECTION, file, amounts))
    placed(connection, back, now, own=False)
    for part in free:
        remove(connection, part.sheet, part.kind, part.source, now)
    connection.execute(WAITING.delete().where(_W.file == file))
    connection.execute(FILES.update().where(_F.file == file).values(state=WITHDRAWN, updated_at=now))


def names_of(text: str) -> tuple[str, ...]:
    """Who has said or signed something, as it is written down."""
    return tuple(json.loads(text))


def changed(connection: Connection, id: str, now: int, values: Mapping[str, Any]) -> None:
    """Write a sheet's columns."""
    connection.execute(SHEETS.update().where(_S.id == id).values(changed_at=now, **values))


def waiting_of(connection: Connection, sheets: Sequence[Row[Any]]) -> dict[str, int]:
    """How many rows wait, of each sheet's company, channel and day."""
    if not sheets:
        return {}
    days = [row.day for row in sheets]
    asked = (
        select(_W.company, _W.channel, _W.day, func.count())
        .where(_W.day >= min(days), _W.day <= max(days))
        .group_by(_W.company, _W.channel, _W.day)
    )
    found = {(company, channel, day): count for company, channel, day, count in connection.execute(asked)}
    return {row.id: found.get((row.company, row.channel, row.day), 0) for row in sheets}

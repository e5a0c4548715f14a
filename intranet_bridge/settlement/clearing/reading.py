"""Sheets as people see them: reads of the database."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from intranet_bridge.settlement.clearing import records
from intranet_bridge.settlement.clearing.desk import AdjustmentView, ArrivalView, PartView, SheetDetail, SheetView
from intranet_bridge.settlement.clearing.records import amounts_of, names_of, net_of
from intranet_bridge.settlement.clearing.rows import ACTS, ADJUSTMENTS, ARRIVALS, FILES, SHEETS
from intranet_bridge.settlement.clearing.sheets import NotCleared, PartKind, SheetState, file_name, written

_S, _A, _R, _F, _C = SHEETS.c, ADJUSTMENTS.c, ARRIVALS.c, FILES.c, ACTS.c


def between(
    connection: Connection, first: date, last: date, company: str = "", channel: str = "", states: Sequence[str] = ()
) -> list[SheetView]:
    """Sheets of some days, the latest first."""
    asked = select(SHEETS).where(_S.day >= first, _S.day <= last)
    if company:
        asked = asked.where(_S.company == company)
    if channel:
        asked = asked.where(_S.channel == channel)
    if states:
        asked = asked.where(_S.state.in_(states))
    rows = connection.execute(asked.order_by(_S.day.desc(), _S.company, _S.channel)).all()
    return views(connection, rows)


def one(connection: Connection, id: str) -> SheetView:
    """One sheet. Raises NotCleared."""
    (found,) = views(connection, [_row(connection, id)])
    return found


def detail(connection: Connection, id: str) -> SheetDetail:
    """All of one. Raises NotCleared."""
    row = _row(connection, id)
    (sheet,) = views(connection, [row])
    parts = records.parts_of(connection, id)
    statements = [part.source for part in parts if part.kind not in (PartKind.ADJUSTMENT, PartKind.CARRIED)]
    named = connection.execute(select(_F.file, _F.name).where(_F.file.in_(statements)))
    names = {row.file: row.name for row in named}
    arrivals = connection.execute(select(ARRIVALS).where(_R.sheet == id).order_by(_R.at, _R.row)).all()
    adjustments = select(ADJUSTMENTS).where(or_(_A.sheet == id, _A.into == id)).order_by(_A.at, _A.id)
    acts = connection.execute(select(ACTS).where(_C.sheet == id).order_by(_C.number)).all()
    return SheetDetail(
        sheet,
        tuple(_part(part, names.get(part.source, part.source)) for part in parts),
        tuple(ArrivalView(one.row, one.day, one.amount, one.who, one.at) for one in arrivals),
        tuple(adjustment(one) for one in connection.execute(adjustments)),
        tuple((one.at, one.act, one.who, one.words) for one in acts),
    )


def file(connection: Connection, id: str) -> tuple[str, bytes]:
    """The company's file: as it was signed, or as the sheet stands. Raises NotCleared."""
    row = _row(connection, id)
    content = bytes(row.file) if row.file is not None else written(records.sheet_of(connection, row))
    return file_name(row.company, row.day, row.sequence), content


def open_adjustments(connection: Connection) -> list[AdjustmentView]:
    """Those that wait for a second person, or for a sheet."""
    asked = select(ADJUSTMENTS).where(_A.into == "").order_by(_A.at, _A.id)
    return [adjustment(row) for row in connection.execute(asked)]


def adjustment(row: Row[Any]) -> AdjustmentView:
    """As people see it."""
    return AdjustmentView(
        row.id, row.company, row.channel, row.amount, row.against, row.note, row.sheet, names_of(row.said), row.at
    )


def views(connection: Connection, rows: Sequence[Row[Any]]) -> list[SheetView]:
    """As people see them."""
    waiting = records.waiting_of(connection, rows)
    return [_view(row, waiting.get(row.id, 0)) for row in rows]


def _view(row: Row[Any], waiting: int) -> SheetView:
    of = amounts_of(row)
    return SheetView(
        row.id, row.company, row.channel, row.day, row.sequence, SheetState(row.state), of.count, of.gross, of.refunds,
        of.fee, of.promoted, of.adjustments, row.carried, net_of(row), row.arrived, names_of(row.signed), waiting,
        row.changed_at,
    )  # fmt: skip


def _part(row: Row[Any], source: str) -> PartView:
    of = amounts_of(row)
    return PartView(
        row.kind, row.origin, source, of.count, of.gross, of.refunds, of.fee, of.promoted, of.adjustments, of.net
    )


def _row(connection: Connection, id: str) -> Row[Any]:
    row = connection.execute(select(SHEETS).where(_S.id == id)).first()
    if row is None:
        raise NotCleared(f"there is no sheet {id}")
    return row


def owed(sheets: Iterable[SheetView]) -> int:
    """What sheets that are paid out still miss, or have too much."""
    return sum(sheet.outstanding for sheet in sheets)

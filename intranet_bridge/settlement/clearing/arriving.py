"""What bank statements say has arrived: their rows of income, each given to the sheet that it pays."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, select

from intranet_bridge.settlement.clearing.acting import arrive
from intranet_bridge.settlement.clearing.computing import COUNT
from intranet_bridge.settlement.clearing.records import net_of
from intranet_bridge.settlement.clearing.rows import ARRIVALS, SHEETS
from intranet_bridge.settlement.clearing.sheets import SheetState, file_name
from intranet_bridge.settlement.rows import FILES, LINES
from intranet_bridge.settlement.statements.life import FileState
from intranet_bridge.settlement.statements.profiles import Kind
from intranet_bridge.settlement_sections.clearing import ArrivalsSection

_S, _F, _L, _R = SHEETS.c, FILES.c, LINES.c, ARRIVALS.c
STATEMENT = "statement"
_AT_ONCE = 500
_Alike: TypeAlias = tuple[date, str, str, int]


def arrived(connection: Connection, arrivals: Mapping[str, ArrivalsSection], now: int) -> int:
    """Give each row to the sheet that it names, or to the only one that it pays to the fen; others wait for an
    operator. How many were.
    """
    found = 0
    for name, section in arrivals.items():
        waits = (
            select(SHEETS)
            .where(_S.company == section.company, _S.state.in_((SheetState.PAID_OUT, SheetState.SHORT)))
            .order_by(_S.day)
        )
        if section.channel is not None:
            waits = waits.where(_S.channel == section.channel)
        sheets = list(connection.execute(waits).all())
        if not sheets:
            continue
        rows = _uncounted(connection, _rows(connection, name, sheets, COUNT))
        for row in _not_before(rows, _counted_before(connection, name, sheets) if rows else {}):
            sheet = _paid_by(row, sheets)
            if sheet is not None and arrive(connection, sheet.id, row.gross, _named(row), row.day, STATEMENT, now):
                found += 1
                sheets = list(connection.execute(waits).all())
    return found


def _rows(
    connection: Connection, name: str, sheets: Sequence[Row[Any]], states: Sequence[FileState]
) -> Sequence[Any]:  # fmt: skip
    asked = (
        select(_L.file, _L.line, _L.transaction_no, _L.order_no, _L.gross, _F.day, _F.merchant)
        .join(FILES, _F.id == _L.file)
        .where(
            _F.profile == name, _F.state.in_(states), _F.day >= min(sheet.day for sheet in sheets),
            _L.kind == Kind.INCOME, _L.gross > 0,
        )
        .order_by(_F.day, _L.file, _L.line)
    )  # fmt: skip
    return connection.execute(asked).all()


def _uncounted(connection: Connection, rows: Sequence[Any]) -> list[Any]:
    """Those that no sheet has, by whoever's word: what an operator gave to one is no other's too."""
    names = sorted({_named(row) for row in rows})
    counted: set[str] = set()
    for at in range(0, len(names), _AT_ONCE):
        asked = select(_R.row).where(_R.row.in_(names[at : at + _AT_ONCE]))
        counted.update(connection.execute(asked).scalars())
    return [row for row in rows if _named(row) not in counted]


def _counted_before(connection: Connection, name: str, sheets: Sequence[Row[Any]]) -> dict[_Alike, int]:
    """How many rows without a number were counted of statements that others have replaced since."""
    rows = [row for row in _rows(connection, name, sheets, (FileState.REPLACED,)) if not row.transaction_no]
    uncounted = {_named(row) for row in _uncounted(connection, rows)}
    return Counter(_alike(row) for row in rows if _named(row) not in uncounted)


def _not_before(rows: Sequence[Any], before: Mapping[_Alike, int]) -> Iterator[Any]:
    """Rows but for those that a replaced statement had: one without a number is known by its day, amount and text,
    and as many as were counted are not new. Pure.
    """
    left = dict(before)
    for row in rows:
        if not row.transaction_no and left.get(_alike(row), 0) > 0:
            left[_alike(row)] -= 1
        else:
            yield row


def _alike(row: Row[Any]) -> _Alike:
    return row.day, row.merchant, row.order_no, row.gross


def _named(row: Row[Any]) -> str:
    return row.transaction_no or f"{row.file}:{row.line}"


def _paid_by(row: Row[Any], sheets: Sequence[Row[Any]]) -> Row[Any] | None:
    for sheet in sheets:
        if row.order_no and row.order_no in (sheet.id, file_name(sheet.company, sheet.day, sheet.sequence)):
            return sheet
    exact = [sheet for sheet in sheets if sheet.day <= row.day and net_of(sheet) - sheet.arrived == row.gross]
    return exact[0] if len(exact) == 1 else None

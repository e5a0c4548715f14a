"""How statements become sheets: each step a transaction that may be done again, or by another bridge.

1. a statement that counts is taken up; its rows without an order of ours are booked, page by page (`booked`);
2. when all statements of its channel and day are there and booked, its rows are summed by company, put on the sheets,
   and what does not count yet waits (`cleared`);
3. what waited and counts now, statements that were replaced, adjustments and what is carried go into open sheets.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, select

from intranet_bridge.settlement.clearing import records
from intranet_bridge.settlement.clearing.books import (
    Orders,
    all_rows,
    book_rows,
    correct,
    orders_of,
    rows_after,
    surplus,
)
from intranet_bridge.settlement.clearing.counting import Piece, Standing, fees_in_fen, order_of, pieces
from intranet_bridge.settlement.clearing.counting import Row as Counted
from intranet_bridge.settlement.clearing.records import (
    BOOKED,
    BOOKING,
    CLEARED,
    CONFLICT,
    UNDECIDED,
    WITHDRAWN,
    Late,
    NoSheetOpen,
)
from intranet_bridge.settlement.clearing.rows import ADJUSTMENTS, FILES, SHEETS, WAITING
from intranet_bridge.settlement.clearing.sheets import NOTHING, Amounts, PartKind, SheetState
from intranet_bridge.settlement.rows import FILES as STATEMENTS
from intranet_bridge.settlement.statements.life import FileState
from intranet_bridge.settlement.statements.sources import Source
from intranet_bridge.settlement_sections.clearing import ClearedChannelSection, ClearingSection
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.store import Store
from protocol.runtime.store_statements import insert_new
from protocol.values import immutable

log = logger(__name__)

COUNT = (FileState.ACCEPTED, FileState.MATCHED, FileState.CLOSED)
THERE = (*COUNT, FileState.EMPTY_CONFIRMED)
_AT_ONCE = 200
_F, _C, _W, _S, _A = STATEMENTS.c, FILES.c, WAITING.c, SHEETS.c, ADJUSTMENTS.c


@immutable
class Tally:
    """A statement, summed."""

    amounts: Mapping[str, Amounts]
    """By company."""
    waiting: tuple[tuple[int, int, str], ...]
    """Line of the file, line of the order, company."""


def tally(connection: Connection, file: str, channel: str, company: str, orders: Orders) -> Tally:
    """Sum a statement that is booked; only reads."""
    conflicts = set(
        connection.execute(select(_W.line).where(_W.file == file, _W.why == CONFLICT)).scalars()
    )  # those wait already
    amounts: dict[str, Amounts] = {}
    fees: dict[str, int] = {}
    waiting: list[tuple[int, int, str]] = []
    for page in all_rows(connection, file):
        for row, found in _pieces(connection, page, channel, company, orders):
            for piece in found:
                fees[piece.company] = fees.get(piece.company, 0) + piece.fee
                if row.line in conflicts:
                    continue
                if piece.standing is Standing.WAITS:
                    waiting.append((row.line, piece.line, piece.company))
                elif piece.standing is Standing.COUNTS:
                    _added(amounts, piece)
    for name, fee in fees_in_fen(fees).items():
        if fee or name in amounts:
            amounts[name] = amounts.get(name, NOTHING).plus(Amounts(fee=fee))
    return Tally(amounts, tuple(waiting))


def _pieces(
    connection: Connection, page: Sequence[Counted], channel: str, company: str, orders: Orders
) -> list[tuple[Counted, list[Piece]]]:
    known = orders_of(connection, page, orders)
    without = [row for row in page if order_of(row, known) is None]
    too_many = surplus(connection, channel, without) if without else set()
    found = []
    for row in page:
        order = order_of(row, known)
        none = order is None and row.transaction in too_many
        found.append((row, [] if none else pieces(row, order, company)))
    return found


def _added(amounts: dict[str, Amounts], piece: Piece) -> None:
    amounts[piece.company] = amounts.get(piece.company, NOTHING).plus(piece.amounts)
    for funder, funded in piece.funded:
        amounts[funder] = amounts.get(funder, NOTHING).plus(Amounts(funded=funded))


class Computing:
    """Makes sheets of what statements say."""

    def __init__(
        self, store: Store, section: Callable[[], ClearingSection], orders: Orders, allowed: Callable[[], bool],
        clock: Clock, sources: Mapping[str, Source],
    ) -> None:  # fmt: skip
        """`sources`: the kinds of statements, by name."""
        self._sources = sources
        self._store, self._section, self._orders, self._allowed, self._clock = store, section, orders, allowed, clock

    async def look(self) -> None:
        """Do all that can be done. Raises SQLAlchemyError."""
        if not self._allowed():
            return
        await self._store.write(self._take_up)
        for file in await self._of(BOOKING):
            while self._allowed() and await self._store.write(partial(self._book, file.file)):
                pass
        await self._withdraw()
        for file in await self._of(BOOKED):
            if self._allowed():
                await self._clear(file)
        await self._release()
        await self._place_adjustments()
        await self._store.write(self._set_off)

    async def _of(self, *states: str) -> Sequence[Row[Any]]:
        asked = select(FILES).where(_C.state.in_(states)).order_by(_C.day, _C.file)
        return await self._store.read(lambda connection: connection.execute(asked).all())

    # 1. taken up, and booked

    def _take_up(self, connection: Connection) -> None:
        section, now = self._section(), self._clock()
        for channel, cleared in section.channels.items():
            asked = (
                select(STATEMENTS)
                .where(
                    _F.channel == channel, _F.profile.in_(cleared.statements), _F.state.in_(COUNT),
                    ~exists().where(_C.file == _F.id),
                )
                .order_by(_F.day, _F.id)
            )  # fmt: skip
            if section.since is not None:
                asked = asked.where(_F.day >= section.since)
            rows = [
                {
                    "file": row.id, "channel": channel, "day": row.day, "name": row.name,
                    "company": _company(cleared, row.merchant), "state": BOOKING, "line": 0, "updated_at": now,
                }
                for row in connection.execute(asked)
            ]  # fmt: skip
            if rows:
                insert_new(connection, FILES, rows)

    def _book(self, file: str, connection: Connection) -> bool:
        """A page of it. False: it is done."""
        row = connection.execute(select(FILES).where(_C.file == file).with_for_update()).first()
        if row is None or row.state != BOOKING:
            return False
        now = self._clock()
        page = rows_after(connection, file, row.line)
        if page:
            known = orders_of(connection, page, self._orders)
            without = [one for one in page if order_of(one, known) is None]
            too_many = surplus(connection, row.channel, without)
            without = [one for one in without if one.transaction not in too_many]
            otherwise = book_rows(connection, file, row.channel, row.company, row.day, without, now)
            if otherwise and not self._before(connection, row):
                self._wait(connection, row, [(one.line, 0, row.company) for one in otherwise], CONFLICT)
            values: dict[str, Any] = {"line": page[-1].line}
        else:
            if before := self._before(connection, row):
                correct(connection, file, before, row.channel, row.company, row.day, self._orders, now)
            values = {"state": BOOKED}
        connection.execute(FILES.update().where(_C.file == file).values(updated_at=now, **values))
        reach(Point.BRIDGE_CLEARING_UNCOMMITTED, file)
        return bool(page)

    @staticmethod
    def _before(connection: Connection, row: Row[Any]) -> list[str]:
        """The statements whose place it took."""
        asked = (
            select(_C.file)
            .join(STATEMENTS, _F.id == _C.file)
            .where(_C.name == row.name, _C.file != row.file, _F.state == FileState.REPLACED)
        )
        return list(connection.execute(asked.order_by(_C.file)).scalars())

    @staticmethod
    def _wait(connection: Connection, file: Row[Any], lines: Collection[tuple[int, int, str]], why: str) -> None:
        rows = [
            {
                "file": file.file, "line": line, "order_line": of, "company": company, "channel": file.channel,
                "day": file.day, "why": why,
            }
            for line, of, company in lines
        ]  # fmt: skip
        if rows:
            insert_new(connection, WAITING, rows)

    # 2. cleared

    async def _clear(self, file: Row[Any]) -> None:
        if not await self._store.read(partial(self._complete, file.channel, file.day)):
            return
        found = await self._store.scan(
            lambda connection: tally(connection, file.file, file.channel, file.company, self._orders)
        )
        try:
            await self._store.write(partial(self._put, file.file, found))
        except NoSheetOpen:  # the next day's has it
            return

    def _complete(self, channel: str, day: date, connection: Connection) -> bool:
        """Whether all statements of a day are there, and booked."""
        cleared = self._section().channels.get(channel)
        return cleared is not None and not missing(connection, channel, cleared, day, self._sources)

    def _put(self, file: str, found: Tally, connection: Connection) -> None:
        row = connection.execute(select(FILES).where(_C.file == file).with_for_update()).one()
        counts = connection.execute(select(_F.state).where(_F.id == file)).scalar_one()
        if row.state != BOOKED or counts not in COUNT:
            return
        now = self._clock()
        connection.execute(FILES.update().where(_C.file == file).values(state=CLEARED, updated_at=now))
        several = [
            Late(company, row.channel, row.day, PartKind.ROWS, file, amounts)
            for company, amounts in found.amounts.items()
        ]
        records.placed(connection, several, now, own=True)
        self._wait(connection, row, found.waiting, UNDECIDED)
        reach(Point.BRIDGE_CLEARING_UNCOMMITTED, file)
        log.info("clearing-computed", channel=row.channel, day=str(row.day), companies=len(several))

    # 3. what comes afterwards

    async def _withdraw(self) -> None:
        replaced = (
            select(_C.file)
            .join(STATEMENTS, _F.id == _C.file)
            .where(_C.state != WITHDRAWN, _F.state == FileState.REPLACED)
            .order_by(_C.day, _C.file)
        )
        for file in await self._store.read(lambda connection: connection.execute(replaced).scalars().all()):
            try:
                await self._store.write(partial(self._withdrawn, file))
            except NoSheetOpen:  # the next day's has it
                continue

    def _withdrawn(self, file: str, connection: Connection) -> None:
        row = connection.execute(select(FILES).where(_C.file == file).with_for_update()).one()
        if row.state != WITHDRAWN:
            records.withdraw(connection, file, self._clock())
            reach(Point.BRIDGE_CLEARING_UNCOMMITTED, file)

    async def _release(self) -> None:
        """What waited, and is decided."""
        after: tuple[str, int, int] = ("", 0, 0)
        while self._allowed():
            found = await self._store.read(partial(self._decided, after))
            if found is None:
                return
            after, files = found
            for file, lines in files.items():
                try:
                    await self._store.write(partial(self._released, file, lines))
                except NoSheetOpen:  # the next day's has it
                    continue

    def _decided(
        self, after: tuple[str, int, int], connection: Connection
    ) -> tuple[tuple[str, int, int], dict[str, list[int]]] | None:
        """A page of what waits: where it ends, and by file the lines of which something is decided."""
        file, line, of = after
        later = and_(_W.file == file, _W.line == line, _W.order_line > of)
        asked = (
            select(WAITING)
            .where(_W.why == UNDECIDED, (_W.file > file) | and_(_W.file == file, _W.line > line) | later)
            .order_by(_W.file, _W.line, _W.order_line)
            .limit(_AT_ONCE)
        )
        rows = connection.execute(asked).all()
        if not rows:
            return None
        files: dict[str, list[int]] = {}
        for row in rows:
            files.setdefault(row.file, []).append(row.line)
        decided = {
            name: ready for name, lines in files.items() if (ready := self._ready(connection, name, sorted(set(lines))))
        }
        return (rows[-1].file, rows[-1].line, rows[-1].order_line), decided

    def _ready(self, connection: Connection, file: str, lines: Sequence[int]) -> list[int]:
        return sorted({line for line, _, piece in self._again(connection, file, lines) if _over(piece)})

    def _again(self, connection: Connection, file: str, lines: Sequence[int]) -> list[tuple[int, Row[Any], Piece]]:
        """What waits of these lines, as it stands now."""
        of_file = connection.execute(select(FILES).where(_C.file == file)).one()
        asked = select(WAITING).where(_W.file == file, _W.line.in_(lines), _W.why == UNDECIDED)
        waits = {(row.line, row.order_line): row for row in connection.execute(asked.with_for_update())}
        page = [row for line in lines for row in rows_after(connection, file, line - 1, 1) if row.line == line]
        found = []
        for row, of_row in _pieces(connection, page, of_file.channel, of_file.company, self._orders):
            for piece in of_row:
                if (waiting := waits.get((row.line, piece.line))) is not None:
                    found.append((row.line, waiting, piece))
        return found

    def _released(self, file: str, lines: Sequence[int], connection: Connection) -> None:
        amounts: dict[str, Amounts] = {}
        waited: Row[Any] | None = None
        for line, row, piece in self._again(connection, file, lines):
            if not _over(piece):
                continue
            waited = row
            mine = and_(_W.file == file, _W.line == line, _W.order_line == row.order_line)
            connection.execute(WAITING.delete().where(mine))
            if piece.standing is Standing.COUNTS:
                _added(amounts, piece)
        if waited is None:
            return
        several = [
            Late(company, waited.channel, waited.day, PartKind.LATE, file, found) for company, found in amounts.items()
        ]
        records.placed(connection, several, self._clock(), own=False)
        reach(Point.BRIDGE_CLEARING_UNCOMMITTED, file)

    async def _place_adjustments(self) -> None:
        open_ = select(ADJUSTMENTS).where(_A.into == "", _A.against == "next-sheet").order_by(_A.at, _A.id)
        for row in await self._store.read(lambda connection: connection.execute(open_).all()):
            try:
                await self._store.write(partial(self._placed, row.id))
            except NoSheetOpen:
                continue

    def _placed(self, id: str, connection: Connection) -> None:
        row = connection.execute(select(ADJUSTMENTS).where(_A.id == id).with_for_update()).one()
        if row.into or not _confirmed(row):
            return
        now = self._clock()
        latest = (
            select(_S.day)
            .where(_S.company == row.company, _S.channel == row.channel, _S.state == SheetState.COMPUTED)
            .order_by(_S.day.desc())
            .limit(1)
        )
        day = connection.execute(latest).scalar()
        if day is None:
            cleared = select(_C.day).where(_C.channel == row.channel, _C.state == CLEARED)
            day = connection.execute(cleared.order_by(_C.day.desc()).limit(1)).scalar()
        if day is None:
            return
        sheet = records.opened(connection, row.company, row.channel, day, now, own=True)
        if sheet is None:
            return
        amounts = Amounts(adjustments=row.amount)
        what = Late(row.company, row.channel, sheet.day, PartKind.ADJUSTMENT, row.id, amounts)
        records.add(connection, sheet, what, now)
        connection.execute(ADJUSTMENTS.update().where(_A.id == id).values(into=sheet.id))

    def _set_off(self, connection: Connection) -> None:
        carried = select(_S.company, _S.channel).where(_S.state == SheetState.CARRIED, _S.carried_into == "")
        for company, channel in connection.execute(carried.distinct()).all():
            records.set_off(connection, company, channel, self._clock())


def _over(piece: Piece) -> bool:
    return piece.standing is not Standing.WAITS


def _confirmed(row: Row[Any]) -> bool:
    return len(records.names_of(row.said)) > 1


def _company(cleared: ClearedChannelSection, merchant: str) -> str:
    return cleared.merchants.get(merchant, cleared.company)


def missing(
    connection: Connection, channel: str, cleared: ClearedChannelSection, day: date, sources: Mapping[str, Source]
) -> list[str]:
    """The statements of a day that are not accepted, of a branch `KIND:BRANCH`, or not booked."""
    there = select(_F.profile, _F.name, _F.merchant).where(
        _F.channel == channel, _F.day == day, _F.profile.in_(cleared.statements), _F.state.in_(THERE)
    )
    came: dict[str, list[tuple[str, str]]] = {}
    for row in connection.execute(there):
        came.setdefault(row.profile, []).append((row.name, row.merchant))
    lacking: set[str] = set()
    for kind in cleared.statements:
        lacking.update(sources[kind].lacking(came.get(kind, ())) if kind in sources else {kind} - came.keys())
    booking = select(_F.profile).join(FILES, _C.file == _F.id).where(_F.day == day, _C.state == BOOKING)
    waits = set(connection.execute(booking.where(_C.channel == channel)).scalars())
    return sorted(lacking | waits)

"""Pages of clearing: a month at a glance, the sheets of a day, one sheet with what people do about it, its file."""

from calendar import monthrange
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import date, timedelta

from starlette.exceptions import HTTPException
from starlette.responses import Response

from intranet_bridge.desk.money.common import (
    APPROVE,
    NOT_THERE,
    READ,
    SETTLE,
    Waiting,
    asked,
    asked_day,
    asked_month,
    download,
    id_of,
    next_month,
)  # fmt: skip
from intranet_bridge.settlement import money
from intranet_bridge.settlement.clearing.desk import ClearingDesk, SheetDetail, SheetView
from intranet_bridge.settlement.clearing.sheets import NotCleared, SheetState
from intranet_bridge.settlement.days import SHIPPED, day_of
from protocol.desk.pages import NotDone, Page, Visit, see
from protocol.people import among
from protocol.runtime.audit import Act
from protocol.runtime.clock import Clock
from protocol.values import immutable

_LOOK_BACK = timedelta(62)
"""So far back what waits is looked for."""
_TONES = {
    SheetState.SHORT: "bad", SheetState.OVER: "bad", SheetState.COMPUTED: "warn", SheetState.APPROVED: "accent",
    SheetState.PAID_OUT: "accent", SheetState.ARRIVED: "good", SheetState.CLOSED: "good",
}  # fmt: skip
_FIRST = (
    SheetState.SHORT, SheetState.OVER, SheetState.COMPUTED, SheetState.APPROVED, SheetState.PAID_OUT,
    SheetState.CARRIED, SheetState.ARRIVED, SheetState.CLOSED,
)  # fmt: skip
"""Which state a cell of several sheets shows."""
EMPTY: Mapping[date, int] = {}
AGAINST = ("next-sheet", "channel")
MOST_NOTE = 500
NO_AMOUNT = "Amount, yuan: it is written like 1234.50."
NO_DAY = "Day of arrival: it is written like 2026-11-24."
NO_NOTE = "Why: say it, in 1 to 500 characters."
NO_ROW = "Number of the bank's row: 1 to 64 letters, digits and signs without blanks."


def tone(state: SheetState) -> str:
    """How a state is coloured."""
    return _TONES.get(state, "plain")


Doing = Callable[[str, str], Awaitable[object]]
"""What is done with a sheet of this id, by whom."""
ByDay = Callable[[], Awaitable[Mapping[date, int]]]
"""How many of something wait for a person, by the day that they are of."""


@immutable
class Cell:
    """A company's sheets of a day."""

    path: str
    net: int
    state: SheetState
    """Of several the one that needs somebody most."""
    count: int


@immutable
class Row:
    """A day of the month."""

    day: date
    works: bool
    """Whether banks do."""
    cells: tuple[Cell | None, ...]
    net: int
    others: int = 0
    """Payment orders and refunds of the day that wait for a person."""


@immutable
class Month:
    """A month at a glance."""

    first: date
    companies: tuple[str, ...]
    rows: tuple[Row, ...]
    sums: tuple[int, ...]
    """By company: what is carried counts once, in the sheet that it comes from."""
    red: tuple[SheetView, ...]
    """Of which less, or more, arrived than was paid out."""
    others: int = 0
    """Payment orders and refunds of the month that wait for a person."""
    carried: bool = False
    """Whether a sheet has set another one off."""


def month_of(first: date, sheets: Iterable[SheetView], others: Mapping[date, int] = EMPTY) -> Month:
    """The sheets of a month as days by companies, and what else waits for a person by its day."""
    sheets = tuple(sheets)
    by_place: dict[tuple[date, str], list[SheetView]] = {}
    for sheet in sheets:
        by_place.setdefault((sheet.day, sheet.company), []).append(sheet)
    companies = tuple(sorted({company for _, company in by_place}))
    rows = []
    for number in range(1, monthrange(first.year, first.month)[1] + 1):
        day = first.replace(day=number)
        cells = tuple(_cell(by_place.get((day, company), [])) for company in companies)
        waits = others.get(day, 0)
        if any(cells) or waits:
            rows.append(Row(day, SHIPPED.open(day), cells, sum(one.net for one in cells if one), waits))
    sums = tuple(
        sum(one.net - one.carried for (_, owner), mine in by_place.items() if owner == company for one in mine)
        for company in companies
    )
    red = tuple(sheet for sheet in sheets if tone(sheet.state) == "bad")
    carried = any(sheet.carried for sheet in sheets)
    return Month(first, companies, tuple(rows), sums, red, sum(row.others for row in rows), carried)


def _cell(sheets: list[SheetView]) -> Cell | None:
    if not sheets:
        return None
    one = sheets[0]
    path = (
        f"/desk/clearing/sheets/{one.id}"
        if len(sheets) == 1
        else f"/desk/clearing/day?company={one.company}&day={one.day}"
    )
    state = min((sheet.state for sheet in sheets), key=_FIRST.index)
    return Cell(path, sum(sheet.net for sheet in sheets), state, len(sheets))


class Clearing:
    """The pages."""

    def __init__(
        self, desk: ClearingDesk, companies: Callable[[], Iterable[str]], clock: Clock, act: Act,
        others: ByDay | None = None,
    ) -> None:  # fmt: skip
        """`others`: what else of a day waits for a person; shown beside its sheets."""
        self._others = others
        self._desk, self._companies, self._clock, self._act = desk, companies, clock, act

    def pages(self) -> tuple[Page, ...]:
        """Those there are, by role."""
        return (
            Page("/clearing", self._month, READ, menu="Clearing"),
            Page("/clearing/day", self._day, READ),
            Page("/clearing/adjustments", self._adjustments, READ),
            Page("/clearing/owe", self._owe, READ, ("GET", "POST")),
            Page("/clearing/sheets/{id}", self._sheet, READ),
            Page("/clearing/sheets/{id}/file", self._file, READ),
            Page("/clearing/sheets/{id}/approve", self._approve, APPROVE, ("POST",)),
            Page("/clearing/sheets/{id}/paid-out", self._paid_out, SETTLE, ("POST",)),
            Page("/clearing/sheets/{id}/arrived", self._arrived, SETTLE, ("POST",)),
            Page("/clearing/sheets/{id}/adjust", self._adjust, READ, ("POST",)),
        )

    async def waiting(self) -> list[Waiting]:
        """What needs somebody, of the last two months."""
        today = day_of(self._clock())
        sheets = await self._desk.sheets(today - _LOOK_BACK, today)
        found = []
        for state, words, grave in (
            (SheetState.SHORT, "clearing sheets: less arrived than was paid out", True),
            (SheetState.OVER, "clearing sheets: more arrived than was paid out", True),
            (SheetState.COMPUTED, "clearing sheets wait for approval", False),
        ):
            mine = [one for one in sheets if one.state is state]
            if mine:
                amount = sum(abs(one.outstanding) if grave else one.net for one in mine)
                first = min(mine, key=lambda one: one.day)
                path = f"/desk/clearing/sheets/{first.id}" if len(mine) == 1 else f"/desk/clearing/day?state={state}"
                found.append(Waiting(words, len(mine), path, grave, amount))
        if said := await self._desk.adjustments():
            words, amount = "adjustments of clearing wait for a second person", sum(abs(one.amount) for one in said)
            found.append(Waiting(words, len(said), "/desk/clearing/adjustments", grave=False, amount=amount))
        return found

    # --- looking --------------------------------------------------------------------------------------------

    async def _month(self, visit: Visit) -> Response:
        first = asked_month(visit) or day_of(self._clock()).replace(day=1)
        sheets = await self._desk.sheets(first, next_month(first) - timedelta(1))
        others = await self._others() if self._others is not None else EMPTY
        return visit.shown(
            "money/clearing.html", "Clearing", month=month_of(first, sheets, others), tone=tone,
            earlier=(first - timedelta(1)).replace(day=1), later=next_month(first),
            adjustments=await self._desk.adjustments(),
        )  # fmt: skip

    async def _adjustments(self, visit: Visit) -> Response:
        return visit.shown(
            "money/adjustments.html", "Adjustments that wait for a second person",
            adjustments=await self._desk.adjustments(),
        )  # fmt: skip

    async def _day(self, visit: Visit) -> Response:
        day, company, state = asked_day(visit), asked(visit, "company"), asked(visit, "state")
        today = day_of(self._clock())
        first, last = (day, day) if day else (today - _LOOK_BACK, today)
        sheets = await self._desk.sheets(first, last, company)
        if state in set(SheetState):
            sheets = [one for one in sheets if one.state == state]
        return visit.shown("money/sheets.html", "Clearing sheets", sheets=sheets, tone=tone, day=day, company=company)

    async def _found(self, visit: Visit) -> SheetDetail:
        try:
            return await self._desk.sheet(id_of(visit))
        except NotCleared as error:
            raise HTTPException(404, NOT_THERE) from error

    async def _sheet(self, visit: Visit) -> Response:
        return self._shown(visit, await self._found(visit))

    def _shown(self, visit: Visit, found: SheetDetail, error: str = "", status: int = 409) -> Response:
        given = {field: visit.text(field) for field in ("amount", "day", "row", "against", "note")}
        sheet, roles, name = found.sheet, visit.session.roles, visit.session.name
        arriving = (SheetState.PAID_OUT, SheetState.SHORT)
        signed = sheet.state is SheetState.COMPUTED and among(name, sheet.signed_by)
        return visit.shown(
            "money/sheet.html", "Clearing sheet", status=status if error else 200, refused=error, found=found,
            sheet=sheet, tone=tone, today=day_of(self._clock()), against=AGAINST, given=given,
            approves=sheet.state is SheetState.COMPUTED and APPROVE in roles and not signed,
            signed=signed,
            pays=sheet.state is SheetState.APPROVED and SETTLE in roles,
            arrives=sheet.state in arriving and SETTLE in roles,
            adjusts=sheet.state in (SheetState.SHORT, SheetState.OVER),
        )  # fmt: skip

    async def _file(self, visit: Visit) -> Response:
        sheet = await self._found(visit)
        name, content = await self._desk.file(sheet.sheet.id)
        await self._act("clearing-downloaded", visit.session.name, sheet=sheet.sheet.id)
        return download(content, name, "text/csv; charset=utf-8")

    # --- deciding -------------------------------------------------------------------------------------------

    async def _approve(self, visit: Visit) -> Response:
        return await self._done(visit, lambda id, who: self._desk.approve(id, who))

    async def _paid_out(self, visit: Visit) -> Response:
        return await self._done(visit, lambda id, who: self._desk.paid_out(id, who))

    async def _arrived(self, visit: Visit) -> Response:
        found = await self._found(visit)
        try:
            amount, day, row = _fen(visit), _day(visit), _row(visit)
        except Mistyped as error:
            return self._shown(visit, found, str(error), 422)
        return await self._done(visit, lambda id, who: self._desk.arrived(id, amount, row, day, who))

    async def _adjust(self, visit: Visit) -> Response:
        found, against = await self._found(visit), visit.text("against")
        if against not in AGAINST:
            raise NotDone(NOT_THERE, 404)
        try:
            note = _note(visit)
        except Mistyped as error:
            return self._shown(visit, found, str(error), 422)
        second = APPROVE in visit.session.roles
        return await self._done(visit, lambda id, who: self._desk.adjust(id, against, note, who, second=second))

    async def _done(self, visit: Visit, do: Doing) -> Response:
        found = await self._found(visit)
        try:
            await do(found.sheet.id, visit.session.name)
        except NotCleared as error:
            return self._shown(visit, await self._found(visit), str(error))
        return see(f"/desk/clearing/sheets/{found.sheet.id}")

    async def _owe(self, visit: Visit) -> Response:
        """What a company is owed besides its rows, or owes: two people say just the same."""
        said, refused, status = "", "", 200
        given = {name: visit.text(name) for name in ("company", "channel", "amount", "note")}
        if visit.request.method == "POST":
            if given["company"] not in set(self._companies()):
                raise NotDone(NOT_THERE, 404)
            try:
                made = await self._desk.owe(
                    given["company"],
                    given["channel"],
                    _fen(visit),
                    _note(visit),
                    visit.session.name,
                    second=APPROVE in visit.session.roles,
                )
                said = "It waits for a second person, who confirms it, or writes just the same."
                if len(made.said_by) > 1:
                    said = "Two people have said it: it is in the company's next sheet."
                given |= {"amount": "", "note": ""}  # it is said: nobody says it twice by mistake
            except Mistyped as error:
                refused, status = str(error), 422
            except NotCleared as error:
                refused, status = str(error), 409
        return visit.shown(
            "money/owe.html", "Owed besides", status=status, companies=sorted(self._companies()),
            given=given, said=said, refused=refused, adjustments=await self._desk.adjustments(),
        )  # fmt: skip


class Mistyped(Exception):
    """A field that is not as it has to be; says which, and how it is written."""


def _fen(visit: Visit) -> int:
    try:
        return money.fen(visit.text("amount"), thousands=True)
    except money.AmountRefused as error:
        raise Mistyped(NO_AMOUNT) from error


def _day(visit: Visit) -> date:
    try:
        return date.fromisoformat(visit.text("day"))
    except ValueError as error:
        raise Mistyped(NO_DAY) from error


def _row(visit: Visit) -> str:
    row = visit.text("row")
    if not 1 <= len(row) <= 64 or not row.isascii() or not row.isprintable() or " " in row:
        raise Mistyped(NO_ROW)
    return row


def _note(visit: Visit) -> str:
    note = visit.text("note")
    if not 1 <= len(note) <= MOST_NOTE:
        raise Mistyped(NO_NOTE)
    return note

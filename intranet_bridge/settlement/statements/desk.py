"""Statements for people: what came and what did not, runs, items with both values, and what people say of them.

::

    books = StatementBooks(...)
    await books.files(day)                     the day's files, those that have not come too
    await books.runs(day=day)                  what they came to
    await books.items(run=id, states=[...])    a page of differences
    await books.item(id)                       one, with its commands and what was said of it
    await books.resolve(id, who, note)         and approve, accept, refuse, rerun, confirm_empty

Every change is an act of the audit.
"""

import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, select

from intranet_bridge.settlement.days import day_of as today_of
from intranet_bridge.settlement.money import rounded
from intranet_bridge.settlement.rows import FILES
from intranet_bridge.settlement.statements import run_records as records
from intranet_bridge.settlement.statements.items import (
    MOST_NOTE,
    TWO_PEOPLE_ABOVE,
    ItemState,
    NotResolved,
    Resolution,
    resolve,
)
from intranet_bridge.settlement.statements.life import Difference, FileState, by_the_clock
from intranet_bridge.settlement.statements.records import NoSuchFile, Statements, counts
from intranet_bridge.settlement.statements.run_records import NotRun, RunState
from intranet_bridge.settlement.statements.run_rows import ACTIONS, ITEMS, RESOLUTIONS, RUNS
from intranet_bridge.settlement.statements.sources import Source
from intranet_bridge.settlement.statements.verdicts import Finding
from intranet_bridge.settlement_sections.statements import StatementsSection
from protocol.errors import BridgeError
from protocol.runtime.audit import Transact
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.store import Store, Work
from protocol.times import CHINA
from protocol.values import immutable

_F, _R, _I = FILES.c, RUNS.c, ITEMS.c
_Came = tuple[str, str, str]
"""Kind, name and merchant of a file that is there."""
MOST = 1_000
"""Of one page."""
_LOOK_BACK = timedelta(14)
"""So long a statement that is missing is spoken of."""
_STANDS = (FileState.ACCEPTED, FileState.MATCHED, FileState.CLOSED, FileState.EMPTY_CONFIRMED, FileState.CONFLICTING)


class NoSuchItem(BridgeError):
    """There is no item, or no run, of that id."""


@immutable
class StatementFile:
    """A file, or one that is waited for: then `id` is empty, and `source` names its branch too. Amounts are fen; times
    epoch ms.
    """

    id: str
    source: str
    name: str
    channel: str
    company: str
    day: date
    state: FileState
    code: str = ""
    findings: tuple[Finding, ...] = ()
    rows: int = 0
    paid: int = 0
    refunded: int = 0
    settled: int = 0
    fee: int = 0
    """Rounded once."""
    who: str = ""
    received_at: int = 0
    due_at: int = 0


@immutable
class StatementRun:
    """A comparison. `counts`: items and fen by class."""

    id: str
    file: str
    source: str
    channel: str
    day: date
    state: RunState
    code: str
    detail: str
    rows: int
    write_offs: int
    counts: Mapping[str, tuple[int, int]]
    actions: int
    amount: int
    who: str
    attempts: int
    created_at: int
    updated_at: int
    approvals: tuple[Resolution, ...] = ()


@immutable
class ItemAction:
    """A command given for an item; `id` is its request's."""

    id: str
    operation: str
    line: int
    amount: int
    state: str
    code: str
    asked_at: int
    ended_at: int


@immutable
class StatementItem:
    """A difference. `platform` and `books` are the two values of `field`: fen, or text."""

    id: str
    run: str
    source: str
    channel: str
    day: date
    what: str
    action: str
    state: ItemState
    kind: str
    transaction: str
    order: str
    refunds: tuple[str, ...]
    lines: tuple[int, ...]
    amount: int
    field: str
    platform: int | str | None
    books: int | str | None
    paid_at: str
    why: str
    code: str
    created_at: int
    updated_at: int
    resolutions: tuple[Resolution, ...] = ()
    actions: tuple[ItemAction, ...] = ()

    @property
    def people(self) -> int:
        """How many it takes to resolve it."""
        return 2 if self.amount > TWO_PEOPLE_ABOVE else 1


class StatementBooks:
    """Of one bridge."""

    def __init__(
        self, *, section: StatementsSection, sources: Mapping[str, Source], store: Store, statements: Statements,
        transact: Transact, clock: Clock, changed: Callable[[], None],
    ) -> None:  # fmt: skip
        """`changed`: told when there is something to be worked on."""
        self._section, self._sources, self._store, self._statements = section, sources, store, statements
        self._transact, self._clock, self._changed = transact, clock, changed

    # Reading

    @property
    def channels(self) -> tuple[str, ...]:
        """Whose statements are expected, by their codes."""
        return tuple(sorted({one.profile.channel for one in self._sources.values()}))

    async def files(self, day: date) -> list[StatementFile]:
        """A day's files, the latest last, and of each kind that has none what is waited for."""
        asked = select(FILES).where(_F.day == day).order_by(_F.received_at, _F.id)

        def look(connection: Connection) -> tuple[list[Row[Any]], dict[str, date]]:
            return list(connection.execute(asked)), records.expected(connection)

        rows, since = await self._store.scan(look)
        came = [self._file(row) for row in rows]
        stand = [(row.profile, row.name, row.merchant) for row in rows if row.state in _STANDS]
        return came + self._absent(day, since, stand)

    async def file(self, id: str) -> StatementFile:
        """One. Raises NoSuchFile."""
        asked = select(FILES).where(_F.id == id)
        row = await self._store.read(lambda connection: connection.execute(asked).first())
        if row is None:
            raise NoSuchFile(f"there is no file {id}")
        return self._file(row)

    async def absent(self) -> list[StatementFile]:
        """What is late or missing, of the last two weeks, the oldest first."""
        today = today_of(self._clock())
        days = [today - timedelta(back) for back in range(_LOOK_BACK.days, 0, -1)]
        asked = select(_F.day, _F.profile, _F.name, _F.merchant).where(_F.day >= days[0], _F.state.in_(_STANDS))

        def look(connection: Connection) -> tuple[dict[date, list[_Came]], dict[str, date]]:
            came: dict[date, list[_Came]] = {}
            for row in connection.execute(asked):
                came.setdefault(row.day, []).append((row.profile, row.name, row.merchant))
            return came, records.expected(connection)

        came, since = await self._store.scan(look)
        found = []
        for day in days:
            found += self._absent(day, since, came.get(day, ()))
        return [one for one in found if one.state is not FileState.EXPECTED]

    async def waiting_files(self) -> list[StatementFile]:
        """Those that an operator is to decide of, and those of the last two weeks that were refused or are cut off."""
        states = (FileState.CONFLICTING, FileState.REFUSED, FileState.INCOMPLETE)
        since = today_of(self._clock()) - _LOOK_BACK
        asked = select(FILES).where(_F.state.in_(states), _F.day >= since).order_by(_F.received_at)
        stands = select(_F.name).where(_F.day >= since, _F.state.in_(_STANDS)).distinct()

        def look(connection: Connection) -> tuple[list[Row[Any]], set[str]]:
            return list(connection.execute(asked)), set(connection.execute(stands).scalars())

        rows, came = await self._store.scan(look)
        # One that came again and was accepted is nobody's trouble any more. By its name: of a day there may be several.
        return [
            self._file(row) for row in rows
            if row.state == FileState.CONFLICTING or row.name not in came
        ]  # fmt: skip

    async def difference(self, file: str) -> Difference:
        """What a file that waits has otherwise than the accepted one. Raises NoSuchFile."""
        return await self._statements.differing(file)

    async def runs(
        self, *, day: date | None = None, states: Collection[str] = (), file: str = "", limit: int = 100
    ) -> list[StatementRun]:
        """The latest, the oldest of them first."""
        asked = select(RUNS).order_by(_R.created_at.desc(), _R.id.desc()).limit(min(limit, MOST))
        if day is not None:
            asked = asked.where(_R.day == day)
        if states:
            asked = asked.where(_R.state.in_(tuple(states)))
        if file:
            asked = asked.where(_R.file == file)
        rows = await self._store.scan(lambda connection: list(connection.execute(asked)))
        return [run_of(row) for row in reversed(rows)]

    async def run(self, id: str) -> StatementRun:
        """One, with who has approved it so far. Raises NoSuchItem."""

        def look(connection: Connection) -> tuple[Row[Any], tuple[Resolution, ...]]:
            return _one(connection, RUNS, id), said_of(connection, id)

        row, said = await self._store.snapshot(look)
        return run_of(row, said)

    async def items(
        self, *, run: str = "", classes: Collection[str] = (), states: Collection[str] = (), day: date | None = None,
        channel: str = "", after: str = "", limit: int = 100,
    ) -> list[StatementItem]:  # fmt: skip
        """A page of items in the order in which they were found; the next page is `after` the last one's id."""
        asked = select(ITEMS).where(_I.id > after).order_by(_I.id).limit(min(limit, MOST))
        if run:
            asked = asked.where(_I.run == run)
        if classes:
            asked = asked.where(ITEMS.c["class"].in_(tuple(classes)))
        if states:
            asked = asked.where(_I.state.in_(tuple(states)))
        if day is not None:
            asked = asked.where(_I.day == day)
        if channel:
            asked = asked.where(_I.channel == channel)
        rows = await self._store.scan(lambda connection: list(connection.execute(asked)))
        return [item_of(row) for row in rows]

    async def item(self, id: str) -> StatementItem:
        """One, with its commands and what people have said of it. Raises NoSuchItem."""

        def look(connection: Connection) -> StatementItem:
            row = _one(connection, ITEMS, id)
            asked = select(ACTIONS).where(ACTIONS.c.item == id).order_by(ACTIONS.c.line)
            actions = tuple(
                ItemAction(one.id, one.operation, one.line, one.amount, one.state, one.code, one.asked_at, one.ended_at)
                for one in connection.execute(asked)
            )
            return item_of(row, said_of(connection, id), actions)

        return await self._store.snapshot(look)

    # What people decide

    async def resolve(self, item: str, who: str, note: str, *, second: bool = True) -> StatementItem:
        """Somebody has dealt with a held item, and says how. Above 1,000 yuan it takes a second person; `second`:
        whether this one may be. Raises NoSuchItem, NotResolved.
        """

        def write(connection: Connection) -> ItemState:
            row = _one(connection, ITEMS, item, lock=True)
            now = self._clock()
            said = Resolution(who, note.strip(), datetime.fromtimestamp(now / 1000, UTC))
            state, _ = resolve(ItemState(row.state), row.amount, said_of(connection, item), said, second=second)
            _say(connection, item, said, now)
            if state is not ItemState(row.state):
                state = records.moved(ItemState(row.state), state)
                connection.execute(ITEMS.update().where(_I.id == item).values(state=state, updated_at=now))
            return state

        await self._transact(write, "settle-resolve", who, lambda state: {"item": item, "state": state.value})
        reach(Point.BRIDGE_DESK_COMMITTED, item)
        return await self.item(item)

    async def approve(self, run: str, who: str, note: str) -> StatementRun:
        """A run past the brake may act. Above 1,000 yuan it takes a second person. Raises NoSuchItem, NotRun,
        NotResolved.
        """

        def write(connection: Connection) -> RunState:
            row = _one(connection, RUNS, run, lock=True)
            if row.state != RunState.NEEDS_APPROVAL:
                raise NotRun(f"a run that is {row.state} is not approved")
            now = self._clock()
            if not counts(connection, row.file):
                raise NotRun("its file counts no more: another took its place")
            said = Resolution(who, note.strip(), datetime.fromtimestamp(now / 1000, UTC))
            state, _ = resolve(ItemState.HELD, row.amount, said_of(connection, run), said)
            _say(connection, run, said, now)
            if state is ItemState.HELD:
                return RunState.NEEDS_APPROVAL
            values = {"state": RunState.ACTING, "due_at": now, "claimed_by": "", "updated_at": now}
            connection.execute(RUNS.update().where(_R.id == run).values(values))
            return RunState.ACTING

        await self._transact(write, "settle-approve", who, lambda state: {"run": run, "state": state.value})
        reach(Point.BRIDGE_DESK_COMMITTED, run)
        self._changed()
        return await self.run(run)

    async def accept(self, file: str, who: str, note: str = "") -> StatementFile:
        """A file that waits is taken in place of the accepted one. Raises NoSuchFile, NotInThisState."""
        said = {"file": file, "note": note[:MOST_NOTE]}
        replace = partial(self._statements.replace, file=file, who=who)
        await self._transact(replace, "settle-accept", who, lambda _: said)
        self._changed()
        return await self.file(file)

    async def refuse(self, file: str, who: str, note: str = "") -> StatementFile:
        """A file that waits is not taken. Raises NoSuchFile, NotInThisState."""
        said = {"file": file, "note": note[:MOST_NOTE]}
        await self._transact(partial(self._statements.refuse, file=file, who=who), "settle-refuse", who, lambda _: said)
        await self._statements.forget_lines(file)
        return await self.file(file)

    async def rerun(self, file: str, who: str) -> str:
        """Compare a file again; returns the run. What was done is not done again. Raises NotRun."""
        again: Work[str] = partial(records.run_again, file=file, who=who, now=self._clock())
        run = await self._transact(again, "settle-rerun", who, lambda run: {"file": file, "run": run})
        self._changed()
        return run

    async def confirm_empty(self, source: str, day: date, who: str, note: str) -> None:
        """A day without a statement had nothing. `source`: a kind, or `KIND:BRANCH`. Raises NotRun for one that has a
        file, or is not over.
        """
        name, _, branch = source.partition(":")
        kind = self._sources.get(name)
        if kind is None:
            raise NotRun(f"there is no kind of statement {name}")
        if source not in kind.expected:
            raise NotRun(f"of a day are expected: {', '.join(kind.expected)}")
        if not note.strip() or len(note) > MOST_NOTE:
            raise NotResolved(f"the note has 1 to {MOST_NOTE} characters")
        if day >= today_of(self._clock()):
            raise NotRun("the day is not over")
        now = self._clock()

        def write(connection: Connection) -> None:
            came = select(_F.name, _F.merchant).where(_F.day == day, _F.profile == name, _F.state.in_(_STANDS))
            if source not in kind.lacking((row.name, row.merchant) for row in connection.execute(came)):
                raise NotRun("there is a file of that day")
            row = {column.name: "" for column in FILES.columns} | {
                "id": records.new_id(now), "name": f"{source} {day}", "profile": name, "channel": kind.channel,
                "merchant": branch,
                "day": day, "state": FileState.EMPTY_CONFIRMED, "findings": "[]", "rows": 0, "paid": 0,
                "refunded": 0, "settled": 0, "fee": 0, "who": who, "received_at": now, "updated_at": now,
            }  # fmt: skip
            connection.execute(FILES.insert().values(row))

        said = {"source": source, "day": str(day), "note": note.strip()}
        await self._transact(write, "settle-empty", who, lambda _: said)

    # Within

    def _file(self, row: Row[Any]) -> StatementFile:
        source = self._sources.get(row.profile)
        return file_of(row, source.company if source else "")

    def _absent(self, day: date, since: Mapping[str, date], came: Collection[_Came]) -> list[StatementFile]:
        section, clock = self._section, datetime.fromtimestamp(self._clock() / 1000, CHINA)
        found = []
        for source in self._sources.values():
            there = [(name, merchant) for profile, name, merchant in came if profile == source.name]
            lacking = [name for name in source.lacking(there) if day >= since.get(name, date.max)]
            if not lacking or day >= clock.date():
                continue
            due = source.due_at(day)
            state = by_the_clock(
                FileState.EXPECTED, day, source.due, clock, timedelta(minutes=section.late_minutes),
                section.missing_time,
            )  # fmt: skip
            found += [
                StatementFile(
                    "", name, "", source.channel, source.company, day, state, due_at=int(due.timestamp() * 1000)
                )
                for name in lacking
            ]
        return found


def file_of(row: Row[Any], company: str = "") -> StatementFile:
    """A file as a row has it."""
    findings = tuple(Finding(**one) for one in json.loads(row.findings or "[]"))
    return StatementFile(
        row.id, row.profile, row.name, row.channel, company, row.day, FileState(row.state), row.code, findings,
        row.rows, row.paid, row.refunded, row.settled, rounded(row.fee), row.who, row.received_at,
    )  # fmt: skip


def run_of(row: Row[Any], approvals: tuple[Resolution, ...] = ()) -> StatementRun:
    """A run as a row has it."""
    counted = {name: (count, amount) for name, (count, amount) in json.loads(row.counts).items()}
    return StatementRun(
        row.id, row.file, row.source, row.channel, row.day, RunState(row.state), row.code, row.detail, row.rows,
        row.write_offs, counted, row.actions, row.amount, row.who, row.attempts, row.created_at, row.updated_at,
        approvals,
    )  # fmt: skip


def item_of(
    row: Row[Any], resolutions: tuple[Resolution, ...] = (), actions: tuple[ItemAction, ...] = ()
) -> StatementItem:
    """An item as a row has it."""
    return StatementItem(
        row.id, row.run, row.source, row.channel, row.day, row._mapping["class"], row.action, ItemState(row.state),
        row.kind, row.transaction_no, row.order_no, tuple(json.loads(row.refunds)), tuple(json.loads(row.lines)),
        row.amount, row.field, json.loads(row.platform), json.loads(row.books), row.paid_at, row.why, row.code,
        row.created_at, row.updated_at, resolutions, actions,
    )  # fmt: skip


def said_of(connection: Connection, subject: str) -> tuple[Resolution, ...]:
    """What people have said of an item, or a run, the first first."""
    asked = select(RESOLUTIONS).where(RESOLUTIONS.c.subject == subject).order_by(RESOLUTIONS.c.at, RESOLUTIONS.c.who)
    return tuple(
        Resolution(row.who, row.note, datetime.fromtimestamp(row.at / 1000, UTC)) for row in connection.execute(asked)
    )


def _say(connection: Connection, subject: str, said: Resolution, now: int) -> None:
    connection.execute(RESOLUTIONS.insert().values(subject=subject, who=said.who, note=said.note, at=now))


def _one(connection: Connection, table: Any, id: str, lock: bool = False) -> Row[Any]:
    asked = select(table).where(table.c.id == id)
    row = connection.execute(asked.with_for_update() if lock else asked).first()
    if row is None:
        raise NoSuchItem(f"there is no {'run' if table is RUNS else 'item'} {id}")
    found: Row[Any] = row
    return found

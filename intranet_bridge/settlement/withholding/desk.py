"""What people see of withholding, and what they decide: `bridgectl withholding`, and the accountant's pages.

Whoever asks is named by the caller, who has checked it; each decision is written into the audit.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, func, select, text

from intranet_bridge.settlement import ledger
from intranet_bridge.settlement.days import day_of
from intranet_bridge.settlement.events import Surplus, posting
from intranet_bridge.settlement.statements.items import ItemState, NotResolved, Resolution, resolve
from intranet_bridge.settlement.withholding import holds, records
from intranet_bridge.settlement.withholding.extra import Extra, Foreseen, foresee, gather
from intranet_bridge.settlement.withholding.life import RELEASABLE, BatchState, LineState, releasable
from intranet_bridge.settlement.withholding.records import Arrangement, B, L
from intranet_bridge.settlement.withholding.rows import ANSWERS, BATCHES, CODED, LINES, OPEN, RETRIES
from intranet_bridge.settlement.withholding.sealing import Sealing
from protocol.errors import BridgeError
from protocol.runtime.audit import Act, Transact
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.store import Store
from protocol.values import immutable

MOST_LINES = 1_000
"""Of one page."""
CHANGED = "what waits is something else by now: look at it again"


@immutable
class StateSum:
    """Lines of a batch in one state. Fen."""

    state: str
    lines: int
    asked: int
    charged: int


@immutable
class BatchView:
    """A batch, in figures. Times are epoch ms, 0: not yet."""

    id: str
    name: str
    """Of its arrangement."""
    org: str
    unit: str
    day: date
    bank: str
    state: str
    file_name: str
    sha256: str
    size: int
    lines: int
    total: int
    """Fen that the bank is asked for; of a drafted one as it is now."""
    created_at: int
    sealed_at: int
    sent_at: int
    answered_at: int
    closed_at: int
    findings: Sequence[Mapping[str, str]]
    """Why it cannot be sealed: line, column, what."""
    states: tuple[StateSum, ...]


@immutable
class AnswerView:
    """A file that came as an answer."""

    file: str
    name: str
    state: str
    code: str
    filled: int
    """Lines that it said something new of."""
    received_at: int
    findings: Sequence[Mapping[str, Any]]
    """line, column, what, expected, found. It may hold what a customer has: shown, and never logged."""


@immutable
class LineView:
    """A line. Its bank account is not shown."""

    id: str
    det_id: str
    batch: str
    batch_state: str
    state: str
    account: str
    bill: str
    month: str
    amount: int
    penalty: int
    debited: int
    paid_on: date | None
    bank_number: str
    payment: str
    """The marketing system's number of the write-off."""
    code: str
    reason: str
    """The bank's words."""
    hold: str
    """On the bill: asked, held, releasing, released, or empty."""
    tries: int
    retry_on: date | None
    retried_as: str
    said: Sequence[Mapping[str, Any]]
    """Who said what of it: who, note, at, owed; `over`: the line was released by it."""
    updated_at: int


_LINE_VIEWS = (
    select(LINES, B.state.label("batch_state"), RETRIES.c.due, RETRIES.c.next)
    .join(BATCHES, B.id == L.batch)
    .outerjoin(RETRIES, (RETRIES.c.line == L.id) & (RETRIES.c.state != "withdrawn"))
)


class WithholdingDesk:
    """For people."""

    def __init__(
        self, arrangements: Mapping[str, Arrangement], *, store: Store, sealing: Sealing,
        commands: Any, act: Act, transact: Transact, clock: Clock, hurry: Callable[[], None],
    ) -> None:  # fmt: skip
        """`commands()`: the way of internal commands. `hurry`: told that something is about to be due."""
        self._hurry = hurry
        self._arrangements, self._store, self._sealing = arrangements, store, sealing
        self._commands, self._act, self._transact, self._clock = commands, act, transact, clock

    @property
    def names(self) -> Sequence[str]:
        """Of the arrangements."""
        return tuple(self._arrangements)

    # --- seeing ---------------------------------------------------------------------------------------------

    async def batches(self, month: date, name: str = "") -> list[BatchView]:
        """The batches of a month (any day of it), the oldest first."""
        first = month.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
        wanted = select(BATCHES).where(B.day >= first, B.day < after).order_by(B.day, B.id)
        if name:
            wanted = wanted.where(B.name == name)

        def read(connection: Connection) -> list[BatchView]:
            return [_batch(connection, row) for row in connection.execute(wanted).all()]

        return await self._store.scan(read)

    async def batch(self, id: str) -> tuple[BatchView, list[AnswerView]]:
        """One, and the answers that came to it. Raises BridgeError if there is none."""

        def read(connection: Connection) -> tuple[BatchView, list[AnswerView]] | None:
            row = records.batch_of(connection, id)
            if row is None:
                return None
            came = select(ANSWERS).where(ANSWERS.c.batch == id).order_by(ANSWERS.c.received_at, ANSWERS.c.file)
            return _batch(connection, row), [_answer(one) for one in connection.execute(came)]

        found = await self._store.scan(read)
        if found is None:
            raise BridgeError(f"there is no batch {id}")
        return found

    async def refused_answers(self, after: int = 0, limit: int = 100) -> list[AnswerView]:
        """Files that came as answers and have no effect, since then, the latest first."""
        wanted = select(ANSWERS).where(ANSWERS.c.state == "refused", ANSWERS.c.received_at > after)
        wanted = wanted.order_by(ANSWERS.c.received_at.desc()).limit(limit)
        return await self._store.read(lambda connection: [_answer(one) for one in connection.execute(wanted)])

    async def lines(
        self, batch: str = "", states: Sequence[str] = (), after: str = "", limit: int = 100
    ) -> list[LineView]:
        """A page of lines, by their id, after one. `batch` empty: of all batches."""
        wanted = _LINE_VIEWS.where(L.id > after).order_by(L.id).limit(min(limit, MOST_LINES))
        if batch:
            wanted = wanted.where(L.batch == batch)
        if states:
            wanted = wanted.where(L.state.in_(sorted(states)))
        return await self._store.read(lambda connection: [_line(row) for row in connection.execute(wanted)])

    async def line(self, id: str) -> LineView | None:
        """One; None: there is none."""
        row = await self._store.read(partial(_viewed, id=id))
        return _line(row) if row is not None else None

    async def content(self, batch: str) -> tuple[str, bytes]:
        """The name and the bytes of a sealed batch's file. Raises BridgeError."""
        view, _ = await self.batch(batch)
        return view.file_name, await self._sealing.content(batch)

    # --- deciding -------------------------------------------------------------------------------------------

    async def resend(self, batch: str, who: str) -> str:
        """Hand a batch's bytes over again, the same as ever; the file's id. Raises BridgeError."""
        row = await self._store.read(partial(records.batch_of, id=batch))
        if row is None:
            raise BridgeError(f"there is no batch {batch}")
        arrangement = self._arrangements.get(row.name)
        if arrangement is None:
            raise BridgeError(f"settlement.withholding has no {row.name} any more")
        file = await self._sealing.resend(arrangement, row)
        await self._act("withholding-resend", who, batch=batch, sha256=row.sha256)
        return file

    async def foreseen(self, name: str) -> Foreseen:
        """What an extra batch of today would be now. Raises BridgeError: there is no such arrangement."""
        arrangement = self._arrangement(name)
        return await self._store.scan(partial(foresee, arrangement=arrangement, now=self._clock()))

    async def seal(self, name: str, who: str, note: str = "", seen: str = "") -> Extra:
        """Have what waits in an arrangement sealed and sent today, outside its days. `seen`: what somebody saw that it
        would be (`Foreseen.seen`); it is not done if it is something else by now. Raises BridgeError that says why not.
        """
        arrangement, now = self._arrangement(name), self._clock()

        def work(connection: Connection) -> Extra:
            if seen and foresee(connection, arrangement, now).seen != seen:
                raise BridgeError(CHANGED)
            return gather(connection, arrangement, now)

        made = await self._transact(
            work, "withholding-seal", who,
            lambda made: {"batch": made.batch, "lines": made.lines, "moved": made.moved, "note": note},
        )  # fmt: skip
        reach(Point.BRIDGE_DESK_COMMITTED, made.batch)
        self._hurry()
        return made

    def _arrangement(self, name: str) -> Arrangement:
        """Raises BridgeError."""
        found = self._arrangements.get(name)
        if found is None:
            known = ", ".join(self._arrangements) or "none"
            raise BridgeError(f"settlement.withholding has no {name}: there is {known}")
        return found

    async def release(self, line: str, who: str, note: str, *, owed: bool = False, second: bool = True) -> LineView:
        """Take a waiting line out, or settle one that is held, unanswered or overdue: its bill is free again, and no
        more is done. `owed`: what was charged is owed to the payer, and booked so. Above 1,000 yuan it takes two
        people: until the second one it stays as it is; `second`: whether this one may be. Raises BridgeError that says
        why not.
        """
        row = await self._transact(
            partial(self._release, id=line, who=who, note=note, owed=owed, second=second), "withholding-release", who,
            lambda row: {"line": line, "state": row.state, "owed": owed},
        )  # fmt: skip
        reach(Point.BRIDGE_DESK_COMMITTED, line)
        self._commands().begin()
        return _line(row)

    def _release(self, connection: Connection, id: str, who: str, note: str, owed: bool, second: bool) -> Any:
        row, now = records.line_of(connection, id, lock=True), self._clock()
        if row is None:
            raise BridgeError(f"there is no line {id}")
        batch = records.batch_of(connection, row.batch)
        if not releasable(LineState(row.state), BatchState(batch.state)):
            raise BridgeError(f"{id} is {row.state}: it is settled, or the bank or the write-off is waited for")
        if owed and not row.debited:
            raise BridgeError(f"{id}: nothing was charged that could be owed")
        waiting = row.state == LineState.WAITING
        amount = 0 if waiting else row.debited or row.amount + row.penalty
        over = [one for one in _loaded(row.said) if one.get("over")]
        before = [one for one in _loaded(row.said) if not one.get("over")]
        if any(bool(one["owed"]) != owed for one in before):
            raise BridgeError(f"{id}: the first person said {'owed' if not owed else 'not owed'}, and both must agree")
        said = tuple(Resolution(one["who"], one["note"], datetime.fromisoformat(one["at"])) for one in before)
        new = Resolution(who, note, datetime.fromtimestamp(now / 1000, UTC))
        try:
            state, said = resolve(ItemState.HELD, amount, said, new, second=second)
        except NotResolved as error:
            raise BridgeError(str(error)) from None
        ends = state is ItemState.RESOLVED
        now_said = [
            {"who": one.who, "note": one.note, "at": one.at.isoformat(), "owed": owed, "over": ends} for one in said
        ]
        words = json.dumps(over + now_said, ensure_ascii=False)
        connection.execute(LINES.update().where(L.id == id).values(said=words, updated_at=now))
        if ends:
            self._ended(connection, row, now, owed)
        return _viewed(connection, id)

    def _ended(self, connection: Connection, row: Any, now: int, owed: bool) -> None:
        if row.state == LineState.WAITING:
            done = records.leave(connection, row, LineState.WITHDRAWN, now)
        else:
            done = records.move(connection, row.id, LineState.RELEASED, now)
        if not done:
            raise BridgeError(f"{row.id}: it has just become something else")
        arrangement = self._arrangements.get(records.batch_of(connection, row.batch).name)
        if arrangement is not None:
            holds.end(connection, self._commands(), arrangement, row, now)
        if owed:
            channel = arrangement.section.channel if arrangement else "withholding"
            event = Surplus(channel, row.id, row.debited)
            day = ledger.open_day(connection, row.paid_on or day_of(now))
            ledger.book(connection, posting(event, day), now)


def _batch(connection: Connection, row: Any) -> BatchView:
    counted = records.states(connection, row.id)
    states = tuple(StateSum(state, *counted[state]) for state in LineState if state in counted)
    waiting = counted.get(LineState.WAITING, (0, 0, 0))
    lines, total = (row.count, row.total) if row.sealed_at else waiting[:2]
    return BatchView(
        row.id, row.name, row.org, row.unit, row.day, row.bank, row.state, row.file_name, row.sha256, row.size,
        lines, total, row.created_at, row.sealed_at, row.sent_at, row.answered_at, row.closed_at,
        _loaded(row.findings), states,
    )  # fmt: skip


def _answer(row: Any) -> AnswerView:
    return AnswerView(row.file, row.name, row.state, row.code, row.filled, row.received_at, _loaded(row.findings))


def _viewed(connection: Connection, id: str) -> Any:
    return connection.execute(_LINE_VIEWS.where(L.id == id)).first()


def _line(row: Any) -> LineView:
    return LineView(
        row.id, row.det_id, row.batch, row.batch_state, row.state, row.account, row.bill, row.month, row.amount,
        row.penalty, row.debited, row.paid_on, row.bank_number, row.payment, row.code, row.reason, row.hold, row.tries,
        row.due, row.next or "", _loaded(row.said), row.updated_at,
    )  # fmt: skip


def _loaded(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)
    return found


def counted_held(connection: Connection) -> dict[str, tuple[int, int]]:
    """Lines that a person has to look at, by state: how many, and what was charged of them in fen."""
    counted = select(L.state, func.count(), func.coalesce(func.sum(L.debited), 0)).group_by(L.state)
    counted = counted.where(L.state.in_(sorted(RELEASABLE)))
    found: dict[str, tuple[int, int]] = {}
    # what was released and charged all the same, and has a code then, may not be open (answering.py)
    for wanted in (counted.where(text(OPEN)), counted.where(text(CODED), L.ended_at.is_not(None))):
        for state, lines, charged in connection.execute(wanted):
            before = found.get(state, (0, 0))
            found[state] = before[0] + lines, before[1] + int(charged)
    return found

"""The front's record of notices: written down once, then delivered, or asked for, and forgotten after a while."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from typing import Any

from sqlalchemy import Connection, bindparam, case, false, func, or_, select

from dmz_front.ledger.rows import REQUESTS
from dmz_front.notices.rows import CALLBACKS, NOTICES, PLACES
from protocol.lifecycle import FINAL, State
from protocol.messages import fitted
from protocol.notices import Dispatch
from protocol.reports.daemon import NoticesReport
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.store import Store
from protocol.runtime.store_statements import insert_new
from protocol.values import immutable

OUTCOME = "command-outcome"
"""The kind of a row that tells what became of a command."""
WAITING, DELIVERED, DEAD, KEPT = "waiting", "delivered", "dead", "kept"
_C = NOTICES.c
_DELIVERED = (
    NOTICES.update()
    .where(_C.id == bindparam("of"))
    .values(state=DELIVERED, attempts=_C.attempts + 1, updated_at=bindparam("now"), fault="")
)
_FAILED = (
    NOTICES.update()
    .where(_C.id == bindparam("of"), _C.state == WAITING)
    .values(
        state=bindparam("to"), attempts=_C.attempts + 1, next_at=bindparam("next"), updated_at=bindparam("now"),
        fault=bindparam("why"),
    )
)  # fmt: skip


@immutable
class Arrived:
    """A notice as it came, opened and still sealed."""

    id: str
    dispatch: Dispatch
    envelope: bytes = field(repr=False)


@immutable
class Due:
    """A row that is to be delivered."""

    id: str
    kind: str
    envelope: bytes = field(repr=False)
    attempts: int
    since: int


class NoticeLedger:
    """The `notices` table, and one front's rows in it."""

    def __init__(self, store: Store, front: str, callback_of: Callable[[str], str], clock: Clock) -> None:
        """`callback_of(application)`: the callback its notices go to; empty: none."""
        self._store, self._front, self._callback_of, self._clock = store, front, callback_of, clock

    # --- coming in ------------------------------------------------------------------------------------------

    async def record(self, arrived: Sequence[Arrived]) -> None:
        """Write down those that are not there yet."""
        await self._store.gather(self._record, arrived)

    def _record(self, connection: Connection, arrived: Sequence[Arrived]) -> Sequence[None]:
        now = self._clock()
        ids = [one.id for one in arrived]
        known = set(connection.execute(select(_C.id).where(_C.id.in_(ids))).scalars())
        new = {one.id: one for one in arrived if one.id not in known}
        by_application: dict[str, list[Arrived]] = {}
        for one in new.values():
            by_application.setdefault(one.dispatch.application, []).append(one)
        rows = []
        for application, ones in sorted(by_application.items()):
            last, callback = _places(connection, application, len(ones), now), self._callback_of(application)
            rows += [
                {
                    "id": one.id, "application": application, "place": last - len(ones) + at,
                    "stream": one.dispatch.stream, "sequence": one.dispatch.sequence, "kind": one.dispatch.kind,
                    "envelope": one.envelope, "recorded_at": now, "front": self._front, "callback": callback,
                    "state": WAITING if callback else KEPT, "attempts": 0, "since": now, "next_at": now,
                    "updated_at": now, "fault": "",
                }
                for at, one in enumerate(ones, 1)
            ]  # fmt: skip
        if rows:
            insert_new(connection, NOTICES, sorted(rows, key=lambda row: str(row["id"])))
        reach(Point.FRONT_NOTICE_UNCOMMITTED)
        return [None] * len(arrived)

    def outcomes_in(self, connection: Connection, changes: Sequence[Mapping[str, Any]]) -> None:
        """In the transaction that writes outcomes down: the callbacks that were named for them."""
        ids = sorted({change["of"] for change in changes})
        named = connection.execute(
            select(CALLBACKS.c.request, CALLBACKS.c.callback, REQUESTS.c.application, REQUESTS.c.front)
            .join(REQUESTS, REQUESTS.c.id == CALLBACKS.c.request)
            .where(CALLBACKS.c.request.in_(ids))
        ).all()
        if not named:
            return
        now, rows, done = self._clock(), [], []
        for request, callback, application, front in named:
            for change in changes:
                if change["of"] != request:
                    continue
                final = change["to"] in FINAL
                rows.append(
                    {
                        "id": f"{request}-{change['to']}", "application": application, "place": None,
                        "stream": request.replace("-", "")[-22:], "sequence": 2 if final else 1, "kind": OUTCOME,
                        "envelope": change["sealed"], "recorded_at": now, "front": front, "callback": callback,
                        "state": WAITING, "attempts": 0, "since": now, "next_at": now, "updated_at": now, "fault": "",
                    }
                )  # fmt: skip
                if final:
                    done.append(request)
        insert_new(connection, NOTICES, rows)
        if done:
            connection.execute(CALLBACKS.delete().where(CALLBACKS.c.request.in_(done)))

    # --- going out ------------------------------------------------------------------------------------------

    async def due(self, callback: str, application: str, in_hand: Collection[str], limit: int) -> list[Due]:
        """The oldest that may be delivered now, of each stream the first that waits, without those in hand.
        `application`: whose callback it is now; what waits there for another, whose it was, is not for it to read.
        """
        before = NOTICES.alias("before").c
        overtakes = select(before.id).where(
            before.application == _C.application, before.stream == _C.stream, before.sequence < _C.sequence,
            before.state == WAITING, before.callback == _C.callback,
        )  # fmt: skip
        mine = (
            _C.front == self._front, _C.callback == callback, _C.application == application, _C.state == WAITING,
        )  # fmt: skip
        # one that was never tried is due whatever the clock says: it may have been put back since
        due = or_(_C.next_at <= self._clock(), _C.attempts == 0)
        statement = (
            select(_C.id, _C.kind, _C.envelope, _C.attempts, _C.since)
            .where(*mine, due, _C.id.not_in(list(in_hand)), ~overtakes.exists())
            .order_by(_C.next_at, _C.id)
            .limit(limit)
        )
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        return [Due(row.id, row.kind, bytes(row.envelope), row.attempts, row.since) for row in rows]

    async def delivered(self, id: str) -> None:
        """The application has it."""
        change = {"of": id, "now": self._clock()}
        await self._store.execute(_DELIVERED, change, point=Point.FRONT_DELIVERED_UNCOMMITTED)

    async def failed(self, id: str, next_at: int | None, fault: str) -> None:
        """It has not; None: it is not tried any more."""
        now = self._clock()
        change = {"of": id, "to": DEAD if next_at is None else WAITING, "next": next_at or now, "now": now}
        await self._store.execute(_FAILED, change | {"why": fitted(fault, 200)})

    def adopt(self, connection: Connection, fronts: Sequence[str]) -> int:
        """Deliver what dead fronts did not."""
        theirs = NOTICES.update().where(_C.front.in_(fronts), _C.state.in_([WAITING, DEAD]))
        return connection.execute(theirs.values(front=self._front)).rowcount

    # --- asked for ------------------------------------------------------------------------------------------

    async def page(self, application: str, after: int, limit: int) -> list[tuple[int, str, bytes]]:
        """Place, id and envelope of an application's notices after a place."""
        statement = (
            select(_C.place, _C.id, _C.envelope)
            .where(_C.application == application, _C.place > after)
            .order_by(_C.place)
            .limit(limit)
        )
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        return [(row.place, row.id, bytes(row.envelope)) for row in rows]

    # --- administration -------------------------------------------------------------------------------------

    async def listed(self, states: Sequence[str], application: str, limit: int) -> list[Any]:
        """Rows in some states, the oldest first."""
        columns = [column for column in _C if column.name != "envelope"]
        statement = select(*columns).where(_C.state.in_(states)).order_by(_C.recorded_at, _C.id).limit(limit)
        if application:
            statement = statement.where(_C.application == application)
        return await self._store.read(lambda connection: list(connection.execute(statement)))

    async def one(self, id: str) -> Any | None:
        """A row."""
        statement = select(NOTICES).where(_C.id == id)
        return await self._store.read(lambda connection: connection.execute(statement).first())

    async def redeliver(self, ids: Sequence[str], application: str) -> int:
        """Try dead ones again as if they had just come: those named, or all of an application. Returns how many. Other
        than those that are dead are tried again only when they are named.
        """
        now = self._clock()
        chosen = _C.id.in_(ids) if ids else (_C.application == application) & (_C.state == DEAD)
        again = NOTICES.update().where(chosen, _C.callback != "", _C.state.in_([DEAD, DELIVERED, WAITING]))
        again = again.values(state=WAITING, since=now, next_at=now, updated_at=now, front=self._front)
        return await self._store.write(lambda connection: connection.execute(again).rowcount)

    async def give_up(self, before_ms: int, callbacks: Mapping[str, str]) -> None:
        """What waits since before then for a callback that is not configured any more is dead. `callbacks`: those that
        are, and whose.
        """
        there = [(_C.callback == name) & (_C.application == whose) for name, whose in sorted(callbacks.items())]
        lost = NOTICES.update().where(_C.state == WAITING, _C.since < before_ms, ~or_(false(), *there))
        lost = lost.values(state=DEAD, updated_at=self._clock(), fault="its callback is not configured any more")
        await self._store.write(lambda connection: connection.execute(lost).rowcount)

    async def forget(self, before_ms: int) -> None:
        """Delete what was recorded before then and waits for nobody, and named callbacks of commands that are gone."""
        gone = ~select(REQUESTS.c.id).where(REQUESTS.c.id == CALLBACKS.c.request).exists()

        def forget(connection: Connection) -> None:
            connection.execute(NOTICES.delete().where(_C.recorded_at < before_ms, _C.state != WAITING))
            connection.execute(CALLBACKS.delete().where(gone))

        await self._store.write(forget)

    async def report(self) -> tuple[NoticesReport, dict[tuple[str, str], int]]:
        """How many there are, and how many of each callback and state."""
        numbers = select(_C.callback, _C.state, func.count()).group_by(_C.callback, _C.state)
        oldest = select(func.min(_C.since)).where(_C.state == WAITING)
        rows, since = await self._store.read(
            lambda connection: (connection.execute(numbers).all(), connection.execute(oldest).scalar())
        )
        counts = {(row.callback, row.state): row[2] for row in rows}
        by_state = {state: sum(n for (_, of), n in counts.items() if of == state) for state in (WAITING, DEAD)}
        return NoticesReport(waiting=by_state[WAITING], dead=by_state[DEAD], oldest=since or 0), counts


def name_callback(connection: Connection, request: str, callback: str) -> None:
    """A command's outcome is to be told there; in the transaction that accepts it."""
    insert_new(connection, CALLBACKS, [{"request": request, "callback": callback}])


def state_of(id: str) -> State:
    """Of the id of an outcome's row."""
    return State(id.rpartition("-")[2])


def _places(connection: Connection, application: str, count: int, now: int) -> int:
    """Take places; returns the last of them. They begin with the time (`now`, epoch ms, and 16 bits), so that a
    database that is put back as an older copy of itself gives none that an application has passed already.
    """
    insert_new(connection, PLACES, [{"application": application, "last": 0}])
    last = case((PLACES.c.last < now << 16, now << 16), else_=PLACES.c.last) + count
    taken = PLACES.update().where(PLACES.c.application == application).values(last=last)
    return int(connection.execute(taken.returning(PLACES.c.last)).scalar_one())

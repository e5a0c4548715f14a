"""The front's record of commands: a row is committed before its caller hears 200 or 202.

The `requests` table (rows.py) over a command's life: accepted (acceptance.py), sent, told its outcome, its
sealed request dropped; answered, its sealed reply dropped; forgotten. What administrators see of it is in
administration.py.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, text

from dmz_front.ledger.acceptance import Proposed, Seal, accept, same_key
from dmz_front.ledger.due import due, oldest_waiting
from dmz_front.ledger.rows import COLUMNS, KEPT, OPEN, REQUESTS, Row, being_ended, row_of
from protocol.administration import ResendMatching
from protocol.envelope import MAX_AGE_MS
from protocol.lifecycle import FINAL, State, state_reported
from protocol.messages import LOWEST_VERSION, uuid7
from protocol.reports.daemon import CommandsReport
from protocol.runtime.audit import Audit
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.outbox import Entry
from protocol.runtime.store import BATCH, Store
from protocol.runtime.store_statements import alike
from protocol.runtime.tally import Tally
from protocol.values import immutable

log = logger(__name__)

SENT_LINGER_S = 1.0
"""So long a receipt of the broker waits to be written down with the command's outcome: one write instead of two; where
commands are sent again soon, a thirtieth of that time. Dies the front meanwhile, it sends once more what the broker
has, and the bridge knows it by its id.
"""
_SENT = (
    REQUESTS.update()
    .where(REQUESTS.c.id.in_(bindparam("ids", expanding=True)))
    .where(func.coalesce(REQUESTS.c.state, "").in_([State.ACCEPTED, State.SENT]))  # see _IS_FINAL
    .values(state=State.SENT, sent_at=bindparam("now"), updated_at=bindparam("now"), sends=REQUESTS.c.sends + 1)
)
_TOLD = (
    REQUESTS.update()
    .where(REQUESTS.c.id == bindparam("of"))
    .values(
        state=bindparam("to"),
        code=bindparam("because"),
        reply=bindparam("sealed"),
        updated_at=bindparam("now"),
        sent_at=func.coalesce(bindparam("receipted"), REQUESTS.c.sent_at),
        sends=REQUESTS.c.sends + bindparam("receipts"),
    )
)
VERSION_ALONE = func.substr(REQUESTS.c.envelope, 1, 1)
"""What is left of a sealed request when its outcome is known: its wire version, for `wire_version`."""
_FINISHED = _TOLD.values(envelope=VERSION_ALONE)
_ANSWERED = (
    REQUESTS.update()
    .where(REQUESTS.c.id == bindparam("of"), REQUESTS.c.answered_at.is_(None))
    .values(answered_at=bindparam("now"))
)

UNDELIVERED_MS = MAX_AGE_MS - 3_600_000
"""A command is sent for so long after its acceptance: up to an hour before its envelope is too old to be opened."""

UNDELIVERED = "undelivered"
"""Code of what is held because no bridge has confirmed it in that time."""
UNANSWERED = (State.ACCEPTED, State.SENT)
_OPEN = (*UNANSWERED, State.HELD)
"""The ledger's states that are not final."""


@immutable
class ReportedOutcome:
    """What a reply says of a command."""

    id: str
    state: State
    code: str
    sealed: bytes = field(repr=False)


def _not_paused(paused: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    if not paused:
        return ()
    before, own = REQUESTS.alias(), REQUESTS.c
    overtaken = (
        select(before.c.id)
        .where(before.c.subject == own.subject, before.c.position < own.position, before.c.operation.in_(paused))
        .where(before.c.subject != "", before.c.state.in_(UNANSWERED))
    )
    return own.operation.not_in(paused), ~overtaken.exists()


def _may_be_sent(front: str, now: int, paused: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    """A front's own rows, young enough, and not those that are being ended."""
    young = REQUESTS.c.accepted_at > now - UNDELIVERED_MS
    return (REQUESTS.c.front == front, young, *_not_paused(paused), ~being_ended(REQUESTS.c.id))


_IS_FINAL = func.coalesce(REQUESTS.c.state, "").in_(sorted(FINAL))
"""Not by the index of states, which SQLite would take before that of ids: nearly all rows are in it."""
_WALK = 2_000
"""Rows that are looked at in one go where there is no index."""


def _changed(statement: Any, connection: Connection, ids: Sequence[str]) -> Sequence[int]:
    """Which of these rows a statement changes that is about rows of REQUESTS: all at once."""
    done = connection.execute(statement.where(REQUESTS.c.id.in_(ids))).rowcount
    return [done, *[0] * (len(ids) - 1)]


def _write_sent(connection: Connection, receipts: Sequence[tuple[str, int]]) -> Sequence[None]:
    """Of commands, by id: when the broker's receipt came. All of one moment by one statement."""
    for now, ids in alike(receipts).items():
        connection.execute(_SENT, {"ids": ids, "now": now})
    reach(Point.FRONT_SENT_UNCOMMITTED)
    return [None] * len(receipts)


Claim = Callable[[Connection], None]
"""Takes what a new command needs for itself, in the transaction that accepts it."""


class Ledger:
    """The `requests` table."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        audit: Audit | None = None,
        ended: Callable[[str, str, str], None] | None = None,
        linger_s: float = 0.0,
    ) -> None:
        """`audit`: gets a record of what is accepted, in the same transaction. `ended`: is told operation, application
        and outcome of what became final, when that is on disk. `linger_s`: see SENT_LINGER_S.
        """
        self._audit, self._ended, self._linger_s = audit, ended, linger_s
        self._receipted: dict[str, int] = {}
        """When the broker's receipt came, of what is not written down yet to be sent."""
        self.told: Callable[[Connection, Sequence[Mapping[str, Any]]], None] | None = None
        """Told what outcomes were written, in their transaction: `of`, `to` and the sealed reply of each."""
        self._store = store
        self._clock = clock
        self.backlog = 0
        """Commands of this front that are not final, as it counts them itself."""
        self._answered: dict[str, int] = {}
        self._dropped = False
        self._final = Tally(self._count_final)

    async def count_backlog(self, front: str) -> None:
        """Count what this front accepted or adopted, held rows included, for they become final one day too.

        Done now and then: another front may have been told an outcome of ours, or adopted by us.
        """
        statement = select(func.count()).select_from(REQUESTS).where(REQUESTS.c.front == front, text(OPEN))
        before = self.backlog
        count = await self._store.scan(lambda connection: connection.execute(statement).scalar_one())
        self.backlog = max(0, count + self.backlog - before)

    async def wire_version(self) -> int:
        """Of the youngest envelope, whose first byte says it; the lowest there is if there is none."""
        statement = select(REQUESTS.c.envelope).order_by(REQUESTS.c.id.desc()).limit(1)  # ids begin with the time
        found = await self._store.read(lambda connection: connection.execute(statement).scalar())
        return int(found[0]) if found else LOWEST_VERSION

    async def fronts(self) -> list[str]:
        """Whose rows are not final."""

        def found(connection: Connection) -> list[str]:
            fronts = [""]
            first = select(REQUESTS.c.front).where(text(OPEN), REQUESTS.c.front > bindparam("last"))
            first = first.order_by(REQUESTS.c.front).limit(1)  # one look into the index for each
            while (front := connection.execute(first, {"last": fronts[-1]}).scalar()) is not None:
                fronts.append(front)
            return fronts[1:]

        return await self._store.read(found)

    def adopt(self, connection: Connection, fronts: Sequence[str], me: str) -> int:
        """Make ours what dead fronts accepted and is not final; returns how many rows."""
        theirs = REQUESTS.c.front.in_(fronts) & REQUESTS.c.state.in_(_OPEN)
        count = connection.execute(REQUESTS.update().where(theirs).values(front=me)).rowcount
        if count:
            log.warning("rows-adopted", count=count, of=fronts, front=me)
        return count

    @property
    def damaged(self) -> bool:
        """Its database is: rows may be missing from it."""
        return self._store.damaged

    async def accept(
        self, row: Row, seal: Seal | None = None, claim: Claim | None = None, *, patience_s: float | None = None
    ) -> Row:
        """Commit a new row and return it with its envelope, or the row that has its idempotency key already.

        Without `seal` the row has its envelope already. `seal` is told the row's predecessor: the unfinished row of
        the same subject accepted last, by whichever front of this database. So whoever heard of one acceptance
        before it asked for the next has them in order.

        `claim` is called in the same transaction before a new row is inserted; what it raises is raised here, and there
        is no row. Raises as `Store.gather`, Unwritten after `patience_s`.
        """
        if claim is None:
            (held,) = await self._store.gather(self._accept, [(row, seal)], patience_s=patience_s)
        else:
            claimed = partial(self._claimed, row=row, seal=seal, claim=claim)
            (held,) = await self._store.gather(
                lambda connection, _: [claimed(connection)], (None,), patience_s=patience_s
            )
        if held.id == row.id:  # not `is`: a commit that failed after it was done is done again, and finds its own row
            self.backlog += 1
        return held

    def _accept(self, connection: Connection, asked: Sequence[Proposed]) -> Sequence[Row]:
        return accept(connection, asked, self._audited)

    def _audited(self, connection: Connection, rows: Sequence[Row]) -> None:
        if self._audit is not None:
            self._audit.accepted_in(connection, [(row.id, row.operation, row.application) for row in rows])

    def _claimed(self, connection: Connection, row: Row, seal: Seal | None, claim: Claim) -> Row:
        known = connection.execute(same_key(row)).first()
        if known is not None:
            return row_of(known)
        with connection.begin_nested() as claiming:
            claim(connection)
            (held,) = self._accept(connection, [(row, seal)])
            if held.id != row.id:  # another front accepted the same key at this moment: what was claimed is free again
                claiming.rollback()
        return held

    async def known(self, row: Row) -> Row | None:
        """The row that has the idempotency key of `row` already."""
        found = await self._store.read(lambda connection: connection.execute(same_key(row)).first())
        return None if found is None else row_of(found)

    async def find(self, id: str, application: str) -> Row | None:
        """One application's row."""
        # compared here: a PostgreSQL server that does not know the table yet may take the index of applications instead
        # of that of ids, and keep to it
        found = await self.row(id)
        return found if found is not None and found.application == application else None

    async def sent(self, ids: Sequence[str]) -> None:
        """The broker has these on its disk. Returns when the rows say so, or are being told their outcome."""
        now = self._clock()
        self._receipted.update(dict.fromkeys(ids, now))
        if self._linger_s:
            await asyncio.sleep(self._linger_s)
        await self._store.gather(_write_sent, [(id, now) for id in sorted(ids) if self._receipted.pop(id, None)])

    async def record_outcomes(self, outcomes: Sequence[ReportedOutcome]) -> int:
        """Write what replies say; final rows never change. Returns how many rows became final."""
        told = [(outcome, self._receipted.pop(outcome.id, None)) for outcome in outcomes]
        written = await self._store.gather(self._write_outcomes, told)
        finished = 0
        for outcome, whose in zip(outcomes, written, strict=True):
            if whose is not None:
                finished += 1
                if self._ended is not None:
                    said = f"{outcome.state}: {outcome.code}" if outcome.code else str(outcome.state)
                    self._ended(*whose, said)
        self.backlog = max(0, self.backlog - finished)
        return finished

    def _write_outcomes(
        self, connection: Connection, outcomes: Sequence[tuple[ReportedOutcome, int | None]]
    ) -> Sequence[tuple[str, str] | None]:
        """Operation and application of each that became final. With each outcome: when the broker's receipt for the
        command came, if that is to be written down too.
        """
        ids = [item.id for item, _ in outcomes]
        # Locked, in one order for all: another front may be told of the same command at this moment
        rows = connection.execute(
            select(REQUESTS.c.id, REQUESTS.c.state, REQUESTS.c.operation, REQUESTS.c.application)
            .where(REQUESTS.c.id.in_(ids))
            .order_by(REQUESTS.c.id)
            .with_for_update()
        )
        found = {row.id: row for row in rows}
        states = {id: State(row.state) for id, row in found.items()}
        now = self._clock()
        held: list[dict[str, Any]] = []
        final: list[dict[str, Any]] = []
        finished: list[tuple[str, str] | None] = []
        for item, receipted in outcomes:
            state = states.get(item.id)
            to = None if state is None else state_reported(state, item.state)
            row = found.get(item.id)
            finished.append((row.operation, row.application) if row is not None and to in FINAL else None)
            if to is not None:
                states[item.id] = to
                change = {
                    "of": item.id, "to": to, "because": item.code, "sealed": item.sealed, "now": now,
                    "receipted": receipted, "receipts": 0 if receipted is None else 1,
                }  # fmt: skip
                (final if to in FINAL else held).append(change)
        if held:
            connection.execute(_TOLD, held)
        if final:
            connection.execute(_FINISHED, final)  # after what is held: one command may be both in one batch
        if self.told is not None and (held or final):
            self.told(connection, held + final)
        if held or final:
            reach(Point.FRONT_TOLD_UNCOMMITTED)
        return finished

    async def due(self, front: str, resend_after_ms: int, limit: int, paused: Collection[str] = ()) -> list[Entry]:
        """Rows of this front to be sent: never receipted, or receipted long ago and still unanswered; those first that
        wait longest, since they were accepted or sent. Not those of operations that are `paused`, nor what comes after
        such a one in its order.

        Each further sending waits longer (1, 4, 9 … times `resend_after_ms`): a backlog that waits for a
        marketing system must not become a flood. What was sent in the future, before the clock was put back, has
        waited long enough.
        """
        now = self._clock()
        may = _may_be_sent(front, now, paused)
        read = partial(due, front=front, now=now, resend_after_ms=resend_after_ms, limit=limit, paused=paused, may=may)
        return await self._store.read(read)

    async def unanswered(
        self, front: str, ids: Sequence[str] | None, limit: int, paused: Collection[str] = ()
    ) -> list[Entry]:
        """Rows of this front without an outcome, and young enough to be sent, the oldest first; `ids`: of these;
        `paused`: as for `due`.
        """
        these = () if ids is None else (REQUESTS.c.id.in_(ids),)
        return await self._to_send(front, self._clock(), limit, paused, REQUESTS.c.state.in_(UNANSWERED), *these)

    async def resendable(
        self, front: str, asked: ResendMatching, limit: int, paused: Collection[str] = ()
    ) -> tuple[dict[str, int], list[Entry]]:
        """Of rows as `unanswered` gives them: how many match, by operation, and, unless it is a dry run, the next of
        them. Raises BridgeError for a state in which nothing is sent.
        """
        own = REQUESTS.c
        matching = [own.state.in_(asked.states_of(UNANSWERED, "resend")), own.accepted_at <= asked.before,
                    own.id > asked.after]  # fmt: skip
        if asked.operations:
            matching.append(own.operation.in_(asked.operations))
        counted = select(own.operation, func.count()).where(*_may_be_sent(front, self._clock(), paused), *matching)
        counts = await self._store.read(lambda connection: connection.execute(counted.group_by(own.operation)).all())
        entries = [] if asked.dry_run else await self._to_send(front, self._clock(), limit, paused, *matching)
        return {row[0]: row[1] for row in counts}, entries

    async def _to_send(
        self, front: str, now: int, limit: int, paused: Collection[str], *conditions: ColumnElement[bool]
    ) -> list[Entry]:
        """Of what may be sent at all, what meets these conditions; the oldest first."""
        may = _may_be_sent(front, now, paused)
        statement = select(*COLUMNS).where(*may, *conditions).order_by(REQUESTS.c.id).limit(limit)
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        return [row_of(row).entry() for row in rows]

    async def row(self, id: str) -> Row | None:
        """One command, whoever's."""
        statement = select(*COLUMNS).where(REQUESTS.c.id == id)
        found = await self._store.read(lambda connection: connection.execute(statement).first())
        return None if found is None else row_of(found)

    async def hold_undelivered(self, front: str) -> int:
        """Name unknown what was not answered in UNDELIVERED_MS: a bridge would refuse it as stale now, and it
        may have been done long ago, so only an operator can tell. Returns how many rows that were.
        """
        now = self._clock()
        statement = (
            REQUESTS.update()
            .where(REQUESTS.c.front == front, REQUESTS.c.accepted_at <= now - UNDELIVERED_MS)
            .where(REQUESTS.c.state.in_(UNANSWERED))
            .values(state=State.HELD, code="undelivered", updated_at=now)
        )

        def hold(connection: Connection) -> int:
            held = connection.execute(statement).rowcount
            if held:
                reach(Point.FRONT_HOLD_UNCOMMITTED)
            return held

        return await self._store.write(hold)

    def answered(self, id: str) -> None:
        """A caller was given the final outcome. Written down by `note_answered`; if this process dies before, the
        reply is simply kept."""
        self._answered.setdefault(id, self._clock())

    async def note_answered(self) -> None:
        """Write down what `answered` was told."""
        answered, self._answered = self._answered, {}
        rows = ({"of": id, "now": at} for id, at in sorted(answered.items()))
        await self._store.execute(_ANSWERED, *rows)

    async def drop(self, before_ms: int) -> int:
        """Drop the sealed replies that callers were given before `before_ms`; their rows say the outcome still.

        The first time sealed requests are dropped that a program before this one kept of final rows. Returns how many
        replies went.
        """
        if not self._dropped:
            await self._drop_requests()
            self._dropped = True
        old = (REQUESTS.c.answered_at < before_ms, text(KEPT))
        page = select(REQUESTS.c.id).where(*old).limit(BATCH)
        return await self._store.in_batches(
            lambda connection: list(connection.execute(page).scalars()),
            partial(_changed, REQUESTS.update().where(*old).values(reply=None)),
        )

    async def _drop_requests(self) -> None:
        """Walk over all rows once, a page at a time: there is no index of what is still there of them."""
        at = ""
        while True:
            page = select(REQUESTS.c.id, func.length(REQUESTS.c.envelope) > 1, _IS_FINAL)
            page = page.where(REQUESTS.c.id > at).order_by(REQUESTS.c.id).limit(_WALK)
            rows = await self._store.scan(lambda connection, page=page: connection.execute(page).all())  # type: ignore[misc]
            if not rows:
                return
            at = rows[-1][0]
            whole = [id for id, long, is_final in rows if long and is_final]
            for first in range(0, len(whole), BATCH):
                kept = partial(_changed, REQUESTS.update().where(_IS_FINAL).values(envelope=VERSION_ALONE))
                await self._store.gather(kept, whole[first : first + BATCH])

    async def forget(self, before_ms: int) -> int:
        """Delete final rows not touched since `before_ms`."""
        # The ids say when they were made, which is before they were touched last; so they are their own index.
        made, old = REQUESTS.c.id < uuid7(max(0, before_ms) + 1, bytes(10)), REQUESTS.c.updated_at < before_ms
        page = select(REQUESTS.c.id).where(made, _IS_FINAL, old)
        page = page.order_by(REQUESTS.c.id).limit(BATCH)
        return await self._store.in_batches(
            lambda connection: list(connection.execute(page).scalars()),
            partial(_changed, REQUESTS.delete().where(_IS_FINAL, old)),
        )

    async def report(self, paused: Collection[str] = ()) -> CommandsReport:
        """How many there are in each state, and how old the oldest without an outcome is, of operations that are not
        `paused`: those wait by an administrator's will.
        """
        since = await self._store.read(partial(oldest_waiting, paused=paused))
        return CommandsReport(by_state=await self.counts(), oldest_unfinished=since)

    async def counts(self) -> dict[str, int]:
        """Rows by state."""
        open_ = select(REQUESTS.c.state, func.count()).where(REQUESTS.c.state.in_(_OPEN)).group_by(REQUESTS.c.state)
        rows = await self._store.scan(lambda connection: connection.execute(open_).all())
        return dict(rows) | dict(await self._final.read())

    async def _count_final(self) -> dict[str, int]:
        final = select(REQUESTS.c.state, func.count()).where(REQUESTS.c.state.in_(sorted(FINAL)))
        rows = await self._store.scan(lambda connection: connection.execute(final.group_by(REQUESTS.c.state)).all())
        return dict(rows)

"""The bridge's record of commands: what was received, whether it is being called, and what came of it.

A command's row is committed `received` before its message is acknowledged, `calling` before the marketing system
is called, and with its outcome and sealed reply before the reply is sent. So whatever instant the process dies at:

=================================  ====================  ============================================================
it dies after                      the row says          and then
=================================  ====================  ============================================================
delivery                           (no row)              the broker delivers again: nothing was acknowledged
`received` committed               received              it is called after the restart; a redelivery is only acked
acknowledged                       received              the same
`calling` committed                calling               unknown: the operation's rule (it may not have been called)
the call                           calling               the same: this is the window no bookkeeping can close
outcome committed                  succeeded … held      the reply goes out by the sweep; a redelivery is answered
reply sent                         … , not replied       it goes out again: the front knows it by its id
receipt recorded                   … , replied           nothing
=================================  ====================  ============================================================

What the bridge dies with in hand may be what it dies of. At the start rows found `calling`, and those being inquired
about (`inquiring_at`), are `unknown` with one more in `crashes`; while that is not 0 a row is worked on alone, and
with the third crash it is held as `kills-worker`. Coming through a call sets it back to 0.

A row keeps the request, until its outcome is known at the front, and the reply, sealed as they travel; nothing here can
be read without the keys. A body that does not fit its schema is not kept: its digest is in `note`. Rows are
kept longer than any message can come back (`MAX_AGE_MS`), and deleted after `store.retention_days`.

A row is worked on by its owner alone; what a dead owner left is adopted by another bridge (runtime/lease.py), which
treats it as it would its own after a crash.

Held rows are decided by an operator (`bridgectl requests resolve`, administration.py), in one transaction and only
while they are held: either a final state with its sealed reply, which is sent like any other, or `received` or
`unknown` with `decided_at`, which the owner of the row finds, has called or inquired about again, and clears. A row
that is `received`, and not being called, can be taken back: it is final with `decided_at`, and `calling` refuses it.
"""

import uuid
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    case,
    func,
    literal,
    select,
    text,
    update,
)

from intranet_bridge.inbox import unfinished
from intranet_bridge.inbox.administration import forget_answers
from intranet_bridge.inbox.ordering import FORWARDED, OWN_KEY, QueuedCommand
from intranet_bridge.inbox.rows import (
    ATTACHMENT_USES,
    DECISIONS,
    IDENTITY,
    INBOX,
    UNFINISHED,
    UNTOLD,
    Failed,
    Known,
    OperatorDecision,
    Received,
    state_is_one_of,
)
from protocol.envelope import SKEW_MS
from protocol.lifecycle import FINAL, REPORTED, State
from protocol.messages import CODE_LENGTH, fitted, uuid7
from protocol.presence import InboxId
from protocol.reports.daemon import CommandsReport
from protocol.runtime.audit import Audit
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.history import Gap
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.outbox import Entry
from protocol.runtime.store import BATCH, Store
from protocol.runtime.store_statements import alike, in_commit_order, insert_new
from protocol.runtime.tally import Tally

log = logger(__name__)

_C = INBOX.c
_WALK = 2_000
"""Rows that are looked at in one go where there is no index."""
_LIKENESSES = 500_000
"""So many commands of a gap are remembered, the latest: some 100 MB."""
_UNFINISHED = (State.RECEIVED, State.CALLING, State.UNKNOWN)
_OPEN = (*_UNFINISHED, State.HELD, State.ACCEPTED, State.SENT)
"""What is not final."""


def _active(of: ColumnElement[bool]) -> ColumnElement[bool]:
    """Rows for which their owner still has something to do. Each side of the OR has its index."""
    open_ = _C.state.in_(_OPEN)
    return (of & open_) | (of & text(UNTOLD))


# Each in the order of an index: else a PostgreSQL server that takes such rows for frequent may go through all there are
_ONE_IN_STATE = (
    select(_C.id).where(_C.owner == bindparam("owner"), _C.state == bindparam("state")).order_by(_C.updated_at).limit(1)
)
_ONE_UNTOLD = select(_C.id).where(_C.owner == bindparam("owner"), text(UNTOLD)).order_by(_C.updated_at).limit(1)

_MINE = func.coalesce(_C.owner, "") == bindparam("me")
"""Not by an index of owners, which PostgreSQL may take before that of ids while a table is new to it, and keep to: then
each of these statements looks at every row."""
_ROW = (update(INBOX).where(_C.id == bindparam("of"), _MINE)).values(updated_at=bindparam("now"), decided_at=None)
_CALLING = (
    update(INBOX)
    .where(_C.id.in_(bindparam("ids", expanding=True)), _MINE, state_is_one_of(_UNFINISHED))
    .values(
        state=State.CALLING, attempts=bindparam("tries"), calling_at=bindparam("now"), updated_at=bindparam("now"),
        decided_at=None,
    )
)  # fmt: skip
_MOVED = _ROW.where(state_is_one_of(_UNFINISHED)).values(
    state=bindparam("to"),
    attempts=bindparam("tries"),
    note=bindparam("why"),
    crashes=bindparam("deaths"),
    inquiring_at=None,
)
_INQUIRING = update(INBOX).where(_C.id == bindparam("of"), _MINE)
_INQUIRING = _INQUIRING.values(inquiring_at=bindparam("now"))
_FINISHED = _ROW.values(
    state=bindparam("to"),
    attempts=bindparam("tries"),
    code=bindparam("because"),
    note=bindparam("why"),
    reply=bindparam("sealed"),
    replied_at=None,
    inquiring_at=None,
)
_TAKEN_BACK = update(INBOX).where(_C.id == bindparam("of"), _MINE)
_IS_FINAL = state_is_one_of(sorted(FINAL))
_TAKEN_BACK = _TAKEN_BACK.where(_IS_FINAL).values(decided_at=None, envelope=b"")
_REPLIED = (
    update(INBOX)
    .where(_C.id.in_(bindparam("ids", expanding=True)), _C.state == bindparam("said"))
    # A final one is not called again, and the front has its outcome: nobody needs the request any more
    .values(
        replied_at=bindparam("now"),
        envelope=case((_IS_FINAL & _C.decided_at.is_(None), b""), else_=_C.envelope),
    )
)
_NOT_LOCAL = _C.reply_to.like("/queue/%")
"""A row whose outcome goes to a front: local.py has the others."""
_READDRESSED = update(INBOX).where(_C.id == bindparam("of")).values(reply_to=bindparam("to"))


class Inbox:
    """The `inbox` table, and one bridge's rows in it."""

    def __init__(
        self,
        store: Store,
        owner: str,
        clock: Clock,
        audit: Audit | None = None,
        same_front: Callable[[str, str], bool] = lambda _one, _other: True,
    ) -> None:
        """`audit`: gets a record of what is taken, in the same transaction. `same_front`: whether two sources are of
        fronts that share a ledger; to any other an id that is here is not answered.
        """
        self._audit, self._same_front = audit, same_front
        self._store, self._owner, self._clock = store, owner, clock
        self._sequence = 0
        self.found_to = 0
        """What is recorded after the start has a higher sequence."""
        self.id: InboxId = ""
        """Which inbox this is, once started: made at the first start, the same for all who share the database."""
        self._dropped = False
        self._final = Tally(self._count_final)
        self.by_state: Mapping[str, int] = {}
        """Rows by state at the last count."""
        self.paused: frozenset[str] = frozenset()
        """Operations paused for maintenance: their commands wait by an administrator's will."""
        self.oldest_unfinished = 0
        """Epoch milliseconds; 0: every command has its outcome. As the last count found it."""

    async def start(self) -> None:
        """Make what the last process had in hand of unknown outcome. Then paging.py reads what is unfinished."""
        self.id = await self._store.write(_identity)
        await self._store.write(lambda connection: _found_in_hand(connection, [self._owner]))
        reach(Point.BRIDGE_RECOVERY_COMMITTED)
        # of rows that have an order still: sequences begin with the time, so new ones are above it anyway
        self._sequence = self.found_to = await self._store.read(self._highest)

    async def owners(self) -> list[str]:
        """Who owns rows that are not done with."""

        def active(connection: Connection) -> list[str]:
            return [owner for owner in all_owners(connection) if _is_active(connection, owner)]

        return await self._store.read(active)

    def adopt(self, connection: Connection, owners: Sequence[str]) -> int:
        """Make the rows of dead owners ours; returns how many of them are unfinished."""
        _found_in_hand(connection, owners)
        theirs = _active(_C.owner.in_(owners))
        counted = select(func.count()).where(_C.owner.in_(owners), _C.state.in_(_UNFINISHED))
        open_ = connection.execute(counted).scalar_one()
        count = connection.execute(update(INBOX).where(theirs).values(owner=self._owner)).rowcount
        if count:
            # Their clock may have been ahead: what is recorded from now on comes after them, or who reads on from them
            # would pass it over. This is the thread that writes: no transaction takes a sequence meanwhile
            self._sequence = max(self._sequence, self._highest(connection))
            log.warning("rows-adopted", count=count, unfinished=open_, of=owners, owner=self._owner)
        return open_

    async def record(self, rows: Sequence[Received]) -> Sequence[Known | None]:
        """Commit new rows; returns, a row each, what was known of it before, None if it is new.

        Rows of deliveries that arrive while the disk is busy are written together, in their order.
        """
        return await self._store.gather(self.record_in, rows)

    async def calling(self, command: QueuedCommand, attempts: int) -> bool:
        """Committed before the call is made. False: it must not be called, for an operator took it back."""
        return (await self._store.gather(self._begin_calls, [(command.id, attempts)]))[0]

    def _begin_calls(self, connection: Connection, calls: Sequence[tuple[str, int]]) -> Sequence[bool]:
        """Of commands: id, and which attempt it is."""
        named, changed = {"me": self._owner, "now": self._clock()}, 0
        for tries, ids in alike(calls).items():
            changed += connection.execute(_CALLING, {**named, "tries": tries, "ids": ids}).rowcount
        reach(Point.BRIDGE_CALLING_UNCOMMITTED)
        if changed == len(calls):
            return [True] * len(calls)
        states = select(_C.id).where(_C.id.in_([id for id, _ in calls]), _C.state == State.CALLING)
        begun = set(connection.execute(states).scalars())
        return [id in begun for id, _ in calls]

    async def inquiring(self, command: QueuedCommand) -> None:
        """Committed before an inquiry is made."""
        await self._store.execute(_INQUIRING, {"of": command.id, "me": self._owner, "now": self._clock()})

    async def moved(self, command: QueuedCommand, state: State, attempts: int, note: str) -> None:
        """Back to received, or unknown. What has its outcome on disk keeps it: that may have been written by a commit
        for which nobody waited any more.
        """
        row = {"to": state, "tries": attempts, "why": fitted(note, 400), "deaths": command.crashes}
        await self._store.execute(
            _MOVED,
            {"of": command.id, "me": self._owner, "now": self._clock(), **row},
            point=Point.BRIDGE_MOVED_UNCOMMITTED,
        )

    async def resumed(self, command: QueuedCommand, state: State, attempts: int, note: str) -> bool:
        """Begin with what an operator decided; False, and nothing is changed, if it is not so decided any more.

        Done twice, because a commit was done and seemed to fail, it is the same as once.
        """
        row = {"to": state, "tries": attempts, "why": fitted(note, 400), "deaths": 0}
        named = {"of": command.id, "me": self._owner, "now": self._clock(), **row}
        statement = _MOVED.where(_C.decided_at.is_not(None), _C.state == state)
        begun = select(_C.id).where(_C.id == command.id, _C.owner == self._owner)
        begun = begun.where(_C.decided_at.is_(None), _C.state == state)

        def resume(connection: Connection) -> bool:
            changed = connection.execute(statement, named).rowcount
            reach(Point.BRIDGE_MOVED_UNCOMMITTED)
            return changed == 1 or connection.execute(begun).first() is not None

        return await self._store.write(resume)

    async def finished_uncalled(
        self, id: str, state: State, attempts: int, code: str, note: str, sealed: bytes
    ) -> bool:
        """The outcome of a command that was not called (again). False: an operator took it back before.

        Its row may say `calling`: by a commit that was done and seemed to fail, after which no call was made.
        """
        because, why = fitted(code, CODE_LENGTH), fitted(note, 400)
        row = {"to": state, "tries": attempts, "because": because, "why": why, "sealed": sealed}
        named = {"of": id, "me": self._owner, "now": self._clock(), **row}
        open_ = state_is_one_of([State.RECEIVED, State.CALLING])
        statement = _FINISHED.where(open_ | ((_C.state == state) & (_C.code == because)))

        def finish(connection: Connection) -> bool:
            changed = connection.execute(statement, named).rowcount
            reach(Point.BRIDGE_FINISHED_UNCOMMITTED)
            return changed == 1

        return await self._store.write(finish)

    async def taken_back(self, id: str) -> None:
        """What an operator took back is nobody's work any more."""
        await self._store.execute(_TAKEN_BACK, {"of": id, "me": self._owner})

    async def finished(self, id: str, state: State, attempts: int, code: str, note: str, sealed: bytes) -> None:
        """The outcome, or held, with the sealed reply; not replied yet."""
        because, why = fitted(code, CODE_LENGTH), fitted(note, 400)
        row = {"to": state, "tries": attempts, "because": because, "why": why, "sealed": sealed}
        await self._store.execute(
            _FINISHED,
            {"of": id, "me": self._owner, "now": self._clock(), **row},
            point=Point.BRIDGE_FINISHED_UNCOMMITTED,
        )

    async def settled(self, ids: Sequence[str]) -> dict[str, bool]:
        """Of those ids that are in the inbox, whoever's they are: whether each is finished or held."""
        statement = select(_C.id, _C.state).where(_C.id.in_(ids))
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        return {row.id: State(row.state) in REPORTED for row in rows}

    async def envelope(self, id: str) -> tuple[bytes, str]:
        """The sealed request and its reply_to."""
        statement = select(_C.envelope, _C.reply_to).where(_C.id == id)
        row = await self._store.read(lambda connection: connection.execute(statement).one())
        return row.envelope, row.reply_to

    async def replied(self, entries: Sequence[str]) -> None:
        """The broker has these replies on its disk (ids made by `entry`)."""
        told = [(of, State(said)) for of, _, said in (id.rpartition("/") for id in entries)]
        await self._store.gather(self._write_replied, told)

    def _write_replied(self, connection: Connection, told: Sequence[tuple[str, State]]) -> Sequence[None]:
        replied_in(connection, told, self._clock())
        reach(Point.BRIDGE_REPLIED_UNCOMMITTED)
        return [None] * len(told)

    async def unsent(self, limit: int) -> list[Entry]:
        """Replies without a receipt, oldest first."""
        statement = (
            select(_C.id, _C.state, _C.reply_to, _C.reply)
            .where(_C.owner == self._owner, text(UNTOLD), _C.state.in_(sorted(REPORTED)), _NOT_LOCAL)
            .order_by(_C.updated_at)
            .limit(limit)
        )
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        return [entry(row.id, State(row.state), row.reply_to, row.reply) for row in rows]

    async def decided(self) -> list[OperatorDecision]:
        """Held rows an operator has decided since."""
        statement = select(INBOX).where(_C.owner == self._owner, _C.decided_at > 0).order_by(_C.sequence)
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        return [
            OperatorDecision(
                row.id, State(row.state), row.code, row.note, row.reply_to, row.envelope, unfinished.queued(row)
            )
            for row in rows
        ]

    async def likenesses(self, gap: Gap) -> list[tuple[str, str, bytes]]:
        """Id, source and likeness of the commands made in a gap, whoever's they are."""
        first = uuid7(max(0, gap.since - SKEW_MS), bytes(10))
        last = uuid7(gap.until + SKEW_MS, b"\xff" * 10)
        statement = select(_C.id, _C.source, _C.likeness).where(_C.id.between(first, last), _C.likeness.is_not(None))
        statement = statement.order_by(_C.id.desc()).limit(_LIKENESSES)
        rows = await self._store.read(lambda connection: connection.execute(statement).all())
        return [(row.id, row.source, row.likeness) for row in rows]

    async def forget(self, before_ms: int) -> int:
        """Delete replied final rows not touched since `before_ms`; returns how many.

        The first time sealed requests are dropped that a program before this one kept of final rows.
        """
        replied = _C.state.in_(sorted(FINAL)) & _C.replied_at.is_not(None)
        if not self._dropped:
            await self._drop_requests(replied)
            self._dropped = True
        old = (replied, _C.updated_at < before_ms)
        gone = 0
        for owner in await self._store.scan(all_owners):
            for state in sorted(FINAL):  # each has its part of the index, the oldest first
                page = select(_C.id).where(_C.owner == owner, _C.state == state, *old).order_by(_C.updated_at)
                page = page.limit(BATCH)
                gone += await self._store.in_batches(
                    lambda connection, page=page: list(connection.execute(page).scalars()),  # type: ignore[misc]
                    partial(_changed, INBOX.delete().where(*old)),
                )
        of_none = DECISIONS.delete().where(
            ~select(_C.id).where(_C.id == DECISIONS.c.request).exists(), DECISIONS.c.decided_at < before_ms
        )

        def forget(connection: Connection) -> None:
            connection.execute(of_none)
            forget_answers(connection, before_ms)

        await self._store.write(forget)
        return gone

    async def _drop_requests(self, replied: ColumnElement[bool]) -> None:
        """Walk over all rows once, a page at a time: there is no index of what is still there of them."""
        at = ""
        while True:
            page = select(_C.id, func.length(_C.envelope) > 0, replied).where(_C.id > at).order_by(_C.id).limit(_WALK)
            rows = await self._store.scan(lambda connection, page=page: connection.execute(page).all())  # type: ignore[misc]
            if not rows:
                return
            at = rows[-1][0]
            whole = [id for id, there, is_replied in rows if there and is_replied]
            for first in range(0, len(whole), BATCH):
                emptied = partial(_changed, update(INBOX).where(replied).values(envelope=b""))
                await self._store.gather(emptied, whole[first : first + BATCH])

    async def report(self) -> CommandsReport:
        """How many of this bridge there are in each state, and how old the oldest without an outcome is."""
        await self.count()
        return CommandsReport(by_state=dict(self.by_state), oldest_unfinished=self.oldest_unfinished)

    async def count(self) -> None:
        """Refresh `by_state` and `oldest_unfinished`."""
        own = _C.owner == self._owner
        open_ = own & _C.state.in_(_OPEN)
        numbers = select(_C.state, func.count()).where(open_).group_by(_C.state)
        rows = await self._store.scan(lambda connection: connection.execute(numbers).all())
        self.by_state = {row.state: row[1] for row in rows} | dict(await self._final.read())
        self.oldest_unfinished = await self._store.read(
            partial(unfinished.oldest, owner=self._owner, paused=self.paused)
        )

    async def _count_final(self) -> dict[str, int]:
        final = select(_C.state, func.count()).where(_C.owner == self._owner, _C.state.in_(sorted(FINAL)))
        rows = await self._store.scan(lambda connection: connection.execute(final.group_by(_C.state)).all())
        return dict(rows)

    def record_in(self, connection: Connection, rows: Sequence[Received]) -> Sequence[Known | None]:
        """The same in somebody else's transaction."""
        now = self._clock()
        forwarded = sorted({row.subject for row in rows if row.subject.startswith(FORWARDED)})
        last = _last_forwarded(connection, forwarded) if forwarded else 0
        own = {row.subject for row in rows if row.after is None and row.subject.startswith(OWN_KEY)}
        before = _last_own(connection, sorted(own)) if own else {}
        last = max(last, *(sequence for _, _, sequence in before.values()), 0)
        elsewhere = {subject: id for subject, (id, owner, _) in before.items() if owner != self._owner}
        first = self._sequence = max(self._sequence, now << 16, last)
        self._sequence += len(rows)
        values = [
            {
                "id": row.id, "sequence": first + at, "owner": self._owner, "operation": row.operation,
                "source": row.source, "subject": row.subject, "state": row.state, "attempts": 0,
                "envelope": row.envelope, "reply_to": row.reply_to, "deadline": row.deadline,
                "received_at": now, "updated_at": now, "crashes": 0,
                "after": row.after if row.after is not None else elsewhere.get(row.subject),
                "likeness": row.likenesses[0] if row.likenesses else None,
            } | _beginning(row.failed)
            for at, row in enumerate(rows, 1)
        ]  # fmt: skip
        new = insert_new(connection, INBOX, sorted(values, key=itemgetter("id")))
        if self._audit is not None and new:
            taken = {row.id: (row.id, row.operation, row.source) for row in rows if row.id in new}
            self._audit.accepted_in(connection, list(taken.values()))
        uses = [
            {"request": row.id, "place": place, "attachment": attachment}
            for row in {row.id: row for row in rows if row.attachments and row.id in new}.values()
            for place, attachment in enumerate(row.attachments)
        ]
        if uses:
            connection.execute(ATTACHMENT_USES.insert(), uses)
        reach(Point.BRIDGE_RECEIVED_UNCOMMITTED)
        known = {} if len(new) == len(rows) else _known(connection, rows, new, self._owner, self._same_front)
        results: list[Known | None] = []
        for row in rows:
            results.append(known.get(row.id))
            # the same command twice in one group: the second is no longer new
            failed = row.failed
            again = Known(State.RECEIVED, None) if failed is None else Known(failed.state, failed.reply)
            known.setdefault(row.id, again)
        return results

    def _highest(self, connection: Connection) -> int:
        others = _C.state.in_([State.HELD, State.ACCEPTED, State.SENT])
        held = select(func.max(_C.sequence)).where(_C.owner == self._owner, others)
        return max(connection.execute(held).scalar() or 0, unfinished.latest(connection, self._owner))

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics, as `count` found them."""
        for state, number in dict(self.by_state).items():
            yield "intranet_bridge_inbox_rows", "Rows of the inbox by state", {"state": state}, number
        oldest, text = self.oldest_unfinished / 1000, "When the oldest command without an outcome came; 0: none"
        yield "intranet_bridge_oldest_unfinished_timestamp_seconds", text, {}, oldest
        store = self._store
        yield "intranet_bridge_store_commits_total", "Transactions committed to the inbox database", {}, store.commits
        text = "Rows, or other work, in the transactions committed to the inbox database"
        yield "intranet_bridge_store_rows_written_total", text, {}, store.rows_written
        text = "Transactions of the inbox database that were undone; what was in them may have been done again"
        yield "intranet_bridge_store_rollbacks_total", text, {}, store.rollbacks
        failing = float(store.trouble is not None)
        yield "intranet_bridge_store_failing", "1: the inbox cannot be written, or is damaged", {}, failing


def replied_in(connection: Connection, told: Sequence[tuple[str, State]], now: int) -> None:
    """Of rows, each by id and the state that was told: who is to know of it does."""
    for state, ids in alike(told).items():
        connection.execute(_REPLIED, {"ids": ids, "said": state, "now": now})


def all_owners(connection: Connection) -> list[str]:
    """Every owner there is, by one look into the index for each."""
    owners: list[str] = []
    while True:
        after = select(func.min(_C.owner)).where(_C.owner > owners[-1]) if owners else select(func.min(_C.owner))
        owner = connection.execute(after).scalar()
        if owner is None:
            return owners
        owners.append(owner)


def _is_active(connection: Connection, owner: str) -> bool:
    looks = [(_ONE_UNTOLD, {"owner": owner}), *((_ONE_IN_STATE, {"owner": owner, "state": state}) for state in _OPEN)]
    return any(connection.execute(*look).first() is not None for look in looks)


def _changed(statement: Any, connection: Connection, ids: Sequence[str]) -> Sequence[int]:
    """Which of these rows a statement changes that is about rows of INBOX: all at once."""
    done = connection.execute(statement.where(_C.id.in_(ids))).rowcount
    return [done, *[0] * (len(ids) - 1)]


def put_back(connection: Connection) -> None:
    """This inbox is an older copy of itself: what it has not called yet may have been called since, what is held may
    have been decided. So all of it is of unknown outcome: inquired about, repeated or held, as its operation says.
    """
    count = connection.execute(update(INBOX).where(_C.state == State.RECEIVED).values(state=State.UNKNOWN)).rowcount
    doubt = "put back as an older copy: it may have been decided since; "
    held = update(INBOX).where(_C.state == State.HELD, _C.note.not_like(doubt + "%"))
    connection.execute(held.values(note=func.substr(literal(doubt) + _C.note, 1, 400)))
    if count:
        log.warning("commands-unknown", count=count, meaning="they may have been called after the copy was made")


def _last_forwarded(connection: Connection, keys: Sequence[str]) -> int:
    """The highest sequence of unfinished commands of these keys, for other regions, whichever bridge of this database
    gave them: its clock may be ahead of ours, and what is given now comes after them. Until the end of this
    transaction no other gives any.
    """
    in_commit_order(connection, "commands for other regions")
    of = _C.owner.in_(all_owners(connection)), _C.state.in_([State.ACCEPTED, State.SENT]), _C.subject.in_(keys)
    return connection.execute(select(func.max(_C.sequence)).where(*of)).scalar() or 0


def _last_own(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[str, str, int]]:
    """Of each key of commands that bridges of this database gave themselves: id, owner and sequence of the unfinished
    one that was recorded last, by whichever of them. Until the end of this transaction no other is recorded.
    """
    for key in keys:
        in_commit_order(connection, f"own commands of {key}")
    of = _C.owner.in_(all_owners(connection)), _C.subject.in_(keys), text(UNFINISHED)
    rows = connection.execute(select(_C.subject, _C.id, _C.owner, _C.sequence).where(*of).order_by(_C.sequence))
    return {row.subject: (row.id, row.owner, row.sequence) for row in rows}


def _identity(connection: Connection) -> InboxId:
    insert_new(connection, IDENTITY, [{"only": 1, "inbox": str(uuid.uuid4())}])
    return str(connection.execute(select(IDENTITY.c.inbox)).scalar_one())


def _beginning(failed: Failed | None) -> dict[str, Any]:
    """What a row begins with beyond what it says itself."""
    if failed is None:
        return {"code": "", "note": "", "reply": None}
    return {"state": failed.state, "code": failed.code, "note": fitted(failed.note, 400), "reply": failed.reply}


def entry(id: str, state: State, reply_to: str, sealed: bytes) -> Entry:
    """What the outbox sends. The state is part of the entry's id: the receipt of a `held` reply must not count
    for the final one."""
    return Entry(f"{id}/{state}", reply_to, sealed)


def _found_in_hand(connection: Connection, owners: Sequence[str]) -> None:
    """A call, or an inquiry, was under way when the process ended: the outcome is unknown, and it may have been why."""
    changes = {"state": State.UNKNOWN, "crashes": _C.crashes + 1, "inquiring_at": None}
    found = update(INBOX).where(_C.owner.in_(owners)).values(changes)
    # One after the other, each by its index (`coalesce` keeps SQLite from that of states for the first); what both are
    # true of is not `calling` any more after the first
    inquired = found.where(_C.inquiring_at > 0, func.coalesce(_C.state, "").in_(_UNFINISHED))
    count = connection.execute(inquired).rowcount
    count += connection.execute(found.where(_C.state == State.CALLING)).rowcount
    if count:
        log.warning("commands-interrupted", count=count, of=owners, meaning="a bridge died while it worked on them")
        reach(Point.BRIDGE_RECOVERY_UNCOMMITTED)


def _known(
    connection: Connection,
    rows: Sequence[Received],
    new: Container[str],
    owner: str,
    same_front: Callable[[str, str], bool],
) -> dict[str, Known]:
    sources = {row.id: row.source for row in rows if row.id not in new}
    asked = {row.id: row.reply_to for row in rows if row.id not in new}
    columns = (_C.id, _C.state, _C.reply, _C.reply_to, _C.owner, _C.decided_at, _C.source)
    statement = select(*columns).where(_C.id.in_(sorted(asked)))
    every = connection.execute(statement).all()
    found = [row for row in every if same_front(row.source, sources[row.id])]
    moved = [{"of": row.id, "to": asked[row.id]} for row in found if row.reply_to != asked[row.id]]
    if moved:  # asked again by another front instance (the first is gone): that one gets the reply
        connection.execute(_READDRESSED, moved)

    def ours(row: Any) -> bool:  # what an operator decided is acted on by the sweep
        return row.state in (State.RECEIVED, State.UNKNOWN) and row.owner == owner and row.decided_at is None

    foreign = {row.id: Known(State(row.state), None) for row in every}  # another's command, whose id was found out
    return foreign | {row.id: Known(State(row.state), row.reply, ours(row)) for row in found}

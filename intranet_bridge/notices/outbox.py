"""Notices on their way to the fronts: written with what they tell of, sent until the front says that it has them.

A notice's row is committed with the push that it comes from (`publish_in`), once a push and account. It is sealed for
the front anew each time it is sent, and goes to the reply queue of the front that subscribed (whoever lives reads the
queue of a front that is gone) on a lane of its own. Of a stream only the oldest that is not confirmed is sent, and to a
front at most WINDOW at once: replies to commands, which share the queue, wait behind no more than these.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, or_, select

from intranet_bridge.at_rest import AtRest
from intranet_bridge.notices.rows import NOTICES, PUSHES, STREAMS, SUBSCRIPTIONS
from intranet_bridge.replies import Replies
from protocol.administration import PublishNotice, asked
from protocol.destinations import command_replies
from protocol.lifecycle import State
from protocol.link.lane import Lane
from protocol.messages import LOWEST_VERSION, Attributes, GrowingIds
from protocol.notices import TYPE, Dispatch, Notice
from protocol.reports.daemon import NoticesReport
from protocol.runtime.audit import Act
from protocol.runtime.clock import Clock
from protocol.runtime.control import Answer, Peer
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.outbox import Entry, Outbox
from protocol.runtime.store import Store
from protocol.runtime.store_statements import insert_new

log = logger(__name__)

WINDOW = 256
"""Notices on their way to one front and not confirmed."""
_LEAP = 1_000
"""Numbers left out of each stream by a database that was put back: the latest may be used already."""
_ALL = ""
"""In place of a stream: where streams begin that a database which was put back has never heard of."""
_C = NOTICES.c
_SENT = NOTICES.update().where(_C.id == bindparam("of")).values(sent_at=bindparam("now"), sends=_C.sends + 1)
_CONFIRMED = (
    NOTICES.update()
    .where(_C.id == bindparam("of"), _C.confirmed_at.is_(None))
    .values(confirmed_at=bindparam("now"), body=b"")
)
_LONGEST_WAIT_MS = 3_600_000


class Notices:
    """The `notices` table, and one bridge's rows in it."""

    def __init__(
        self,
        *,
        store: Store,
        at_rest: AtRest,
        replies: Replies,
        lane: Lane,
        name: str,
        resend_after_s: Callable[[], float],
        clock: Clock,
        act: Act,
        foreign: Callable[[str, str], bool] = lambda _one, _other: False,
    ) -> None:
        """`resend_after_s`: how long a front has to confirm; each further sending waits longer. `act` writes down who
        published one by hand. `foreign`: whether the second front is of another group: its notices are not the
        first's to confirm.
        """
        self._foreign = foreign
        self._store, self._at_rest, self._replies, self._name = store, at_rest, replies, name
        self._resend_after_s, self._clock, self._act = resend_after_s, clock, act
        self._ids = GrowingIds()
        self.outbox = Outbox(lane, sent=self.sent, unsent=self.unsent, capacity=4 * WINDOW)
        self._lane = lane
        self._sweeping: asyncio.Task[None] | None = None
        self._again = False
        self.published: dict[str, int] = {}
        """By kind, since the start."""
        self._waiting, self._oldest = 0, 0

    # --- publishing -----------------------------------------------------------------------------------------

    def publish_in(self, connection: Connection, notice: Notice, push_id: str) -> int:
        """Write a notice for every application that has subscribed to it, in the caller's transaction; returns for how
        many. A push id that was published for this account already changes nothing (0). After the commit: `hurry`.
        """
        now, stream = self._clock(), self._at_rest.pseudonym(notice.account)
        pushed = {"push": push_id, "stream": stream, "published_at": now}
        if not insert_new(connection, PUSHES, [pushed]):
            return 0
        whose = SUBSCRIPTIONS.c.application, SUBSCRIPTIONS.c.fronts
        subscribed = select(*whose, SUBSCRIPTIONS.c.front).where(
            SUBSCRIPTIONS.c.stream == stream, SUBSCRIPTIONS.c.kind == notice.kind.value
        )
        rows = []
        for application, fronts, front in connection.execute(subscribed.order_by(*whose)).all():
            id, sequence = self._ids.next(now, os.urandom(10)), _next(connection, stream, application, fronts)
            dispatch = Dispatch(
                application=application, stream=stream, sequence=sequence, kind=notice.kind.value, at=notice.at,
                data=notice.data.model_dump(mode="json", exclude_none=True),
            )  # fmt: skip
            rows.append(
                {
                    "id": id, "owner": self._name, "stream": stream, "application": application,
                    "sequence": sequence, "fronts": fronts, "front": front, "kind": notice.kind.value,
                    "body": self._at_rest.seal(dispatch.payload(), id), "published_at": now, "sends": 0,
                }
            )  # fmt: skip
        if rows:
            connection.execute(NOTICES.insert(), rows)
        self.published[notice.kind] = self.published.get(notice.kind, 0) + len(rows)
        reach(Point.BRIDGE_NOTICE_UNCOMMITTED)
        return len(rows)

    def hurry(self) -> None:
        """Send what is due now, and not at the next sweep."""
        if self._sweeping is not None and not self._sweeping.done():
            self._again = True  # what it read may be older
            return
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    async def _sweep(self) -> None:
        while True:
            self._again = False
            await self.outbox.sweep()
            if not self._again:
                return

    # --- sending --------------------------------------------------------------------------------------------

    async def unsent(self, limit: int) -> list[Entry]:
        """What is to be sent now: the oldest of each stream, as far as the windows allow, sealed."""
        if not self._lane.connected or not self._at_rest.is_open:
            return []
        now, after = self._clock(), int(self._resend_after_s() * 1000)
        rows = await self._store.read(lambda connection: _due(connection, self._name, now, after, limit))
        entries = (self._entry(row, now) for row in rows)
        return [entry for entry in entries if entry is not None]

    def _entry(self, row: Any, now: int) -> Entry | None:
        """None: it cannot be read, and stays; those of other streams go out all the same."""
        to = command_replies(row.front)
        about = Attributes(row.id, self._name, TYPE, now, reply_to=to, version=LOWEST_VERSION)
        try:
            body = self._at_rest.unseal(bytes(row.body), row.id)
        except ValueError as error:
            log.error("notice-unreadable", notice=row.id, reason=str(error))
            return None
        return Entry(row.id, to, self._replies.sealed(about, State.SUCCEEDED, result=body))

    async def sent(self, ids: Sequence[str]) -> None:
        """The broker has these on its disk."""
        now = self._clock()
        await self._store.execute(_SENT, *({"of": id, "now": now} for id in sorted(ids)))

    async def confirmed(self, receipts: Sequence[tuple[str, str]]) -> None:
        """Fronts have these on their disks (id, and the front): nobody needs their bodies any more, and the next of
        each stream may go.
        """
        now = self._clock()
        reach(Point.BRIDGE_NOTICE_CONFIRMED)

        def confirm(connection: Connection) -> int:
            asked = select(_C.id, _C.front).where(_C.id.in_({id for id, _ in receipts}))
            fronts = {row.id: row.front for row in connection.execute(asked)}
            had = {id for id, by in receipts if id in fronts and not self._foreign(by, fronts[id])}
            if had:
                connection.execute(_CONFIRMED, [{"of": id, "now": now} for id in sorted(had)])
                reach(Point.BRIDGE_CONFIRMATION_UNCOMMITTED)
            return len(had)

        await self._store.write(confirm)
        reach(Point.BRIDGE_CONFIRMATION_COMMITTED)
        self.hurry()

    # --- keeping --------------------------------------------------------------------------------------------

    def adopt(self, connection: Connection, owners: Sequence[str]) -> int:
        """Make what dead bridges left ours."""
        theirs = NOTICES.update().where(_C.owner.in_(owners), _C.confirmed_at.is_(None))
        return connection.execute(theirs.values(owner=self._name)).rowcount

    async def forget(self, before_ms: int) -> None:
        """Delete what was confirmed, and the push ids of what was published, before then."""

        def forget(connection: Connection) -> None:
            connection.execute(NOTICES.delete().where(_C.confirmed_at < before_ms))
            connection.execute(PUSHES.delete().where(PUSHES.c.published_at < before_ms))

        await self._store.write(forget)

    async def count(self) -> None:
        """Count what waits."""
        own = _C.owner == self._name, _C.confirmed_at.is_(None)
        statement = select(func.count(), func.min(_C.published_at)).where(*own)
        self._waiting, oldest = await self._store.read(lambda connection: tuple(connection.execute(statement).one()))
        self._oldest = oldest or 0

    def report(self) -> NoticesReport:
        """As counted last."""
        return NoticesReport(waiting=self._waiting, oldest=self._oldest)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        for kind, count in dict(self.published).items():
            yield "intranet_bridge_notices_published_total", "Notices for applications", {"kind": kind}, count
        yield "intranet_bridge_notices_unconfirmed", "Notices that no front has confirmed", {}, self._waiting
        text = "When the oldest notice that no front has confirmed was published; 0: none"
        yield "intranet_bridge_oldest_notice_timestamp_seconds", text, {}, self._oldest / 1000

    # --- by hand --------------------------------------------------------------------------------------------

    def answers(self) -> Mapping[str, Answer]:
        """What an administrator can ask."""
        return {"publish-notice": self.publish}

    async def publish(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Publish one. Raises BridgeError naming the field that is wrong."""
        question = asked(PublishNotice, request)
        notice = Notice.of(question.kind, question.at, question.data)
        count = await self._store.write(partial(self.publish_in, notice=notice, push_id=question.push_id))
        await self._act(
            "publish-notice",
            peer.behind(question.sudo_user),
            kind=notice.kind.value,
            push=question.push_id,
            count=count,
        )
        self.hurry()
        return {"applications": count}


def put_back(connection: Connection) -> None:
    """The database is an older copy: numbers that it would give next may have been given already."""
    insert_new(connection, STREAMS, [{"stream": _ALL, "application": _ALL, "fronts": "", "last": 0}])
    connection.execute(STREAMS.update().values(last=STREAMS.c.last + _LEAP))


def _next(connection: Connection, stream: str, application: str, fronts: str) -> int:
    """The next number of a stream, without a gap. A group's first goes on from what its application had without one."""
    of_all = STREAMS.c.stream == stream, STREAMS.c.application == application
    of = *of_all, STREAMS.c.fronts == fronts
    begins = select(func.max(STREAMS.c.last)).where(or_(STREAMS.c.stream == _ALL, and_(*of_all)))
    floor = connection.execute(begins).scalar() or 0
    row = {"stream": stream, "application": application, "fronts": fronts, "last": floor}
    insert_new(connection, STREAMS, [row])
    counted = STREAMS.update().where(*of).values(last=STREAMS.c.last + 1).returning(STREAMS.c.last)
    return int(connection.execute(counted).scalar_one())


def _due(connection: Connection, owner: str, now: int, resend_after_ms: int, limit: int) -> list[Any]:
    mine = _C.owner == owner, _C.confirmed_at.is_(None)
    of = NOTICES.alias("of").c
    # a value and no EXISTS: PostgreSQL would make that a join of all that wait, and this is a look into an index
    oldest = select(func.min(of.sequence)).where(
        of.stream == _C.stream, of.application == _C.application, of.fronts.in_([_C.fronts, ""]),
        of.confirmed_at.is_(None),
    )  # fmt: skip
    grown = resend_after_ms * _C.sends * _C.sends
    wait_ms = case((grown < _LONGEST_WAIT_MS, grown), else_=_LONGEST_WAIT_MS)
    # sent in the future, before the clock was put back: it has waited long enough
    again = (_C.sent_at + wait_ms < now) | (_C.sent_at > now + _LONGEST_WAIT_MS)
    columns = (_C.id, _C.front, _C.body)
    head = select(*columns).where(*mine, _C.sequence == oldest.scalar_subquery())
    late = list(connection.execute(head.where(_C.sent_at.is_not(None), again).order_by(_C.id).limit(limit)))
    on_way = select(_C.front, func.count()).where(*mine, _C.sent_at.is_not(None)).group_by(_C.front)
    under_way = {row.front: row[1] for row in connection.execute(on_way)}
    fresh: list[Any] = []
    for front in _waited_for(connection, *mine, _C.sent_at.is_(None)):
        room = min(limit, WINDOW - under_way.get(front, 0))
        if room > 0:
            new = head.where(_C.sent_at.is_(None), _C.front == front).order_by(_C.id).limit(room)
            fresh += connection.execute(new)
    return late + fresh


def _waited_for(connection: Connection, *rows: ColumnElement[bool]) -> Iterator[str]:
    """The fronts that rows are for. One look into the index for each: DISTINCT would read all of it."""
    next_front, after = select(func.min(_C.front)).where(*rows), ""
    while front := connection.execute(next_front.where(_C.front > after)).scalar():
        yield front
        after = front

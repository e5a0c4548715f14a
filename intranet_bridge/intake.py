"""Intake: deliveries from the broker are taken apart, each member is judged, and the message is acknowledged.

A message holds 1 to 64 envelopes. Each is judged by itself (`verdict`, a pure function), and a bad one goes to
the dead letters alone. When a message is acknowledged:

- commands: every member is on our disk (inbox) or, if quarantined, on the broker's (receipt of its dead letter);
- queries: every member has been taken by a worker slot, or dropped. (Cumulative and individual acknowledgement
  measured the same, 0.16 ms a query at 64 at once; the cumulative way sends no more than one ACK a turn.)
  Nothing is queued without bound: what finds no slot
  waits unacknowledged, and the broker sends at most `prefetch` messages ahead.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from intranet_bridge.conflict import InboxConflict
from intranet_bridge.inbox import Failed, Inbox, Known, Received, entry
from intranet_bridge.ordering import Ordering, Place
from intranet_bridge.replies import Replies
from intranet_bridge.verdict import Quarantine, authentic_command, fits_schema, verdict
from protocol.envelope import Opened, Opener
from protocol.errors import EnvelopeError, LinkError
from protocol.frames import pack, unpack
from protocol.lifecycle import REPORTED, State
from protocol.link.dead_letter import dead_letter
from protocol.link.port import Delivery, Link
from protocol.operations import Kind
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach, reach_written
from protocol.runtime.logs import logger
from protocol.runtime.outbox import Outbox
from protocol.runtime.region_inbox import INBOX_HEADER, SINCE_HEADER
from protocol.runtime.store import UNWRITABLE, of_the_row
from protocol.runtime.suspects import Suspects
from protocol.values import immutable

log = logger(__name__)

_HOT_ENVELOPES = 20_000
"""With more unfinished commands than this, their sealed requests are read back from the inbox when due."""


class Quarantined:
    """Sends members to the dead letters of the queue they came from, and counts them by reason."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.by_reason: Counter[str] = Counter()

    async def send(self, queue: str, body: bytes, reason: str, request: str = "") -> None:
        """Returns when the broker has it on its disk. Raises LinkError. `request` is its id, where that is known."""
        await self._link.send(dead_letter(queue, body, reason))
        self.by_reason[reason] += 1
        log.warning("quarantined", queue=queue, reason=reason, request=request)


@dataclass(slots=True, eq=False)
class Parcel:
    """A delivery of queries, some of whose members no slot has taken yet."""

    delivery: Delivery
    left: int


@immutable
class Member:
    """A query that waits for a slot."""

    parcel: Parcel
    envelope: bytes = field(repr=False)
    bad: str = ""
    """Why the whole message is to be quarantined, if it is; it waits for its turn all the same, because
    acknowledging it acknowledges all before it."""


class QueryIntake:
    """Queries wait here, sealed, until a slot takes them: so the deadline is judged when it matters."""

    def __init__(self, link: Link, quarantined: Quarantined, conflict: InboxConflict) -> None:
        self._link, self._quarantined, self._conflict = link, quarantined, conflict
        self._members: deque[Member] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._to_ack: dict[int, Delivery] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self.closed = False
        self.messages = 0

    @property
    def waiting(self) -> int:
        """Queries for which no slot was free yet."""
        return len(self._members)

    def handle(self, delivery: Delivery) -> None:
        """The handler of the subscription."""
        if self.closed:
            return
        self.messages += 1
        if INBOX_HEADER in delivery.headers:
            self._conflict.heard(delivery.headers[INBOX_HEADER])
        try:
            envelopes = unpack(delivery.body)
        except EnvelopeError as error:
            self._members.append(Member(Parcel(delivery, 1), delivery.body, error.reason))
            self._wake()
            return
        parcel = Parcel(delivery, len(envelopes))
        self._members.extend([Member(parcel, envelope) for envelope in envelopes])
        for _ in envelopes:
            if not self._wake():
                break

    async def next(self) -> Member:
        """The next query for a slot; its message is acknowledged when its last member was taken."""
        while not self._members:
            idle = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            await idle
        member = self._members.popleft()
        self._taken(member.parcel)
        return member

    def quarantine(self, queue: str, body: bytes, reason: str, request: str = "") -> None:
        """To the dead letters; a query lost on the way there is a query whose caller gets no answer."""
        task = asyncio.get_running_loop().create_task(self._quarantine(queue, body, reason, request))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def close(self) -> None:
        """Take nothing more; what waits was not acknowledged, and the broker gives it to another bridge."""
        self.closed = True
        self._members.clear()

    async def _quarantine(self, queue: str, body: bytes, reason: str, request: str) -> None:
        try:
            await self._quarantined.send(queue, body, reason, request)
        except LinkError:
            log.warning("not-quarantined", queue=queue, reason=reason)

    def _wake(self) -> bool:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return True
        return False

    def _taken(self, parcel: Parcel) -> None:
        parcel.left -= 1
        if parcel.left:
            return
        # Members leave in the order of delivery, so acknowledging the last whole message of this turn of the
        # loop acknowledges those before it (AckMode.CUMULATIVE): one ACK frame a turn, not one a message. Only
        # those of the same connection: there may be one to each broker.
        if not self._to_ack:
            asyncio.get_running_loop().call_soon(self._ack)
        self._to_ack[parcel.delivery.epoch] = parcel.delivery

    def _ack(self) -> None:
        last, self._to_ack = self._to_ack, {}
        for delivery in last.values():
            self._link.ack(delivery)


@dataclass(slots=True)
class Judged:
    """What the members of a message are."""

    good: list[Received] = field(default_factory=list)
    bad: list[tuple[bytes, str, str]] = field(default_factory=list)
    """For the dead letters, with the reason and, where it is known, the request's id."""
    since: int = 0
    """Epoch ms: what was sealed before may have been in another inbox."""

    def unpacked(self, delivery: Delivery) -> list[bytes]:
        """The members; none, and the whole message bad, if it cannot be taken apart."""
        try:
            return unpack(delivery.body)
        except EnvelopeError as error:
            self.bad.append((delivery.body, error.reason, ""))
            return []


class CommandIntake:
    """Commands go to the inbox, and from there to the worker."""

    def __init__(
        self,
        *,
        link: Link,
        opener: Opener,
        inbox: Inbox,
        ordering: Ordering,
        outbox: Outbox,
        quarantined: Quarantined,
        suspects: Suspects,
        replies: Replies,
        bound: Container[str],
        backlog: int,
        clock: Clock,
        ready: Callable[[], None],
    ) -> None:
        """`ready` is called when there is new work in `ordering`."""
        self._link, self._opener, self._inbox, self._ordering = link, opener, inbox, ordering
        self._outbox, self._quarantined, self._suspects, self._bound = outbox, quarantined, suspects, bound
        self._replies = replies
        self._backlog, self._clock, self._ready = backlog, clock, ready
        self._held_back: deque[Delivery] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self.closed = False
        self.taken = self.again = self.messages = self.misaddressed = 0

    def handle(self, delivery: Delivery) -> None:
        """The handler of the subscription."""
        if self.closed:
            return
        if len(self._ordering) >= self._backlog:
            self._held_back.append(delivery)  # at most `prefetch` of them
            return
        if delivery.headers.get(INBOX_HEADER, self._inbox.id) != self._inbox.id:
            # Its broker knows no selectors. Left unacknowledged: its front sends it again until the right one has it.
            self.misaddressed += 1
            log.error("command-for-another-inbox", inbox=self._inbox.id, meant=delivery.headers[INBOX_HEADER][:36])
            return
        self.messages += 1
        task = asyncio.get_running_loop().create_task(self._take(delivery))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def resume(self) -> None:
        """Take what was held back, if there is room again."""
        while self._held_back and len(self._ordering) < self._backlog and not self.closed:
            delivery = self._held_back.popleft()
            if self._link.current(delivery):
                self.handle(delivery)

    async def close(self) -> None:
        """Take nothing more, and finish recording what was begun."""
        self.closed = True
        if self._running:
            await asyncio.wait(self._running, timeout=5)

    async def _take(self, delivery: Delivery) -> None:
        reach(Point.BRIDGE_DELIVERED)
        judged = None if self._suspects.careful(delivery) else self._judged(delivery)
        wait_s = 0.1
        while True:
            try:
                if judged is None:
                    judged = await self._carefully_judged(delivery)
                good, bad = judged.good, judged.bad
                if good:
                    await self._record(good, bad)
                while bad and self._link.current(delivery):
                    await self._quarantined.send(delivery.destination, *bad[0])
                    reach(Point.BRIDGE_QUARANTINED)
                    bad.pop(0)
            except Exception as error:
                # Not acknowledged, so nothing is lost; a full disk or a lost link may come right again. What a lost
                # connection brought comes again, perhaps to another bridge, and its dead letters are left to that
                # delivery. But a commit that seemed to fail may have been done, and then the rows are ours to work
                # on: so go on until we know.
                log.error("command-not-recorded", error=type(error).__name__)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 5.0)
                continue
            self._link.ack(delivery)
            reach_written(Point.BRIDGE_ACKNOWLEDGED)
            return

    async def _record(self, good: list[Received], bad: list[tuple[bytes, str, str]]) -> None:
        """Write rows down; empties `good`. One that the database refuses for what is in it goes to `bad`, alone:
        however often it were tried, the others would wait behind it.
        """
        try:
            known = await self._inbox.record(good)
        except Exception as error:
            if not of_the_row(error):
                raise
            if len(good) > 1:
                for row in tuple(good):
                    await self._record([row], bad)
                    good.remove(row)
                return
            row = good.pop()
            log.error("row-not-writable", request=row.id, operation=row.operation, error=type(error).__name__)
            bad.append((pack([row.envelope]) if row.envelope else b"", UNWRITABLE, row.id))
            return
        reach(Point.BRIDGE_RECEIVED_COMMITTED)
        self._recorded(good, known)
        good.clear()

    def _judged(self, delivery: Delivery) -> Judged:
        judged = Judged(since=_since(delivery))
        for envelope in judged.unpacked(delivery):
            self._judge(envelope, judged)
        return judged

    async def _carefully_judged(self, delivery: Delivery) -> Judged:
        """The same for what came before: each member is named on disk before it is opened (see suspects.py)."""
        async with self._suspects.turn():
            judged = Judged(since=_since(delivery))
            for envelope in judged.unpacked(delivery):
                try:
                    await self._suspects.take(envelope)
                except EnvelopeError as error:
                    judged.bad.append((pack([envelope]), error.reason, error.request))
                    continue
                self._judge(envelope, judged)
        return judged

    def _judge(self, envelope: bytes, judged: Judged) -> None:
        now = self._clock()
        try:
            self._suspects.check(envelope)
            opened = authentic_command(self._opener, envelope, now)
        except EnvelopeError as error:
            judged.bad.append((pack([envelope]), error.reason, error.request))
            return
        attributes = opened.attributes
        reach(Point.BRIDGE_OPENED, attributes.id)
        match verdict(attributes, Kind.COMMAND, self._bound, now):
            case Quarantine(reason):
                judged.bad.append((pack([envelope]), reason, attributes.id))
            case _:
                judged.good.append(self._received(opened, envelope, judged.since))

    def _received(self, opened: Opened, envelope: bytes, since: int) -> Received:
        """The row. A body that does not fit its schema is answered at once, and its digest is kept instead of it."""
        a = opened.attributes
        after = a.after if a.version > 1 else None
        state = State.RECEIVED if a.time >= since else State.UNKNOWN
        row = Received(a.id, a.type, a.source, a.subject, a.reply_to, a.deadline, envelope, after, state)
        if state is State.UNKNOWN or fits_schema(a, opened.payload):
            return row
        reason = "the bridge's catalogue does not accept this request"
        digest, size = sha256(opened.payload).hexdigest(), len(opened.payload)
        log.warning("command-not-accepted", request=a.id, operation=a.type, size=size, sha256=digest)
        sealed = self._replies.sealed(a, State.FAILED, "invalid-request", reason)
        note = f"{reason}; its body was not kept: {size} bytes, SHA-256 {digest}"
        return replace(row, envelope=b"", failed=Failed("invalid-request", note, sealed))

    def _recorded(self, rows: list[Received], known: Sequence[Known | None]) -> None:
        for row, before in zip(rows, known, strict=True):
            if before is None:
                self.taken += 1
                if row.failed is not None:
                    self._outbox.offer(entry(row.id, State.FAILED, row.reply_to, row.failed.reply))
                    continue
                hot = row.envelope if len(self._ordering) < _HOT_ENVELOPES else None
                self._ordering.add(_place(row, row.state, hot))
                continue
            self.again += 1
            if before.ours and row.id not in self._ordering:
                # recorded by a commit whose success was not heard of: nobody else would begin with it
                self._ordering.add(_place(row, before.state))
            state, reply = before.state, before.reply
            if state in REPORTED and reply is not None:
                self._outbox.offer(entry(row.id, state, row.reply_to, reply))
        self._ready()


def _since(delivery: Delivery) -> int:
    """From the front's header; 0 without one, or with one no front wrote."""
    said = delivery.headers.get(SINCE_HEADER, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 16 else 0


def _place(row: Received, state: State, envelope: bytes | None = None) -> Place:
    recovered = state is State.UNKNOWN
    return Place(row.id, row.operation, row.subject, state, envelope=envelope, after=row.after, recovered=recovered)

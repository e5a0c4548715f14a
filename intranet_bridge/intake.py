"""Intake: deliveries from the broker are taken apart, each member is judged, and the message is acknowledged.

A message holds 1 to 64 envelopes. Each is judged by itself (`verdict`, a pure function), and a bad one goes to
the dead letters alone. When a message is acknowledged:

- commands: every member is on our disk (inbox) or, if quarantined, on the broker's (receipt of its dead letter);
- queries: every member has been taken by a worker slot, or dropped. (Cumulative and individual acknowledgement
  measured the same, 0.16 ms a query at 64 at once; the cumulative way sends no more than one ACK a turn.)
  Nothing is queued without bound: what finds no slot
  waits unacknowledged, and the broker sends at most `prefetch` messages ahead.

Commands are recorded in the order of their delivery, also when the disk fails for a time: what arrives meanwhile
waits behind what could not be written.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Container, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import InterfaceError, OperationalError

from intranet_bridge.inbox import Inbox, Known, Received, entry
from intranet_bridge.ordering import Ordering, Place
from intranet_bridge.verdict import Quarantine, authentic_command, verdict
from protocol.envelope import Opener
from protocol.errors import EnvelopeError, LinkError
from protocol.frames import pack, unpack
from protocol.lifecycle import REPORTED, State
from protocol.link.dead_letter import dead_letter
from protocol.link.port import Delivery, Link
from protocol.operations import Kind
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.outbox import Outbox

log = logger(__name__)

_HOT_ENVELOPES = 20_000
"""With more unfinished commands than this, their sealed requests are read back from the inbox when due."""


class Quarantined:
    """Sends members to the dead letters of the queue they came from, and counts them by reason."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.by_reason: Counter[str] = Counter()

    async def send(self, queue: str, body: bytes, reason: str) -> None:
        """Returns when the broker has it on its disk. Raises LinkError."""
        await self._link.send(dead_letter(queue, body, reason))
        self.by_reason[reason] += 1
        log.warning("quarantined", queue=queue, reason=reason)


@dataclass(slots=True, eq=False)
class Parcel:
    """A delivery of queries, some of whose members no slot has taken yet."""

    delivery: Delivery
    left: int


@dataclass(frozen=True, slots=True)
class Member:
    """A query that waits for a slot."""

    parcel: Parcel
    envelope: bytes = field(repr=False)
    bad: str = ""
    """Why the whole message is to be quarantined, if it is; it waits for its turn all the same, because
    acknowledging it acknowledges all before it."""


class QueryIntake:
    """Queries wait here, sealed, until a slot takes them: so the deadline is judged when it matters."""

    def __init__(self, link: Link, quarantined: Quarantined) -> None:
        self._link, self._quarantined = link, quarantined
        self._members: deque[Member] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._to_ack: Delivery | None = None
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

    def quarantine(self, queue: str, body: bytes, reason: str) -> None:
        """To the dead letters; a query lost on the way there is a query whose caller gets no answer."""
        task = asyncio.get_running_loop().create_task(self._quarantine(queue, body, reason))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def close(self) -> None:
        """Take nothing more; what waits was not acknowledged, and the broker gives it to another bridge."""
        self.closed = True
        self._members.clear()

    async def _quarantine(self, queue: str, body: bytes, reason: str) -> None:
        try:
            await self._quarantined.send(queue, body, reason)
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
        # loop acknowledges those before it (AckMode.CUMULATIVE): one ACK frame a turn, not one a message.
        if self._to_ack is None:
            asyncio.get_running_loop().call_soon(self._ack)
        self._to_ack = parcel.delivery

    def _ack(self) -> None:
        delivery, self._to_ack = self._to_ack, None
        if delivery is not None:
            self._link.ack(delivery)


Judged = tuple[Delivery, list[Received], list[tuple[bytes, str]]]
"""A delivery, its good members, and its bad ones with the reason."""

_PASSING = (OperationalError, InterfaceError, OSError)
"""Failures of the database that say nothing of what was to be written."""


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
        bound: Container[str],
        backlog: int,
        clock: Clock,
        ready: Callable[[], None],
    ) -> None:
        """`ready` is called when there is new work in `ordering`."""
        self._link, self._opener, self._inbox, self._ordering = link, opener, inbox, ordering
        self._outbox, self._quarantined, self._bound = outbox, quarantined, bound
        self._backlog, self._clock, self._ready = backlog, clock, ready
        self._held_back: deque[Delivery] = deque()
        self._arrived: deque[Delivery] = deque()
        self._recording: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()
        self.closed = False
        self.taken = self.again = self.messages = 0

    def handle(self, delivery: Delivery) -> None:
        """The handler of the subscription."""
        if self.closed:
            return
        if len(self._ordering) >= self._backlog:
            self._held_back.append(delivery)  # at most `prefetch` of them
            return
        self.messages += 1
        self._arrived.append(delivery)
        if self._recording is None:
            self._recording = self._run(self._record_all())

    def resume(self) -> None:
        """Take what was held back, if there is room again."""
        while self._held_back and len(self._ordering) < self._backlog and not self.closed:
            delivery = self._held_back.popleft()
            if delivery.epoch == self._link.epoch:
                self.handle(delivery)

    async def close(self) -> None:
        """Take nothing more, and finish recording what was begun."""
        self.closed = True
        if self._running:
            await asyncio.wait(self._running, timeout=5)

    async def _record_all(self) -> None:
        # One write at a time, of all that came during the one before: the group commit gains nothing by more
        try:
            while self._arrived:
                judged = [(delivery, *self._judged(delivery)) for delivery in self._arrived]
                self._arrived.clear()
                await self._take(judged)
        finally:
            self._recording = None

    async def _take(self, judged: list[Judged]) -> None:
        wait_s = 0.1
        while True:
            rows = [row for _, good, _ in judged for row in good]
            try:
                self._recorded(rows, await self._inbox.record(rows) if rows else ())
                break
            except Exception as error:
                # Not acknowledged, so nothing is lost; a full disk may come right again
                log.error("command-not-recorded", error=type(error).__name__)
                if len(judged) > 1 and not isinstance(error, _PASSING):
                    for one in judged:  # one of them cannot be written, ever: it must not stop the others
                        self._run(self._take([one]))
                    return
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 5.0)
                # of an earlier connection: the broker delivers it again
                judged = [one for one in judged if one[0].epoch == self._link.epoch]
        for delivery, _, bad in judged:
            if bad:
                self._run(self._set_aside(delivery, bad))
            else:
                self._link.ack(delivery)

    async def _set_aside(self, delivery: Delivery, bad: list[tuple[bytes, str]]) -> None:
        wait_s = 0.1
        while delivery.epoch == self._link.epoch:
            try:
                while bad:
                    await self._quarantined.send(delivery.destination, *bad[0])
                    bad.pop(0)
            except Exception as error:
                log.error("command-not-quarantined", error=type(error).__name__)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 5.0)
                continue
            self._link.ack(delivery)
            return

    def _run(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _judged(self, delivery: Delivery) -> tuple[list[Received], list[tuple[bytes, str]]]:
        good: list[Received] = []
        bad: list[tuple[bytes, str]] = []
        now = self._clock()
        try:
            envelopes = unpack(delivery.body)
        except EnvelopeError as error:
            return good, [(delivery.body, error.reason)]
        for envelope in envelopes:
            try:
                attributes = authentic_command(self._opener, envelope, now).attributes
            except EnvelopeError as error:
                bad.append((pack([envelope]), error.reason))
                continue
            match verdict(attributes, Kind.COMMAND, self._bound, now):
                case Quarantine(reason):
                    bad.append((pack([envelope]), reason))
                case _:
                    a = attributes
                    good.append(Received(a.id, a.type, a.source, a.subject, a.reply_to, a.deadline, envelope))
        return good, bad

    def _recorded(self, rows: list[Received], known: Sequence[Known | None]) -> None:
        for row, before in zip(rows, known, strict=True):
            if before is None:
                self.taken += 1
                hot = row.envelope if len(self._ordering) < _HOT_ENVELOPES else None
                self._ordering.add(Place(row.id, row.operation, row.subject, State.RECEIVED, envelope=hot))
                continue
            self.again += 1
            state, reply = before.state, before.reply
            if state in REPORTED and reply is not None:
                self._outbox.offer(entry(row.id, state, row.reply_to, reply))
        self._ready()

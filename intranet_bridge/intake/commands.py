"""Commands from the broker: opened, judged, written down in the inbox, then acknowledged."""

import asyncio
from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from intranet_bridge.inbox.inbox import Failed, Inbox, Known, Received, entry
from intranet_bridge.inbox.ordering import Ordering, Place
from intranet_bridge.intake.dead_letters import DeadLetters
from intranet_bridge.intake.verdict import Quarantine, authentic_command, fits_schema, verdict
from intranet_bridge.replies import Replies
from protocol.envelope import Opened, Opener
from protocol.errors import EnvelopeError
from protocol.frames import pack, unpack
from protocol.lifecycle import REPORTED, State
from protocol.link.port import Delivery, Link
from protocol.operations import Kind
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach, reach_written
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.outbox import Outbox
from protocol.runtime.region_inbox import INBOX_HEADER, SINCE_HEADER
from protocol.runtime.store import UNWRITABLE, of_the_row
from protocol.runtime.suspects import Suspects

log = logger(__name__)

_HOT_ENVELOPES = 20_000
"""With more unfinished commands than this, their sealed requests are read back from the inbox when due."""


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
        quarantined: DeadLetters,
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

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield "bridge_misaddressed_total", "Frames of commands for another inbox, not taken", {}, self.misaddressed
        yield "bridge_commands_again_total", "Commands that arrived once more", {}, self.again


def _since(delivery: Delivery) -> int:
    """From the front's header; 0 without one, or with one no front wrote."""
    said = delivery.headers.get(SINCE_HEADER, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 16 else 0


def _place(row: Received, state: State, envelope: bytes | None = None) -> Place:
    recovered = state is State.UNKNOWN
    return Place(row.id, row.operation, row.subject, state, envelope=envelope, after=row.after, recovered=recovered)

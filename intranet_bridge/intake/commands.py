"""Commands from the broker: opened, judged, written down in the inbox, then acknowledged."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence

from intranet_bridge.inbox.inbox import Inbox, entry
from intranet_bridge.inbox.ordering import Ordering, QueuedCommand
from intranet_bridge.inbox.paging import Paging
from intranet_bridge.inbox.rows import Known, Received
from intranet_bridge.intake.dead_letters import DeadLetters
from intranet_bridge.intake.judge import CommandJudge, FrontDecision
from intranet_bridge.intake.repetition import Repetitions
from protocol.backoff import Backoff
from protocol.errors import EnvelopeError
from protocol.frames import pack
from protocol.lifecycle import REPORTED, State
from protocol.link.port import Delivery, Link
from protocol.runtime.crash_points import Point, reach, reach_written
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.outbox import Outbox
from protocol.runtime.region_inbox import INBOX_HEADER
from protocol.runtime.retry import now_and_then, until_done
from protocol.runtime.store import UNWRITABLE, of_the_row
from protocol.runtime.store_health import said

log = logger(__name__)

_AGAIN = Backoff(0.1, 5.0, lambda: 0.0)
_AT_ONCE = 512
"""Messages being recorded. While the database takes none, each new connection to the broker brings them once more."""
_HOT_ENVELOPES = 20_000
"""With more unfinished commands than this, their sealed requests are read back from the inbox when due."""
_HOT_BODIES = 2_000
"""With more, they are opened and read again when due: what they say takes several times the memory."""


async def _no_notices(_receipts: Sequence[tuple[str, str]]) -> None:
    """Nobody sends any."""


class CommandIntake:
    """Commands go to the inbox, and from there to the worker."""

    def __init__(
        self,
        *,
        link: Link,
        judge: CommandJudge,
        inbox: Inbox,
        ordering: Ordering,
        paging: Paging,
        outbox: Outbox,
        dead_letters: DeadLetters,
        backlog: int,
        decide: Callable[[FrontDecision, int], Awaitable[None]],
        repetitions: Repetitions | None = None,
        from_peer: Callable[[bytes, int], Awaitable[None]] | None = None,
        confirmed: Callable[[Sequence[tuple[str, str]]], Awaitable[None]] = _no_notices,
    ) -> None:
        """`backlog`: with so many unfinished commands no more are taken. `decide` is given what operators at fronts
        decided, and since when the inbox is the region's; `from_peer` likewise what another region's bridge sent, and
        raises EnvelopeError for what is not to be taken; `confirmed` the notices that fronts have, with who says so.
        """
        self._confirmed, self._from_peer = confirmed, from_peer
        self._decide = decide
        self._link, self._judge, self._inbox, self._ordering = link, judge, inbox, ordering
        self._outbox, self._dead_letters, self.backlog = outbox, dead_letters, backlog
        self._repetitions, self._paging = repetitions, paging
        ordering.room.connect(self.resume)
        self._held_back: deque[Delivery] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self.closed = False
        self.taken = self.duplicates = self.messages = self.misaddressed = 0

    def handle(self, delivery: Delivery) -> None:
        """The handler of the subscription."""
        if self.closed:
            return
        if not self._has_room():
            # at most `prefetch` of them: what an earlier connection brought comes again
            self._held_back = deque(one for one in self._held_back if self._link.current(one))
            self._held_back.append(delivery)
            return
        if delivery.headers.get(INBOX_HEADER, self._inbox.id) != self._inbox.id:
            # Its broker knows no selectors. Left unacknowledged: its front sends it again until the right one has it.
            self.misaddressed += 1
            log.error("command-for-another-inbox", inbox=self._inbox.id, meant=delivery.headers[INBOX_HEADER][:36])
            return
        self.messages += 1
        task = asyncio.get_running_loop().create_task(self._take(delivery))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _has_room(self) -> bool:
        return len(self._paging) < self.backlog and len(self._running) < _AT_ONCE

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self.resume()

    def resume(self) -> None:
        """Take what was held back, if there is room again."""
        while self._held_back and self._has_room() and not self.closed:
            delivery = self._held_back.popleft()
            if self._link.current(delivery):
                self.handle(delivery)

    async def close(self) -> None:
        """Take nothing more, and finish recording what was begun."""
        self.closed = True
        self._held_back.clear()
        if self._running:
            await asyncio.wait(self._running, timeout=5)

    def reopen(self) -> None:
        """Take again."""
        self.closed = False

    async def _take(self, delivery: Delivery) -> None:
        reach(Point.BRIDGE_DELIVERED)
        judged = None if self._judge.careful(delivery) else self._judge.judged(delivery)

        async def settle() -> None:
            nonlocal judged
            if judged is None:
                judged = await self._judge.carefully_judged(delivery)
            good, bad = judged.good, judged.bad
            if good:
                if judged.gap is not None and self._repetitions is not None:
                    await self._repetitions.look(judged.gap)
                    good[:] = [self._repetitions.judged(row, judged.gap, self._judge.held) for row in good]
                await self._record(good, bad)
            if judged.receipts:
                await self._confirmed(judged.receipts)
                judged.receipts.clear()
            while judged.decisions:
                await self._decide(judged.decisions[0], judged.since)
                judged.decisions.pop(0)
            while judged.peers and self._from_peer is not None:
                envelope = judged.peers[0]
                try:
                    await self._from_peer(envelope, judged.since)
                except EnvelopeError as error:
                    bad.append((pack([envelope]), error.reason, error.request))
                judged.peers.pop(0)
            while bad and self._link.current(delivery):
                await self._dead_letters.send(delivery.destination, *bad[0])
                reach(Point.BRIDGE_QUARANTINED)
                bad.pop(0)

        # Not acknowledged, so nothing is lost; a full disk or a lost link may come right again. What a lost connection
        # brought comes again, perhaps to another bridge, and its dead letters are left to that delivery. But a commit
        # that seemed to fail may have been done, and then the rows are ours to work on: so go on until we know.
        await until_done(settle, _AGAIN, _not_recorded)
        self._link.ack(delivery)
        reach_written(Point.BRIDGE_ACKNOWLEDGED)

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
            log.error("row-not-writable", request_id=row.id, operation=row.operation, error=type(error).__name__)
            bad.append((pack([row.envelope]) if row.envelope else b"", UNWRITABLE, row.id))
            return
        reach(Point.BRIDGE_RECEIVED_COMMITTED)
        self._recorded(good, known)
        good.clear()

    def _recorded(self, rows: list[Received], known: Sequence[Known | None]) -> None:
        for row, before in zip(rows, known, strict=True):
            if before is None:
                self.taken += 1
                if row.failed is not None:
                    self._outbox.offer(entry(row.id, row.failed.state, row.reply_to, row.failed.reply))
                    continue
                command, waiting = _queued(row, row.state), len(self._ordering)
                if waiting < _HOT_ENVELOPES:
                    command.envelope = row.envelope
                if waiting < _HOT_BODIES:
                    command.opened, command.body = row.opened, row.body
                self._paging.add(command)
                continue
            self.duplicates += 1
            if before.ours:
                # perhaps recorded by a commit whose success was not heard of: nobody else would begin with it
                self._paging.add(_queued(row, before.state), new=False)
            state, reply = before.state, before.reply
            if state in REPORTED and reply is not None:
                self._outbox.offer(entry(row.id, state, row.reply_to, reply))
        self._ordering.work.send()

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        text = "Frames of commands for another inbox, not taken"
        yield "intranet_bridge_misaddressed_total", text, {}, self.misaddressed
        yield "intranet_bridge_commands_redelivered_total", "Commands that arrived once more", {}, self.duplicates


def _queued(row: Received, state: State) -> QueuedCommand:
    recovered = state is State.UNKNOWN
    return QueuedCommand(row.id, row.operation, row.subject, state, after=row.after, recovered=recovered)


def _not_recorded(error: Exception, failures: int) -> None:
    if now_and_then(failures):
        log.error("command-not-recorded", reason=said(error), failures=failures)

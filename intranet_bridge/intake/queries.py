"""Queries from the broker wait here, sealed, until a slot takes them: so the deadline is judged when it matters.

Nothing is queued without bound: what finds no slot waits unacknowledged, and the broker sends at most `prefetch`
messages ahead. Acknowledgement is cumulative and late: one ACK for a quarter of `prefetch`, or for what was taken in
`ACK_S`. An ACK is a TLS record for the bridge, and two reads and a wake-up for the broker: one for each query is a
tenth of the broker's work while queries come one at a time. What was taken and is not acknowledged when the connection
is lost comes again, and is known by its id, or asked again by another bridge: a query does no harm twice.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from intranet_bridge.intake.conflict import InboxConflict
from intranet_bridge.intake.dead_letters import DeadLetters
from protocol.errors import EnvelopeError, LinkError
from protocol.frames import unpack
from protocol.link.port import Delivery, Link
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.region_inbox import INBOX_HEADER
from protocol.values import immutable

log = logger(__name__)

ACK_S = 0.05
"""What was taken is acknowledged after so long."""


@dataclass(slots=True, eq=False)
class QueryDelivery:
    """A delivery of queries, some of whose members no slot has taken yet."""

    delivery: Delivery
    left: int


@immutable
class QueuedQuery:
    """A query that waits for a slot."""

    message: QueryDelivery
    envelope: bytes = field(repr=False)
    bad: str = ""
    """Why the whole message is to be quarantined, if it is; it waits for its turn all the same, because
    acknowledging it acknowledges all before it."""


@dataclass(slots=True, eq=False)
class ResumedQuery:
    """A query that a slot took before, and that had to wait for something else."""

    work: Callable[[], Awaitable[None]]
    """What is left to do."""


class QueryIntake:
    """Queries wait here, sealed, until a slot takes them: so the deadline is judged when it matters."""

    def __init__(
        self, link: Link, dead_letters: DeadLetters, conflict: InboxConflict, prefetch: int,
        of_a_front: Callable[[bytes], bool] = lambda _envelope: True,
    ) -> None:  # fmt: skip
        """`prefetch`: messages the broker sends ahead of acknowledgement. `of_a_front`: whether a front that is known
        signed an envelope.
        """
        self._link, self._dead_letters, self._conflict = link, dead_letters, conflict
        self._of_a_front = of_a_front
        self._most_to_ack = max(1, prefetch // 4)
        self._members: deque[QueuedQuery] = deque()
        self._resumed: deque[ResumedQuery] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._to_ack: dict[int, Delivery] = {}
        """The last whole message that was taken, by connection."""
        self._taken_since_ack = 0
        self._ack_timer: asyncio.TimerHandle | None = None
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
            self._members.append(QueuedQuery(QueryDelivery(delivery, 1), delivery.body, error.reason))
            self._wake()
            return
        # it stops commands, and nothing seals a header: whoever can write to the queue could say it with any bytes
        if INBOX_HEADER in delivery.headers and self._of_a_front(envelopes[0]):
            self._conflict.heard(delivery.headers[INBOX_HEADER])
        message = QueryDelivery(delivery, len(envelopes))
        self._members.extend([QueuedQuery(message, envelope) for envelope in envelopes])
        for _ in envelopes:
            if not self._wake():
                break

    def resume(self, query: ResumedQuery) -> None:
        """It goes before those that were never taken."""
        self._resumed.append(query)
        self._wake()

    async def next(self) -> QueuedQuery | ResumedQuery:
        """The next query for a slot; its message is acknowledged when its last member was taken."""
        while not (self._members or self._resumed):
            idle = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            await idle
        if self._resumed:
            return self._resumed.popleft()
        member = self._members.popleft()
        self._taken(member.message)
        return member

    def quarantine(self, queue: str, body: bytes, reason: str, request: str = "") -> None:
        """To the dead letters; a query lost on the way there is a query whose caller gets no answer."""
        task = asyncio.get_running_loop().create_task(self._quarantine(queue, body, reason, request))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def close(self) -> None:
        """Take nothing more; what waits is not acknowledged, and the broker gives it to another bridge."""
        self.closed = True
        self._members.clear()
        self._ack()

    def reopen(self) -> None:
        """Take again."""
        self.closed = False

    async def _quarantine(self, queue: str, body: bytes, reason: str, request: str) -> None:
        try:
            await self._dead_letters.send(queue, body, reason, request)
        except LinkError:
            log.warning("not-quarantined", queue=queue, reason=reason)

    def _wake(self) -> bool:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return True
        return False

    def _taken(self, message: QueryDelivery) -> None:
        message.left -= 1
        if message.left:
            return
        # Members leave in the order of delivery, so acknowledging the last whole message acknowledges those before it
        # (AckMode.CUMULATIVE). Only those of the same connection: there may be one to each broker.
        self._to_ack[message.delivery.epoch] = message.delivery
        self._taken_since_ack += 1
        if self._taken_since_ack >= self._most_to_ack:
            self._ack()
        elif self._ack_timer is None:
            self._ack_timer = asyncio.get_running_loop().call_later(ACK_S, self._ack_in_time)

    def _ack_in_time(self) -> None:
        self._ack_timer = None
        self._ack()

    def _ack(self) -> None:
        last, self._to_ack, self._taken_since_ack = self._to_ack, {}, 0
        for delivery in last.values():
            self._link.ack(delivery)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield "intranet_bridge_queries_waiting", "Queries without a slot", {}, self.waiting

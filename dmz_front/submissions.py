"""What the bridge has this front route to another region's bridge: opened as far as the region, and put on its queue.

Nothing is kept: a message is acknowledged once the broker has given a receipt for what was sent on, so a front that
dies between sends it twice, and never not at all (protocol/submissions.py). What is for a region that is not configured
is let go, for who asks sends it again until it is answered, and is told of to who looks after the front.
"""

import asyncio
from collections.abc import Iterator
from functools import partial

from protocol.backoff import Backoff
from protocol.destinations import commands, submissions
from protocol.envelope import Kind, Opener
from protocol.errors import EnvelopeError, Malformed
from protocol.frames import pack, unpack
from protocol.link.dead_letter import dead_letter
from protocol.link.lane import Lane
from protocol.link.port import AckMode, Delivery, Link, Subscription
from protocol.messages import Reply
from protocol.reports.front import UnroutedReport
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.retry import now_and_then, until_done
from protocol.runtime.store_health import said
from protocol.submissions import TYPE, Submission

log = logger(__name__)

_AGAIN = Backoff(0.1, 5.0, lambda: 0.0)
_PREFETCH = 64


class Submissions:
    """Of one front."""

    def __init__(
        self, *, link: Link, lane: Lane, opener: Opener, front: str, regions: frozenset[str], clock: Clock
    ) -> None:
        """`link`: from the bridge. `lane`: to the queues of `regions`, and to no inbox of ours."""
        self._link, self._lane, self._opener, self._front = link, lane, opener, front
        self._regions, self._clock = regions, clock
        self._running: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._unrouted: dict[str, UnroutedReport] = {}
        self.routed = 0
        self.closed = False

    def start(self) -> None:
        """Take what there is."""
        self._link.subscribe(Subscription(submissions(self._front), self.handle, AckMode.INDIVIDUAL, _PREFETCH))

    async def close(self) -> None:
        """Take nothing more; what has no receipt comes again."""
        self.closed = True
        if self._running:
            await asyncio.wait(self._running, timeout=5)
        for task in self._running:
            task.cancel()

    def handle(self, delivery: Delivery) -> None:
        """The handler of the subscription."""
        if self.closed:
            return
        task = asyncio.get_running_loop().create_task(self._take(delivery))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _take(self, delivery: Delivery) -> None:
        reach(Point.FRONT_SUBMISSION_DELIVERED)
        async with self._turn:  # in their order
            await until_done(partial(self._route, delivery), _AGAIN, _not_routed)
        self._link.ack(delivery)

    async def _route(self, delivery: Delivery) -> None:
        """Send the members on. Raises LinkError; then all are sent again."""
        if not self._link.current(delivery):
            return  # it comes again, by the connection that there is now
        try:
            envelopes = unpack(delivery.body)
        except EnvelopeError as error:
            await self._set_aside(delivery, delivery.body, error)
            return
        receipts: list[asyncio.Future[None]] = []
        for envelope in envelopes:
            try:
                submission = self._opened(envelope)
            except EnvelopeError as error:
                await self._set_aside(delivery, pack([envelope]), error)
                continue
            if submission.region not in self._regions:
                self._let_go(submission.region)
                continue
            receipts.append(self._lane.post(commands(submission.region), submission.envelope))
        for receipt in receipts:
            await receipt
        reach(Point.FRONT_SUBMISSION_SENT)
        self.routed += len(receipts)

    def _opened(self, envelope: bytes) -> Submission:
        opened = self._opener.open(envelope, now_ms=self._clock(), expect=Kind.REPLY)
        if opened.attributes.type != TYPE:
            raise Malformed("not a submission")
        return Submission.from_payload(Reply.from_payload(opened.attributes, opened.payload).result)

    def _let_go(self, region: str) -> None:
        now = self._clock()
        before = self._unrouted.get(region) or UnroutedReport(region=region, count=0, since=now, last=now)
        self._unrouted[region] = before.model_copy(update={"count": before.count + 1, "last": now})
        if now_and_then(before.count + 1):
            log.warning("submission-unrouted", region=region, count=before.count + 1)

    async def _set_aside(self, delivery: Delivery, body: bytes, error: EnvelopeError) -> None:
        log.warning("submission-refused", reason=error.reason)
        await self._link.send(dead_letter(delivery.destination, body, error.reason))

    def report(self) -> tuple[UnroutedReport, ...]:
        """What is not routed."""
        return tuple(self._unrouted.values())

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        text = "Messages routed to other regions' bridges"
        yield "dmz_front_submissions_routed_total", text, {}, self.routed
        text = "Messages for regions that submissions.regions does not name"
        for one in self.report():
            yield "dmz_front_submissions_unrouted_total", text, {"region": one.region}, one.count


def _not_routed(error: Exception, failures: int) -> None:
    if now_and_then(failures):
        log.warning("submission-not-routed", reason=said(error), failures=failures)

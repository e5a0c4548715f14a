"""Replies come home: opened, matched to the request that waits, and for commands written down first.

::

    query reply    ─► open ─► wake the caller                      (acknowledged by being delivered)
    command reply  ─► open ─► ledger commit ─► acknowledge ─► wake the caller
    presence       ─► open ─► bridges attached
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence

from sqlalchemy.exc import SQLAlchemyError
from tenacity import AsyncRetrying, RetryCallState, retry_if_not_exception_type, wait_exponential_jitter

from dmz_front.ledger.ledger import Ledger, ReportedOutcome
from dmz_front.notices.ledger import Arrived
from dmz_front.replies.bridges import Bridges
from protocol import destinations
from protocol.attachments import TYPE as ATTACHMENT
from protocol.decisions import TYPE as DECISION
from protocol.envelope import SKEW_MS, Kind, Opened, Opener
from protocol.errors import EnvelopeError, Expired, ForAnother, LinkError, PoisonMessage, Stale, WrongKind
from protocol.file_transfer import TYPE as FILE
from protocol.frames import pack, unpack
from protocol.lifecycle import REPORTED
from protocol.link.dead_letter import dead_letter
from protocol.link.port import AckMode, Delivery, Link, Subscription
from protocol.messages import Reply
from protocol.notices import TYPE as NOTICE
from protocol.notices import Dispatch
from protocol.presence import Presence
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.poison import PoisonMessages
from protocol.runtime.request_log import RequestLog
from protocol.runtime.skew import Skews
from protocol.runtime.store import UNWRITABLE, of_the_row
from protocol.runtime.store_health import said

log = logger(__name__)

PREFETCH = 256
"""Reply frames the broker sends ahead; each holds up to 64 replies."""


class Waiters:
    """Who waits for which request. A caller that gives up simply leaves."""

    def __init__(self) -> None:
        self._futures: dict[str, asyncio.Future[Reply]] = {}
        self._none = asyncio.Event()

    def __len__(self) -> int:
        return len(self._futures)

    def __contains__(self, id: str) -> bool:
        return id in self._futures

    def enter(self, id: str) -> "asyncio.Future[Reply]":
        """Begin to wait."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._futures[id] = future
        return future

    def leave(self, id: str) -> None:
        """Wait no more."""
        self._futures.pop(id, None)
        if not self._futures:
            self._none.set()

    async def none(self) -> None:
        """Return when nobody waits."""
        while self._futures:
            self._none.clear()
            await self._none.wait()

    def wake(self, reply: Reply) -> bool:
        """Hand the reply to who waits; False if nobody does."""
        future = self._futures.pop(reply.attributes.id, None)
        if future is None or future.done():
            return False
        future.set_result(reply)
        return True


async def nothing_sent(_replies: Sequence[Reply]) -> None:
    """Of attachments, decisions or files: nobody sends any."""


async def _no_notices(_arrived: Sequence[Arrived]) -> None:
    """Nobody takes any."""


def _unawaited(_reply: Reply) -> None:
    """Nobody else wants to know."""


class ReplyRouter:
    """The handlers of the front's three subscriptions."""

    def __init__(
        self,
        opener: Opener,
        queries: Waiters,
        commands: Waiters,
        ledger: Ledger,
        poison: PoisonMessages,
        bridges: Bridges,
        clock: Clock,
        attachments: Callable[[Sequence[Reply]], Awaitable[None]] = nothing_sent,
        unawaited: Callable[[Reply], None] = _unawaited,
        requests: RequestLog | None = None,
        decisions: Callable[[Sequence[Reply]], Awaitable[None]] = nothing_sent,
        notices: Callable[[Sequence[Arrived]], Awaitable[None]] = _no_notices,
        files: Callable[[Sequence[Reply]], Awaitable[None]] = nothing_sent,
    ) -> None:
        """`attachments` and `files` are told the bridge's receipts for their messages, `decisions` its answers to
        operators' decisions; `unawaited` what became of each command whose caller does not wait any more.
        """
        self._decisions, self._notices, self._files = decisions, notices, files
        self._unawaited = unawaited
        self._requests = requests or RequestLog("status", 0, clock)
        self._attachments = attachments
        self._opener = opener
        self._queries = queries
        self._commands = commands
        self._ledger = ledger
        self._poison = poison
        self._bridges = bridges
        self._clock = clock
        self._writing: set[asyncio.Task[None]] = set()
        self._draining = False
        self.refused: Counter[str] = Counter()
        """Envelopes not acted on, by reason."""
        self.skews = Skews()
        """How far the bridges' clocks are from ours, by their presence."""
        self.late = 0
        """Answers to queries nobody waits for any more."""

    def subscribe(self, link: Link, front: str, region: str) -> None:
        """Have `link` bring what comes for this front, and what bridges of the region say of themselves."""
        for subscription in (
            Subscription(destinations.query_replies(front), self.query_replies(link), AckMode.AUTO, PREFETCH),
            Subscription(destinations.command_replies(front), self.command_replies(link), AckMode.INDIVIDUAL, PREFETCH),
            Subscription(destinations.presence(region), self.presence(link), AckMode.AUTO, 100),
        ):
            link.subscribe(subscription)

    def query_replies(self, link: Link) -> Callable[[Delivery], None]:
        """The handler of the query replies' subscription."""

        def handle(delivery: Delivery) -> None:
            for opened in self._open(link, delivery, Kind.REPLY):
                try:
                    reply = Reply.from_payload(opened.attributes, opened.payload)
                except EnvelopeError as error:
                    self.refused[error.reason] += 1
                    continue
                if not self._queries.wake(reply):
                    self.late += 1
            link.ack(delivery)

        return handle

    def command_replies(self, link: Link) -> Callable[[Delivery], None]:
        """The handler of the command replies' subscription."""

        def handle(delivery: Delivery) -> None:
            reach(Point.FRONT_REPLY_DELIVERED)
            if self._poison.careful(delivery):
                taken = self._carefully(link, delivery)
            else:
                sealed: list[bytes] = []
                opened = self._open(link, delivery, Kind.REPLY, sealed)
                taken = self._record(link, delivery, opened, sealed)
            task = asyncio.get_running_loop().create_task(taken)
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

        return handle

    def presence(self, link: Link) -> Callable[[Delivery], None]:
        """The handler of the presence topic's subscription."""

        def handle(delivery: Delivery) -> None:
            for opened in self._open(link, delivery, Kind.PRESENCE):
                try:
                    self._bridges.heard(Presence.from_payload(opened.payload))
                except EnvelopeError as error:
                    self.refused[error.reason] += 1
            link.ack(delivery)

        return handle

    async def drain(self) -> None:
        """Wait until replies taken are written; what cannot be written now is left to the broker."""
        self._draining = True
        while self._writing:
            await asyncio.wait(self._writing)  # not gather: that does not yield when all are done already

    async def _carefully(self, link: Link, delivery: Delivery) -> None:
        """What came before is opened one by one, each named on disk first (see protocol/runtime/poison.py)."""
        opened: list[Opened] = []
        sealed: list[bytes] = []
        try:
            async with self._poison.turn():
                for envelope in self._unpacked(link, delivery):
                    try:
                        async for attempt in self._retrying(link, delivery):
                            with attempt:
                                await self._poison.take(envelope)
                    except PoisonMessage as error:
                        self._quarantine(link, delivery, pack([envelope]), error)
                        continue
                    self._open_one(link, delivery, Kind.REPLY, envelope, opened, sealed)
        except SQLAlchemyError as error:
            # Not acknowledged, so not lost; the bridge also answers again when the command is sent again.
            log.error("replies-not-recorded", count=len(opened), reason=said(error))
            return
        await self._record(link, delivery, opened, sealed)

    def _retrying(self, link: Link, delivery: Delivery) -> AsyncRetrying:
        def given_up(_state: RetryCallState) -> bool:
            # of an earlier connection: the broker delivers it again by itself
            return self._draining or not link.current(delivery)

        return AsyncRetrying(
            wait=wait_exponential_jitter(multiplier=0.1, max=5),
            retry=retry_if_not_exception_type(PoisonMessage),
            stop=given_up,
            reraise=True,
        )

    async def _record(self, link: Link, delivery: Delivery, opened: list[Opened], sealed: list[bytes]) -> None:
        replies: list[Reply] = []
        outcomes: list[ReportedOutcome] = []
        receipts: list[Reply] = []
        decided: list[Reply] = []
        of_files: list[Reply] = []
        notices: list[Arrived] = []
        for item, envelope in zip(opened, sealed, strict=True):
            try:
                reply = Reply.from_payload(item.attributes, item.payload)
                if reply.state not in REPORTED:
                    raise WrongKind(f"a reply cannot report {reply.state}")
                if item.attributes.type == NOTICE:
                    notices.append(Arrived(item.attributes.id, Dispatch.from_payload(reply.result), envelope))
                    continue
            except EnvelopeError as error:
                self._quarantine(link, delivery, pack([envelope]), error)
                continue
            if item.attributes.type == ATTACHMENT:
                receipts.append(reply)
                continue
            if item.attributes.type == FILE:
                of_files.append(reply)
                continue
            if item.attributes.type == DECISION:
                decided.append(reply)
                continue
            replies.append(reply)
            outcomes.append(ReportedOutcome(reply.attributes.id, reply.state, reply.code, envelope))

        unwritable: set[str] = set()
        try:
            async for attempt in self._retrying(link, delivery):
                with attempt:
                    if outcomes:
                        unwritable = await self._record_outcomes(link, delivery, outcomes)
                        reach(Point.FRONT_TOLD_COMMITTED)
                    if receipts:
                        await self._attachments(receipts)
                    if notices:
                        await self._notices(notices)
                    if of_files:
                        await self._files(of_files)
                    if decided:
                        await self._decisions(decided)
        except Exception as error:
            # Not acknowledged, so not lost; the bridge also answers again when the command is sent again.
            trace = None if isinstance(error, SQLAlchemyError) else error
            log.error("replies-not-recorded", count=len(outcomes), reason=said(error), exc_info=trace)
            return
        link.ack(delivery)
        reach(Point.FRONT_REPLY_ACKNOWLEDGED)
        for reply in replies:
            about = reply.attributes
            self._requests.command("outcome-recorded", about.id, about.type, reply.state, reply.code, None, 0)
            if reply.attributes.id not in unwritable and not self._commands.wake(reply):
                self._unawaited(reply)

    async def _record_outcomes(self, link: Link, delivery: Delivery, outcomes: list[ReportedOutcome]) -> set[str]:
        """Write down what replies say. One that the database refuses for what is in it is set aside alone, or the
        others would wait behind it for ever. Returns the ids of those.
        """
        try:
            await self._ledger.record_outcomes(outcomes)
        except Exception as error:
            if not of_the_row(error):
                raise
            if len(outcomes) > 1:
                return {id for item in outcomes for id in await self._record_outcomes(link, delivery, [item])}
            (item,) = outcomes
            log.error("row-not-writable", request_id=item.id, error=type(error).__name__)
            self._set_aside(link, delivery, pack([item.sealed]), UNWRITABLE, item.id)
            return {item.id}
        return set()

    def _open(self, link: Link, delivery: Delivery, kind: Kind, sealed: list[bytes] | None = None) -> list[Opened]:
        found: list[Opened] = []
        for envelope in self._unpacked(link, delivery):
            self._open_one(link, delivery, kind, envelope, found, sealed)
        return found

    def _unpacked(self, link: Link, delivery: Delivery) -> list[bytes]:
        try:
            return unpack(delivery.body)
        except EnvelopeError as error:
            self._quarantine(link, delivery, delivery.body, error)
            return []

    def _open_one(
        self,
        link: Link,
        delivery: Delivery,
        kind: Kind,
        envelope: bytes,
        found: list[Opened],
        sealed: list[bytes] | None,
    ) -> None:
        """Add an envelope to `found` (and `sealed`, which is given for command replies), or quarantine it."""
        try:
            if sealed is not None:
                self._poison.check(envelope)
            now = self._clock()
            opened = self._opener.authentic(envelope)
            if opened.kind is not kind:
                raise WrongKind(f"{opened.kind.name.lower()} on a queue for {kind.name.lower()}")
            if kind is Kind.PRESENCE:
                self._date(opened, now)
            # A command's reply is taken at any time, or a bridge whose clock was wrong for a moment would have it
            # refused for as long as that: it is bound to its request's id, and a final state never changes.
            if sealed is None:
                self._opener.timely(opened.attributes, now_ms=now)
        except EnvelopeError as error:
            if kind is Kind.PRESENCE and isinstance(error, ForAnother):
                return  # a bridge says it to each group of fronts
            if kind is Kind.REPLY and isinstance(error, Expired | Stale):
                self.refused[error.reason] += 1  # an answer to a query: its caller has a 504 already, nothing is lost
                return
            self._quarantine(link, delivery, pack([envelope]), error)
            return
        found.append(opened)
        if sealed is not None:
            reach(Point.FRONT_REPLY_OPENED, opened.attributes.id)
            sealed.append(envelope)

    def _date(self, presence: Opened, now: int) -> None:
        """Learn how the bridge's clock stands. Raises Stale if it is too far behind.

        Such a bridge would take what we seal for dated in the future, and do nothing of it: it is as good as absent.
        (Too far ahead is refused as everything from the future is.)
        """
        attributes = presence.attributes
        self.skews.heard(attributes.source, attributes.time, now)
        if now - attributes.time > SKEW_MS:
            raise Stale(f"presence dated {now - attributes.time} ms ago: compare the clocks")

    def _quarantine(self, link: Link, delivery: Delivery, body: bytes, error: EnvelopeError) -> None:
        self._set_aside(link, delivery, body, error.reason, error.request)

    def _set_aside(self, link: Link, delivery: Delivery, body: bytes, reason: str, id: str) -> None:
        self.refused[reason] += 1
        log.warning("envelope-refused", queue=delivery.destination, reason=reason, request_id=id)
        if delivery.destination.startswith("/queue/"):
            try:
                link.send(dead_letter(delivery.destination, body, reason)).add_done_callback(_ignore)
            except LinkError:
                self.refused["not-quarantined"] += 1

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for bridge, seconds in self.skews.seconds(self._clock()).items():
            text = "Seconds a bridge's clock is ahead of ours (negative: behind)"
            yield "dmz_front_clock_skew_seconds", text, {"bridge": bridge}, seconds
        yield "dmz_front_late_replies_total", "Replies nobody waited for", {}, self.late
        for reason, count in list(self.refused.items()):
            yield "dmz_front_refused_total", "Envelopes not acted on", {"reason": reason}, count


def _ignore(done: "asyncio.Future[None]") -> None:
    if not done.cancelled():
        done.exception()

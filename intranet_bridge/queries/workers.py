"""Queries: each is opened, judged and asked by one of a fixed number of slots, and answered within its deadline.

The hot path of the bridge: no database, no task made, no thread crossed; the marketing system's answer is parsed
once and written once.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from pydantic import BaseModel, ValidationError

from intranet_bridge.ceilings.ceilings import NOT_ADMITTED, Ceilings, Refusal
from intranet_bridge.hot_data.hot import COLLAPSED, Flight, HotData, Joined, Question
from intranet_bridge.intake.queries import QueryIntake, QueuedQuery, ResumedQuery
from intranet_bridge.intake.verdict import Drop, Quarantine, Refuse, verdict
from intranet_bridge.marketing import (
    Answered,
    Fault,
    MarketingRequest,
    NotApplied,
    Outcome,
    Refused,
    Rejected,
    Unknown,
)
from intranet_bridge.marketing.calls import NOT_BOUND, MarketingCalls, broken
from intranet_bridge.marketing.concurrency import Places
from intranet_bridge.replies import Replies
from protocol.backoff import Backoff
from protocol.envelope import Kind as Envelope
from protocol.envelope import Opener, ReplayGuard
from protocol.errors import EnvelopeError, Expired, Stale, WrongKind
from protocol.frames import pack
from protocol.lifecycle import State
from protocol.messages import Attributes, retry_after, uuid7
from protocol.operations import CATALOGUE, Kind
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Latency, Sample
from protocol.runtime.request_log import RequestLog
from protocol.runtime.skew import Skews

log = logger(__name__)

_LATEST = 1 / 32
"""Weight of one call in the mean of the latest."""
AHEAD = "prequery"
"""Who asks what nobody has asked for yet."""
REPLY_S = 0.1
"""So long before its deadline a query that waits for a place is answered that it waited for nothing."""


def hopeless(left_s: float, service_s: float, waiting: int) -> bool:
    """Whether to spare a query its call, because its answer would surely come too late and another waits for the slot.

    While none waits the call is made all the same: nothing is lost by it, and what a call takes is measured anew.
    """
    return waiting > 0 and left_s < service_s


@dataclass(slots=True, eq=False)
class WaitingQuery:
    """A query that waits for a place of its operation's calls at once."""

    request: Attributes
    asked: MarketingRequest
    places: Places
    began: float
    """When a slot took it first, by time.perf_counter."""
    go: Callable[[], None] = lambda: None
    """Called when it has one."""
    timer: asyncio.TimerHandle | None = None
    """Ends its patience, while it is in the line."""
    flight: Flight | None = None
    """Its answer may be kept, and others may wait for it."""


class QueryWorkers:
    """The slots."""

    def __init__(
        self,
        *,
        intake: QueryIntake,
        opener: Opener,
        calls: MarketingCalls,
        replies: Replies,
        backoff: Backoff,
        slots: int,
        clock: Clock,
        requests: RequestLog,
        ceilings: Ceilings,
        hot: HotData,
    ) -> None:
        self._ceilings, self._hot = ceilings, hot
        self._intake, self._opener, self._adapters, self._health = intake, opener, calls.adapters, calls.health
        self._replies, self._backoff, self._clock, self.slots = replies, backoff, clock, slots
        self._requests = requests
        self._places = calls.places
        self._waiting: dict[WaitingQuery, None] = {}
        self._guard = ReplayGuard()
        self._tasks: list[asyncio.Task[None]] = []
        self.in_flight = 0
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """(operation, state or failure code) → queries."""
        self.dropped: Counter[str] = Counter()
        self.latency = Latency()
        self.service_s = 0.0
        """Mean time of the latest calls, seconds."""
        self.seen: Callable[[str], None] | None = None
        """Told the account of each query that is taken."""
        self.skews = Skews()
        """How far the fronts' clocks are from ours. By queries alone: a command may have waited for days."""

    def start(self) -> None:
        """Open the slots."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._slot(), name=f"query slot {n}") for n in range(self.slots)]

    def standing(self) -> str:
        """What stands still for ever (watchdog.py)."""
        gone = sum(task.done() for task in self._tasks)
        return f"{gone} of {self.slots} query slots have ended" if gone else ""

    @property
    def in_hand(self) -> int:
        """Queries being asked, and those that wait for a place among the calls at once."""
        return self.in_flight + len(self._waiting) + self._hot.joined

    async def drain(self, seconds: float) -> None:
        """Let running calls finish, for so long at most; then close the slots."""
        end = time.monotonic() + seconds
        while (self.in_flight or self._waiting) and time.monotonic() < end:  # noqa: ASYNC110 - once, at the end; an Event would cost each query
            await asyncio.sleep(0.02)
        for query in list(self._waiting):
            self._turn_away(query)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _slot(self) -> None:
        while True:
            member = await self._intake.next()
            self.in_flight += 1
            try:
                await (member.work() if isinstance(member, ResumedQuery) else self._work(member))
            except Exception:
                log.exception("query-failed")  # a defect: the caller's deadline answers it
            finally:
                self.in_flight -= 1

    async def _work(self, member: QueuedQuery) -> None:
        now, began = self._clock(), time.perf_counter()
        if member.bad:
            self._intake.quarantine(member.message.delivery.destination, member.envelope, member.bad)
            return
        try:
            opened = self._opener.authentic(member.envelope)
            if opened.kind is not Envelope.REQUEST:
                raise WrongKind("not a request")
            # before the deadline is judged: with clocks apart, nothing may be left after it
            self.skews.heard(opened.attributes.source.partition("/")[0], opened.attributes.time, now)
            self._opener.timely(opened.attributes, now_ms=now)
        except (Expired, Stale) as error:
            self.dropped[error.reason] += 1
            return
        except EnvelopeError as error:
            queue = member.message.delivery.destination
            self._intake.quarantine(queue, pack([member.envelope]), error.reason, error.request)
            return
        request = opened.attributes
        refusal = self._ceilings.refused(request.source, request.type, request.group)
        if not self._ceilings.may_answer(request.reply_to, request.group):
            self.dropped[NOT_ADMITTED] += 1
            return
        match verdict(request, Kind.QUERY, self._adapters, now):
            case Quarantine(reason):
                queue = member.message.delivery.destination
                self._intake.quarantine(queue, pack([member.envelope]), reason, request.id)
                return
            case Drop(reason):
                self.dropped[reason] += 1
                return
            case Refuse(code):
                self._fail(request, code, "", began)
                return
        if self._guard.seen(request.id, request.deadline, now_ms=now):
            self.dropped["replayed"] += 1
            return
        if refusal is not None:
            self._refuse(request, refusal, began)
            return
        try:
            body = CATALOGUE[request.type].requests.validate_json(opened.payload)
        except ValidationError:
            # The front validates with the same catalogue: the two sides run different versions of it
            self._fail(request, "invalid-request", "the bridge's catalogue does not accept this request", began)
            return
        refusal = self._ceilings.query(request.source, request.type, body)
        if refusal is not None:
            self._refuse(request, refusal, began)
            return
        asked = MarketingRequest(request.id, body, request.traceparent, source=request.source)
        if self.seen is not None and (account := getattr(body, "account", None)):
            self.seen(account)
        question = None
        if self._hot.policies and request.type in self._hot.policies:
            question = self._hot.question(request, asked)
            if self._spared(question, Joined(request, asked, began)):
                return
        if hopeless((request.deadline - now) / 1000, self.service_s, self._intake.waiting):
            self.dropped["hopeless"] += 1
            self._fail(request, "overloaded", "", began)
            return
        reach(Point.BRIDGE_QUERY_OPENED, request.id)
        flight = self._hot.begin(question, asked) if question is not None else None
        await self._go(request, asked, began, flight, now)

    def _spared(self, question: Question, query: Joined) -> bool:
        """Whether it needs no call: its answer is kept, or comes to another query that asks the same."""
        kept = self._hot.kept(question)
        if kept is not None:
            result, freshness = kept
            self._answer(query.request, Answered(result), query.began, freshness.said())
            return True
        return self._hot.join(question, query)

    async def _go(
        self, request: Attributes, asked: MarketingRequest, began: float, flight: Flight | None, now: int
    ) -> None:
        """Ask, or wait for a place to ask in."""
        places = self._places.get(request.type)
        if places is None:
            outcome = await (self._ask_for(flight, request, asked) if flight else self._ask(request, asked))
            if flight is None:
                self._answer(request, outcome, began)
            else:
                self._landed(flight, request, outcome, began)
            return
        query = WaitingQuery(request, asked, places, began, flight=flight)
        if places.take():
            await self._placed(query)
        else:
            self._line_up(query, (request.deadline - now) / 1000)

    async def _placed(self, query: WaitingQuery) -> None:
        """Ask for a query that has a place, and give it back."""
        called = time.monotonic()
        try:
            ask = partial(self._ask_for, query.flight) if query.flight else self._ask
            outcome = await ask(query.request, query.asked)
        finally:
            query.places.release(time.monotonic() - called)
        if query.flight is None:
            self._answer(query.request, outcome, query.began)
        else:
            self._landed(query.flight, query.request, outcome, query.began)

    async def _ask_for(self, flight: Flight, request: Attributes, asked: MarketingRequest) -> Outcome:
        """The same as `_ask`; if it raises, nobody waits for what will not come."""
        try:
            return await self._ask(request, asked)
        except BaseException:
            for other in self._hot.lost(flight):
                self._fail(other.request, "marketing-unavailable", "the query that it waited for failed", other.began)
            raise

    def _landed(self, flight: Flight, request: Attributes, outcome: Outcome, began: float) -> None:
        """Answer all who wait for it. The time of the one that was asked may have run out before another's: that is
        asked again, once.
        """
        self._answer(request, outcome, began, self._hot.landed(flight, outcome))
        self._told(flight, outcome)

    def _told(self, flight: Flight, outcome: Outcome) -> None:
        late = isinstance(outcome, Unknown) and outcome.timed_out
        now = self._clock()
        for other in flight.joined:
            if late and not other.again and (other.request.deadline - now) / 1000 > REPLY_S:
                self._again(other)
            else:
                self._answer(other.request, outcome, other.began, COLLAPSED)

    def _again(self, query: Joined) -> None:
        query.again = True

        async def work() -> None:
            if query.request.type not in self._hot.policies:
                await self._go(query.request, query.asked, query.began, None, self._clock())
                return
            question = self._hot.question(query.request, query.asked)
            if not self._spared(question, query):
                flight = self._hot.begin(question, query.asked)
                await self._go(query.request, query.asked, query.began, flight, self._clock())

        self._intake.resume(ResumedQuery(work))

    async def ahead(self, operation: str, body: BaseModel, good_share: float) -> Outcome | None:
        """Ask what nobody has asked for yet, so that its answer is kept, as a query is asked: by the same circuit,
        within the same places. None if it is not asked: what is kept is good (`good_share` of its lifetime is left), or
        customers' queries wait for a place. Raises KeyError for an operation that is not bound, or not kept, any more.
        """
        now = self._clock()
        adapter = self._adapters[operation]
        id = uuid7(now, os.urandom(10))
        request = Attributes(id, AHEAD, operation, now, deadline=now + round(adapter.timeout_s * 1000))
        asked = MarketingRequest(id, body)
        question = self._hot.asking(operation, body)
        if self._hot.good(question, good_share):
            return None
        places = self._places.get(operation)
        if self._intake.waiting:
            return None
        if places is not None and (places.waiting or places.system.waiting or not places.take()):
            return None
        flight, called = self._hot.begin(question, asked, ahead=True), time.monotonic()
        try:
            outcome = await self._ask_for(flight, request, asked)
        finally:
            if places is not None:
                places.release(time.monotonic() - called)
        self._hot.landed(flight, outcome)
        self._told(flight, outcome)
        return outcome

    def _not_asked(self, query: WaitingQuery, code: str, detail: str) -> None:
        """There was no place for it, or no interface: so there is none for who waits for its answer."""
        self._fail(query.request, code, detail, query.began)
        if query.flight is not None:
            self._hot.landed(query.flight, None)
            for other in query.flight.joined:
                self._fail(other.request, code, detail, other.began)

    def _line_up(self, query: WaitingQuery, left_s: float) -> None:
        """Wait for a place without a slot, which others need; or say no at once, if it would be too late."""
        request, places = query.request, query.places
        if self._health[request.type].breaker.wait_s(time.monotonic()) > 0:
            self._not_asked(query, "marketing-unavailable", "circuit open")
            return
        patience_s = left_s - max(places.call_s, REPLY_S)
        query.go = partial(self._resume, query)
        if patience_s <= 0 or places.wait_s() > patience_s or not places.line_up(query.go):
            self._turn_away(query)
            return
        query.timer = asyncio.get_running_loop().call_later(patience_s, self._turn_away, query)
        self._waiting[query] = None

    def _resume(self, query: WaitingQuery) -> None:
        """It has a place now, and the next free slot."""
        if query.timer is not None:
            query.timer.cancel()
            query.timer = None

        async def work() -> None:
            del self._waiting[query]
            await self._placed(query)

        self._intake.resume(ResumedQuery(work))

    def _turn_away(self, query: WaitingQuery) -> None:
        """Answer it without a call: there was, or will be, no place in time."""
        if query.timer is not None:
            query.timer.cancel()
            query.places.leave(query.go)
        self._waiting.pop(query, None)
        query.places.turned_away += 1
        self._not_asked(query, "overloaded", "no place among the calls at once")

    async def _ask(self, request: Attributes, asked: MarketingRequest) -> Outcome:
        """One call; again only while it surely was not reached and the deadline leaves time. An interface that turns
        it away (a log-in redirect, 401) is asked once more: a session may have ended; its second no is one.
        """
        adapter = self._adapters.get(request.type)
        if adapter is None:
            return NotApplied(NOT_BOUND, reached=False)
        health = self._health[request.type]
        failures = 0
        before: Outcome | None = None
        while True:
            left = (request.deadline - self._clock()) / 1000
            if left <= 0:
                return Unknown("deadline", timed_out=True)
            timeout = min(adapter.timeout_s, left)
            started = time.monotonic()
            if not health.breaker.admit(started, timeout):
                return before or NotApplied("circuit open", reached=False)
            try:
                outcome = await adapter.call(asked, timeout)
            except Exception as error:
                outcome = broken(error, request.type, asked)
            ended = time.monotonic()
            took_s = ended - started
            self.service_s += (took_s - self.service_s) * _LATEST if self.service_s else took_s
            match outcome:
                case Unknown(_, timed_out=True) if timeout < adapter.timeout_s / 2:
                    pass  # it had hardly any time: says nothing of the interface
                case _:
                    health.heard(ended, asked, outcome, took_s)
            if not isinstance(outcome, NotApplied) or outcome.reached or (outcome.denied and outcome == before):
                return outcome
            before = outcome
            failures += 1
            wait_s = self._backoff.after(failures)
            if ended + wait_s >= started + left:
                return outcome
            await asyncio.sleep(wait_s)

    def _answer(self, request: Attributes, outcome: Outcome, began: float, freshness: str = "") -> None:
        took_s = self.latency.since(began)
        match outcome:
            case Answered(result):
                self.outcomes[request.type, "succeeded"] += 1
                self._requests.sampled("query-answered", request.id, request.type, "succeeded", took_s, 0)
                self._replies.answer(request, State.SUCCEEDED, detail=freshness, result=result)
            case Refused(code, detail):
                self.outcomes[request.type, "refused"] += 1
                self._requests.sampled("query-answered", request.id, request.type, f"refused: {code}", took_s, 0)
                self._replies.answer(request, State.REFUSED, code, detail)
            case Rejected(reason):
                self._fail(request, "marketing-rejected", reason, began)
            case NotApplied(reason):
                self._fail(request, "marketing-unavailable", reason, began)
            case Unknown(reason, fault=Fault.MISMATCH):
                self._fail(request, "answer-mismatch", reason, began)
            case Unknown(reason, timed_out):
                self._fail(request, "marketing-timeout" if timed_out else "marketing-failed", reason, began)

    def _fail(self, request: Attributes, code: str, detail: str, began: float) -> None:
        self.outcomes[request.type, code] += 1
        self._requests.failed("query-answered", request.id, request.type, code, began, 0, detail)
        # The reason is for our log; the caller gets the code
        self._replies.answer(request, State.FAILED, code)

    def _refuse(self, request: Attributes, refusal: Refusal, began: float) -> None:
        """Answer it at once; who met the ceiling is told by the ceilings, once a minute, and not by a line for each."""
        self.outcomes[request.type, refusal.code] += 1
        took_s = time.perf_counter() - began
        self._requests.sampled("query-answered", request.id, request.type, refusal.code, took_s, 0)
        self._replies.answer(request, State.FAILED, refusal.code, result=retry_after(refusal.retry_s))

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for (operation, outcome), number in dict(self.outcomes).items():
            labels = {"kind": "query", "operation": operation, "outcome": outcome}
            yield "intranet_bridge_requests_total", "Requests by outcome", labels, number
        for reason, number in dict(self.dropped).items():
            yield "intranet_bridge_queries_dropped_total", "Queries nobody waited for", {"reason": reason}, number
        for front, seconds in self.skews.seconds(self._clock()).items():
            text = "Seconds a front's clock is ahead of ours (negative: behind)"
            yield "intranet_bridge_clock_skew_seconds", text, {"front": front}, seconds
        yield "intranet_bridge_queries_in_flight", "Queries being asked", {}, self.in_flight
        text = "How long the work took, the marketing call included"
        yield "intranet_bridge_request_duration_seconds", text, {"kind": "query"}, self.latency

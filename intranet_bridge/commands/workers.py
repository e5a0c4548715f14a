"""Commands: takes places from `ordering`, asks `decision` what to do, and does it; every step is committed first.

::

    ordering.take ─► open ─► expired? ─► `calling` committed ─► adapter.call ─► decision ─► step committed ─► reply
         ▲                                                                          │
         └────────── sleeps, keeping its key: retry, repeat, inquire ◄──────────────┘

A suspect, with which the bridge died before, is worked on alone; one with which it died three times is held unread.

Two rules make a crash harmless: nothing is called before the row says `calling` on disk, and once something was
called the place does not move on until the outcome is on disk, however long the disk takes.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

from pydantic import ValidationError

from intranet_bridge.commands import decision
from intranet_bridge.commands.calls import Calls
from intranet_bridge.commands.decision import Finish, Hold, Inquire, Repeat, RetryAfter, Rule, Step
from intranet_bridge.inbox.inbox import Decided, Inbox, entry
from intranet_bridge.inbox.ordering import Ordering, Place
from intranet_bridge.marketing import Asked, NotApplied, Unknown, always
from intranet_bridge.replies import Replies
from protocol.backoff import Backoff
from protocol.envelope import Opened, Opener
from protocol.errors import EnvelopeError, KillsWorker
from protocol.lifecycle import Event, State, move
from protocol.messages import Attributes
from protocol.operations import CATALOGUE, UnknownOutcome
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Latency, Sample
from protocol.runtime.outbox import Outbox
from protocol.runtime.suspects import KILLS

log = logger(__name__)

_HELD = "its outcome is not known; an operator has to find out and decide"
_NOT_ACCEPTED = "the bridge's catalogue does not accept this request"


class CommandWorkers:
    """At most `workers` commands being worked on at once."""

    def __init__(
        self,
        *,
        ordering: Ordering,
        inbox: Inbox,
        opener: Opener,
        calls: Calls,
        replies: Replies,
        outbox: Outbox,
        backoff: Backoff,
        workers: int,
        clock: Clock,
        unreadable_max: int = 10,
        progressed: Callable[[], None] = lambda: None,
        may_call: Callable[[], bool] = always,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        """`unreadable_max`: so many answers about one command that cannot be read, and it is held. `progressed` is
        called whenever a place is finished: there may be room in the backlog. `may_call`: whether this bridge's rows
        are surely still its own. `look` is called whenever there may be new places, whose predecessors are to be
        looked for.
        """
        self._ordering, self._inbox, self._opener = ordering, inbox, opener
        self._calls, self._rules = (
            calls,
            {name: _rule(name, calls, backoff, unreadable_max) for name in calls.operations},
        )
        self._replies, self._outbox, self._backoff = replies, outbox, backoff
        self._clock, self._progressed, self._look, self.workers = clock, progressed, look, workers
        self._may_call = may_call
        self._running: dict[asyncio.Task[None], Place] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """(operation, state) → commands."""
        self.steps: Counter[tuple[str, str]] = Counter()
        """(operation, retry | repeat | inquire) → how often."""
        self.latency = Latency()
        self.held: Counter[tuple[str, str]] = Counter()
        """(operation, code) → commands held for an operator, those set aside too."""
        self.set_aside = 0
        """Commands held because the bridge died of them."""

    @property
    def in_flight(self) -> int:
        """Commands being worked on."""
        return len(self._running)

    def pump(self) -> None:
        """Give free workers what is ready, and wake again when the next sleeper or circuit does."""
        if self._closed:
            return
        self._look()
        now = time.monotonic()
        loop = asyncio.get_running_loop()
        while len(self._running) < self.workers:
            place = self._next_place(now)
            if place is None:
                break
            task = loop.create_task(self._run(place))
            self._running[task] = place
            task.add_done_callback(self._ran)
        self._arm(loop, now)

    async def drain(self, seconds: float) -> None:
        """Start nothing more, and let what runs finish, for so long at most.

        A call cut off here has an unknown outcome. Its row says so, if the store can be written; else it stays
        `calling`, which the next start takes for a crash.
        """
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        cut_off = dict(self._running)
        for task in cut_off:
            task.cancel()
        await asyncio.gather(*cut_off, return_exceptions=True)
        for place in cut_off.values():
            if place.state is State.CALLING or place.inquiring:
                try:
                    await self._inbox.moved(place, State.UNKNOWN, place.attempts, "the bridge stopped during the call")
                except Exception as error:
                    log.error("store-failed", error=type(error).__name__)

    def adopt(self, places: list[Place]) -> None:
        """Work on what another bridge left, in the order it was recorded."""
        for place in places:
            self._ordering.add(place)
        self.pump()

    async def act_on(self, decided: Decided) -> None:
        """What an operator decided of a held row."""
        reach(Point.BRIDGE_DECISION_FOUND, decided.id)
        if decided.state is State.RECEIVED:
            decided.place.crashes = 0
            if decided.place.id not in self._ordering:
                # `moved` also clears the decision; a crash before it finds the row `received` anyway
                await self._inbox.moved(decided.place, State.RECEIVED, 0, decided.note)
                reach(Point.BRIDGE_MOVED_COMMITTED, decided.id)
                decided.place.attempts = 0
                self._ordering.add(decided.place)
                self.pump()
            return
        request = self._opener.authentic(decided.envelope).attributes
        sealed = self._replies.sealed(request, decided.state, decided.code, decided.note)
        place = decided.place
        await self._inbox.finished(place.id, decided.state, place.attempts, decided.code, decided.note, sealed)
        reach(Point.BRIDGE_FINISHED_COMMITTED, place.id)
        self._outbox.offer(entry(place.id, decided.state, decided.reply_to, sealed))

    # --- one place ---------------------------------------------------------------------------------------

    async def _run(self, place: Place) -> None:
        if place.crashes >= KILLS:
            await self._set_aside(place)
            return
        started = time.perf_counter()
        try:
            envelope = place.envelope
            if envelope is None:
                envelope, _ = await self._inbox.envelope(place.id)
                place.envelope = envelope
            opened = self._opener.authentic(envelope)
        except Exception as error:
            # Opened once already, at the intake: a key is missing now, or the database. Both can be put right,
            # and nothing is lost by waiting; nothing else would be true.
            reason = error.reason if isinstance(error, EnvelopeError) else type(error).__name__
            log.error("command-unreadable", request=place.id, operation=place.operation, reason=reason)
            self._ordering.again(place, time.monotonic() + self._backoff.longest_s)
            return
        try:
            step = await self._next(place, opened)
            await self._carry_out(place, opened.attributes, step)
        except asyncio.CancelledError:
            raise
        except Exception:
            # Mostly the database, before the call: nothing was done, so again later. But should it ever be after
            # the call, then what came of it is unknown, and the rule for that decides, not a second call.
            log.exception("command-put-off", request=place.id, operation=place.operation, state=place.state)
            place.recovered = place.state is not State.RECEIVED
            place.failures += 1
            self._ordering.again(place, time.monotonic() + self._backoff.after(place.failures))
        finally:
            self.latency.since(started)

    async def _next(self, place: Place, opened: Opened) -> Step:
        rule, request = self._rules[place.operation], opened.attributes
        if place.recovered and place.state in (State.CALLING, State.UNKNOWN):
            place.recovered = False
            return decision.after_crash(rule, place.state)
        before = place.state
        if place.state is State.UNKNOWN:
            if rule.unknown is UnknownOutcome.INQUIRE:
                reach(Point.BRIDGE_INQUIRY_DUE, place.id)
                await self._inbox.inquiring(place)
                place.inquiring = True
                asked = self._asked(place, opened)
                if asked is None:
                    return Hold((Event.HOLD,), _NOT_ACCEPTED)
                finding = await self._calls.inquire(place.operation, asked)
                reach(Point.BRIDGE_INQUIRED, place.id)
                place.failures = place.failures + 1 if isinstance(finding, Unknown) else 0
                place.unread += decision.unreadable(finding)
                return decision.after_inquiry(rule, place.attempts, place.failures, finding, place.unread)
            if rule.unknown is UnknownOutcome.HOLD:
                return Hold((Event.HOLD,), "its outcome is unknown")
        now = self._clock()
        early = decision.before_call if place.state is State.RECEIVED else decision.before_repeat
        late = early(request.deadline, now)
        if late is not None:
            return late
        reach(Point.BRIDGE_CALLING_DUE, place.id)
        await self._inbox.calling(place, place.attempts + 1)
        place.state, place.attempts = State.CALLING, place.attempts + 1
        reach(Point.BRIDGE_CALLING_COMMITTED, place.id)
        # From here on the row says that this command is in hand, so here begins what its content could do to us.
        asked = self._asked(place, opened)
        if asked is None:
            if before is not State.RECEIVED:
                return Hold((Event.LOSE, Event.HOLD), _NOT_ACCEPTED)
            return Finish((Event.FAIL,), "invalid-request", _NOT_ACCEPTED)
        outcome = await self._calls.call(place.operation, asked)
        reach(Point.BRIDGE_CALLED, place.id)
        place.crashes = 0  # it came through
        place.failures = place.failures + 1 if isinstance(outcome, NotApplied | Unknown) else 0
        place.unread += decision.unreadable(outcome)
        return decision.after_call(rule, place.attempts, place.failures, outcome, place.unread)

    async def _carry_out(self, place: Place, request: Attributes, step: Step) -> None:
        state = decision.reached_state(place.state, step)
        match step:
            case Finish(_, code, detail, result):
                note = detail if state is not State.REFUSED else ""  # their words may name a customer
                await self._close(place, request, state, code, note, (code, detail, result))
            case Hold(_, reason, code):
                await self._close(place, request, State.HELD, code, reason, (code, _HELD, b""))
                self.held[place.operation, code] += 1
                log.error("command-held", request=place.id, operation=place.operation, code=code, reason=reason)
            case RetryAfter(_, seconds, counts, reason):
                attempts = place.attempts if counts else place.attempts - 1
                await self._sleep(place, state, attempts, seconds, "retry", reason)
            case Inquire(_, seconds, reason):
                await self._sleep(place, state, place.attempts, seconds, "inquire", reason)
            case Repeat(_, seconds, reason):
                await self._sleep(place, state, place.attempts, seconds, "repeat", reason)

    def _asked(self, place: Place, opened: Opened) -> Asked | None:
        """The request as the adapter gets it; None if the catalogue does not accept it (any more)."""
        try:
            body = CATALOGUE[place.operation].requests.validate_json(opened.payload)
        except ValidationError:
            return None
        return Asked(place.id, body, opened.attributes.traceparent, self._may_call)

    async def _set_aside(self, place: Place) -> None:
        """Hold what the bridge died of, without reading it again."""
        try:
            _, reply_to = await self._inbox.envelope(place.id)
            about = Attributes(place.id, "", place.operation, self._clock(), reply_to=reply_to)
            code, note = KillsWorker.reason, f"the bridge died {place.crashes} times with this in hand"
            await self._close(place, about, move(place.state, Event.HOLD), code, note, (code, _HELD, b""))
        except Exception:
            log.exception("command-put-off", request=place.id, operation=place.operation, state=place.state)
            self._ordering.again(place, time.monotonic() + self._backoff.longest_s)
            return
        self.set_aside += 1
        self.held[place.operation, code] += 1
        log.error("command-set-aside", request=place.id, operation=place.operation, reason=code, crashes=place.crashes)

    async def _close(
        self,
        place: Place,
        request: Attributes,
        state: State,
        code: str,
        note: str,
        said: tuple[str, str, bytes],
    ) -> None:
        sealed = self._replies.sealed(request, state, *said)
        await self._surely(lambda: self._inbox.finished(place.id, state, place.attempts, code, note, sealed))
        place.inquiring = False
        reach(Point.BRIDGE_FINISHED_COMMITTED, place.id)
        self._outbox.offer(entry(place.id, state, request.reply_to, sealed))
        self._ordering.done(place)
        self.outcomes[place.operation, state] += 1
        self._progressed()

    async def _sleep(self, place: Place, state: State, attempts: int, seconds: float, what: str, reason: str) -> None:
        if (state, attempts) != (place.state, place.attempts) or place.inquiring:
            await self._surely(lambda: self._inbox.moved(place, state, attempts, reason))
            place.inquiring = False
            reach(Point.BRIDGE_MOVED_COMMITTED, place.id)
        place.state, place.attempts = state, attempts
        if seconds > 1:  # many may sleep while the marketing system is away: their requests stay on disk
            place.envelope = None
        self.steps[place.operation, what] += 1
        log.info(
            "command-waits",
            request=place.id,
            operation=place.operation,
            next=what,
            seconds=round(seconds, 1),
            reason=reason,
        )
        self._ordering.again(place, time.monotonic() + seconds)

    async def _surely(self, write: Callable[[], Awaitable[None]]) -> None:
        """Until it is on disk: what is known of a call must not be forgotten, or it would be made again."""
        failures = 0
        while True:
            try:
                return await write()
            except Exception as error:
                failures += 1
                log.error("store-failed", error=type(error).__name__, failures=failures)
                await asyncio.sleep(self._backoff.after(failures))

    # --- running -----------------------------------------------------------------------------------------

    def _next_place(self, now: float) -> Place | None:
        if any(place.crashes for place in self._running.values()):
            return None  # a suspect is alone
        suspect = self._ordering.suspect(now, self._calls.admits)
        if suspect is None:
            return self._ordering.take(now, self._calls.admit)
        if self._running or not self._calls.admit(suspect.operation):
            return None
        self._ordering.take_suspect(suspect)
        return suspect

    def _ran(self, task: "asyncio.Task[None]") -> None:
        self._running.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("command-task-failed", error=type(task.exception()).__name__)
        self.pump()

    def _arm(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if len(self._running) >= self.workers:
            return  # the next one to finish pumps
        waits = [self._calls.wait_s(name, now) for name in self._ordering.waiting()]
        times = [self._ordering.wakes_at(), *(now + wait_s for wait_s in waits if wait_s is not None)]
        due = min((at for at in times if at is not None), default=None)
        if due is not None:
            self._timer = loop.call_later(max(0.001, due - now), self.pump)

    # --- metrics -----------------------------------------------------------------------------------------

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for (operation, outcome), number in dict(self.outcomes).items():
            labels = {"kind": "command", "operation": operation, "outcome": outcome}
            yield "bridge_requests_total", "Requests by outcome", labels, number
        for (operation, step), number in dict(self.steps).items():
            labels = {"operation": operation, "step": step}
            yield "bridge_command_steps_total", "Retries, repeats, inquiries", labels, number
        for (operation, code), number in dict(self.held).items():
            labels = {"operation": operation, "code": code}
            yield "bridge_commands_held_total", "Commands held for an operator", labels, number
        yield "bridge_commands_set_aside_total", "Held: the bridge died of them", {}, self.set_aside
        yield "bridge_commands_in_flight", "Commands being worked on", {}, self.in_flight
        yield from self.latency.samples("bridge", {"kind": "command"})


def _rule(name: str, calls: Calls, backoff: Backoff, unreadable_max: int) -> Rule:
    operation = CATALOGUE[name]
    return Rule(operation.unknown_outcome, operation.attempts, calls.settle_s(name), backoff, unreadable_max)

"""Commands: takes them from `ordering`, asks `decision` what to do, and does it; every step is committed first.

::

    ordering.take ─► open ─► expired? ─► `calling` committed ─► adapter.call ─► decision ─► step committed ─► reply
         ▲                                                                          │
         └────────── sleeps, keeping its key: retry, repeat, inquire ◄──────────────┘

A possible poison message, with which the bridge died before, is worked on alone; one with which it died three times
is held unread.

Two rules make a crash harmless: nothing is called before the row says `calling` on disk, and once something was
called the command does not move on until the outcome is on disk, however long the disk takes.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from intranet_bridge.ceilings.ceilings import Ceilings
from intranet_bridge.commands import decision
from intranet_bridge.commands.decision import Finish, Hold, Inquire, Repeat, RetryAfter, Rule, Step
from intranet_bridge.inbox.administration import TAKEN_BACK
from intranet_bridge.inbox.attachments import AttachmentInbox
from intranet_bridge.inbox.inbox import Inbox, entry
from intranet_bridge.inbox.local import LocalRows, is_local, is_sealed_here
from intranet_bridge.inbox.ordering import Ordering, QueuedCommand
from intranet_bridge.inbox.rows import OperatorDecision
from intranet_bridge.marketing import AttachedFile, MarketingRequest, NotApplied, Unknown
from intranet_bridge.marketing.calls import MarketingCalls
from intranet_bridge.replies import Replies
from intranet_bridge.settings import CommandsSection
from protocol.attachments import FAULT_CODES
from protocol.backoff import Backoff
from protocol.envelope import Opened, Opener
from protocol.errors import EnvelopeError, PoisonMessage
from protocol.lifecycle import Event, State, move
from protocol.media import Fault
from protocol.messages import Attributes, Role
from protocol.operations import CATALOGUE, UnknownOutcome
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Latency, Sample
from protocol.runtime.outbox import Outbox
from protocol.runtime.poison import POISON_DEATHS
from protocol.runtime.request_log import RequestLog
from protocol.runtime.retry import now_and_then, until_done
from protocol.runtime.store_health import said

log = logger(__name__)

T = TypeVar("T")
_HELD = "its outcome is not known; an operator has to find out and decide"
_LOOK_AGAIN_S = 300.0
"""So long at most a command sleeps whose front has asked about too many accounts: the ceiling may be raised."""
_NOT_ACCEPTED = "the bridge's catalogue does not accept this request"
_IN_HAND = 3
"""So many commands for each worker are in hand at most, with those whose outcome is on its way to the disk: one that
takes none for a while must not make the bridge call more and more.
"""


@dataclass(frozen=True, slots=True)
class Policy:
    """How commands are worked on."""

    workers: int
    """Calls at once."""
    backoff: Backoff
    """The waits between attempts."""
    clock: Clock
    unreadable_max: int = 10
    """So many answers about one command that cannot be read, and it is held."""
    attachment_patience_s: float = 3600.0
    """So long after a command came its attachments may come."""

    @classmethod
    def of(cls, section: CommandsSection, clock: Clock, chance: Callable[[], float]) -> "Policy":
        """As configured. `chance`: [0, 1), for jitter."""
        backoff = Backoff(section.retry_min_s, section.retry_max_s, chance)
        return cls(section.workers, backoff, clock, section.unreadable_max, section.attachment_patience_s)


class CommandWorkers:
    """At most `policy.workers` commands being called at once: one whose call is over keeps no other from beginning."""

    def __init__(
        self,
        *,
        ordering: Ordering,
        inbox: Inbox,
        outbox: Outbox,
        opener: Opener,
        calls: MarketingCalls,
        replies: Replies,
        attachments: AttachmentInbox,
        local: LocalRows,
        policy: Policy,
        requests: RequestLog,
        ceilings: Ceilings,
    ) -> None:
        self._ceilings = ceilings
        self._attachments, self._local = attachments, local
        self._ordering, self._inbox, self._outbox = ordering, inbox, outbox
        self._opener, self._calls, self._replies = opener, calls, replies
        self._rules: dict[str, Rule] = {}
        self.use(policy)
        ordering.work.connect(self.pump)
        self._requests = requests
        calls.when_free(self.pump)
        self._running: dict[asyncio.Task[None], QueuedCommand] = {}
        self._calling: set[asyncio.Task[None] | None] = set()
        """Those of them that hold a worker: their call is not over, or not begun."""
        self._placed: set[asyncio.Task[None] | None] = set()
        """Those of them that have a place of their operation's calls at once, where these are limited."""
        self._alone: QueuedCommand | None = None
        """A possible poison message that runs."""
        self._pumping = False
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._idle = False
        """By an administrator's word: nothing more is begun."""
        self._deciding = asyncio.Lock()
        self._in_doubt: dict[str, OperatorDecision] = {}
        """Of which it is not known whether they are begun with on disk: no look into the inbox would find them then."""
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """(operation, state) → commands."""
        self.steps: Counter[tuple[str, str]] = Counter()
        """(operation, retry | repeat | inquire) → how often."""
        self.latency = Latency()
        self.held: Counter[tuple[str, str]] = Counter()
        """(operation, code) → commands held for an operator, those set aside too."""
        self.set_aside = 0
        """Commands held because the bridge died of them."""

    def use(self, policy: Policy) -> None:
        """Go by this from now on, and by the operations that are bound now."""
        self._patience_ms = int(policy.attachment_patience_s * 1000)
        # rules of operations that are bound no more stay: one of their commands may be under way
        self._rules |= {name: _rule(name, self._calls, policy) for name in self._calls.operations}
        self._backoff, self._clock, self.workers = policy.backoff, policy.clock, policy.workers

    @property
    def in_flight(self) -> int:
        """Commands being worked on."""
        return len(self._running)

    def pump(self) -> None:
        """Give free workers what is ready, and wake again when the next sleeper or circuit does."""
        self._pumping = False
        if self._closed or self._idle:
            return
        now = time.monotonic()
        loop = asyncio.get_running_loop()
        while self._free():
            command = self._next_command(now)
            if command is None:
                break
            task = loop.create_task(self._run(command))
            if command.operation in self._calls.places:
                self._placed.add(task)
            self._running[task] = command
            self._calling.add(task)
            task.add_done_callback(self._ran)
        self._arm(loop, now)

    def _free(self) -> bool:
        """Whether there is a worker for one more."""
        return len(self._calling) < self.workers and len(self._running) < _IN_HAND * self.workers

    def _pump_soon(self) -> None:
        """Once for all whose call, or work, is over in this turn of the loop."""
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self.pump)

    def rest(self) -> None:
        """Begin nothing more; what runs goes on."""
        self._idle = True

    def go_on(self) -> None:
        """Begin again."""
        self._idle = False
        self.pump()

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
        for command in cut_off.values():
            if command.state is State.CALLING or command.inquiring:
                try:
                    await self._inbox.moved(
                        command, State.UNKNOWN, command.attempts, "the bridge stopped during the call"
                    )
                except Exception as error:
                    log.error("store-failed", error=type(error).__name__)

    async def act_on_decisions(self) -> None:
        """Work on what operators decided of held rows. One after another: a row must not be begun with twice."""
        async with self._deciding:
            for decided in (self._in_doubt | {one.id: one for one in await self._inbox.decided()}).values():
                try:
                    await self._act_on(decided)
                except Exception as error:  # one row that cannot be read must not keep the others
                    if decided.state in (State.RECEIVED, State.UNKNOWN):
                        self._in_doubt[decided.id] = decided
                    log.error("decision-not-acted-on", request_id=decided.id, error=type(error).__name__)
                else:
                    self._in_doubt.pop(decided.id, None)

    async def _act_on(self, decided: OperatorDecision) -> None:
        reach(Point.BRIDGE_DECISION_FOUND, decided.id)
        if decided.state in (State.RECEIVED, State.UNKNOWN):
            command = decided.command
            command.crashes = 0
            if command.id not in self._ordering:
                attempts = 0 if decided.state is State.RECEIVED else command.attempts
                # this also clears the decision; a crash before it finds the row in the state decided anyway
                begun = await self._inbox.resumed(command, decided.state, attempts, decided.note)
                # by another way meanwhile, if the commit before was done: the front sends it again
                if begun and command.id not in self._ordering:
                    reach(Point.BRIDGE_MOVED_COMMITTED, decided.id)
                    command.attempts = attempts
                    self._ordering.add(command)
                    self._ordering.work.send()
            return
        if decided.state is State.FAILED and decided.code == TAKEN_BACK:
            if not any(command.id == decided.id for command in self._running.values()):
                self._ordering.withdraw(decided.id)
            await self._inbox.taken_back(decided.id)
            self._ordering.work.send()
            return
        command = decided.command
        request = self._opened(command, decided.envelope).attributes
        sealed = self._sealed(request, decided.state, decided.code, decided.note)
        await self._inbox.finished(command.id, decided.state, command.attempts, decided.code, decided.note, sealed)
        reach(Point.BRIDGE_FINISHED_COMMITTED, command.id)
        self._tell(command.id, decided.state, decided.reply_to, sealed)

    # --- one command -------------------------------------------------------------------------------------

    async def _run(self, command: QueuedCommand) -> None:
        if command.crashes >= POISON_DEATHS:
            await self._set_aside(command)
            return
        started = time.perf_counter()
        try:
            opened = await self._request(command)
        except Exception as error:
            # Opened once already, at the intake: a key is missing now, or the database. Both can be put right,
            # and nothing is lost by waiting; nothing else would be true.
            reason = error.reason if isinstance(error, EnvelopeError) else type(error).__name__
            log.error("command-unreadable", request_id=command.id, operation=command.operation, reason=reason)
            self._ordering.reschedule(command, time.monotonic() + self._backoff.longest_s)
            return
        try:
            admitted = command.admitted or opened.sender is Role.BRIDGE  # which is no front
            wait_s, body = (0.0, None) if admitted else self._ceiling_wait_s(command, opened)
            if wait_s > 0:
                if wait_s > 1:
                    command.put_away()
                self._ordering.reschedule(command, time.monotonic() + wait_s)
                return
            command.admitted = True
            step = await self._next(command, opened, body)
            if step is None:
                await self._let_go(command)
            else:
                await self._carry_out(command, opened.attributes, step)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # Mostly the database, before the call: nothing was done, so again later. But should it ever be after
            # the call, then what came of it is unknown, and the rule for that decides, not a second call.
            _postponed(command, error)
            command.recovered = command.state is not State.RECEIVED
            command.failures += 1
            self._ordering.reschedule(command, time.monotonic() + self._backoff.after(command.failures))
        finally:
            self.latency.since(started)

    async def _request(self, command: QueuedCommand) -> Opened:
        """As the intake opened it, or from its row. Raises EnvelopeError, StoreKeyClosed, what the database does."""
        if command.opened is not None:
            return command.opened
        if command.envelope is None:
            command.envelope, _ = await self._inbox.envelope(command.id)
        return self._opened(command, command.envelope)

    def _opened(self, command: QueuedCommand, envelope: bytes) -> Opened:
        """Raises EnvelopeError, and StoreKeyClosed."""
        if is_sealed_here(envelope):
            return self._local.opened(command.id, command.operation, envelope)
        return self._opener.authentic(envelope)

    def _sealed(self, request: Attributes, state: State, *said: Any) -> bytes:
        """The outcome as the row keeps it: for its front, or for who takes it here."""
        return (self._local.outcome if is_local(request.reply_to) else self._replies.sealed)(request, state, *said)

    def _tell(self, id: str, state: State, reply_to: str, sealed: bytes) -> None:
        if is_local(reply_to):
            self._local.told.send()
        else:
            self._outbox.offer(entry(id, state, reply_to, sealed))

    def _ceiling_wait_s(self, command: QueuedCommand, opened: Opened) -> tuple[float, BaseModel | None]:
        """How long a command that was never called has to wait because of its front's ceilings; its body, if that was
        read for it.
        """
        request = opened.attributes
        left_s = (request.deadline - self._clock()) / 1000 + 0.001 if request.deadline else math.inf
        if command.attempts or command.state is State.CALLING or left_s <= 0:
            return 0.0, None
        if not command.turn:
            command.turn = True
            wait_s = self._ceilings.command_wait_s(request.source)
            if wait_s > 0:
                return min(wait_s, left_s), None
        if command.crashes:
            return 0.0, None  # it may be what the bridge died of: it is not read before its row says that it is in hand
        body = _read(command, opened)
        if body is None:
            return 0.0, None
        wait_s = self._ceilings.command_account_wait_s(request.source, command.operation, body)
        return min(wait_s, left_s, _LOOK_AGAIN_S), body

    async def _next(self, command: QueuedCommand, opened: Opened, body: BaseModel | None) -> Step | None:
        """What to do with it; None: nothing, for an operator took it back. `body`: if it was read already."""
        rule, request = self._rules[command.operation], opened.attributes
        if command.recovered and command.state in (State.CALLING, State.UNKNOWN):
            command.recovered = False
            return decision.after_crash(rule, command.state)
        before = command.state
        if command.state is State.UNKNOWN:
            if rule.unknown is UnknownOutcome.INQUIRE:
                reach(Point.BRIDGE_INQUIRY_DUE, command.id)
                await self._inbox.inquiring(command)
                command.inquiring = True
                asked = self._asked(command, opened, body)
                if asked is None:
                    return Hold((Event.HOLD,), _NOT_ACCEPTED)
                started = time.monotonic()
                finding = await self._calls.inquire(command.operation, asked)
                self._give_back(command, asyncio.current_task(), time.monotonic() - started)
                reach(Point.BRIDGE_INQUIRED, command.id)
                command.failures = command.failures + 1 if isinstance(finding, Unknown) else 0
                command.unread += decision.unreadable(finding)
                return decision.after_inquiry(rule, command.attempts, command.failures, finding, command.unread)
            if rule.unknown is UnknownOutcome.HOLD:
                return Hold((Event.HOLD,), "its outcome is unknown")
        now = self._clock()
        early = decision.before_call if command.state is State.RECEIVED else decision.before_repeat
        late = early(request.deadline, now)
        if late is not None:
            return late
        files: tuple[AttachedFile, ...] = ()
        if CATALOGUE[command.operation].attachments:
            waiting = await self._attachments.waiting(command.id)
            if waiting is not None:
                command.waits += 1
                return decision.before_files(command.state, waiting, command.waits, self._patience_ms, now)
            command.waits = 0
            files = await self._attachments.files(command.id)
            odd = {file.media_type for file in files} - CATALOGUE[command.operation].attachment_types
            if odd and command.state is State.RECEIVED:  # the front has looked, but it may have been taken over
                return Finish((Event.FAIL,), FAULT_CODES[Fault.TYPE], "it does not take attachments of that type")
        reach(Point.BRIDGE_CALLING_DUE, command.id)
        if not await self._inbox.calling(command, command.attempts + 1):
            return None
        command.state, command.attempts = State.CALLING, command.attempts + 1
        reach(Point.BRIDGE_CALLING_COMMITTED, command.id)
        # From here on the row says that this command is in hand, so here begins what its content could do to us.
        asked = self._asked(command, opened, body, files)
        if asked is None:
            if before is not State.RECEIVED:
                return Hold((Event.LOSE, Event.HOLD), _NOT_ACCEPTED)
            return Finish((Event.FAIL,), "invalid-request", _NOT_ACCEPTED)
        started = time.monotonic()
        outcome = await self._calls.call(command.operation, asked)
        self._give_back(command, asyncio.current_task(), time.monotonic() - started)
        reach(Point.BRIDGE_CALLED, command.id)
        command.crashes = 0  # it came through
        command.failures = command.failures + 1 if isinstance(outcome, NotApplied | Unknown) else 0
        command.unread += decision.unreadable(outcome)
        return decision.after_call(rule, command.attempts, command.failures, outcome, command.unread, before=before)

    async def _carry_out(self, command: QueuedCommand, request: Attributes, step: Step) -> None:
        state = decision.reached_state(command.state, step)
        match step:
            case Finish(_, code, detail, result):
                note = detail if state is not State.REFUSED else ""  # their words may name a customer
                await self._close(command, request, state, code, note, (code, detail, result))
            case Hold(_, reason, code):
                await self._close(command, request, State.HELD, code, reason, (code, _HELD, b""))
                self.held[command.operation, code] += 1
                log.error("command-held", request_id=command.id, operation=command.operation, code=code, reason=reason)
            case RetryAfter(_, seconds, counts, reason):
                attempts = command.attempts if counts else command.attempts - 1
                await self._sleep(command, state, attempts, seconds, "retry", reason)
            case Inquire(_, seconds, reason):
                await self._sleep(command, state, command.attempts, seconds, "inquire", reason)
            case Repeat(_, seconds, reason):
                await self._sleep(command, state, command.attempts, seconds, "repeat", reason)

    def _asked(
        self, command: QueuedCommand, opened: Opened, body: BaseModel | None, files: tuple[AttachedFile, ...] = ()
    ) -> MarketingRequest | None:
        """The request as the adapter gets it; None if the catalogue does not accept it (any more)."""
        if body is None:
            body = _read(command, opened)
        if body is None:
            return None
        about = opened.attributes
        return self._calls.request(command.id, body, about.traceparent, files, about.source)

    async def _set_aside(self, command: QueuedCommand) -> None:
        """Hold what the bridge died of, without reading it again."""
        try:
            _, reply_to = await self._inbox.envelope(command.id)
            about = Attributes(command.id, "", command.operation, self._clock(), reply_to=reply_to)
            code, note = PoisonMessage.reason, f"the bridge died {command.crashes} times with this in hand"
            await self._close(command, about, move(command.state, Event.HOLD), code, note, (code, _HELD, b""))
        except Exception as error:
            _postponed(command, error)
            self._ordering.reschedule(command, time.monotonic() + self._backoff.longest_s)
            return
        self.set_aside += 1
        self.held[command.operation, code] += 1
        log.error(
            "poison-command-held",
            request_id=command.id,
            operation=command.operation,
            reason=code,
            crashes=command.crashes,
        )

    async def _close(
        self,
        command: QueuedCommand,
        request: Attributes,
        state: State,
        code: str,
        note: str,
        said: tuple[str, str, bytes],
    ) -> None:
        sealed = self._sealed(request, state, *said)
        outcome = command.id, state, command.attempts, code, note, sealed
        if command.state is State.RECEIVED:
            if not await self._surely(lambda: self._inbox.finished_uncalled(*outcome)):
                await self._let_go(command)
                return
        else:
            await self._surely(lambda: self._inbox.finished(*outcome))
        command.inquiring = False
        reach(Point.BRIDGE_FINISHED_COMMITTED, command.id)
        self._tell(command.id, state, request.reply_to, sealed)
        self._ordering.done(command)
        self.outcomes[command.operation, state] += 1
        self._requests.command("command-finished", command.id, command.operation, state, code, None, command.attempts)

    async def _let_go(self, command: QueuedCommand) -> None:
        """An operator took it back: its row and its reply say so already."""
        await self._surely(lambda: self._inbox.taken_back(command.id))
        self._ordering.done(command)

    async def _sleep(
        self, command: QueuedCommand, state: State, attempts: int, seconds: float, what: str, reason: str
    ) -> None:
        if (state, attempts) != (command.state, command.attempts) or command.inquiring:
            await self._surely(lambda: self._inbox.moved(command, state, attempts, reason))
            command.inquiring = False
            reach(Point.BRIDGE_MOVED_COMMITTED, command.id)
        command.state, command.attempts = state, attempts
        if seconds > 1:  # many may sleep while the marketing system is away: their requests stay on disk
            command.put_away()
        self.steps[command.operation, what] += 1
        log.info(
            "command-waits",
            request_id=command.id,
            operation=command.operation,
            next=what,
            seconds=round(seconds, 1),
            reason=reason,
        )
        self._ordering.reschedule(command, time.monotonic() + seconds)

    async def _surely(self, write: Callable[[], Awaitable[T]]) -> T:
        """Until it is on disk: what is known of a call must not be forgotten, or it would be made again."""
        return await until_done(write, self._backoff, _write_failed)

    # --- running -----------------------------------------------------------------------------------------

    def _next_command(self, now: float) -> QueuedCommand | None:
        if self._alone is not None and self._alone.crashes:
            return None
        poison = self._ordering.poison(now, self._calls.admits)
        if poison is None:
            return self._ordering.take(now, self._calls.admit)
        if self._running or not self._calls.admit(poison.operation):
            return None
        self._ordering.take_poison(poison)
        self._alone = poison
        return poison

    def _give_back(
        self, command: QueuedCommand, task: "asyncio.Task[None] | None", took_s: float | None = None
    ) -> None:
        """Its call has ended, or there was none: what becomes of it on disk holds no worker, and no place."""
        if task in self._calling:
            self._calling.discard(task)
            self._pump_soon()
        if task in self._placed:
            self._placed.discard(task)
            self._calls.release(command.operation, took_s)

    def _ran(self, task: "asyncio.Task[None]") -> None:
        command = self._running.pop(task, None)
        if command is not None:
            self._give_back(command, task)
        if command is self._alone:
            self._alone = None
        if not task.cancelled() and task.exception() is not None:
            log.error("command-task-failed", error=type(task.exception()).__name__)
        self._pump_soon()

    def _arm(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._free():
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
            yield "intranet_bridge_requests_total", "Requests by outcome", labels, number
        for (operation, step), number in dict(self.steps).items():
            labels = {"operation": operation, "step": step}
            yield "intranet_bridge_command_steps_total", "Retries, repeats, inquiries", labels, number
        for (operation, code), number in dict(self.held).items():
            labels = {"operation": operation, "code": code}
            yield "intranet_bridge_commands_held_total", "Commands held for an operator", labels, number
        text = "Commands held because the bridge died of them"
        yield "intranet_bridge_poison_commands_total", text, {}, self.set_aside
        yield "intranet_bridge_commands_in_flight", "Commands being worked on", {}, self.in_flight
        text = "How long the work took, the marketing call included"
        yield "intranet_bridge_request_duration_seconds", text, {"kind": "command"}, self.latency


def _read(command: QueuedCommand, opened: Opened) -> BaseModel | None:
    """Its body; None if the catalogue does not accept it (any more)."""
    if command.body is not None:
        return command.body
    try:
        body: BaseModel = CATALOGUE[command.operation].requests.validate_json(opened.payload)
    except ValidationError:
        return None
    return body


def _postponed(command: QueuedCommand, error: Exception) -> None:
    trace = None if isinstance(error, SQLAlchemyError) else error  # of the database's troubles a traceback says nothing
    log.error(
        "command-postponed", request_id=command.id, operation=command.operation, state=command.state,
        reason=said(error), exc_info=trace,
    )  # fmt: skip


def _write_failed(error: Exception, failures: int) -> None:
    if now_and_then(failures):
        log.error("outcome-not-recorded", reason=said(error), failures=failures)


def _rule(name: str, calls: MarketingCalls, policy: Policy) -> Rule:
    operation, settle_s = CATALOGUE[name], calls.settle_s(name)
    return Rule(operation.unknown_outcome, operation.attempts, settle_s, policy.backoff, policy.unreadable_max)

"""Delivers what waits to the applications' callbacks.

Each callback is served by itself, so that a slow receiver holds up nobody else: so many outstanding, so many a second,
and after failures in a row one at a time, with growing pauses, until one is accepted. Of a stream (an account of an
application) the next one is tried when the one before is delivered, or dead. At least once: an attempt whose success
could not be written down is made again, with the same id.
"""

import asyncio
import json
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dmz_front.callbacks.settings import CallbackSection, NoticesSection
from dmz_front.callbacks.signing import headers, secret_in
from dmz_front.notices.ledger import OUTCOME, Due, NoticeLedger, state_of
from protocol.backoff import Backoff
from protocol.envelope import Opener
from protocol.errors import EnvelopeError
from protocol.lifecycle import State
from protocol.messages import Reply
from protocol.notices import Dispatch
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Latency, Sample
from protocol.runtime.store_health import said

if TYPE_CHECKING:
    from dmz_front.callbacks.client import Answer, CallbackClient

log = logger(__name__)

_BURST_S = 1.0
"""Of the rate: so much may go at once."""
_READ = 64
"""Rows that are read ahead, at least."""
_DOUBTED = 3
"""After so many failures in a row one callback at a time is tried."""
_PAUSE = 60.0
"""Seconds: the longest pause of a callback that fails."""
_HOUR_MS = 3_600_000


@dataclass(slots=True)
class Target:
    """One callback, and what is going there."""

    name: str
    section: CallbackSection
    secrets: tuple[bytes, ...] = field(repr=False)
    client: "CallbackClient"
    ready: deque[Due] = field(default_factory=deque)
    in_hand: set[str] = field(default_factory=set)
    """Ids that are ready or on their way."""
    running: int = 0
    failures: int = 0
    """In a row."""
    rests_until: float = 0.0
    due_at: float = 0.0
    """When the rate's allowance is whole again."""
    reading: bool = False
    again: bool = False
    timer: asyncio.TimerHandle | None = None


class Deliverer:
    """All callbacks of a front."""

    def __init__(
        self,
        *,
        ledger: NoticeLedger,
        opener: Opener,
        told: Callable[[Reply, State], dict[str, Any]],
        notices: NoticesSection,
        callbacks: Mapping[str, CallbackSection],
        clock: Clock,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`told`: what a callback says of a command's outcome. Raises ConfigurationError for files that cannot be used.
        Connects to nothing yet.
        """
        self._ledger, self._opener, self._clock, self._told = ledger, opener, clock, told
        self._now, self._chance = now, chance
        self._targets: dict[str, Target] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self.attempts: Counter[tuple[str, str]] = Counter()
        """(callback, delivered | failed | dead) → how often."""
        self.latency = Latency()
        self.use(notices, targets(callbacks))

    def use(self, notices: NoticesSection, made: Mapping[str, Target]) -> None:
        """Go by these from now on. What is on its way goes on."""
        self._notices = notices
        self._backoff = Backoff(notices.retry_min_s, notices.retry_max_s, self._chance)
        before, self._targets = self._targets, dict(made)
        for old in before.values():
            old.in_hand.difference_update(due.id for due in old.ready)  # read ahead, not on its way: is read again
            old.ready.clear()
            if old.timer is not None:
                old.timer.cancel()
            new = self._targets.get(old.name)
            if new is not None:  # what is on its way there is not sent a second time meanwhile
                new.in_hand |= old.in_hand
            if old.running == 0:
                self._spawn(old.client.close())

    def callback_of(self, application: str) -> str:
        """Where an application's notices go; empty: nowhere, it asks for them."""
        for name, target in self._targets.items():
            if target.section.application == application and target.section.notices:
                return name
        return ""

    def hurry(self) -> None:
        """There may be something new."""
        if not self._closed:
            for target in self._targets.values():
                self._read(target)

    async def sweep(self) -> None:
        """Look for what is due by now."""
        self.hurry()

    async def close(self) -> None:
        """Begin nothing more; what is on its way ends within its time, and is written down."""
        self._closed = True
        for target in self._targets.values():
            target.ready.clear()
            if target.timer is not None:
                target.timer.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        for target in self._targets.values():
            await target.client.close()

    # --- one callback ---------------------------------------------------------------------------------------

    def _read(self, target: Target) -> None:
        if target.reading:
            target.again = True
            return
        if not target.ready and self._now() >= target.rests_until:
            target.reading = True
            self._spawn(self._fill(target))

    async def _fill(self, target: Target) -> None:
        try:
            target.again = False
            most = max(_READ, 4 * target.section.outstanding)
            whose = target.section.application
            for due in await self._ledger.due(target.name, whose, target.in_hand, most):
                target.in_hand.add(due.id)
                target.ready.append(due)
        except Exception as error:
            log.error("notices-not-read", reason=said(error))
        finally:
            target.reading = False
        if self._targets.get(target.name) is target and not self._closed:
            self._go(target)
            if target.again and not target.ready:
                self._read(target)

    def _go(self, target: Target) -> None:
        """Begin as many as may be under way."""
        if self._closed or self._targets.get(target.name) is not target:
            return
        while target.ready and target.running < (1 if target.failures >= _DOUBTED else target.section.outstanding):
            now = self._now()
            interval = 1.0 / target.section.rate
            wait_s = max(target.rests_until - now, target.due_at - now - max(_BURST_S - interval, 0.0))
            if wait_s > 1e-6:
                self._wake(target, wait_s)
                return
            target.due_at = max(target.due_at, now) + interval
            target.running += 1
            self._spawn(self._deliver(target, target.ready.popleft()))

    def _wake(self, target: Target, wait_s: float) -> None:
        if target.timer is not None:
            target.timer.cancel()
        target.timer = asyncio.get_running_loop().call_later(wait_s, self._go, target)

    async def _deliver(self, target: Target, due: Due) -> None:
        started = time.perf_counter()
        try:
            body = self._body(due)
            if body is None:
                await self._ledger.failed(due.id, None, "it cannot be opened: its key is gone")
                self._dead(target, due, "unreadable")
                return
            now = self._clock()
            answer = await target.client.post(headers(due.id, now // 1000, body, target.secrets), body, now / 1000)
            reach(Point.FRONT_CALLBACK_ANSWERED, due.id)
            await self._judge(target, due, answer)
        except Exception as error:  # the database's: the row waits, and is tried again with the same id
            log.error("notice-not-recorded", notice=due.id, reason=said(error))
            target.rests_until = self._now() + 1.0
        finally:
            self.latency.since(started)
            target.in_hand.discard(due.id)
            current = self._targets.get(target.name)
            if current is not target and current is not None:
                current.in_hand.discard(due.id)
            target.running -= 1
            if self._targets.get(target.name) is target:
                self._go(target)
                self._read(target)
            elif target.running == 0:
                self._spawn(target.client.close())

    async def _judge(self, target: Target, due: Due, answer: "Answer") -> None:
        if not answer.fault:
            target.failures = 0
            self.attempts[target.name, "delivered"] += 1
            await self._ledger.delivered(due.id)
            reach(Point.FRONT_DELIVERED_COMMITTED, due.id)
            return
        target.failures += 1
        self._rest(target, answer)
        now = self._clock()
        late = now - due.since >= self._notices.give_up_hours * _HOUR_MS
        if late or answer.gone:
            await self._ledger.failed(due.id, None, answer.fault)
            self._dead(target, due, answer.fault)
            return
        self.attempts[target.name, "failed"] += 1
        log.warning("callback-failed", callback=target.name, reason=answer.fault, failures=target.failures)
        wait_s = max(self._backoff.after(due.attempts + 1), answer.pause_s)
        await self._ledger.failed(due.id, now + int(wait_s * 1000), answer.fault)

    def _rest(self, target: Target, answer: "Answer") -> None:
        """Leave the receiver alone for a while, if it asks for that or fails again and again."""
        pause_s = answer.pause_s
        if target.failures >= _DOUBTED:
            doubted = Backoff(min(1.0, self._notices.retry_min_s), _PAUSE, self._chance)
            pause_s = max(pause_s, doubted.after(target.failures - _DOUBTED + 1))
        target.rests_until = max(target.rests_until, self._now() + pause_s)

    def _dead(self, target: Target, due: Due, reason: str) -> None:
        self.attempts[target.name, "dead"] += 1
        log.error("notice-dead", notice=due.id, callback=target.name, reason=reason, attempts=due.attempts + 1)

    def _body(self, due: Due) -> bytes | None:
        """What is sent; None if it cannot be opened."""
        try:
            opened = self._opener.authentic(due.envelope)
            reply = Reply.from_payload(opened.attributes, opened.payload)
            if due.kind == OUTCOME:
                document = self._told(reply, state_of(due.id))
            else:
                document = Dispatch.from_payload(reply.result).document(due.id)
        except EnvelopeError as error:
            log.error("notice-unreadable", notice=due.id, reason=error.reason)
            return None
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for (callback, outcome), count in dict(self.attempts).items():
            labels = {"callback": callback, "outcome": outcome}
            yield "dmz_front_callbacks_total", "Callbacks by what came of the attempt", labels, count
        for name, target in dict(self._targets).items():
            labels = {"callback": name}
            yield "dmz_front_callbacks_outstanding", "Callbacks that wait for an answer", labels, target.running
            text = "Callbacks that failed in a row"
            yield "dmz_front_callback_failures", text, labels, target.failures
        yield "dmz_front_callback_duration_seconds", "From the attempt to its record", {}, self.latency


def targets(callbacks: Mapping[str, CallbackSection]) -> dict[str, Target]:
    """The callbacks as configured. Raises ConfigurationError for files that cannot be used.

    Without any the HTTP client is not imported: it is a tenth of a start's work.
    """
    if not callbacks:
        return {}
    from dmz_front.callbacks.client import CallbackClient

    return {
        name: Target(name, section, tuple(secret_in(file) for file in section.secrets), CallbackClient(section))
        for name, section in callbacks.items()
    }

"""Asking ahead: what accounts will ask for is asked before they do, in quiet times of theirs, and kept.

Round after round, while a window lasts: the accounts that asked for something lately (the latest first), then those
with a subscription. Each operation of each is asked by the ordinary way of queries, unless what is kept of it is good
for a while. So what a command or a push has made old is asked anew in the next round.

It gives way. At most so many calls a second are made, and so many at once; customers' queries that wait for a place go
first; in the marketing system's quiet hours nothing is asked; and when an interface is slow, fails, or has its circuit
open, whoever's calls showed that, nothing is asked for a time that doubles until it does well again.

Answers are kept in one bridge's memory, and a query may go to any bridge; so of several bridges each asks for itself,
about the accounts that it has seen and those with a subscription, and they share the rate.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import datetime

from pydantic import BaseModel, ValidationError

from intranet_bridge.hot_data.active import ActiveAccounts
from intranet_bridge.hot_data.hot import HotData
from intranet_bridge.hot_data.interfaces import Interfaces
from intranet_bridge.hot_data.section import PrequerySection, request_of
from intranet_bridge.marketing import Answered, Outcome, Refused
from intranet_bridge.marketing.health import Health
from protocol.maintenance import ALL, Schedule
from protocol.reports.marketing_data import PrequeryReport, PrequeryWindowReport
from protocol.runtime.clock import Clock
from protocol.runtime.jobs import Jobs
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample

log = logger(__name__)

TURN_S = 1.0
GOOD_SHARE = 1 / 3
"""What has so much of its lifetime left is not asked again."""
ROUND_S = 30.0
"""A round begins no sooner than so long after the last has ended."""
REST_S, LONGEST_REST_S = 30.0, 900.0
_CALM_S = 300.0
"""After so long without trouble the next rest is the shortest again."""
_LIVING_S = 15.0
_LOOKED_AT = 2_000
"""Accounts at most that are looked at in a turn."""
_PAGE = 1_000
_FULL = 0.9
"""Of the memory for kept answers: what is asked ahead drives out none that were asked for."""

Ask = Callable[[str, BaseModel, float], Awaitable[Outcome | None]]
"""`QueryWorkers.ahead`."""
Subscribed = Callable[[str, int], Awaitable[list[tuple[str, str]]]]
"""A page of (place, account) after a place."""


class Prequery:
    """Of one bridge."""

    def __init__(
        self, *, hot: HotData, ask: Ask, subscribed: Subscribed, health: Mapping[str, Health],
        allowed: Callable[[], bool], living: Callable[[], Awaitable[int]], clock: Clock,
        now: Callable[[], float] = time.monotonic, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:  # fmt: skip
        """`allowed`: whether this bridge may call others now. `living`: how many bridges share the rate."""
        self._hot, self._ask, self._subscribed, self._interfaces = hot, ask, subscribed, Interfaces(health)
        self._allowed, self._living, self._clock, self._now, self._sleep = allowed, living, clock, now, sleep
        self._section, self._windows, self._quiet = PrequerySection(), Schedule(), Schedule()
        self.active = ActiveAccounts(0, now)
        self._jobs = Jobs()
        self._bridges, self._counted_at = 1, -_LIVING_S
        self._credit = 0.0
        self._round: AsyncIterator[tuple[str, BaseModel]] | None = None
        self._next_round = 0.0
        self._chosen: deque[tuple[str, BaseModel]] = deque()
        self._rest_until, self._rest_s, self._rests = 0.0, REST_S, ""
        self._window: tuple[int, int] | None = None
        self._counts: Counter[str] = Counter()
        """Of the window: asked, kept, refused, failed, rounds; rested_ms."""
        self._reason, self._spared_before = "", 0
        self._last: PrequeryWindowReport | None = None
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """(operation, kept | refused | failed) → calls since the start."""

    def use(self, section: PrequerySection, windows: Schedule, quiet: Schedule) -> None:
        """Go by this from now on. `windows`: the section's own; `quiet`: the marketing system's quiet hours."""
        if section != self._section:
            self._round, self._next_round = None, 0.0
            self._chosen.clear()
        self._section, self._windows, self._quiet = section, windows, quiet
        self.active.use(section.accounts if section.requests else 0)

    @property
    def on(self) -> bool:
        """Whether anything is ever asked ahead."""
        return bool(self._section.requests)

    async def start(self) -> None:
        """Look each second."""
        self._jobs.every(TURN_S, "prequery", self.turn)
        self._jobs.start()

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return self._jobs.standing()

    async def close(self) -> None:
        """Ask nothing more."""
        await self._jobs.close()

    async def turn(self) -> None:
        """What is to be done in one second. Raises what the store raises."""
        ms = self._clock()
        self._mark_window(self._windows.now(ALL, ms) if self.on else None)
        if self._window is None or self._quiet.now(ALL, ms) is not None or not self._allowed():
            return
        if self._resting():
            self._counts["rested_ms"] += round(TURN_S * 1000)
            return
        rate = self._section.rate / await self._sharing()
        self._credit = min(self._credit + rate * TURN_S, max(1.0, rate * TURN_S))
        calls = int(self._credit)
        await self._choose(calls)
        gate = asyncio.Semaphore(self._section.at_once)
        async with asyncio.TaskGroup() as group:
            for number in range(min(calls, len(self._chosen))):
                if number:
                    await self._sleep(TURN_S / max(1.0, rate))
                await gate.acquire()
                if not self._chosen or self._stops():
                    break
                self._credit -= 1
                group.create_task(self._one(*self._chosen.popleft(), gate))

    def report(self) -> PrequeryReport | None:
        """As it stands now; None: nothing is asked ahead."""
        if not self.on:
            return None
        following = self._windows.next([ALL], self._clock())
        return PrequeryReport(
            active=len(self.active), bridges=self._bridges, spared=self._hot.spared.total(),
            now=self._so_far() if self._window else None, last=self._last, rests=self._rests if self._window else "",
            following=following.since if following else 0,
        )  # fmt: skip

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        if not self.on:
            return
        for (operation, outcome), number in dict(self.outcomes).items():
            labels = {"operation": operation, "outcome": outcome}
            yield "intranet_bridge_prequery_calls_total", "Calls for what nobody had asked for yet", labels, number
        text = "Accounts that asked for something lately, in memory"
        yield "intranet_bridge_prequery_active_accounts", text, {}, len(self.active)
        text = "1: nothing is asked ahead although it is time to: an interface does not do well, or memory is short"
        yield "intranet_bridge_prequery_rests", text, {}, float(bool(self._rests and self._window))

    # --- when -----------------------------------------------------------------------------------------------

    def _mark_window(self, pause: object) -> None:
        """Begin a window, or end one and say what came of it."""
        found = (pause.since, pause.until) if pause is not None else None  # type: ignore[attr-defined]
        if found == self._window:
            return
        if self._window is not None:
            self._last = self._so_far().model_copy(update={"until": min(self._window[1], self._clock())})
            done = self._last.model_dump(exclude={"since", "until", "reason"})
            spared = self._hot.spared.total() - self._spared_before
            log.info("prequery-ended", **done, active=len(self.active), spared=spared)
            self._spared_before += spared
        self._window = found
        self._counts.clear()
        self._reason, self._rests, self._rest_until, self._rest_s = "", "", 0.0, REST_S
        self._round, self._next_round = None, 0.0
        self._chosen.clear()
        self._interfaces.forget()

    def _so_far(self) -> PrequeryWindowReport:
        assert self._window is not None, "asked only in one"
        counts = {name: self._counts[name] for name in ("asked", "kept", "refused", "failed", "rounds")}
        since, until = self._window
        rested_s = self._counts["rested_ms"] / 1000
        return PrequeryWindowReport(since=since, until=until, rested_s=rested_s, reason=self._reason, **counts)

    def _resting(self) -> bool:
        """Whether an interface is left alone now. Each time it does not do well again, for twice as long."""
        now, reason = self._now(), self._trouble()
        if now < self._rest_until:
            return True
        if reason:
            if self._rests or now - self._rest_until < _CALM_S:
                self._rest_s = min(2 * self._rest_s, LONGEST_REST_S) if self._rest_until else REST_S
            else:
                self._rest_s = REST_S
            if not self._rests:
                log.warning("prequery-rests", reason=reason, seconds=self._rest_s)
            self._rests = self._reason = reason
            self._rest_until = now + self._rest_s
            self._interfaces.forget()  # what is called from now on says how it does then
            return True
        if self._rests:
            self._rests = ""
            log.info("prequery-goes-on")
        return False

    def _trouble(self) -> str:
        kept, size = self._hot.size
        if kept and size > _FULL * self._hot.limit:
            return "no memory left for kept answers"
        return self._interfaces.trouble(self._section.requests, self._section.slow_ms / 1000, self._now())

    def _stops(self) -> bool:
        return not self._allowed() or bool(self._trouble())

    async def _sharing(self) -> int:
        if self._now() - self._counted_at >= _LIVING_S:
            self._bridges, self._counted_at = max(1, await self._living()), self._now()
        return self._bridges

    # --- what -----------------------------------------------------------------------------------------------

    async def _choose(self, calls: int) -> None:
        """Have so many ready to be asked, if there are any."""
        for _ in range(_LOOKED_AT):
            if len(self._chosen) >= calls:
                return
            if self._round is None:
                if self._now() < self._next_round:
                    return
                self._round = self._pairs()
            try:
                operation, body = await anext(self._round)
            except StopAsyncIteration:
                self._round, self._next_round = None, self._now() + ROUND_S
                self._counts["rounds"] += 1
                return
            except BaseException:
                self._round, self._next_round = None, self._now() + ROUND_S
                raise
            if not self._hot.good(self._hot.asking(operation, body), GOOD_SHARE):
                self._chosen.append((operation, body))

    async def _pairs(self) -> AsyncIterator[tuple[str, BaseModel]]:
        """What is asked in a round."""
        section = self._section
        active = self.active.latest(section.active_hours * 3600)
        for account in active:
            for pair in self._of(account):
                yield pair
        place, known = "", set(active)
        while section.subscribed and (page := await self._subscribed(place, _PAGE)):
            for place, account in page:  # noqa: B007 - the last one is where the next page begins
                if account not in known:
                    for pair in self._of(account):
                        yield pair

    def _of(self, account: str) -> Iterator[tuple[str, BaseModel]]:
        section = self._section
        today = datetime.fromtimestamp(self._clock() / 1000, self._windows.zone).date()
        for operation in self._interfaces.usable(section.requests):
            try:
                yield operation, request_of(operation, section.requests[operation], account, today)
            except ValidationError:
                continue  # an account number that the catalogue does not take any more

    async def _one(self, operation: str, body: BaseModel, gate: asyncio.Semaphore) -> None:
        try:
            outcome = await self._ask(operation, body, GOOD_SHARE)
        except KeyError:
            return  # not bound, or not kept, any more
        finally:
            gate.release()
        match outcome:
            case None:  # customers' queries wait for a place, as a rule: later
                if not self._hot.good(self._hot.asking(operation, body), GOOD_SHARE):
                    self._chosen.append((operation, body))
                return
            case Answered():
                came_to = "kept"
            case Refused():
                came_to = "refused"
                self.active.forget(body.account)  # type: ignore[attr-defined]
            case _:
                came_to = "failed"
        self._counts["asked"] += 1
        self._counts[came_to] += 1
        self.outcomes[operation, came_to] += 1

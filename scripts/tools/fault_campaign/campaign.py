"""One campaign from start to end: load, faults, drain, reconciliation, replay."""

import asyncio
import contextlib
import sqlite3
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from scripts.tools.fault_campaign import records
from scripts.tools.fault_campaign.faults import AFTER_LOAD, ORDER_POINTS, REFUND_POINT
from scripts.tools.fault_campaign.inject import Injector
from scripts.tools.fault_campaign.load import Load
from scripts.tools.fault_campaign.money import Money
from scripts.tools.fault_campaign.money_books import MoneyVerdict
from scripts.tools.fault_campaign.money_books import check as check_money
from scripts.tools.fault_campaign.notice_books import NoticeVerdict, check
from scripts.tools.fault_campaign.notices import Notices
from scripts.tools.fault_campaign.plan import Fault
from scripts.tools.fault_campaign.prober import Prober, Recovery
from scripts.tools.fault_campaign.reconcile import Verdict, Violation, changed, reconcile
from scripts.tools.fault_campaign.site import Site
from scripts.tools.fault_campaign.timelines import Observation, Timeline
from scripts.tools.fault_campaign.withholding_books import WithholdingVerdict
from scripts.tools.fault_campaign.withholding_books import check as check_withholding

RECOVERY_S = 40.0
"""A fault without recovery within this time after its end is reported as not recovered from."""
REPLAYED = 200
PROGRESS_S = 5.0
DIES_WITHIN_S = 60.0
"""After the load the bridge must have come to the point at which it is to die: it looks at statements now and then."""
ARMED_S = 0.5
"""A daemon that is to die at a point reads so by then."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a campaign does."""

    seed: int
    seconds: float
    commands_rate: float
    queries_rate: float
    drain_s: float
    faults: list[Fault]
    pushes: int = 0
    """How many the marketing system makes."""
    money: float = 0.0
    """Payment orders a second; 0: none."""
    deaths: frozenset[str] = frozenset(AFTER_LOAD)
    """With money: the points at which the bridge dies after the load."""


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """A fault as it was injected."""

    fault: Fault
    began_s: float
    lasted_s: float
    recovery: Recovery


@dataclass(slots=True)
class Result:
    """Everything a campaign found out."""

    verdict: Verdict = field(default_factory=Verdict)
    notices: NoticeVerdict = field(default_factory=NoticeVerdict)
    money: MoneyVerdict = field(default_factory=MoneyVerdict)
    withholding: WithholdingVerdict = field(default_factory=WithholdingVerdict)
    payments: dict[str, int] = field(default_factory=dict)
    """Notifications and orders of money, by what became of them."""
    points: dict[str, bool] = field(default_factory=dict)
    """Of orders and statements: whether the bridge died there after the load."""
    died_at: int = 0
    """Deaths at a named point."""
    injected: list[InjectedFault] = field(default_factory=list)
    queries: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    commands: int = 0
    drain_s: float = 0.0
    replayed: int = 0
    memory_mb: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """Of front and bridge: first, greatest and last value."""
    wall_s: float = 0.0
    evidence: dict[str, list[str]] = field(default_factory=dict)
    """The responses to the callers concerned, by request id and key; kept with the logs of a failed campaign."""

    @property
    def good(self) -> bool:
        """Whether every invariant held."""
        return not self.violations

    @property
    def violations(self) -> list[Violation]:
        """Of everything."""
        return [*self.verdict.violations, *self.notices.violations, *self.money.violations,
                *self.withholding.violations]  # fmt: skip


class Campaign:
    """Runs on a site that is set up and started."""

    def __init__(self, site: Site, settings: Settings) -> None:
        self._site, self._settings = site, settings
        self._injector = Injector(site)
        self._result = Result()
        self._phase = "warming up"
        self._money: Money | None = None

    async def run(self) -> Result:
        """Run everything."""
        settings, result = self._settings, self._result
        async with (
            Load(self._site.url, self._site.testbed.app_key, settings.seed) as load,
            Notices(self._site, settings.pushes, settings.seconds) as notices,
            contextlib.AsyncExitStack() as stack,
        ):
            self._load, self._notices = load, notices
            if settings.money:
                money = Money(self._site, settings.money, settings.seconds, settings.seed, settings.deaths)
                self._money = await stack.enter_async_context(money)
            if settings.pushes:
                self._say("subscribing")
                await notices.subscribe()
                await notices.begin()
            if self._money is not None:
                self._say("asking what is owed")
                await self._money.prepare()
            began = time.monotonic()
            asking = asyncio.create_task(notices.ask())
            monitoring = asyncio.create_task(self._monitor())
            try:
                offering = asyncio.create_task(
                    load.run(settings.seconds, settings.commands_rate, settings.queries_rate)
                )
                paying = asyncio.create_task(self._money.run()) if self._money is not None else None
                try:
                    await self._inject_faults(began)
                    await offering
                    if paying is not None:
                        await paying
                finally:
                    offering.cancel()
                    if paying is not None:
                        paying.cancel()
                await self._drain()
                if settings.pushes:
                    await self._check_notices(asking)
                others = set(notices.requests)
                if self._money is not None:
                    await self._check_money(self._money)
                    others |= await asyncio.to_thread(self._money.requests)
                await self._collect_outcomes()
                found = await asyncio.to_thread(self._records)
                result.verdict = reconcile(load.timelines, found, others)
                self._add_other_violations()
                await self._replay(found)
            finally:
                monitoring.cancel()
                asking.cancel()
            result.died_at = self._injector.reached
            result.queries, result.rejected = dict(load.queries), dict(load.rejected)
            result.commands = sum(bool(timeline.observations) for timeline in load.timelines)
            concerned = " ".join(str(violation) for violation in result.violations)
            result.evidence = {
                f"{timeline.id} {timeline.key} {timeline.account}": [
                    str(observation) for observation in timeline.observations
                ]
                for timeline in load.timelines
                if (timeline.id or timeline.key) in concerned
            }
        result.wall_s = time.monotonic() - began
        return result

    # --- faults --------------------------------------------------------------------------------------------------

    async def _inject_faults(self, began: float) -> None:
        prober = Prober(self._load)
        for fault in self._settings.faults:
            self._phase = "undisturbed"
            await asyncio.sleep(max(0.0, began + fault.start_s - time.monotonic()))
            if time.monotonic() - began > self._settings.seconds:
                self._say(f"no time is left for {fault.kind} {fault.target} and what follows")
                return
            start = time.monotonic()
            self._phase = f"{fault.kind} {fault.target}"
            if self._money is not None:
                await self._money.statements.lay_one(fault.kind, fault.target)
            await self._injector.inject(fault)
            end = time.monotonic()
            self._phase = f"recovering from {fault.kind} {fault.target}"
            recovery = await prober.recovery(RECOVERY_S)
            injected = InjectedFault(fault, round(start - began, 1), round(end - start, 1), recovery)
            self._result.injected.append(injected)
            self._say(
                f"{injected.began_s:7.1f} s  {fault.kind} {fault.target} for {injected.lasted_s:g} s"
                f" {' '.join(f'{name}={value}' for name, value in fault.parameters.items())};"
                f" commands again after {_seconds(recovery.command_s)}, queries after {_seconds(recovery.query_s)}"
            )

    # --- the end -------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """End all faults and start every part; then wait, without helping, until the ledger has nothing unfinished."""
        self._phase = "draining"
        if self._money is not None:
            await self._money.statements.lay_due()
        await self._injector.heal()
        await Prober(self._load).recovery(RECOVERY_S)
        await self._load.finish(30)
        unanswered = [
            timeline for timeline in self._load.timelines if timeline.observations and timeline.accepted is None
        ]
        await self._load.for_each(unanswered, self._load.ask_for_outcome)
        if self._money is not None:
            self._phase = "draining orders"
            await self._money.payers.settle()  # what does not end is told when the books are compared
        begun = time.monotonic()
        file = self._site.database("front")
        while True:
            left = await asyncio.to_thread(_unfinished, file)
            notices = await asyncio.to_thread(self._notices.unfinished) if self._settings.pushes else 0
            if left == notices == 0:
                break
            if time.monotonic() - begun > self._settings.drain_s:
                late = f"{self._settings.drain_s:g} s after the last fault"
                what = f"{left} commands are not final, {notices} pushes and notices not where they belong, {late}"
                self._result.verdict.add("undrained", what)
                break
            await asyncio.sleep(0.5)
        self._result.drain_s = time.monotonic() - begun
        self._injector.restart_dead_parts()

    async def _check_notices(self, asking: asyncio.Task[None]) -> None:
        """The applications ask until there is no more; then the books of pushes and notices are compared."""
        self._phase = "comparing the books of notices"
        asking.cancel()
        await asyncio.wait([asking])
        async with asyncio.timeout(self._settings.drain_s):
            await self._notices.ask_to_the_end()
        books = await asyncio.to_thread(self._notices.books)
        self._result.notices = await asyncio.to_thread(check, books)

    async def _check_money(self, money: Money) -> None:
        """Pay orders while the bridge dies at each point of their life; then statements, likewise; then the books."""
        result = self._result
        for point in (one for one in ORDER_POINTS if one in self._settings.deaths):
            self._phase = f"paying while the bridge dies at {point}"
            dying = asyncio.create_task(self._die_at(point))
            await asyncio.sleep(ARMED_S)
            for _ in range(2):
                money.payers.offer("paid-twice" if point == REFUND_POINT else "plain")
            await dying
        self._phase = "draining orders"
        left = await money.payers.settle()
        self._phase = "comparing statements"
        left += await money.statements.compared(self._die_at)
        self._phase = "sealing batches of withholding"
        await money.withholding.sealed(self._die_at)
        left += await money.withholding.settled()
        self._phase = "signing clearing sheets"
        await money.clearing.cleared(self._die_at)
        self._phase = "comparing the books of money"
        await money.payers.look_at_all()
        books = await asyncio.to_thread(money.books, left)
        result.money = await asyncio.to_thread(check_money, books)
        for number in money.believed:
            result.money.add("forged", f"order {number} took a payment that nobody made")
        withheld = await asyncio.to_thread(money.withholding.books)
        result.withholding = await asyncio.to_thread(check_withholding, withheld)
        result.payments = dict(money.channels.notifications + money.payers.refused + money.statements.laid)
        for point in self._settings.deaths:
            result.points.setdefault(point, False)

    async def _die_at(self, point: str) -> bool:
        """Whether the bridge died there; it is started again. At a point that is not wanted it does not die."""
        if point not in self._settings.deaths:
            return False
        before = self._injector.reached
        await self._injector.inject(Fault(0, 0.2, "dies-at", "bridge", {"point": point, "within_s": DIES_WITHIN_S}))
        reached = self._injector.reached > before
        self._result.points[point] = reached
        return reached

    async def _collect_outcomes(self) -> None:
        """Every caller without an outcome asks for it; of the others one in ten asks again."""
        self._phase = "collecting outcomes"
        load = self._load
        open_ = [timeline for timeline in load.timelines if timeline.observations and timeline.final is None]
        settled = [timeline for timeline in load.timelines if timeline.final is not None][::10]
        await load.for_each(open_ + settled, load.ask_for_outcome)

    def _records(self) -> records.Records:
        site = self._site
        log = site.testbed.logs / "bridge.log"
        return records.read(site.database("front"), site.database("bridge"), site.testbed.marketing_url, log)

    def _add_other_violations(self) -> None:
        verdict = self._result.verdict
        for text in self._load.wrong_queries:
            verdict.add("wrong-query", text)
        for code, count in self._load.queries.items():
            if int(code.split()[0]) not in (0, 200, 429, 502, 503, 504):
                verdict.add("unexpected", f"{count} queries were answered {code}")
        for part in self._injector.died:
            verdict.add("undrained", f"the {part} ended by itself")

    async def _replay(self, before: records.Records) -> None:
        """Send settled commands again with their keys, twice: the second time after the front was killed."""
        self._phase = "replaying settled commands"
        final = [timeline for timeline in self._load.timelines if timeline.final is not None]
        sample = final[:: max(1, len(final) // REPLAYED)][:REPLAYED]
        answers: list[tuple[Timeline, str, str]] = []

        async def again(timeline: Timeline) -> None:
            observation = Observation(0, 0, 0)
            for _ in range(20):
                observation = await self._load.submit(Timeline(timeline.key, timeline.account))
                if observation.http and observation.code != "shutting-down":
                    break
                await asyncio.sleep(0.3)
            answers.append((timeline, observation.state, observation.effect))

        await self._load.for_each(sample, again)
        await asyncio.to_thread(self._site.testbed.kill, "front")
        await asyncio.to_thread(self._site.testbed.start, "front")
        await self._load.for_each(sample[::2], again)
        self._result.replayed = len(answers)
        after = await asyncio.to_thread(self._records)
        self._result.verdict.violations += changed(before, after, answers)

    # --- monitoring --------------------------------------------------------------------------------------------------

    async def _monitor(self) -> None:
        began = time.monotonic()
        while True:
            for part in ("front", "bridge"):
                used = _memory_mb(self._site.testbed.pids.get(part, 0))
                if used:
                    first, most, _ = self._result.memory_mb.get(part, (used, used, used))
                    self._result.memory_mb[part] = (first, max(most, used), used)
            load, elapsed = self._load, time.monotonic() - began
            answered = sum(count for code, count in load.queries.items() if code.startswith("200"))
            self._say(
                f"{elapsed:7.1f} s  {self._phase}: {load.accepted} accepted, {load.settled} told their outcome,"
                f" {answered} of {sum(load.queries.values())} queries answered"
                + (f", {self._notices.progress()}" if self._settings.pushes else "")
                + (f", {self._money.payers.progress()}" if self._money is not None else "")
            )
            await asyncio.sleep(PROGRESS_S)

    @staticmethod
    def _say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def _seconds(value: float | None) -> str:
    return f"more than {RECOVERY_S:g} s" if value is None else f"{value:.1f} s"


def _unfinished(file: Path) -> int:
    with contextlib.suppress(sqlite3.Error):
        return records.unfinished(file)
    return -1


def _memory_mb(pid: int) -> float:
    """Resident memory (proc(5))."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0

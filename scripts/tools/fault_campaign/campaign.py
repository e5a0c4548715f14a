"""One campaign from its beginning to its end: load, faults, drain, books, replay."""

import asyncio
import contextlib
import sqlite3
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from scripts.tools.fault_campaign import books
from scripts.tools.fault_campaign.inject import Injector
from scripts.tools.fault_campaign.load import Load
from scripts.tools.fault_campaign.plan import Fault
from scripts.tools.fault_campaign.prober import Prober, Recovery
from scripts.tools.fault_campaign.reconcile import Verdict, changed, reconcile
from scripts.tools.fault_campaign.site import Site
from scripts.tools.fault_campaign.stories import Story, Word

RECOVERY_S = 40.0
"""A fault whose end is not overcome in this time is reported as not recovered from."""
REPLAYED = 200
PROGRESS_S = 5.0


@dataclass(frozen=True, slots=True)
class Orders:
    """What a campaign is to do."""

    seed: int
    seconds: float
    commands_rate: float
    queries_rate: float
    drain_s: float
    faults: list[Fault]


@dataclass(frozen=True, slots=True)
class Done:
    """A fault as it was carried out."""

    fault: Fault
    began_s: float
    lasted_s: float
    recovery: Recovery


@dataclass(slots=True)
class Result:
    """All that a campaign found out."""

    verdict: Verdict = field(default_factory=Verdict)
    done: list[Done] = field(default_factory=list)
    queries: dict[str, int] = field(default_factory=dict)
    turned_away: dict[str, int] = field(default_factory=dict)
    commands: int = 0
    drain_s: float = 0.0
    replayed: int = 0
    memory_mb: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """Of front and bridge: at the start, at most, at the end."""
    wall_s: float = 0.0
    evidence: dict[str, list[str]] = field(default_factory=dict)
    """What the callers in question were told, by request id or key; kept with the logs of a failed campaign."""

    @property
    def good(self) -> bool:
        """Whether every invariant held."""
        return not self.verdict.violations


class Campaign:
    """Carries out orders on a site that is set up and running."""

    def __init__(self, site: Site, orders: Orders) -> None:
        self._site, self._orders = site, orders
        self._injector = Injector(site)
        self._result = Result()
        self._doing = "warming up"

    async def run(self) -> Result:
        """The whole of it."""
        orders, result, began = self._orders, self._result, time.monotonic()
        async with Load(self._site.url, self._site.stand.app_key, orders.seed) as load:
            self._load = load
            watching = asyncio.create_task(self._watch())
            try:
                offering = asyncio.create_task(load.run(orders.seconds, orders.commands_rate, orders.queries_rate))
                try:
                    await self._disturb(began)
                    await offering
                finally:
                    offering.cancel()
                await self._come_to_rest()
                await self._ask_everybody()
                found = await asyncio.to_thread(self._books)
                result.verdict = reconcile(load.stories, found)
                self._note_the_rest()
                await self._replay(found)
            finally:
                watching.cancel()
            result.queries, result.turned_away = dict(load.queries), dict(load.turned_away)
            result.commands = sum(bool(story.words) for story in load.stories)
            accused = " ".join(str(violation) for violation in result.verdict.violations)
            result.evidence = {
                f"{story.id} {story.key} {story.account}": [str(word) for word in story.words]
                for story in load.stories
                if (story.id or story.key) in accused
            }
        result.wall_s = time.monotonic() - began
        return result

    # --- faults --------------------------------------------------------------------------------------------------

    async def _disturb(self, began: float) -> None:
        prober = Prober(self._load)
        for fault in self._orders.faults:
            self._doing = "undisturbed"
            await asyncio.sleep(max(0.0, began + fault.start_s - time.monotonic()))
            if time.monotonic() - began > self._orders.seconds:
                self._say(f"no time is left for {fault.kind} {fault.target} and what follows")
                return
            start = time.monotonic()
            self._doing = f"{fault.kind} {fault.target}"
            await self._injector.carry_out(fault)
            end = time.monotonic()
            self._doing = f"recovering from {fault.kind} {fault.target}"
            recovery = await prober.recovery(RECOVERY_S)
            done = Done(fault, round(start - began, 1), round(end - start, 1), recovery)
            self._result.done.append(done)
            self._say(
                f"{done.began_s:7.1f} s  {fault.kind} {fault.target} for {done.lasted_s:g} s"
                f" {' '.join(f'{name}={value}' for name, value in fault.parameters.items())};"
                f" commands again after {_seconds(recovery.command_s)}, queries after {_seconds(recovery.query_s)}"
            )

    # --- the end -------------------------------------------------------------------------------------------------

    async def _come_to_rest(self) -> None:
        """Faults off, everything up; then without anybody's help until the ledger has nothing unfinished."""
        self._doing = "coming to rest"
        await self._injector.heal()
        await Prober(self._load).recovery(RECOVERY_S)
        await self._load.finish(30)
        unasked = [story for story in self._load.stories if story.words and story.accepted is None]
        await self._load.ask_all(unasked, self._load.last_word)
        begun = time.monotonic()
        file = self._site.database("front")
        while (left := await asyncio.to_thread(_unfinished, file)) != 0:
            if time.monotonic() - begun > self._orders.drain_s:
                what = f"{left} commands are not final {self._orders.drain_s:g} s after the last fault"
                self._result.verdict.broken("undrained", what)
                break
            await asyncio.sleep(0.5)
        self._result.drain_s = time.monotonic() - begun
        self._injector.look_for_the_dead()

    async def _ask_everybody(self) -> None:
        """Every caller that does not know its outcome asks for it; of the others one in ten asks again."""
        self._doing = "asking every caller's last question"
        load = self._load
        open_ = [story for story in load.stories if story.words and story.final is None]
        told = [story for story in load.stories if story.final is not None][::10]
        await load.ask_all(open_ + told, load.last_word)

    def _books(self) -> books.Books:
        site = self._site
        log = site.stand.logs / "bridge.log"
        return books.read(site.database("front"), site.database("bridge"), site.stand.marketing_url, log)

    def _note_the_rest(self) -> None:
        verdict = self._result.verdict
        for text in self._load.wrong_queries:
            verdict.broken("wrong-query", text)
        for code, count in self._load.queries.items():
            if int(code.split()[0]) not in (0, 200, 429, 502, 503, 504):
                verdict.broken("unexpected", f"{count} queries were answered {code}")
        for part in self._injector.died:
            verdict.broken("undrained", f"the {part} ended by itself")

    async def _replay(self, before: books.Books) -> None:
        """Settled commands again, with their keys: twice, the second time to a front that was killed between."""
        self._doing = "replaying settled commands"
        final = [story for story in self._load.stories if story.final is not None]
        sample = final[:: max(1, len(final) // REPLAYED)][:REPLAYED]
        answers: list[tuple[Story, str, str]] = []

        async def again(story: Story) -> None:
            word = Word(0, 0, 0)
            for _ in range(20):
                word = await self._load.ask(Story(story.key, story.account))
                if word.http and word.code != "shutting-down":
                    break
                await asyncio.sleep(0.3)
            answers.append((story, word.state, word.effect))

        await self._load.ask_all(sample, again)
        await asyncio.to_thread(self._site.stand.kill, "front")
        await asyncio.to_thread(self._site.stand.start, "front")
        await self._load.ask_all(sample[::2], again)
        self._result.replayed = len(answers)
        after = await asyncio.to_thread(self._books)
        self._result.verdict.violations += changed(before, after, answers)

    # --- watching --------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        began = time.monotonic()
        while True:
            for part in ("front", "bridge"):
                used = _memory_mb(self._site.stand.pids.get(part, 0))
                if used:
                    first, most, _ = self._result.memory_mb.get(part, (used, used, used))
                    self._result.memory_mb[part] = (first, max(most, used), used)
            load, elapsed = self._load, time.monotonic() - began
            answered = sum(count for code, count in load.queries.items() if code.startswith("200"))
            self._say(
                f"{elapsed:7.1f} s  {self._doing}: {load.accepted} accepted, {load.settled} told their outcome,"
                f" {answered} of {sum(load.queries.values())} queries answered"
            )
            await asyncio.sleep(PROGRESS_S)

    @staticmethod
    def _say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def _seconds(value: float | None) -> str:
    return f"more than {RECOVERY_S:g} s" if value is None else f"{value:.1f} s"


def _unfinished(file: Path) -> int:
    with contextlib.suppress(sqlite3.Error):
        return books.unfinished(file)
    return -1


def _memory_mb(pid: int) -> float:
    """Resident memory (proc(5))."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0

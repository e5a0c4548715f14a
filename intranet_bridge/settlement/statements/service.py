"""Statements as a part of the settlement: made from its settings, started and stopped with the bridge."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping

from pydantic import BaseModel

from intranet_bridge.settlement.days import day_of as today_of
from intranet_bridge.settlement.part import Part
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.settlement.statements import run_records as records
from intranet_bridge.settlement.statements.acting import CONSUMER, Acting
from intranet_bridge.settlement.statements.answers import StatementAnswers
from intranet_bridge.settlement.statements.asking import MarketingWriteOffs
from intranet_bridge.settlement.statements.desk import StatementBooks
from intranet_bridge.settlement.statements.matcher import ProcessMatcher
from intranet_bridge.settlement.statements.orders import Orders
from intranet_bridge.settlement.statements.reconciling import Reconciliation
from intranet_bridge.settlement.statements.records import Statements
from intranet_bridge.settlement.statements.reporting import reported
from intranet_bridge.settlement.statements.sources import expected_of, sources_of
from intranet_bridge.settlement_sections.statements import StatementsSection
from protocol.reports.settlement import StatementsReport
from protocol.runtime.control import Answer
from protocol.runtime.jobs import Jobs
from protocol.runtime.metrics import Sample

_LOOK_S, _RENEW_S, _COUNT_S = 10.0, 30.0, 15.0
_LATELY_MS = 14 * 86_400_000


class StatementsPart(Part):
    """Of one bridge."""

    def __init__(
        self, section: StatementsSection, ports: Ports, orders: Orders | None = None,
        elsewhere: Callable[[], frozenset[str]] = frozenset, close_after_days: Callable[[], int] = lambda: 3,
    ) -> None:  # fmt: skip
        """Reads the profiles. Raises ConfigurationError. `elsewhere`: companies that another bridge has.
        `close_after_days`: of the settlement.
        """
        self._ports, self._orders = ports, orders
        self.sources = sources_of(section)
        profiles = {name: source.profile for name, source in self.sources.items()}
        statements = Statements(ports.store, profiles, ports.clock)
        self.acting = Acting(ports.commands, ports.clock, orders)
        self.loop = Reconciliation(
            section=section, sources=self.sources, store=ports.store, statements=statements, files=ports.files,
            write_offs=MarketingWriteOffs(ports.calls, ports.allowed, ports.clock), matcher=ProcessMatcher(),
            acting=self.acting, begin=self._begin, allowed=ports.allowed, name=ports.name, clock=ports.clock,
            elsewhere=elsewhere, close_after_days=close_after_days,
        )  # fmt: skip
        self.books = StatementBooks(
            section=section, sources=self.sources, store=ports.store, statements=statements, transact=ports.transact,
            clock=ports.clock, changed=self._wake,
        )  # fmt: skip
        self._report = StatementsReport()
        self._jobs = Jobs()
        self._looking = asyncio.Lock()
        self._woken: asyncio.Task[None] | None = None

    def answers(self) -> Mapping[str, Answer]:
        """`bridgectl settle`."""
        return StatementAnswers(self.books).answers()

    async def forget(self, before: int) -> None:
        """Which files were read; statements, runs and items are of the books, and stay."""
        await self._ports.store.write(lambda connection: records.forget_arrivals(connection, before))

    def reports(self) -> Mapping[str, BaseModel]:
        """For `bridgectl status`, as counted last."""
        return {"statements": self._report}

    async def count(self) -> None:
        """Count for the report and the metrics."""
        self._report = await reported(self.books, self._ports.store, self._ports.clock() - _LATELY_MS)

    async def start(self) -> None:
        """Go on with what was begun, and begin looking for more."""
        today = today_of(self._ports.clock())
        await self._ports.store.write(lambda connection: records.expect(connection, expected_of(self.sources), today))
        await self.loop.release()  # what it worked on when it was killed is its own: nobody waits for its claim to end
        self._ports.commands().consume(CONSUMER, self.acting.take)
        files = self._ports.files()
        if files is not None:
            files.listeners.append(lambda file: self._wake() if file.profile in self.sources else None)
        self._jobs.every(_LOOK_S, "statements", self.look)
        await self._jobs.now_and_every(_COUNT_S, "count statements", self.count)
        self._jobs.every(_RENEW_S, "renew statements", self.loop.renew)
        self._jobs.start()

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return self._jobs.standing()

    async def close(self) -> None:
        """Stop; what is unfinished goes on at the next start."""
        await self._jobs.close()
        if self._woken is not None:
            self._woken.cancel()
            await asyncio.gather(self._woken, return_exceptions=True)
        await self.loop.release()

    async def look(self) -> None:
        """One turn; never two at once."""
        async with self._looking:
            await self.loop.look()

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for outcome, count in dict(self.loop.verdicts).items():
            yield "intranet_bridge_statements_total", "Statements read, by verdict", {"verdict": outcome}, count
        for name, count in dict(self.loop.found).items():
            yield "intranet_bridge_statement_items_total", "What payments came to, by class", {"class": name}, count

        told = self._report
        for state, number in (
            ("late", len(told.late)), ("missing", len(told.missing)), ("refused", len(told.refused)),
            ("conflicting", len(told.conflicting)), ("incomplete", len(told.incomplete)),
            ("needs-approval", len(told.approvals)),
        ):  # fmt: skip
            yield (
                "intranet_bridge_statements_waiting",
                "Statements and runs that somebody has to look at",
                {"state": state},
                number,
            )
        yield "intranet_bridge_statement_items_held", "Differences that people have to resolve", {}, told.held
        text = "What they are about, in fen"
        yield "intranet_bridge_statement_items_held_fen", text, {}, told.held_fen

    def _begin(self) -> None:
        self._ports.commands().begin()
        if self._orders is not None:
            self._orders.hurry()

    def _wake(self) -> None:
        if self._woken is None or self._woken.done():
            self._woken = asyncio.get_running_loop().create_task(self._soon(), name="statements")

    async def _soon(self) -> None:
        with contextlib.suppress(Exception):  # the next turn meets it too, and tells of it
            await self.look()

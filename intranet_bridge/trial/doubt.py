"""Doubts: an interface that fails is probed by the bridge itself, so that `bridgectl status` can name the cause.

A probe is a call of a query with the catalogue's example: harmless, over connections of its own, in a thread of its
own, with more patience than calls have, so that "slow: 20 s" is told from "nothing within 30 s". At most one a minute
and system. Neither circuit nor metrics hear of it, and what is paused for maintenance is let alone.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from intranet_bridge.marketing import MarketingRequest, NotApplied, Outcome, Rejected, Unknown
from intranet_bridge.marketing.breaker import Circuit
from intranet_bridge.marketing.health import Health
from intranet_bridge.marketing.kinds import kind
from intranet_bridge.settings import BridgeSettings
from intranet_bridge.trial.probe import word
from protocol.errors import BridgeError
from protocol.messages import uuid7
from protocol.operations import CATALOGUE, Kind
from protocol.reports.calls import DiagnosisReport
from protocol.runtime.clock import Clock, wall_clock
from protocol.runtime.logs import logger

log = logger(__name__)

T = TypeVar("T")

PATIENCE_S = 30.0
"""For an answer."""
AGAIN_S = 60.0
"""Between two probes of one system."""
_LOOK_S = 1.0


def to_probe(health: Iterable[Health], bound: Collection[str], now: float) -> dict[str, str]:
    """System in doubt → the query to try there: one that is in doubt itself, else the one that was well last. `now` as
    for the breakers. What is suspended is neither in doubt nor tried.
    """
    well: dict[str, list[Health]] = {}
    doubtful: dict[str, list[Health]] = {}
    for one in health:
        if not one.breaker.suspended:
            doubts = one.failing_since or one.breaker.circuit(now) is not Circuit.CLOSED
            (doubtful if doubts else well).setdefault(one.system, []).append(one)
    chosen: dict[str, str] = {}
    for system, ones in doubtful.items():
        ones.sort(key=lambda one: -one.failures.total())
        others = sorted(well.get(system, ()), key=lambda one: -one.last_success)
        queries = (one.operation for one in (*ones, *others) if one.operation in bound and _is_query(one.operation))
        found = next(queries, None)
        if found is not None:
            chosen[system] = found
    return chosen


class Doubts:
    """Looks once a second whether something is in doubt, and keeps what the probes came to."""

    def __init__(
        self,
        settings: BridgeSettings,
        health: Mapping[str, Health],
        probe: Callable[[BridgeSettings, str], DiagnosisReport] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`probe` is called in a thread of its own; default: `probed`."""
        self.settings, self._health, self._now = settings, health, clock
        self._probe = probe or probed
        self._last: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None
        self.diagnoses: dict[str, DiagnosisReport] = {}
        """The latest of each system."""

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="doubts")

    async def close(self) -> None:
        """Look no more. A probe that runs is left to itself."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> None:
        """Probe what is in doubt and was not probed lately."""
        for system, operation in to_probe(self._health.values(), self.settings.operations, self._now()).items():
            if self._now() - self._last.get(system, -AGAIN_S) < AGAIN_S:
                continue
            self._last[system] = self._now()
            found = await in_thread(lambda operation=operation: self._probe(self.settings, operation))  # type: ignore[misc]
            self.diagnoses[system] = found
            log.info("interface-probed", system=system, operation=operation, outcome=found.outcome,
                     reason=found.reason, milliseconds=found.took_ms)  # fmt: skip

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                await self.look()
            except Exception:
                log.exception("probe-failed")


def probed(
    settings: BridgeSettings, name: str, patience_s: float = PATIENCE_S, clock: Clock = wall_clock
) -> DiagnosisReport:
    """Try a query with the catalogue's example, in an event loop of its own."""
    binding, operation = settings.operations[name], CATALOGUE[name]
    began = clock()
    section = settings.all_systems[binding.system]
    asked = MarketingRequest(uuid7(began, os.urandom(10)), operation.requests.validate_python(operation.example))
    slow_s = settings.breaker.slow_s

    async def ask() -> tuple[Outcome, float, float]:
        system = kind(section.adapter).open(binding.system, section)
        await system.start()
        try:
            adapter = system.adapter(operation, binding)
            started = time.monotonic()
            outcome = await adapter.call(asked, max(patience_s, adapter.timeout_s))
            return outcome, time.monotonic() - started, adapter.timeout_s
        finally:
            await system.close()

    outcome: Outcome | None
    try:
        outcome, took_s, timeout_s = asyncio.run(ask())
        reason = _reason(outcome)
    except (BridgeError, OSError) as error:  # a file of the binding's that is gone
        outcome, took_s, timeout_s, reason = None, 0.0, 0.0, str(error)
    limit_s = min(timeout_s, slow_s) if slow_s else timeout_s
    return DiagnosisReport(
        system=binding.system, operation=name, at=clock(), took_ms=round(took_s * 1000),
        limit_ms=round(limit_s * 1000), patience_ms=round(max(patience_s, timeout_s) * 1000),
        outcome=word(outcome), reason=reason,
    )  # fmt: skip


async def in_thread(work: Callable[[], T]) -> T:
    """The result of `work`, done in a thread that nobody waits for when the process ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if not done.done():
            done.set_exception(error) if error else done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="probe", daemon=True).start()
    return await done


def _is_query(name: str) -> bool:
    return name in CATALOGUE and CATALOGUE[name].kind is Kind.QUERY


def _reason(outcome: Outcome) -> str:
    return outcome.reason if isinstance(outcome, Rejected | NotApplied | Unknown) else ""

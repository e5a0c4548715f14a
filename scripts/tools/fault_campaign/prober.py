"""The recovery time: measured from the end of a fault, through the HTTP API as callers see it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from scripts.tools.fault_campaign.load import PROBED_FROM, PROBES, Load, account_of

EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from a fault's end; None if it was not seen in time."""

    command_s: float | None
    """Until the first command accepted after the end had a final state."""
    query_s: float | None
    """Until the first query asked after the end was answered 200."""


class Prober:
    """Sends commands and queries until one of each succeeds."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._account = 0

    async def recovery(self, longest_s: float) -> Recovery:
        """Measure from now, for at most `longest_s`."""
        begun = time.monotonic()
        command = asyncio.create_task(self._first(self._command, begun + longest_s))
        query = asyncio.create_task(self._first(self._query, begun + longest_s))
        ends = await asyncio.gather(command, query)
        command_s, query_s = (None if end is None else round(end - begun, 2) for end in ends)
        return Recovery(command_s, query_s)

    async def _first(self, probe: Callable[[float], Awaitable[bool]], until: float) -> float | None:
        """When the first probe succeeded; one is started every EVERY_S."""
        done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

        async def one() -> None:
            if await probe(until) and not done.done():
                done.set_result(time.monotonic())

        while not done.done() and time.monotonic() < until:
            self._load.spawn(one())
            await asyncio.wait({done}, timeout=EVERY_S)
        if not done.done():
            return None
        return done.result()

    async def _command(self, until: float) -> bool:
        self._account = (self._account + 1) % PROBES
        timeline = self._load.new_timeline(account_of(PROBED_FROM + self._account))
        begun = time.monotonic()
        await self._load.command(timeline, "wait=5")
        while timeline.final is None and time.monotonic() < until and not self._load.stopping.is_set():
            await asyncio.sleep(0.1)
            await self._load.poll(timeline)
        accepted = timeline.accepted
        return timeline.final is not None and accepted is not None and accepted.at >= begun

    async def _query(self, _until: float) -> bool:
        return await self._load.query(account_of(PROBED_FROM)) == 200

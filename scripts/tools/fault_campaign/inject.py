"""Injecting faults: each begins, lasts, and is undone whatever happens meanwhile."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from scripts.tools.fault_campaign.plan import Fault
from scripts.tools.fault_campaign.site import BALLAST, SECOND, Site, fill
from scripts.tools.testbed.layout import PARTS
from scripts.tools.testbed.processes import stop
from scripts.tools.testbed.proxy import Proxy

RESET_EVERY_S = 0.7
REACHED_WITHIN_S = 20.0
"""A named point that nothing reaches is given up after so long."""


class Injector:
    """Injects the faults of a plan into a site."""

    def __init__(self, site: Site) -> None:
        self._site, self._testbed = site, site.testbed
        self.died: list[str] = []
        """Parts that ended without being killed."""
        self.reached = 0
        """Deaths at a named point."""

    async def inject(self, fault: Fault) -> None:
        """Begin, wait, undo. Returns when the fault is over: the process started, the connection restored."""
        self.restart_dead_parts()
        act = getattr(self, "_" + fault.kind.replace("-", "_"), None)
        if act is not None:
            async with act(fault):
                await asyncio.sleep(fault.duration_s)
            return
        async with self._disturbed(fault, self._site.proxies[fault.target]):
            await asyncio.sleep(fault.duration_s)

    def restart_dead_parts(self) -> None:
        """Note every part that ended without being killed, and start it again."""
        for part in PARTS:
            if not self._testbed.running(part):
                self.died.append(part)
                self._testbed.start(part, wait=False)

    async def heal(self) -> None:
        """End all faults and start every part."""
        for proxy in self._site.proxies.values():
            proxy.flow()
        await self._marketing("DELETE")
        await asyncio.to_thread(self.restart_dead_parts)

    # --- processes ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _kill(self, fault: Fault) -> AsyncIterator[None]:
        parts = [part for part in PARTS if part in fault.target.split("+")]
        for part in parts:
            os.kill(self._testbed.pids[part], signal.SIGKILL)
        for part in parts:
            await asyncio.to_thread(self._testbed.kill, part)  # waits for its end
        try:
            yield
        finally:
            await asyncio.to_thread(self._testbed.start, *parts, wait=False)

    _kill_two = _kill

    @asynccontextmanager
    async def _second_inbox(self, fault: Fault) -> AsyncIterator[None]:
        await asyncio.to_thread(self._testbed.start, SECOND, wait=False)
        await asyncio.sleep(fault.parameters["beside_s"])
        async with self._kill(fault):
            try:
                yield
            finally:
                await asyncio.to_thread(self._testbed.stop, SECOND)

    @asynccontextmanager
    async def _restart(self, fault: Fault) -> AsyncIterator[None]:
        part = fault.target
        if part == "broker":
            await asyncio.to_thread(self._testbed.stop, part)
        else:
            await asyncio.to_thread(stop, self._testbed.pids[part], 40)
        try:
            yield
        finally:
            await asyncio.to_thread(self._testbed.start, part, wait=False)

    @asynccontextmanager
    async def _stop(self, fault: Fault) -> AsyncIterator[None]:
        pid = self._testbed.pids[fault.target]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @asynccontextmanager
    async def _dies_at(self, fault: Fault) -> AsyncIterator[None]:
        part, armed = fault.target, self._site.armed_file(fault.target)
        unfinished = armed.with_suffix(".new")
        unfinished.write_text(fault.parameters["point"])
        unfinished.replace(armed)
        end = time.monotonic() + fault.parameters.get("within_s", REACHED_WITHIN_S)
        while self._testbed.running(part) and time.monotonic() < end:  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(0.02)
        armed.unlink()
        self.reached += not self._testbed.running(part)
        try:
            yield
        finally:
            if not self._testbed.running(part):
                await asyncio.to_thread(self._testbed.start, part, wait=False)

    # --- connections -------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _disturbed(self, fault: Fault, proxy: Proxy) -> AsyncIterator[None]:
        cut = True
        again: asyncio.Task[None] | None = None
        match fault.kind:
            case "swallow":
                proxy.swallow()
            case "swallow-up" | "swallow-down":
                proxy.swallow(fault.kind.removeprefix("swallow-"))
            case "hold":
                proxy.stall()
                cut = False
            case "delay":
                proxy.delay(fault.parameters["ms"] / 1000)
                cut = False
            case "half-close":
                proxy.half_close(fault.parameters["direction"])
            case "reset":
                again = asyncio.create_task(_resets(proxy, fault.parameters["bytes"]))
            case "refuse":
                proxy.refuse()
                await proxy.cut()
            case _:
                raise AssertionError(fault.kind)
        try:
            yield
        finally:
            if again is not None:
                again.cancel()
            proxy.flow()
            if cut:
                await proxy.cut()

    # --- the marketing system ------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _switched(self, **switches: Any) -> AsyncIterator[None]:
        await self._marketing("PUT", switches)
        try:
            yield
        finally:
            await self._marketing("DELETE")

    def _fails(self, fault: Fault) -> Any:
        return self._switched(error_rate=fault.parameters["share"])

    def _hangs(self, _fault: Fault) -> Any:
        return self._switched(hang=True)

    def _hangs_after(self, _fault: Fault) -> Any:
        return self._switched(hang_after_applying=True)

    def _slow(self, fault: Fault) -> Any:
        return self._switched(latency_ms=fault.parameters["ms"], jitter_ms=fault.parameters["jitter_ms"])

    @asynccontextmanager
    async def _dies_after(self, fault: Fault) -> AsyncIterator[None]:
        await self._marketing("PUT", {"die_after_applying": fault.parameters["calls"]})
        end = time.monotonic() + 10
        while self._testbed.running("marketing") and time.monotonic() < end:  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(0.02)
        try:
            yield
        finally:
            if self._testbed.running("marketing"):
                await self._marketing("DELETE")
            else:
                await asyncio.to_thread(self._testbed.start, "marketing", wait=False)

    async def _marketing(self, method: str, plan: dict[str, Any] | None = None) -> None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):  # it is down: then it has no plan
            timeout = aiohttp.ClientTimeout(total=5)
            async with aiohttp.request(method, f"{self._testbed.marketing_url}/faults", json=plan, timeout=timeout):
                pass

    @asynccontextmanager
    async def _turns_away(self, fault: Fault) -> AsyncIterator[None]:
        self._site.receiver.mood = fault.parameters["how"]
        try:
            yield
        finally:
            self._site.receiver.mood = ""

    # --- disk, database, clock -----------------------------------------------------------------------------------

    @asynccontextmanager
    async def _disk_full(self, fault: Fault) -> AsyncIterator[None]:
        folder = self._site.database(fault.target).parent
        await asyncio.to_thread(fill, folder)
        try:
            yield
        finally:
            (folder / BALLAST).unlink()

    @asynccontextmanager
    async def _lock(self, fault: Fault) -> AsyncIterator[None]:
        database = sqlite3.connect(
            self._site.database(fault.target), isolation_level=None, timeout=10, check_same_thread=False
        )
        try:
            await asyncio.to_thread(database.execute, "BEGIN IMMEDIATE")
            yield
        finally:
            await asyncio.to_thread(database.close)

    @asynccontextmanager
    async def _clock(self, fault: Fault) -> AsyncIterator[None]:
        self._site.set_clock(fault.target, fault.parameters["seconds"])
        try:
            yield
        finally:
            self._site.set_clock(fault.target, 0)


async def _resets(proxy: Proxy, size: int) -> None:
    while True:
        proxy.reset_within(size)
        await asyncio.sleep(RESET_EVERY_S)

"""How soon a key goes from one bridge to the other on a shared PostgreSQL database: by being told, and by looking."""

import asyncio
import random
import statistics
import time
from collections.abc import Mapping, Sequence

from intranet_bridge import store as bridge_store
from intranet_bridge.inbox.handover import Handover
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.inbox.ordering import Ordering, QueuedCommand
from intranet_bridge.inbox.predecessors import Predecessors
from intranet_bridge.inbox.rows import Received
from protocol.backoff import Backoff
from protocol.lifecycle import State
from protocol.runtime.clock import wall_clock
from protocol.runtime.store import Store

KEYS = 100
_HOLDS_S = (0.1, 1.5)
"""So long the first command of a key is worked on, evenly."""


class _Bridge:
    """Of a bridge, what decides which command is next."""

    def __init__(self, url: str, name: str, *, told: bool) -> None:
        self.store, self.told = Store(url, bridge_store.MIGRATIONS.prepare), told
        self.inbox, self.ordering = Inbox(self.store, name, wall_clock), Ordering()
        backoff = Backoff(0.05, 1.0, random.random)
        self.handover = Handover(self.ordering, self.store, backoff)
        self.predecessors = Predecessors(
            ordering=self.ordering, settled=self._settled, backoff=backoff, wait_for=self.handover.wait_for
        )
        self.ordering.work.connect(self._look)
        self.taken: dict[str, float] = {}
        self.asked = 0

    async def start(self) -> None:
        await self.store.start()
        await self.inbox.start()
        if self.told:
            await self.handover.start()
            while not self.handover.notifications.listening:  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        self.predecessors.close()
        await self.handover.close()
        await self.store.close()

    async def record(self, number: int, place: str, after: str = "") -> QueuedCommand:
        id, key = f"{number}-{place}", f"key {number}"
        row = Received(id, "work-order", "front-1/app", key, "/queue/of.front", 0, bytes(700), after)
        await self.inbox.record([row])
        command = QueuedCommand(id, "work-order", key, State.RECEIVED, after=after)
        self.ordering.add(command)
        self.ordering.work.send()
        return command

    async def _settled(self, ids: Sequence[str]) -> Mapping[str, bool]:
        self.asked += 1
        return await self.inbox.settled(ids)

    def _look(self) -> None:
        while (command := self.ordering.take(0.0, lambda _: True)) is not None:
            self.taken[command.id] = time.monotonic()


async def measure(url: str, *, told: bool) -> dict[str, object]:
    """One row: milliseconds from the commit of a key's first outcome until its next command may be called elsewhere."""
    one, other = (_Bridge(url, name, told=told) for name in ("bridge-1", "bridge-2"))
    await one.start()
    await other.start()
    ended: dict[int, float] = {}
    chance = random.Random(1)  # noqa: S311  # the same for both

    async def key(number: int) -> None:
        first = await one.record(number, "first")
        await other.record(number, "second", first.id)
        await asyncio.sleep(chance.uniform(*_HOLDS_S))
        await one.inbox.finished(first.id, State.SUCCEEDED, 1, "", "", bytes(450))
        ended[number] = time.monotonic()
        one.ordering.done(first)
        while f"{number}-second" not in other.taken:  # noqa: ASYNC110  # a hundred wait
            await asyncio.sleep(0.05)

    spent = time.process_time()
    await asyncio.gather(*(key(number) for number in range(KEYS)))
    spent = time.process_time() - spent
    await other.close()
    await one.close()
    waits = [(other.taken[f"{number}-second"] - ended[number]) * 1000 for number in ended]
    low, middle, high = statistics.quantiles(waits, n=4)
    return {
        "a key goes over": "told" if told else "by looking",
        "median ms": middle,
        "quartiles": f"{low:.0f} to {high:.0f}",
        "longest ms": max(waits),
        "questions a key": other.asked / KEYS,
        "CPU ms a key": spent / KEYS * 1000,
    }

"""The back ends that are open, and the adapter of each operation: made at the start, made over at a reload.

What a reload does not touch goes on as it is: connections, sessions (a log-in less), circuits.
"""

import asyncio
import contextlib
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from intranet_bridge.marketing import Adapter
from intranet_bridge.marketing.binding import DEFAULT_SYSTEM
from intranet_bridge.marketing.breaker import Breaker, Circuit
from intranet_bridge.marketing.concurrency import Arrangement
from intranet_bridge.marketing.health import Health
from intranet_bridge.marketing.kind import System
from intranet_bridge.marketing.kinds import kind
from intranet_bridge.settings import BridgeSettings
from protocol.operations import CATALOGUE, INTERNAL, Kind, UnknownOutcome
from protocol.presence import Availability
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.settings import placed_within

log = logger(__name__)

Place = tuple[str, ...]

OWN_SYSTEM = "bridge"
"""Where reports have the name of a back end: the bridge itself answers."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Systems by name, adapters by operation."""

    systems: Mapping[str, System]
    adapters: Mapping[str, Adapter]


@dataclass(frozen=True, slots=True)
class Rebound:
    """What a reload makes of them."""

    bound: Bound
    begun: tuple[System, ...]
    """Open, and to be started."""
    ended: tuple[System, ...]
    """To be closed when no call is under way to them any more."""


def bind(settings: BridgeSettings) -> Bound:
    """All as configured. Raises ConfigurationError; connects to nothing yet."""
    return rebind(Bound({}, {}), settings, settings, ()).bound


def rebind(before: Bound, old: BridgeSettings, new: BridgeSettings, files: Iterable[Place]) -> Rebound:
    """What is the same in both configurations is kept, the rest is made anew. `files`: settings that name a file whose
    content has changed. Raises ConfigurationError; connects to nothing yet.
    """
    files = tuple(files)
    sections, earlier = new.all_systems, old.all_systems
    kept = {
        name for name, section in sections.items()
        if name in before.systems and earlier.get(name) == section and not _changed(files, place_of(name))
    }  # fmt: skip
    systems = {}
    for name, section in sections.items():
        with placed_within(place_of(name)):
            systems[name] = before.systems[name] if name in kept else kind(section.adapter).open(name, section)
    adapters = {}
    for name, binding in new.operations.items():
        same = old.operations.get(name) == binding and not _changed(files, ("operations", name))
        known = before.adapters.get(name) if same and binding.system in kept else None
        with placed_within(("operations", name)):
            adapters[name] = known or systems[binding.system].adapter(CATALOGUE[name], binding)
    begun = tuple(system for name, system in systems.items() if name not in kept)
    ended = tuple(system for name, system in before.systems.items() if name not in kept)
    return Rebound(Bound(systems, adapters), begun, ended)


def longest_call_s(adapters: Mapping[str, Adapter]) -> float:
    """No call that was begun with these adapters is under way after so long: a query is asked again until its deadline,
    a command's call has its adapter's time.
    """
    deadlines = [entry.deadline_ms / 1000 for entry in CATALOGUE.values() if entry.kind is Kind.QUERY]
    return max([*deadlines, *(adapter.timeout_s for adapter in adapters.values())], default=0.0)


class Bindings:
    """What a running bridge calls: its back ends and, by operation, adapters, circuits, and places among the calls at
    once. The mappings by operation stay the same ones; a reload changes what is in them.
    """

    def __init__(
        self, settings: BridgeSettings, bound: Bound, own: Mapping[str, Adapter] = MappingProxyType({})
    ) -> None:
        """Connects to nothing yet. `own`: of the operations that the bridge itself answers; no reload touches them."""
        self._settings, self._systems, self._own = settings, bound.systems, own
        self._bound = bound.adapters
        self.adapters = {**bound.adapters, **own}
        self.health = {name: self._health(name) for name in self.adapters}
        self.inquires = {name for name in self.adapters if self._inquires(name)}
        """Operations whose binding can ask what became of a request."""
        self.arrangement = Arrangement(settings.operations, settings.all_systems)
        self._ended: dict[asyncio.Task[None], Sequence[System]] = {}
        """Back ends of earlier configurations, until they are closed."""

    @property
    def bound(self) -> Bound:
        """As they are now, without what the bridge itself answers."""
        adapters = {name: adapter for name, adapter in self._bound.items() if name not in self._own}
        return Bound(dict(self._systems), adapters)

    def under(self, name: str) -> Adapter | None:
        """What an operation is bound to, though the bridge itself answers it."""
        return self._bound.get(name)

    def system(self, name: str) -> System | None:
        """A back end, as it is bound now."""
        return self._systems.get(name)

    async def start(self) -> None:
        """Start the back ends."""
        for system in self._systems.values():
            await system.start()

    async def close(self) -> None:
        """Close all back ends, of earlier configurations too."""
        tasks = list(self._ended)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _closed(self._systems.values())

    def use(self, settings: BridgeSettings, rebound: Rebound) -> None:
        """New calls go by these. Circuits of what did not change stay, unless what they go by has."""
        before, adapters = dict(self.adapters), {**rebound.bound.adapters, **self._own}
        fresh = settings.breaker != self._settings.breaker
        self._settings, self._systems = settings, rebound.bound.systems
        self._bound = rebound.bound.adapters
        kept = {name for name in adapters if not fresh and before.get(name) is adapters[name]}
        self.adapters.clear()
        self.adapters.update(adapters)
        health = {name: self.health[name] if name in kept else self._health(name) for name in adapters}
        self.health.clear()
        self.health.update(health)
        self.inquires.clear()
        self.inquires.update(name for name in adapters if self._inquires(name))
        self.arrangement.arrange(settings.operations, settings.all_systems)
        if rebound.ended:
            task = asyncio.get_running_loop().create_task(_close_later(longest_call_s(before), rebound.ended))
            self._ended[task] = rebound.ended
            task.add_done_callback(self._ended.pop)

    def pause(self, operations: Collection[str]) -> None:
        """Call these no more, and go on with all others."""
        now = time.monotonic()
        for name, health in self.health.items():
            if name in operations:
                health.breaker.suspend(now)
            else:
                health.breaker.resume(now)

    def availability(self) -> dict[str, Availability]:
        """Of each operation that fronts may ask for. A half-open circuit counts as up: it is probed by a request."""
        now = time.monotonic()
        paused = {
            name
            for name, health in self.health.items()
            if health.breaker.suspended or health.breaker.circuit(now) is Circuit.OPEN
        }
        return {
            name: Availability.PAUSED if name in paused else Availability.UP
            for name in self.adapters if name not in INTERNAL
        }  # fmt: skip

    def samples(self) -> Iterator[Sample]:
        """The numbers of the operations and of the back ends."""
        now = time.monotonic()
        for health in list(self.health.values()):  # a reload changes them, and this is another thread
            yield from health.samples(now)
        for system in self._systems.values():
            yield from system.samples()

    def _health(self, name: str) -> Health:
        binding = self._settings.operations.get(name)
        system = OWN_SYSTEM if name in self._own else binding.system if binding else ""
        return Health(name, Breaker(self._settings.breaker), CATALOGUE[name].about, system)

    def _inquires(self, name: str) -> bool:
        binding = self._settings.operations.get(name)
        return binding is not None and binding.inquires and CATALOGUE[name].unknown_outcome is UnknownOutcome.INQUIRE


async def _close_later(seconds: float, systems: Sequence[System]) -> None:
    with contextlib.suppress(asyncio.CancelledError):  # the bridge stops: no call is under way any more
        await asyncio.sleep(seconds)
    await _closed(systems)


async def _closed(systems: Iterable[System]) -> None:
    for system in systems:
        try:
            await system.close()
        except Exception:
            log.exception("system-not-closed")


def place_of(system: str) -> Place:
    """Where the table of a system stands."""
    return (DEFAULT_SYSTEM,) if system == DEFAULT_SYSTEM else ("systems", system)


def _changed(files: tuple[Place, ...], table: Place) -> bool:
    return any(file[: len(table)] == table for file in files)

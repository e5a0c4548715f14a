"""The back ends that are open, and the adapter of each operation: made at the start, made over at a reload.

What a reload does not touch goes on as it is: connections, sessions (a log-in less), circuits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from intranet_bridge.marketing import Adapter
from intranet_bridge.marketing.binding import DEFAULT_SYSTEM
from intranet_bridge.marketing.kind import System
from intranet_bridge.marketing.kinds import kind
from intranet_bridge.settings import BridgeSettings
from protocol.operations import CATALOGUE, Kind

Place = tuple[str, ...]


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
        if name in before.systems and earlier.get(name) == section and not _changed(files, _place(name))
    }  # fmt: skip
    systems = {
        name: before.systems[name] if name in kept else kind(section.adapter).open(name, section)
        for name, section in sections.items()
    }
    adapters = {}
    for name, binding in new.operations.items():
        same = old.operations.get(name) == binding and not _changed(files, ("operations", name))
        known = before.adapters.get(name) if same and binding.system in kept else None
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


def _place(system: str) -> Place:
    return (DEFAULT_SYSTEM,) if system == DEFAULT_SYSTEM else ("systems", system)


def _changed(files: tuple[Place, ...], table: Place) -> bool:
    return any(file[: len(table)] == table for file in files)

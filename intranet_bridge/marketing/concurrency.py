"""At most so many calls at once: of one operation, and of all operations of one system together.

A call has a place of its operation and one of its system, from before it is made until it has ended. Whoever finds none
waits without holding a worker: a query in its operation's line here (queries/workers.py limits how long), a command in
the inbox. A place that becomes free goes to the operations of the system in turn; its commands together have one turn.
To wait is no failure of the interface: the circuit breaker hears of calls alone.

Pure: no clock, no task. An operation without a limit, of a system without one, has no `Places`.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from intranet_bridge.marketing.binding import OperationBinding, SystemSection
from protocol.runtime.metrics import Sample
from protocol.signal import Signal

LONGEST_LINE = 1000
"""So many queries of one operation wait at most. Their deadlines limit them first, unless a call takes no time."""
_LATEST = 1 / 8
"""Weight of one call in the mean of the latest."""


class SystemPlaces:
    """Those of one system."""

    def __init__(self, most: int | None = None) -> None:
        """`most` calls at once; None: no limit but the operations'."""
        self.most, self.in_use = most, 0
        self.freed = Signal()
        """A command may find a place now: sent when one found none before."""
        self.wanted = False
        """A command found none."""
        self.waiting = 0
        """Queries in the lines of the operations."""
        self._turns: deque[Callable[[], bool]] = deque([self._wake_commands])

    @property
    def full(self) -> bool:
        """Whether there is no place."""
        return self.most is not None and self.in_use >= self.most

    def join(self, turn: Callable[[], bool]) -> None:
        """An operation takes its turn by `turn`, which says whether it took a place."""
        self._turns.append(turn)

    def hand_on(self) -> None:
        """Give what is free to those who wait, in turn."""
        idle = 0
        while (self.waiting or self.wanted) and idle < len(self._turns) and not self.full:
            turn = self._turns[0]
            self._turns.rotate(-1)
            idle = 0 if turn() else idle + 1

    def _wake_commands(self) -> bool:
        if not self.wanted:
            return False
        before, self.wanted = self.in_use, False
        self.freed.send()
        return self.in_use > before


class Places:
    """Those of one operation."""

    def __init__(self, most: int | None, system: SystemPlaces) -> None:
        self.most, self.system, self.in_use = most, system, 0
        self.call_s = 0.0
        """Mean time of the latest calls, seconds; 0: none has ended yet."""
        self.turned_away = 0
        """Queries that were answered without a call because they would have waited too long."""
        self._line: deque[Callable[[], None]] = deque()
        system.join(self._serve)

    @property
    def full(self) -> bool:
        """Whether there is no place."""
        return (self.most is not None and self.in_use >= self.most) or self.system.full

    @property
    def at_once(self) -> int:
        """So many calls there may be."""
        return min(most for most in (self.most, self.system.most) if most is not None)

    @property
    def waiting(self) -> int:
        """Queries in the line."""
        return len(self._line)

    def take(self) -> bool:
        """A place, if one is free. Nobody is overtaken: while one is free, none waits that could have it."""
        if self.full:
            return False
        self.in_use += 1
        self.system.in_use += 1
        return True

    def for_command(self) -> bool:
        """Whether one is free for a command; if not, `system.freed` tells when to ask again."""
        if self.full:
            self.system.wanted = True
            return False
        return True

    def release(self, took_s: float | None = None) -> None:
        """A place is free again; `took_s`: how long the call took."""
        if took_s is not None:
            self.call_s += (took_s - self.call_s) * _LATEST if self.call_s else took_s
        if self.in_use:  # a call from before it was limited had none
            self.in_use -= 1
            self.system.in_use -= 1
        self.system.hand_on()

    def wait_s(self) -> float:
        """How long the next in the line will wait, as the latest calls go. Other operations of the system add to it."""
        return (len(self._line) + 1) * self.call_s / self.at_once

    def line_up(self, go: Callable[[], None]) -> bool:
        """Wait for a place: `go` is called with it taken. False: the line is too long."""
        if len(self._line) >= LONGEST_LINE:
            return False
        self._line.append(go)
        self.system.waiting += 1
        return True

    def leave(self, go: Callable[[], None]) -> None:
        """Out of the line."""
        self._line.remove(go)
        self.system.waiting -= 1

    def _serve(self) -> bool:
        if not self._line or not self.take():
            return False
        self.system.waiting -= 1
        self._line.popleft()()
        return True

    def samples(self, operation: str, commands: int) -> Iterator[Sample]:
        """The numbers of the metrics. `commands`: how many of it wait in the inbox for a worker or a place."""
        labels = {"operation": operation}
        yield "intranet_bridge_places", "Calls there may be at once", labels, self.at_once
        yield "intranet_bridge_places_in_use", "Calls that have a place", labels, self.in_use
        yield "intranet_bridge_places_waited_for", "Requests that wait for a place", labels, self.waiting + commands
        text = "Queries answered without a call: too long a wait for a place"
        yield "intranet_bridge_queries_turned_away_total", text, labels, self.turned_away


class Arrangement:
    """The places of all operations that are limited, by themselves or by their system."""

    def __init__(self, operations: Mapping[str, OperationBinding], systems: Mapping[str, SystemSection]) -> None:
        self.places: dict[str, Places] = {}
        """By operation; the same dictionary for ever."""
        self._systems: dict[str, SystemPlaces] = {}
        self._receivers: list[Callable[[], object]] = []
        self.arrange(operations, systems)

    def when_free(self, receiver: Callable[[], object]) -> None:
        """Call `receiver` when a command may be admitted that had found no place."""
        self._receivers.append(receiver)
        for system in self._systems.values():
            system.freed.connect(receiver)

    def arrange(self, operations: Mapping[str, OperationBinding], systems: Mapping[str, SystemSection]) -> None:
        """Go by other limits. Calls under way, and who waits, keep their places; who waits may have one now."""
        for name, section in systems.items():
            known = self._systems.get(name)
            if known is None:
                known = self._systems[name] = SystemPlaces()
                for receiver in self._receivers:
                    known.freed.connect(receiver)
            known.most = section.concurrency
        for name in self._systems.keys() - systems.keys():
            self._systems[name].most = None
        before = dict(self.places)
        self.places.clear()
        for name, binding in operations.items():
            system = self._systems[binding.system]
            if binding.concurrency is None and system.most is None:
                continue
            places = before.get(name)
            if places is None or places.system is not system:
                places = Places(binding.concurrency, system)
            places.most = binding.concurrency
            self.places[name] = places
        for name, places in before.items():
            if self.places.get(name) is not places:
                places.most = None  # for who waits there still
        for system in self._systems.values():
            system.hand_on()

"""Which command is next: one after another within a key, side by side between keys. Pure: time is passed in.

Every unfinished row of the inbox has a place here, in the order in which it was recorded; a place is small (the
sealed request stays in the database while there is no hurry). A place is, at any time, in one of

- the queue of its key, behind an earlier one of the same key;
- `ready` of its operation;
- `sleeping` until its next attempt or inquiry. It keeps its key: what comes after it was accepted after it;
- taken: a worker has it.

A suspect (the bridge died with it in hand) waits in a queue of its own instead of `ready`: it is worked on while
nothing else is, so that, should it kill again, it takes no other down with it and none is blamed in its place.

A held row has no place: it may stay held for days until somebody decides, and a customer's later requests must
not wait for that. Order is promised between requests that the bridge itself can bring to an end.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from protocol.lifecycle import State


@dataclass(slots=True, eq=False)
class Place:
    """One unfinished command."""

    id: str
    operation: str
    key: str
    """The subject; empty: no order."""
    state: State
    attempts: int = 0
    failures: int = 0
    """Of calls or inquiries, in a row, since the bridge started."""
    envelope: bytes | None = field(default=None, repr=False)
    """The sealed request, if it is still in memory."""
    recovered: bool = False
    """Found unfinished in the inbox, not received just now."""
    crashes: int = 0
    """How often the bridge died with it in hand since it last came through a call. Above 0 it is a suspect."""
    inquiring: bool = False
    """Its row says that it is being inquired about."""


class Ordering:
    """All places."""

    def __init__(self) -> None:
        self._by_id: dict[str, Place] = {}
        self._keys: dict[str, deque[Place]] = {}
        self._ready: dict[str, deque[Place]] = {}
        self._suspects: deque[Place] = deque()
        self._sleeping: list[tuple[float, int, Place]] = []
        self._tie = count()

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, id: str) -> bool:
        return id in self._by_id

    def add(self, place: Place) -> None:
        """A new row, recorded after all that were added before. An id that is here already is ignored."""
        if place.id in self._by_id:
            return
        self._by_id[place.id] = place
        if place.key:
            queue = self._keys.setdefault(place.key, deque())
            queue.append(place)
            if len(queue) > 1:
                return
        self._queue(place).append(place)

    def take(self, now: float, admits: Callable[[str], bool]) -> Place | None:
        """The next to be worked on, of an operation that `admits` says may be called; operations take turns."""
        self._wake(now)
        for operation in list(self._ready):
            queue = self._ready[operation]
            if queue and admits(operation):
                place = queue.popleft()
                self._ready[operation] = self._ready.pop(operation)  # to the end: the others' turn
                return place
        return None

    def suspect(self, now: float, may: Callable[[str], bool]) -> Place | None:
        """The first suspect that is due, of an operation that `may` be called; it stays where it is."""
        self._wake(now)
        return next((place for place in self._suspects if may(place.operation)), None)

    def take_suspect(self, place: Place) -> None:
        """Take one that `suspect` gave."""
        self._suspects.remove(place)

    def again(self, place: Place, at: float) -> None:
        """A taken place sleeps until `at` and keeps its key."""
        heappush(self._sleeping, (at, next(self._tie), place))

    def done(self, place: Place) -> None:
        """A taken place is finished, or held: the next of its key may go."""
        del self._by_id[place.id]
        if place.key:
            queue = self._keys[place.key]
            assert queue[0] is place, "only the first of a key is ever taken"
            queue.popleft()
            if queue:
                self._queue(queue[0]).append(queue[0])
            else:
                del self._keys[place.key]

    def wakes_at(self) -> float | None:
        """When the first sleeper wakes."""
        return self._sleeping[0][0] if self._sleeping else None

    def waiting(self) -> list[str]:
        """Operations with something ready."""
        ready = [operation for operation, queue in self._ready.items() if queue]
        return ready + [place.operation for place in self._suspects]

    def _wake(self, now: float) -> None:
        while self._sleeping and self._sleeping[0][0] <= now:
            place = heappop(self._sleeping)[2]
            self._queue(place).append(place)

    def _queue(self, place: Place) -> "deque[Place]":
        if place.crashes:
            return self._suspects
        queue = self._ready.get(place.operation)
        if queue is None:
            queue = self._ready[place.operation] = deque()
        return queue

"""Which command is next: one after another within a key, side by side between keys. Pure: time is passed in.

Every unfinished row of the inbox has a place here; a place is small (the sealed request stays in the database while
there is no hurry). A place is, at any time, in one of

- its key, behind the one that has the key, or behind its predecessor;
- `ready` of its operation;
- `sleeping` until its next attempt or inquiry. It keeps its key: what comes after it was accepted after it;
- taken: a worker has it.

**The order within a key is the order of acceptance**, which the fronts write on the wire: each command names its
predecessor, the unfinished one accepted last before it (`after`). Arrival says less: a frame may be lost and sent
again after a later one, or go to another bridge. So of a key's places the next is the earliest that is not blocked,
and a place is blocked while its predecessor is

===============================  =======================================================================
here                             until that is finished or held
not here, in the inbox           until the inbox says finished or held: another bridge works on it
not here, not in the inbox       until it arrives, or for `patience_s`: it was accepted, so it was, or will be, sent
===============================  =======================================================================

`asks` says which predecessors the inbox is to be asked about, `told` takes the answer. A command of wire version 1
names none; its predecessor is what arrived before it. A circle of predecessors, which no honest front makes, is cut
open when its last part arrives, so everything here comes to its turn.

A suspect (the bridge died with it in hand) waits in a queue of its own instead of `ready`: it is worked on while
nothing else is, so that, should it kill again, it takes no other down with it and none is blamed in its place.

A held row has no place: it may stay held for days until somebody decides, and a customer's later requests must
not wait for that. Order is promised between requests that the bridge itself can bring to an end.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from protocol.lifecycle import State
from protocol.runtime.metrics import Sample

_ASKED_AT_ONCE = 500
_SHORTEST_S, _LONGEST_S = 0.05, 1.0
"""Waits between two questions about the same predecessor double from the one to the other."""
_LATELY = 10_000
"""So many finished ids are remembered, for which the inbox need not be asked."""


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
    unread: int = 0
    """Answers about it that could not be read, since the bridge started."""
    envelope: bytes | None = field(default=None, repr=False)
    """The sealed request, if it is still in memory."""
    recovered: bool = False
    """Found unfinished in the inbox, not received just now."""
    after: str | None = ""
    """Id of its predecessor; empty: it has none; None: the front did not say (wire version 1)."""
    crashes: int = 0
    """How often the bridge died with it in hand since it last came through a call. Above 0 it is a suspect."""
    inquiring: bool = False
    """Its row says that it is being inquired about."""


@dataclass(slots=True, eq=False)
class _Key:
    """The places of one key."""

    places: dict[str, Place] = field(default_factory=dict)
    """In the order of arrival."""
    turn: Place | None = None
    """The one that has the key."""
    begun: bool = False
    """It was taken once; until then, its predecessor may still arrive and go first."""


@dataclass(slots=True, eq=False)
class _Missing:
    """A predecessor that has no place here."""

    waiting: list[Place] = field(default_factory=list)
    since: float | None = None
    """When the inbox first said that it does not know it."""
    asked: int = 0


class Ordering:
    """All places."""

    def __init__(self, patience_s: float = 45.0) -> None:
        """`patience_s`: how long a predecessor that is not in the inbox is waited for."""
        self._patience_s = patience_s
        self._by_id: dict[str, Place] = {}
        self._keys: dict[str, _Key] = {}
        self._named: Counter[str] = Counter()
        """How many places name an id as their predecessor."""
        self._missing: dict[str, _Missing] = {}
        self._due: list[tuple[float, int, str]] = []
        self._lately: OrderedDict[str, None] = OrderedDict()
        self._ready: dict[str, deque[Place]] = {}
        self._suspects: deque[Place] = deque()
        self._sleeping: list[tuple[float, int, Place]] = []
        self._tie = count()
        self.circles = 0
        """Circles of predecessors cut open."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, id: str) -> bool:
        return id in self._by_id

    @property
    def blocked(self) -> int:
        """Places whose predecessor has no place here."""
        return sum(len(missing.waiting) for missing in list(self._missing.values()))

    def add(self, place: Place) -> None:
        """A new row, recorded after all that were added before. An id that is here already is ignored."""
        if place.id in self._by_id:
            return
        self._by_id[place.id] = place
        if not place.key:
            self._queue(place).append(place)
            return
        key = self._keys.setdefault(place.key, _Key())
        self._link(place, key)
        key.places[place.id] = place
        overtaken = key.turn
        if overtaken is not None and not key.begun and overtaken.after == place.id:
            self._queue(overtaken).remove(overtaken)
            key.turn = None
            self._next(key)
        elif key.turn is None and not self._is_blocked(place):
            self._give(key, place)

    def take(self, now: float, admits: Callable[[str], bool]) -> Place | None:
        """The next to be worked on, of an operation that `admits` says may be called; operations take turns."""
        self._wake(now)
        for operation in list(self._ready):
            queue = self._ready[operation]
            if queue and admits(operation):
                place = queue.popleft()
                self._ready[operation] = self._ready.pop(operation)  # to the end: the others' turn
                if place.key:
                    self._keys[place.key].begun = True
                return place
        return None

    def suspect(self, now: float, may: Callable[[str], bool]) -> Place | None:
        """The first suspect that is due, of an operation that `may` be called; it stays where it is."""
        self._wake(now)
        return next((place for place in self._suspects if may(place.operation)), None)

    def take_suspect(self, place: Place) -> None:
        """Take one that `suspect` gave."""
        self._suspects.remove(place)
        if place.key:
            self._keys[place.key].begun = True

    def again(self, place: Place, at: float) -> None:
        """A taken place sleeps until `at` and keeps its key."""
        heappush(self._sleeping, (at, next(self._tie), place))

    def done(self, place: Place) -> None:
        """A taken place is finished, or held: the next of its key may go."""
        del self._by_id[place.id]
        if not place.key:
            return
        self._lately[place.id] = None
        if len(self._lately) > _LATELY:
            self._lately.popitem(last=False)
        if place.after:
            self._named[place.after] -= 1
            if not self._named[place.after]:
                del self._named[place.after]
        key = self._keys[place.key]
        assert key.turn is place, "only the one that has the key is ever taken"
        del key.places[place.id]
        key.turn = None
        if key.places:
            self._next(key)
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

    # --- predecessors that are not here -------------------------------------------------------------------

    def asks(self, now: float) -> list[str]:
        """Ids the inbox is to be asked about now; each is not asked about again before `told`."""
        ids: list[str] = []
        while self._due and self._due[0][0] <= now and len(ids) < _ASKED_AT_ONCE:
            id = heappop(self._due)[2]
            if id in self._missing:
                ids.append(id)
        return ids

    def asks_at(self) -> float | None:
        """When `asks` has something next."""
        return self._due[0][0] if self._due else None

    def told(self, now: float, asked: Iterable[str], settled: Mapping[str, bool]) -> list[Place]:
        """What the inbox says of `asked`: whether each is finished or held; it is not in it if it is not in
        `settled`. Returns the places that go on because their predecessor never came.
        """
        overdue: list[Place] = []
        for id in asked:
            missing = self._missing.get(id)
            if missing is None:
                continue  # it arrived meanwhile
            is_settled = settled.get(id)
            if is_settled is None:
                missing.since = now if missing.since is None else missing.since
                if now - missing.since >= self._patience_s:
                    overdue += missing.waiting
                    is_settled = True
            else:
                missing.since = None
            if is_settled:
                self._release(id)
            else:
                wait_s = min(_SHORTEST_S * 2 ** min(missing.asked, 10), _LONGEST_S)
                missing.asked += 1
                heappush(self._due, (now + wait_s, next(self._tie), id))
        return overdue

    def _link(self, place: Place, key: _Key) -> None:
        """Find the predecessor, here or among what the inbox is asked about."""
        if place.after is None:
            place.after = self._arrived_last(place, key)
        if place.state is not State.RECEIVED:
            place.after = ""  # it was begun before the bridge stopped: nothing can go before it any more
        if (place.id in self._named or place.after == place.id) and self._leads_to(place.after, place.id):
            self.circles += 1
            place.after = ""
        if place.after:
            self._named[place.after] += 1
            if place.after not in self._by_id and place.after not in self._lately:
                missing = self._missing.get(place.after)
                if missing is None:
                    missing = self._missing[place.after] = _Missing()
                    heappush(self._due, (float("-inf"), next(self._tie), place.after))
                missing.waiting.append(place)
        if place.id in self._missing:
            arrived = self._missing.pop(place.id)  # those that waited are blocked by its being here now
            for other in {one.key for one in arrived.waiting} - {place.key}:
                self._next(self._keys[other])

    def _arrived_last(self, place: Place, key: _Key) -> str:
        if place.id not in self._named:
            return next(reversed(key.places), "")
        return next((id for id in reversed(key.places) if not self._leads_to(id, place.id)), "")

    def _leads_to(self, start: str | None, id: str) -> bool:
        """Whether `id` is among `start` and its predecessors."""
        at = start
        while at:
            if at == id:
                return True
            found = self._by_id.get(at)
            at = found.after if found is not None else None
        return False

    def _release(self, id: str) -> None:
        keys = {place.key for place in self._missing.pop(id).waiting}
        for key in keys:
            self._next(self._keys[key])

    def _is_blocked(self, place: Place) -> bool:
        if not place.after:
            return False
        before = self._by_id.get(place.after)
        if before is not None:
            return before.key == place.key and before is not place  # of another key: a front's mistake
        return place.after in self._missing

    def _next(self, key: _Key) -> None:
        """Give the key, if it is free, to the earliest that is not blocked."""
        if key.turn is None:
            found = next((place for place in key.places.values() if not self._is_blocked(place)), None)
            if found is not None:
                self._give(key, found)

    def _give(self, key: _Key, place: Place) -> None:
        key.turn, key.begun = place, False
        self._queue(place).append(place)

    def _queue(self, place: Place) -> "deque[Place]":
        if place.crashes:
            return self._suspects
        queue = self._ready.get(place.operation)
        if queue is None:
            queue = self._ready[place.operation] = deque()
        return queue

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield "bridge_commands_unfinished", "Commands without an outcome", {}, len(self)
        yield "bridge_commands_blocked", "Wait for a predecessor that is not here", {}, self.blocked
        yield "bridge_commands_circles_total", "Circles of predecessors cut open", {}, self.circles

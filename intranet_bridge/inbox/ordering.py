"""Which command is next: one after another within a key, side by side between keys. Pure: time is passed in.

Every unfinished row of the inbox is here as a `QueuedCommand`, which is small (the sealed request stays in the
database while there is no hurry), or unread (paging.py). A command is, at any time, in one of

- its key, behind the one that has the key, or behind its predecessor;
- `ready` of its operation;
- `sleeping` until its next attempt or inquiry. It keeps its key: what comes after it was accepted after it;
- taken: a worker has it.

**The order within a key is the order of acceptance**, which the fronts write on the wire: each command names its
predecessor, the unfinished one accepted last before it (`after`). Arrival says less: a frame may be lost and sent
again after a later one, or go to another bridge. So of a key's commands the next is the earliest that is not blocked,
and a command is blocked while its predecessor is

===============================  =======================================================================
here                             until that is finished or held
not here, in the inbox           until the inbox says finished or held: another bridge works on it
not here, not in the inbox       until it arrives, or for `patience_s`: it was accepted, so it was, or will be, sent
===============================  =======================================================================

`unresolved` says which predecessors the inbox is to be asked about, `resolve` takes the answer. While other bridges
tell of theirs (handover.py) it is asked less often. A command of wire
version 1 names none; its predecessor is what arrived before it. A circle of predecessors, which no honest front makes,
is cut open when its last part arrives, so the turn of everything here comes.

A possible poison message (the bridge died with it in hand) waits in a queue of its own instead of `ready`: it is
worked on while nothing else is, so that, should it kill again, it takes no other down with it and none is blamed for
it.

A held row is not here: it may stay held for days until somebody decides, and a customer's later requests must
not wait for that. Order is promised between requests that the bridge itself can bring to an end.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count

from pydantic import BaseModel

from protocol.envelope import Opened
from protocol.lifecycle import State
from protocol.runtime.metrics import Sample
from protocol.signal import Signal

OWN_KEY = "local:"
"""Begins the key of a command that no front gave: their order is among themselves."""
FORWARDED = "to:"
"""Begins the key of one that another region's bridge is to do; a region and a colon follow."""
_ASKED_AT_ONCE = 500
_SHORTEST_S, _LONGEST_S = 0.05, 1.0
"""Waits between two questions about the same predecessor double from the one to the other."""
_TOLD_S = 5.0
"""The same of one that another bridge has, and would tell of."""
_LATELY = 10_000
"""So many finished ids are remembered, for which the inbox need not be asked; and so many that others wait for."""


@dataclass(slots=True, eq=False)
class QueuedCommand:
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
    opened: Opened | None = field(default=None, repr=False)
    """What it says, and its body: as the intake read them, if they are still in memory."""
    body: BaseModel | None = field(default=None, repr=False)
    recovered: bool = False
    """Found unfinished in the inbox, not received just now."""
    after: str | None = ""
    """Id of its predecessor; empty: it has none; None: the front did not say (wire version 1)."""
    crashes: int = 0
    """How often the bridge died with it in hand since it last came through a call. Above 0: maybe a poison message."""
    waits: int = 0
    """How often, in a row, it waited for its attachments."""
    turn: bool = False
    """It had to wait for its turn among its front's commands, if at all (intranet_bridge/ceilings)."""
    admitted: bool = False
    """No ceiling of its front keeps it back any more."""
    inquiring: bool = False
    """Its row says that it is being inquired about."""

    def put_away(self) -> None:
        """Leave what it asks for to its row: it is not worked on for a while."""
        self.envelope = self.opened = self.body = None


@dataclass(slots=True, eq=False)
class _Key:
    """The commands of one key."""

    commands: dict[str, QueuedCommand] = field(default_factory=dict)
    """In the order of arrival."""
    turn: QueuedCommand | None = None
    """The one that has the key."""
    begun: bool = False
    """It was taken once; until then, its predecessor may still arrive and go first."""


@dataclass(slots=True, eq=False)
class _Missing:
    """A predecessor that is not here."""

    waiting: list[QueuedCommand] = field(default_factory=list)
    since: float | None = None
    """When the inbox first said that it does not know it."""
    asked: int = 0
    due: float | None = None
    """When the inbox is asked next; None while it is being asked."""


class Ordering:
    """All unfinished commands."""

    def __init__(self, patience_s: float = 45.0) -> None:
        """`patience_s`: how long a predecessor that is not in the inbox is waited for."""
        self._patience_s = patience_s
        self.work = Signal()
        """There may be something to take. Sent by who added it, once for all."""
        self.room = Signal()
        """One has left, or sleeps."""
        self._by_id: dict[str, QueuedCommand] = {}
        self._keys: dict[str, _Key] = {}
        self._named: Counter[str] = Counter()
        """How many commands name an id as their predecessor."""
        self._missing: dict[str, _Missing] = {}
        self._due: list[tuple[float, int, str]] = []
        self._lately: OrderedDict[str, None] = OrderedDict()
        self._awaited: OrderedDict[str, None] = OrderedDict()
        self._ended: list[str] = []
        self.ended = Signal()
        """`take_ended` has something."""
        self.told = False
        """Other bridges tell of the end of what they have, once they know that it is waited for."""
        self._ready: dict[str, deque[QueuedCommand]] = {}
        self._poison: deque[QueuedCommand] = deque()
        self._sleeping: list[tuple[float, int, QueuedCommand]] = []
        self._of: Counter[str] = Counter()
        """Operation → how many of its commands are here."""
        self._leaving: list[set[str]] = []
        self._tie = count()
        self.own = 0
        """Of them, those that no front gave (local.py): however many there are, they keep no front's command back."""
        self.circles = 0
        """Circles of predecessors cut open."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, id: str) -> bool:
        return id in self._by_id

    @property
    def blocked(self) -> int:
        """Commands whose predecessor is not here."""
        return sum(len(missing.waiting) for missing in list(self._missing.values()))

    def add(self, command: QueuedCommand) -> None:
        """A new row, recorded after all that were added before. An id that is here already is ignored."""
        if command.id in self._by_id:
            return
        self._by_id[command.id] = command
        self._of[command.operation] += 1
        self.own += command.key.startswith(OWN_KEY)
        if not command.key:
            self._queue(command).append(command)
            return
        key = self._keys.setdefault(command.key, _Key())
        self._link(command, key)
        key.commands[command.id] = command
        overtaken = key.turn
        if overtaken is not None and not key.begun and overtaken.after == command.id:
            self._queue(overtaken).remove(overtaken)
            key.turn = None
            self._next(key)
        elif key.turn is None and not self._is_blocked(command):
            self._give(key, command)

    def take(self, now: float, admits: Callable[[str], bool]) -> QueuedCommand | None:
        """The next to be worked on, of an operation that `admits` says may be called; operations take turns."""
        self._wake(now)
        for operation in list(self._ready):
            queue = self._ready[operation]
            if queue and admits(operation):
                command = queue.popleft()
                self._ready[operation] = self._ready.pop(operation)  # to the end: the others' turn
                if command.key:
                    self._keys[command.key].begun = True
                return command
        return None

    def poison(self, now: float, may: Callable[[str], bool]) -> QueuedCommand | None:
        """The first possible poison message that is due, of an operation that `may` be called; it stays where it is."""
        self._wake(now)
        return next((command for command in self._poison if may(command.operation)), None)

    def take_poison(self, command: QueuedCommand) -> None:
        """Take one that `poison` gave."""
        self._poison.remove(command)
        if command.key:
            self._keys[command.key].begun = True

    def reschedule(self, command: QueuedCommand, at: float) -> None:
        """A taken command sleeps until `at` and keeps its key."""
        heappush(self._sleeping, (at, next(self._tie), command))
        self.room.send()

    def done(self, command: QueuedCommand) -> None:
        """A taken command is finished, or held: the next of its key may go."""
        self._remove(command)
        if command.key:
            self._free_key(command)
        self.room.send()

    def withdraw(self, id: str) -> None:
        """One that is here and not taken is nobody's work any more: the next of its key may go."""
        command = self._by_id.get(id)
        if command is None:
            return
        key = self._keys.get(command.key)
        if key is None or key.turn is command:
            self._unqueue(command)
            self.done(command)
            return
        missing = self._missing.get(command.after or "")
        if missing is not None:
            missing.waiting = [one for one in missing.waiting if one is not command]
            if not missing.waiting:
                del self._missing[command.after or ""]
        self._remove(command)
        self._leave(command, key)
        self.room.send()

    @contextmanager
    def departures(self) -> Iterator[set[str]]:
        """Ids of those that leave meanwhile."""
        gone: set[str] = set()
        self._leaving.append(gone)
        try:
            yield gone
        finally:
            self._leaving = [one for one in self._leaving if one is not gone]

    def wakes_at(self) -> float | None:
        """When the first sleeper wakes."""
        return self._sleeping[0][0] if self._sleeping else None

    def ready(self, operation: str) -> int:
        """How many of an operation could be taken, if it may be called."""
        return len(self._ready.get(operation, ()))

    def of(self, operation: str) -> int:
        """How many of an operation are here."""
        return self._of[operation]

    def waiting(self) -> list[str]:
        """Operations with something ready."""
        ready = [operation for operation, queue in self._ready.items() if queue]
        return ready + [command.operation for command in self._poison]

    def _wake(self, now: float) -> None:
        while self._sleeping and self._sleeping[0][0] <= now:
            command = heappop(self._sleeping)[2]
            self._queue(command).append(command)

    # --- predecessors that are not here -------------------------------------------------------------------

    def unresolved(self, now: float) -> list[str]:
        """Ids the inbox is to be asked about now; each is not asked about again before `resolve`."""
        ids: list[str] = []
        while self._due and self._due[0][0] <= now and len(ids) < _ASKED_AT_ONCE:
            due, _, id = heappop(self._due)
            missing = self._missing.get(id)
            if missing is not None and missing.due == due:
                missing.due = None
                ids.append(id)
        return ids

    def unresolved_at(self) -> float | None:
        """When `unresolved` has something next."""
        return self._due[0][0] if self._due else None

    def resolve(self, now: float, asked: Iterable[str], settled: Mapping[str, bool]) -> list[QueuedCommand]:
        """What the inbox says of `asked`: whether each is finished or held; it is not in it if it is not in
        `settled`. Returns the commands that go on because their predecessor never came.
        """
        overdue: list[QueuedCommand] = []
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
                if missing.due is None:
                    self._ask_at(id, missing, now + (_TOLD_S if self.told and is_settled is False else wait_s))
        return overdue

    @property
    def missing(self) -> list[str]:
        """The predecessors that are not here."""
        return list(self._missing)

    def ask_now(self, ids: Iterable[str]) -> None:
        """The inbox is to be asked about these at once, of those that are waited for."""
        for id in ids:
            if (missing := self._missing.get(id)) is not None:
                self._ask_at(id, missing, float("-inf"))

    def awaited(self, ids: Iterable[str]) -> None:
        """Another bridge waits for these: what of them has ended, or ends here, is told by `take_ended`."""
        for id in ids:
            if id in self._lately:
                self._ended.append(id)
                continue
            self._awaited[id] = None
            if len(self._awaited) > _LATELY:
                self._awaited.popitem(last=False)
        if self._ended:
            self.ended.send()

    def take_ended(self) -> list[str]:
        """What others wait for and has ended here since the last time."""
        ended, self._ended = self._ended, []
        return ended

    def _ask_at(self, id: str, missing: _Missing, at: float) -> None:
        missing.due = at
        heappush(self._due, (at, next(self._tie), id))

    def _link(self, command: QueuedCommand, key: _Key) -> None:
        """Find the predecessor, here or among what the inbox is asked about."""
        if command.after is None:
            command.after = self._arrived_last(command, key)
        if command.state is not State.RECEIVED:
            command.after = ""  # it was begun before the bridge stopped: nothing can go before it any more
        if (command.id in self._named or command.after == command.id) and self._leads_to(command.after, command.id):
            self.circles += 1
            command.after = ""
        if command.after:
            self._named[command.after] += 1
            if command.after not in self._by_id and command.after not in self._lately:
                missing = self._missing.get(command.after)
                if missing is None:
                    missing = self._missing[command.after] = _Missing()
                    self._ask_at(command.after, missing, float("-inf"))
                missing.waiting.append(command)
        if command.id in self._missing:
            arrived = self._missing.pop(command.id)  # those that waited are blocked by its being here now
            for other in {one.key for one in arrived.waiting} - {command.key}:
                self._next(self._keys[other])

    def _arrived_last(self, command: QueuedCommand, key: _Key) -> str:
        if command.id not in self._named:
            return next(reversed(key.commands), "")
        return next((id for id in reversed(key.commands) if not self._leads_to(id, command.id)), "")

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
        keys = {command.key for command in self._missing.pop(id).waiting}
        for key in keys:
            self._next(self._keys[key])

    def _is_blocked(self, command: QueuedCommand) -> bool:
        if not command.after:
            return False
        before = self._by_id.get(command.after)
        if before is not None:
            return before.key == command.key and before is not command  # of another key: a front's mistake
        return command.after in self._missing

    def _remove(self, command: QueuedCommand) -> None:
        del self._by_id[command.id]
        self._of[command.operation] -= 1
        self.own -= command.key.startswith(OWN_KEY)
        for gone in self._leaving:
            gone.add(command.id)

    def _unqueue(self, command: QueuedCommand) -> None:
        for queue in (self._poison, self._ready.get(command.operation, deque())):
            if command in queue:
                queue.remove(command)
                return
        self._sleeping = [one for one in self._sleeping if one[2] is not command]
        heapify(self._sleeping)

    def _free_key(self, command: QueuedCommand) -> None:
        key = self._keys[command.key]
        assert key.turn is command, "only the one that has the key is ever taken"
        key.turn = None
        self._leave(command, key)

    def _leave(self, command: QueuedCommand, key: _Key) -> None:
        self._lately[command.id] = None
        if len(self._lately) > _LATELY:
            self._lately.popitem(last=False)
        if command.id in self._awaited:
            del self._awaited[command.id]
            self._ended.append(command.id)
            self.ended.send()
        if command.after:
            self._named[command.after] -= 1
            if not self._named[command.after]:
                del self._named[command.after]
        del key.commands[command.id]
        if key.commands:
            self._next(key)
        else:
            del self._keys[command.key]

    def _next(self, key: _Key) -> None:
        """Give the key, if it is free, to the earliest that is not blocked."""
        if key.turn is None:
            found = next((command for command in key.commands.values() if not self._is_blocked(command)), None)
            if found is not None:
                self._give(key, found)

    def _give(self, key: _Key, command: QueuedCommand) -> None:
        key.turn, key.begun = command, False
        self._queue(command).append(command)

    def _queue(self, command: QueuedCommand) -> "deque[QueuedCommand]":
        if command.crashes:
            return self._poison
        queue = self._ready.get(command.operation)
        if queue is None:
            queue = self._ready[command.operation] = deque()
        return queue

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        text = "Commands that wait for a predecessor that is not here"
        yield "intranet_bridge_commands_blocked", text, {}, self.blocked
        yield "intranet_bridge_predecessor_cycles_total", "Circles of predecessors cut open", {}, self.circles

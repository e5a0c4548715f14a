"""Answers that are kept, and queries that wait for the answer to an identical one.

Nothing is given again that a command may have changed: when a call for a command has come to an end, and may have had
an effect, what is kept about the same account is dropped before its reply goes out. An answer that was asked for
before that is given to who asked before it, and neither kept nor given to who asks after it. While the marketing
system may still be at work on a call whose connection is gone, nothing about its account is kept.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from intranet_bridge.hot_data import subjects
from intranet_bridge.hot_data.section import HotSection
from intranet_bridge.marketing import Answered, Finding, MarketingRequest, Outcome, Unknown
from protocol.freshness import NO_CACHE, Freshness, Way
from protocol.messages import Attributes
from protocol.operations import CATALOGUE
from protocol.runtime.kept_answers import KeptAnswer, KeptAnswers, Key
from protocol.runtime.metrics import Sample

_MOST_CHANGED = 10_000
"""So many changed subjects are remembered one by one, while queries are under way that were asked before."""
COLLAPSED = Freshness(Way.MISS, collapsed=True).said()


@dataclass(slots=True)
class Joined:
    """A query that waits for the answer to an identical one."""

    request: Attributes
    asked: MarketingRequest
    began: float
    again: bool = False
    """The first one's time ran out before; this is asked again."""


@dataclass(slots=True, eq=False)
class Flight:
    """A query that is being asked, and who waits for the same answer."""

    key: Key
    subjects: frozenset[str]
    lifetime_s: float
    why: Way
    """Nothing was kept, or not fit."""
    begun: float
    ahead: bool = False
    """Nobody has asked for it yet."""
    joined: list[Joined] = field(default_factory=list)


@dataclass(slots=True)
class Question:
    """What a query asks for."""

    key: Key
    lifetime_s: float
    anew: bool = False
    """Its caller wants no kept answer."""
    why: Way = Way.MISS


class HotData:
    """The kept answers of one bridge, all in memory."""

    def __init__(self, section: HotSection, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.policies = dict(section.operations)
        """By operation; empty: nothing is kept, and nobody asks."""
        self._most_joined = section.joined
        self._kept = KeptAnswers(section.bytes)
        self._flights: dict[Key, Flight] = {}
        """Those that may be joined."""
        self._under_way: set[Flight] = set()
        self._changed: dict[str, float] = {}
        """Subject → until when what was asked for is not kept; while queries are under way that were begun before."""
        self._floor = -1.0
        """The same, of all subjects."""
        self.tell: Callable[[Sequence[tuple[str | None, Collection[str] | None, float]]], None] | None = None
        """Told what a command, or an operator, has made old: (about, operations, seconds until it is settled)."""
        self.joined = 0
        """Queries that wait for the answer to another one."""
        self.counts: Counter[tuple[str, str]] = Counter()
        """(operation, hit | miss | stale | joined | bypassed) → queries."""
        self.spared: Counter[str] = Counter()
        """By operation: answers asked ahead that were given to somebody since, calls that nobody waited for."""
        self.invalidated: Counter[str] = Counter()
        """By: command, content, operator, push, reload, import, elsewhere (another bridge) → kept answers dropped."""

    def use(self, section: HotSection, *, anew: bool) -> None:
        """Go by this from now on. `anew`: bindings have changed, and with them what answers say."""
        self.policies = dict(section.operations)
        self._most_joined = section.joined
        self._kept.resize(section.bytes)
        gone = None if anew else {name for name, _ in self._kept.by_operation()} - self.policies.keys()
        if gone is None or gone:
            self._settled_only_after(self._now())
            self.invalidated["reload"] += self._kept.forget(operations=gone)

    # --- queries --------------------------------------------------------------------------------------------

    def question(self, request: Attributes, asked: MarketingRequest) -> Question:
        """What a query asks for, of an operation that has a policy."""
        question = self.asking(request.type, asked.body)
        question.anew = request.after == NO_CACHE and self.policies[request.type].no_cache
        return question

    def asking(self, operation: str, body: BaseModel) -> Question:
        """The same, of one that nobody has sent. Raises KeyError for an operation without a policy."""
        key = operation, bytes(CATALOGUE[operation].requests.dump_json(body, exclude_none=True))
        return Question(key, self.policies[operation].lifetime_s)

    def kept(self, question: Question) -> tuple[bytes, Freshness] | None:
        """The answer that is kept, if one is and it is fresh."""
        operation = question.key[0]
        if question.anew:
            question.why = Way.REQUEST
            return None
        found, now = self._kept.get(question.key), self._now()
        if found is None:
            return None
        # the lifetime may have been made shorter meanwhile
        left_s = min(found.until, found.asked + question.lifetime_s) - now
        if left_s <= 0:
            self._kept.drop(question.key)
            question.why = Way.STALE
            return None
        self.counts[operation, "hit"] += 1
        if found.ahead:
            found.ahead = False
            self.spared[operation] += 1
        return found.result, Freshness(Way.HIT, int(now - found.asked), int(left_s))

    def join(self, question: Question, joining: Joined) -> bool:
        """Wait for the answer to an identical query that is being asked, if there is one and not too many wait."""
        flight = self._flights.get(question.key)
        if flight is None or question.anew or self.joined >= self._most_joined:
            return False
        flight.joined.append(joining)
        self.joined += 1
        self.counts[question.key[0], "joined"] += 1
        if flight.ahead:
            flight.ahead = False
            self.spared[question.key[0]] += 1
        return True

    def good(self, question: Question, share: float) -> bool:
        """Whether there is no need to ask ahead: its answer is kept and has `share` of its lifetime left, or is being
        asked for.
        """
        found = self._kept.peek(question.key)
        if found is None:
            return question.key in self._flights
        left_s = min(found.until, found.asked + question.lifetime_s) - self._now()
        return left_s > share * question.lifetime_s or question.key in self._flights

    def begin(self, question: Question, asked: MarketingRequest, *, ahead: bool = False) -> Flight:
        """It is being asked from now on. `landed` is to be called with what it came to. `ahead`: nobody asked yet."""
        if not ahead:
            self.counts[question.key[0], _COUNTED[question.why]] += 1
        about = subjects.of_request(asked.body)
        flight = Flight(question.key, about, question.lifetime_s, question.why, self._now(), ahead)
        self._flights[flight.key] = flight
        self._under_way.add(flight)
        return flight

    def landed(self, flight: Flight, outcome: Outcome | None) -> str:
        """What it came to is kept if it may be. Returns what its reply says of that; None: it was not asked at all."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        self._under_way.discard(flight)
        self.joined -= len(flight.joined)
        stored, left_s = False, 0.0
        if isinstance(outcome, Answered):
            now = self._now()
            about = flight.subjects | subjects.of_answer(outcome.result)
            left_s = flight.begun + flight.lifetime_s - now
            if left_s > 0 and flight.key[0] in self.policies and not self._outdated(flight, about):
                kept = KeptAnswer(outcome.result, flight.begun, now + left_s, about, ahead=flight.ahead)
                stored = self._kept.put(flight.key, kept, now)
        return Freshness(flight.why, left_s=int(left_s) if stored else 0, stored=stored).said()

    def lost(self, flight: Flight) -> list[Joined]:
        """Nothing came of it: a defect, or the bridge stops. Returns who waits; who asks from now on does not."""
        if flight not in self._under_way:
            return []
        self.landed(flight, None)
        return flight.joined

    # --- what changed ---------------------------------------------------------------------------------------

    def heard(self, operation: str, asked: MarketingRequest, came_to: Outcome | Finding, settle_s: float) -> None:
        """What a call for a command came to, or an inquiry. `settle_s`: how long the marketing system may still be at
        work on it, when that is not known.
        """
        if not isinstance(came_to, Answered | Unknown):
            return  # nothing was applied
        about = subjects.of_request(asked.body)
        if isinstance(came_to, Answered):
            about, settle_s = about | subjects.of_answer(came_to.result), 0.0
        for subject in about:
            self._invalidate(subject, None, settle_s, "command")
        if self.tell is not None and about:
            self.tell([(subject, None, settle_s) for subject in about])

    def invalidate(
        self, account: str, operations: Collection[str] | None = None, by: str = "push", settle_s: float = 0.0
    ) -> int:
        """Drop what is kept about an account (or a work order, an application); None: of all operations. What was
        asked for before this is not kept. Returns how many answers were dropped.
        """
        if self.tell is not None and by not in _TOLD_OTHERWISE:
            self.tell([(account, operations, settle_s)])
        return self._invalidate(account, operations, settle_s, by)

    def clear(self, operations: Collection[str] | None = None, by: str = "operator") -> int:
        """Drop all that is kept, or all of some operations."""
        if self.tell is not None and by not in _TOLD_OTHERWISE:
            self.tell([(None, operations, 0.0)])
        self._settled_only_after(self._now())
        dropped = self._kept.forget(operations=operations)
        self.invalidated[by] += dropped
        return dropped

    def _invalidate(self, subject: str, operations: Collection[str] | None, settle_s: float, by: str) -> int:
        until = self._now() + settle_s
        self._changed[subject] = max(until, self._changed.get(subject, until))
        for key, flight in list(self._flights.items()):
            if subject in flight.subjects or subjects.tells_more(key[0]):
                del self._flights[key]  # who asks from now on is asked for by itself
        if len(self._changed) > _MOST_CHANGED:
            self._forget_changes()
        if len(self._changed) > _MOST_CHANGED:
            self._settled_only_after(max(self._changed.values()))
            self._changed.clear()
        dropped = self._kept.forget(subject, operations)
        self.invalidated[by] += dropped
        return dropped

    def _settled_only_after(self, until: float) -> None:
        self._floor = max(self._floor, until)
        self._flights.clear()

    def _outdated(self, flight: Flight, about: Collection[str]) -> bool:
        """Whether a command may have changed what was asked for meanwhile."""
        if flight.begun <= self._floor:
            return True
        return any(flight.begun <= self._changed.get(subject, -1.0) for subject in about)

    def _forget_changes(self) -> None:
        """Those that no query can meet any more: what begins from now on begins after them."""
        since = min((flight.begun for flight in self._under_way), default=self._now())
        self._changed = {subject: until for subject, until in self._changed.items() if until >= since}

    # --- what there is --------------------------------------------------------------------------------------

    @property
    def size(self) -> tuple[int, int]:
        """(kept answers, their bytes)."""
        return len(self._kept), self._kept.bytes

    def by_operation(self) -> dict[str, tuple[int, int]]:
        """Operation → (kept answers, their bytes)."""
        found: dict[str, tuple[int, int]] = dict.fromkeys(self.policies, (0, 0))
        for name, answer in self._kept.by_operation():
            count, size = found.get(name, (0, 0))
            found[name] = count + 1, size + answer.size
        return found

    @property
    def limit(self) -> int:
        """Bytes that kept answers may take."""
        return self._kept.limit

    @property
    def evicted(self) -> int:
        """Answers that went for want of room."""
        return self._kept.evicted

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        text = "Queries of operations whose answers are kept, by how they were answered"
        for (operation, way), number in dict(self.counts).items():
            yield "intranet_bridge_hot_queries_total", text, {"operation": operation, "way": way}, number
        text = "Answers asked ahead that somebody was given since: calls that nobody waited for"
        for operation, number in dict(self.spared).items():
            yield "intranet_bridge_prequery_spared_total", text, {"operation": operation}, number
        text = "Kept answers dropped before their time, by what made them old"
        for by, number in dict(self.invalidated).items():
            yield "intranet_bridge_hot_invalidated_total", text, {"by": by}, number
        yield "intranet_bridge_hot_answers", "Kept answers", {}, len(self._kept)
        yield "intranet_bridge_hot_bytes", "Memory that kept answers take", {}, self._kept.bytes
        yield "intranet_bridge_hot_evicted_total", "Kept answers that went for want of room", {}, self._kept.evicted


_TOLD_OTHERWISE = frozenset({"push", "elsewhere", "content", "import"})
"""What pushes make old is written with them; content and imports are seen by all bridges, as is what others told."""
_COUNTED = {Way.MISS: "miss", Way.STALE: "stale", Way.REQUEST: "bypassed"}

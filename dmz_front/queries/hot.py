"""Public information kept at the front, in memory alone: news, outlets and the like, never what is of a customer.

A query that names an account, or anything else that is personal, goes to the bridge as if nothing were kept, though
its operation be one that is.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache

from pydantic import BaseModel

from dmz_front.hot_section import FrontHotSection
from dmz_front.problems.details import Headers, Problem
from dmz_front.queries.round_trip import Queries
from dmz_front.replies.responses import BRIDGE_CACHE
from protocol.freshness import NO_CACHE, Freshness, Way, heard
from protocol.lifecycle import State
from protocol.messages import Attributes, Reply
from protocol.operations import CATALOGUE, Operation
from protocol.runtime.hot_section import HotOperationSection
from protocol.runtime.kept_answers import KeptAnswer, KeptAnswers, Key
from protocol.runtime.metrics import Sample

CACHE = "dmz-front"
"""What `Cache-Status` calls the front."""


@lru_cache(maxsize=256)
def _private(operation: str) -> tuple[str, ...]:
    """Request fields with which a query is not one for public information."""
    entry = CATALOGUE[operation]
    return tuple({*entry.accounts, *(name.partition(".")[0] for name in entry.personal)})


class HotQueries:
    """Asks by `queries` what is not kept."""

    def __init__(self, section: FrontHotSection, queries: Queries, now: Callable[[], float] = time.monotonic) -> None:
        self._queries, self._now = queries, now
        self.policies = dict(section.operations)
        """By operation; empty: nothing is kept, and nobody asks."""
        self._section = section
        self._kept = KeptAnswers(section.bytes)
        self._flights: dict[Key, asyncio.Future[Reply | None]] = {}
        """Queries under way; they come to None when there was no answer that others could have too."""
        self._changes = 0
        self.counts: Counter[tuple[str, str]] = Counter()
        """(operation, hit | miss | stale | joined | bypassed) → queries."""

    def use(self, section: FrontHotSection) -> None:
        """Go by this from now on; with another one, what was kept is dropped."""
        if section == self._section:
            return
        self._section, self.policies = section, dict(section.operations)
        self._kept.resize(section.bytes)
        self._kept.forget()
        self._flights.clear()
        self._changes += 1

    def keeps(self, operation: Operation, asked: BaseModel) -> bool:
        """Whether the answer to a query of an operation that has a policy may be kept, and be another's."""
        return all(getattr(asked, name) is None for name in _private(operation.name))

    async def ask(
        self, operation: Operation, asked: BaseModel, application: str, body: bytes, id: str, trace: str,
        wait_s: float, wish: str,
    ) -> tuple[Reply, Headers]:  # fmt: skip
        """The reply, kept or asked for, and what is said of where it came from. Raises Problem as `Queries.ask`."""
        policy, began = self.policies[operation.name], self._now()
        key = operation.name, bytes(operation.requests.dump_json(asked, exclude_none=True))
        why = Way.REQUEST if policy.no_cache and wish == NO_CACHE else Way.MISS
        if why is Way.MISS:
            found = self._kept.get(key)
            if found is not None and found.until > began:
                self.counts[operation.name, "hit"] += 1
                hit = Freshness(Way.HIT, int(began - found.asked), int(found.until - began))
                return _kept_reply(id, operation, found.result), hit.headers(CACHE)
            if found is not None:
                self._kept.drop(key)
                why = Way.STALE
            flight = self._flights.get(key)
            if flight is not None:
                reply = await self._joined(flight, wait_s)
                if reply is not None:
                    self.counts[operation.name, "joined"] += 1
                    told = Freshness(Way.MISS, collapsed=True).headers(CACHE)
                    return _kept_reply(id, operation, reply.result), told
                wait_s -= self._now() - began
                if wait_s <= 0:
                    raise Problem(504, "no-answer-in-time")
        self.counts[operation.name, _COUNTED[why]] += 1
        reply, age_s, stored = await self._asked(key, policy, operation, application, body, id, trace, wait_s, wish)
        left_s = max(0, int(policy.lifetime_s - age_s)) if stored else 0
        return reply, _both(reply, Freshness(why, left_s=left_s, stored=stored))

    async def _joined(self, flight: "asyncio.Future[Reply | None]", wait_s: float) -> Reply | None:
        try:
            return await asyncio.wait_for(asyncio.shield(flight), wait_s)
        except TimeoutError:
            return None

    async def _asked(
        self, key: Key, policy: HotOperationSection, operation: Operation, application: str, body: bytes, id: str,
        trace: str, wait_s: float, wish: str,
    ) -> tuple[Reply, int, bool]:  # fmt: skip
        """The bridge's reply, how old it was when it was asked for, and whether it is kept."""
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        changes, began = self._changes, self._now()
        answer: Reply | None = None
        try:
            reply = await self._queries.ask(operation, application, body, id, trace, wait_s, wish)
            answer = reply if reply.state is State.SUCCEEDED else None
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]
            flight.set_result(answer)
        freshness = heard(reply.detail)
        age_s, now = freshness.age_s if freshness else 0, self._now()
        asked = began - age_s
        until = asked + policy.lifetime_s
        if answer is None or until <= now or changes != self._changes:
            return reply, age_s, False
        return reply, age_s, self._kept.put(key, KeptAnswer(reply.result, asked, until), now)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        text = "Queries of operations whose answers are kept, by how they were answered"
        for (operation, way), number in dict(self.counts).items():
            yield "dmz_front_hot_queries_total", text, {"operation": operation, "way": way}, number
        yield "dmz_front_hot_answers", "Kept answers", {}, len(self._kept)
        yield "dmz_front_hot_bytes", "Memory that kept answers take", {}, self._kept.bytes
        yield "dmz_front_hot_evicted_total", "Kept answers that went for want of room", {}, self._kept.evicted


_COUNTED = {Way.MISS: "miss", Way.STALE: "stale", Way.REQUEST: "bypassed"}


def _kept_reply(id: str, operation: Operation, result: bytes) -> Reply:
    return Reply(Attributes(id, CACHE, operation.name, 0), State.SUCCEEDED, result=result)


def _both(reply: Reply, ours: Freshness) -> Headers:
    """What the bridge said and what we say, in one `Cache-Status`: the nearest to the marketing system first."""
    theirs = heard(reply.detail)
    headers = ours.headers(CACHE)
    if theirs is None or reply.state is not State.SUCCEEDED:
        return headers
    (name, said), *more = theirs.headers(BRIDGE_CACHE)
    return [(name, b"%b, %b" % (said, headers[0][1])), *more]

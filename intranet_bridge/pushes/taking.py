"""Pushes take effect, each once."""

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from sqlalchemy import Connection, select

from intranet_bridge.at_rest import AtRest
from intranet_bridge.notices.outbox import Notices
from intranet_bridge.pushes.bodies import OutagePlanned, Push
from intranet_bridge.pushes.effects import Hot, effects
from intranet_bridge.pushes.rows import PUSHED
from protocol.reports.marketing_data import PushesReport, PushTableReport
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.store import Store, Work
from protocol.runtime.store_statements import insert_new

log = logger(__name__)

TOGETHER = 100
"""Pushes in one transaction: it bounds how long commands wait for theirs."""
NOTICES_TOGETHER = 1_000
"""Notices that they may lead to: a planned outage tells of so many accounts itself, and each costs as a push does."""
Changed = tuple[str | None, Collection[str] | None, float]
"""As hot_data/changes.py has it."""
LATELY_S = 60
"""What a report calls lately."""


class Verdict(StrEnum):
    """What became of a push."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    """It was said before, in the same words: nothing more happens."""
    CONFLICT = "conflict"
    """Its id was used before, and said something else: it is refused."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one."""

    id: str
    verdict: Verdict
    notices: int = 0


class Pushes:
    """The `pushes` table, and what came in since the start."""

    def __init__(
        self, *, store: Store, at_rest: AtRest, notices: Notices, clock: Clock, hot: Hot | None = None,
        others: Callable[[Connection, list[Changed]], object] = lambda _connection, _changes: None,
        told: Callable[[Connection, Push], object] = lambda _connection, _push: None,
    ) -> None:  # fmt: skip
        """`hot`: what keeps answers, if anything does. `others`: writes down what is old at other bridges too.
        `told`: whom else a push concerns, once, within its transaction.
        """
        self._others, self._told = others, told
        self._store, self._at_rest, self._notices, self._clock, self._hot = store, at_rest, notices, clock, hot
        self.accepted: Counter[str] = Counter()
        """By kind."""
        self.repeated = 0
        self.refused: Counter[str] = Counter()
        """By reason."""
        self._last = 0
        self._lately: deque[tuple[int, int]] = deque()

    async def take(self, pushes: Sequence[Push], also: Work[object] | None = None) -> list[Taken]:
        """Have them take effect, in this order; `also` is done in the transaction of the last. Returns when all is on
        disk. Raises what the store raises: then some may have taken effect, and saying them again is right.
        """
        done: list[Taken] = []
        parts = parts_of(pushes)
        for part in parts:
            last = also if part is parts[-1] else None
            taken = await self._store.write(partial(self._take_in, pushes=part, also=last))
            reach(Point.BRIDGE_PUSHES_COMMITTED)
            self._count(part, taken)
            done += taken
        return done

    def refuse(self, reason: str, push: str = "", field: str = "", source: str = "") -> None:
        """Count one that is not taken, and say so, without its content."""
        self.refused[reason] += 1
        log.warning("push-refused", reason=reason, push=push, field=field, source=source)

    async def forget(self, before_ms: int) -> None:
        """Delete the ids of those taken before then."""
        old = PUSHED.delete().where(PUSHED.c.taken_at < before_ms)
        await self._store.write(lambda connection: connection.execute(old).rowcount)

    def report(self, tables: Sequence[PushTableReport] = (), *, listens: bool = False) -> PushesReport:
        """As it stands now."""
        return PushesReport(
            listens=listens, last=self._last, accepted=self.accepted.total(), repeated=self.repeated,
            refused=self.refused.total(), lately=sum(number for _, number in self._recent()), tables=tuple(tables),
        )  # fmt: skip

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        for kind, number in dict(self.accepted).items():
            yield "intranet_bridge_pushes_accepted_total", "Pushes that took effect", {"kind": kind}, number
        text = "Pushes that were said before, in the same words"
        yield "intranet_bridge_pushes_repeated_total", text, {}, self.repeated
        for reason, number in dict(self.refused).items():
            yield "intranet_bridge_pushes_refused_total", "Pushes refused", {"reason": reason}, number
        text = "When the last push took effect; 0: none since the start"
        yield "intranet_bridge_last_push_timestamp_seconds", text, {}, self._last / 1000

    def _take_in(self, connection: Connection, pushes: Sequence[Push], also: Work[object] | None) -> list[Taken]:
        now = self._clock()
        content = [self._at_rest.pseudonym(push.content()) for push in pushes]
        rows = {
            push.id: {"id": push.id, "content": said, "taken_at": now}
            for push, said in reversed(list(zip(pushes, content, strict=True)))  # the first of an id counts
        }
        fresh = insert_new(connection, PUSHED, [rows[id] for id in sorted(rows)]) if rows else set()
        known = {id: row["content"] for id, row in rows.items() if id in fresh}
        before = [id for id in rows if id not in fresh]
        if before:
            found = select(PUSHED.c.id, PUSHED.c.content).where(PUSHED.c.id.in_(before))
            known |= {row.id: row.content for row in connection.execute(found)}
        taken, old = [], list[Changed]()
        for push, said in zip(pushes, content, strict=True):
            if push.id in fresh:
                fresh.discard(push.id)
                follows = effects(push)
                old += follows.changes
                self._told(connection, push)
                number = sum(self._notices.publish_in(connection, one, push.id) for one in follows.notices)
                taken.append(Taken(push.id, Verdict.ACCEPTED, number))
            else:
                # one that is not found was forgotten this moment: it was said before, whatever it said
                same = known.get(push.id, said) == said
                taken.append(Taken(push.id, Verdict.REPEATED if same else Verdict.CONFLICT))
        if old:
            self._others(connection, old)
        if also is not None:
            also(connection)
        return taken

    def _count(self, pushes: Sequence[Push], taken: Sequence[Taken]) -> None:
        accepted = 0
        for push, one in zip(pushes, taken, strict=True):
            if one.verdict is Verdict.CONFLICT:
                self.refuse("conflict", push.id)
                continue
            if one.verdict is Verdict.REPEATED:
                self.repeated += 1
            else:
                accepted += 1
                self.accepted[push.kind] += 1
            if self._hot is not None:
                effects(push).invalidate(self._hot)
        if accepted:
            self._last = self._clock()
            self._recent().append((int(time.monotonic()), accepted))
            self._notices.hurry()

    def _recent(self) -> deque[tuple[int, int]]:
        since = time.monotonic() - LATELY_S
        while self._lately and self._lately[0][0] < since:
            self._lately.popleft()
        return self._lately


def parts_of(pushes: Sequence[Push]) -> list[Sequence[Push]]:
    """What is done in one transaction each, in order; at least one, which may be empty."""
    parts: list[Sequence[Push]] = []
    first = notices = 0
    for at, push in enumerate(pushes):
        more = len(push.data.accounts) if isinstance(push.data, OutagePlanned) else 1
        if at > first and (at - first >= TOGETHER or notices + more > NOTICES_TOGETHER):
            parts.append(pushes[first:at])
            first, notices = at, 0
        notices += more
    return [*parts, pushes[first:]]

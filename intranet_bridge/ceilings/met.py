"""Which ceilings were met: told in the log (once a minute), in the metrics, and to `bridgectl status`."""

from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass

from protocol.messages import fitted
from protocol.reports.admission import CeilingReport
from protocol.runtime.clock import Clock
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample

log = logger(__name__)

LASTS_MS = 15 * 60_000
"""So long after it was met last a ceiling is told of."""
_MOST = 100
"""So many are kept apart: a front that was taken over may invent names."""
_OTHERS = "(others)"
_LENGTH = 64


@dataclass(slots=True)
class _Once:
    limit: float
    operation: str
    since: int
    last: int
    count: int = 0


class Met:
    """Remembers them."""

    def __init__(self, clock: Clock) -> None:
        """`clock`: epoch ms."""
        self._clock = clock
        self._met: dict[tuple[str, str, str], _Once] = {}
        self.known: Container[str] = ()
        """The names of fronts that the configuration has: the metrics have no others."""
        self.counts: Counter[tuple[str, str]] = Counter()
        """(front, ceiling) → how often."""

    def note(self, front: str, application: str, ceiling: str, limit: float, operation: str = "") -> None:
        """It was met. `limit`: what it is; 0: there is no number. `application` empty: the whole front's."""
        now = self._clock()
        key = (fitted(front, _LENGTH), fitted(application, _LENGTH), ceiling)
        one = self._met.get(key)
        if one is None:
            if len(self._met) >= _MOST:
                self._forget_old(now)
            if len(self._met) >= _MOST:
                key = (_OTHERS, _OTHERS, ceiling)
            one = self._met.setdefault(key, _Once(limit, operation, now, now))
        elif now - one.last > LASTS_MS:
            one.since, one.count = now, 0
        one.last, one.limit, one.operation = now, limit, operation
        one.count += 1
        self.counts[key[0] if key[0] in self.known else _OTHERS, ceiling] += 1
        log.error(
            "ceiling-met", front=key[0], application=key[1], ceiling=ceiling, limit=limit, operation=operation,
        )  # fmt: skip

    def forget(self) -> None:
        """Somebody has acted on it: none is told of until it is met again."""
        self._met.clear()

    def report(self) -> tuple[CeilingReport, ...]:
        """Those that were met lately, the latest first."""
        now = self._clock()
        found = [
            CeilingReport(
                front=front, application=application, ceiling=ceiling, limit=one.limit, operation=one.operation,
                count=one.count, since=one.since, last=one.last,
            )
            for (front, application, ceiling), one in self._met.items()
            if now - one.last <= LASTS_MS
        ]  # fmt: skip
        return tuple(sorted(found, key=lambda one: -one.last))

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread."""
        text = "Requests refused, or made to wait, because a front met a ceiling"
        for (front, ceiling), number in dict(self.counts).items():
            yield "intranet_bridge_ceilings_met_total", text, {"front": front, "ceiling": ceiling}, number

    def _forget_old(self, now: int) -> None:
        for key in [key for key, one in self._met.items() if now - one.last > LASTS_MS]:
            del self._met[key]

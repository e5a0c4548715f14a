"""How often one address may scan QR codes: a rate, and who exceeds it waits, longer each time. In memory, bounded."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dmz_front.settings import LandingSection
from protocol.networks import counts_as
from protocol.rates import RateLimit
from protocol.runtime.metrics import Sample

_MINUTE_S = 60.0


@dataclass(slots=True)
class _Penalty:
    until: float
    level: int
    """Each further one is twice as long."""


class Scans:
    """Counts by address. Seconds of a monotonic clock."""

    def __init__(
        self, limits: LandingSection, *, now: Callable[[], float] = time.monotonic, capacity: int = 100_000
    ) -> None:
        self.limits, self._now, self._capacity = limits, now, capacity
        self._rates = RateLimit(_MINUTE_S, capacity)
        self._penalties: OrderedDict[str, _Penalty] = OrderedDict()
        self.paused = 0
        """Scans refused."""

    def wait_s(self, address: str) -> float:
        """0 if it may be looked at now (and it is counted), else the seconds until that is so."""
        address = counts_as(address)
        now, known = self._now(), self._penalties.get(address)
        if known is not None and now < known.until:
            self.paused += 1
            return known.until - now
        if not self._rates.wait(address, self.limits.scans_a_minute / _MINUTE_S, now):
            return 0.0
        level = 0
        if known is not None and now < known.until + self.limits.penalty_max_s:  # not long enough ago to be forgiven
            level = known.level + 1
        penalty_s = min(self.limits.penalty_max_s, self.limits.penalty_s * 2.0 ** min(level, 30))
        self._penalties[address] = _Penalty(now + penalty_s, level)
        self._penalties.move_to_end(address)
        if len(self._penalties) > self._capacity:
            self._penalties.popitem(last=False)
        self.paused += 1
        return penalty_s

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        yield "dmz_front_scans_paused_total", "Scanned QR codes refused: too many of one address", {}, self.paused

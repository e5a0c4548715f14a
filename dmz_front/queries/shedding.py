"""Which queries are refused before they are put on the queue: those whose answer would come too late.

A query behind others costs the marketing system as much as one that is answered in time, so a queue longer than
the callers' patience turns its whole capacity into work for nobody. How long a further query would take follows
from Little's law (waiting = rate × time):

    expected = service + (in flight + 1 - slots) / rate            (the second term only if it is positive)

- `slots` and `service` (mean time of one call) are announced by the bridges. As long as fewer queries are in flight
  than the bridges have slots, nothing waits, and nothing is refused.
- `rate` is what this front measures itself while its queries keep every slot busy: its own answers a second. Where
  several fronts share the bridges each measures its own share of their work, and the law holds for each. Before
  there is a measurement it is slots / service.

Pure: time is passed in. The state is a handful of numbers, whatever the load.
"""

from dmz_front.replies.bridges import Capacity


def expected_s(in_flight: int, capacity: Capacity, rate: float | None) -> float:
    """Seconds until a further query would be answered; 0.0 while nothing is known that says it has to wait.

    `rate`: measured answers a second, None without a measurement.
    """
    behind = in_flight + 1 - capacity.slots
    if capacity.slots == 0 or behind <= 0:
        return 0.0
    if rate is None:
        if capacity.service_s == 0.0:
            return 0.0
        rate = capacity.slots / capacity.service_s
    if rate == 0.0:
        return float("inf")
    return max(capacity.service_s, capacity.slots / rate) + behind / rate


class AnswerRate:
    """Measures the rate of answers in windows during which no slot was idle.

    A window ends after `WINDOW_S` if it has seen `ENOUGH` answers, at the latest after `LONGEST_S`; each is averaged
    with those before it.
    """

    WINDOW_S = 0.5
    ENOUGH = 30
    LONGEST_S = 2.0

    __slots__ = ("_answers", "_begun", "_rate")

    def __init__(self) -> None:
        self._begun: float | None = None
        self._answers = 0
        self._rate: float | None = None

    def rate(self, now: float, in_flight: int, slots: int) -> float | None:
        """Answers a second (any monotonic clock), None unless measured. Asked at each query's arrival."""
        if in_flight < slots or self._begun is None:
            self._restart(now if in_flight >= slots else None, None)
            return None
        elapsed = now - self._begun
        if elapsed >= self.LONGEST_S or (elapsed >= self.WINDOW_S and self._answers >= self.ENOUGH):
            measured = self._answers / elapsed
            self._restart(now, measured if self._rate is None else (self._rate + measured) / 2)
        return self._rate

    def left(self, in_flight: int, slots: int, *, answered: bool) -> None:
        """A query is in flight no more; `in_flight` counts those that still are."""
        self._answers += answered
        if in_flight + 1 < slots:
            self._begun = None  # slots are idle: the rate says how much is asked, not how much can be answered

    def _restart(self, now: float | None, rate: float | None) -> None:
        self._begun, self._answers, self._rate = now, 0, rate

"""How long to wait before trying again. Pure: the random number comes in as an argument."""

from collections.abc import Callable

from tenacity import RetryCallState, Retrying, wait_exponential
from tenacity.wait import wait_base


class Backoff(wait_base):
    """Waits that double from `shortest_s` to `longest_s`, each with up to half of it added by `chance` [0, 1).

    A wait of tenacity's, for its loops; `after` is for others (runtime/retry.py, and who is woken by a timer).
    """

    def __init__(self, shortest_s: float, longest_s: float, chance: Callable[[], float]) -> None:
        self.shortest_s, self.longest_s, self.chance = shortest_s, longest_s, chance
        self._growth = wait_exponential(multiplier=shortest_s, max=longest_s)

    def __call__(self, retry_state: RetryCallState) -> float:
        """Seconds to wait after the attempt that failed."""
        return min(self._growth(retry_state) * (1 + 0.5 * self.chance()), self.longest_s)

    def after(self, failures: int) -> float:
        """Seconds to wait after the `failures`-th failure in a row, counted from 1."""
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = min(failures, 64)
        return self(state)


def delay(attempt: int, minimum: float, maximum: float, chance: float) -> float:
    """Seconds to wait before connection attempt `attempt` (0 is the first after a stable connection).

    Doubles from `minimum` to `maximum`; `chance` (0 ≤ chance < 1) spreads it over its upper half, so that the
    clients of a restarted broker do not return all at once.
    """
    return float(min(maximum, minimum * 2 ** min(attempt, 32))) * (0.5 + chance / 2)


def next_attempt(attempt: int, lasted: float, stable: float) -> int:
    """The attempt number after a connection that lasted `lasted` seconds (0 if it was never made).

    Only a connection that lasted `stable` seconds starts the count afresh: a broker that accepts and then
    closes at once (a refused role, a wrong version) must not be hammered.
    """
    return 0 if lasted >= stable else attempt + 1

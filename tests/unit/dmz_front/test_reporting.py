"""What the front reports of its operations, from the numbers it keeps anyway."""

import time
from collections import Counter

from dmz_front.reporting import counts, operations
from protocol.runtime.lately import Lately
from protocol.runtime.metrics import Latency


def test_answers_by_operation_and_how_long_they_took() -> None:
    latency = {name: Latency() for name in ("bill-query", "arrears-query")}
    latency["bill-query"].since(time.perf_counter() - 0.010)
    answered = Counter({("bill-query", 200): 5, ("bill-query", 404): 2, ("bill-query", 503): 3})
    lately = Lately(lambda: counts(answered, latency)).report()
    [one] = operations(answered, latency, lately)
    assert (one.operation, one.answers, one.failures, one.turned_away) == ("bill-query", 10, 3, 2)
    assert (sum(one.latency), one.latency[7]) == (1, 1)  # 6.4 to 12.8 ms
    assert one.lately is not None
    assert (one.lately.count, one.lately.failures, one.lately.latency) == (10, 3, one.latency)

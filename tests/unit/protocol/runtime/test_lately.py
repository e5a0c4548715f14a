"""What was done in the last minutes: the difference to the oldest mark that is kept."""

import pytest

from protocol.runtime.lately import Counts, Lately


@pytest.mark.anyio
async def test_the_last_five_minutes() -> None:
    now, counted = 0.0, {"bill-query": Counts()}
    lately = Lately(lambda: dict(counted), lambda: now)
    for minute in range(1, 9):
        now = minute * 60.0
        counted["bill-query"] = Counts(minute * 10, minute, (minute * 9, minute))
        await lately.mark()
    now += 30
    one = lately.report()["bill-query"]
    assert (one.seconds, one.count, one.failures, one.latency) == (270.0, 40, 4, (36, 4))
    counted["arrears-query"] = Counts(3, 1, (3, 0))  # called for the first time
    counted["bill-query"] = Counts(2, 0, (2, 0))  # bound anew
    assert {name: one.count for name, one in lately.report().items()} == {"arrears-query": 3, "bill-query": 2}


def test_at_first_it_is_since_the_start() -> None:
    now = 100.0
    lately = Lately(lambda: {"bill-query": Counts(6, 0, (6,))}, lambda: now)
    now = 112.0
    one = lately.report()["bill-query"]
    assert (one.seconds, one.count, one.latency) == (12.0, 6, (6,))

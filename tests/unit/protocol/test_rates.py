"""The rate limit as a law: in no window of time more than rate * time + burst."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.rates import RateLimit

RATES = st.floats(0.05, 500)
BURSTS = st.floats(0.01, 60)
STEPS = st.lists(st.one_of(st.just(0.0), st.floats(0, 0.01), st.floats(0, 30)), max_size=150)


@given(RATES, BURSTS, STEPS)
def test_never_more_than_rate_times_time_plus_burst_in_any_window(
    rate: float, burst_s: float, steps: list[float]
) -> None:
    limit, now, allowed = RateLimit(burst_s), 1_000_000.0, []
    for step in steps:
        now += step
        if limit.wait("a", rate, now) == 0.0:
            allowed.append(now)
    burst = max(rate * burst_s, 1.0)
    for first, start in enumerate(allowed):
        for last in range(first, len(allowed)):
            assert last - first + 1 <= rate * (allowed[last] - start) + burst + 0.01


@given(RATES, BURSTS)
def test_a_whole_burst_fits_and_no_more(rate: float, burst_s: float) -> None:
    limit = RateLimit(burst_s)
    whole = max(int(rate * burst_s * (1 - 1e-9)), 1)
    assert [limit.wait("a", rate, 5e5) for _ in range(min(whole, 2_000))] == [0.0] * min(whole, 2_000)
    if whole <= 2_000:
        limit.wait("a", rate, 5e5)  # rate * burst may be a hair under a whole number
        assert limit.wait("a", rate, 5e5) > 0


@given(RATES, BURSTS, st.integers(1, 50))
def test_who_waits_as_told_is_let_in(rate: float, burst_s: float, events: int) -> None:
    limit, now = RateLimit(burst_s), 77.0
    for _ in range(events):
        wait = limit.wait("a", rate, now)
        if wait:
            now += wait
            assert limit.wait("a", rate, now) == 0.0


@given(RATES, BURSTS, STEPS)
def test_being_refused_costs_nothing(rate: float, burst_s: float, steps: list[float]) -> None:
    """Refused attempts do not push the next allowed instant away."""
    once, often, now = RateLimit(burst_s), RateLimit(burst_s), 0.0
    for step in steps:
        now += step
        allowed = once.wait("a", rate, now)
        for _ in range(1 if allowed == 0.0 else 5):
            assert often.wait("a", rate, now) == allowed


def test_keys_do_not_share() -> None:
    limit = RateLimit(1)
    assert [limit.wait(key, 1, 0.0) for key in "abc"] == [0.0] * 3
    assert all(limit.wait(key, 1, 0.0) > 0 for key in "abc")


def test_a_rest_of_any_length_allows_one_burst_and_not_more() -> None:
    limit = RateLimit(1)
    limit.wait("a", 10, 0.0)
    assert sum(limit.wait("a", 10, 1e6) == 0.0 for _ in range(100)) == 10


def test_memory_is_bounded_and_who_is_limited_stays_so() -> None:
    limit = RateLimit(1, capacity=10)
    for _ in range(2):
        limit.wait("greedy", 1, 0.0)
    for number in range(1_000):
        limit.wait(f"once-{number}", 1_000, 0.0 + number * 0.0005)
        assert len(limit._due) <= 10
    assert limit.wait("greedy", 1, 0.5) > 0


def test_whoever_comes_with_many_keys_resets_nobody_s_limit() -> None:
    limit = RateLimit(10, capacity=100)
    limited = [f"limited-{number}" for number in range(50)]
    for key in limited:
        while limit.wait(key, 1, 0.0) == 0.0:
            pass
    for number in range(10_000):
        limit.wait(f"many-{number}", 1, number * 5e-5)
    assert all(limit.wait(key, 1, 0.5) > 0 for key in limited)
    assert len(limit._due) == len(limit._idlest) == 100


def test_a_table_full_of_limited_keys_does_not_grow() -> None:
    limit = RateLimit(1, capacity=10)
    for number in range(100):
        assert limit.wait(f"key-{number}", 0.001, 0.0) == 0.0
    assert len(limit._due) <= 10

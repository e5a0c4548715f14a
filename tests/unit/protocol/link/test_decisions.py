"""The link's pure decisions: back-off and heart-beats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.backoff import delay, next_attempt
from protocol.link.codec import ProtocolViolation
from protocol.link.heartbeat import CHECKS, GRACE, Beats, agree


@given(st.integers(0, 10_000), st.floats(0, 0.999))
def test_a_delay_stays_in_the_upper_half_of_its_step(attempt: int, chance: float) -> None:
    step = min(10.0, 0.1 * 2 ** min(attempt, 32))
    assert step / 2 <= delay(attempt, 0.1, 10.0, chance) <= step


def test_only_a_stable_connection_starts_the_count_afresh() -> None:
    assert next_attempt(5, lasted=0.0, stable=10.0) == 6
    assert next_attempt(5, lasted=9.9, stable=10.0) == 6
    assert next_attempt(5, lasted=10.0, stable=10.0) == 0


@pytest.mark.parametrize(
    ("wanted", "header", "expected"),
    [
        ((5000, 5000), "5000,5000", Beats(5, 5)),
        ((5000, 6000), "10000, 20000", Beats(20, 10)),  # the slower of both, each way
        ((5000, 5000), "0,0", Beats(0, 0)),
        ((0, 5000), "3000,3000", Beats(0, 5)),
    ],
)
def test_both_sides_agree_on_the_slower_interval(wanted: tuple[int, int], header: str, expected: Beats) -> None:
    assert agree(wanted, header) == expected


@pytest.mark.parametrize("header", ["", "1", "1,2,3", "a,b", "-1,5", "１,２"])
def test_a_malformed_heart_beat_header_is_a_violation(header: str) -> None:
    with pytest.raises(ProtocolViolation):
        agree((1, 1), header)


def test_beats_are_never_later_than_promised() -> None:
    beats = Beats(send=4.0, receive=0.0)
    assert beats.period == 4.0 / CHECKS
    now, last = 0.0, 0.0
    for _ in range(100):
        now += beats.period
        if beats.due(now, last):
            last = now
        assert now - last < beats.send


def test_a_peer_is_dead_after_its_grace_and_not_before() -> None:
    beats = Beats(send=0.0, receive=4.0)
    assert not beats.dead(now=GRACE * 4, last_received=0.0, last_check=GRACE * 4 - 1)
    assert beats.dead(now=GRACE * 4 + 0.1, last_received=0.0, last_check=GRACE * 4 - 0.9)


def test_after_our_own_sleep_the_peer_is_not_judged() -> None:
    beats = Beats(send=0.0, receive=4.0)
    assert not beats.dead(now=3600.0, last_received=0.0, last_check=1.0)


def test_without_an_agreement_nobody_is_judged() -> None:
    none = Beats(0.0, 0.0)
    assert none.period == 0.0
    assert not none.due(100.0, 0.0)
    assert not none.dead(100.0, 0.0, 100.0)

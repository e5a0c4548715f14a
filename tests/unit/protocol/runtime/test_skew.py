"""Clocks apart, learnt from dated messages that take their time."""

import pytest
from structlog.testing import capture_logs

from protocol.runtime.skew import Skews
from tests.unit.clock import NOW


def heard(skews: Skews, ahead_ms: int, way_ms: list[int], *, step_ms: int = 2_000) -> int:
    """Messages of a peer so far ahead, each on its way for so long. Returns the time of the last."""
    now = NOW
    for number, way in enumerate(way_ms):
        now = NOW + number * step_ms
        skews.heard("bridge-1", now - way + ahead_ms, now)
    return now


@pytest.mark.parametrize("ahead_ms", [0, 30_000, -30_000, 3_600_000, -3_600_000])
def test_the_quickest_message_tells_most(ahead_ms: int) -> None:
    skews = Skews()
    now = heard(skews, ahead_ms, [900, 4_000, 3, 2_500, 700])
    assert skews.seconds(now) == {"bridge-1": (ahead_ms - 3) / 1000}


def test_what_is_long_ago_does_not_count() -> None:
    skews = Skews()
    heard(skews, 0, [1] * 3)
    now = heard(skews, 0, [1] * 3 + [500] * 20)
    assert skews.seconds(now) == {"bridge-1": -0.5}


def test_a_peer_that_fell_silent_is_not_reported() -> None:
    skews = Skews()
    now = heard(skews, 0, [0])
    assert skews.seconds(now + 29_999) == {"bridge-1": 0.0}
    assert skews.seconds(now + 30_000) == {}


def test_our_own_clock_set_back_begins_anew() -> None:
    skews = Skews()
    heard(skews, 0, [0, 0])
    skews.heard("bridge-1", NOW - 60_000, NOW - 70_000)
    assert skews.seconds(NOW - 70_000) == {"bridge-1": 10.0}


def test_peers_are_told_apart_and_bounded() -> None:
    skews = Skews()
    for number in range(300):
        skews.heard(f"front-{number}", NOW + number, NOW)
    found = skews.seconds(NOW)
    assert len(found) == 256
    assert found["front-299"] == 0.299


def warnings(ahead_ms: int, way_ms: list[int]) -> list[float]:
    with capture_logs() as logs:
        heard(Skews(), ahead_ms, way_ms)
    assert {line["event"] for line in logs} <= {"clock-skew"}
    return [line["ahead_s"] for line in logs]


def test_a_warning_says_how_many_seconds_once_a_minute() -> None:
    assert warnings(-12_000, [0] * 30) == [-12.0]  # a minute's worth
    assert warnings(12_000, [0] * 70) == [12.0] * 3


def test_a_clock_that_jumps_is_news() -> None:
    skews = Skews()
    with capture_logs() as logs:
        for second in range(0, 60, 2):
            ahead_ms = 10_000 if second < 20 else 200_000
            skews.heard("bridge-1", NOW + second * 1000 + ahead_ms, NOW + second * 1000)
    assert [line["ahead_s"] for line in logs] == [10.0, 200.0]


def test_slow_messages_alone_are_no_warning_while_one_was_quick() -> None:
    assert warnings(0, [6_000, 6_000, 10, 6_000, 6_000, 6_000]) == []
    assert warnings(4_900, [0] * 30) == []

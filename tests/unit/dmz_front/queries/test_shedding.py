"""Which queries are refused for those before them: Little's law over what is announced and measured."""

import math

import pytest

from dmz_front.queries.shedding import AnswerRate, expected_s
from dmz_front.replies.bridges import Capacity

KNOWN = Capacity(slots=20, service_s=0.1)


@pytest.mark.parametrize(
    ("in_flight", "capacity", "rate", "expected"),
    [
        (0, KNOWN, None, 0.0),  # a slot is free
        (19, KNOWN, None, 0.0),
        (20, KNOWN, None, 0.1 + 1 / 200),  # the first that has to wait
        (219, KNOWN, None, 0.1 + 1.0),
        (219, KNOWN, 100.0, 0.2 + 2.0),  # measured: half as fast as announced, so each call takes twice as long
        (219, KNOWN, 400.0, 0.1 + 0.5),
        (219, KNOWN, 0.0, math.inf),  # nothing is answered any more
        (19, KNOWN, 0.0, 0.0),  # but as many as there are slots may try
        (10_000, Capacity(), None, 0.0),  # bridges that do not say what they can
        (10_000, Capacity(slots=20), None, 0.0),  # that have made no call yet
        (219, Capacity(slots=20), 100.0, 0.2 + 2.0),
    ],
)
def test_the_time_a_further_query_would_take(
    in_flight: int, capacity: Capacity, rate: float | None, expected: float
) -> None:
    assert expected_s(in_flight, capacity, rate) == pytest.approx(expected)


def answered(pace: AnswerRate, count: int, in_flight: int, slots: int = 20) -> None:
    for _ in range(count):
        pace.left(in_flight, slots, answered=True)


def test_the_rate_is_measured_while_every_slot_is_busy() -> None:
    pace = AnswerRate()
    assert pace.rate(0.0, 50, 20) is None
    answered(pace, 40, 50)
    assert pace.rate(0.4, 50, 20) is None  # too short to tell
    assert pace.rate(0.5, 50, 20) == pytest.approx(80)
    answered(pace, 60, 50)
    assert pace.rate(1.0, 50, 20) == pytest.approx(100)  # the mean of 80 and 120


def test_few_answers_are_measured_for_longer() -> None:
    pace = AnswerRate()
    pace.rate(0.0, 50, 20)
    answered(pace, 5, 50)
    assert pace.rate(1.9, 50, 20) is None
    assert pace.rate(2.0, 50, 20) == pytest.approx(2.5)


def test_silence_is_a_rate_too() -> None:
    pace = AnswerRate()
    pace.rate(0.0, 50, 20)
    pace.left(49, 20, answered=False)
    assert pace.rate(2.0, 50, 20) == 0.0


@pytest.mark.parametrize("idle", ["arrival", "departure"])
def test_a_free_slot_ends_the_measurement(idle: str) -> None:
    pace = AnswerRate()
    pace.rate(0.0, 50, 20)
    answered(pace, 40, 50)
    if idle == "arrival":
        assert pace.rate(0.3, 19, 20) is None
    else:
        pace.left(18, 20, answered=True)
    assert pace.rate(0.6, 50, 20) is None  # begun anew
    answered(pace, 30, 50)
    assert pace.rate(1.1, 50, 20) == pytest.approx(60)


def test_an_idle_spell_forgets_an_old_rate() -> None:
    pace = AnswerRate()
    pace.rate(0.0, 50, 20)
    assert pace.rate(2.0, 50, 20) == 0.0  # the marketing system hung
    assert pace.rate(9.0, 3, 20) is None  # all gave up; later it is quick again, and nothing is held against it
    assert pace.rate(9.1, 40, 20) is None


@pytest.mark.parametrize("load", [1.5, 3.0, 10.0])
def test_at_any_load_the_queue_stays_as_long_as_the_deadline_allows(load: float) -> None:
    """A simulation: 20 slots of 0.1 s, first come first served, arrivals evenly spread, a deadline of 2 s."""
    pace, deadline, now, next_answer = AnswerRate(), 2.0, 0.0, 0.0
    queue: list[float] = []
    late = answers = refused = 0
    while now < 30:
        now += 1 / (200 * load)
        while queue and next_answer <= now:
            begun = queue.pop(0)
            late += next_answer - begun > deadline
            answers += 1
            pace.left(len(queue), KNOWN.slots, answered=True)
            next_answer = max(next_answer, queue[0] + 0.1 if queue else now) + 1 / 200
        if expected_s(len(queue), KNOWN, pace.rate(now, len(queue), KNOWN.slots)) > deadline * 0.7:
            refused += 1
            continue
        queue.append(now)
        next_answer = max(next_answer, now) if len(queue) > 1 else now + 0.1
    assert late == 0
    assert answers > 0.95 * 200 * 30
    assert refused > 0

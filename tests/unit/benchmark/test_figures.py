"""How the benchmark's figures are made of what was measured."""

from typing import Any

import pytest

from scripts.tools.benchmark.__main__ import table
from scripts.tools.benchmark.arrivals import Answer
from scripts.tools.benchmark.overload import DEADLINE_S, at, good
from scripts.tools.benchmark.pair import _milliseconds


def test_quantiles() -> None:
    times = [float(number) for number in range(1, 101)]
    assert (at(times, 0.5), at(times, 0.99), at(times, 1.0), at([], 0.5)) == (51.0, 100.0, 100.0, 0.0)


def test_only_an_answer_in_time_is_good() -> None:
    answers = [
        Answer(200, "", False, 0.2),
        Answer(200, "", False, 0.1),
        Answer(200, "", False, DEADLINE_S + 0.1),
        Answer(503, "overloaded", True, 0.01),
    ]
    assert good(answers) == [0.1, 0.2]


@pytest.mark.parametrize(("text", "value"), [("250us", 0.25), ("1.5ms", 1.5), ("2s", 2000.0), ("1m", 60000.0)])
def test_times_as_wrk_writes_them(text: str, value: float) -> None:
    assert _milliseconds(text) == pytest.approx(value)


def test_a_table_has_a_column_for_every_key_and_rows_of_other_keys_a_table_of_their_own() -> None:
    rows: list[dict[str, Any]] = [{"a": 1.0, "b": "x"}, {"a": 20.0, "b": "y"}, {"c": 2}]
    assert table(rows) == "a       b\n1.000   x\n20.000  y\n\nc\n2"

"""`bridgectl top`: what two looks come to, how it is sorted and drawn, and what the keys do."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from bridgectl.status.live import History, Order, Sample, View, ordered, percentile_ms, pressed, sample, sparkline
from bridgectl.status.live_screen import live_screen
from bridgectl.status.observation import Observation
from bridgectl.status.troubles import troubles
from protocol.reports.calls import OperationReport
from tests.unit.bridgectl.status.test_troubles import BRIDGE, FRONT, INTERFACE, NOW, PAUSED, QUEUES, WELL

BUCKETS = (0,) * 24


def looks() -> tuple[Observation, Observation]:
    """Two seconds apart: 20 bill queries at the front, one of them slow, 4 failed; 10 calls at the bridge."""
    before = replace(
        WELL, front=FRONT.model_copy(update={"operations": (OperationReport(
            operation="bill-query", answers=100, failures=5, latency=BUCKETS),)}),
    )  # fmt: skip
    took = [*BUCKETS]
    took[7], took[12] = 19, 1
    operations = (
        OperationReport(operation="bill-query", answers=120, failures=9, turned_away=2, latency=tuple(took)),
        OperationReport(operation="arrears-query", answers=3, failures=0, latency=BUCKETS),
    )
    called = INTERFACE.model_copy(update={"calls": 19, "circuit": "open", "opened": NOW, "waiting": 3})
    after = replace(
        WELL, now=NOW + 2000,
        front=FRONT.model_copy(update={"now": NOW + 2000, "operations": operations}),
        bridge=BRIDGE.model_copy(update={"now": NOW + 2000, "interfaces": (called,)}),
        queues=(replace(QUEUES[0], depth=4, enqueued=25, dequeued=21), QUEUES[1]),
    )  # fmt: skip
    return before, after


def test_rates_are_differences_by_the_daemons_own_clock() -> None:
    one = sample(*looks())
    rows = {row.key: row for row in one.operations}
    front, bridge = rows["bill-query", "front"], rows["bill-query", "bridge"]
    assert (front.rate, front.failed, front.p99_ms) == (10.0, 0.2, 409.6)
    assert (bridge.rate, bridge.failed, bridge.circuit, bridge.waiting) == (5.0, 0.0, "open", 3)
    assert rows["arrears-query", "front"].rate == 1.5
    assert [(row.rate_in, row.rate_out, row.depth) for row in one.queues] == [(10.0, 8.0, 4), (0.0, 0.0, 0)]
    shown = one.as_dict()
    assert (shown["interval_s"], shown["operations"][0]["more"]["4xx"]) == (2.0, "2")


def test_a_first_look_and_a_restart_in_between_have_no_rates() -> None:
    before, after = looks()
    assert {row.rate for row in sample(None, after).operations} == {None}
    assert {row.rate_in for row in sample(None, after).queues} == {None}
    assert isinstance(after.front, type(FRONT))
    restarted = replace(after, front=after.front.model_copy(update={"started": NOW + 1}), queues=QUEUES)
    one = sample(replace(before, queues=after.queues), restarted)
    assert [row.rate for row in one.operations] == [None, None, 5.0]
    assert one.queues[0].rate_in is None  # the broker's counts went back


def test_what_was_never_called_is_left_out_and_what_is_paused_says_so() -> None:
    idle = INTERFACE.model_copy(update={"operation": "arrears-query", "calls": 0})
    seen = replace(WELL, bridge=BRIDGE.model_copy(update={"interfaces": (idle, INTERFACE), "maintenance": (PAUSED,)}))
    assert [(row.operation, row.circuit) for row in sample(None, seen).operations] == [("bill-query", "paused")]


@pytest.mark.parametrize(
    ("buckets", "bound"),
    [([], None), ([0, 0], None), ([1, 0], 0.1), ([0, 99, 1, 0], 0.2), ([0, 98, 2, 0], 0.4), ([0, 0, 0, 5], None)],
)
def test_percentiles_are_the_bound_of_a_bucket(buckets: list[int], bound: float | None) -> None:
    assert percentile_ms(buckets) == bound


def test_sparklines() -> None:
    assert sparkline([]) == ""
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([0, 1, 2, 4, 8]) == "▁▂▃▅█"
    assert sparkline(range(100), 3) == "███"


def test_histories_keep_thirty_and_forget_rows_that_are_gone() -> None:
    one, history = sample(*looks()), History()
    for _ in range(40):
        history.add(one)
    assert list(history.of(("bill-query", "front"))) == [10.0] * 30
    assert list(history.of(("bridge.query.main", ""))) == [10.0] * 30
    history.add(Sample(2, (), ()))
    assert list(history.of(("bill-query", "front"))) == []


def test_what_is_wrong_is_first_and_each_column_sorts() -> None:
    rows = sample(*looks()).operations
    first = {order: ordered(rows, order)[0].key for order in Order}
    assert first == {
        Order.TROUBLE: ("bill-query", "bridge"), Order.RATE: ("bill-query", "front"),
        Order.FAILED: ("bill-query", "front"), Order.P99: ("bill-query", "front"),
        Order.NAME: ("arrears-query", "front"),
    }  # fmt: skip


def test_keys() -> None:
    one, view = sample(*looks()), View()
    assert pressed("q", view, one) is None
    for key in ("s", "s", "s", "s", "s"):
        view = pressed(key, view, one) or view
    assert view == View()
    down = pressed("down", view, one)
    assert down == View(chosen=("bill-query", "front"))
    opened = pressed("o", down, one) if down else None
    assert opened == View(chosen=("bill-query", "front"), open=True)
    assert opened is not None
    assert pressed("escape", opened, one) == down
    assert pressed("up", View(), one) == View(chosen=("bill-query", "bridge"))
    assert pressed("enter", View(), Sample(0, (), ())) == View()
    assert pressed("x", View(), one) == View()


@pytest.mark.parametrize(("width", "height"), [(60, 24), (80, 24), (140, 50)])
def test_the_screen_fits_and_has_what_is_wrong_first(width: int, height: int) -> None:
    before, after = looks()
    one, history = sample(before, after), History()
    history.add(one)
    console = Console(file=io.StringIO(), width=width, height=height, highlight=False)
    view = View(chosen=("bill-query", "bridge"), open=True)
    console.print(live_screen(after, troubles(after), one, history, view, width=width, height=height))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("CRITICAL") or lines[0].startswith("WARNING")
    text = "\n".join(lines)
    for words in ("mend:", "bill-query", "open", "10.0", "bill-query at the bridge", "last success", "q quit"):
        assert words in text

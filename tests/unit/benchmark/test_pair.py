"""CPU time of processes, as the operating system counts it."""

import subprocess
from collections.abc import Iterator

import pytest

from scripts.tools.benchmark import pair
from scripts.tools.benchmark.pair import TICKS, tree_seconds


@pytest.fixture
def parent() -> Iterator[int]:
    """A process with one child."""
    with subprocess.Popen(["bash", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        subprocess.run(["pkill", "-P", str(process.pid)], check=True)


def test_where_a_child_ends_before_its_time_is_read_all_is_read_again(
    parent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def ended_at_first(pid: int) -> float:
        asked.append(pid)
        if len(asked) == 1:
            raise FileNotFoundError
        return 7.0

    monkeypatch.setattr(pair, "cpu_seconds", ended_at_first)
    assert 7.0 <= tree_seconds(parent) < 8.0
    assert len(asked) == 2


def test_where_a_child_ends_between_its_parent_s_look_and_its_own_it_is_not_left_out(
    parent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = iter([[0, 0, 0, 0], [0, 0, TICKS, 0], [0, 0, TICKS, 0], [0, 0, TICKS, 0]])
    monkeypatch.setattr(pair, "_ticks", lambda _: next(own))
    monkeypatch.setattr(pair, "cpu_seconds", lambda _: 0.0)
    assert tree_seconds(parent) == 1.0


def test_a_process_that_is_gone_has_no_time() -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    with pytest.raises(FileNotFoundError):
        tree_seconds(process.pid)

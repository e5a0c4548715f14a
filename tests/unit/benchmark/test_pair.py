"""CPU time of processes, as the operating system counts it."""

import subprocess

import pytest

from scripts.tools.benchmark.pair import cpu_seconds, tree_seconds

_RESTLESS = "while :; do /bin/true & /bin/true; wait; done"


def test_the_time_of_children_that_come_and_go_is_counted_and_never_falls() -> None:
    with subprocess.Popen(["bash", "-c", _RESTLESS]) as parent:
        try:
            looks = [tree_seconds(parent.pid) for _ in range(300)]
            while tree_seconds(parent.pid) <= cpu_seconds(parent.pid):  # a tick of a child, at least
                pass
        finally:
            parent.kill()
    assert looks == sorted(looks)
    with pytest.raises(FileNotFoundError):
        tree_seconds(parent.pid)

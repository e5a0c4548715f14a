"""Priorities of sessions, as the kernel then reports them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.tools.benchmark import priority
from scripts.tools.benchmark.priority import HIGHEST, highest, of_sessions

AUTOGROUP = Path("/proc/self/autogroup")

for_root = pytest.mark.skipif(
    os.geteuid() != 0 or not AUTOGROUP.exists(), reason="needs root, and a kernel with autogroups"
)
_TAKES = """
import os
from pathlib import Path
from scripts.tools.benchmark.priority import highest

def now():
    print(os.getpriority(os.PRIO_PROCESS, 0), Path("/proc/self/autogroup").read_text().split()[-1])

now()
try:
    with highest():
        now()
        raise InterruptedError
except InterruptedError:
    now()
"""


@for_root
def test_a_session_of_another_process_is_given_the_highest_priority_and_no_other() -> None:
    ours = AUTOGROUP.read_text()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        try:
            of_sessions([other.pid])
            theirs = Path(f"/proc/{other.pid}/autogroup").read_text()
        finally:
            other.kill()
    assert theirs.split()[-2:] == ["nice", str(HIGHEST)]
    assert AUTOGROUP.read_text() == ours


@for_root
def test_who_takes_it_gives_it_back_to_the_session_however_it_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TAKES], capture_output=True, text=True, check=True, start_new_session=True
    )
    before, meanwhile, after = done.stdout.splitlines()
    assert meanwhile == f"{HIGHEST} {HIGHEST}" != before == after


@pytest.mark.parametrize(
    ("told", "meanwhile", "after"), [("", "", ""), ("/autogroup-7 nice 3\n", "-20", "3"), (None, None, None)]
)
def test_a_process_that_is_of_no_autogroup_takes_its_own_priority_alone(
    told: str | None, meanwhile: str | None, after: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    monkeypatch.setattr(priority, "PROC", tmp_path)
    monkeypatch.setattr("os.setpriority", lambda _which, _who, nice: taken.append(nice))
    autogroup = tmp_path / str(os.getpid()) / "autogroup"
    autogroup.parent.mkdir()
    if told is not None:
        autogroup.write_text(told)

    def now() -> str | None:
        return autogroup.read_text() if autogroup.exists() else None

    with highest():
        assert (taken, now()) == ([HIGHEST], meanwhile)
    assert (taken, now()) == ([HIGHEST, os.getpriority(os.PRIO_PROCESS, 0)], after)

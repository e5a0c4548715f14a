"""Priorities of sessions, as the kernel then reports them."""

import os
import subprocess
from pathlib import Path

import pytest

from scripts.tools.benchmark.priority import HIGHEST, of_sessions

AUTOGROUP = Path("/proc/self/autogroup")


@pytest.mark.skipif(os.geteuid() != 0 or not AUTOGROUP.exists(), reason="needs root, and a kernel with autogroups")
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

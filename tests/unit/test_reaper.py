"""What a killed process of tests leaves to the reaper. The reaper is a program: its end is waited for by its pipe."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.reaper import MARK, marked
from tests.support.testbeds import eventually

ROOT = Path(__file__).resolve().parents[2]
STARTS = """
import os, signal, subprocess, sys
from tests.support.reaper import MARK, afterwards, reaper, scratch
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background is begun with it ignored
with reaper(patience_s=0.5):
    afterwards("touch", sys.argv[1])
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    for program in (["sleep", "600"], ["sh", "-c", "sleep 600 & wait"], [sys.executable, "-c", stubborn]):
        subprocess.Popen(program, start_new_session=True, stdout=subprocess.DEVNULL)
    print(f"{MARK}={os.environ[MARK]}", scratch("dmz-reaped-"), flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None], ids=str)
def test_nothing_outlives_a_process_of_tests(how: signal.Signals | None, tmp_path: Path) -> None:
    undone = tmp_path / "undone"
    with subprocess.Popen(
        [sys.executable, "-c", STARTS, str(undone)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, cwd=ROOT, start_new_session=True,
    ) as tests:  # fmt: skip
        assert tests.stdin is not None
        assert tests.stdout is not None
        mark, folder = tests.stdout.readline().split()
        assert mark.startswith(f"{MARK}=")
        assert mark != f"{MARK}={os.environ[MARK]}"  # this process's own is another
        eventually(lambda: len(marked(mark.encode())) == 4, what="all of them, that the shell starts too")
        if how is None:
            tests.stdin.close()
        else:
            os.kill(tests.pid, how)
        tests.wait(60)
    eventually(undone.exists, what="the last command")
    assert marked(mark.encode()) == []
    assert not Path(folder).exists()

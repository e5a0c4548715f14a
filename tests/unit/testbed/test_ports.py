"""Ports given to the parts of a testbed: no two processes get the same, though nobody listens yet."""

import subprocess
import sys

from scripts.tools.testbed import processes


def test_a_port_given_out_is_nobody_else_s() -> None:
    ours = processes.free_port()
    program = (
        "from scripts.tools.testbed import processes\n"
        "import itertools\n"
        f"processes._next_port = itertools.count(processes._PORTS.index({ours}))\n"
        "print(processes.free_port())"
    )
    theirs = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert int(theirs) > ours

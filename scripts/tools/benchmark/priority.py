"""The operating system's highest priority for what is measured: other work on the machine disturbs it less, though it
still takes its caches.

Linux shares processors among sessions before it looks at the priorities of processes (autogroups, sched(7)), and each
daemon of a testbed is a session. So both are set.
"""

import os
from collections.abc import Iterable
from pathlib import Path

HIGHEST = -20
"""As nice(2) and `/proc/PID/autogroup` have it."""


def take() -> None:
    """For this process, its session, and what it starts from now on in it. Raises PermissionError, except for root."""
    os.setpriority(os.PRIO_PROCESS, 0, HIGHEST)
    of_sessions([os.getpid()])


def of_sessions(pids: Iterable[int]) -> None:
    """For the sessions of these processes, where the kernel has autogroups. Raises PermissionError, except for root."""
    for pid in pids:
        autogroup = Path(f"/proc/{pid}/autogroup")
        if autogroup.exists():
            autogroup.write_text(str(HIGHEST))

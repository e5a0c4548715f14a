"""The operating system's highest priority for what is measured: other work on the machine disturbs it less, though it
still takes its caches.

Linux shares processors among sessions before it looks at the priorities of processes (autogroups, sched(7)), and each
daemon of a testbed is a session. So both are set. The kernel's own threads, those that write the disk among them, have
no such priority: what is in a session at the highest priority and leaves no processor free makes all disks stand still.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

HIGHEST = -20
"""As nice(2) and `/proc/PID/autogroup` have it."""
PROC = Path("/proc")


@contextlib.contextmanager
def highest() -> Iterator[None]:
    """For this process, its session, and what it starts meanwhile in it. The session may be somebody's terminal, so
    both get back what they had. Raises PermissionError, except for root.
    """
    nice, of_session = os.getpriority(os.PRIO_PROCESS, 0), _of_session(os.getpid())
    try:
        os.setpriority(os.PRIO_PROCESS, 0, HIGHEST)
        of_sessions([os.getpid()])
        yield
    finally:
        if of_session is not None:
            of_sessions([os.getpid()], of_session)
        os.setpriority(os.PRIO_PROCESS, 0, nice)


def of_sessions(pids: Iterable[int], nice: int = HIGHEST) -> None:
    """For the sessions of these processes that are autogroups. Raises PermissionError, except for root."""
    for pid in pids:
        if _of_session(pid) is not None:
            _autogroup(pid).write_text(str(nice))


def _of_session(pid: int) -> int | None:
    """None: the kernel has no autogroups, or this process is of the session that it started with, which is none and
    where the file is empty (a container's first process, and whatever it starts that makes no session of its own).
    """
    autogroup = _autogroup(pid)
    told = autogroup.read_text().split() if autogroup.exists() else []
    return int(told[-1]) if told else None


def _autogroup(pid: int) -> Path:
    return PROC / str(pid) / "autogroup"

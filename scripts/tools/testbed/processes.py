"""Starting a program, waiting until it is ready, and stopping it: only processes that this testbed started."""

import contextlib
import itertools
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path


class TestbedError(Exception):
    """Something could not be set up; the text says what and what to do."""

    __test__ = False  # to pytest its name would be that of a class of tests


_started: dict[int, "subprocess.Popen[bytes]"] = {}
"""Kept, for `subprocess` itself waits for those that nobody holds, whenever it starts another."""


def start(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> int:
    """Start a program in a session of its own (so that Ctrl-C reaches only us), logging to a file. Its pid."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    _started[process.pid] = process
    return process.pid


INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Delays an interrupt to the end of the block, so that what was started is recorded first."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            raise KeyboardInterrupt


@contextlib.contextmanager
def notified() -> Iterator[tuple[str, Callable[[], bool]]]:
    """A daemon's NOTIFY_SOCKET, and a function that says whether it has reported ready since (sd_notify(3))."""
    with (
        tempfile.TemporaryDirectory(prefix="testbed-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel,
    ):
        channel.bind(f"{folder}/notify")
        channel.setblocking(False)
        said: list[bytes] = []

        def ready() -> bool:
            with contextlib.suppress(BlockingIOError):
                said.append(channel.recv(4096))
            return any(b"READY=1" in one for one in said)

        yield f"{folder}/notify", ready


ended: dict[int, int] = {}
"""How the processes started here ended, by pid, once `alive` has seen it: the status, or minus the signal's number."""


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    if (process := _started.get(pid)) is not None:
        how = process.poll()
        if how is None:  # a killed one holds its files until its other threads have ended too (below: `threads`)
            return True
        ended[pid] = how
        return False
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z" or threads > 1


def command_line(pid: int) -> str:
    """What the process was started with, words separated by NUL; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def wait_until(
    ready: Callable[[], bool], seconds: float, what: str, pid: int | None = None, log: Path | None = None
) -> None:
    """Return when `ready()`. Raises TestbedError, with the end of the log, when the process died or time is up."""
    end = time.monotonic() + seconds
    while not ready():
        if pid is not None and not alive(pid):
            raise TestbedError(f"{what} ended at once{_end_of_log(log)}")
        if time.monotonic() > end:
            raise TestbedError(f"{what} was not ready within {seconds:g} s{_end_of_log(log)}")
        time.sleep(0.02)


def _end_of_log(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    lines = log.read_text(errors="replace").splitlines()[-15:]
    return f"; the end of {log}:\n  " + "\n  ".join(lines)


def stop(pid: int, seconds: float = 20.0) -> None:
    """SIGTERM, and SIGKILL if it takes too long."""
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
        if not alive(pid):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        end = time.monotonic() + patience
        while alive(pid) and time.monotonic() < end:
            time.sleep(0.02)


_PORTS = range(20_000, 32_000)
"""Below the ephemeral ports of Linux: a part that is started again must find its port free."""
_next_port = itertools.count(random.randrange(len(_PORTS)))  # noqa: S311 - so that concurrent processes seldom collide
_claims: list[socket.socket] = []
"""An abstract socket for each port given out, for as long as this process lives: others pass the port over, although
nothing may listen on it for minutes."""


def free_port() -> int:
    """A free loopback port, a different one at each call and in each process that asks here.

    Raises TestbedError when there is none.
    """
    for _ in _PORTS:
        port = _PORTS[next(_next_port) % len(_PORTS)]
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            claim.bind(f"\0dmz-bridge-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port
    raise TestbedError(f"no port of {_PORTS.start} to {_PORTS.stop - 1} is free")


def check_free(port: int, whose: str, option: str) -> None:
    """Raises TestbedError when the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise TestbedError(
                f"port {port}, wanted for {whose}, is taken by another program; end that or choose one with {option}"
            ) from error


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, *, own_session: bool = False) -> str:
    """Run a command to its end and return its standard output. Raises TestbedError with its error output."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
        start_new_session=own_session,
        check=False,
    )
    if done.returncode != 0:
        raise TestbedError(f"`{' '.join(command)}` failed ({done.returncode}): {(done.stderr or done.stdout).strip()}")
    return done.stdout

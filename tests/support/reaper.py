"""What a process of pytest started and made is gone when it is gone, however it ended.

Fixtures clean up after themselves, but a process that is killed runs none of them: `timeout` ends pytest so, and xdist
its workers, ten seconds after Ctrl-C. So a second process, the reaper, waits for the end of the first. It ends what
carries the first's mark in its environment, and then carries out what `afterwards` and `scratch` asked for.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

MARK = "DMZ_BRIDGE_TESTS"
"""The variable of what a process of pytest starts, and of what that starts; its value is the process's own."""
_pipe: IO[str] | None = None


@contextlib.contextmanager
def reaper(patience_s: float = 10.0) -> Iterator[None]:
    """While it lasts, and if it does not get to its end, nothing is left behind.

    `patience_s`: from SIGTERM, by which a database removes its shared memory and a broker closes its store, to SIGKILL.
    """
    global _pipe
    value = uuid.uuid4().hex
    # a session of its own: Ctrl-C is not for it; and without the mark of this process or of one that started this
    environment = {name: text for name, text in os.environ.items() if name != MARK}
    command = [sys.executable, "-I", "-S", __file__, f"{MARK}={value}", str(patience_s)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, text=True, env=environment, start_new_session=True, cwd="/"
    ) as process:
        _pipe, before = process.stdin, os.environ.get(MARK)
        os.environ[MARK] = value
        try:
            yield
        finally:
            _pipe = None
            if before is None:
                del os.environ[MARK]
            else:
                os.environ[MARK] = before


def afterwards(*command: str) -> None:
    """Have a command carried out when this process is gone; it may find its work done."""
    if _pipe is not None:
        _pipe.write(json.dumps(command) + "\n")
        _pipe.flush()


def scratch(prefix: str) -> Path:
    """A new folder with a short path, for sockets, and which other users may be let into, unlike pytest's own."""
    folder = tempfile.mkdtemp(prefix=prefix)
    afterwards("rm", "-rf", folder)
    return Path(folder)


def marked(mark: bytes) -> list[int]:
    """The processes that began with it in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # another user's, or gone
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def end(mark: bytes, patience_s: float) -> None:
    """End what is marked, and what that starts meanwhile."""
    until, told = time.monotonic() + patience_s, set[int]()
    while pids := marked(mark):
        for pid in pids:
            late = time.monotonic() > until
            if late or pid not in told:
                told.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(0.05)


def main(mark: str, patience_s: str) -> None:
    """The reaper: its standard input ends with the process that started it."""
    commands = [json.loads(line) for line in sys.stdin if line.endswith("\n")]
    end(mark.encode(), float(patience_s))
    for command in reversed(commands):
        subprocess.run(command, stderr=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    main(*sys.argv[1:])

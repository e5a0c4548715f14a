"""Hosts of a trial: namespaces for network, mounts and processes, each with a file tree of its own. Linux, root.

A host sees the machine's programs (/usr) and nothing else of it: /etc is a copy, all that an installation writes to is
empty, and the source tree and root's home, with any Python of its own, are covered. Closing it kills all its processes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.source import SOURCE

EMPTY = ("opt", "root", "run", "var", "usr/local", "tmp")
_MOUNTS = """
set -e
mount --make-rprivate /
cd "{tree}"
for one in etc {empty}; do mount --bind "$one" "/$one"; done
[ ! -d "{source}" ] || mount --bind covered "{source}"
ip link set lo up
echo ready
exec sleep infinity
"""
WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""What a command is preceded by to end when the trial does, however that ends."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def why_not() -> str:
    """Why no such hosts can be made on this machine; empty if they can."""
    if os.geteuid() != 0:
        return "hosts of their own need root on Linux"
    if missing := [
        tool
        for tool in ("unshare", "nsenter", "setpriv", "ip", "mount", "useradd", "curl")
        if shutil.which(tool) is None
    ]:
        return f"{', '.join(missing)} missing"
    tried = subprocess.run(["unshare", "-m", "-n", "-p", "--fork", "mount", "--make-rprivate", "/"],
                           capture_output=True, text=True, check=False)  # fmt: skip
    return f"this machine makes no namespaces: {tried.stderr.strip()}" if tried.returncode else ""


class Host:
    """One host; `with` ends it and all that runs in it."""

    def __init__(self, name: str, tree: Path) -> None:
        self.name, self.tree = name, tree
        self._holder: subprocess.Popen[str] | None = None
        self.pid = 0

    def __enter__(self) -> Host:
        for folder in (*EMPTY, "covered", "var/lib", "var/log", "var/backups", "var/tmp"):
            (self.tree / folder).mkdir(parents=True, exist_ok=True)
        (self.tree / "tmp").chmod(0o1777)
        (self.tree / "root").chmod(0o700)
        for folder in ("var", "var/lib", "var/log", "var/backups", "opt", "usr/local"):
            (self.tree / folder).chmod(0o755)
        if not (self.tree / "etc").exists():
            shutil.copytree("/etc", self.tree / "etc", symlinks=True)
        script = _MOUNTS.format(tree=self.tree, source=SOURCE, empty=" ".join(EMPTY))
        self._holder = subprocess.Popen(
            [*WITH_US, "unshare", "-m", "-n", "-p", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script],
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            self.__exit__()
            raise InstallError(f"the host {self.name} could not be made")
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self.pid = int(children.read_text().split()[0])
        return self

    def __exit__(self, *_: object) -> None:
        if self._holder is not None:
            for pid in (self.pid, self._holder.pid):  # the first process of the namespace takes all others with it
                if pid:
                    os.kill(pid, signal.SIGKILL)
            self._holder.wait()

    def prefix(self, *, files: bool = True) -> list[str]:
        """What a command is preceded by to run here; without `files` only in this host's network."""
        if not files:
            return ["nsenter", "-t", str(self.pid), "-n"]
        clean = ["env", "-i", f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8"]
        return ["nsenter", "-t", str(self.pid), "-m", "-n", "-p", "--wdns=/root", *clean]

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command here to its end. Raises InstallError with what it said."""
        done = subprocess.run([*self.prefix(), *command], capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            said = (done.stdout + done.stderr).strip()[-3000:]
            raise InstallError(f"on {self.name}: `{' '.join(command)}` failed ({done.returncode}):\n{said}")
        return done

    def shell(self, line: str) -> str:
        """Run a line of shell here, as an administrator does."""
        return self.run("sh", "-c", line).stdout


def joined(one: Host, address: str, other: Host, other_address: str) -> None:
    """A cable between two hosts: each knows the way to the other, and to nothing else."""
    words = ["ip", "link", "add", "eth1", "netns", str(one.pid), "type", "veth", "peer", "name", "eth1"]
    _do([*words, "netns", str(other.pid)])
    for host, mine, theirs in ((one, address, other_address), (other, other_address, address)):
        host.run("ip", "address", "add", mine, "peer", theirs, "dev", "eth1")
        host.run("ip", "link", "set", "eth1", "up")


def _do(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InstallError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")


def eventually(seconds: float, what: str, ready: object) -> None:
    """Return when `ready()`; raises InstallError when time is up."""
    assert callable(ready)
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise InstallError(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)

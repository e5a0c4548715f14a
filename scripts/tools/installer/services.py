"""Starting and stopping services: by systemd, or, where systemd is not PID 1 (containers, trials), by what stands here.

Both read the same unit files. The supervisor keeps to what of them says how a process is started: user, folders,
credentials, command, readiness, times. It starts and stops; it does not restart what ends, and confines nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.layout import UNITS
from scripts.tools.installer.units import Unit, seconds

CREDSTORE = Path("/etc/credstore")
RUN = Path("/run/dmz-bridge-supervisor")
LOG = Path("/var/log/dmz-bridge")


class Manager(Protocol):
    """What an installation asks of a service manager."""

    def reload(self) -> None:
        """Read the unit files again."""

    def enable(self, unit: str) -> None:
        """Start it at boot."""

    def disable(self, unit: str) -> None:
        """Do not."""

    def start(self, unit: str) -> None:
        """Start it and return when it has said that it is ready. Raises InstallError."""

    def stop(self, unit: str) -> None:
        """Let it end in its own time; return when it has. One that does not run is no error."""

    def active(self, unit: str) -> bool:
        """Whether it runs."""


class Systemd:
    """systemctl."""

    def reload(self) -> None:
        """Read the unit files again."""
        self._do("daemon-reload")

    def enable(self, unit: str) -> None:
        """Start it at boot."""
        self._do("enable", "--quiet", unit)

    def disable(self, unit: str) -> None:
        """Do not."""
        self._do("disable", "--quiet", unit)

    def start(self, unit: str) -> None:
        """Type=notify: returns when the daemon is ready."""
        self._do("reset-failed", unit, may_fail=True)
        self._do("start", unit)

    def stop(self, unit: str) -> None:
        """SIGTERM: the daemon drains."""
        self._do("stop", unit)

    def active(self, unit: str) -> bool:
        """Whether it runs."""
        return subprocess.run(["systemctl", "is-active", "--quiet", unit], check=False).returncode == 0

    @staticmethod
    def _do(*words: str, may_fail: bool = False) -> None:
        done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
        if done.returncode != 0 and not may_fail:
            unit = words[-1]
            raise InstallError(
                f"systemctl {' '.join(words)} failed: {done.stderr.strip()}; journalctl -u {unit} says why"
            )


class Supervisor:
    """Processes of our own. Their pids are in /run, what they print is in /var/log/dmz-bridge."""

    def reload(self) -> None:
        """The files are read at each start."""

    def enable(self, unit: str) -> None:
        """Nothing starts at a boot here."""

    def disable(self, unit: str) -> None:
        """Likewise."""

    def active(self, unit: str) -> bool:
        """Whether it runs (a zombie does not)."""
        return self._pid(unit) is not None

    def start(self, unit: str) -> None:
        """Returns when it has said READY=1 (Type=notify), or at once. Raises InstallError, with the end of its log."""
        if not unit.endswith(".service") or self.active(unit):
            return
        read = installed(unit)
        owner = pwd.getpwnam(read.one("User", "root"))
        credentials = self._prepare(read, owner)
        before, command = read.command("ExecStartPre", str(credentials)), read.command("ExecStart", str(credentials))
        environment = self._environment(read, owner, credentials)
        with (LOG / f"{unit}.log").open("ab") as log, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            address = RUN / f"{unit}.notify"
            address.unlink(missing_ok=True)
            notify.bind(str(address))
            address.chmod(0o777)
            as_user: dict[str, Any] = {} if owner.pw_uid == 0 else {
                "user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []
            }  # fmt: skip
            how: dict[str, Any] = {
                "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "cwd": read.one("WorkingDirectory", "/"),
                "env": environment | {"NOTIFY_SOCKET": str(address)}, "umask": int(read.one("UMask", "0022"), 8),
                **as_user,
            }  # fmt: skip
            for one in before:
                subprocess.run(one, check=True, **how)
            process = subprocess.Popen(command[0], start_new_session=True, **how)
            (RUN / f"{unit}.pid").write_text(f"{process.pid}\n")
            if read.one("Type", "simple").startswith("notify"):
                self._await_ready(unit, notify, process, seconds(read.one("TimeoutStartSec"), 90))

    def stop(self, unit: str) -> None:
        """SIGTERM, and SIGKILL when its TimeoutStopSec is over."""
        if not unit.endswith(".service"):
            return
        patience = seconds(installed(unit).one("TimeoutStopSec"), 90) if Path(UNITS, unit).exists() else 90
        for number, limit in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
            end = time.monotonic() + limit
            if (pid := self._pid(unit)) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            while self._pid(unit) is not None and time.monotonic() < end:
                time.sleep(0.02)
        (RUN / f"{unit}.pid").unlink(missing_ok=True)

    def _pid(self, unit: str) -> int | None:
        try:
            pid = int((RUN / f"{unit}.pid").read_text())
            with contextlib.suppress(ChildProcessError):  # a child of this very process
                os.waitpid(pid, os.WNOHANG)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError, IndexError):
            return None
        return None if state == "Z" else pid

    def _prepare(self, unit: Unit, owner: pwd.struct_passwd) -> Path:
        """Folders and credentials, as systemd makes them."""
        for folder in (RUN, LOG):
            folder.mkdir(mode=0o755, exist_ok=True, parents=True)
        for key, base in (("RuntimeDirectory", "/run"), ("StateDirectory", "/var/lib"), ("LogsDirectory", "/var/log"),
                          ("CacheDirectory", "/var/cache")):  # fmt: skip
            for name in unit.one(key).split():
                path = Path(base, name)
                path.mkdir(parents=True, exist_ok=True)
                path.chmod(int(unit.one(f"{key}Mode", "0755"), 8))
                os.chown(path, owner.pw_uid, owner.pw_gid)
        credentials = Path("/run/credentials", unit.name)
        shutil.rmtree(credentials, ignore_errors=True)
        if unit.credentials:
            credentials.mkdir(parents=True, mode=0o700)
            for name, given in unit.credentials.items():
                source = Path(given) if given.startswith("/") else CREDSTORE / given
                if not source.exists() and not given.startswith("/"):
                    continue  # one of a store that is not there is left out
                copy = credentials / name
                shutil.copyfile(source, copy)
                copy.chmod(0o400)
                os.chown(copy, owner.pw_uid, owner.pw_gid)
            os.chown(credentials, owner.pw_uid, owner.pw_gid)
        return credentials

    @staticmethod
    def _environment(unit: Unit, owner: pwd.struct_passwd, credentials: Path) -> dict[str, str]:
        found = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
                 "USER": owner.pw_name, "LOGNAME": owner.pw_name}  # fmt: skip
        if unit.credentials:
            found["CREDENTIALS_DIRECTORY"] = str(credentials)
        for key, variable, base in (("RuntimeDirectory", "RUNTIME_DIRECTORY", "/run"),
                                    ("StateDirectory", "STATE_DIRECTORY", "/var/lib")):  # fmt: skip
            if names := unit.one(key).split():
                found[variable] = ":".join(f"{base}/{name}" for name in names)
        return found | unit.environment(str(credentials))

    def _await_ready(self, unit: str, notify: socket.socket, process: subprocess.Popen[bytes], patience: float) -> None:
        end = time.monotonic() + patience
        notify.settimeout(0.05)
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in notify.recv(4096).split(b"\n"):
                    return
            if process.poll() is not None:
                raise InstallError(f"{unit} ended at once ({process.returncode}); it said:\n{self._log_end(unit)}")
        self.stop(unit)
        raise InstallError(f"{unit} was not ready within {patience:g} s; it said:\n{self._log_end(unit)}")

    @staticmethod
    def _log_end(unit: str) -> str:
        lines = (LOG / f"{unit}.log").read_text(errors="replace").splitlines()[-5:]
        return "\n".join(f"  {line[:400]}" for line in lines)


def installed(unit: str) -> Unit:
    """A unit of this host, with its drop-ins."""
    file = Path(UNITS, unit)
    texts = [one.read_text() for one in (file, *sorted(Path(f"{file}.d").glob("*.conf")))]
    return Unit.read(unit, "\n".join(texts))


MANAGERS: Mapping[str, type[Systemd] | type[Supervisor]] = {"systemd": Systemd, "supervisor": Supervisor}


def report(path: Path, patience: float = 3.0) -> dict[str, Any] | None:
    """What a daemon says of itself over its control socket (protocol/reports/); None if it does not."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(patience)
            connection.connect(str(path))
            connection.sendall(b'{"ask": "report"}\n')
            with connection.makefile("rb") as lines:
                answer = json.loads(lines.readline())["answer"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return answer if isinstance(answer, dict) else None

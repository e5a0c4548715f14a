"""What is found on a host before anything is planned."""

from __future__ import annotations

import grp
import importlib.util
import json
import platform
import pwd
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.tools.installer.conffiles import digest


@dataclass(frozen=True)
class Found:
    """What is at a path."""

    kind: str
    """`file`, `folder`, `link` or `other`."""
    digest: str = ""
    target: str = ""


@dataclass(frozen=True)
class Installed:
    """What earlier runs did here: PREFIX/installed.json."""

    release: str = ""
    previous: str = ""
    roles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Role → what was asked for: name, region, brokers."""
    shipped: Mapping[str, str] = field(default_factory=dict)
    """Configuration file → digest of what was last written, or would have been."""
    broker: str = ""

    def dump(self) -> bytes:
        """As it is written."""
        return (json.dumps(vars(self), indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def load(cls, text: str) -> Installed:
        """As it was written; keys of later versions are passed over."""
        known = {key: value for key, value in json.loads(text).items() if key in cls.__dataclass_fields__}
        return cls(**known)


@dataclass
class Facts:
    """A host, seen through `--root`."""

    root: str = ""
    manager: str = ""
    """`systemd` where it is PID 1 and this is the running system; `supervisor` where that was asked for; else empty."""
    python: tuple[int, int] = (3, 11)
    machine: str = "x86_64"
    ensurepip: bool = True
    systemd: int = 0
    """Its version; 0 where it is not the service manager."""
    free_bytes: int = 1 << 40
    """Of the disk that data goes to."""
    java: int = 0
    """Major version; 0: there is none."""
    hostname: str = "localhost"
    users: frozenset[str] = frozenset()
    passwd: bool = True
    """There is a user database to add to."""
    installed: Installed = field(default_factory=Installed)
    tree: Mapping[str, Found] | None = None
    """For tests: what is there, instead of the disk."""

    def at(self, path: str) -> Found | None:
        """What is at a path of the host."""
        if self.tree is not None:
            return self.tree.get(path)
        real = Path(self.root + path)
        if real.is_symlink():
            return Found("link", target=str(real.readlink()))
        if real.is_dir():
            return Found("folder")
        if real.is_file():
            return Found("file", digest=digest(real.read_bytes()))
        return Found("other") if real.exists() else None


def look(root: str, prefix: str, manager: str = "") -> Facts:
    """See what there is."""
    record = Path(f"{root}{prefix}/installed.json")
    passwd = Path(f"{root}/etc/passwd")
    if root:
        users = frozenset(_names(passwd)) & frozenset(_names(Path(f"{root}/etc/group")))
    else:
        users = frozenset(one.pw_name for one in pwd.getpwall()) & frozenset(one.gr_name for one in grp.getgrall())
    return Facts(
        root=root,
        manager=manager or ("systemd" if not root and _systemd_runs() else ""),
        python=(sys.version_info[0], sys.version_info[1]),
        machine=platform.machine(),
        ensurepip=importlib.util.find_spec("ensurepip") is not None,
        systemd=_systemd_version() if not root and not manager and _systemd_runs() else 0,
        free_bytes=shutil.disk_usage(next(p for p in Path(f"{root}/var/lib/x").parents if p.exists())).free,
        java=java_version(),
        hostname=socket.getfqdn(),
        users=users,
        passwd=passwd.exists(),
        installed=Installed.load(record.read_text()) if record.exists() else Installed(),
    )


def _systemd_runs() -> bool:
    return Path("/run/systemd/system").is_dir() and shutil.which("systemctl") is not None


def _systemd_version() -> int:
    said = subprocess.run(["systemctl", "--version"], check=False, capture_output=True, text=True).stdout
    found = re.match(r"systemd (\d+)", said)
    return int(found.group(1)) if found else 0


def java_version() -> int:
    """Of the `java` in PATH; 0 without one."""
    try:
        done = subprocess.run(["java", "-version"], check=False, capture_output=True, text=True)
    except OSError:
        return 0
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found.group(1)) if found else 0


def _names(path: Path) -> list[str]:
    return [line.partition(":")[0] for line in path.read_text().splitlines()] if path.exists() else []

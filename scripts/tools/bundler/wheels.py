"""The wheels of the lock for a Python and a machine, fetched once and kept in var/."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

from packaging.markers import Marker, default_environment
from packaging.utils import canonicalize_name, parse_wheel_filename

from scripts.tools.installer.errors import InstallError

PIP = Path(__file__).with_name("pip.txt")
_GLIBC = (36, 35, 34, 31, 28, 27, 26, 24, 17, 12, 5)
"""Minor versions of glibc 2 that wheels are made for and Debian 12 (2.36) runs."""
_ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: *; *(.*?))?(?= +--hash| *$)")


def locked(text: str, python: str) -> dict[str, tuple[str, frozenset[str]]]:
    """What a lock wants on Linux with that Python, in its first release too: name → version and the SHA-256 of each
    file that will do.
    """
    environment = {
        **{key: str(value) for key, value in default_environment().items()},
        "python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux",
        "platform_python_implementation": "CPython", "implementation_name": "cpython",
    }  # fmt: skip
    found = {}
    for line in text.replace("\\\n", " ").splitlines():
        entry = _ENTRY.match(line)
        if entry and (not entry.group(3) or Marker(entry.group(3)).evaluate(environment)):
            hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
            found[str(canonicalize_name(entry.group(1)))] = (entry.group(2), hashes)
    return found


def requirements(entries: dict[str, tuple[str, frozenset[str]]]) -> str:
    """A lock of just these. Without its markers, for pip judges those by the release of Python that it runs on itself:
    what 3.11.2 needs and 3.11.7 does not would be left out.
    """
    return "".join(
        " ".join([f"{name}=={version}", *(f"--hash=sha256:{one}" for one in sorted(hashes))]) + "\n"
        for name, (version, hashes) in entries.items()
    )


def missing(folder: Path, wanted: dict[str, tuple[str, frozenset[str]]]) -> list[str]:
    """Names of the lock that have no wheel in the folder with a hash of the lock's."""
    there = {
        (str(parse_wheel_filename(wheel.name)[0]), str(parse_wheel_filename(wheel.name)[1])): wheel
        for wheel in folder.glob("*.whl")
    }
    return [
        name for name, (version, hashes) in wanted.items()
        if (wheel := there.get((name, version))) is None
        or hashlib.sha256(wheel.read_bytes()).hexdigest() not in hashes
    ]  # fmt: skip


def fetch(locks: list[Path], python: str, machine: str, cache: Path) -> list[Path]:
    """The wheels of the locks, from the cache or by pip from its index. Raises InstallError."""
    cache = cache / f"{python}-{machine}"  # a wheel for another Python has a hash of the lock too
    cache.mkdir(parents=True, exist_ok=True)
    wanted: dict[str, tuple[str, frozenset[str]]] = {}
    for lock in locks:
        entries = locked(lock.read_text(), python)
        wanted |= entries
        if missing(cache, entries):
            platforms = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC]
            platforms += [f"manylinux2014_{machine}", f"linux_{machine}"]
            command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps",
                       "--only-binary", ":all:", "--require-hashes", "--requirement", "/dev/stdin", "--dest",
                       str(cache), "--implementation", "cp", "--python-version", python,
                       *(word for platform in platforms for word in ("--platform", platform))]  # fmt: skip
            done = subprocess.run(command, input=requirements(entries), capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise InstallError(f"pip could not fetch the wheels: {done.stderr.strip()[-600:]}")
    if left := missing(cache, wanted):
        raise InstallError(f"there is no wheel of {', '.join(left)} for Python {python} on {machine}")
    names = {(name, version) for name, (version, _) in wanted.items()}
    found = [(parse_wheel_filename(wheel.name), wheel) for wheel in sorted(cache.glob("*.whl"))]
    return [wheel for (name, version, *_), wheel in found if (str(name), str(version)) in names]


def own_wheel(tree: Path, folder: Path, epoch: int) -> Path:
    """dmz-bridge's own wheel, built from a source tree; the same bytes for the same files. Raises InstallError."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    environment = {"SOURCE_DATE_EPOCH": str(epoch), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InstallError(f"the wheel could not be built: {done.stderr.strip()[-600:]}")
    (wheel,) = folder.glob("*.whl")
    return wheel

"""What is installed: an unpacked bundle, or a source tree; both have the same folders."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from scripts.tools.installer.errors import InstallError

SOURCE = Path(__file__).resolve().parents[3]
SHIPPED = ("config", "activemq")
"""Folders whose files an installation writes, or carries along."""
CARRIED = ("config", "activemq", "docs", "certs/README.md", "certs/README.zh.md", "protocol/README.md",
           "protocol/README.zh.md", "protocol/runtime/MIGRATIONS.md", "protocol/runtime/MIGRATIONS.zh.md",
           "README.md", "README.zh.md", "SECURITY.md", "SECURITY.zh.md", "CHANGELOG.md", "LICENSE")  # fmt: skip
"""What a release has in share/dmz-bridge."""
MANIFEST = "RELEASE.json"
SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Source:
    """What the plan needs to know of it."""

    root: Path
    release: str
    wheels: bool
    """It is a bundle, and holds every package: no index is asked."""
    pythons: tuple[str, ...]
    """The minor versions of Python its packages are for; empty: any."""
    files: dict[str, bytes]
    """The shipped files, by their path in it."""
    broker: str
    """The folder of the broker's jars, if there is one."""
    broker_version: str
    docs: tuple[str, ...] = ()


def read_source(root: Path = SOURCE) -> Source:
    """Look at a bundle or a source tree. Raises InstallError for one that is not whole."""
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for folder in SHIPPED
        for path in sorted((root / folder).rglob("*"))
        if path.is_file()
    }
    if not files:
        raise InstallError(f"{root} has no config/: neither a bundle nor a source tree of dmz-bridge")
    wheels = (root / "wheels").is_dir()
    manifest = json.loads((root / MANIFEST).read_text()) if (root / MANIFEST).exists() else {}
    jars, version = _broker(root)
    return Source(
        root=root,
        release=manifest.get("release") or release_name(root),
        wheels=wheels,
        pythons=tuple(manifest.get("pythons", ())),
        files=files,
        broker=jars,
        broker_version=version,
        docs=tuple(name for name in CARRIED if (root / name).exists()),
    )


def release_name(root: Path) -> str:
    """The version; for what was not tagged, with the commit (and `.changed` when files differ from it)."""
    version = str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])
    commit = _git(root, "rev-parse", "--short=10", "HEAD")
    if not commit or _git(root, "tag", "--points-at", "HEAD", "--list", f"v{version}"):
        return version
    return f"{version}+g{commit}{'.changed' if _git(root, 'status', '--porcelain') else ''}"


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _broker(root: Path) -> tuple[str, str]:
    """The folder of jars and the version: a bundle's, or what `scripts/broker fetch` has found."""
    if (root / "broker" / "lib").is_dir():
        facts = json.loads((root / "broker" / "broker.json").read_text())
        return str(root / "broker" / "lib"), str(facts["version"])
    for lib in sorted((root / "var" / "broker").glob("activemq-*/lib"), reverse=True):
        if any(lib.glob("*.jar")):
            return str(lib), lib.parent.name.removeprefix("activemq-")
    return "", ""


def verify(root: Path) -> int:
    """Compare every file with SHA256SUMS. Returns how many; raises InstallError for the first that differs."""
    sums = root / SUMS
    if not sums.exists():
        return 0
    lines = sums.read_text().splitlines()
    for line in lines:
        wanted, _, name = line.partition("  ")
        try:
            with (root / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InstallError(f"{name} of the bundle cannot be read: {error.strerror}; unpack it again") from None
        if found != wanted:
            raise InstallError(f"{name} is not the file the bundle was made with (SHA256SUMS); unpack it again")
    return len(lines)

"""What goes into a bundle, and `scripts/bundle`, which makes it."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from scripts.tools.broker_fetcher.console import BrokerError
from scripts.tools.broker_fetcher.fetch import fetch as fetch_broker
from scripts.tools.bundler import archive, sbom, wheels
from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.plan import SCRIPTS
from scripts.tools.installer.source import CARRIED, MANIFEST, SOURCE, SUMS, release_name

TEXT = """Make the offline bundle: a tar with the wheels of the lock, the broker, configuration, documents, checksums,
the bill of materials (CycloneDX 1.6) and the installer. The same commit and lock give the same bytes.

On the host: tar -xf dmz-bridge-RELEASE.tar && dmz-bridge-RELEASE/scripts/install --help"""
INSTALLER = ("scripts/__init__.py", "scripts/tools/__init__.py", "scripts/tools/installer", "requirements.lock")


@dataclass(frozen=True)
class Bundle:
    """One that was made."""

    path: Path
    release: str
    files: int
    wheels: int
    jars: int
    bytes: int


def make(
    out: Path, pythons: list[str], machine: str, *, release: str = "", tree: Path = SOURCE, with_broker: bool = True
) -> Bundle:
    """Make a bundle in the folder `out`. `tree`: whose packages are built. Raises InstallError."""
    release = release or release_name(SOURCE)
    epoch = commit_time()
    cache = SOURCE / "var" / "wheels"
    locks = [SOURCE / "requirements.lock", wheels.PIP]
    found = sorted({wheel for python in pythons for wheel in wheels.fetch(locks, python, machine, cache)})
    out.mkdir(parents=True, exist_ok=True)
    own = wheels.own_wheel(tree, out / f".wheel-{release}", epoch)
    jars: list[Path] = []
    files: dict[str, archive.Content] = {}
    if with_broker:
        try:
            home = fetch_broker("auto")
        except BrokerError as error:
            raise InstallError(str(error)) from error
        jars = sorted((Path(jar) for jar in home.class_path), key=lambda jar: jar.name)
        files["broker/broker.json"] = _json({"version": home.version})
    files |= {f"wheels/{wheel.name}": wheel for wheel in (*found, own)}
    files |= {f"broker/lib/{jar.name}": jar for jar in jars}
    files |= {name: SOURCE / name for name in shipped()}
    files["sbom.cdx.json"] = sbom.bill(release, own, found, jars, epoch).encode()
    files[MANIFEST] = _json({"release": release, "pythons": pythons, "machine": machine})
    files[SUMS] = archive.sums(files)
    path = out / f"dmz-bridge-{release}.tar"
    programs = frozenset(f"scripts/{name}" for name in SCRIPTS)
    archive.write(path, f"dmz-bridge-{release}", files, programs, epoch)
    own.unlink()
    own.parent.rmdir()
    return Bundle(path, release, len(files), len(found) + 1, len(jars), path.stat().st_size)


def shipped() -> list[str]:
    """The files of the source tree that go along, by their path in it; none that git does not know."""
    wanted = [*CARRIED, *INSTALLER, *(f"scripts/{name}" for name in SCRIPTS)]
    listed = subprocess.run(["git", "-C", str(SOURCE), "ls-files", "-z", "--cached", "--others", "--exclude-standard",
                             "--", *wanted], capture_output=True, text=True, check=False)  # fmt: skip
    if listed.returncode != 0:
        raise InstallError(f"{SOURCE} is no git checkout: {listed.stderr.strip()}")
    return sorted(name for name in listed.stdout.split("\0") if name and (SOURCE / name).is_file())


def commit_time() -> int:
    """Of the commit that is checked out, in seconds since 1970: every file's time in the tar."""
    done = subprocess.run(
        ["git", "-C", str(SOURCE), "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise InstallError(f"{SOURCE} is no git checkout: {done.stderr.strip()}")
    return int(done.stdout)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def main() -> int:
    """`scripts/bundle`; the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/bundle", description=TEXT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    parser.add_argument("--python", action="append", metavar="3.N",
                        help=f"of the hosts; repeatable (Debian 12: 3.11, 13: 3.13; default: {own})")  # fmt: skip
    parser.add_argument("--machine", default=platform.machine(), help="of the hosts (default: this one's)")
    parser.add_argument("--release", default="", help="its name (default: the version, with the commit unless tagged)")
    parser.add_argument("--out", type=Path, default=SOURCE / "var" / "bundles", metavar="DIR")
    parser.add_argument("--no-broker", action="store_true", help="leave the broker out")
    given = parser.parse_args()
    began = time.monotonic()
    try:
        made = make(given.out.resolve(), given.python or [own], given.machine, release=given.release,
                    with_broker=not given.no_broker)  # fmt: skip
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{made.path}")
    what = f"{made.wheels} wheels, {made.jars} jars of the broker, {made.files} files in all"
    print(f"  {made.bytes / 1e6:.1f} MB: {what}; {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Installing Debian packages, as root or through sudo."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

from scripts.tools.broker_fetcher.console import BrokerError, say


def install(*packages: str) -> None:
    """Install packages. Raises BrokerError if that fails."""
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise BrokerError(f"please install {names}: there is no apt-get here")
    if os.geteuid() != 0 and shutil.which("sudo") is None:
        raise BrokerError(f"please install it as root: apt-get install {names}")
    say(f"installing {names} with apt …")
    update_package_lists()
    done = apt_get("install", "-y", "--no-install-recommends", *packages)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        raise BrokerError(f"apt could not install {names}: {errors[0] if errors else done.stderr.strip()[-300:]}")


@functools.cache
def update_package_lists() -> None:
    """Once is enough. A mirror out of reach is no error here: what is asked for may be there all the same."""
    apt_get("update")


def apt_get(*words: str) -> subprocess.CompletedProcess[str]:
    """Run apt-get non-interactively; it waits while another process holds apt's lock."""
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    command = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq"]
    return subprocess.run([*command, *words], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)

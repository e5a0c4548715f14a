"""The Java runtime that ActiveMQ needs."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from scripts.tools.broker_fetcher.apt import install
from scripts.tools.broker_fetcher.console import BrokerError, say

OLDEST_JAVA = 17


def need_java() -> None:
    """Install Java if it is missing or too old. Raises BrokerError if that fails."""
    if java_version() < OLDEST_JAVA:
        # Debian 13 has only a later one, and the default of Ubuntu 22.04 is too old
        try:
            install(f"openjdk-{OLDEST_JAVA}-jre-headless")
        except BrokerError as error:
            say(f"{error}; trying the default Java instead")
            install("default-jre-headless")
    if java_version() < OLDEST_JAVA:
        raise BrokerError(f"ActiveMQ needs Java {OLDEST_JAVA} or later")


def java() -> str:
    """The java command: that of JAVA_HOME if it is set."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home, "bin", "java")) if home else "java"


def java_version() -> int:
    """Its major version; 0 if there is none."""
    try:
        done = subprocess.run([java(), "-version"], check=False, capture_output=True, text=True)
    except OSError:
        return 0
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found.group(1)) if found else 0

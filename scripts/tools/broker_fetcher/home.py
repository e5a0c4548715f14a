"""A broker's program files and their version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from scripts.tools.broker_fetcher.console import BrokerError, say

SAFE_VERSIONS = {5: (5, 19, 10), 6: (6, 2, 9)}  # known vulnerabilities below these


@dataclass(frozen=True)
class Home:
    """A broker's program files."""

    kind: str  # home, maven or debian
    version: str
    class_path: list[str]


def home_from_directory(directory: Path) -> Home:
    """An unpacked ActiveMQ distribution."""
    lib = directory / "lib"
    jars = [jar for part in (lib, lib / "optional", lib / "extra") for jar in sorted(part.glob("*.jar"))]
    if not any(jar.name.startswith("activemq-broker") for jar in jars):
        raise BrokerError(f"{directory} is not an ActiveMQ: there is no lib/activemq-broker-*.jar")
    return Home("home", version_in(jars), [str(jar.resolve()) for jar in jars])


def version_in(jars: list[Path]) -> str:
    """The version in the name of the broker's jar."""
    for jar in jars:
        found = re.fullmatch(r"activemq-broker-(\d+(?:\.\d+)+).*\.jar", jar.name)
        if found:
            return found.group(1)
    return "unknown"


def warn_if_unsafe(version: str) -> None:
    """Warn if this version has known vulnerabilities."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version))
    floor = SAFE_VERSIONS.get(numbers[0]) if numbers else None
    if floor and numbers < floor:
        say(
            f"ActiveMQ {version} has known vulnerabilities; good for trying out, "
            f"for service take {'.'.join(map(str, floor))} or later"
        )

"""One thing that is wrong, and how bad it is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from bridgectl.language import noted, page, tr


class Level(IntEnum):
    """How bad it is. The numbers are exit codes of monitoring plug-ins (Monitoring Plugins Development Guidelines)."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong."""

    level: Level
    key: str
    """Which kind, for programs and runbooks: `broker-unreachable`."""
    what: str
    why: str = ""
    since: int = 0
    """Epoch milliseconds; 0: not known."""
    hurts: str = ""
    """Whom, and how."""
    mend: str = ""
    """The one command, or the one thing to do."""
    because: tuple[str, ...] = ()
    """Keys of troubles that explain this one, if they are there."""
    consequences: tuple["Trouble", ...] = ()


_SAID = {
    Level.OK: noted("OK"),
    Level.WARNING: noted("WARNING"),
    Level.CRITICAL: noted("CRITICAL"),
    Level.UNKNOWN: noted("UNKNOWN"),
}


def said(level: Level) -> str:
    """For people."""
    return tr(_SAID[level])


def runbook(trouble: Trouble) -> str:
    """The page of docs/ about it. What can befall either daemon has one page."""
    befalls = re.sub("^(front|bridge)-(down|stuck|misconfigured|not-asked)$", r"\2", trouble.key)
    return page(f"docs/runbooks/{befalls}.md")


def verdict(found: Sequence[Trouble]) -> Level:
    """The exit code."""
    levels = {trouble.level for trouble in found}
    return next((level for level in (Level.CRITICAL, Level.UNKNOWN, Level.WARNING) if level in levels), Level.OK)

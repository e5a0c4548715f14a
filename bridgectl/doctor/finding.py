"""One line of `bridgectl doctor`'s report, and what all of them come to."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended, the worst last but for SKIP, which says nothing."""

    SKIP = "skip"
    """Not looked at; `action` says what is needed to look."""
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


_RANK = {Status.SKIP: 0, Status.OK: 1, Status.WARN: 2, Status.FAIL: 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw."""

    name: str
    """Of the check: stable, for programs."""
    subject: str
    """What was looked at: a file, an address, a role."""
    status: Status
    seen: str
    action: str = ""
    """What to do about it; empty if nothing."""


def overall(findings: Iterable[Finding]) -> Status:
    """The worst status there is; SKIP if nothing was looked at."""
    return max((finding.status for finding in findings), key=_RANK.__getitem__, default=Status.SKIP)


def exit_code(status: Status, *, strict: bool) -> int:
    """1 for FAIL, and with `strict` for WARN; else 0."""
    return int(status is Status.FAIL or (strict and status is Status.WARN))

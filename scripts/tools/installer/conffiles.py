"""What to do about a configuration file that may have been changed here: as dpkg does, and never over a change."""

from __future__ import annotations

import hashlib
from enum import Enum


class Decision(Enum):
    """What happens to the file; the value says it to the administrator."""

    WRITE = "new"
    REPLACE = "not changed here, and new in this release"
    SAME = "as shipped"
    CHANGED = "changed here; the shipped one is as before"
    BESIDE = "changed here, and the shipped one is new: compare it with FILE.new"
    REMOVED = "was removed here"


def digest(content: bytes) -> str:
    """SHA-256, as it is recorded."""
    return hashlib.sha256(content).hexdigest()


def decide(here: str | None, shipped: str, recorded: str | None) -> Decision:
    """`here`: the digest of the file there is; `recorded`: of the one an earlier run shipped. None: there is none."""
    if here is None:
        return Decision.WRITE if recorded is None else Decision.REMOVED
    if here == shipped:
        return Decision.SAME
    if here == recorded:
        return Decision.REPLACE
    if shipped == recorded:
        return Decision.CHANGED
    return Decision.BESIDE

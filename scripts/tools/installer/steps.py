"""Steps of an installation, as values: a plan is a list of them, `--dry-run` prints it, the executor does it.

Paths are those of the installed host; with `--root DIR` the executor puts DIR before them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


class Kind(Enum):
    """What a step does; the value is the word it is announced with."""

    USER = "user"  # make a system user of its own and a group of the same name
    FOLDER = "folder"  # make it, with this owner and mode
    WRITE = "write"  # a whole file, replaced in one instant
    BESIDE = "beside"  # the shipped file beside the changed one, as FILE.new
    COPY = "copy"  # a file as it is
    TREE = "tree"  # a folder with all that is in it
    LINK = "link"  # a symbolic link, replaced in one instant
    REMOVE = "remove"  # a file, a link, or a folder with all that is in it
    RUN = "run"  # a command to its end
    RELOCATE = "relocate"  # take DIR of --root out of what a virtual environment says of itself
    RELOAD = "reload"  # the service manager reads its units again
    ENABLE = "enable"
    DISABLE = "disable"
    START = "start"
    STOP = "stop"
    SAVE = "save"  # a consistent copy of a service's database, and its schema's revision
    MIGRATE = "migrate"
    DOWNGRADE = "downgrade"  # the schema back to the revision that was saved, every row kept
    HEALTHY = "healthy"  # ask a service over its control socket until it is well
    KEEP = "keep"  # nothing: said, because somebody might have expected otherwise
    NOTE = "note"  # nothing: a word to the administrator


@dataclass(frozen=True)
class Step:
    """One step."""

    kind: Kind
    path: str = ""
    why: str = ""
    """For the reader: what it is, or why it is left alone."""
    content: bytes = field(default=b"", repr=False)
    source: Path | None = None
    """Where a copy is taken from, on this machine."""
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    argv: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    target: str = ""
    """Of a link; of a service's step, the release."""
    user: str = ""
    """Who runs a command; empty: who installs."""

    def line(self) -> str:
        """As it is announced."""
        if self.kind is Kind.NOTE:
            return self.why
        words = [f"{self.kind.value:<9}", self.path]
        if self.kind in (Kind.FOLDER, Kind.WRITE, Kind.BESIDE, Kind.COPY):
            words.append(f"{self.mode:04o} {self.owner}:{self.group}")
        if self.kind is Kind.LINK:
            words.append(f"→ {self.target}")
        if self.argv:
            words.append(f"as {self.user}: {' '.join(self.argv)}" if self.user else " ".join(self.argv))
        if self.why:
            words.append(f"({self.why})")
        return " ".join(word for word in words if word)


def keep(path: str, why: str) -> Step:
    """Say that something is left as it is."""
    return Step(Kind.KEEP, path, why)


def note(text: str = "") -> Step:
    """Say something."""
    return Step(Kind.NOTE, why=text)

"""What a look at a source's folder means: which files are ours, and which of them are whole. Pure."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from dmz_front.relay.places import Seen
from protocol.file_transfer import MARKER, MAX_BYTES, BadName, clean_name, last_line, read_marker, unfinished
from protocol.values import immutable

TAIL_BYTES = 4_096
"""So much of a file's end is looked at for its last line."""
MARKER_BYTES = 256
"""A longer marker is none."""


class Why(StrEnum):
    """Why a file is left where it is."""

    NAME = "name"
    """Separators, control characters, too long."""
    UNKNOWN = "unknown"
    """Its name matches no profile."""
    TOO_LARGE = "too-large"


@immutable
class Candidate:
    """A file that is one of ours, whole or not."""

    seen: Seen
    name: str
    """Without blanks."""
    profile: str


def sorted_out(found: Iterable[Seen], profiles: Mapping[str, str]) -> tuple[list[Candidate], list[tuple[Seen, Why]]]:
    """The files that are ours, and those that are nobody's with the reason. `profiles`: name → pattern.

    What is being written, and markers, are in neither.
    """
    ours: list[Candidate] = []
    others: list[tuple[Seen, Why]] = []
    for seen in found:
        if unfinished(seen.name) or seen.name.endswith(MARKER):
            continue
        try:
            name = clean_name(seen.name)
        except BadName:
            others.append((seen, Why.NAME))
            continue
        profile = next((profile for profile, names in profiles.items() if re.fullmatch(names, name)), None)
        if profile is None:
            others.append((seen, Why.UNKNOWN))
        elif seen.size > MAX_BYTES:
            others.append((seen, Why.TOO_LARGE))
        else:
            ours.append(Candidate(seen, name, profile))
    return ours, others


class Steadiness:
    """Remembers how files looked, to find those that do not change any more."""

    def __init__(self, steady_s: float) -> None:
        self._steady_s = steady_s
        self._first: dict[str, tuple[int, float, float]] = {}
        """Name → size and time of change, and when they were first seen so."""

    def look(self, found: Iterable[Seen], now: float) -> set[str]:
        """The names of those that were the same in two looks, `steady_s` or more apart. `now`: seconds."""
        before, self._first = self._first, {}
        steady = set()
        for seen in found:
            size, mtime, since = before.get(seen.name, (-1, 0.0, now))
            if (size, mtime) != (seen.size, seen.mtime):
                since = now
            elif now - since >= self._steady_s:
                steady.add(seen.name)
            self._first[seen.name] = seen.size, seen.mtime, since
        return steady


def marked(content: bytes, sha256: str, size: int) -> bool:
    """Whether a marker says so of a file."""
    return read_marker(content) == (sha256, size)


def ended(tail: bytes, pattern: str) -> bool:
    """Whether a file's last line is the one that ends it. `tail`: its last bytes, perhaps in the middle of a line."""
    return re.fullmatch(pattern, last_line(tail)) is not None


def archive_name(name: str, sha256: str, taken: bool) -> str:
    """What a file is called in the archive. `taken`: there is one of its name."""
    return f"{name}.{sha256[:12]}" if taken else name

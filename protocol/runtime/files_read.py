"""Which of a daemon's files have changed since it read them: they wait for `bridgectl reload`, and `status` says so.

Looking is cheap: a file whose inode, size and time are as they were has not changed; of another the content is
compared, so that a file which was only touched, or written anew as it was, is none.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from protocol.errors import ConfigurationError
from protocol.reports.daemon import ChangedFileReport
from protocol.runtime.settings import files_of

_LARGEST = 1 << 24
"""Bytes of a file whose content is compared; a larger one is compared by its size and time."""


def digest(path: Path) -> str:
    """Of a file's content; of one that is not there, or cannot be read, an empty text."""
    try:
        status = path.stat()
        if status.st_size > _LARGEST:
            return f"{status.st_size} {status.st_mtime_ns}"
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file, as it was when it was read."""

    stat: tuple[int, ...]
    """Device, inode, size and time of the last change of its content; empty: it was not there."""
    digest: str

    def changed(self, path: Path) -> bool:
        """Whether it says something else now."""
        return _stat(path) != self.stat and digest(path) != self.digest


FilesSeen = dict[Path, Seen]


def seen(paths: Iterable[Path]) -> FilesSeen:
    """These files as they are now. Call it before they are read: what changes in between is then told."""
    return {path: Seen(_stat(path), digest(path)) for path in paths}


class FilesRead:
    """The files that a daemon goes by, and the settings of them that wait for its next start."""

    def __init__(self, configuration: Path, model: type[BaseModel], named: Iterable[Path]) -> None:
        """`configuration`, of this `model`, was read just now, and the files that it names: `named`."""
        self._configuration, self._model = configuration, model
        self._seen = self.configuration() | seen(named)
        self.waiting: tuple[str, ...] = ()

    def configuration(self) -> FilesSeen:
        """The configuration's files as they are now, those that it includes too."""
        try:
            return seen(files_of(self._configuration, self._model))
        except ConfigurationError:
            return seen([self._configuration])

    def took(self, files: FilesSeen, waiting: tuple[str, ...]) -> None:
        """They were read and judged good; `waiting`: the settings that only a start takes up."""
        self._seen, self.waiting = files, waiting

    def changed(self) -> tuple[ChangedFileReport, ...]:
        """Those that say something else than when they were read. Reads files."""
        known = self._seen
        found = [path for path, one in known.items() if one.changed(path)]
        found += [path for path in self.configuration() if path not in known]  # `include` finds a new one
        return tuple(ChangedFileReport(path=str(path), since=_since(path)) for path in sorted(found))


def _stat(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _since(path: Path) -> int:
    """When it came to be as it is, epoch ms: a file that was put in its place may be older. 0: it is gone."""
    try:
        return path.stat().st_ctime_ns // 1_000_000
    except OSError:
        return 0

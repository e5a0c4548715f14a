"""Writing secret material: owner-only directories, whole files or none, nothing overwritten by accident."""

import contextlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bridgectl.language import tr
from protocol.errors import ConfigurationError

PRIVATE = 0o600
PUBLIC = 0o644


@dataclass(frozen=True, slots=True)
class Content:
    """What a file shall hold, and who may read it."""

    data: bytes = field(repr=False)
    mode: int = PRIVATE


def private_directory(directory: Path) -> None:
    """Make `directory` (0700) if it is not there. Raises ConfigurationError if others may write in it."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = directory.stat().st_mode
    except OSError as error:
        raise ConfigurationError(
            tr("cannot use this directory: {strerror}", strerror=error.strerror), file=str(directory)
        ) from error
    if mode & 0o022:
        raise ConfigurationError(
            tr("other users may write in this directory: chmod 0700 it first"), file=str(directory)
        )


def write_all(directory: Path, contents: Mapping[str, Content], *, replace: bool = False) -> list[Path]:
    """Write several files of `directory`, each atomically. Returns their paths.

    Raises ConfigurationError, before anything is written, if one of them exists and `replace` is false.
    """
    private_directory(directory)
    if not replace:
        for name in contents:
            if (directory / name).exists():
                raise ConfigurationError(
                    tr("exists already and is not overwritten (--force replaces it)"), file=str(directory / name)
                )
    for name, content in contents.items():
        _write(directory / name, content)
    return [directory / name for name in contents]


def _write(path: Path, content: Content) -> None:
    """Write beside, sync, rename: a reader sees the old file or the new one, a crash leaves one of them.

    The file is created with its final mode, never readable by others for an instant.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, content.mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), content.mode)
                file.write(content.data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
    except OSError as error:
        raise ConfigurationError(
            tr("cannot be written: {strerror}", strerror=error.strerror), file=str(path)
        ) from error

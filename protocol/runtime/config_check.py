"""`--check-config`: what can be found wrong with the files that settings name, without starting anything."""

import os
import sys
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from protocol.errors import ConfigurationError, in_one_line
from protocol.link.certificates import date_objections, link_objections
from protocol.runtime.backup import BackupSection
from protocol.runtime.settings import LinkSection, StoreSection, placed


def checked(
    path: Path, settings: BaseModel, errors: Iterable[ConfigurationError], doubts: Iterable[str], good: str
) -> None:
    """Say it all, a line each: on standard error what is wrong and what is doubtful, else `good`.

    Exits with 2 if something is wrong.
    """
    wrong = 0
    for error in errors:
        wrong += 1
        print(f"error: {in_one_line(placed(error, path, settings))}", file=sys.stderr)
    for doubt in doubts:
        print(f"{path}: warning: {doubt}", file=sys.stderr)
    if wrong:
        sys.exit(2)
    print(f"{path}: {good}")


def link_errors(link: LinkSection, roles: Collection[str], now: datetime) -> Iterator[ConfigurationError]:
    """What is wrong with a link's certificates. Raises ConfigurationError for a file that cannot be read."""
    yield from link_objections(link.ca, link.certificate, roles, now)


def store_errors(store: StoreSection) -> Iterator[ConfigurationError]:
    """What is wrong with the place of an SQLite database, whoever starts the daemon."""
    if store.file is not None and store.file.is_dir():
        yield ConfigurationError("is a folder; a file's name belongs here", file=str(store.file))


def backup_errors(backup: BackupSection) -> Iterator[ConfigurationError]:
    """What is wrong with the place of a daemon's own copies; a folder that is not there is made."""
    folder = backup.folder
    if folder is not None and folder.exists() and not folder.is_dir():
        yield ConfigurationError("is a file; a folder belongs here", file=str(folder))


def store_doubts(store: StoreSection) -> Iterator[str]:
    """What is wrong with it unless the service's user or its unit (`StateDirectory=`) sees to it."""
    file = store.file
    if file is None or file.is_dir():
        return
    if not file.parent.is_dir():
        yield f"store.file: there is no folder {file.parent}"
    elif not os.access(file if file.exists() else file.parent, os.W_OK):
        yield f"store.file: {file} cannot be written by this user"


def dated(systems: Iterable[BaseModel], now: datetime) -> Iterator[ConfigurationError]:
    """Client certificates towards back ends whose time is over. Raises ConfigurationError as above."""
    for system in systems:
        certificate = getattr(getattr(system, "tls", None), "certificate", None)
        if certificate is not None:
            yield from date_objections(certificate, now)

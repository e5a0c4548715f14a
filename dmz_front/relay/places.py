"""Where files lie: a folder of this host, or of an SFTP server (sftp.py), with the few things that are done there."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

from protocol.values import immutable

MOST_ENTRIES = 100_000
"""Of a folder. A bank may keep all of its years in one; one in which others write may have millions, and a listing is
held whole in memory.
"""


class PlaceError(Exception):
    """Something cannot be done there; the text is for people, and holds no content."""


class Unreachable(PlaceError):
    """It is not there, or does not let us in."""


def too_many() -> PlaceError:
    """Of a folder that is not listed to its end."""
    return PlaceError(f"the folder has more than {MOST_ENTRIES:,} entries: put away what is done with")


class HostKeyChanged(PlaceError):
    """The server shows a key that is not pinned: it is another, or somebody stands between."""


@contextmanager
def each_apart() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """What goes wrong with one file, within a context of those that this gives, keeps no other back: the first such
    PlaceError is raised when all have had their turn. Unreachable is raised at once.
    """
    failures: list[PlaceError] = []

    @contextmanager
    def one() -> Iterator[None]:
        try:
            yield
        except Unreachable:
            raise
        except PlaceError as error:
            failures.append(error)

    yield one
    if failures:
        raise failures[0]


@immutable
class Seen:
    """A file, as a look found it."""

    name: str
    size: int
    mtime: float


class Reading(Protocol):
    """A file that is open."""

    async def read(self, position: int, length: int) -> bytes:
        """So many bytes from there, fewer at its end. Raises PlaceError."""


class Place(Protocol):
    """A folder."""

    async def list(self) -> list[Seen]:
        """Its regular files. Raises PlaceError."""

    async def find(self, name: str) -> Seen | None:
        """One; None: there is none. Raises PlaceError."""

    def reading(self, name: str) -> AbstractAsyncContextManager[Reading]:
        """Open a file. Raises PlaceError."""

    async def write(self, name: str, content: AsyncIterator[bytes]) -> None:
        """Write a file, in place of one that is there. Raises PlaceError, and what `content` raises."""

    async def rename(self, old: str, new: str) -> None:
        """Raises PlaceError, also for a `new` that is there."""

    async def move(self, name: str, folder: str, new: str) -> None:
        """To another folder. Raises PlaceError, also for a file that is there."""

    async def remove(self, name: str) -> None:
        """One that may be gone already. Raises PlaceError."""

    async def within(self, folder: str, name: str) -> bool:
        """Whether there is such a file in another folder. Raises PlaceError."""


class LocalReading:
    """An open file of this host."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def read(self, position: int, length: int) -> bytes:
        """As `Reading`."""
        try:
            return await asyncio.to_thread(os.pread, self._descriptor, length, position)
        except OSError as error:
            raise _said(error) from error


class LocalPlace:
    """A folder of this host. Links are none of its files: who drops files here must not have us read others."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    async def list(self) -> list[Seen]:
        """As `Place`."""

        def look() -> list[Seen]:
            found = []
            with os.scandir(self._folder) as entries:
                for seen, one in enumerate(entries, 1):
                    if seen > MOST_ENTRIES:
                        raise too_many()
                    if one.is_file(follow_symlinks=False):
                        told = one.stat(follow_symlinks=False)
                        found.append(Seen(one.name, told.st_size, told.st_mtime))
            return found

        try:
            return sorted(await asyncio.to_thread(look), key=lambda one: one.name)
        except OSError as error:
            raise Unreachable(_words(error)) from error

    async def find(self, name: str) -> Seen | None:
        """As `Place`."""
        try:
            told = await asyncio.to_thread(os.lstat, self._folder / name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _said(error) from error
        return Seen(name, told.st_size, told.st_mtime)

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[Reading]:
        """As `Place`."""
        try:
            descriptor = await asyncio.to_thread(os.open, self._folder / name, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            raise _said(error) from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise PlaceError("is not a regular file")
            yield LocalReading(descriptor)
        finally:
            os.close(descriptor)

    async def write(self, name: str, content: AsyncIterator[bytes]) -> None:
        """As `Place`."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        try:
            descriptor = await asyncio.to_thread(os.open, self._folder / name, flags, 0o640)
        except OSError as error:
            raise _said(error) from error
        try:
            async for data in content:
                await asyncio.to_thread(_written, descriptor, data)
            await asyncio.to_thread(os.fsync, descriptor)
        except OSError as error:
            raise _said(error) from error
        finally:
            os.close(descriptor)

    async def rename(self, old: str, new: str) -> None:
        """As `Place`."""
        await self._renamed(self._folder / old, self._folder / new)

    async def move(self, name: str, folder: str, new: str) -> None:
        """As `Place`."""
        await self._renamed(self._folder / name, Path(folder) / new)

    async def _renamed(self, old: Path, new: Path) -> None:
        def rename() -> None:
            if os.path.lexists(new):
                raise FileExistsError(17, "there is such a file", str(new))
            old.rename(new)

        try:
            await asyncio.to_thread(rename)
        except OSError as error:
            raise _said(error) from error

    async def remove(self, name: str) -> None:
        """As `Place`."""
        try:
            await asyncio.to_thread((self._folder / name).unlink, True)
        except OSError as error:
            raise _said(error) from error

    async def within(self, folder: str, name: str) -> bool:
        """As `Place`."""
        return await asyncio.to_thread(os.path.lexists, Path(folder) / name)


def _written(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _said(error: OSError) -> PlaceError:
    return PlaceError(_words(error))

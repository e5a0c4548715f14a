"""A folder of an SFTP server, by asyncssh.

The server's key must be in the pinned file. asyncssh takes `known_hosts=None` for "check nothing", so that a file which
is not there must never become that: it is read here, and what is read is handed on. Nothing else of the machine's is
used: no agent, no configuration of a user's, no key but the one that is set.
"""

import asyncio
import posixpath
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh

from dmz_front.files_section import FileServerSection
from dmz_front.relay.places import (
    MOST_ENTRIES,
    HostKeyChanged,
    Place,
    PlaceError,
    Reading,
    Seen,
    Unreachable,
    too_many,
)

asyncssh.set_log_level("WARNING")  # its steps name files, and fill the log at each look
_KEEPALIVE_S = 15
_READ_TOGETHER = 32 * 1024


@asynccontextmanager
async def opened(server: FileServerSection, folder: str) -> AsyncIterator[Place]:
    """The folder, for as long as the connection lives. Raises HostKeyChanged, Unreachable; within, PlaceError."""
    try:
        pinned = await asyncio.to_thread(server.known_hosts.read_bytes)
        hosts = asyncssh.import_known_hosts(pinned.decode())
    except (OSError, ValueError) as error:
        raise Unreachable(f"{server.known_hosts.name}, which pins its key, cannot be read: {_kind(error)}") from error
    try:
        async with asyncio.timeout(server.connect_timeout_s):
            connection = await asyncssh.connect(
                server.host, server.port, username=server.user, client_keys=[str(server.key)], known_hosts=hosts,
                preferred_auth="publickey", agent_path=None, config=None, keepalive_interval=_KEEPALIVE_S,
                gss_host=None, x509_trusted_certs=None, server_host_key_algs=_kinds(hosts, server),
            )  # fmt: skip
    except asyncssh.HostKeyNotVerifiable as error:
        raise HostKeyChanged("shows a host key that is not the pinned one") from error
    except TimeoutError as error:
        raise Unreachable(f"no log-in within {server.connect_timeout_s:g} s") from error
    except (OSError, asyncssh.Error, ValueError) as error:
        raise Unreachable(_kind(error)) from error
    async with connection:
        try:
            # names as bytes of any encoding come and go as they are
            client = await connection.start_sftp_client(path_encoding="utf-8", path_errors="surrogateescape")
        except (OSError, asyncssh.Error) as error:
            raise Unreachable(f"has no SFTP: {_kind(error)}") from error
        async with client:
            yield SftpPlace(client, folder)


class SftpReading:
    """An open file of a server."""

    def __init__(self, file: "asyncssh.SFTPClientFile") -> None:
        self._file = file

    async def read(self, position: int, length: int) -> bytes:
        """As `Reading`."""
        try:
            data = await self._file.read(length, position)
        except (OSError, asyncssh.Error) as error:
            raise _said(error) from error
        return data if isinstance(data, bytes) else data.encode()


class SftpPlace:
    """As `Place`."""

    def __init__(self, client: asyncssh.SFTPClient, folder: str) -> None:
        self._client, self._folder = client, folder

    def _path(self, name: str) -> str:
        return posixpath.join(self._folder, name)

    async def list(self) -> list[Seen]:
        """As `Place`."""
        found, seen = [], 0
        try:
            async for one in self._client.scandir(self._folder):
                told, name = one.attrs, one.filename
                text = name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")
                if told.type == asyncssh.FILEXFER_TYPE_REGULAR:
                    found.append(Seen(text, told.size or 0, float(told.mtime or 0)))
                seen += 1
                if seen > MOST_ENTRIES:
                    raise too_many()
        except (OSError, asyncssh.Error) as error:
            raise _said(error) from error
        return sorted(found, key=lambda one: one.name)

    async def find(self, name: str) -> Seen | None:
        """As `Place`."""
        try:
            told = await self._client.lstat(self._path(name))
        except asyncssh.SFTPNoSuchFile:
            return None
        except (OSError, asyncssh.Error) as error:
            raise _said(error) from error
        return Seen(name, told.size or 0, float(told.mtime or 0))

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[Reading]:
        """As `Place`."""
        try:
            file = await self._client.open(self._path(name), "rb", block_size=_READ_TOGETHER)
        except (OSError, asyncssh.Error) as error:
            raise _said(error) from error
        async with file:
            yield SftpReading(file)

    async def write(self, name: str, content: AsyncIterator[bytes]) -> None:
        """As `Place`."""
        try:
            async with self._client.open(self._path(name), "wb") as file:
                async for data in content:
                    await file.write(data)
        except (OSError, asyncssh.Error) as error:
            raise _said(error) from error

    async def rename(self, old: str, new: str) -> None:
        """As `Place`."""
        await self._renamed(self._path(old), self._path(new))

    async def move(self, name: str, folder: str, new: str) -> None:
        """As `Place`."""
        await self._renamed(self._path(name), posixpath.join(folder, new))

    async def _renamed(self, old: str, new: str) -> None:
        try:
            if await self._client.lexists(new):  # some servers write over what is there
                raise PlaceError("there is such a file")
            await self._client.rename(old, new)
        except (OSError, asyncssh.Error) as error:
            raise _said(error) from error

    async def remove(self, name: str) -> None:
        """As `Place`."""
        try:
            await self._client.remove(self._path(name))
        except asyncssh.SFTPNoSuchFile:
            return
        except (OSError, asyncssh.Error) as error:
            raise _said(error) from error

    async def within(self, folder: str, name: str) -> bool:
        """As `Place`."""
        try:
            return await self._client.lexists(posixpath.join(folder, name))
        except (OSError, asyncssh.Error) as error:
            raise _said(error) from error


_REST = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256",
)  # fmt: skip


def _kinds(hosts: asyncssh.SSHKnownHosts, server: FileServerSection) -> tuple[str, ...]:
    """The kinds of host keys that are asked for: those that are pinned, and behind them all others. A server that has
    none of the pinned kind any more shows another one then, and is found out; left to itself asyncssh asks for the
    pinned kinds alone, and such a server would only hang up.
    """
    keys, authorities, *_ = hosts.match(server.host, "", server.port if server.port != asyncssh.DEFAULT_PORT else None)
    if authorities:
        return ()
    pinned = dict.fromkeys(name.decode() for key in keys for name in key.sig_algorithms)
    return tuple(dict.fromkeys((*(name for name in pinned if name in _REST), *_REST)))


def _kind(error: Exception) -> str:
    """For people: what a server says may hold names of its files, and stays out."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _said(error: Exception) -> PlaceError:
    if isinstance(error, asyncssh.SFTPConnectionLost | asyncssh.SFTPNoConnection | asyncssh.DisconnectError | OSError):
        return Unreachable(_kind(error))
    return PlaceError(_kind(error))

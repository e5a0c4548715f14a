"""The control socket: how an administrator on the daemon's own host asks it something. Nothing listens on the network.

A Unix socket, mode 0600, and the caller's user is asked of the kernel (`SO_PEERCRED`, unix(7)): only root and the
daemon's own user are answered. One line of JSON each way::

    {"ask": "report"}
    {"answer": {...}}   or   {"error": "..."}

The answer comes from the daemon's own event loop: no answer means that it is stuck, no connection that it is not there.
"""

import asyncio
import contextlib
import json
import os
import pwd
import re
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.errors import BridgeError, ConfigurationError, WrongQuestion
from protocol.runtime.logs import logger
from protocol.runtime.settings import FilePath, Section

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks, by the kernel's word."""

    uid: int
    pid: int

    @property
    def name(self) -> str:
        """The user's name."""
        try:
            return pwd.getpwuid(self.uid).pw_name[:64]
        except KeyError:
            return f"uid {self.uid}"

    def behind(self, sudo_user: str) -> str:
        """The user's name, and who became root, or the daemon's own user, to ask, as `sudo` says."""
        user = re.sub(r"[^\w.@-]", "", sudo_user)[:64]
        return f"{self.name} ({user})" if user and self.uid in (0, os.getuid()) else self.name


Answer = Callable[[Mapping[str, Any], Peer], Awaitable[Any]]
"""Answers one question; gets the whole request and who asks. Raises BridgeError for one that cannot be answered."""

_LONGEST = 1 << 20
_PATIENCE_S = 10.0
"""For a question to come, and for an answer to be taken."""
_ANSWER_S = 90.0
"""For an answer to be found: a marketing system may be asked for it."""
_AT_ONCE = 8


class ControlSection(Section):
    """Where the daemon answers administrators. No socket: nowhere."""

    socket: FilePath | None = None


class ControlSocket:
    """Answers questions until it is closed."""

    def __init__(self, path: Path, answers: Mapping[str, Answer]) -> None:
        """`answers`: what can be asked."""
        self._path, self._answers = path, answers
        self._server: asyncio.Server | None = None
        self._busy = 0

    async def start(self) -> None:
        """Listen. Raises ConfigurationError when the socket cannot be made, or another daemon answers there."""
        listener = await asyncio.get_running_loop().run_in_executor(None, _bound, self._path)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=_LONGEST)

    async def close(self) -> None:
        """Listen no more, and take the socket away."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._busy >= _AT_ONCE:
            writer.close()
            return
        self._busy += 1
        try:
            # read before anything is said: a Unix socket closed with unread bytes loses what was written to it
            async with asyncio.timeout(_PATIENCE_S):
                line = await _line(reader)
            async with asyncio.timeout(_ANSWER_S):
                told = await self._told(line, peer(writer.get_extra_info("socket")))
            async with asyncio.timeout(_PATIENCE_S):
                writer.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ConnectionError):
            pass
        finally:
            self._busy -= 1
            writer.close()

    async def _told(self, line: bytes, who: Peer) -> dict[str, Any]:
        if who.uid not in (0, os.geteuid()):
            log.warning("control-denied", user=who.uid)
            return {"error": f"user {who.uid} may not ask: root and the daemon's own user may"}
        try:
            request = json.loads(line)
            name = request["ask"]
            answer = self._answers[name]
        except (ValueError, TypeError, KeyError):
            said = f"not a question this daemon answers; it answers: {', '.join(sorted(self._answers))}"
            return {"error": said, "unanswered": True}
        try:
            return {"answer": await answer(request, who)}
        except WrongQuestion as error:
            return {"error": str(error), "wrong": True}
        except BridgeError as error:
            return {"error": str(error)}
        except Exception as error:
            log.exception("control-failed", ask=name)
            return {"error": f"the daemon failed to answer: {type(error).__name__}"}


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:  # longer than _LONGEST
        return b""


def peer(connection: socket.socket) -> Peer:
    """Who is at the other end of a Unix socket."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", credentials)
    return Peer(uid, pid)


def _bound(path: Path) -> socket.socket:
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _clear(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            with short_path(path) as short:
                listener.bind(short)
        finally:
            os.umask(mask)
    except OSError as error:
        raise ConfigurationError(f"control.socket cannot be made: {error.strerror}", file=str(path)) from error
    return listener


def _clear(path: Path) -> None:
    """Take away the socket of a daemon that died. Raises ConfigurationError if one answers, or it is no socket."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ConfigurationError("control.socket: is there, and is no socket", file=str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            with short_path(path) as short:
                probe.connect(short)
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise ConfigurationError("control.socket: another daemon answers there", file=str(path))


@contextlib.contextmanager
def short_path(path: Path) -> Any:
    """A name for `path` that fits a socket address (107 bytes), however deep its folder is."""
    if len(os.fsencode(path)) < 108:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)

"""TCP to a broker: attempts that end soon, and a socket that does not wait long for a dead way."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

from protocol.link.heartbeat import GRACE
from protocol.link.settings import LinkSettings

Option = tuple[int, int, int]
"""Level, name, value, as `setsockopt` takes them."""

_KEEPALIVE_PROBES = 3


def options(heartbeat_ms: tuple[int, int]) -> list[Option]:
    """The options of a link's socket, as far as this platform has them; `heartbeat_ms` as in LinkSettings.

    TCP_USER_TIMEOUT (tcp(7)): data that nobody acknowledges for as long as a silent peer is borne with ends the
    connection. Without it the kernel repeats the data at intervals that double up to two minutes, long after the
    way is back. The keep-alive does the same for a connection on which nothing is sent, which heart-beats see to
    unless they were turned off.
    """
    found = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    patience_ms = int(max(heartbeat_ms) * GRACE) or 15_000
    step_s = max(1, patience_ms // 1000 // _KEEPALIVE_PROBES)
    for name, value in (
        ("TCP_USER_TIMEOUT", patience_ms),
        ("TCP_KEEPIDLE", step_s),
        ("TCP_KEEPINTVL", step_s),
        ("TCP_KEEPCNT", _KEEPALIVE_PROBES),
    ):
        if hasattr(socket, name):
            found.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return found


async def dial(broker: tuple[str, int], settings: LinkSettings) -> socket.socket:
    """A connected, non-blocking socket; each of the host's addresses is given `settings.dial_timeout`.

    Raises OSError (TimeoutError is one) with the last address's reason.
    """
    loop = asyncio.get_running_loop()
    host, port = broker
    reason: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            with _closed_on_failure(socket.socket(family, kind, protocol)) as plain:
                plain.setblocking(False)
                for option in options(settings.heartbeat_ms):
                    plain.setsockopt(*option)
                async with asyncio.timeout(settings.dial_timeout):
                    await loop.sock_connect(plain, address)
                return plain
        except TimeoutError:
            reason = TimeoutError(f"no answer to TCP within {settings.dial_timeout:g} s")
        except OSError as error:
            reason = error
    raise reason


@contextlib.contextmanager
def _closed_on_failure(plain: socket.socket) -> Iterator[socket.socket]:
    try:
        yield plain
    except BaseException:
        plain.close()
        raise

"""TCP to a name: every address is tried, side by side with a small stagger, and a failure says which and why.

The addresses of a name are tried as RFC 8305 ("Happy Eyeballs") has it: the families in turn, the next one as soon as
the one before failed or was silent for `STAGGER_S`. So an address that swallows packets costs a quarter of a second,
not the whole time-out.
"""

import asyncio
import os
import socket
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any

from protocol.link.heartbeat import GRACE

Option = tuple[int, int, int]
"""Level, name, value, as `setsockopt` takes them."""

STAGGER_S = 0.25
"""RFC 8305, section 5: "Connection Attempt Delay", its recommended value."""
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


async def dial(
    address: tuple[str, int], *, attempt_s: float, within_s: float | None = None, options: Iterable[Option] = ()
) -> socket.socket:
    """A connected, non-blocking socket. Each of the host's addresses is given `attempt_s`, all of it `within_s`.

    Raises OSError (TimeoutError is one) naming every address that was tried, and why not: of the last failure's kind.
    """
    loop = asyncio.get_running_loop()
    host, port = address
    end = None if within_s is None else loop.time() + within_s
    try:
        try:  # an address needs no thread to be looked up in
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            async with asyncio.timeout_at(end):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise TimeoutError(f"{host}: the name was not looked up in time") from None
    except socket.gaierror as error:
        raise socket.gaierror(error.errno, f"{host}: {error.strerror}") from None
    waiting = in_turn(found)
    tried: list[asyncio.Task[socket.socket]] = []
    failed: list[OSError] = []
    running: set[asyncio.Task[socket.socket]] = set()
    try:
        while waiting or running:
            if waiting:
                one = waiting.pop(0)
                task = loop.create_task(_attempt(one, attempt_s, end, options))
                tried.append(task)
                running.add(task)
            pause = STAGGER_S if waiting else None
            done, running = await asyncio.wait(running, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                try:
                    plain = task.result()
                except OSError as error:
                    failed.append(error)
                else:
                    tried.remove(task)
                    return plain
    finally:
        for task in tried:
            task.cancel()
            task.add_done_callback(_let_go)
    if not failed:
        raise OSError(f"{host} has no address")
    if len(failed) == 1:
        raise failed[0]
    reason, text = failed[-1], "; ".join(error.strerror or str(error) for error in failed)
    raise TimeoutError(text) if isinstance(reason, TimeoutError) else OSError(reason.errno, text)


def in_turn(found: Sequence[Any]) -> list[Any]:
    """What `getaddrinfo` found, families in turn, else in its order (RFC 8305, section 4)."""
    first = [one for one in found if one[0] == found[0][0]]
    others = [one for one in found if one[0] != found[0][0]]
    return [one for one in chain.from_iterable(zip_longest(first, others)) if one is not None]


async def _attempt(one: Any, attempt_s: float, end: float | None, options: Iterable[Option]) -> socket.socket:
    loop = asyncio.get_running_loop()
    family, kind, protocol, _, address = one
    name = f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
    seconds = attempt_s if end is None else min(attempt_s, end - loop.time())
    try:
        plain = socket.socket(family, kind, protocol)
    except OSError as error:
        raise OSError(error.errno, f"{name}: {error.strerror}") from None
    try:
        plain.setblocking(False)
        for option in options:
            plain.setsockopt(*option)
        async with asyncio.timeout(seconds):
            await loop.sock_connect(plain, address)
    except TimeoutError:
        plain.close()
        raise TimeoutError(f"{name}: no answer to TCP within {max(seconds, 0):.2g} s") from None
    except OSError as error:
        plain.close()
        # not its own text: asyncio's and uvloop's are sentences of their own
        raise OSError(error.errno, f"{name}: {os.strerror(error.errno) if error.errno else error}") from None
    except BaseException:
        plain.close()
        raise
    return plain


def _let_go(task: "asyncio.Task[socket.socket]") -> None:
    """An attempt that came too late, or failed: nobody wants its socket."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()

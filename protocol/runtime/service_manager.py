"""What a daemon and the service manager (systemd) say to each other: sd_notify(3), over a real datagram socket.

=====================  ========================================================================================
``READY=1``            started; after ``RELOADING=1``: reloaded
``RELOADING=1``        with ``MONOTONIC_USEC=``, which tells this reload from an earlier one (Type=notify-reload)
``STOPPING=1``         the drain has begun
``STATUS=``            one line for people, in `systemctl status`
``WATCHDOG=1``         alive (watchdog.py says what that means here)
``EXTEND_TIMEOUT_USEC=`` what is being done takes longer than the unit's time for it, and goes on
=====================  ========================================================================================
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping

EXTENSION_S = 30.0
"""What a long step asks for at a time. It asks again after a third of it, so a loop that is stuck gets no more."""
_DAY_S = 86_400.0
_SAID_ONCE = ("READY=1", "RELOADING=1", "STOPPING=1")
_PATIENCE_S = 2.0


def notify(*assignments: str) -> None:
    """Tell the service manager, in one datagram; without `NOTIFY_SOCKET` in the environment nothing happens.

    An address that begins with `@` is in Linux' abstract namespace. What cannot be delivered is dropped: whoever
    listened may be gone. One that does not read just now is waited for a little, but only by what is said once.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
        contextlib.suppress(OSError),
    ):
        channel.settimeout(_PATIENCE_S if assignments[0] in _SAID_ONCE else 0)
        channel.sendto("\n".join(assignments).encode(), "\0" + address[1:] if address[0] == "@" else address)


def status(text: str) -> str:
    """`STATUS=` of a text: what would end the line would begin another assignment."""
    return "STATUS=" + " ".join(text.split())[:200]


def reloading() -> tuple[str, str]:
    """What is said when a reload begins. `READY=1` ends it, however it went."""
    return "RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


def watchdog_s(environment: Mapping[str, str]) -> float | None:
    """How often at the latest `WATCHDOG=1` is awaited of this process (`WatchdogSec=` of the unit); None: it is not."""
    try:
        wanted = int(environment.get("WATCHDOG_USEC", ""))
        of = int(environment.get("WATCHDOG_PID") or os.getpid())
    except ValueError:
        return None
    return wanted / 1e6 if wanted > 0 and of == os.getpid() else None


@contextlib.asynccontextmanager
async def extended(what: str, most_s: float = _DAY_S, step_s: float = EXTENSION_S) -> AsyncIterator[None]:
    """While in it, the event loop tells the service manager every third of `step_s` that `what` still goes on.

    After `most_s` no more is asked for: then the unit's own time (`TimeoutStopSec=`) decides, and it is over.
    """

    async def tell() -> None:
        for _ in range(max(1, round(3 * most_s / step_s))):
            notify(f"EXTEND_TIMEOUT_USEC={int(step_s * 1e6)}", status(what))
            await asyncio.sleep(step_s / 3)

    telling = asyncio.get_running_loop().create_task(tell(), name="extension")
    try:
        yield
    finally:
        telling.cancel()

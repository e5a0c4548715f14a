"""Running a daemon: start in a written order, say so to systemd, and drain in the reverse order on SIGTERM."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from protocol.errors import BridgeError, ConfigurationError
from protocol.runtime.logs import logger

log = logger(__name__)


class Daemon:
    """Collects what was started; stops it in the reverse order."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    async def start(self, name: str, start: Awaitable[object] | None, stop: Callable[[], object] | None) -> None:
        """Await `start`, and remember `stop` (plain or async) for the drain."""
        if start is not None:
            await start
        if stop is not None:
            self._stack.push_async_callback(_stop, name, stop)
        log.debug("started", part=name)

    async def stop(self) -> None:
        """Stop everything, last started first; a failure to stop one does not keep the others."""
        await self._stack.aclose()


async def _stop(name: str, stop: Callable[[], object]) -> None:
    try:
        result = stop()
        if isinstance(result, Awaitable):
            await result
        log.debug("stopped", part=name)
    except Exception:
        log.exception("stop-failed", part=name)


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); without `NOTIFY_SOCKET` in the environment nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # who listened may be gone by now: that is no reason to stop, or not to
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
        contextlib.suppress(OSError),
    ):
        channel.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)


async def _serve(compose: Callable[[Daemon], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    daemon = Daemon()
    try:
        try:
            await compose(daemon)
        except ConfigurationError:
            raise
        except Exception as error:
            log.debug("start-failed", exc_info=error)
            raise StartFailed(start_failure(error)) from None
        gc.freeze()  # what start-up made lives for ever: keep the collector from walking it under load
        gc.enable()  # the commands start with it off: dmz_front/start.py
        notify("READY=1")
        log.info("ready")
        await asked.wait()
        notify("STOPPING=1")
        log.info("draining")
    finally:
        await daemon.stop()
    log.info("stopped")


class StartFailed(BridgeError):
    """The daemon could not start, for a reason that is no setting's; says which in one line."""


def start_failure(error: Exception) -> str:
    """One line for what nobody foresaw at start: what it is, and of which file, without anything's parameters."""
    said = getattr(error, "orig", None) or error  # SQLAlchemy's own text quotes statement and parameters
    if isinstance(said, OSError) and said.strerror:
        text = f"{said.filename}: {said.strerror}" if said.filename else said.strerror
    else:
        text = (str(said).splitlines() or [""])[0]
    return f"cannot start: {text or type(said).__name__}" + ("" if isinstance(said, BridgeError) else _kind(said))


def _kind(error: BaseException) -> str:
    return f' ({type(error).__name__}; [log] level = "debug" shows where)'


def run(compose: Callable[[Daemon], Awaitable[None]]) -> None:
    """Run until SIGTERM or SIGINT.

    What goes wrong at start is one clear line, never a traceback: exits with 2 on a ConfigurationError, else with 1.
    """
    # The store's writer thread and the loop share one interpreter: with the default 5 ms a commit
    # waits that long for its turn at each statement while the loop is busy.
    sys.setswitchinterval(0.0005)
    try:
        import uvloop
    except ImportError:  # not a Linux machine
        runner: Callable[..., None] = asyncio.run
    else:
        runner = uvloop.run
    try:
        runner(_serve(compose))
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except StartFailed as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)

"""Running a daemon: start in a written order, reload on SIGHUP, drain in the reverse order on SIGTERM.

Each of these is told to systemd (service_manager.py), whose watchdog is fed meanwhile (watchdog.py).
"""

import asyncio
import contextlib
import faulthandler
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import structlog

from protocol.errors import BridgeError, ConfigurationError, in_one_line
from protocol.runtime.logs import logger
from protocol.runtime.service_manager import extended, notify, reloading, status, watchdog_s
from protocol.runtime.watchdog import Summary, Vital, Watchdog

log = logger(__name__)


class Daemon:
    """Collects what was started; stops it in the reverse order."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._reloading = asyncio.Lock()
        self.vitals: dict[str, Vital] = {}
        """The parts that must go on, by name; see watchdog.py."""
        self.summary: Summary = lambda: "ready"
        """How the daemon does, in one line for `systemctl status`."""
        self.patience_s = 60.0
        """How long the stopping of one part may take before systemd's own limit (`TimeoutStopSec=`) applies."""
        self.reloaded = ""
        """What became of the last reload, and when."""
        self.on_reload: Callable[[], Awaitable[object]] | None = None
        """Reads anew what can be read anew. Raises BridgeError when that must not be used: then all stays as it was."""

    async def start(
        self,
        name: str,
        start: Awaitable[object] | None,
        stop: Callable[[], object] | None,
        vital: Vital | None = None,
    ) -> None:
        """Await `start`, and remember `stop` (plain or async) for the drain. `vital`: what the watchdog looks at from
        then on, under this name.

        systemd is asked for time as long as either takes: a migration has no bound but the database's size.
        """
        if start is not None:
            async with extended(f"starting: {name}"):
                await start
        if stop is not None:
            self._stack.push_async_callback(self._stop, name, stop)
        if vital is not None:
            self.vitals[name] = vital
        log.debug("started", part=name)

    async def reload(self) -> object:
        """Have `on_reload` do its work, one reload at a time, and tell systemd of it. Returns, or raises, what that
        does.
        """
        async with self._reloading:
            notify(*reloading(), status("reloading"))
            at = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
            self.reloaded = f"reloaded {at}"
            try:
                if self.on_reload is None:
                    raise BridgeError("this daemon reads nothing anew: restart it")
                return await self.on_reload()
            except Exception as error:
                why = str(error) if isinstance(error, BridgeError) else type(error).__name__
                self.reloaded = f"reload refused {at}: {why}"
                raise
            finally:
                notify("READY=1", status(self.line()))

    def line(self) -> str:
        """The daemon's summary, and what became of the last reload."""
        return "; ".join(part for part in (self.summary(), self.reloaded) if part)

    async def stop(self) -> None:
        """Stop everything, last started first; a failure to stop one does not keep the others."""
        await self._stack.aclose()

    async def _stop(self, name: str, stop: Callable[[], object]) -> None:
        try:
            async with extended(f"stopping: {name}", self.patience_s):
                result = stop()
                if isinstance(result, Awaitable):
                    await result
            log.debug("stopped", part=name)
        except Exception:
            log.exception("stop-failed", part=name)


async def _reload(daemon: Daemon) -> None:
    """A reload nobody waits for: SIGHUP's."""
    try:
        await daemon.reload()
    except BridgeError as error:
        log.error("reload-refused", error=str(error))
    except Exception:
        log.exception("reload-failed")


async def _serve(compose: Callable[[Daemon], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    asked, again = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)  # before the start ends too: its default would end the process
    daemon = Daemon()
    watchdog = Watchdog(watchdog_s(os.environ), daemon.vitals, daemon.line)
    beating = reloads = None
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
        beating = loop.create_task(watchdog.run(), name="watchdog")
        reloads = loop.create_task(_reload_when(again, daemon), name="reload")
        await asked.wait()
        watchdog.watching = False
        reloads.cancel()
        notify("STOPPING=1")
        log.info("draining")
    finally:
        await daemon.stop()
        if beating is not None:
            beating.cancel()
    log.info("stopped")


async def _reload_when(asked: asyncio.Event, daemon: Daemon) -> None:
    while True:
        await asked.wait()
        asked.clear()
        await _reload(daemon)


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
    if not faulthandler.is_enabled() and sys.__stderr__ is not None:
        # the watchdog's SIGABRT leaves in the journal where each thread stood: files and lines, nobody's data
        faulthandler.enable(sys.__stderr__)
    try:
        import uvloop
    except ImportError:  # not a Linux machine
        runner: Callable[..., None] = asyncio.run
    else:
        runner = uvloop.run
    with one_line():
        runner(_serve(compose))


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """What goes wrong within is one line on standard error, never a traceback, and the end of the process.

    The exit status is 2 for a ConfigurationError, else 1.
    """
    try:
        yield
    except ConfigurationError as error:
        _end(error, 2)
    except StartFailed as error:
        _end(error, 1)
    except Exception as error:
        if structlog.is_configured():  # else it would be printed
            log.debug("start-failed", exc_info=error)
        _end(StartFailed(start_failure(error)), 1)


def _end(error: BridgeError, code: int) -> None:
    line = f"error: {in_one_line(error)}"
    print(line, file=sys.stderr)
    notify(status(line))  # `systemctl status` shows it until the next start, however many there were
    sys.exit(code)

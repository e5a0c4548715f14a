"""`bridgectl top`: `status`, live."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bridgectl.language import tr
from bridgectl.output import as_json
from bridgectl.settings import ControlSettings, settings_or_defaults
from bridgectl.status.live import History, Sample, View, pressed, sample
from bridgectl.status.observation import Observation, observe
from bridgectl.status.screen import as_dict
from bridgectl.status.trouble import Trouble, verdict
from bridgectl.status.troubles import troubles
from bridgectl.terminal import keys, keys_at_once
from protocol.errors import BridgeError
from protocol.runtime import logs

# rich is imported inside the functions: `--json` and other groups do not need it.

app = typer.Typer()

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@app.command()
def top(
    interval: Annotated[float, typer.Option(min=0.5, max=60, help="seconds between two looks")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="print one sample, two looks apart, and end")] = False,
    json: Annotated[bool, typer.Option("--json", help="for programs: likewise, as `status --json` and rates")] = False,
    patience: Annotated[float, typer.Option("--timeout", min=0.5, max=60, help="seconds for each answer")] = 2.5,
) -> None:
    """Status, live: what is wrong first, then the rates of operations, interfaces and queues with their histories.

    Keys: q quits, s sorts by the next column, arrows choose an operation, o or Enter opens it and closes it again.

    Exit codes: 0 ended by q or Ctrl-C, 2 not a terminal, 143 ended by a signal; with --once or --json as of `status`.
    """
    logs.configure("critical")
    path, settings = settings_or_defaults()
    eye = _Eye(path, settings, patience)
    if json or once:
        _print(eye, asyncio.run(eye.two(interval)), json=json)
        raise typer.Exit(int(verdict(eye.found)))
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        typer.echo(tr("bridgectl: top needs a terminal; bridgectl status is for others, or top --once"), err=True)
        raise typer.Exit(2)
    with keys_at_once(sys.stdin.fileno()):
        ended_by = asyncio.run(_live(eye, interval))
    if ended_by in (signal.SIGTERM, signal.SIGHUP):
        raise typer.Exit(128 + ended_by)


class _Eye:
    """Looks again and again."""

    def __init__(self, control: Path, settings: ControlSettings, patience: float) -> None:
        self._control, self._settings, self._patience, self.history = control, settings, patience, History()
        self.seen: Observation | None = None
        self.found: Sequence[Trouble] = ()
        self.sample = Sample(0, (), ())

    async def look(self) -> Observation:
        now = await observe(self._control, self._settings, self._patience)
        if now.front is None and now.bridge is None:
            raise BridgeError(
                tr(
                    "neither daemon is configured on this host: no dmz_front.toml or intranet_bridge.toml beside "
                    "{control}; set BRIDGECTL_CONFIG",
                    control=self._control,
                )
            )
        self.sample, self.found = sample(self.seen, now), troubles(now)
        self.history.add(self.sample)
        self.seen = now
        return now

    async def two(self, interval: float) -> Observation:
        await self.look()
        await asyncio.sleep(interval)
        return await self.look()


def _print(eye: _Eye, seen: Observation, *, json: bool) -> None:
    if json:
        typer.echo(as_json({**as_dict(seen, eye.found), "rates": eye.sample.as_dict()}))
        return
    from rich.console import Console

    from bridgectl.status.live_screen import live_screen

    console = Console(highlight=False)
    console.print(
        live_screen(seen, eye.found, eye.sample, eye.history, View(), width=console.width, height=1000, keys=False)
    )


async def _live(eye: _Eye, interval: float) -> int:
    """Draw until somebody ends it. The signal that did; 0: a key."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from bridgectl.status.live_screen import live_screen

    loop, happened = asyncio.get_running_loop(), asyncio.Queue[str | int]()
    terminal, console = sys.stdin.fileno(), Console(highlight=False)

    def read() -> None:
        try:
            came = os.read(terminal, 256)
        except OSError:  # the terminal is gone
            came = b""
        for key in keys(came) or (["q"] if not came else []):
            happened.put_nowait(key)

    async def look() -> None:
        while True:
            await eye.look()
            happened.put_nowait("seen")
            await asyncio.sleep(interval)

    for number in _SIGNALS:
        loop.add_signal_handler(number, happened.put_nowait, int(number))
    loop.add_signal_handler(signal.SIGWINCH, happened.put_nowait, "resized")
    loop.add_reader(terminal, read)
    looking = loop.create_task(look())
    looking.add_done_callback(lambda _: happened.put_nowait("over"))
    view = View()
    try:
        with Live(Text(tr("looking ...")), console=console, screen=True, auto_refresh=False) as live:
            while True:
                what = await happened.get()
                if isinstance(what, int):
                    return what
                if what == "over":
                    await looking
                changed = pressed(what, view, eye.sample)
                if changed is None:
                    return 0
                view = changed
                if eye.seen is not None:
                    width, height = console.size
                    live.update(
                        live_screen(eye.seen, eye.found, eye.sample, eye.history, view, width=width, height=height),
                        refresh=True,
                    )
    finally:
        loop.remove_reader(terminal)
        looking.cancel()

"""The beat that feeds systemd's watchdog: it comes from the event loop, and only while what must go on goes on.

A thread's timer would go on beating in a process whose loop is stuck. And a loop may turn while a task that everything
depends on has ended: the thread that writes to the database, the task that keeps a connection up. So each part of the
daemon that must not end says at each beat whether it has (`Vital`); if so, no `WATCHDOG=1` is sent, the log and
`STATUS=` say why, and the service manager starts the daemon again. What a restart would not mend is no reason: a broker
that is away, a locked database, a marketing system that is down.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Protocol

from protocol.runtime.logs import logger
from protocol.runtime.service_manager import notify, status

log = logger(__name__)


class Vital(Protocol):
    """A part of a daemon that must go on."""

    def standing(self) -> str:
        """What stands still for ever, in a few words; `""` while all goes on."""


Summary = Callable[[], str]
"""How the daemon does, in one line."""

_STATUS_S = 5.0
"""How often the line for people is looked at, where no watchdog wants to be fed more often."""


def ended(task: "asyncio.Task[object] | asyncio.Task[None] | None", what: str) -> str:
    """For `Vital.standing`: of a task that was started and must never end."""
    return f"{what} has ended" if task is not None and task.done() else ""


class Watchdog:
    """One beat a period, for as long as `run` runs."""

    def __init__(self, period_s: float | None, vitals: Mapping[str, Vital], summary: Summary) -> None:
        """`period_s`: at the latest so often systemd wants a beat (None: it wants none); `vitals`: by part's name."""
        self._wanted = period_s is not None
        # systemd's own advice is half of the period; a third leaves room for a loop that is late once
        self.pause_s = min(period_s / 3, _STATUS_S) if period_s is not None else _STATUS_S
        self._vitals, self._summary = vitals, summary
        self._said = ""
        self._suspect = self._standing = ""
        self.watching = True
        """False while draining: the parts end one after the other, and are meant to."""

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self.beat()
            await asyncio.sleep(self.pause_s)

    def beat(self) -> None:
        """Say how it does, and feed the watchdog if nothing stands still."""
        suspect, self._suspect = self._suspect, self.standing() if self.watching else ""
        # not at the first sight: after a suspend, or a jump of the clock, jobs look late until they are reckoned anew
        standing = self._suspect if suspect else ""
        if standing != self._standing:
            self._standing = standing
            if standing:
                log.critical("standing-still", what=standing)
        assignments = ["WATCHDOG=1"] if self._wanted and not standing else []
        line = self._said
        if standing:
            line = f"standing still: {standing}"
        elif self.watching:
            with contextlib.suppress(Exception):  # a summary that fails is no reason to be killed
                line = self._summary()
        if line != self._said:
            self._said = line
            assignments.append(status(line))
        if assignments:
            notify(*assignments)

    def standing(self) -> str:
        """What stands still, of all parts; `""` if nothing."""
        found = {name: vital.standing() for name, vital in self._vitals.items()}
        return "; ".join(f"{name}: {what}" for name, what in found.items() if what)

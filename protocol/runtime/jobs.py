"""What a daemon does by the clock: each job alone and never twice at once.

Timers run by the monotonic clock. (A scheduler that computes wall-clock times of its next runs, as APScheduler does,
stands still after the clock was put back: ten minutes without a resend for ten minutes of correction, measured.)
"""

import asyncio
from collections.abc import Awaitable, Callable

from protocol.runtime.logs import logger

log = logger(__name__)

Job = Callable[[], Awaitable[object]]


class Jobs:
    """A few jobs, each every so many seconds; a failing job is logged and tried again at its next turn."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[float, Job]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._started = False

    def every(self, seconds: float, name: str, job: Job) -> None:
        """Run `job` so many seconds after the start and after each of its ends. Raises KeyError for a name twice."""
        if name in self._jobs:
            raise KeyError(f"there is a job {name} already")
        self._jobs[name] = seconds, job
        if self._started:
            self._arm(name)

    async def now_and_every(self, seconds: float, name: str, job: Job) -> None:
        """Run `job` at once, and then every `seconds`."""
        await _guarded(name, job)
        self.every(seconds, name, job)

    def start(self) -> None:
        """Begin."""
        self._started = True
        for name in self._jobs:
            self._arm(name)

    def stop(self) -> None:
        """Begin no more jobs; one that runs goes on to its end."""
        self._started = False
        for timer in self._timers.values():
            timer.cancel()

    def _arm(self, name: str) -> None:
        seconds, _ = self._jobs[name]
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, self._run, name)

    def _run(self, name: str) -> None:
        task = asyncio.get_running_loop().create_task(_guarded(name, self._jobs[name][1]))
        self._running.add(task)
        task.add_done_callback(lambda _: self._ran(name, task))

    def _ran(self, name: str, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if self._started:
            self._arm(name)


async def _guarded(name: str, job: Job) -> None:
    try:
        await job()
    except Exception:  # the next turn tries again
        log.exception("housekeeping-failed", job=name)

"""What a daemon does by the clock: APScheduler runs it, each job alone and never twice at once.

APScheduler reckons the next runs in wall-clock time: after the clock is put back by ten minutes it would run nothing
for ten minutes, resends included. So the clock is watched, and the jobs are reckoned anew when it has jumped, or when
one's next run is further away than its interval (the clock was put forward and back between two looks). What becomes
due by a jump is not run: what deletes the old would take all for old.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.exc import SQLAlchemyError

from protocol.runtime.logs import logger
from protocol.runtime.store_health import said
from protocol.runtime.watchdog import ended

log = logger(__name__)

Job = Callable[[], Awaitable[object]]

_END_S = 5.0
"""What a job that runs is given to end when the daemon stops."""
_OVERDUE_S = 60.0
"""A job that should have begun so long ago, and has not: the scheduler is dead. (A clock put forward looks like it for
a second, until the watch over the clock has reckoned anew.)"""
_LOOK_S = 1.0
_REMIND = 300
"""A job that goes on failing for the same reason is told of again after so many turns."""
_JUMP_S = 1.0
"""What the wall clock may gain or lose on the monotonic one between two looks."""


class Jobs:
    """A few jobs, each every so many seconds; a failing job is logged and tried again at its next turn."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._seconds: dict[str, float] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._apart = 0.0
        """The wall clock less the monotonic one, as looked last."""
        self._failing: dict[str, _Failing] = {}

    def every(self, seconds: float, name: str, job: Job) -> None:
        """Run `job` every `seconds`; a turn missed because the job still runs is skipped.

        Raises ValueError for a name that is taken.
        """
        if name in self._seconds:
            raise ValueError(f"there is a job {name} already")
        self._seconds[name] = seconds
        self._scheduler.add_job(
            self._run,
            _Interval(seconds=seconds, timezone="UTC"),
            (name, job),
            id=name,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )

    async def now_and_every(self, seconds: float, name: str, job: Job) -> None:
        """Run `job` at once, and then every `seconds`."""
        await self._guarded(name, job)
        self.every(seconds, name, job)

    def start(self) -> None:
        """Begin."""
        self._apart = _apart()
        self._scheduler.start()
        self._watching = asyncio.get_running_loop().create_task(self._watch(), name="clock watch")

    def stop(self) -> None:
        """Begin no more jobs; one that runs goes on."""
        if self._watching is not None:
            self._watching.cancel()
        if self._scheduler.running:
            self._scheduler.pause()  # what it has submitted begins before it hears of the end
            self._scheduler.shutdown(wait=False)

    async def close(self) -> None:
        """Begin no more jobs; those that run have `_END_S` to end before they are cancelled."""
        self.stop()
        await asyncio.sleep(0)  # what was submitted has begun now
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=_END_S)
            for task in late:
                task.cancel()

    def standing(self) -> str:
        """What stands still for ever (watchdog.py): the scheduler. A job that fails or waits is none of it."""
        if self._watching is None:
            return ""
        overdue = [name for name in self._seconds if self._overdue(name)]
        return ended(self._watching, "the watch over the clock") or (
            f"the scheduler begins nothing: {', '.join(overdue)}" if overdue else ""
        )

    def _overdue(self, name: str) -> bool:
        job = self._scheduler.get_job(name)
        due = job.next_run_time if job is not None else None
        return due is not None and time.time() - due.timestamp() > _OVERDUE_S

    async def _run(self, name: str, job: Job) -> None:
        """A job as APScheduler runs it: its shutdown cancels this, and logs a traceback if that is heard of."""
        if abs(_apart() - self._apart) > _JUMP_S:
            return  # the watch reckons it anew
        task = asyncio.get_running_loop().create_task(self._guarded(name, job), name=f"job {name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            before, self._apart = self._apart, _apart()
            if abs(self._apart - before) > _JUMP_S or any(self._too_far(name) for name in self._seconds):
                log.warning("clock-jumped", seconds=round(self._apart - before, 1))
                for name, seconds in self._seconds.items():
                    self._scheduler.reschedule_job(name, trigger=_Interval(seconds=seconds, timezone="UTC"))

    def _too_far(self, name: str) -> bool:
        job = self._scheduler.get_job(name)
        due = job.next_run_time if job is not None else None
        return due is not None and due.timestamp() - time.time() > self._seconds[name] + _JUMP_S

    async def _guarded(self, name: str, job: Job) -> None:
        """Run it; what fails is said once, and again when it is over. The next turn tries again."""
        try:
            await job()
        except Exception as error:
            self._failed(name, error)
        else:
            over = self._failing.pop(name, None)
            if over is not None and over.times > 1:
                log.info("housekeeping-well-again", job=name, failures=over.times)

    def _failed(self, name: str, error: Exception) -> None:
        reason = f"{type(error).__name__}: {said(error)}"
        known = self._failing.get(name)
        if known is not None and known.reason == reason:
            known.times += 1
            if known.times % _REMIND:
                return
        else:
            known = self._failing[name] = _Failing(reason)
        # where the database is in trouble a traceback says nothing; of a defect it says where
        trace = None if isinstance(error, SQLAlchemyError) or known.times > 1 else error
        log.error("housekeeping-failed", job=name, reason=said(error), failures=known.times, exc_info=trace)


class _Interval(IntervalTrigger):  # type: ignore[misc]  # APScheduler is untyped
    """Without the turns that were missed: APScheduler's own goes through each of them. When the clock is put forward
    by a month that takes two seconds for a job of every second, by years minutes, and nothing else is done meanwhile.
    """

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        found: datetime | None = super().get_next_fire_time(previous_fire_time, now)
        return now + self.interval if previous_fire_time is not None and found is not None and found <= now else found


def _apart() -> float:
    return time.time() - asyncio.get_running_loop().time()


@dataclass(slots=True)
class _Failing:
    """A job that fails."""

    reason: str
    times: int = 1

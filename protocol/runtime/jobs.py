"""What a daemon does by the clock: APScheduler runs it, each job alone and never twice at once."""

from collections.abc import Awaitable, Callable

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from protocol.runtime.logs import logger

log = logger(__name__)

Job = Callable[[], Awaitable[object]]


class Jobs:
    """A few jobs, each every so many seconds; a failing job is logged and tried again at its next turn."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(timezone="UTC")

    def every(self, seconds: float, name: str, job: Job) -> None:
        """Run `job` every `seconds`; a turn missed because the job still runs is skipped."""
        self._scheduler.add_job(
            _guarded,
            "interval",
            (name, job),
            seconds=seconds,
            id=name,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )

    async def now_and_every(self, seconds: float, name: str, job: Job) -> None:
        """Run `job` at once, and then every `seconds`."""
        await _guarded(name, job)
        self.every(seconds, name, job)

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def stop(self) -> None:
        """Begin no more jobs."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)


async def _guarded(name: str, job: Job) -> None:
    try:
        await job()
    except Exception:  # the next turn tries again
        log.exception("housekeeping-failed", job=name)

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

        async def guarded() -> None:
            try:
                await job()
            except Exception:
                log.exception("housekeeping-failed", job=name)

        self._scheduler.add_job(
            guarded,
            "interval",
            seconds=seconds,
            id=name,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def stop(self) -> None:
        """Begin no more jobs."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

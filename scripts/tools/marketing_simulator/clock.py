"""The simulator's source of time; tests replace it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

CHINA_STANDARD_TIME = timezone(timedelta(hours=8))


def utc_now() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)


class Clock:
    """The time in the utility's zone, and the business day, which may be fixed."""

    def __init__(self, business_day: date | None = None, source: Callable[[], datetime] = utc_now) -> None:
        self._business_day = business_day
        self._source = source

    def now(self) -> datetime:
        """The present moment, in China Standard Time."""
        return self._source().astimezone(CHINA_STANDARD_TIME)

    def today(self) -> date:
        """The business day: bills are generated up to it and penalties counted to it."""
        return self._business_day or self.now().date()


def legacy_time(moment: datetime) -> str:
    """A moment as the marketing interfaces write it: `2026-01-15 09:30:00`, China Standard Time, no zone."""
    return moment.astimezone(CHINA_STANDARD_TIME).strftime("%Y-%m-%d %H:%M:%S")

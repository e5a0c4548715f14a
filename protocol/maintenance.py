"""Maintenance of the marketing system: which operations are paused now, by whose word, and until when.

A pure judgement; instants are epoch milliseconds and passed in. What counts for an operation is the first of these that
is in force:

1. what an administrator said of it (`bridgectl pause`, `resume`): paused, or not paused although 2 or 3 say so;
2. what an administrator said of all;
3. the schedule of the configuration.

A pause is no fault: queries are answered 503 `maintenance`, commands wait, keep their order, and go on after it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from protocol.messages import MAX_TIME_MS
from protocol.values import immutable

ALL = "*"
"""In place of an operation's name: every one."""
SCHEDULE = "schedule"
"""Who paused what the configuration's windows pause."""
LONGEST_REASON = 200
_AHEAD_DAYS = 62
"""So far ahead the next window is looked for: each day of a month comes in two months."""

Instant = Annotated[int, Field(ge=0, le=MAX_TIME_MS)]


class Pause(BaseModel):
    """Operations that are paused together."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    operations: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=1_000)]
    since: Instant
    until: Instant = 0
    """0: until somebody resumes them."""
    by: Annotated[str, Field(max_length=140)] = ""
    """A user, or `schedule`."""
    reason: Annotated[str, Field(max_length=LONGEST_REASON)] = ""


@immutable
class Instruction:
    """What an administrator said of one operation, or of all."""

    operation: str
    paused: bool
    """False: it goes on, whatever is said of all or scheduled."""
    since: int
    until: int = 0
    """0: until the next word."""
    by: str = ""
    reason: str = ""

    def in_force(self, now: int) -> bool:
        """Whether it is not over."""
        return not self.until or now < self.until


@immutable
class Window:
    """Times that come again, by a company's own clocks."""

    operations: frozenset[str]
    """Their names, or ALL."""
    begins: time
    ends: time
    """Not later than `begins`: on the next day."""
    weekdays: frozenset[int]
    """0 is Monday; it is the day of the beginning that counts."""
    month_days: frozenset[int] = frozenset()
    """1 to 31, -1 the last; empty: every day."""
    reason: str = ""

    def covers(self, operation: str) -> bool:
        """Whether it pauses an operation."""
        return ALL in self.operations or operation in self.operations

    def on(self, day: date, zone: tzinfo) -> tuple[int, int] | None:
        """Begin and end, if it begins on that day. Where clocks are changed, as `datetime` reckons (PEP 495)."""
        last = (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        days = {day.day, -1} if day == last else {day.day}
        if day.weekday() not in self.weekdays or (self.month_days and not days & self.month_days):
            return None
        end = day if self.ends > self.begins else day + timedelta(days=1)
        return _ms(day, self.begins, zone), _ms(end, self.ends, zone)


@immutable
class Schedule:
    """The windows of a configuration."""

    windows: tuple[Window, ...] = ()
    zone: tzinfo = UTC

    def now(self, operation: str, now: int) -> Pause | None:
        """The window an operation is in; of several the one that ends last."""
        today = datetime.fromtimestamp(now / 1000, self.zone).date()
        found = [
            Pause(operations=(operation,), since=times[0], until=times[1], by=SCHEDULE, reason=window.reason)
            for window in self.windows
            if window.covers(operation)
            for day in (today - timedelta(days=1), today)
            if (times := window.on(day, self.zone)) and times[0] <= now < times[1]
        ]
        return max(found, key=lambda pause: pause.until, default=None)

    def next(self, operations: Collection[str], now: int) -> Pause | None:
        """The window of any of these that begins next, with all that it covers; None if there is none."""
        today = datetime.fromtimestamp(now / 1000, self.zone).date()
        coming = [
            Pause(operations=covered, since=times[0], until=times[1], by=SCHEDULE, reason=window.reason)
            for window in self.windows
            if (covered := tuple(sorted(name for name in operations if window.covers(name))))
            and (times := next(self._later(window, today, now), None))
        ]
        return min(coming, key=lambda pause: pause.since, default=None)

    def _later(self, window: Window, today: date, now: int) -> Iterator[tuple[int, int]]:
        for ahead in range(_AHEAD_DAYS):
            times = window.on(today + timedelta(days=ahead), self.zone)
            if times and times[0] > now:
                yield times


Instructions = Mapping[str, Instruction]
"""By operation, or ALL."""


def in_force(operations: Iterable[str], instructions: Instructions, schedule: Schedule, now: int) -> tuple[Pause, ...]:
    """What is paused, those together that were paused together, the earliest first."""
    together: dict[tuple[int, int, str, str], list[str]] = {}
    for operation in sorted(operations):
        pause = _pause(operation, instructions, schedule, now)
        if pause is not None:
            together.setdefault((pause.since, pause.until, pause.by, pause.reason), []).append(operation)
    return tuple(
        Pause(operations=tuple(names), since=since, until=until, by=by, reason=reason)
        for (since, until, by, reason), names in sorted(together.items())
    )


def by_operation(pauses: Iterable[Pause]) -> dict[str, Pause]:
    """The pause of each operation that is paused."""
    return {name: pause for pause in pauses for name in pause.operations}


def after_pause(instructions: Instructions, wanted: Sequence[Instruction], now: int) -> dict[str, Instruction]:
    """What is said when some more are paused. A pause of all ends what was said against pauses."""
    left = {name: one for name, one in instructions.items() if one.in_force(now)}
    if any(one.operation == ALL for one in wanted):
        left = {name: one for name, one in left.items() if one.paused}
    return left | {one.operation: one for one in wanted}


def after_resume(
    instructions: Instructions, wanted: Collection[str] | None, operations: Collection[str], schedule: Schedule,
    now: int, by: str,
) -> dict[str, Instruction]:  # fmt: skip
    """What is said when some (`wanted`; None: all) go on: they do so to the end of whatever pauses them otherwise."""
    kept = {} if wanted is None else {name: one for name, one in instructions.items() if name not in wanted}
    left = {name: one for name, one in kept.items() if one.in_force(now)}
    against = {
        name: Instruction(name, paused=False, since=now, until=pause.until, by=by)
        for name, pause in by_operation(in_force(operations, left, schedule, now)).items()
        if wanted is None or name in wanted
    }
    return left | against


def _pause(operation: str, instructions: Instructions, schedule: Schedule, now: int) -> Pause | None:
    for name in (operation, ALL):
        said = instructions.get(name)
        if said is not None and said.in_force(now):
            if not said.paused:
                return None
            return Pause(operations=(operation,), since=said.since, until=said.until, by=said.by, reason=said.reason)
    return schedule.now(operation, now)


def _ms(day: date, at: time, zone: tzinfo) -> int:
    return int(datetime.combine(day, at, zone).timestamp() * 1000)

"""What is paused for maintenance, kept in a daemon's own database (the judgement: protocol/maintenance.py).

What an administrator says is on disk before he is answered, so a restart forgets none of it; daemons that share a
database share it too, within a second.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import time
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from sqlalchemy import BigInteger, Boolean, Column, Connection, MetaData, String, Table, select
from sqlalchemy.exc import SQLAlchemyError

from protocol.administration import PauseOperations, ResumeOperations, asked
from protocol.errors import BridgeError
from protocol.maintenance import (
    ALL,
    LONGEST_REASON,
    Instruction,
    Pause,
    Schedule,
    Window,
    after_pause,
    after_resume,
    by_operation,
    in_force,
)
from protocol.operations import CATALOGUE
from protocol.runtime.audit import Act, logged
from protocol.runtime.clock import Clock
from protocol.runtime.control import Answer, Peer
from protocol.runtime.logs import logger
from protocol.runtime.settings import Misplaced, Section
from protocol.runtime.store import Store

log = logger(__name__)

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LOOK_S = 1.0
"""How often it is looked whether something begins or ends."""


def _zone(name: str) -> str:
    try:
        if name:
            ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"{name!r} is not a time zone of this host's database, such as Asia/Shanghai") from None
    return name


TimeZone = Annotated[str, AfterValidator(_zone)]
"""A name of this host's time zone database, or empty."""


def _operation(name: str) -> str:
    if name != ALL and name not in CATALOGUE:
        raise ValueError(f"{name!r} is not an operation of the catalogue, nor {ALL!r} for all")
    return name


TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


def _month_day(day: int) -> int:
    if day == 0:
        raise ValueError("a day of a month is 1 to 31, or -1 for the last")
    return day


class TimesSection(Section):
    """Times that come again and again, by the company's clocks."""

    days: Annotated[tuple[Day, ...], Field(min_length=1)] = _DAYS
    """Of the beginning."""
    month_days: tuple[Annotated[int, Field(ge=-1, le=31), AfterValidator(_month_day)], ...] = ()
    """1 to 31, -1 the last of a month; with it, only these."""
    begins: Annotated[TimeOfDay, Field(alias="from")]
    """when it begins"""
    ends: Annotated[TimeOfDay, Field(alias="to")]
    """On the next day, if it is not later than `from`."""

    def times(self, operations: frozenset[str] = frozenset({ALL}), reason: str = "") -> Window:
        """As they are judged."""
        weekdays = frozenset(_DAYS.index(day) for day in self.days)
        begins, ends = time.fromisoformat(self.begins), time.fromisoformat(self.ends)
        return Window(operations, begins, ends, weekdays, frozenset(self.month_days), reason)


class WindowSection(TimesSection):
    """Times at which operations are paused, again and again."""

    operations: Annotated[tuple[Annotated[str, AfterValidator(_operation)], ...], Field(min_length=1)]
    """Their names; `*`: all."""
    reason: Annotated[str, StringConstraints(max_length=LONGEST_REASON)] = ""
    """why, for people"""

    def window(self) -> Window:
        """As it is judged."""
        return self.times(frozenset(self.operations), self.reason)


class MaintenanceSection(Section):
    """When the marketing system is maintained."""

    zone: TimeZone = ""
    """Of the company's clocks, by which the windows' times are meant."""
    windows: tuple[WindowSection, ...] = ()

    @model_validator(mode="after")
    def _which_clocks(self) -> Self:
        if self.windows and not self.zone:
            raise Misplaced("needs zone: the time zone their times are meant in, such as Asia/Shanghai", ("windows",))
        return self

    def schedule(self) -> Schedule:
        """As it is judged."""
        if not self.windows:
            return Schedule()
        return Schedule(tuple(window.window() for window in self.windows), ZoneInfo(self.zone))


def maintenance_table(metadata: MetaData) -> Table:
    """The table, in a daemon's own database."""
    return Table(
        "maintenance",
        metadata,
        Column("operation", String(64), primary_key=True),  # or `*`
        Column("paused", Boolean, nullable=False),
        Column("since", BigInteger, nullable=False),
        Column("until", BigInteger, nullable=False),
        Column("decided_by", String(140), nullable=False),
        Column("reason", String(LONGEST_REASON), nullable=False),
    )


class Maintenance:
    """What is paused at one daemon."""

    def __init__(
        self,
        *,
        store: Store,
        table: Table,
        operations: Collection[str],
        section: MaintenanceSection,
        clock: Clock,
        changed: Callable[[tuple[Pause, ...]], None],
        act: Act = logged,
    ) -> None:
        """`operations`: those that can be paused here. `changed` is told what is paused, whenever that changes. `act`
        writes down who paused what.
        """
        self._act = act
        self._store, self._table, self._clock, self._changed = store, table, clock, changed
        self._operations, self._schedule = operations, section.schedule()
        self._said: dict[str, Instruction] = {}
        self._unread = False
        self.pauses: tuple[Pause, ...] = ()

    def use(self, section: MaintenanceSection, operations: Collection[str]) -> None:
        """Go by this schedule from now on, for these operations; what was said of them before is in force still."""
        self._operations, self._schedule = operations, section.schedule()
        self._judge()
        self._changed(self.pauses)  # operations that are new hear of it too

    @property
    def next_window(self) -> Pause | None:
        """The next one that is scheduled."""
        return self._schedule.next(self._operations, self._clock())

    def answers(self) -> Mapping[str, Answer]:
        """What can be asked."""
        return {"pause": self.pause, "resume": self.resume}

    async def look(self) -> None:
        """Find out what is paused now. A database that cannot be read changes nothing of what was said before."""
        try:
            self._said = await self._store.read(self._read)
            self._unread = False
        except SQLAlchemyError as error:
            if not self._unread:
                log.warning("maintenance-not-read", error=type(error).__name__)
            self._unread = True
        self._judge()

    async def pause(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Pause some operations, or all. Raises BridgeError."""
        question = asked(PauseOperations, request)
        now, by = self._clock(), peer.behind(question.sudo_user)
        if question.until and question.until <= now:
            raise BridgeError("until: is over already")
        reason = " ".join(question.reason.split())
        names = self._named(question.operations, every=question.every) or (ALL,)
        wanted = [
            Instruction(name, paused=True, since=now, until=question.until, by=by, reason=reason) for name in names
        ]

        def said(before: dict[str, Instruction]) -> dict[str, Instruction]:
            # one that is only given another end goes on from when it began
            kept = [one if (old := before.get(one.operation)) is None or not old.paused or not old.in_force(now) else
                    Instruction(one.operation, paused=True, since=old.since, until=one.until, by=by, reason=reason)
                    for one in wanted]  # fmt: skip
            return after_pause(before, kept, now)

        await self._say(said)
        await self._act("pause", by, operations=sorted(names), until=question.until, reason=reason)
        return self.told()

    async def resume(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Go on with some operations, or all, whatever paused them. Raises BridgeError."""
        question = asked(ResumeOperations, request)
        now, by = self._clock(), peer.behind(question.sudo_user)
        wanted = self._named(question.operations, every=question.every)
        paused = by_operation(self.pauses)
        if missing := sorted(set(wanted or ()) - paused.keys()):
            raise BridgeError(f"not paused here: {', '.join(missing)}")
        await self._say(lambda before: after_resume(before, wanted, self._operations, self._schedule, now, by))
        await self._act("resume", by, operations=sorted(wanted or (ALL,)))
        return self.told()

    def told(self) -> dict[str, Any]:
        """What is paused, for an administrator."""
        return {"pauses": [pause.model_dump(mode="json") for pause in self.pauses]}

    def samples_of(self, name: str) -> Iterator[tuple[str, str, dict[str, str], float]]:
        """1 for each operation that is paused, 0 for the others."""
        paused = by_operation(self.pauses)
        for operation in self._operations:
            yield name, "1: paused for maintenance", {"operation": operation}, float(operation in paused)

    def endless(self, name: str) -> Iterator[tuple[str, str, dict[str, str], float]]:
        """When the oldest pause without an end began."""
        began = min((pause.since for pause in self.pauses if not pause.until), default=0)
        yield name, "When the oldest pause without an end began, epoch seconds; 0: there is none", {}, began / 1000

    def _named(self, names: Collection[str], *, every: bool) -> tuple[str, ...] | None:
        """Their names; None: all. Raises BridgeError for one that is not here."""
        if every == bool(names):
            raise BridgeError("operations: name some, or say all")
        unknown = sorted(set(names) - set(self._operations))
        if unknown:
            raise BridgeError(f"not served here: {', '.join(unknown)}; here are {', '.join(sorted(self._operations))}")
        return None if every else tuple(sorted(set(names)))

    async def _say(self, change: Callable[[dict[str, Instruction]], dict[str, Instruction]]) -> None:
        """Write down what is said from now on, by what was said until now, in one transaction; then look."""

        def write(connection: Connection) -> dict[str, Instruction]:
            said = change(self._read(connection))
            connection.execute(self._table.delete())
            if said:
                connection.execute(self._table.insert(), [_row(one) for one in said.values()])
            return said

        try:
            self._said = await self._store.write(write)
        except SQLAlchemyError as error:
            raise BridgeError(f"it cannot be written down: {type(error).__name__}; nothing was changed") from None
        self._judge()

    def _read(self, connection: Connection) -> dict[str, Instruction]:
        rows = connection.execute(select(self._table)).all()
        return {
            row.operation: Instruction(row.operation, row.paused, row.since, row.until, row.decided_by, row.reason)
            for row in rows
        }

    def _judge(self) -> None:
        before, self.pauses = self.pauses, in_force(self._operations, self._said, self._schedule, self._clock())
        if before == self.pauses:
            return
        old, new = by_operation(before), by_operation(self.pauses)
        if begun := sorted(new.keys() - old.keys()):
            log.warning("maintenance-began", operations=begun, by=sorted({new[name].by for name in begun}))
        if ended := sorted(old.keys() - new.keys()):
            log.warning("maintenance-ended", operations=ended)
        self._changed(self.pauses)


def _row(one: Instruction) -> dict[str, Any]:
    return {
        "operation": one.operation, "paused": one.paused, "since": one.since, "until": one.until,
        "decided_by": one.by, "reason": one.reason,
    }  # fmt: skip

"""Where a batch and a line of it are, and when what is due. Pure.

A line waits in a drafted batch until that is sealed. What became of it comes from the bank (files.py), from the
write-off, or from a person: a line that is held has money in doubt, and ends by `release` alone.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from intranet_bridge.settlement.withholding.files import Line
from protocol.times import CHINA

RETRY_AFTER_DAYS = (3, 7)
"""After the refusal, for the first and the second retry; then the customer gets a notice."""
OVERDUE_AFTER_DAYS = 2
OVERDUE_AT = time(18)
WAITS_LONG = timedelta(hours=1)


class BatchState(StrEnum):
    """Where a batch is."""

    DRAFTED = "drafted"
    """It takes lines, until its day; after that, until what is wrong with it is out of the way."""
    SEALED = "sealed"
    """Its bytes are on record, and no other ever will be."""
    SENT = "sent"
    """They are at the bank's place."""
    OVERDUE = "overdue"
    ANSWERED = "answered"
    APPLIED = "applied"
    """What the bank charged is written off, or a person has it."""
    CLOSED = "closed"
    """No line of it is open any more."""
    DROPPED = "dropped"
    """All its lines were taken out before it was sealed."""


BATCH_TRANSITIONS: Mapping[BatchState, frozenset[BatchState]] = {
    BatchState.DRAFTED: frozenset({BatchState.SEALED, BatchState.DROPPED}),
    BatchState.SEALED: frozenset({BatchState.SENT, BatchState.OVERDUE}),
    BatchState.SENT: frozenset({BatchState.ANSWERED, BatchState.OVERDUE}),
    BatchState.OVERDUE: frozenset({BatchState.ANSWERED, BatchState.CLOSED}),
    BatchState.ANSWERED: frozenset({BatchState.APPLIED}),
    BatchState.APPLIED: frozenset({BatchState.ANSWERED, BatchState.CLOSED}),
    BatchState.CLOSED: frozenset({BatchState.ANSWERED}),
    BatchState.DROPPED: frozenset(),
}
"""A batch is answered again by a second answer, while it has lines that were not. One that is never answered is closed
when people have released all its lines.
"""


class LineState(StrEnum):
    """Where a line is."""

    WAITING = "waiting"
    WITHDRAWN = "withdrawn"
    """Its caller, or a person, took it out before the batch was sealed."""
    DROPPED = "dropped"
    """The same by the bridge: the agreement has ended, or the bill is not open."""
    REQUESTED = "requested"
    CHARGED = "charged"
    """The bank has the money; it is being written off."""
    WRITTEN_OFF = "written-off"
    REFUSED = "refused"
    """By the bank; the bill is free again."""
    NOT_WRITTEN_OFF = "not-written-off"
    """Charged, and the marketing system did not take the write-off: held."""
    AMOUNT_DIFFERS = "amount-differs"
    UNKNOWN_LINE = "unknown-line"
    UNANSWERED = "unanswered"
    RELEASED = "released"
    """A person has settled it otherwise."""


LINE_TRANSITIONS: Mapping[LineState, frozenset[LineState]] = {
    LineState.WAITING: frozenset({LineState.WITHDRAWN, LineState.DROPPED, LineState.REQUESTED}),
    LineState.REQUESTED: frozenset(
        {LineState.CHARGED, LineState.REFUSED, LineState.AMOUNT_DIFFERS, LineState.UNANSWERED, LineState.RELEASED}
    ),
    LineState.UNANSWERED: frozenset(
        {LineState.CHARGED, LineState.REFUSED, LineState.AMOUNT_DIFFERS, LineState.RELEASED}
    ),
    LineState.CHARGED: frozenset({LineState.WRITTEN_OFF, LineState.NOT_WRITTEN_OFF}),
    LineState.NOT_WRITTEN_OFF: frozenset({LineState.WRITTEN_OFF, LineState.RELEASED}),
    LineState.AMOUNT_DIFFERS: frozenset({LineState.RELEASED}),
    LineState.UNKNOWN_LINE: frozenset({LineState.RELEASED}),
    LineState.WITHDRAWN: frozenset(),
    LineState.DROPPED: frozenset(),
    LineState.WRITTEN_OFF: frozenset(),
    LineState.REFUSED: frozenset(),
    LineState.RELEASED: frozenset({LineState.CHARGED, LineState.AMOUNT_DIFFERS}),
}
"""A write-off that stayed unknown, and was held, may yet turn out done. What was released unanswered and is charged all
the same is honoured.
"""
ENDED = frozenset(
    {LineState.WITHDRAWN, LineState.DROPPED, LineState.WRITTEN_OFF, LineState.REFUSED, LineState.RELEASED}
)
HELD = frozenset({LineState.AMOUNT_DIFFERS, LineState.UNKNOWN_LINE, LineState.NOT_WRITTEN_OFF})
"""Money of these is in doubt."""
RELEASABLE = HELD | {LineState.UNANSWERED}
"""What waits for a person, whatever its batch."""
ANSWERABLE = frozenset(before for before, after in LINE_TRANSITIONS.items() if LineState.CHARGED in after)
"""What an answer of the bank fills."""
OF_ANSWER: Mapping[Line, LineState] = {
    Line.CHARGED: LineState.CHARGED,
    Line.REFUSED: LineState.REFUSED,
    Line.AMOUNT_DIFFERS: LineState.AMOUNT_DIFFERS,
    Line.UNKNOWN: LineState.UNKNOWN_LINE,
    Line.UNANSWERED: LineState.UNANSWERED,
}


def releasable(line: LineState, batch: BatchState) -> bool:
    """Whether a person may take a line out, or settle it. One that the bank is asked for only when its answer is
    overdue: nothing else would free the bills of a batch that it never answers.
    """
    return line in RELEASABLE | {LineState.WAITING} or (line, batch) == (LineState.REQUESTED, BatchState.OVERDUE)


def before(state: LineState) -> list[str]:
    """The states from which a line comes to this one."""
    return sorted(found for found, after in LINE_TRANSITIONS.items() if state in after)


def batches_before(state: BatchState) -> list[str]:
    """The states from which a batch comes to this one."""
    return sorted(found for found, after in BATCH_TRANSITIONS.items() if state in after)


def next_day(days: Sequence[int], seal_at: time, now: datetime) -> date:
    """The day of the batch that takes lines now: today until it is sealed, else the next of these days of a month."""
    here = now.astimezone(CHINA)
    day = here.date() if here.time() < seal_at else here.date() + timedelta(days=1)
    while day.day not in days:
        day += timedelta(days=1)
    return day


def retry_day(due: date, seal_at: time, now: datetime) -> date:
    """The day of the batch that a retry goes into: its own, or the first that still takes lines."""
    return max(due, next_day(range(1, 32), seal_at, now))


def sealing_due(day: date, seal_at: time, now: datetime) -> bool:
    """Whether a drafted batch is to be sealed."""
    return now >= datetime.combine(day, seal_at, CHINA)


def waits_long(day: date, seal_at: time, now: datetime) -> bool:
    """Whether a drafted batch should have been sealed for so long that somebody has to look at it."""
    return now >= datetime.combine(day, seal_at, CHINA) + WAITS_LONG


def why_no_extra(today: BatchState, waiting: int) -> str:
    """Why what waits cannot be sent in today's batch, which is in this state; empty: it can."""
    if today is not BatchState.DRAFTED:
        return f"today's batch is {today.value} already, and there is one a day"
    return "" if waiting else "no line waits"


def overdue(
    state: BatchState, day: date, now: datetime, after_days: int = OVERDUE_AFTER_DAYS, at: time = OVERDUE_AT
) -> bool:
    """Whether a batch should have been answered: two days on, 18:00 in China. So should one that is not even sent."""
    return state in (BatchState.SEALED, BatchState.SENT) and now >= datetime.combine(
        day + timedelta(days=after_days), at, CHINA
    )


def retry_on(refused_on: date, tries: int, after_days: Sequence[int] = RETRY_AFTER_DAYS) -> date | None:
    """When a refused bill is asked for again, after so many retries; None: no more, the customer gets a notice."""
    return refused_on + timedelta(days=after_days[tries]) if tries < len(after_days) else None

"""A file's life, from the day it belongs to until its day is closed: a table of transitions, and what the clock says of
a file that has not come. Pure: the time is given.

========================  ==========================================================================================
`expected`                its day is over
`late`                    an hour past its time (a warning)
`missing`                 18:00 (critical); it is taken all the same when it comes
`empty-confirmed`         the platform, or an operator, says the day had nothing: its end, as nothing is compared
`arriving`, `received`    a part is here; all of it, with its digest
`parsed`                  read through; nothing has taken effect
`accepted`, `matched`     its rows count; they have been compared
`closed`                  the day is closed, and all that was found is at its end: nothing acts on it any more
`incomplete`              cut off, or not made yet: looked at again until it is `missing`
`refused`, `duplicate`    no effect
`conflicting-resend`      other bytes under an accepted name; an operator replaces the earlier file, or refuses this one
`replaced`                what an operator put another in place of
========================  ==========================================================================================
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from intranet_bridge.settlement.statements.rows import Row
from intranet_bridge.settlement.statements.verdicts import LOOK_AGAIN, Code, StatementRefused
from protocol.errors import BridgeError
from protocol.times import CHINA
from protocol.values import immutable

GRACE = timedelta(minutes=60)
MISSING_AT = time(18)
MAKING = timedelta(minutes=30)
"""Until a statement that is being made is asked for again."""


class FileState(StrEnum):
    """Where a file is."""

    EXPECTED = "expected"
    LATE = "late"
    MISSING = "missing"
    EMPTY_CONFIRMED = "empty-confirmed"
    ARRIVING = "arriving"
    RECEIVED = "received"
    PARSED = "parsed"
    ACCEPTED = "accepted"
    MATCHED = "matched"
    CLOSED = "closed"
    INCOMPLETE = "incomplete"
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    CONFLICTING = "conflicting-resend"
    REPLACED = "replaced"


class Event(StrEnum):
    """What happens to a file."""

    GRACE_OVER = "grace-over"
    DAY_OVER = "day-over"
    NO_STATEMENT = "no-statement"
    """The platform says there is none, and we expect none; or an operator says so."""
    BEGUN = "begun"
    COMPLETE = "complete"
    CUT = "cut"
    REFUSED = "refused"
    SAME_AGAIN = "same-again"
    OTHER_BYTES = "other-bytes"
    READ = "read"
    ACCEPT = "accept"
    REPLACE = "replace"
    """An operator takes this file in place of the accepted one."""
    SUPERSEDED = "superseded"
    """Another was taken in place of this one."""
    MATCH = "match"
    CLOSE = "close"


class NotInThisState(BridgeError):
    """What was asked for does not go with the state the file is in."""


S, E = FileState, Event
_WAITING = (S.EXPECTED, S.LATE, S.MISSING, S.INCOMPLETE)
_READ_HERE = (S.ARRIVING, S.RECEIVED, S.PARSED)
TRANSITIONS: Mapping[tuple[FileState, Event], FileState] = {
    (S.EXPECTED, E.GRACE_OVER): S.LATE,
    (S.EXPECTED, E.DAY_OVER): S.MISSING,
    (S.LATE, E.DAY_OVER): S.MISSING,
    (S.INCOMPLETE, E.DAY_OVER): S.MISSING,
    (S.ARRIVING, E.DAY_OVER): S.MISSING,
    **{(state, E.BEGUN): S.ARRIVING for state in _WAITING},
    **{(state, E.COMPLETE): S.RECEIVED for state in (*_WAITING, S.ARRIVING)},
    **{(state, E.NO_STATEMENT): S.EMPTY_CONFIRMED for state in (*_WAITING, *_READ_HERE)},
    (S.EMPTY_CONFIRMED, E.BEGUN): S.ARRIVING,
    (S.EMPTY_CONFIRMED, E.COMPLETE): S.RECEIVED,
    **{(state, E.CUT): S.INCOMPLETE for state in _READ_HERE},
    **{(state, E.REFUSED): S.REFUSED for state in (*_READ_HERE, S.CONFLICTING)},
    **{(state, E.SAME_AGAIN): S.DUPLICATE for state in _READ_HERE},
    (S.RECEIVED, E.READ): S.PARSED,
    (S.PARSED, E.ACCEPT): S.ACCEPTED,
    (S.PARSED, E.OTHER_BYTES): S.CONFLICTING,
    (S.CONFLICTING, E.REPLACE): S.ACCEPTED,
    (S.ACCEPTED, E.SUPERSEDED): S.REPLACED,
    (S.MATCHED, E.SUPERSEDED): S.REPLACED,
    (S.ACCEPTED, E.MATCH): S.MATCHED,
    (S.MATCHED, E.CLOSE): S.CLOSED,
}
"""A closed day's file is not replaced: what it had wrong is booked into an open day."""


def after(state: FileState, event: Event) -> FileState:
    """The state that follows. Raises NotInThisState."""
    following = TRANSITIONS.get((state, event))
    if following is None:
        raise NotInThisState(f"a file that is {state} has no {event}")
    return following


def event_of(refused: StatementRefused) -> Event:
    """What a verdict is in the file's life."""
    return Event.CUT if refused.code in LOOK_AGAIN else Event.REFUSED


def due_at(day: date, due: time) -> datetime:
    """When the statement of a day should be there: the day after, China's time."""
    return datetime.combine(day + timedelta(days=1), due, CHINA)


def by_the_clock(
    state: FileState, day: date, due: time, now: datetime, grace: timedelta = GRACE, missing_at: time = MISSING_AT
) -> FileState:
    """What a file that is waited for has become by `now`; others stay what they are."""
    if now >= datetime.combine(day + timedelta(days=1), missing_at, CHINA):
        event = Event.DAY_OVER
    elif now >= due_at(day, due) + grace:
        event = Event.GRACE_OVER
    else:
        return state
    return TRANSITIONS.get((state, event), state)


def seen_before(digest: str, earlier: Iterable[str]) -> Code | None:
    """A file of a name under which others were accepted: the same again, other bytes, or new (None)."""
    known = set(earlier)
    if not known:
        return None
    return Code.DUPLICATE if digest in known else Code.CONFLICTING_RESEND


@immutable
class Difference:
    """What a file that comes again has otherwise, for the operator who decides."""

    added: tuple[Row, ...]
    gone: tuple[Row, ...]
    changed: tuple[tuple[Row, Row], ...]
    """Before and now."""


def difference(before: Iterable[Row], now: Iterable[Row]) -> Difference:
    """Compares the rows of two files of one name; where a row stands in its file does not count."""
    old: dict[tuple[str, ...], list[Row]] = {}
    for row in before:
        old.setdefault(_key(row), []).append(row)
    added: list[Row] = []
    changed: list[tuple[Row, Row]] = []
    for row in now:
        alike = old.get(_key(row))
        if not alike:
            added.append(row)
        elif _said(was := alike.pop()) != _said(row):
            changed.append((was, row))
    gone = sorted((row for rows in old.values() for row in rows), key=lambda row: row.line)
    return Difference(tuple(added), tuple(gone), tuple(changed))


def _key(row: Row) -> tuple[str, ...]:
    return row.kind, row.transaction, row.refund, row.account, row.month


def _said(row: Row) -> tuple[object, ...]:
    return (row.order, row.gross, row.settled, row.fee, row.at, row.status, row.bills, row.penalty)

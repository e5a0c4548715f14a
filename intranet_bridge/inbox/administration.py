"""Commands of the inbox as an administrator sees and decides them.

A decision is one transaction, which changes a row only while it is held (or, to take it back, while it is received and
not being called), whoever else decides or works at that moment. A final state goes in with its sealed reply, and the
outbox sends that; `received` (call again) and `unknown` (ask again) go in with `decided_at`, and who owns the row works
on it (`CommandWorkers.act_on_decisions`). What is taken back has both: its owner must not call it any more.
`decisions` keeps who and why.

A decision that came from a front is carried out once: `answered_decisions` keeps what came of it, refusals too.
"""

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from intranet_bridge.inbox.rows import ANSWERED_DECISIONS, DECISIONS, INBOX
from protocol.administration import (
    AT_ONCE,
    LONGEST_NOTE,
    Choice,
    CommandReport,
    DecisionReport,
    ListCommands,
    ResolveMatching,
)
from protocol.errors import BridgeError
from protocol.lifecycle import Event, State, move
from protocol.messages import fitted
from protocol.values import immutable

EVENTS = {
    Choice.APPLIED: Event.SUCCEED,
    Choice.NOT_APPLIED: Event.FAIL,
    Choice.CALL_AGAIN: Event.RETRY,
    Choice.ASK_AGAIN: Event.INQUIRE,
    Choice.CANCEL: Event.FAIL,
}
"""What a decision does to a command."""
TAKEN_BACK = "cancelled"
"""Code of a command that was taken back."""
FROM = {Choice.CANCEL: State.RECEIVED}
"""The state a command must be in, if that is not held."""

_C = INBOX.c
_SHOWN = (
    _C.id, _C.operation, _C.source, _C.state, _C.code, _C.note, _C.attempts, _C.crashes, _C.owner, _C.received_at,
    _C.calling_at, _C.updated_at, _C.replied_at, _C.deadline,
)  # fmt: skip


@immutable
class Ruling:
    """A decision, ready to be written."""

    id: str
    choice: Choice
    by: str
    note: str
    at: int
    code: str = ""
    sealed: bytes | None = field(default=None, repr=False)
    """The sealed reply, if the decision is final."""


@immutable
class Came:
    """What came of a decision from a front."""

    done: bool
    because: str = ""
    state: str = ""
    """Of the command; empty: it is not here."""


@immutable
class Kept:
    """A row, and what was decided of it."""

    report: CommandReport
    decisions: tuple[DecisionReport, ...]
    envelope: bytes = field(repr=False)
    reply_to: str = ""
    subject: str = field(default="", repr=False)


def listed(connection: Connection, asked: ListCommands) -> list[CommandReport]:
    """Commands in some states, oldest first."""
    matching = _matching(asked.states, asked.operations, asked.before)
    statement = select(*_SHOWN).where(*matching).order_by(_C.received_at, _C.id).limit(asked.limit)
    return [_report(row) for row in connection.execute(statement)]


def matched(connection: Connection, asked: ResolveMatching) -> tuple[dict[str, int], list[str]]:
    """How many there are by operation, and the next of them: their ids begin with the time of acceptance. Raises
    BridgeError for a state in which it cannot be decided so.
    """
    states = asked.states_of([FROM.get(asked.choice, State.HELD)], asked.choice)
    matching = [*_matching(states, asked.operations, asked.before), _C.id > asked.after]
    counts = select(_C.operation, func.count()).where(*matching).group_by(_C.operation)
    ids = select(_C.id).where(*matching).order_by(_C.id).limit(AT_ONCE)
    found = {row[0]: row[1] for row in connection.execute(counts)}
    return found, list(connection.execute(ids).scalars())


def _matching(states: Sequence[State], operations: Sequence[str], before: int) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [_C.state.in_(states)]
    if operations:
        conditions.append(_C.operation.in_(operations))
    if before:
        conditions.append(_C.received_at <= before)
    return conditions


def found(connection: Connection, id: str) -> Kept | None:
    """One command; None if the inbox has it not."""
    row = connection.execute(select(*_SHOWN, _C.envelope, _C.reply_to, _C.subject).where(_C.id == id)).first()
    if row is None:
        return None
    of = select(DECISIONS).where(DECISIONS.c.request == id).order_by(DECISIONS.c.decided_at)
    decisions = tuple(
        DecisionReport(choice=one.choice, by=one.decided_by, at=one.decided_at, note=one.note)
        for one in connection.execute(of)
    )
    return Kept(_report(row), decisions, row.envelope, row.reply_to, row.subject)


def decide(connection: Connection, ruling: Ruling) -> None:
    """Write a decision down. Raises BridgeError, and changes nothing, if there is no such command or it is not in a
    state that can be decided so.

    Done twice, because a commit was done and seemed to fail, it is the same as once.
    """
    before = FROM.get(ruling.choice, State.HELD)
    state = move(before, EVENTS[ruling.choice])
    changes: dict[str, Any] = {
        "state": state, "updated_at": ruling.at, "note": fitted(f"{ruling.choice} by {ruling.by}: {ruling.note}", 400),
    }  # fmt: skip
    if ruling.sealed is not None:
        taken_back = ruling.at if ruling.choice is Choice.CANCEL else None
        changes |= {"code": ruling.code, "reply": ruling.sealed, "replied_at": None, "decided_at": taken_back}
    else:
        changes |= {"decided_at": ruling.at, "crashes": 0}
    statement = INBOX.update().where(_C.id == ruling.id, _C.state == before).values(changes)
    of = {"request": ruling.id, "decided_at": ruling.at}
    line = {"choice": ruling.choice, "decided_by": fitted(ruling.by, 64), "note": fitted(ruling.note, LONGEST_NOTE)}
    if connection.execute(statement).rowcount != 1:
        mine = select(DECISIONS).where(*(DECISIONS.c[name] == value for name, value in (of | line).items()))
        if connection.execute(mine).first() is not None:
            return
        known = connection.execute(select(_C.state).where(_C.id == ruling.id)).first()
        if known is None:
            raise BridgeError(f"the inbox has no request {ruling.id}")
        raise BridgeError(f"request {ruling.id} is {known.state}, {_NOT_SO[before]}")
    connection.execute(DECISIONS.insert().values(of | line))


_NOT_SO = {
    State.HELD: "not held: there is nothing to decide",
    State.RECEIVED: "so it may have been called: it cannot be taken back",
}


def answered(connection: Connection, id: str) -> Came | None:
    """What came of a front's decision, if it was answered before."""
    row = connection.execute(select(ANSWERED_DECISIONS).where(ANSWERED_DECISIONS.c.id == id)).first()
    return None if row is None else Came(row.done, row.because, row.state)


def decide_once(connection: Connection, id: str, request: str, at: int, decide: Callable[[Connection], str]) -> Came:
    """Carry out a front's decision `id` about `request`, unless that was done: then what came of it.

    `decide` returns what there is to say; what it refuses (BridgeError) changes nothing and is kept as a refusal.
    """
    known = answered(connection, id)
    if known is not None:
        return known
    try:
        done, because = True, decide(connection)
    except BridgeError as error:
        done, because = False, str(error)
        # whoever decides what is over was not told its outcome: tell it once more
        again = INBOX.update().where(_C.id == request, _C.reply.is_not(None), _C.replied_at.is_not(None))
        connection.execute(again.values(replied_at=None))
    row = connection.execute(select(_C.state).where(_C.id == request)).first()
    came = Came(done, fitted(because, 400), row.state if row else "")
    connection.execute(
        ANSWERED_DECISIONS.insert().values(
            id=id, request=request, done=came.done, because=came.because, state=came.state, answered_at=at
        )
    )
    return came


def noted(connection: Connection, ruling: Ruling) -> None:
    """Keep who decided that a command begins (or ends) its life here, and have its owner begin with it."""
    line = {"choice": ruling.choice, "decided_by": fitted(ruling.by, 64), "note": fitted(ruling.note, LONGEST_NOTE)}
    connection.execute(DECISIONS.insert().values(request=ruling.id, decided_at=ruling.at, **line))
    unfinished = _C.state.in_([State.RECEIVED, State.UNKNOWN])
    connection.execute(INBOX.update().where(_C.id == ruling.id, unfinished).values(decided_at=ruling.at))


def forget_answers(connection: Connection, before_ms: int) -> None:
    """Of decisions too old to arrive again."""
    connection.execute(ANSWERED_DECISIONS.delete().where(ANSWERED_DECISIONS.c.answered_at < before_ms))


def _report(row: Any) -> CommandReport:
    return CommandReport(
        side="bridge", id=row.id, operation=row.operation, state=row.state, code=row.code, note=row.note,
        source=row.source, owner=row.owner, recorded=row.received_at, calling=row.calling_at or 0,
        attempts=row.attempts, crashes=row.crashes, updated=row.updated_at, replied=row.replied_at or 0,
        expires=row.deadline, decide="here" if row.state == State.HELD else "",
    )  # fmt: skip

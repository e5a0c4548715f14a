"""Commands of the ledger as an administrator sees them, whichever front of this database accepted them; and the one
decision that is carried out here.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from dmz_front.ledger.ledger import UNANSWERED, UNDELIVERED, VERSION_ALONE
from dmz_front.ledger.rows import REQUESTS
from protocol.administration import AT_ONCE, Choice, CommandReport, ListCommands, ResolveMatching
from protocol.errors import BridgeError
from protocol.lifecycle import State

_C = REQUESTS.c
_SHOWN = (
    _C.id, _C.operation, _C.application, _C.front, _C.state, _C.code, _C.accepted_at, _C.sent_at, _C.sends,
    _C.updated_at, _C.answered_at, _C.expires_at,
)  # fmt: skip
"""Nothing that is sealed, hashed or a pseudonym."""


def listed(connection: Connection, asked: ListCommands) -> list[CommandReport]:
    """Commands in some states, the oldest first."""
    matching = _matching(asked.states, asked.operations, asked.before)
    statement = select(*_SHOWN).where(*matching).order_by(_C.id).limit(asked.limit)
    return [_report(row) for row in connection.execute(statement)]


def found(connection: Connection, id: str) -> CommandReport | None:
    """One command; None if it is not here."""
    row = connection.execute(select(*_SHOWN).where(_C.id == id)).first()
    return None if row is None else _report(row)


def matched(connection: Connection, asked: ResolveMatching) -> tuple[dict[str, int], list[str]]:
    """How many could be decided so, by operation, and the next of them, in the order of acceptance. Raises BridgeError
    for a state in which it cannot be.
    """
    states = asked.states_of(UNANSWERED if asked.choice is Choice.CANCEL else (State.HELD,), asked.choice)
    matching = [*_matching(states, asked.operations, asked.before), _C.id > asked.after]
    if asked.choice is Choice.RESEND:
        matching.append(_C.code == UNDELIVERED)
    counts = select(_C.operation, func.count()).where(*matching).group_by(_C.operation)
    ids = select(_C.id).where(*matching).order_by(_C.id).limit(AT_ONCE)
    return {row[0]: row[1] for row in connection.execute(counts)}, list(connection.execute(ids).scalars())


def give_up(connection: Connection, id: str, now: int) -> None:
    """An operator's word that what no bridge has confirmed was not applied. Raises BridgeError if it is."""
    mine = (_C.id == id) & (_C.state == State.HELD) & (_C.code == UNDELIVERED)
    failed = REQUESTS.update().where(mine)
    failed = failed.values(state=State.FAILED, code="not-applied", reply=None, envelope=VERSION_ALONE, updated_at=now)
    if connection.execute(failed).rowcount != 1:
        raise BridgeError(f"request {id} is not held as undelivered any more")


def _matching(states: Sequence[State], operations: Sequence[str], before: int) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [_C.state.in_(states)]
    if operations:
        conditions.append(_C.operation.in_(operations))
    if before:
        conditions.append(_C.accepted_at <= before)
    return conditions


def _report(row: Any) -> CommandReport:
    return CommandReport(
        side="front", id=row.id, operation=row.operation, state=row.state, code=row.code,
        source=f"{row.front}/{row.application}", owner=row.front, recorded=row.accepted_at, sent=row.sent_at or 0,
        sends=row.sends, updated=row.updated_at, replied=row.answered_at or 0, expires=row.expires_at,
        decide="here" if row.state == State.HELD else "",
    )  # fmt: skip

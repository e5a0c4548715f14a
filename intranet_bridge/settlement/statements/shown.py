"""Files of statements as a person looks at them: those of a day, those that need somebody, one of them."""

import json
from collections.abc import Collection
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, or_, select

from intranet_bridge.settlement.rows import FILES
from intranet_bridge.settlement.statements.life import FileState
from intranet_bridge.settlement.statements.verdicts import Finding
from protocol.values import immutable

_F = FILES.c
UNANSWERED = (FileState.REFUSED, FileState.INCOMPLETE)
"""Of no effect: somebody asks the sender for a good one."""
TAKEN = (FileState.ACCEPTED, FileState.MATCHED, FileState.CLOSED)


@immutable
class StatementFile:
    """One file, and what was said of it. Amounts in fen, `fee` in thousandths of one."""

    id: str
    name: str
    profile: str
    channel: str
    day: date
    merchant: str
    sha256: str
    state: FileState
    code: str
    findings: tuple[Finding, ...]
    rows: int
    paid: int
    refunded: int
    settled: int
    fee: int
    who: str
    received_at: int
    updated_at: int


def files(
    connection: Connection, *, day: date | None = None, channel: str = "", states: Collection[FileState] = (),
    before: str = "", limit: int,
) -> list[StatementFile]:  # fmt: skip
    """The newest that are so, the newest first. `before`: the id at which the page before it ended."""
    asked = select(FILES).order_by(_F.id.desc()).limit(limit)
    if day is not None:
        asked = asked.where(_F.day == day)
    if channel:
        asked = asked.where(_F.channel == channel)
    if states:
        asked = asked.where(_F.state.in_(states))
    if before:
        asked = asked.where(_F.id < before)
    return [_file(row) for row in connection.execute(asked)]


def file(connection: Connection, id: str) -> StatementFile | None:
    """One; None: there is none."""
    row = connection.execute(select(FILES).where(_F.id == id)).first()
    return _file(row) if row is not None else None


def unsettled(connection: Connection, limit: int) -> list[StatementFile]:
    """Files that need somebody, the newest first: what waits for a decision, and what had no effect and no good file of
    the same name since.
    """
    other = FILES.alias()
    mended = exists().where(other.c.name == _F.name, other.c.state.in_(TAKEN))
    asked = (
        select(FILES)
        .where(or_(_F.state == FileState.CONFLICTING, and_(_F.state.in_(UNANSWERED), ~mended)))
        .order_by(_F.id.desc())
        .limit(limit)
    )
    return [_file(row) for row in connection.execute(asked)]


def channels(connection: Connection) -> list[str]:
    """Of which there are files."""
    return list(connection.execute(select(_F.channel).distinct().order_by(_F.channel)).scalars())


def last_day(connection: Connection) -> date | None:
    """The latest day of which there is a file."""
    return connection.execute(select(_F.day).order_by(_F.day.desc()).limit(1)).scalar()


def _file(row: Row[Any]) -> StatementFile:
    found = tuple(
        Finding(one["what"], one["line"], one["column"], one["expected"], one["found"])
        for one in json.loads(row.findings)
    )
    return StatementFile(
        row.id, row.name, row.profile, row.channel, row.day, row.merchant, row.sha256, FileState(row.state), row.code,
        found, row.rows, row.paid, row.refunded, row.settled, row.fee, row.who, row.received_at, row.updated_at,
    )  # fmt: skip

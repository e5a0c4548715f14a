"""Files of statements as a person looks for them: page by page, and one with all that is on record of it."""

import json
from collections.abc import Collection
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, select

from intranet_bridge.settlement.rows import FILES
from intranet_bridge.settlement.statements.life import FileState
from intranet_bridge.settlement.statements.verdicts import Finding
from protocol.values import immutable

_F = FILES.c


@immutable
class FileOnRecord:
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
) -> list[FileOnRecord]:  # fmt: skip
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


def file(connection: Connection, id: str) -> FileOnRecord | None:
    """One; None: there is none."""
    row = connection.execute(select(FILES).where(_F.id == id)).first()
    return _file(row) if row is not None else None


def channels(connection: Connection) -> list[str]:
    """Of which there are files."""
    return list(connection.execute(select(_F.channel).distinct().order_by(_F.channel)).scalars())


def _file(row: Row[Any]) -> FileOnRecord:
    found = tuple(
        Finding(one["what"], one["line"], one["column"], one["expected"], one["found"])
        for one in json.loads(row.findings)
    )
    return FileOnRecord(
        row.id, row.name, row.profile, row.channel, row.day, row.merchant, row.sha256, FileState(row.state), row.code,
        found, row.rows, row.paid, row.refunded, row.settled, row.fee, row.who, row.received_at, row.updated_at,
    )  # fmt: skip

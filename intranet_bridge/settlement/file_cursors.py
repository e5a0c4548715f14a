"""How far the files that crossed were looked through, by who reads them and by their profile, in the bridge's database.

Each profile has a cursor of its own: one that is configured later begins with the first file that is kept, not where
the others are, and no file is met twice. Beside it stands what such files are judged by: when that has changed, those
that had no effect are judged again, for what refused them may have been ours.
"""

import hashlib
import json
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, String, Table, and_, or_, select

from intranet_bridge.inbox.rows import METADATA
from protocol.runtime.store_statements import insert_new
from protocol.values import immutable

FILE_CURSORS = Table(
    "file_cursors",
    METADATA,
    Column("reader", String(16), primary_key=True),
    Column("profile", String(64), primary_key=True),
    Column("accepted_at", BigInteger, nullable=False),
    Column("file", String(64), nullable=False),
    Column("judged_by", String(64), nullable=False),
)
"""`reader`: statements or withholding. `judged_by`: a digest; empty: of a release that did not write it down."""
_C = FILE_CURSORS.c
BEGINNING = (0, "")


@immutable
class Cursor:
    """Of one reader and profile."""

    to: tuple[int, str] = BEGINNING
    """The last file that was looked at, by its `accepted_at` and `id`."""
    judged_by: str = ""


def digest_of(*told: Any) -> str:
    """Of what files are judged by: values that JSON knows."""
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def read(connection: Connection, reader: str, profile: str) -> Cursor:
    """Where a reader is."""
    asked = select(_C.accepted_at, _C.file, _C.judged_by).where(_C.reader == reader, _C.profile == profile)
    row = connection.execute(asked).first()
    return Cursor((row.accepted_at, row.file), row.judged_by) if row is not None else Cursor()


def advance(connection: Connection, reader: str, profile: str, to: tuple[int, str]) -> None:
    """It has looked at files up to this one; never back."""
    _begun(connection, reader, profile)
    further = or_(_C.accepted_at < to[0], and_(_C.accepted_at == to[0], _C.file < to[1]))
    mine = FILE_CURSORS.update().where(_C.reader == reader, _C.profile == profile, further)
    connection.execute(mine.values(accepted_at=to[0], file=to[1]))


def judge_by(connection: Connection, reader: str, profile: str, judged_by: str) -> bool:
    """Files are judged by this from now on. Whether they were judged by something else before."""
    _begun(connection, reader, profile)
    mine = and_(_C.reader == reader, _C.profile == profile)
    before = connection.execute(select(_C.judged_by).where(mine).with_for_update()).scalar_one()
    if before != judged_by:
        connection.execute(FILE_CURSORS.update().where(mine).values(judged_by=judged_by))
    return bool(before) and before != judged_by


def _begun(connection: Connection, reader: str, profile: str) -> None:
    values = {"reader": reader, "profile": profile, "accepted_at": 0, "file": "", "judged_by": ""}
    insert_new(connection, FILE_CURSORS, [values])

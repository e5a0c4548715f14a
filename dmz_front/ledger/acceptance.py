"""Acceptance: rows go into the ledger, each once for its idempotency key and after the row it has to follow.

The order of commands about one subject is the order of their acceptance. It travels with them: each is sealed with
the id of its predecessor, the unfinished row of the same subject that was accepted last, by whichever front of this
database; so the bridge need not rely on the order in which a broker delivers.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import JSON, Column, Connection, ScalarSelect, Select, String, bindparam, cast, func, select, text
from sqlalchemy.sql.selectable import TableValuedAlias

from dmz_front.ledger.rows import COLUMNS, IN_ORDER, NAMES, REQUESTS, Row, row_of
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.store_statements import insert_new

Seal = Callable[[str], bytes]
"""Makes a row's envelope from the id of its predecessor, or an empty one. May be called more than once."""


def same_key(row: Row) -> Select[Any]:
    """The row that has the idempotency key of `row`, over COLUMNS."""
    return select(*COLUMNS).where(
        REQUESTS.c.application == row.application, REQUESTS.c.idempotency_key == row.idempotency_key
    )


Proposed = tuple[Row, Seal | None]
"""Without a `Seal` the row has its envelope already."""


def accept(
    connection: Connection, asked: Sequence[Proposed], audit: Callable[[Connection, Sequence[Row]], None]
) -> Sequence[Row]:
    """Insert new rows; returns each with its envelope, or the row that has its idempotency key already.

    Rows of one subject go in one after another, each sealed with the one before it as its predecessor. `audit` is told
    the new ones.
    """
    fresh: list[Row] = []
    last = _last(connection, sorted({row.subject for row, _ in asked if row.subject}))
    held: dict[str, Row] = {}
    left = asked
    while left:
        turn, left = _turn(left)
        rows = [_placed(row, seal, last.get(row.subject)) for row, seal in turn]
        rows.sort(key=lambda row: (row.application, row.idempotency_key))  # the same at every front
        new = insert_new(connection, REQUESTS, [{name: getattr(row, name) for name in NAMES} for row in rows])
        for row in rows:
            if row.id in new:
                held[row.id] = row
                fresh.append(row)
                if row.subject:
                    last[row.subject] = row.id, row.position
            else:
                held[row.id] = row_of(connection.execute(same_key(row)).one())
    audit(connection, fresh)
    reach(Point.FRONT_ACCEPT_UNCOMMITTED)
    return [held[row.id] for row, _ in asked]


def _turn(asked: Sequence[Proposed]) -> tuple[Sequence[Proposed], Sequence[Proposed]]:
    """The first row of each subject, and the others: which of them become rows is known only when the first has."""
    turn: list[Proposed] = []
    left: list[Proposed] = []
    subjects: set[str] = set()
    for row, seal in asked:
        (left if row.subject in subjects else turn).append((row, seal))
        if row.subject:
            subjects.add(row.subject)
    return turn, left


def _placed(row: Row, seal: Seal | None, last: tuple[str, int] | None) -> Row:
    after, position = last or ("", 0)
    if seal is None and not row.subject:
        return row
    return replace(row, envelope=row.envelope if seal is None else seal(after), position=position + 1)


def _last(connection: Connection, subjects: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Id and position of the last row in order of each subject that has one."""
    if not subjects:
        return {}
    given = {"subjects": json.dumps(subjects)}
    dialect = connection.dialect.name
    if dialect == "postgresql":
        # Two fronts that accept for one subject at once would both name the same predecessor, and the next row
        # only one of the two. The lock lasts until the commit; the sorted order keeps fronts from a deadlock.
        connection.execute(_LOCK, given)
    found = connection.execute(_LAST[dialect], given)
    return {row.subject: (row.id, row.position) for row in found if row.id is not None}


def _last_of(wanted: TableValuedAlias) -> Select[Any]:
    def of_the_last(column: Column[Any]) -> ScalarSelect[Any]:
        last = select(column).where(REQUESTS.c.subject == wanted.c.value, text(IN_ORDER))
        return last.order_by(REQUESTS.c.position.desc()).limit(1).correlate(wanted).scalar_subquery()

    # Each by a look into the index. A join with the ids that one of them finds would be given a walk over all rows by a
    # PostgreSQL server that does not know the table yet
    return select(
        wanted.c.value.label("subject"),
        of_the_last(REQUESTS.c.id).label("id"),
        of_the_last(REQUESTS.c.position).label("position"),
    )


_SUBJECTS = bindparam("subjects", type_=String)
_LAST = {
    # two looks into the index for each subject, in one statement
    "sqlite": _last_of(func.json_each(_SUBJECTS).table_valued("value", name="wanted")),
    "postgresql": _last_of(func.json_array_elements_text(cast(_SUBJECTS, JSON)).table_valued("value", name="wanted")),
}
_LOCK = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(value, 61616))"
    " FROM json_array_elements_text(CAST(:subjects AS JSON))"
)

"""Reading the effects journal: what was applied, how often, and the response that was given."""

import sqlite3

LINES = "SELECT request_id, operation, applied, at, answer ->> '$.data.woNo' FROM journal"
LINE_BY_REQUEST = f"{LINES} WHERE request_id = ?"
SUMMARY = "SELECT count(*), coalesce(sum(applied), 0), coalesce(sum(applied > 1), 0) FROM journal"
ANSWER = "SELECT answer FROM journal WHERE request_id = ?"


def lines(connection: sqlite3.Connection, request_id: str | None = None) -> list[dict[str, object]]:
    """All entries, ordered by request id, or the one (or none) of a request; `at` and `effect`, the number of the
    work order it made, are the first application's.
    """
    if request_id is None:
        rows = connection.execute(f"{LINES} ORDER BY request_id").fetchall()
    else:
        rows = connection.execute(LINE_BY_REQUEST, (request_id,)).fetchall()
    return [
        {"request_id": identity, "operation": operation, "applied": applied, "at": at, "effect": effect}
        for identity, operation, applied, at, effect in rows
    ]


def summary(connection: sqlite3.Connection) -> dict[str, int]:
    """Counts: requests applied, effects they made, requests applied more than once."""
    requests, applied, more_than_once = connection.execute(SUMMARY).fetchone()
    return {"requests": requests, "applied": applied, "applied_more_than_once": more_than_once}


def stored_answer(connection: sqlite3.Connection, request_id: str) -> str | None:
    """The response body of a request's first application."""
    row = connection.execute(ANSWER, (request_id,)).fetchone()
    return None if row is None else str(row[0])

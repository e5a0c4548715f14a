"""What of the daily quotas is used, in the ledger: each front has rows of its own, so that none waits for another."""

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from dmz_front.ledger.rows import QUOTA_USE
from protocol.runtime.store_statements import insert_or_set

Uses = dict[tuple[str, str], int]
"""Requests by application and operation."""


def save(connection: Connection, front: str, day: str, uses: Mapping[tuple[str, str], int]) -> None:
    """Set what this front has counted. `day`: YYYY-MM-DD."""
    rows = [
        {"day": day, "front": front, "application": application, "operation": operation, "used": used}
        for (application, operation), used in uses.items()
    ]
    if rows:
        insert_or_set(connection, QUOTA_USE, rows)


def own(connection: Connection, front: str, day: str) -> Uses:
    """What this front had counted that day."""
    table = QUOTA_USE.c
    statement = select(table.application, table.operation, table.used).where(table.day == day, table.front == front)
    return {(row.application, row.operation): row.used for row in connection.execute(statement)}


def of_others(connection: Connection, front: str, day: str) -> Uses:
    """What the other fronts of this ledger have counted that day, together."""
    table = QUOTA_USE.c
    statement = (
        select(table.application, table.operation, func.sum(table.used).label("used"))
        .where(table.day == day, table.front != front)
        .group_by(table.application, table.operation)
    )
    return {(row.application, row.operation): int(row.used) for row in connection.execute(statement)}


def forget(connection: Connection, before: str) -> int:
    """Delete what is of days before this one."""
    return connection.execute(QUOTA_USE.delete().where(QUOTA_USE.c.day < before)).rowcount

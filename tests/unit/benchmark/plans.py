"""How a database goes about the statements that a store executes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from protocol.runtime.store import Store


@contextmanager
def plans_of(store: Store) -> Iterator[Mapping[str, set[str]]]:
    """The steps of each statement's plan, of those that are executed meanwhile."""
    plans: dict[str, set[str]] = {}
    explain, at = ("EXPLAIN QUERY PLAN", 3) if store._engine.dialect.name == "sqlite" else ("EXPLAIN", 0)

    def explained(_connection: Any, cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            rows = cursor.connection.execute(f"{explain} {statement}", parameters[0] if many else parameters)
            plans.setdefault(statement, set()).update(row[at].strip() for row in rows)

    event.listen(store._engine, "before_cursor_execute", explained)
    try:
        yield plans
    finally:
        event.remove(store._engine, "before_cursor_execute", explained)

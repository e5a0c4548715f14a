"""Which statements a store executes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from protocol.runtime.store import Store


@contextmanager
def statements_of(store: Store) -> Iterator[list[str]]:
    """Each execution meanwhile; of many rows at once one."""
    statements: list[str] = []

    def executed(_connection: Any, _cursor: Any, statement: str, *_about: Any) -> None:
        statements.append(statement)

    event.listen(store._engine, "before_cursor_execute", executed)
    try:
        yield statements
    finally:
        event.remove(store._engine, "before_cursor_execute", executed)

"""Alembic walks the whole line of revisions once in a process; what it said to the database is then said again to each
other empty one. On PostgreSQL it may have waiting what is to be made (reuse.py).

What surrounds it stays: the lock, the one transaction, what is found before, what is logged. To an empty database the
revisions always say the same; test_migrations.py compares the two.
"""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, inspect

from protocol.runtime.migrate import Migrations, Step
from tests.support.reuse import given, made

_CHANGING = frozenset({"ALTER", "CREATE", "DELETE", "DROP", "INSERT", "UPDATE"})
_said: dict[tuple[Path, str], list[tuple[str, Any]]] = {}
"""Folder of migrations and dialect → statements and their parameters."""


def remember_schemas(patch: pytest.MonkeyPatch) -> None:
    """From now on, until the patch is undone."""
    walk = Migrations._run

    def run(self: Migrations, connection: Connection, step: Step, target: str) -> None:
        if step is not Step.UPGRADE or target != self.newest or inspect(connection).get_table_names():
            walk(self, connection, step, target)
            return
        spares = connection.dialect.name == "postgresql"
        if spares and given(connection, self.name):
            return
        key = (self.folder, connection.dialect.name)
        if key not in _said:
            _said[key] = _heard(connection, lambda: walk(self, connection, step, target))
        else:
            for statement, parameters in _said[key]:
                connection.exec_driver_sql(statement, parameters)
        if spares:
            made(connection, self.name)

    patch.setattr(Migrations, "_run", run)


def _heard(connection: Connection, do: Any) -> list[tuple[str, Any]]:
    """The statements by which `do` changes the database."""
    heard: list[tuple[str, Any]] = []

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.split(maxsplit=1)[0].upper() in _CHANGING:
            heard.append((statement, parameters or None))

    event.listen(connection, "before_cursor_execute", hear)
    try:
        do()
    finally:
        event.remove(connection, "before_cursor_execute", hear)
    return heard

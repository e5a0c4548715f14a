"""A database whose driver takes few parameters in one statement: a test's few hundred rows stand for its 65,535."""

import sqlite3
from typing import Any

from sqlalchemy import event

from protocol.runtime.store import BATCH, Store

ROWS = 2 * BATCH + 1


def few_parameters(store: Store) -> None:
    """Before the store is started: each connection takes fewer than there are rows."""

    def limited(connection: Any, _record: object) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, ROWS - 1)

    event.listen(store._engine, "connect", limited)
    if store._scans is not store._engine:
        event.listen(store._scans, "connect", limited)

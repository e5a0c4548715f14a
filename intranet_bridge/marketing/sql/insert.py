"""Handing a command over: one insert, in a transaction of its own.

Until COMMIT is sent, what the server turns down is rolled back; from then on, only what a dialect is sure of counts.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from intranet_bridge.marketing import NotApplied, Outcome, Rejected
from intranet_bridge.marketing.sql.database import Attempt, Database, Lost
from intranet_bridge.marketing.sql.dialects import Said
from intranet_bridge.marketing.sql.statement import compiled, parameters


class Insert:
    """The statement that hands over."""

    def __init__(self, text: str, database: Database) -> None:
        self._statement, self._names = compiled(text), parameters(text)
        self._database = database
        self.lines = [text]
        """The statement, for a trial."""

    def done(self, connection: Connection, attempt: Attempt, given: Mapping[str, Any]) -> Outcome | None:
        """None: it is handed over, now or by an earlier attempt. Raises NotSent, Lost."""
        dialect = self._database.dialect
        attempt.hand_over()
        try:
            dialect.begin_writing(connection)
            connection.execute(self._statement, {name: given[name] for name in self._names})
        except DBAPIError as error:
            return self._turned_down(error, dialect.said(error))
        attempt.hand_over()  # a lock may have been waited for, and nobody waits for this any more
        try:
            connection.commit()
        except DBAPIError as error:
            return self._turned_down(error, dialect.said_at_commit(error))
        return None

    def _turned_down(self, error: DBAPIError, said: Said) -> Outcome | None:
        reason = self._database.failure(error)
        match said:
            case Said.DUPLICATE:
                return None
            case Said.UNFIT:
                return Rejected(f"its values do not fit: {reason}")
            case Said.DENIED:
                return NotApplied(f"insert: {reason}", reached=False, denied=True)
            case Said.TIMEOUT | Said.NO:
                return NotApplied(f"insert: {reason}", reached=True)
        raise Lost(f"insert: {reason}") from None

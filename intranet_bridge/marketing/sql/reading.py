"""Statements that give rows: one answer, of one state of the database."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection

from intranet_bridge.marketing.sql.statement import compiled, parameters
from intranet_bridge.marketing.sql.values import UnreadableRows, objects


class Reading:
    """Statements by the name that their rows have in the answer."""

    def __init__(self, statements: Mapping[str, str], row_limit: int, json_columns: Collection[str]) -> None:
        """`json_columns`: in lower case."""
        self._statements = {name: (compiled(text), parameters(text)) for name, text in statements.items()}
        self._row_limit, self._json_columns = row_limit, json_columns
        self.lines = list(statements.values())
        """The statements, for a trial."""

    @property
    def several(self) -> bool:
        """Whether they must see one state."""
        return len(self._statements) > 1

    def rows(self, connection: Connection, given: Mapping[str, Any]) -> dict[str, Any]:
        """The answer: ``{name: [row, ...]}``. Raises UnreadableRows, DBAPIError."""
        answer: dict[str, Any] = {}
        for name, (statement, names) in self._statements.items():
            result = connection.execute(statement, {one: given[one] for one in names})
            rows = result.fetchmany(self._row_limit + 1)
            if len(rows) > self._row_limit:
                raise UnreadableRows(f"{name}: more than {self._row_limit} rows")
            answer[name] = objects(tuple(result.keys()), rows, self._json_columns)
            result.close()
        return answer


def saved_answer(saved: bytes) -> dict[str, Any]:
    """A saved answer, for a trial: ``{"rows": [{...}]}`` or the list alone. Raises UnreadableRows."""
    try:
        value = from_json(saved, allow_inf_nan=False)
    except ValueError:
        raise UnreadableRows("the saved answer is not JSON") from None
    answer = {"rows": value} if isinstance(value, list) else value
    if not isinstance(answer, dict) or not all(
        isinstance(rows, list) and all(isinstance(row, dict) for row in rows) for rows in answer.values()
    ):
        raise UnreadableRows('the saved answer is no list of rows, and no {"rows": [{...}]}')
    return answer

"""The interface tables in their database: made when they are not there, read and written a transaction at a time."""

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, create_engine, event, text
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")
Row = Mapping[str, Any]
"""Column → value; what is no column of the table is left out, a list or object becomes JSON."""
Rows = Mapping[str, Sequence[Row]]
"""Table → rows."""

SCHEMA = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
PROBE = "SELECT COUNT(*) FROM INF_REQ WHERE STATUS IS NULL"
CASES = "SELECT COUNT(*) FROM INF_TYPE WHERE KIND = 'NEWS'"
"""There are some of the kind `news`."""
_COMMENT = re.compile(r"--.*")
_TABLE = re.compile(r"CREATE TABLE (\w+) \((.*)\)", re.DOTALL)
_COLUMN = re.compile(r"^ +([A-Z][A-Z0-9_]*) +(?:VARCHAR|INTEGER|BIGINT|TEXT|TIMESTAMP|DOUBLE)", re.MULTILINE)
WAIT_S = 5
"""For another's transaction on SQLite."""


class StoreError(Exception):
    """The database is no place for the tables; the message says why."""


@dataclass(frozen=True, slots=True)
class Change:
    """The rows of one thing, all of which are replaced."""

    column: str | None
    """What says whose the rows are; None: the tables have no others."""
    key: str
    tables: Sequence[str]
    rows: Rows


def statements() -> list[str]:
    """Of the schema, one a table."""
    return [one.strip() for one in _COMMENT.sub("", SCHEMA).split(";") if one.strip()]


def columns() -> dict[str, tuple[str, ...]]:
    """Each table's columns."""
    found = (_TABLE.fullmatch(statement) for statement in statements())
    return {table[1]: tuple(_COLUMN.findall(table[2])) for table in found if table is not None}


class Store:
    """A database with the interface tables. Its work is done on a thread of its own. Raises SQLAlchemyError."""

    def __init__(self, url: URL) -> None:
        sqlite = url.get_backend_name() == "sqlite"
        self._engine = create_engine(url, pool_pre_ping=True, connect_args={"timeout": WAIT_S} if sqlite else {})
        if sqlite:
            event.listen(self._engine, "connect", _write_ahead)
        self.columns = columns()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="interface-tables")

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do it in one transaction."""

        def transaction() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)

    async def prepare(self) -> None:
        """Make the tables, if there is no request table."""
        try:
            await self.run(lambda connection: connection.execute(text(PROBE)).scalar())
        except DBAPIError:
            await self.run(_create)

    async def check(self) -> None:
        """See that `a` is not `A`: else one user's rows are another's. Raises StoreError."""
        if await self.run(lambda connection: connection.execute(text(CASES)).scalar()):
            raise StoreError("the database does not tell cases apart (MySQL: CREATE DATABASE ... COLLATE utf8mb4_bin)")

    async def replace(self, changes: Iterable[Change]) -> None:
        """Put rows in the place of those that were there."""
        given = list(changes)

        def write(connection: Connection) -> None:
            for change in given:
                for table in change.tables:
                    where = "" if change.column is None else f" WHERE {change.column} = :key"
                    connection.execute(text(f"DELETE FROM {table}{where}"), {"key": change.key} if where else {})  # noqa: S608
            for table in self.columns:
                rows = [row for change in given for row in change.rows.get(table, ())]
                if rows:
                    self._insert(connection, table, rows)

        await self.run(write)

    def _insert(self, connection: Connection, table: str, rows: Iterable[Row]) -> None:
        names = self.columns[table]
        values = ", ".join(f":{name}" for name in names)
        statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"  # noqa: S608 - of the schema
        connection.execute(text(statement), [{name: _plain(row.get(name)) for name in names} for row in rows])

    async def waiting(self, table: str, most: int) -> list[dict[str, Any]]:
        """Rows of a request table that nobody has answered, the oldest first, at most so many."""
        statement = text(f"SELECT * FROM {table} WHERE STATUS = '0' ORDER BY CREATE_TIME, REQ_ID LIMIT {most:d}")  # noqa: S608

        def read(connection: Connection) -> list[dict[str, Any]]:
            found = connection.execute(statement)
            names = [name.upper() for name in found.keys()]  # noqa: SIM118 - its columns, no mapping's keys
            return [dict(zip(names, row, strict=True)) for row in found]

        return await self.run(read)

    async def answer(self, table: str, request_id: str, row: Row) -> None:
        """Write what came of a request."""
        values = {name: _plain(row[name]) for name in self.columns[table] if name in row}
        changes = ", ".join(f"{name} = :{name}" for name in values)
        statement = f"UPDATE {table} SET {changes} WHERE REQ_ID = :id AND STATUS = '0'"  # noqa: S608 - of the schema
        await self.run(lambda connection: connection.execute(text(statement), {**values, "id": request_id}))

    def close(self) -> None:
        """Let go of the database."""
        self._thread.shutdown()
        self._engine.dispose()


def _create(connection: Connection) -> None:
    for statement in statements():
        connection.execute(text(statement))


def _write_ahead(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value

"""The kind `sql`: see the package."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from intranet_bridge.marketing.kind import AdapterKind, Complaint, Observer, System
from intranet_bridge.marketing.passwords import password_in
from intranet_bridge.marketing.sql.adapter import SqlAdapter
from intranet_bridge.marketing.sql.binding import SqlBinding, SqlSystem
from intranet_bridge.marketing.sql.check import complaints
from intranet_bridge.marketing.sql.database import Attempt, Database
from intranet_bridge.marketing.sql.reading import Reading, saved_answer
from intranet_bridge.marketing.sql.values import UnreadableRows
from protocol.errors import ConfigurationError
from protocol.operations.operation import Operation
from protocol.runtime.metrics import Sample


class OpenSqlSystem:
    """One database, with its connections."""

    def __init__(self, name: str, system: SqlSystem, observer: Observer | None = None) -> None:
        """Raises ConfigurationError for a driver or files that cannot be used."""
        self._name, self._system, self._observer = name, system, observer
        password = ""
        if observer is not None and observer.saved is not None:
            try:
                saved_answer(observer.saved)
            except UnreadableRows as error:
                raise ConfigurationError(str(error)) from None
        if system.password_file is not None and (observer is None or observer.sends):
            password = password_in(system.password_file)
            if observer is not None:
                observer.mask.hide(password)
        self._database = Database(system, password)

    def adapter(self, operation: Operation, binding: SqlBinding) -> SqlAdapter:
        """The adapter of one operation."""
        return SqlAdapter(operation, binding, self._system, self._database, self._observer)

    async def read(self, reading: Reading, given: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Rows that no operation asks for. Raises NotSent, Lost, UnreadableRows, SQLAlchemyError."""
        dialect = self._database.dialect

        def job(connection: Connection, attempt: Attempt) -> dict[str, Any]:
            attempt.hand_over()
            dialect.begin_reading(connection, snapshot=reading.several)
            answer = reading.rows(connection, given)
            connection.commit()
            return answer

        return await self._database.perform(job, timeout_s, repeatable=True)

    def failure(self, error: SQLAlchemyError) -> str:
        """What may be told of an error."""
        return self._database.failure(error)

    async def start(self) -> None:
        """Connections are made when they are needed."""

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        labels = {"system": self._name}
        text = "Open connections to the marketing system"
        yield "intranet_bridge_marketing_connections", text, labels, self._database.open
        yield "intranet_bridge_marketing_connections_made_total", "Made", labels, self._database.made


class SqlKind:
    """See `AdapterKind`."""

    system = SqlSystem
    binding = SqlBinding

    def complaints(self, operation: Operation, binding: SqlBinding) -> Iterator[Complaint]:
        """All that is wrong with a binding, as far as a start can know without the database."""
        return complaints(operation, binding)

    def open(self, name: str, system: SqlSystem, observer: Observer | None = None) -> System:
        """A database. Raises ConfigurationError for a driver or files that cannot be used."""
        return OpenSqlSystem(name, system, observer)


KIND: AdapterKind = SqlKind()

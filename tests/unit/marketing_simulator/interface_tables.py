"""A marketing system and its interface tables, in one process and at a moment that the test moves."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from scripts.tools.marketing_simulator.business import offered
from scripts.tools.marketing_simulator.faces.sql.exports import Exports
from scripts.tools.marketing_simulator.faces.sql.face import SqlFace
from scripts.tools.marketing_simulator.faces.sql.store import Store
from scripts.tools.marketing_simulator.faults import FaultInjector
from scripts.tools.marketing_simulator.server import MarketingInterfaces
from tests.unit.marketing_simulator.inside import Inside

NODE_S = 20.0


class Face:
    """A marketing system and its interface tables."""

    def __init__(self, folder: Path) -> None:
        self.inside = Inside(folder / "marketing.sqlite3")
        self.file = folder / "interface.sqlite3"
        self.faults = FaultInjector()
        self.offered = offered(
            self.inside.reading, self.inside.effects, self.inside.clock, node_seconds=NODE_S, idempotent=False
        )
        self.restart()

    def restart(self) -> None:
        """Another process on the same files."""
        self.store = Store(URL.create("sqlite", database=str(self.file)))
        inside = self.inside
        exports = Exports(self.offered, inside.reading, inside.clock, NODE_S)
        interfaces = MarketingInterfaces("token", self.faults)
        self.face = SqlFace(self.store, exports, interfaces, self.offered, inside.reading, inside.clock)
        inside.effects.listener = self.face.applied
        asyncio.run(self.face.prepare())

    def turn(self) -> None:
        """What waits is carried out."""

        async def both() -> None:
            await self.face.turn()
            await self.face.settle()

        asyncio.run(both())

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        with sqlite3.connect(self.file) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement, values)]

    def request(self, table: str, row: dict[str, Any]) -> dict[str, Any]:
        """Hand a request over; its row after a turn."""
        with sqlite3.connect(self.file) as connection:
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", (*row.values(),))
        self.turn()
        return self.row_of(table, row["REQ_ID"])

    def row_of(self, table: str, request_id: str) -> dict[str, Any]:
        return self.rows(f"SELECT * FROM {table} WHERE REQ_ID = ?", request_id)[0]

    def applied(self, request_id: str) -> int | None:
        return self.inside.applied(request_id)

    def close(self) -> None:
        self.face.close()
        self.inside.close()

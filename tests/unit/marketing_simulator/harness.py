"""The simulator's inside on a small database, under a clock of the test's."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from scripts.tools.marketing_simulator import database
from scripts.tools.marketing_simulator.applications import Applications
from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.effects import Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import Fields
from scripts.tools.marketing_simulator.queries import Queries
from scripts.tools.marketing_simulator.theft import TheftReports
from scripts.tools.marketing_simulator.work_order_service import WorkOrderService
from scripts.tools.marketing_simulator.work_orders import WorkOrders

TODAY = date(2026, 1, 15)
NODE_SECONDS = 60.0


class Marketing:
    """The simulator's inside on a small database, at a moment that the test moves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        database.prepare(path, customers=20, seed=1, today=TODAY)
        self.moment = datetime(2026, 1, 15, 1, 0, tzinfo=UTC)  # 09:00 in China
        clock = Clock(TODAY, lambda: self.moment)
        self.reading = database.connect_for_reading(path)
        self.effects = EffectWriter(database.connect(path), clock)
        self.queries = Queries(self.reading, clock)
        self.orders = WorkOrders(self.reading, self.effects, self.queries, clock, node_seconds=NODE_SECONDS)
        self.service = WorkOrderService(self.reading, self.effects, self.queries, clock, node_seconds=NODE_SECONDS)

        self.applications = Applications(self.reading, self.effects, self.queries, clock, node_seconds=NODE_SECONDS)
        self.thefts = TheftReports(self.reading, self.effects, clock, node_seconds=NODE_SECONDS)

    def create(self, *bodies: dict[str, Any], once: bool = False) -> list[dict[str, Any]]:
        """Apply requests at the same moment."""
        create = self.orders.create_once if once else self.orders.create

        async def together() -> list[Applied]:
            return await asyncio.gather(*(create(fields(body)) for body in bodies))

        return [json.loads(applied.body)["data"] for applied in asyncio.run(together())]

    def apply(self, effect: Callable[[Fields], Awaitable[Applied]], **body: Any) -> Any:
        """The answer to one request that writes."""

        async def one() -> Applied:
            return await effect(fields(body))

        return data(asyncio.run(one()).body)

    def keep_files(self, *numbers: str) -> None:
        """Files that were handed over before."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            rows = [(number, number, "png", 1, "0" * 64) for number in numbers]
            connection.executemany("INSERT OR IGNORE INTO uploaded_file VALUES (?, ?, ?, ?, ?)", rows)

    def close(self) -> None:
        asyncio.run(self.effects.close())
        self.reading.close()


def fields(body: dict[str, Any]) -> Fields:
    return Fields(json.dumps(body).encode())


def data(body: bytes) -> Any:
    answer = json.loads(body)
    assert answer["rtnCode"] == "0000"
    return answer["data"]

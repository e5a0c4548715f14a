"""The simulator's inside on a small database, without a network, at a moment that the test moves."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.marketing_simulator import database, journal
from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.effects import Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import Fields
from scripts.tools.marketing_simulator.queries import Queries
from scripts.tools.marketing_simulator.responses import Refusal

TODAY = date(2026, 1, 15)


class Inside:
    """What every family is made of."""

    def __init__(self, path: Path, customers: int = 20) -> None:
        database.prepare(path, customers=customers, seed=1, today=TODAY)
        self.today = TODAY
        self.moment = datetime(2026, 1, 15, 1, 0, tzinfo=UTC)  # 09:00 in China
        self.clock = _MovedClock(self)
        self.reading = database.connect_for_reading(path)
        self.effects = EffectWriter(database.connect(path), self.clock)
        self.queries = Queries(self.reading, self.clock)

    def applied(self, request_id: str) -> int | None:
        """How often the journal says that a request was applied; None if it is not there."""
        lines = journal.lines(self.reading, request_id)
        return int(str(lines[0]["applied"])) if lines else None

    def close(self) -> None:
        asyncio.run(self.effects.close())
        self.reading.close()


class _MovedClock(Clock):
    def __init__(self, inside: Inside) -> None:
        super().__init__(None, lambda: inside.moment)
        self._inside = inside

    def today(self) -> date:
        return self._inside.today


def fields(**body: Any) -> Fields:
    """A request's body."""
    return Fields(json.dumps(body).encode())


def asked(query: Callable[[Fields], bytes], **body: Any) -> Any:
    """The `data` of a successful answer."""
    return _data(query(fields(**body)))


def applied(effect: Callable[[Fields], Awaitable[Applied]], **body: Any) -> Any:
    """The `data` of a successful effect."""

    async def apply() -> Applied:
        return await effect(fields(**body))

    return _data(asyncio.run(apply()).body)


def refused(act: Callable[..., Any], of: Callable[..., Any], **body: Any) -> str:
    """The code with which `act(of, ...)` is refused."""
    with pytest.raises(Refusal) as caught:
        act(of, **body)
    return caught.value.code.code


def outcomes(effect: Callable[[Fields], Awaitable[Applied]], *bodies: dict[str, Any]) -> list[Any]:
    """What effects at the same moment, in one transaction, answer: the `data`, or the code of a refusal."""

    async def one(body: dict[str, Any]) -> Any:
        try:
            return _data((await effect(fields(**body))).body)
        except Refusal as refusal:
            return refusal.code.code

    async def together() -> list[Any]:
        return await asyncio.gather(*(one(body) for body in bodies))

    return asyncio.run(together())


def _data(body: bytes) -> Any:
    answer = json.loads(body)
    assert answer["rtnCode"] == "0000"
    return answer["data"]

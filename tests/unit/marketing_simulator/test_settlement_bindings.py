"""What the bridge alone asks, through the shipped bindings: each example is answered as the catalogue says."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from intranet_bridge.marketing import Answered, MarketingRequest
from intranet_bridge.marketing.expressions.mapping import compiled
from intranet_bridge.marketing.http.binding import HttpBinding
from intranet_bridge.marketing.judgement import Judgement
from protocol.operations import settlement
from protocol.operations.operation import Operation
from scripts.tools.marketing_simulator import business, database
from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.effects import EffectWriter
from scripts.tools.marketing_simulator.faults import shortened
from scripts.tools.marketing_simulator.fields import Fields
from scripts.tools.marketing_simulator.responses import Refusal
from tests.support.shipped import bindings

TODAY = date(2026, 7, 15)
TABLES = bindings()
OPERATIONS = [one for one in settlement.OPERATIONS if one.name in TABLES]


class System:
    """A marketing system, called through the bindings."""

    def __init__(self, path: Path) -> None:
        database.prepare(path, customers=40, seed=1, today=TODAY)
        clock = Clock(TODAY, lambda: datetime(2026, 7, 15, 1, 0, tzinfo=UTC))
        self._effects = EffectWriter(database.connect(path), clock)
        self._reading = database.connect_for_reading(path)
        offered = business.offered(self._reading, self._effects, clock, node_seconds=20, idempotent=False)
        self._offered = {one.path: one for one in offered}

    def ask(self, operation: Operation, body: dict[str, Any], *, short: bool = False) -> Any:
        """What a caller gets, or the outcome that is no answer."""
        binding = HttpBinding.model_validate(TABLES[operation.name])
        asked = MarketingRequest("01a2-req", operation.requests.validate_json(json.dumps(body)))
        fields = operation.requests.dump_python(asked.body, mode="json") | {"request_id": asked.request_id}
        sent = Fields(json.dumps(compiled(binding.request or "@", binding.values)(fields)).encode())
        interface = self._offered[str(binding.path)]

        async def told() -> bytes:
            if interface.query is not None:
                return interface.query(sent)
            assert interface.effect is not None
            return (await interface.effect(sent)).body

        try:
            answer = asyncio.run(told())
        except Refusal as refusal:
            answer = refusal.body()
        answer = shortened(answer) if short else answer
        outcome = Judgement(operation, binding).outcome(asked, json.loads(answer))
        return json.loads(outcome.result) if isinstance(outcome, Answered) else outcome

    def close(self) -> None:
        asyncio.run(self._effects.close())
        self._reading.close()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with closing(System(tmp_path_factory.mktemp("settlement") / "marketing.sqlite3")) as system:
        yield system


def test_every_example_is_answered_as_the_catalogue_says(system: System) -> None:
    for operation in OPERATIONS:  # a hold is made before it is released
        told, said = (
            operation.responses.validate_json(json.dumps(answer))
            for answer in (system.ask(operation, dict(operation.example)), operation.example_answer)
        )
        assert told == said, operation.name


def test_a_list_that_lost_a_row_is_no_answer(system: System) -> None:
    [listed] = [one for one in OPERATIONS if one.name == "writeoff-list"]
    asked = dict(listed.example) | {"page_size": 10}
    assert len(system.ask(listed, asked)["rows"]) == 2
    assert not isinstance(system.ask(listed, asked, short=True), dict)

"""Rows that are only kept cost nothing: nothing that is done for a command, or by the clock, walks over them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from protocol.runtime.clock import wall_clock
from scripts.tools.benchmark import retention
from scripts.tools.benchmark.retention import Side, fill
from tests.unit.benchmark.plans import plans_of

pytestmark = pytest.mark.anyio
OPENERS: dict[str, Callable[[Path], Awaitable[Side]]] = {
    "requests": retention.ledger_side,
    "inbox": retention.inbox_side,
}


@pytest.mark.parametrize("table", sorted(OPENERS))
async def test_no_statement_scans_the_rows(table: str, tmp_path: Path) -> None:
    side = await OPENERS[table](tmp_path / "full.sqlite3")
    await fill(side.store, table, 3_000)
    control = f"SELECT id FROM {table} WHERE code = 'x'"  # one that does
    with plans_of(side.store) as plans:
        await side.command(1)
        for work in side.clockwork.values():
            await work()
        assert await side.forget(wall_clock() - 29 * 86_400_000) in range(80, 120)
        await side.store.read(lambda connection: connection.exec_driver_sql(control).all())
    await side.store.close()
    assert len(plans) > 8
    assert [text for text, plan in plans.items() if any(f"SCAN {table}" in step for step in plan)] == [control]


def test_empty_and_full_are_measured_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROUNDS", 1)
    monkeypatch.setattr(retention, "COMMANDS", 32)
    monkeypatch.setattr(retention, "_rest", _no_rest)
    rows = {str(row["what"]): row for row in retention.run(tmp_path, 3_000)}
    for name in ("ledger", "inbox"):
        assert {"empty", "full", "ratio"} <= rows[f"{name}: a command, CPU ms"].keys()
        assert {"at rest", "while forgetting"} <= rows[f"{name}: the longest commit, ms"].keys()
    assert list(tmp_path.iterdir()) == []


async def _no_rest() -> int:
    await asyncio.sleep(0.05)
    return 0

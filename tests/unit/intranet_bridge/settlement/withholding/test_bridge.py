"""Withholding in a whole bridge: its holds and write-offs go the way of every command, and come back."""

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json
from sqlalchemy import select

from intranet_bridge import app
from intranet_bridge.marketing import Answered, MarketingRequest
from intranet_bridge.settlement.assembly import assembled
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.settlement.rows import BOOKS
from intranet_bridge.settlement.service import Settlement
from intranet_bridge.settlement.withholding import service
from intranet_bridge.settlement.withholding.rows import BATCHES, LINES
from intranet_bridge.settlement.withholding.service import Withholding
from protocol.operations import CATALOGUE
from protocol.runtime.books import balances
from tests.unit.clock import Clock
from tests.unit.intranet_bridge.harness import Marketing, Stage
from tests.unit.intranet_bridge.settlement.withholding.world import BATCH, FIRST, SAMPLES, SECTION, Folder, at

ANSWER = "SDDL_REDKKK_ 37101_20261125.txt"
PAID = CATALOGUE["payment-writeoff"]


async def until(holds: Callable[[], Awaitable[Any]], what: str) -> None:
    end = time.monotonic() + 60
    while not await holds():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.01)


async def states(bridge: app.Bridge) -> dict[str, str]:
    rows = await bridge.store.read(lambda c: c.execute(select(LINES)).all())
    return {row.bill or row.det_id: f"{row.state} {row.hold}" for row in rows}


async def of_batch(bridge: app.Bridge) -> str:
    return str(
        await bridge.store.read(lambda c: c.execute(select(BATCHES.c.state).where(BATCHES.c.id == BATCH)).scalar())
    )


def test_a_batch_goes_its_whole_way_over_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(at(24))
    bank = Folder(tmp_path / "bank", clock)

    def with_files(section: Any, ports: Ports) -> Settlement:
        return assembled(section, dataclasses.replace(ports, files=lambda: bank))  # type: ignore[arg-type, return-value]

    async def life() -> None:
        stage = Stage(tmp_path, monkeypatch)
        monkeypatch.setattr(app, "assembled", with_files)
        monkeypatch.setattr(service, "_LOOK_S", 0.05)
        stage.clock = clock
        stage.changes["settlement"] = {"companies": {"power": {}}, "withholding": {"bank-a": SECTION}}
        stage.changes["files"] = {"targets": {"bank": "front-1"}, "profiles": {"redkkk": {"names": "SDDL_.*"}}}
        paid = PAID.answer(
            PAID.requests.validate_python(PAID.example), PAID.responses.validate_json(to_json(PAID.example_answer))
        )
        stage.marketing = {name: Marketing(Answered(b"{}")) for name in ("bill-freeze", "bill-release")}
        stage.marketing["payment-writeoff"] = Marketing(Answered(paid))
        await stage.open()
        bridge = await stage.start()
        part = bridge.settlement.part(Withholding)
        assert part is not None
        entry = CATALOGUE["withholding-charge"]
        names = ("account", "month", "bill", "amount", "penalty", "quantity", "bank_account")
        for number, bill in enumerate(FIRST):
            body = {"agreement": "WH000000000001", **dict(zip(names, bill, strict=True))}
            await part.drafting.charge(MarketingRequest(f"r{number}", entry.requests.validate_python(body)))
        clock.now = at(25, 6)

        async def sent() -> bool:
            bank.handed_over()
            return await of_batch(bridge) == "sent"

        await until(sent, "the batch is sent")
        assert set((await states(bridge)).values()) == {"requested held"}  # by their own commands, before it was sealed
        await stage.kill()
        bank.arrives(ANSWER, (SAMPLES / ANSWER).read_bytes())
        bridge = await stage.start()

        async def applied() -> bool:
            found = await states(bridge)
            return found.get("R201") == "written-off held" and found["R203"] == "refused released"

        await until(applied, "its answer is applied")
        assert await states(bridge) == {
            "R201": "written-off held", "R202": "amount-differs held", "R203": "refused released",
            "R204": "unanswered held", "D20261125000009": "unknown-line ",
        }  # fmt: skip
        assert stage.marketing["payment-writeoff"].calls == ["D20261125000001"]
        assert stage.marketing["bill-release"].calls == ["D20261125000003-R"]
        assert len(stage.marketing["bill-freeze"].calls) == 4
        assert await bridge.store.read(lambda c: balances(c, BOOKS)) == {
            "channel:withholding": 5980, "company:power": -5980,
        }  # fmt: skip
        await stage.kill()

    async def bounded() -> None:
        async with asyncio.timeout(180):
            await life()

    asyncio.run(bounded())

"""A batch of withholding sealed from the bridge's own tables: its lines are read, their bank accounts opened, the bytes
made, sealed and put on record with the lines' new state. SQLite, as it is shipped.
"""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

from bridgectl import keys
from intranet_bridge.app import MIGRATIONS
from intranet_bridge.at_rest import AtRest
from intranet_bridge.commands.internal import InternalCommands
from intranet_bridge.inbox.rows import STORE_KEY
from intranet_bridge.marketing.calls import MarketingCalls
from intranet_bridge.settlement.withholding import records
from intranet_bridge.settlement.withholding.asking import Asking
from intranet_bridge.settlement.withholding.drafting import Drafting
from intranet_bridge.settlement.withholding.records import Arrangement, NewLine
from intranet_bridge.settlement.withholding.rows import BATCHES
from intranet_bridge.settlement.withholding.sealing import Sealing
from intranet_bridge.settlement_sections.withholding import WithholdingSection
from protocol.messages import Role
from protocol.runtime.keyfiles import load_keyring
from protocol.runtime.store import Store

_TOGETHER = 2_000


def sealed(folder: Path, lines: int) -> tuple[float, float, float]:
    """Seconds until the batch was on record, of them CPU, and how long the database took nothing else."""
    return asyncio.run(_sealed(folder, lines))


async def _sealed(folder: Path, lines: int) -> tuple[float, float, float]:
    keys.init(folder / "keys", now=datetime.now(UTC))
    keyring = load_keyring(keys.keyring_path(folder / "keys", Role.BRIDGE), folder / "keys" / keys.TRUSTED)
    section = WithholdingSection(
        org="SDDL", unit="37101", bank="013", company="power", target="bank", request_profile="dkkk",
        answer_profile="redkkk",
    )  # fmt: skip
    arrangement = Arrangement("bank-a", section)
    store = Store(f"sqlite:///{folder / 'bridge.sqlite3'}", MIGRATIONS.prepare)
    await store.start()
    try:
        at_rest = AtRest(store, STORE_KEY, keyring)
        await at_rest.open()

        def clock() -> int:
            return time.time_ns() // 1_000_000

        asking = Asking(lambda: MarketingCalls({}, {}), clock)
        drafting = Drafting({"bank-a": arrangement}, store=store, at_rest=at_rest, asking=asking, clock=clock)
        sealing = Sealing(
            {"bank-a": arrangement}, store=store, at_rest=at_rest, asking=asking, files=lambda: None, clock=clock,
            commands=_none,
        )  # fmt: skip
        for first in range(0, lines, _TOGETHER):
            await _put(store, drafting, arrangement, first, min(first + _TOGETHER, lines))
        batch = await store.read(lambda connection: connection.execute(BATCHES.select()).one())
        began, used = time.perf_counter(), time.process_time()
        task = asyncio.create_task(sealing.seal(arrangement, batch.id))
        longest = 0.0
        while not task.done():  # what a command waits meanwhile
            asked = time.perf_counter()
            await store.write(lambda connection: records.touched(connection, "none", 0))
            longest = max(longest, time.perf_counter() - asked)
            await asyncio.sleep(0.02)
        if not await task:
            raise AssertionError("it was not sealed")
        return time.perf_counter() - began, time.process_time() - used, longest
    finally:
        await store.close()


async def _put(store: Store, drafting: Drafting, arrangement: Arrangement, first: int, end: int) -> None:
    await store.write(
        lambda connection: [
            drafting.put_in(
                connection, arrangement,
                NewLine(f"32{n:011}", "WH000000000001", f"{n:016}", f"R{n}", "2026-10", 100 + n % 50_000, n % 50, "12"),
            )
            for n in range(first, end)
        ]
    )  # fmt: skip


def _none() -> InternalCommands:
    raise AssertionError("nothing is asked of a marketing system")

"""A batch of withholding sealed from the bridge's own tables: its lines are read, their bank accounts opened, the bytes
made, sealed and put on record with the lines' new state. SQLite, as it is shipped.
"""

import asyncio
import time
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from bridgectl import keys
from intranet_bridge.at_rest import AtRest
from intranet_bridge.commands.internal import InternalCommands
from intranet_bridge.inbox.rows import STORE_KEY
from intranet_bridge.marketing.calls import MarketingCalls
from intranet_bridge.notices.outbox import Notices
from intranet_bridge.settlement.withholding import records
from intranet_bridge.settlement.withholding.asking import Asking
from intranet_bridge.settlement.withholding.life import LineState
from intranet_bridge.settlement.withholding.records import Arrangement
from intranet_bridge.settlement.withholding.rows import LINES
from intranet_bridge.settlement.withholding.sealing import Sealing
from intranet_bridge.settlement_sections.withholding import WithholdingSection
from intranet_bridge.store import MIGRATIONS
from protocol.messages import Role
from protocol.runtime.keyfiles import load_keyring
from protocol.runtime.store import Store

_TOGETHER = 2_000
DAY = date(2026, 11, 25)


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
        sealing = Sealing(
            {"bank-a": arrangement}, store=store, at_rest=at_rest, asking=asking, files=lambda: None, clock=clock,
            commands=_none, notices=_nobody,
        )  # fmt: skip
        made = partial(_drafted, at_rest=at_rest, arrangement=arrangement, lines=lines, now=clock())
        batch = await store.write(made)
        began, used = time.perf_counter(), time.process_time()
        task = asyncio.create_task(sealing.seal(arrangement, batch))
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


def _drafted(connection: Connection, at_rest: AtRest, arrangement: Arrangement, lines: int, now: int) -> str:
    """A batch of so many lines, as if each had been asked for."""
    records.room(connection, arrangement, DAY, now)
    row = {
        "batch": arrangement.batch(DAY), "state": LineState.WAITING, "company": "power",
        "agreement": "WH000000000001", "quantity": "12", "month": "2026-10", "request": "", "source": "bench",
        "tries": 0, "first_day": DAY, "checked_at": 0, "hold": "", "code": "", "reason": "", "debited": 0,
        "bank_number": "", "payment": "", "said": "[]", "created_at": now, "updated_at": now,
    }  # fmt: skip
    for first in range(0, lines, _TOGETHER):
        rows = []
        for n in range(first, min(first + _TOGETHER, lines)):
            id = f"D{DAY:%Y%m%d}{n + 1:06}"
            rows.append(
                row | {
                    "id": id, "det_id": id, "account": f"32{n:011}", "bill": f"R{n}", "amount": 100 + n % 50_000,
                    "penalty": n % 50, "pay_account": at_rest.seal(f"{n:016}".encode(), id),
                }
            )  # fmt: skip
        connection.execute(LINES.insert(), rows)
    return arrangement.batch(DAY)


def _none() -> InternalCommands:
    raise AssertionError("nothing is asked of a marketing system")


def _nobody() -> Notices:
    raise AssertionError("nobody is told anything")

"""A bridge that dies between any two steps: its batch is sealed once, sent as the same bytes, and each charged line is
written off once.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select

from intranet_bridge.settlement.withholding.rows import ANSWERS, CONTENT, RETRIES
from protocol.errors import BridgeError
from protocol.keyring import Keyring
from protocol.runtime.crash_points import Point
from tests.unit.forked import dies_at
from tests.unit.intranet_bridge.settlement.withholding.world import BATCH, FIRST, SAMPLES, World, at, world

REQUEST, ANSWER = "SDDL_DKKK_37101_20261125.txt", "SDDL_REDKKK_ 37101_20261125.txt"
GOLDEN = (SAMPLES / REQUEST).read_bytes()


async def drafted(it: World) -> None:
    """Its day has come."""
    for bill in FIRST:
        await it.charge(bill)
    it.clock.now = at(25, 6)


async def arrived(it: World) -> None:
    """It is sent, and its answer is here."""
    await drafted(it)
    await it.turn()
    it.files.arrives(ANSWER, (SAMPLES / ANSWER).read_bytes())


async def goes_on(it: World) -> None:
    """The next start."""
    it.clock.now = at(25, 7)
    await it.turn()
    it.files.arrives(ANSWER, (SAMPLES / ANSWER).read_bytes())
    await it.turn()
    await it.turn()


@pytest.mark.parametrize(
    "point",
    [
        Point.BRIDGE_BATCH_SEALED_UNCOMMITTED, Point.BRIDGE_BATCH_SEALED_COMMITTED, Point.BRIDGE_BATCH_SUBMITTED,
        Point.BRIDGE_ANSWER_JUDGED, Point.BRIDGE_ANSWER_UNCOMMITTED, Point.BRIDGE_ANSWER_COMMITTED,
    ],
)  # fmt: skip
def test_kills(point: str, database_url: str, bridge_keyring: Keyring, tmp_path: Path) -> None:
    if database_url.startswith("postgresql") and "uncommitted" not in point:
        pytest.skip("what is committed is so in either")
    of_answer = "answer" in point

    async def dies() -> None:
        async with world(database_url, bridge_keyring, tmp_path) as it:
            await (arrived if of_answer else drafted)(it)
            await it.turn()

    async def checked() -> dict[str, Any]:
        async with world(database_url, bridge_keyring, tmp_path) as it:
            before = await it.batch()
            if not of_answer:
                assert before.state == ("drafted" if "uncommitted" in point else "sealed")
            await goes_on(it)

            async def rows(table: Table) -> Any:
                return await it.store.read(lambda connection: connection.execute(select(table)).all())

            return {
                "sent": it.files.sent, "states": await it.states(), "given": list(await it.commands.given()),
                "batch": (await it.batch()).state, "pieces": len(await rows(CONTENT)),
                "answers": [row.state for row in await rows(ANSWERS)],
                "retries": len(await rows(RETRIES)),
                "bytes": await it.part.desk.content(BATCH),
            }  # fmt: skip

    dies_at(point, dies)
    found = asyncio.run(checked())
    assert found == {
        "sent": {REQUEST: GOLDEN},
        "bytes": (REQUEST, GOLDEN),
        "states": {
            "R201": "charged", "R202": "amount-differs", "R203": "refused", "R204": "unanswered",
            "D20261125000009": "unknown-line",
        },
        "given": ["D20261125000001"],
        "batch": "answered",
        "pieces": 1,
        "answers": ["accepted"],
        "retries": 1,
    }  # fmt: skip


def test_killed_after_a_person_released_a_line(database_url: str, bridge_keyring: Keyring, tmp_path: Path) -> None:
    async def dies() -> None:
        async with world(database_url, bridge_keyring, tmp_path) as it:
            await arrived(it)
            await it.turn()
            [line] = await it.part.desk.lines(BATCH, ["unanswered"])
            await it.part.desk.release(line.id, "wang", "the bank says it never had it")

    async def checked() -> None:
        async with world(database_url, bridge_keyring, tmp_path) as it:
            assert (await it.states())["R204"] == "released"
            [line] = await it.part.desk.lines(BATCH, ["released"])
            assert [one["who"] for one in line.said] == ["wang"]
            with pytest.raises(BridgeError, match="settled"):
                await it.part.desk.release(line.id, "wang", "once more")

    dies_at(Point.BRIDGE_DESK_COMMITTED, dies)
    asyncio.run(checked())


def test_killed_after_the_verdict_on_an_answer_of_which_not_all_is_kept_afterwards(
    bridge_keyring: Keyring, tmp_path: Path
) -> None:
    database_url, content = f"sqlite:///{tmp_path / 'bridge.sqlite3'}", (SAMPLES / ANSWER).read_bytes()

    async def dies() -> None:
        async with world(database_url, bridge_keyring, tmp_path) as it:
            await arrived(it)
            await it.turn()

    async def checked() -> None:
        async with world(database_url, bridge_keyring, tmp_path) as it:
            it.clock.now = at(25, 7)

            async def answers() -> list[tuple[str, str]]:
                rows = await it.store.read(lambda connection: connection.execute(select(ANSWERS)).all())
                return [(row.state, row.code) for row in rows]

            assert await answers() == [("applying", "")]
            it.files.damaged.add(it.files.arrives(ANSWER, content))
            await it.turn()
            assert await answers() == [("refused", "unreadable")]
            it.files.arrives(ANSWER, content, again=True)
            await it.turn()
            assert sorted(await answers()) == [("accepted", ""), ("refused", "unreadable")]
            assert list(await it.commands.given()) == ["D20261125000001"]
            assert (await it.states())["R203"] == "refused"

    dies_at(Point.BRIDGE_ANSWER_JUDGED, dies)
    asyncio.run(checked())

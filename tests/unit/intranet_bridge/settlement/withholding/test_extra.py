"""An extra batch: what waits for later days is sent today, on a person's word."""

from datetime import date
from pathlib import Path

import pytest

from intranet_bridge.settlement.withholding import extra
from intranet_bridge.settlement.withholding.extra import Extra
from intranet_bridge.settlement.withholding.life import BatchState, why_no_extra
from protocol.keyring import Keyring
from tests.unit.intranet_bridge.settlement.withholding.world import BATCH, FIRST, at, world

pytestmark = pytest.mark.anyio
TODAY = "SDDL-37101-20261124"
NAME = "SDDL_DKKK_37101_20261124.txt"


async def test_what_waits_is_sent_today(database_url: str, bridge_keyring: Keyring, tmp_path: Path) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        first, second = await it.charge(FIRST[0]), await it.charge(FIRST[1])
        assert {first.batch, second.batch} == {BATCH}
        desk = it.part.desk
        assert await desk.seal("bank-a", "li", "the bank asks") == Extra(TODAY, 2, 2, "06:00")
        assert await desk.seal("bank-a", "li") == Extra(TODAY, 2, 0, "06:00")  # the same once more
        await it.turn()
        assert it.files.sent == {}
        it.clock.now = at(24, 6)
        await it.turn()
        header, *rows = it.files.sent[NAME].decode("gb18030").splitlines()
        assert header == "2|72.10|20261124|013|1|"
        assert [row.split("|")[0] for row in rows] == [first.line, second.line]  # as their callers were told
        assert {row.split("|")[10] for row in rows} == {"20261124"}
        assert (await it.batch(TODAY)).state == "sent"
        assert {row.first_day for row in (await it.lines()).values()} == {date(2026, 11, 24)}
        assert it.acts == [("withholding-seal", "li")] * 2
        assert (await it.batch()).count == 0

        third = await it.charge(FIRST[2])  # the day's own batch is as it was
        assert (third.batch, third.line) == (BATCH, "D20261125000003")
        assert (
            await it.refused(desk.seal("bank-a", "li"))
            == "bank-a: today's batch is sent already, and there is one a day"
        )
        assert (await it.lines())["R203"].batch == BATCH
        it.clock.now = at(25, 6)
        await it.turn()
        assert it.files.sent["SDDL_DKKK_37101_20261125.txt"].startswith(b"1|100.00|20261125|")


async def test_on_a_day_of_its_own_it_takes_what_waits_for_later(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path, seal_at="12:00") as it:
        await it.charge(FIRST[0])
        it.clock.now = at(24, 12)
        assert await it.part.desk.seal("bank-a", "li") == Extra(TODAY, 1, 1, "")
        await it.turn()
        it.clock.now = at(25, 11)
        await it.charge(FIRST[1])
        it.clock.now = at(25, 13)
        late = await it.charge(FIRST[2])
        assert late.batch == "SDDL-37101-20261126"
        made = await it.part.desk.seal("bank-a", "li")
        assert made == Extra(BATCH, 2, 1, "")
        await it.turn()
        assert it.files.sent["SDDL_DKKK_37101_20261125.txt"].startswith(b"2|112.30|20261125|")


async def test_nothing_waits_or_nothing_is_known_of_it(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        desk = it.part.desk
        assert await it.refused(desk.seal("bank-b", "li")) == "settlement.withholding has no bank-b: there is bank-a"
        assert await it.refused(desk.seal("bank-a", "li")) == "bank-a: no line waits"
        assert await it.batch(TODAY) is None
        assert it.acts == []


async def test_moved_bills_are_checked_and_frozen_under_todays_batch(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path, seal_at="00:00") as it:
        it.marketing.freezes = True
        await it.charge(FIRST[0])
        await it.charge(FIRST[1])
        await it.part.desk.seal("bank-a", "li")
        taken_back = await it.ask("withholding-charge-cancel", account=FIRST[1][0], line="D20261125000002")
        assert taken_back.batch == TODAY
        await it.turn()
        given = await it.commands.given("bill-freeze")
        assert {id: body["batch"] for id, body in given.items()} == {"D20261125000001-F": TODAY}
        # a line that comes between the look and the seal is not sealed unchecked
        await it.charge(FIRST[2])
        await it.commands.comes("D20261125000001-F")
        assert await it.part.desk.seal("bank-a", "li") == Extra(TODAY, 2, 1, "")
        arrangement = it.part._arrangements["bank-a"]
        assert not await it.part.sealing.seal(arrangement, TODAY)
        await it.turn()
        await it.commands.comes("D20261125000003-F")
        await it.turn()
        assert it.files.sent[NAME].startswith(b"2|159.80|20261124|")


async def test_a_full_batch_takes_no_more(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extra, "MOST_LINES", 1)
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.charge(FIRST[0])
        await it.charge(FIRST[1])
        assert await it.part.desk.seal("bank-a", "li") == Extra(TODAY, 1, 1, "06:00")
        assert {bill: row.batch for bill, row in (await it.lines()).items()} == {"R201": TODAY, "R202": BATCH}
        assert ((await it.batch()).count, (await it.batch(TODAY)).count) == (1, 1)


@pytest.mark.parametrize("state", BatchState)
async def test_only_a_drafted_batch_takes_it(state: BatchState) -> None:
    assert bool(why_no_extra(state, 1)) is (state is not BatchState.DRAFTED)
    assert why_no_extra(state, 0)

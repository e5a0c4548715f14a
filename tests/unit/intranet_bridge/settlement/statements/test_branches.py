"""Kinds of statements of which every branch sends its own: one that did not come is seen, whoever else's came."""

from datetime import date, timedelta

import pytest

from intranet_bridge.settlement.clearing.computing import missing
from intranet_bridge.settlement.statements.life import FileState
from intranet_bridge.settlement.statements.records import counting_days
from intranet_bridge.settlement.statements.run_records import NotRun
from intranet_bridge.settlement.statements.sources import by_channel, sources_of
from intranet_bridge.settlement_sections.clearing import ClearedChannelSection
from intranet_bridge.settlement_sections.statements import StatementFileSection, StatementsSection
from protocol.errors import ConfigurationError
from tests.unit.intranet_bridge.settlement.statements.desks import DAY, Desk, desk
from tests.unit.intranet_bridge.settlement.statements.files import payment, utility

pytestmark = pytest.mark.anyio


def section(*branches: str) -> StatementsSection:
    kind = StatementFileSection(profile="utility-dsdz", company="power-yunhe", channel="bank", branches=branches)
    return StatementsSection(files={"dsdz": kind})


SECTION = section("37101", "37102")
SOURCES = sources_of(SECTION)


async def came(at: Desk, branch: str, day: date = DAY) -> None:
    serial = f"{branch}-{day:%Y%m%d}"
    content = utility([payment(serial, day=f"{day:%Y%m%d}")], "20.00", 1)
    at.crossed.add(f"SDDL_DSDZ_{branch}_{day:%Y%m%d}.txt", content, "dsdz")
    await at.loop.look()


async def whole(at: Desk, day: date = DAY) -> bool:
    """Whether the day's statements are all there, for what waits; the same for clearing."""
    cleared = ClearedChannelSection(statements=("dsdz",), company="power-yunhe")
    days = await at.store.read(lambda one: counting_days(one, by_channel(SOURCES)).days.get("bank", []))
    lacking = await at.store.read(lambda one: missing(one, "bank", cleared, day, SOURCES))
    assert (day in days) is not bool(lacking)
    return day in days


async def test_a_branch_whose_file_did_not_come_is_missing_though_others_came(database_url: str) -> None:
    async with desk(database_url, SECTION) as at:
        await came(at, "37101")
        at.at(DAY + timedelta(1), 18)
        [absent] = await at.books.absent()
        assert (absent.source, absent.state) == ("dsdz:37102", FileState.MISSING)
        files = await at.books.files(DAY)
        assert [(one.source, one.state) for one in files][1:] == [("dsdz:37102", FileState.MISSING)]
        assert not await whole(at)
        await came(at, "37102")
        assert (await at.books.absent(), await whole(at)) == ([], True)


async def test_a_branch_that_had_nothing_is_said_so_by_name(database_url: str) -> None:
    async with desk(database_url, SECTION) as at:
        at.at(DAY + timedelta(1), 18)
        assert [one.source for one in await at.books.absent()] == ["dsdz:37101", "dsdz:37102"]
        await came(at, "37102")
        for wrong, why in (("dsdz", "dsdz:37101, dsdz:37102"), ("dsdz:37102", "there is a file"), ("x:1", "no kind")):
            with pytest.raises(NotRun, match=why):
                await at.books.confirm_empty(wrong, DAY, "wang", "a holiday there")
        await at.books.confirm_empty("dsdz:37101", DAY, "wang", "a holiday there")
        assert (await at.books.absent(), await whole(at)) == ([], True)


async def test_a_branch_is_expected_from_its_configuration_on(database_url: str) -> None:
    async with desk(database_url, section("37101")) as at:
        at.at(DAY + timedelta(1), 18)
        at.books._sources = SOURCES
        assert [one.source for one in await at.books.absent()] == ["dsdz:37101"]


def test_what_cannot_be_is_said_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="names 37101 twice") as told:
        sources_of(section("37101", "37101"))
    assert told.value.place == ("settlement", "statements", "files", "dsdz", "branches", 1)

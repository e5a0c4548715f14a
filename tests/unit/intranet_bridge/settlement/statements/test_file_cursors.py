"""Files of kinds that are configured later, or whose profile is corrected: read once, whenever they came."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest

from intranet_bridge.settlement.statements.life import FileState
from intranet_bridge.settlement.statements.run_records import forget_arrivals
from intranet_bridge.settlement_sections.statements import StatementFileSection, StatementsSection
from tests.unit.intranet_bridge.settlement.statements.desks import DAY, MERCHANT, Desk, Files, alipay, desk

pytestmark = pytest.mark.anyio
KIND = StatementFileSection(profile="alipay-trade", company="power-yunhe")
T1 = "2026112422001400000000000001"


def section(*names: str, profiles: Path | None = None, **more: object) -> StatementsSection:
    """These kinds, all of them Alipay's."""
    kind = KIND.model_copy(update=more)
    return StatementsSection(profiles=profiles, files=dict.fromkeys(names, kind))


@asynccontextmanager
async def started(
    url: str, crossed: Files, configured: StatementsSection, name: str = "bridge-1"
) -> AsyncIterator[Desk]:
    """A bridge that is started with this configuration, and has looked once. Files are kept over its starts."""
    async with desk(url, configured, name) as at:
        at.crossed.kept = crossed.kept
        at.at(date(2026, 11, 26))
        await at.loop.look()
        yield at


def name_of(day: date = DAY) -> str:
    return f"{MERCHANT[:16]}_{day:%Y%m%d}.csv"


def paid(day: date = DAY, order: str = "PO1") -> bytes:
    return alipay(day, (T1, order, "pay", 5000, "08:00:00"))


async def test_files_of_a_kind_that_is_configured_later_are_read_once(database_url: str) -> None:
    crossed = Files()
    crossed.add(name_of(), paid(), "later")
    crossed.add(name_of(date(2026, 11, 23)), alipay(date(2026, 11, 23)), "alipay")
    async with started(database_url, crossed, section("alipay")) as at:
        assert at.loop.verdicts == {"accepted": 1}
    for looks in (1, 0, 0):
        async with started(database_url, crossed, section("alipay", "later")) as at:
            assert at.loop.verdicts.total() == looks
            assert [(one.source, one.state) for one in await at.books.files(DAY) if one.name == name_of()] == [
                ("later", FileState.MATCHED)
            ]
            assert len(await at.books.runs()) == 2
            await at.store.write(lambda connection: forget_arrivals(connection, at.now))


async def test_a_kind_that_is_left_out_for_a_while_goes_on_where_it_was(database_url: str) -> None:
    crossed = Files()
    crossed.add(name_of(), paid())
    async with started(database_url, crossed, section("alipay")) as at:
        assert at.loop.verdicts == {"accepted": 1}
        await at.store.write(lambda connection: forget_arrivals(connection, at.now))
    crossed.add(name_of(date(2026, 11, 25)), alipay(date(2026, 11, 25)))
    async with started(database_url, crossed, section("other")) as at:
        assert at.loop.verdicts == {}
    async with started(database_url, crossed, section("alipay")) as at:
        assert at.loop.verdicts == {"accepted": 1}
        assert len(await at.books.runs()) == 2


async def test_a_file_whose_profile_has_its_pattern_corrected_is_read_then(database_url: str, tmp_path: Path) -> None:
    shipped = files("intranet_bridge.settlement.statements").joinpath("shipped/alipay-trade.toml").read_text("utf-8")
    lines = [line for line in shipped.splitlines() if not line.startswith("names = ")]
    profile = tmp_path / "alipay-trade.toml"
    profile.write_text("\n".join(["names = ['(?P<merchant>X)_(?P<day>[0-9]{8})']", *lines]), "utf-8")
    crossed = Files()
    crossed.add(name_of(), paid())
    for _ in range(2):
        async with started(database_url, crossed, section("alipay", profiles=tmp_path)) as at:
            assert await at.books.files(DAY) == [] or {one.state for one in await at.books.files(DAY)} <= {
                FileState.EXPECTED, FileState.LATE, FileState.MISSING,
            }  # fmt: skip
    assert at.loop.verdicts == {}  # the second start read nothing again: nothing had changed
    profile.write_text(shipped, "utf-8")
    async with started(database_url, crossed, section("alipay", profiles=tmp_path)) as at:
        assert at.loop.verdicts == {"accepted": 1}
        assert [one.state for one in await at.books.runs()] == ["done"]
    profile.write_text(shipped + "\n# as before\n", "utf-8")
    async with started(database_url, crossed, section("alipay", profiles=tmp_path, merchants=(MERCHANT,))) as at:
        assert at.loop.verdicts == {}  # what was accepted is not read again


async def test_a_file_that_was_refused_by_what_is_corrected_is_one_file_and_accepted(database_url: str) -> None:
    crossed = Files()
    crossed.add(name_of(), paid())
    async with started(database_url, crossed, section("alipay", merchants=("2088999999999999",))) as at:
        assert at.loop.verdicts == {"wrong-merchant": 1}
        [file] = await at.books.waiting_files()
    async with started(database_url, crossed, section("alipay", merchants=(MERCHANT,))) as at:
        assert at.loop.verdicts == {"accepted": 1}
        assert await at.books.waiting_files() == []
        [found] = [one for one in await at.books.files(DAY) if one.id]
        assert (found.id, found.state, found.code) == (file.id, FileState.MATCHED, "")


async def test_a_refused_file_is_not_read_again_when_a_right_one_came_or_a_person_has_refused_it(
    database_url: str,
) -> None:
    crossed = Files()
    crossed.add(name_of(), paid() + b"one line too many\r\n")
    crossed.add(name_of(), paid())
    crossed.add(name_of(), paid(order="PO2"))
    async with started(database_url, crossed, section("alipay")) as at:
        assert at.loop.verdicts["accepted"] == at.loop.verdicts["conflicting-resend"] == 1
        assert at.loop.verdicts.total() == 3
        [waits] = await at.books.waiting_files()
        await at.books.refuse(waits.id, "wang")
    async with started(database_url, crossed, section("alipay", merchants=(MERCHANT,))) as at:
        assert at.loop.verdicts == {}


async def test_what_a_person_has_refused_stays_refused_when_the_same_bytes_come_again(database_url: str) -> None:
    crossed = Files()
    crossed.add(name_of(), paid())
    crossed.add(name_of(), paid(order="PO2"))
    async with started(database_url, crossed, section("alipay")) as at:
        [waits] = await at.books.waiting_files()
        await at.books.refuse(waits.id, "wang")
        at.crossed.add(name_of(), paid(order="PO2"))
        await at.loop.look()
        states = {one.id: one.state for one in await at.books.files(DAY)}
        assert states.pop(waits.id) is FileState.REFUSED
        assert sorted(states.values()) == [FileState.CONFLICTING, FileState.MATCHED]


async def test_two_bridges_of_one_database_read_a_file_of_a_later_kind_once(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("one file has one bridge")
    from asyncio import gather

    crossed = Files()
    crossed.add(name_of(), paid(), "later")
    async with (
        started(database_url, crossed, section("alipay")) as one,
        started(database_url, crossed, section("alipay"), "bridge-2") as two,
    ):
        assert one.loop.verdicts == two.loop.verdicts == {}
    both = section("alipay", "later")
    async with desk(database_url, both) as one, desk(database_url, both, "bridge-2") as two:
        one.crossed.kept = two.crossed.kept = crossed.kept
        await gather(one.loop.look(), two.loop.look())
        assert one.loop.verdicts.total() + two.loop.verdicts.total() == 1

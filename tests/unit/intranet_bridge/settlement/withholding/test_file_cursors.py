"""Answers that came before their profile was an arrangement's, or that were refused by what is corrected since."""

from pathlib import Path

import pytest
from sqlalchemy import select

from intranet_bridge.settlement.withholding.rows import ANSWERS
from protocol.keyring import Keyring
from tests.unit.intranet_bridge.settlement.withholding.world import BATCH, FIRST, SECTION, World, at, world

pytestmark = pytest.mark.anyio
ANSWER = "SDDL_REDKKK_37101_20261125.txt"


def charged(it: World, flag: str = "1") -> bytes:
    """The bank has charged the one line."""
    header, row = it.files.sent["SDDL_DKKK_37101_20261125.txt"].decode("gb18030").splitlines()
    count, total, *rest = header.split("|")
    first = "|".join((count, total, count, total, *rest))
    return f"{first}\r\n{row}20261125|{total}|{flag}|B1||\r\n".encode("gb18030")


async def answers(it: World) -> list[tuple[str, str]]:
    rows = await it.store.read(lambda connection: connection.execute(select(ANSWERS)).all())
    return [(row.state, row.code) for row in rows]


async def test_an_answer_that_came_before_its_profile_was_configured_is_read_once(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.sealed(FIRST[:1])
        it.files.arrives(ANSWER, charged(it), "bank-out")
        it.clock.now += 5 * 3_600_000
        it.files.arrives("x.txt", b"x")
        await it.turn()
        assert (await it.states(), await answers(it)) == ({"R201": "requested"}, [("refused", "wrong-name")])
        came = it.files
    async with world(database_url, bridge_keyring, tmp_path, now=at(26), answer_profile="bank-out") as it:
        it.files.came, it.files._content = came.came, came._content
        for _ in range(3):
            await it.turn()
        assert await it.states() == {"R201": "charged"}
        assert await answers(it) == [("refused", "wrong-name"), ("accepted", "")]
        assert list(await it.commands.given("payment-writeoff")) == ["D20261125000001"]


async def test_an_answer_of_an_arrangement_that_is_added_later_is_read(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    """Its files lay behind those of the first arrangement."""
    more = {"bank-b": SECTION | {"unit": "37102", "answer_profile": "of-b", "accounts": "X.*"}}
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.sealed(FIRST[:1])
        it.files.arrives("SDDL_REDKKK_37102_20261125.txt", b"x", "of-b")
        it.clock.now += 5 * 3_600_000
        it.files.arrives(ANSWER, charged(it))
        await it.turn()
        assert await answers(it) == [("accepted", "")]
        came = it.files
    async with world(database_url, bridge_keyring, tmp_path, now=at(26), more=more) as it:
        it.files.came, it.files._content = came.came, came._content
        await it.turn()
        assert sorted(await answers(it)) == [("accepted", ""), ("refused", "wrong-batch")]


async def test_an_answer_that_was_refused_by_what_is_corrected_is_judged_again(
    database_url: str, bridge_keyring: Keyring, tmp_path: Path
) -> None:
    """A bank that writes Y, and a table of flags that did not know it: the same file can never come again."""
    async with world(database_url, bridge_keyring, tmp_path) as it:
        await it.sealed(FIRST[:1])
        await it.answered(ANSWER, charged(it, "Y"))
        assert await answers(it) == [("refused", "layout")]
        came = it.files
    for states in ("refused", "accepted", "accepted"):
        flags = {"1": True, "0": False} if states == "refused" else {"Y": True, "N": False}
        async with world(database_url, bridge_keyring, tmp_path, now=at(26), flags=flags) as it:
            it.files.came, it.files._content = came.came, came._content
            await it.turn()
            assert [state for state, _ in await answers(it)] == [states]
    assert list(await _given(database_url, bridge_keyring, tmp_path)) == ["D20261125000001"]


async def _given(database_url: str, bridge_keyring: Keyring, tmp_path: Path) -> list[str]:
    async with world(database_url, bridge_keyring, tmp_path, now=at(26)) as it:
        assert (await it.batch(BATCH)).state == "answered"
        assert await it.states() == {"R201": "charged"}
        return list(await it.commands.given("payment-writeoff"))

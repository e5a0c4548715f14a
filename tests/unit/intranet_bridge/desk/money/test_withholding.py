"""Withholding on the accountant's desk: batches, one with its answers and bytes, and lines that people settle."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from intranet_bridge.desk.money.rooms import Desks, pages
from intranet_bridge.settlement.withholding.rows import LINES
from protocol.errors import BridgeError
from protocol.keyring import Keyring
from tests.unit.intranet_bridge.desk.money.world import ROLES
from tests.unit.intranet_bridge.desk.staff import Staff, send
from tests.unit.intranet_bridge.settlement.withholding.world import BATCH, FIRST, SAMPLES, World, at, world

pytestmark = pytest.mark.anyio
REQUEST, ANSWER = "SDDL_DKKK_37101_20261125.txt", "SDDL_REDKKK_ 37101_20261125.txt"
PATH = f"/desk/withholding/batches/{BATCH}"
NOTE = "asked the bank"


class Desk:
    """Withholding with a desk."""

    def __init__(self, money: World) -> None:
        self.money = money
        self.staff = Staff(money.store, ROLES, money.clock)
        desks = Desks(withholding=money.part.desk)
        self.staff.open(pages(desks, store=money.store, clock=money.clock, act=self.staff.act))

    async def line(self, state: str) -> str:
        """The id of the only line in a state."""
        (found,) = await self.money.part.desk.lines(states=(state,))
        return found.id


@pytest.fixture
async def held(bridge_keyring: Keyring, tmp_path: Path) -> AsyncIterator[Desk]:
    """The sample's answer has come: one line of each kind."""
    async with world(f"sqlite:///{tmp_path / 'bridge.sqlite3'}", bridge_keyring, tmp_path) as money:
        await money.sealed()
        await money.answered(ANSWER)
        yield Desk(money)


async def test_a_month_and_a_batch_with_its_lines_and_its_bytes(held: Desk) -> None:
    li = await held.staff.log_in("li")
    month = (await li.get("/desk/withholding?month=2026-11")).text
    assert (PATH in month, "179.17" in month) == (True, True)
    assert "There is no batch of this month." in (await li.get("/desk/withholding?month=2026-10")).text
    page = (await li.get(PATH)).text
    for state in ("amount-differs", "unknown-line", "unanswered", "refused", "charged"):
        assert f"/desk/withholding/lines?batch={BATCH}&amp;state={state}" in page
    assert "SDDL_REDKKK_" in page
    file = await li.get(PATH + "/file")
    assert file.content == (SAMPLES / REQUEST).read_bytes()
    assert file.headers["content-disposition"] == f'attachment; filename="{REQUEST}"'
    assert held.staff.done() == [("withholding-downloaded", "li")]
    today = (await li.get("/desk/today")).text
    assert '<li class="bad"><a href="/desk/withholding/lines?state=amount-differs">' in today
    assert '<li class="warn"><a href="/desk/withholding/lines?state=unanswered">' in today
    for path in ("/desk/withholding/batches/x", "/desk/withholding/batches/x/file", "/desk/withholding/lines/x"):
        assert (await li.get(path)).status_code == 404


async def test_the_same_bytes_are_sent_again_by_who_settles(bridge_keyring: Keyring, tmp_path: Path) -> None:
    async with world(f"sqlite:///{tmp_path / 'bridge.sqlite3'}", bridge_keyring, tmp_path) as money:
        await money.charge(FIRST[0])
        desk = Desk(money)
        li, wang = await desk.staff.log_in("li"), await desk.staff.log_in("wang")
        early = await send(li, await li.get(PATH), PATH + "/resend")
        assert (early.status_code, "only a sealed batch is sent again" in early.text) == (409, True)
        await money.sealed(FIRST[1:])
        page = await li.get(PATH)
        assert "Send the same bytes again" not in (await wang.get(PATH)).text
        assert (await send(wang, await wang.get(PATH), PATH + "/resend")).status_code == 403
        assert (await send(li, page, PATH + "/resend")).headers["location"] == PATH
        assert money.acts == [("withholding-resend", "li")]


async def test_a_held_line_is_settled_with_a_note_and_owed_to_the_payer(held: Desk) -> None:
    id = await held.line("unknown-line")
    li = await held.staff.log_in("li")
    path = f"/desk/withholding/lines/{quote(id)}"
    page = await li.get(path)
    assert page.text.index("Charged, yuan") < page.text.index("5.37")
    assert (await send(li, page, path + "/release", note="")).status_code == 409
    assert (await li.post(path + "/release", data={"note": NOTE})).status_code == 403
    assert (await send(li, page, path + "/release", note=NOTE, owed="yes")).headers["location"] == path
    shown = (await li.get(path)).text
    assert ("settled by a person" in shown, NOTE in shown) == (True, True)
    again = await send(li, page, path + "/release", note=NOTE, owed="yes")
    assert again.status_code == 409
    assert held.money.acts == [("withholding-release", "li")]
    assert (await li.get("/desk/ledger")).text.count("refund:withholding") > 0


async def test_a_large_line_takes_a_second_person_with_the_role(bridge_keyring: Keyring, tmp_path: Path) -> None:
    large = ("0310000000001", "2026-10", "R203", 200_000, 0, "210", "2088000000000039")
    async with world(f"sqlite:///{tmp_path / 'bridge.sqlite3'}", bridge_keyring, tmp_path) as money:
        await money.sealed([large])
        desk = Desk(money)
        (line,) = await money.part.desk.lines()
        path = f"/desk/withholding/lines/{line.id}"
        li, wang = await desk.staff.log_in("li"), await desk.staff.log_in("wang")
        assert "Settle the line" not in (await li.get(path)).text  # the bank is waited for
        content = (await money.part.desk.content(BATCH))[1].split(b"|")
        header = b"|".join([content[0], content[1], b"0|0.00|20261125|013|1|\r\n"])
        await money.answered(ANSWER, header)
        page = await li.get(path)
        await send(li, page, path + "/release", note=NOTE)
        assert "You have said so" in (await li.get(path)).text
        assert (await send(li, page, path + "/release", note=NOTE)).status_code == 403
        with pytest.raises(BridgeError, match="has the role approve"):  # who saw the line before li said so
            await money.part.desk.release(line.id, "sun", NOTE, second=False)
        assert "Confirm, as the second person" in (await wang.get(path)).text
        await send(wang, await wang.get(path), path + "/release", note="seen")
        assert "settled by a person" in (await wang.get(path)).text


async def test_a_batch_that_cannot_be_sealed_is_red_and_names_the_line(bridge_keyring: Keyring, tmp_path: Path) -> None:
    async with world(f"sqlite:///{tmp_path / 'bridge.sqlite3'}", bridge_keyring, tmp_path) as money:
        desk = Desk(money)
        await money.charge(FIRST[0])
        await money.store.execute(LINES.update().values(quantity="1|2"), {})
        money.clock.now = at(25, 6)
        await money.turn()
        li = await desk.staff.log_in("li")
        assert f'<li class="bad"><a href="{PATH}">' in (await li.get("/desk/today")).text
        page = (await li.get(PATH)).text
        assert "It cannot be sealed" in page
        assert "has a | or a line end in it" in page
        assert "含有 | 或换行" in (await li.get(PATH + "?lang=zh")).text


async def test_an_answer_that_is_refused_is_red_with_both_values(held: Desk) -> None:
    await held.money.answered("SDDL_REDKKK_37101_20261125.txt", b"1|2.00|0|0.00|20261125|013|1|\r\n")
    li = await held.staff.log_in("li")
    page = (await li.get("/desk/withholding?month=2026-11")).text
    assert "the answer is of another request" in page
    assert "Ask the bank for the answer of our request." in page
    assert "answers of the bank were refused" in (await li.get("/desk/today")).text


async def test_lines_are_listed_page_by_page(held: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intranet_bridge.desk.money.withholding.PAGE", 2)
    li = await held.staff.log_in("li")
    lines = await held.money.part.desk.lines()
    first = (await li.get("/desk/withholding/lines")).text
    assert [f"/desk/withholding/lines/{one.id}" in first for one in lines[:3]] == [True, True, False]
    second = (await li.get(f"/desk/withholding/lines?after={lines[1].id}")).text
    assert f"/desk/withholding/lines/{lines[2].id}" in second
    assert "No such line." in (await li.get("/desk/withholding/lines?state=withdrawn")).text


async def test_an_extra_batch_says_how_many_lines_and_how_much_before_it_is_sent(
    bridge_keyring: Keyring, tmp_path: Path
) -> None:
    async with world(f"sqlite:///{tmp_path / 'bridge.sqlite3'}", bridge_keyring, tmp_path) as money:
        desk, path = Desk(money), "/desk/withholding/extra/bank-a"
        li, wang = await desk.staff.log_in("li"), await desk.staff.log_in("wang")
        assert path in (await li.get("/desk/withholding")).text
        assert path not in (await wang.get("/desk/withholding")).text
        assert (await wang.get(path)).status_code == 403
        assert (await li.get("/desk/withholding/extra/bank-b")).status_code == 404
        empty = (await li.get(path)).text
        assert ("no line waits" in empty, 'name="seen"' in empty) == (True, False)
        await money.charge(FIRST[0])
        page = await li.get(path)
        assert ("Send today (59.80 yuan, lines: 1)" in page.text, "06:00" in page.text) == (True, True)
        await money.charge(FIRST[1])
        changed = await send(li, page, path, note=NOTE)
        assert (changed.status_code, "look at it again" in changed.text) == (409, True)
        assert ("Send today (72.10 yuan, lines: 2)" in changed.text, f'value="{NOTE}"' in changed.text) == (True, True)
        assert (await send(li, changed, path, note=" ")).status_code == 422
        token = re.findall('name="token" value="([^"]*)"', changed.text)[0]
        assert (await li.post(path, data={"token": token, "note": NOTE})).status_code == 409  # what was not shown
        assert money.acts == []
        today = "/desk/withholding/batches/SDDL-37101-20261124"
        assert (await send(li, changed, path, note=NOTE)).headers["location"] == today
        assert money.acts == [("withholding-seal", "li")]
        money.clock.now = at(24, 6)
        await money.turn()
        assert ">sent<" in (await li.get(today)).text.replace("\n", "")
        again = (await li.get(path + "?lang=zh")).text
        assert ("今天的批次目前为 已送银行" in again, 'name="seen"' in again) == (True, False)

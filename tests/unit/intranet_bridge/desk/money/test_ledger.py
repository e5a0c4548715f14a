"""The ledger on the accountant's desk: balances, an account's journals, and books that are not whole."""

import re

import pytest
from sqlalchemy import text

from intranet_bridge.desk.money.ledger import by_kind
from intranet_bridge.settlement.events import Paid, Part, WrittenOff
from tests.unit.intranet_bridge.desk.money.world import World
from tests.unit.intranet_bridge.desk.staff import send

pytestmark = pytest.mark.anyio
PAID = Paid("PO1", "wechat", 123_450, (Part("bank", 550),))
DONE = WrittenOff("PO1", 1, "power", 120_000)


def test_balances_by_kind_have_the_largest_first() -> None:
    channel, order = by_kind({"channel:a": 5, "channel:b": 70, "channel:c": -9, "order:1": -66})
    assert (channel.name, channel.accounts) == ("channel", (("channel:b", 70), ("channel:c", -9), ("channel:a", 5)))
    assert (channel.debits, channel.credits, order.credits, order.count) == (75, -9, -66, 1)


async def test_balances_of_a_day_and_of_all(desk: World) -> None:
    await desk.book(PAID, DONE)
    li = await desk.staff.log_in("li")
    page = (await li.get("/desk/ledger")).text
    assert "1,234.50" in page
    assert '/desk/ledger/account?name=company:power"' in page
    assert "Both sides are equal." in page
    assert "Nothing is booked yet." in (await li.get("/desk/ledger?day=2026-11-23")).text
    assert "1,234.50" in (await li.get("/desk/today")).text


async def test_an_accounts_journals_page_by_page(desk: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intranet_bridge.desk.money.ledger.PAGE", 2)
    await desk.book(*(Paid(f"PO{n}", "wechat", 100 + n) for n in range(1, 4)))
    li = await desk.staff.log_in("li")
    first = (await li.get("/desk/ledger/account?name=channel:wechat")).text
    assert ("3.06" in first, "PO3" in first, "PO2" in first, "PO1" in first) == (True, True, True, False)
    (older,) = re.findall(r'href="(\?name=channel:wechat&amp;before=[^"]+)"', first)
    second = (await li.get("/desk/ledger/account" + older.replace("&amp;", "&"))).text
    assert ("PO1" in second, "PO2" in second) == (True, False)
    for wrong in ("", "x", "order:%3Cb%3E"):
        assert (await li.get(f"/desk/ledger/account?name={wrong}")).status_code == 404
    assert (await li.get("/desk/ledger/account?name=channel:wechat&before=2026-99-99.1")).status_code == 200


async def test_verify_says_whole_and_says_broken(desk: World) -> None:
    await desk.book(PAID, DONE)
    wang = await desk.staff.log_in("wang")
    page = await wang.get("/desk/ledger")
    assert (await send(wang, page, "/desk/ledger/verify")).headers["location"] == "/desk/ledger#verified"
    assert "The books are whole. 2 journals" in (await wang.get("/desk/ledger")).text
    await desk.store.write(lambda one: one.execute(text("DROP TRIGGER entry_fixed")))
    await send(wang, page, "/desk/ledger/verify")
    assert "trigger entry_fixed" in (await wang.get("/desk/ledger")).text
    today = (await wang.get("/desk/today")).text
    assert '<li class="bad"><a href="/desk/ledger"><strong>1</strong>' in today
    assert desk.staff.done() == [("ledger-verified", "wang")] * 2

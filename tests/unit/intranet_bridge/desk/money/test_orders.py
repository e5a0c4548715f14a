"""Payment orders on the accountant's desk: those that wait for a person, what is said of them, and refunds unproven."""

import re
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from intranet_bridge.desk.money.orders import Orders
from intranet_bridge.desk.money.rooms import Desks, pages
from intranet_bridge.settlement.days import day_of
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.operations.orders import OrderState
from tests.unit.intranet_bridge.desk.money.world import ROLES
from tests.unit.intranet_bridge.desk.staff import Staff, send
from tests.unit.intranet_bridge.settlement.payments.world import GAS, POWER, WATER, World, world

pytestmark = pytest.mark.anyio
SAID = "the books were looked at"


class Desk:
    """Payment orders with a desk."""

    def __init__(self, money: World) -> None:
        self.money = money
        self.staff = Staff(money.store, ROLES, money.clock)
        desks = Desks(orders=money.payments.desk)
        self.staff.open(pages(desks, store=money.store, clock=money.clock, act=self.staff.act))

    async def held(self) -> tuple[str, str, str]:
        """An order with a line that is held, one paid with another amount, and one that is all right."""
        lost, other, good = [
            await self.money.paying(lines=lines)
            for lines in ([("power", POWER), ("gas", GAS)], [("water", WATER)], [("gas", "5500012346")])
        ]
        self.money.companies.outcomes[f"{lost.order}-2"] = [State.HELD]
        await self.money.confirm(lost.order, 12_345 + 866, "t1")
        await self.money.confirm(other.order, 6_700, "t2")
        await self.money.confirm(good.order, 500, "t3")
        await self.money.run()
        return lost.order, other.order, good.order

    async def unproven(self) -> Any:
        """A refund that three statements do not have."""
        order = await self.money.paying(lines=[("water", WATER)])
        self.money.companies.outcomes[f"{order.order}-1"] = ["bill-not-open"]
        await self.money.confirm(order.order, 6789, "t9")
        await self.money.run()
        for day in range(3):
            self.money.clock.now += 86_400_000
            await self.money.statement(f"F{day}", {"transaction_no": "other", "gross": 1, "refund_no": "other"})
            await self.money.payments._looking.statements()
        return order.order


@pytest.fixture
async def desk(bridge_keyring: Keyring, tmp_path: Path) -> AsyncIterator[Desk]:
    async with world(f"sqlite:///{tmp_path / 'bridge.sqlite3'}", bridge_keyring, tmp_path) as money:
        money.companies.owed["5500012346"] = 500
        yield Desk(money)


async def test_what_waits_stands_first_with_why_and_the_day(desk: Desk) -> None:
    li = await desk.staff.log_in("li")
    empty = (await li.get("/desk/orders")).text
    assert ("No order waits." in empty, "None. A refund" in empty) == (True, True)
    lost, other, good = await desk.held()
    listed = (await li.get("/desk/orders")).text
    assert [f'href="/desk/orders/{one}"' in listed for one in (lost, other, good)] == [True, True, False]
    assert "a line is held: what became of its write-off is not known" in listed
    assert "another amount was paid" in listed
    day = day_of(desk.money.clock.now)
    assert lost in (await li.get(f"/desk/orders?day={day}")).text
    assert lost not in (await li.get("/desk/orders?day=2020-01-01")).text
    assert good in (await li.get("/desk/orders?state=completed")).text
    assert good in (await li.get("/desk/orders?state=")).text
    today = (await li.get("/desk/today")).text
    assert '<li class="bad"><a href="/desk/orders"><strong>2</strong>' in today
    assert "200.00 yuan" in today  # 132.11 + 67.89
    assert await Orders(desk.money.payments.desk).by_day() == {day: 2}


async def test_a_held_line_is_decided_by_one_person_who_settles(desk: Desk) -> None:
    lost, *_ = await desk.held()
    path = f"/desk/orders/{lost}"
    li, wang = await desk.staff.log_in("li"), await desk.staff.log_in("wang")
    page = await wang.get(path)
    assert ("Who has the role settle decides it." in page.text, 'name="decision"' in page.text) == (True, False)
    assert (await send(wang, page, path + "/settle", decision="refused.2", note=SAID)).status_code == 403
    page = await li.get(path)
    assert [f'value="{one}"' in page.text for one in ("written-off.2", "refused.2", "give-back.0")] == [
        True, True, False,
    ]  # fmt: skip
    assert (await li.post(path + "/settle", data={"decision": "refused.2", "note": SAID})).status_code == 403
    for fields, words in (
        ({"note": SAID}, "Decision: choose one."),
        ({"decision": "refused.2", "note": " "}, "What you have found: say it"),
        ({"decision": "refused.2", "note": "x" * 401}, "What you have found: say it"),
    ):
        again = await send(li, page, path + "/settle", **fields)
        assert (again.status_code, words in again.text) == (422, True)
        assert ('value="refused.2" checked' in again.text) == ("decision" in fields)
        assert f'value="{fields["note"].strip()}"' in again.text
    for odd in ("sell.2", "refused.x", "refused.100"):
        assert (await send(li, page, path + "/settle", decision=odd, note=SAID)).status_code == 404
    wrong = await send(li, page, path + "/settle", decision="written-off.1", note=SAID)
    assert (wrong.status_code, "that line is not held" in wrong.text) == (409, True)
    done = await send(li, page, path + "/settle", decision="written-off.2", note=SAID)
    assert done.headers["location"] == path
    assert (await desk.money.payments.desk.order(lost)).order.state is OrderState.COMPLETED
    assert desk.money.acts == [
        ("order-settle", {"order": lost, "line": 2, "verdict": "written-off", "note": SAID})
    ]  # fmt: skip
    late = await send(li, page, path + "/settle", decision="refused.2", note=SAID)
    assert (late.status_code, "the order is completed: only of one that is held" in late.text) == (409, True)
    assert "订单目前为 已完成" in (await send(li, page, path + "/settle?lang=zh", decision="refused.2", note=SAID)).text


async def test_what_was_paid_otherwise_goes_back_whole(desk: Desk) -> None:
    _, other, _ = await desk.held()
    path = f"/desk/orders/{other}"
    li = await desk.staff.log_in("li")
    page = await li.get(path)
    assert re.search('To be paid.*67.89</td><td class="number bad">67.00</td>', page.text, re.DOTALL)
    assert 'value="give-back.0" checked' in page.text  # nothing else can be said
    await send(li, page, path + "/settle", decision="give-back.0", note=SAID)
    shown = (await li.get(path)).text
    assert (f"{other}-0-R1" in shown, "asked for" in shown, 'name="decision"' in shown) == (True, True, False)
    assert "It is given back: its refund is under way" in shown
    assert (await li.get("/desk/orders/01ZZZ")).status_code == 404


async def test_a_refund_that_three_statements_do_not_prove_is_red(desk: Desk) -> None:
    order = await desk.unproven()
    li = await desk.staff.log_in("li")
    listed = (await li.get("/desk/orders")).text
    assert (f"{order}-1-R1" in listed, "Have the application ask the channel" in listed) == (True, True)
    today = (await li.get("/desk/today")).text
    assert f'<li class="bad"><a href="/desk/orders/{order}"><strong>1</strong>' in today
    page = (await li.get(f"/desk/orders/{order}")).text
    assert ("Have the application ask the channel" in page, "t9" in page, "67.89" in page) == (True, True, True)
    asked = day_of(desk.money.clock.now - 3 * 86_400_000)
    assert await Orders(desk.money.payments.desk).by_day() == {asked: 1}
    assert f"{order}-1-R1" in (await li.get(f"/desk/orders?day={asked}")).text
    assert f"{order}-1-R1" not in (await li.get(f"/desk/orders?day={date(2020, 1, 1)}")).text


async def test_lists_page_by_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intranet_bridge.desk.money.orders.PAGE", 2)
    made = sorted(await desk.held(), reverse=True)
    li = await desk.staff.log_in("li")
    first = (await li.get("/desk/orders?state=")).text
    assert [f'href="/desk/orders/{one}"' in first for one in made] == [True, True, False]
    second = (await li.get(f"/desk/orders?state=&before={made[1]}")).text
    assert [f'href="/desk/orders/{one}"' in second for one in made] == [False, False, True]

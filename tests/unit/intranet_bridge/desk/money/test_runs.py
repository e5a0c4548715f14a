"""Runs and items on the accountant's desk: what a run came to, its approval, and differences that people resolve."""

import csv
import io
from datetime import date

import openpyxl
import pytest

from intranet_bridge.settlement.statements.desk import StatementItem
from intranet_bridge.settlement.statements.items import ItemState
from intranet_bridge.settlement.statements.run_records import RunState
from tests.unit.intranet_bridge.desk.money.world import DAY, World
from tests.unit.intranet_bridge.desk.staff import send
from tests.unit.intranet_bridge.settlement.statements.desks import booked

pytestmark = pytest.mark.anyio
SAID = "asked the platform"


def number(n: int) -> str:
    return f"20261124220014000000{n:08}"


async def differing(desk: World, platform: int = 30_000, books: int = 3_000) -> str:
    """An item of which both sides say another amount."""
    desk.money.marketing.rows = [booked(number(1), books, "2026-11-24T08:00:06")]
    await desk.money.statement(DAY, (number(1), "PO1", "pay", platform, "08:00:00"))
    (item,) = await desk.money.books.items()
    return item.id


async def test_an_item_has_both_values_side_by_side_and_is_resolved_with_a_note(desk: World) -> None:
    id = await differing(desk)
    li = await desk.staff.log_in("li")
    assert "<strong>1</strong> <span>differences are held" in (await li.get("/desk/today")).text
    path = f"/desk/items/{id}"
    page = await li.get(path)
    assert page.text.index("Platform says") < page.text.index("300.00") < page.text.index("30.00<")
    assert "Ask the platform which amount is right" in page.text
    wrong = await send(li, page, path + "/resolve", note="")
    assert (wrong.status_code, "the note has 1 to 500 characters" in wrong.text) == (409, True)
    assert (await li.post(path + "/resolve", data={"note": SAID})).status_code == 403
    assert (await send(li, page, path + "/resolve", note=SAID)).headers["location"] == path
    shown = (await li.get(path)).text
    assert SAID in shown
    assert '<span class="badge good">resolved</span>' in shown
    again = await send(li, page, path + "/resolve", note=SAID)
    assert (again.status_code, "resolved is not held" in again.text) == (409, True)
    assert desk.done() == [("settle-resolve", "li")]


async def test_above_the_bound_a_second_person_with_the_role_resolves_it(desk: World) -> None:
    id = await differing(desk, 200_000, 1)
    path = f"/desk/items/{id}"
    li, wang, zhao = [await desk.staff.log_in(name) for name in ("li", "wang", "zhao")]
    page = await li.get(path)
    assert "it takes two people" in page.text
    await send(li, page, path + "/resolve", note=SAID)
    assert (await desk.money.books.item(id)).state is ItemState.HELD
    shown = (await li.get(path)).text
    assert ("You have said so" in shown, "<button>Resolve" in shown) == (True, False)
    assert (await send(li, page, path + "/resolve", note=SAID)).status_code == 403  # no role, and the same person
    assert "Confirm, as the second person" in (await wang.get(path)).text
    await send(wang, await wang.get(path), path + "/resolve", note="seen")
    assert (await desk.money.books.item(id)).state is ItemState.RESOLVED
    assert "<button>" not in (await zhao.get(path)).text.split("<main")[1]


async def test_two_at_once_without_the_role_are_no_two_people(desk: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may be the first, as each has seen it; only the transaction knows who is."""
    id = await differing(desk, 200_000, 1)
    path, books = f"/desk/items/{id}", desk.money.books
    li, sun = [await desk.staff.log_in(name) for name in ("li", "sun")]
    page, nobody_yet = await sun.get(path), await books.item(id)
    await send(li, await li.get(path), path + "/resolve", note=SAID)
    look, seen = books.item, [nobody_yet]

    async def item(id: str) -> StatementItem:
        return seen.pop() if seen else await look(id)

    monkeypatch.setattr(books, "item", item)
    late = await send(sun, page, path + "/resolve", note="me too")
    assert (late.status_code, "The second person has the role approve." in late.text) == (409, True)
    held = await look(id)
    assert (held.state, len(held.resolutions)) == (ItemState.HELD, 1)


async def test_who_has_both_roles_is_no_second_person_of_their_own(desk: World) -> None:
    id = await differing(desk, 200_000, 1)
    path = f"/desk/items/{id}"
    zhao = await desk.staff.log_in("zhao")
    page = await zhao.get(path)
    await send(zhao, page, path + "/resolve", note=SAID)
    again = await send(zhao, page, path + "/resolve", note=SAID)
    assert (again.status_code, "zhao has said so already" in again.text) == (409, True)


async def test_a_run_past_the_brake_acts_once_two_people_have_approved_it(desk: World) -> None:
    rows = [(number(n), f"PO{n}", "pay", 10_000, "08:00:00") for n in range(25)]
    await desk.money.statement(DAY, *rows)
    (run,) = await desk.money.books.runs()
    assert run.state is RunState.NEEDS_APPROVAL
    li, wang, zhao = [await desk.staff.log_in(name) for name in ("li", "wang", "zhao")]
    today = (await li.get("/desk/today")).text
    assert f'<li class="bad"><a href="/desk/runs/{run.id}"><strong>1</strong>' in today
    assert "2,500.00" in today
    path = f"/desk/runs/{run.id}"
    page = await wang.get(path)
    assert "25 actions, more than 20" in page.text
    assert "25 笔，超过 20 笔" in (await li.get(path + "?lang=zh")).text
    assert "<button>" not in (await li.get(path)).text.split("<main")[1]
    assert (await send(li, await li.get(path), path + "/approve", note=SAID)).status_code == 403
    assert (await send(wang, page, path + "/approve", note="")).status_code == 409
    await send(wang, page, path + "/approve", note=SAID)
    assert "You have approved it" in (await wang.get(path)).text
    await send(zhao, await zhao.get(path), path + "/approve", note=SAID)
    assert (await desk.money.books.run(run.id)).state is RunState.ACTING
    assert (await send(zhao, page, path + "/approve", note=SAID)).status_code == 403  # of another session
    assert desk.done() == [("settle-approve", "wang"), ("settle-approve", "zhao")]
    assert "No such item." in (await li.get("/desk/items?lang=en")).text  # nothing is held
    listed = (await li.get(f"/desk/items?run={run.id}&class=platform-only")).text
    assert listed.count("/desk/items/0") == 25


async def test_lists_by_what_is_asked_page_by_page(desk: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intranet_bridge.desk.money.items.PAGE", 2)
    rows = [(number(n), f"PO{n}", "pay", 10_000, "08:00:00") for n in range(3)]
    await desk.money.statement(DAY, *rows)
    (run,) = await desk.money.books.runs()
    li = await desk.staff.log_in("li")
    assert "No such item." in (await li.get("/desk/items?state=open")).text
    first = (await li.get("/desk/items")).text  # what is held
    assert (first.count("/desk/items/0"), "Next" in first) == (2, True)
    items = await desk.money.books.items()
    second = (await li.get(f"/desk/items?after={items[1].id}")).text
    assert (items[2].id in second, items[0].id in second) == (True, False)
    for none in ("channel=wechat", "class=paid-twice", "state=resolved", "day=2026-11-23", "run=x"):
        assert "No such item." in (await li.get(f"/desk/items?{none}")).text, none
    assert items[0].id in (await li.get("/desk/items?channel=alipay&state=held&class=platform-only")).text
    assert run.id in (await li.get(f"/desk/runs?day={DAY}&state=done")).text
    assert "No such run." in (await li.get("/desk/runs?day=2026-11-20")).text
    page = (await li.get(f"/desk/runs/{run.id}")).text
    assert f"/desk/items?run={run.id}&amp;class=platform-only" in page
    for path in ("/desk/runs/x", "/desk/items/x", "/desk/items/%3Cb"):
        assert (await li.get(path)).status_code == 404


async def test_a_file_is_compared_again_by_who_settles(desk: World) -> None:
    await differing(desk)
    (run,) = await desk.money.books.runs()
    li, wang = await desk.staff.log_in("li"), await desk.staff.log_in("wang")
    path = f"/desk/runs/{run.id}"
    assert "Compare it again" not in (await wang.get(path)).text
    where = (await send(li, await li.get(path), path + "/again")).headers["location"]
    assert where != path
    assert (await send(li, await li.get(path), path + "/again")).status_code == 409  # the new one is not at its end
    file = await li.get(f"/desk/files/{run.file}")
    assert where in file.text
    assert date(2026, 11, 24) == run.day


async def test_items_are_downloaded_as_they_are_chosen(desk: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(number(n), f"PO{n}", "pay", 10_000 + n, "08:00:00") for n in range(3)]
    await desk.money.statement(DAY, *rows)
    li = await desk.staff.log_in("li")
    page = (await li.get("/desk/items")).text
    assert "/desk/items/file/xlsx?run=&amp;state=held" in page
    monkeypatch.setattr("intranet_bridge.desk.money.items.MOST", 2)  # of a read
    file = await li.get(f"/desk/items/file/csv?state=held&day={DAY}")
    assert file.headers["content-disposition"] == f'attachment; filename="items-{DAY}-held.csv"'
    assert (file.headers["cache-control"], file.headers["content-type"]) == ("no-store", "text/csv; charset=utf-8")
    told = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert [
        (one["Transaction"], one["Amount, yuan"], one["State"])
        for one in sorted(told, key=lambda one: one["Transaction"])
    ] == [(number(n), f"100.0{n}", "held") for n in range(3)]
    sheet = openpyxl.load_workbook(io.BytesIO((await li.get("/desk/items/file/xlsx?state=&lang=zh")).content)).active
    assert sheet is not None
    assert (sheet.title, sheet["A1"].value, {cell.value for cell in sheet["F"][1:]}) == (
        "差错",
        "状态",
        {number(0), number(1), number(2)},
    )
    assert sum(cell.value for cell in sheet["I"][1:]) == pytest.approx(300.03)
    assert desk.done() == [("items-downloaded", "li")] * 2
    assert (await li.get("/desk/items/file/pdf")).status_code == 404
    monkeypatch.setattr("intranet_bridge.desk.money.items.MOST_IN_A_FILE", 2)
    refused = await li.get("/desk/items/file/csv?state=")
    assert (refused.status_code, "More than 20,000 items" in refused.text) == (422, True)

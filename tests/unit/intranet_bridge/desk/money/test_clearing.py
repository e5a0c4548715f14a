"""Clearing on the accountant's desk: a month at a glance, and what becomes of a sheet by whose hand."""

from dataclasses import replace
from datetime import date

import pytest

from intranet_bridge.desk.money.clearing import Clearing, month_of
from intranet_bridge.settlement.clearing.sheets import SheetState
from tests.unit.intranet_bridge.desk.money.clearings import Sheets, sheet
from tests.unit.intranet_bridge.desk.money.world import World
from tests.unit.intranet_bridge.desk.staff import send

pytestmark = pytest.mark.anyio
DAY = date(2026, 11, 24)
SMALL, LARGE = sheet("water", DAY, 5_000), sheet("power", DAY, 900_000)


def opened(desk: World, *sheets: object) -> Sheets:
    made = Sheets(*sheets)  # type: ignore[arg-type]
    desk.staff.open(Clearing(made, lambda: ("power", "water"), desk.staff.now, desk.staff.act).pages())
    return made


def test_a_month_is_days_by_companies_and_shows_the_sheet_that_needs_somebody_most() -> None:
    month = month_of(
        date(2026, 11, 1),
        [
            SMALL, LARGE, sheet("power", DAY, -300, SheetState.CARRIED, "alipay"),
            sheet("power", date(2026, 11, 22), 7, SheetState.SHORT),
        ],
    )  # fmt: skip
    assert month.companies == ("power", "water")
    assert [(row.day.day, row.works, row.net) for row in month.rows] == [(22, False, 7), (24, True, 904_700)]
    sunday, tuesday = month.rows
    assert sunday.cells[1] is None
    assert tuesday.cells[0] is not None
    assert (tuesday.cells[0].state, tuesday.cells[0].net, tuesday.cells[0].count) == (SheetState.COMPUTED, 899_700, 2)
    assert tuesday.cells[0].path == "/desk/clearing/day?company=power&day=2026-11-24"
    assert month.sums == (899_707, 5_000)


async def test_what_is_carried_is_summed_once(desk: World) -> None:
    """A day of -100, and one of 150 that sets it off: 50 are paid out, and the month comes to that."""
    sheets = (
        sheet("power", DAY, -10_000, SheetState.CARRIED),
        replace(sheet("power", date(2026, 11, 25), 5_000, SheetState.APPROVED), carried=-10_000),
    )
    assert month_of(date(2026, 11, 1), sheets).sums == (5_000,)
    assert month_of(date(2026, 11, 1), sheets[:1]).sums == (-10_000,)
    opened(desk, *sheets)
    li = await desk.staff.log_in("li")
    shown = (await li.get("/desk/clearing?month=2026-11")).text
    assert "what a sheet sets off counts once" in shown


async def test_the_month_leads_to_the_sheets_and_the_file(desk: World) -> None:
    opened(desk, SMALL, LARGE)
    li = await desk.staff.log_in("li")
    month = (await li.get("/desk/clearing?month=2026-11")).text
    assert f"/desk/clearing/sheets/{LARGE.id}" in month
    assert "9,000.00" in month
    assert "There is no sheet of this month." in (await li.get("/desk/clearing?month=2026-10")).text
    assert (await li.get("/desk/clearing?month=2026-13")).status_code == 200
    listed = (await li.get("/desk/clearing/day?day=2026-11-24&company=power")).text
    assert (LARGE.id in listed, SMALL.id in listed) == (True, False)
    file = await li.get(f"/desk/clearing/sheets/{LARGE.id}/file")
    assert file.content.startswith(b"\xef\xbb\xbf")
    assert file.headers["content-disposition"] == 'attachment; filename="clearing_power_20261124_1.csv"'
    assert (file.headers["cache-control"], file.headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert desk.staff.done() == [("clearing-downloaded", "li")]
    assert (await li.get("/desk/clearing/sheets/none")).status_code == 404


async def test_two_people_approve_a_large_sheet_and_each_role_has_its_acts(desk: World) -> None:
    made = opened(desk, LARGE)
    li, wang, zhao = [await desk.staff.log_in(name) for name in ("li", "wang", "zhao")]
    path = f"/desk/clearing/sheets/{LARGE.id}"
    page = await wang.get(path)
    assert "Approve" not in (await li.get(path)).text
    assert (await send(li, await li.get(path + "/../../owe"), path + "/approve")).status_code == 403
    assert (await send(wang, page, path + "/approve")).headers["location"] == path
    again = await wang.get(path)
    assert "You have signed it" in again.text
    assert "/approve" not in again.text
    assert made.all[LARGE.id].state is SheetState.COMPUTED
    await send(zhao, await zhao.get(path), path + "/approve")
    assert made.all[LARGE.id].state is SheetState.APPROVED
    assert (await send(wang, again, path + "/paid-out")).status_code == 403
    await send(li, await li.get(path), path + "/paid-out")
    assert made.all[LARGE.id].state is SheetState.PAID_OUT
    refused = await send(li, await li.get(path), path + "/paid-out")
    assert (refused.status_code, "the sheet is paid out: it cannot be paid out now" in refused.text) == (409, True)


async def test_less_that_arrives_is_red_until_two_people_say_what_it_is(desk: World) -> None:
    made = opened(desk, sheet("water", DAY, 5_000, SheetState.PAID_OUT))
    li, wang = await desk.staff.log_in("li"), await desk.staff.log_in("wang")
    path = f"/desk/clearing/sheets/{SMALL.id}"
    page = await li.get(path)
    good = {"amount": "49.00", "day": "2026-11-25", "row": "B-77"}
    for wrong, value, field in (
        ("amount", "49.001", "Amount, yuan: "), ("day", "soon", "Day of arrival: "),
        ("row", "a b", "Number of the bank&#39;s row: "), ("row", "", "Number of the bank&#39;s row: "),
    ):  # fmt: skip
        typed = good | {wrong: value}
        again = await send(li, page, path + "/arrived", **typed)
        assert (again.status_code, field in again.text) == (422, True)
        assert [f'name="{name}"' in again.text and f'value="{kept}"' in again.text for name, kept in typed.items()] == [
            True, True, True,
        ]  # fmt: skip
    await send(li, page, path + "/arrived", **good)
    short = (await wang.get(path)).text
    assert '<span class="badge bad">short</span>' in short
    assert "Not arrived yet <strong>1.00</strong> yuan" in short
    assert "B-77" in short
    words = {"against": "channel", "note": "the bank's fee"}
    assert (await send(li, await li.get(path), path + "/adjust", **words | {"against": "x"})).status_code == 404
    assert (await send(li, await li.get(path), path + "/adjust", **words | {"note": " "})).status_code == 422
    await send(li, await li.get(path), path + "/adjust", **words)
    assert "the bank&#39;s fee" in (await wang.get(path)).text
    assert "Confirm just that" not in (await li.get(path)).text
    page = await wang.get(path)
    assert "Confirm just that" in page.text
    await send(wang, page, path + "/adjust", **words)
    assert made.all[SMALL.id].state is SheetState.CLOSED


async def test_what_a_company_is_owed_besides_takes_two_people(desk: World) -> None:
    opened(desk)
    li, wang = await desk.staff.log_in("li"), await desk.staff.log_in("wang")
    page = await li.get("/desk/clearing/owe")
    said = {"company": "water", "channel": "wechat", "amount": "-12.50", "note": "counted twice in October"}
    assert "waits for a second person, who confirms it" in (await send(li, page, "/desk/clearing/owe", **said)).text
    assert (
        "Two people have said it"
        in (await send(wang, await wang.get("/desk/clearing/owe"), "/desk/clearing/owe", **said)).text
    )
    assert (await send(li, page, "/desk/clearing/owe", **said | {"company": "gas"})).status_code == 404
    assert (await send(li, page, "/desk/clearing/owe", **said | {"amount": "0"})).status_code == 409


async def test_two_people_without_the_role_say_it_and_confirm_nothing(desk: World) -> None:
    short = sheet("power", DAY, 700, SheetState.SHORT)
    made = opened(desk, short)
    li, sun = await desk.staff.log_in("li"), await desk.staff.log_in("sun")
    path, words = f"/desk/clearing/sheets/{short.id}", {"against": "channel", "note": "the bank's fee"}
    await send(li, await li.get(path), path + "/adjust", **words)
    page = await sun.get(path)
    assert ("Confirm just that" in page.text, "The second person has the role approve." in page.text) == (False, True)
    late = await send(sun, page, path + "/adjust", **words)
    assert (late.status_code, "The second person has the role approve." in late.text) == (409, True)
    assert made.all[short.id].state is SheetState.SHORT
    made.said.clear()
    said = {"company": "power", "channel": "wechat", "amount": "-12.50", "note": "counted twice in October"}
    await send(li, await li.get("/desk/clearing/owe"), "/desk/clearing/owe", **said)
    page = await sun.get("/desk/clearing/adjustments")
    assert ("Confirm just that" in page.text, "The second person has the role approve." in page.text) == (False, True)
    late = await send(sun, page, "/desk/clearing/owe", **said)
    assert (late.status_code, made.said[0].said_by) == (409, ("li",))


async def test_what_waits_has_the_amount_and_the_way_to_it(desk: World) -> None:
    short = sheet("power", DAY, 700, SheetState.SHORT)
    pages = Clearing(Sheets(SMALL, short), lambda: ("power",), desk.staff.now, desk.staff.act)
    found = {one.what: one for one in await pages.waiting()}
    red = found["clearing sheets: less arrived than was paid out"]
    assert (red.grave, red.amount, red.path) == (True, 700, f"/desk/clearing/sheets/{short.id}")
    assert found["clearing sheets wait for approval"].grave is False


async def test_what_one_person_said_is_shown_to_the_second_who_confirms_it(desk: World) -> None:
    short = sheet("power", DAY, 700, SheetState.SHORT)
    made = opened(desk, short)
    pages = Clearing(made, lambda: ("power",), desk.staff.now, desk.staff.act)
    li, wang = await desk.staff.log_in("li"), await desk.staff.log_in("wang")
    assert "Nothing waits." in (await wang.get("/desk/clearing/adjustments")).text
    said = {"company": "power", "channel": "wechat", "amount": "-1,250.00", "note": "counted <twice>"}
    await send(li, await li.get("/desk/clearing/owe"), "/desk/clearing/owe", **said)
    (waits,) = [one for one in await pages.waiting() if "second person" in one.what]
    assert (waits.count, waits.path, waits.amount) == (1, "/desk/clearing/adjustments", 125_000)
    assert "/desk/clearing/adjustments" in (await wang.get("/desk/clearing?month=2026-11")).text
    mine = (await li.get("/desk/clearing/adjustments")).text
    assert ("You said it; a second person confirms." in mine, "Confirm just that" in mine) == (True, False)
    page = await wang.get("/desk/clearing/adjustments")
    assert ("counted &lt;twice&gt;" in page.text, "-1,250.00" in page.text) == (True, True)
    done = await send(wang, page, "/desk/clearing/owe", amount="-1,250.00", note="counted <twice>")
    assert "Two people have said it" in done.text
    assert [one for one in await pages.waiting() if "second person" in one.what] == []
    words = {"against": "channel", "note": "the bank's fee"}
    path = f"/desk/clearing/sheets/{short.id}"
    await send(li, await li.get(path), path + "/adjust", **words)
    assert f'<a class="button" href="{path}">' in (await wang.get("/desk/clearing/adjustments")).text


async def test_a_mistyped_amount_of_what_is_owed_stays_in_its_field(desk: World) -> None:
    opened(desk)
    li = await desk.staff.log_in("li")
    typed = {"company": "water", "channel": "wechat", "amount": "12,5", "note": "why"}
    again = await send(li, await li.get("/desk/clearing/owe"), "/desk/clearing/owe", **typed)
    assert (again.status_code, "Amount, yuan: it is written like" in again.text) == (422, True)
    assert [f'value="{typed[name]}"' in again.text for name in ("channel", "amount", "note")] == [True, True, True]
    assert "<option selected>water" in again.text


async def test_a_month_counts_orders_and_refunds_that_wait_by_their_day(desk: World) -> None:
    month = month_of(date(2026, 11, 1), [SMALL], {DAY: 2, date(2026, 11, 3): 1, date(2026, 10, 31): 7})
    assert [(row.day.day, row.others, row.net) for row in month.rows] == [(3, 1, 0), (24, 2, 5_000)]
    assert month.others == 3

    async def waiting() -> dict[date, int]:
        return {DAY: 2}

    pages = Clearing(Sheets(SMALL), lambda: ("water",), desk.staff.now, desk.staff.act, waiting).pages()
    desk.staff.open(pages)
    li = await desk.staff.log_in("li")
    assert (
        '<a href="/desk/orders?day=2026-11-24"><span class="badge bad">2</span>'
        in (await li.get("/desk/clearing?month=2026-11")).text
    )
    assert "/desk/orders" not in (await li.get("/desk/clearing?month=2026-10")).text

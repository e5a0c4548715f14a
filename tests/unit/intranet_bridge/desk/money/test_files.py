"""Files on the accountant's desk: what is wrong is said with its line, and a person decides about a resend."""

from datetime import date

import pytest

from intranet_bridge.settlement.statements import shown
from intranet_bridge.settlement.statements.life import FileState
from tests.unit.intranet_bridge.desk.money.world import NAME, World
from tests.unit.intranet_bridge.desk.staff import send
from tests.unit.intranet_bridge.settlement.statements.reads import SAMPLES

pytestmark = pytest.mark.anyio
GOOD = (SAMPLES / NAME).read_bytes()
WRONG = (SAMPLES / "resend" / NAME).read_bytes().replace(b"219.57", b"219.58")


async def test_a_refused_file_is_red_and_names_line_column_and_both_values(desk: World) -> None:
    taken = await desk.take(NAME, content=WRONG)
    assert taken.state is FileState.REFUSED
    li = await desk.staff.log_in("li")
    today = (await li.get("/desk/today")).text
    assert '<li class="bad"><a href="/desk/files?state=refused"><strong>1</strong>' in today
    assert '<span class="badge bad">refused</span>' in today
    assert taken.id in (await li.get("/desk/files?state=refused")).text
    page = (await li.get(f"/desk/files/{taken.id}")).text
    assert "its totals are not what its rows sum to" in page
    assert "Ask the sender for a right file" in page
    (finding,) = taken.findings
    for value in (finding.what, finding.expected, finding.found):
        assert f">{value}<" in page
    chinese = (await li.get(f"/desk/files/{taken.id}?lang=zh")).text
    assert "合计与明细不符" in chinese
    assert "金额合计与明细不符" in chinese


async def test_a_good_file_of_the_name_makes_the_refused_one_nobodys_business(desk: World) -> None:
    await desk.take(NAME, content=WRONG)
    taken = await desk.take(NAME)
    assert taken.state is FileState.MATCHED
    li = await desk.staff.log_in("li")
    today = (await li.get("/desk/today")).text
    assert "files were refused" not in today
    assert '<span class="badge good">matched</span>' in today
    page = (await li.get(f"/desk/files/{taken.id}")).text
    assert "211.57" in page
    assert "a copy of another line, counted once" in page


async def test_a_good_file_of_another_branch_does_not_hide_a_refused_one(desk: World) -> None:
    await desk.take(NAME.replace("37101", "37102"), content=WRONG)
    assert (await desk.take(NAME)).state is FileState.MATCHED
    li = await desk.staff.log_in("li")
    assert "<strong>1</strong> <span>files were refused" in (await li.get("/desk/today")).text


@pytest.mark.parametrize(("act", "state"), [("take", FileState.ACCEPTED), ("leave", FileState.REFUSED)])
async def test_a_resend_waits_and_shows_the_rows_that_differ(desk: World, act: str, state: FileState) -> None:
    first, second = await desk.take(NAME), await desk.take(f"resend/{NAME}")
    assert second.state is FileState.CONFLICTING
    li, wang = await desk.staff.log_in("li"), await desk.staff.log_in("wang")
    assert "came again with other content" in (await li.get("/desk/today")).text
    path = f"/desk/files/{second.id}"
    page = await li.get(path)
    assert "added: 1 · gone: 0" in page.text
    assert page.text.count('<tr class="now">') == 1
    assert "Take this file" not in (await wang.get(path)).text
    assert (await send(wang, await wang.get(path), path + "/act", act=act)).status_code == 403
    assert (await send(li, page, path + "/act", act="close")).status_code == 404
    assert (await li.post(path + "/act", data={"act": act})).status_code == 403  # without the session's token
    assert (await send(li, page, path + "/act", act=act)).headers["location"] == path
    assert f'"badge {"good" if act == "take" else "bad"}"' in (await li.get(path)).text
    found = {one.id: one for one in await desk.store.read(lambda one: shown.files(one, limit=9))}
    assert found[second.id].state is state
    assert found[first.id].state is (FileState.REPLACED if act == "take" else FileState.MATCHED)
    again = await send(li, page, path + "/act", act=act)
    assert (again.status_code, "does not wait for a decision" in again.text) == (409, True)
    assert desk.done() == [("settle-accept" if act == "take" else "settle-refuse", "li")]


async def test_a_changed_row_is_shown_as_it_was_and_as_it_is(desk: World) -> None:
    await desk.take(NAME)
    second = await desk.take(NAME, content=GOOD.replace(b"120.5 ", b"121.5 ").replace(b"211.57", b"212.57"))
    li = await desk.staff.log_in("li")
    page = (await li.get(f"/desk/files/{second.id}")).text
    was, now = page.index('<tr class="was">'), page.index('<tr class="now">')
    assert was < page.index("120.50") < now < page.index("121.50")


async def test_only_accountants_see_money_and_only_files_there_are(desk: World) -> None:
    taken = await desk.take(NAME)
    qian, li = await desk.staff.log_in("qian"), await desk.staff.log_in("li")
    for path in ("/desk/today", "/desk/files", f"/desk/files/{taken.id}", "/desk/ledger"):
        assert (await qian.get(path)).status_code == 403
        assert (await desk.staff.browser().get(path)).headers["location"] == "/desk/login"
    for path in ("/desk/files/x", "/desk/files/x.y", "/desk/files/%3Cb"):
        assert (await li.get(path)).status_code == 404
    assert (await li.get("/desk/")).headers["location"] == "/desk/today"


async def test_files_are_listed_page_by_page_and_by_what_is_asked(desk: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intranet_bridge.desk.money.files.PAGE", 2)
    made = [await desk.take(NAME, content=GOOD.replace(b"|3|", b"|%d|" % n)) for n in range(6, 9)]
    li = await desk.staff.log_in("li")
    first = (await li.get("/desk/files")).text
    assert [f"/desk/files/{one.id}" in first for one in made] == [False, True, True]
    older = (await li.get(f"/desk/files?before={made[1].id}")).text
    assert [f"/desk/files/{one.id}" in older for one in made] == [True, False, False]
    assert "No file has come." in (await li.get("/desk/files?day=2026-11-23")).text
    assert "No file has come." in (await li.get("/desk/files?channel=alipay")).text
    for wrong in ("day=x", "state=x", "channel=%3Cb%3E", "before=%27"):
        assert (await li.get(f"/desk/files?{wrong}")).status_code == 200


async def test_a_statement_that_did_not_come_is_red_until_somebody_says_that_the_day_had_nothing(desk: World) -> None:
    desk.money.at(date(2026, 11, 25), 18)
    li, wang = await desk.staff.log_in("li"), await desk.staff.log_in("wang")
    today = (await li.get("/desk/today")).text
    assert "<strong>2</strong> <span>statements are missing: call the platform" in today
    path = "/desk/files/absent?source=alipay&amp;day=2026-11-24"
    assert path in today
    assert path in (await li.get("/desk/files?state=missing")).text
    path = path.replace("&amp;", "&")
    page = await li.get(path)
    assert "The day had nothing" not in (await wang.get(path)).text
    assert (await send(wang, await wang.get(path.replace("alipay", "utility")), path, note="x")).status_code == 403
    assert (await send(li, page, path, note=" ")).status_code == 409
    assert (await send(li, page, path, note="confirmed by telephone")).headers[
        "location"
    ] == "/desk/today?day=2026-11-24"
    assert "<strong>1</strong> <span>statements are missing" in (await li.get("/desk/today")).text
    again = await send(li, page, path, note="once more")
    assert (again.status_code, "there is a file of that day" in again.text) == (409, True)
    assert desk.done() == [("settle-empty", "li")]
    for wrong in ("source=x&day=2026-11-24", "source=alipay", "source=alipay&day=2026-11-20"):
        assert (await li.get(f"/desk/files/absent?{wrong}")).status_code == 404

"""The bridge's desk: texts from draft to published by two people, in a browser's words; who may not; bounds."""

import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from intranet_bridge.content import life, records, times
from intranet_bridge.content.kinds import KINDS
from intranet_bridge.content.life import Act, Stage
from intranet_bridge.desk import server, texts, words
from intranet_bridge.desk.server import application
from intranet_bridge.desk.texts import TEMPLATES, Texts
from intranet_bridge.desk.words import WORDS
from intranet_bridge.desk_section import DeskSection
from protocol.desk import staff
from protocol.desk.login import LogIn
from protocol.desk.pages import Desk, Furniture
from protocol.desk.sessions import Sessions
from protocol.languages import Language
from tests.support.desk_words import lacking
from tests.unit.intranet_bridge.content.test_service import World

pytestmark = pytest.mark.anyio
ROLES = {"li": ("edit",), "wang": ("edit", "review"), "zhao": ("review",)}


class Staff:
    """A desk, and members with browsers."""

    def __init__(self, world: World) -> None:
        self.world = world
        section = DeskSection(enabled=True)

        async def act(name: str, by: str, /, **details: Any) -> None:
            world.acts.append((name, by, details))

        desk = Desk(
            section, Furniture("Desk of the bridge", Texts(world.content).pages(), TEMPLATES, WORDS),
            sessions=Sessions(section, lambda: 0.0), log_in=LogIn(world.store, lambda: world.now), act=act,
        )  # fmt: skip
        self.app = application(desk)

    def browser(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 50000))
        return httpx.AsyncClient(transport=transport, base_url="https://bridge", headers={"accept-language": "en"})

    async def log_in(self, name: str) -> httpx.AsyncClient:
        made = await self.world.store.write(
            lambda one: staff.add(one, name, ROLES[name], self.world.now, staff.BRIDGE_ROLES)
        )
        code = TOTP(base64.b32decode(made.secret), 6, SHA1(), 30).generate(self.world.now // 1000).decode()
        browser = self.browser()
        page = await browser.get("/desk/login")
        answer = await send(browser, page, "/desk/login", name=name, password=made.password, code=code)
        assert answer.headers["location"] == "/desk/"
        return browser


async def send(browser: httpx.AsyncClient, page: httpx.Response, path: str, **fields: str) -> httpx.Response:
    """Send a form of a page."""
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
    return await browser.post(path, data=hidden | fields)


async def acted(browser: httpx.AsyncClient, path: str, act: str, **more: str) -> httpx.Response:
    return await send(browser, await browser.get(path), path + "/act", act=act, **more)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Staff]:
    world = World(tmp_path)
    await world.store.start()
    await world.content.look()
    yield Staff(world)
    await world.store.close()


NEWS = {
    "number": "7",
    "title": "调整营业时间",
    "category": "公告",
    "body": "**七月**起 <script>x</script>",
    "do": "save",
}


async def written(browser: httpx.AsyncClient, **changes: str) -> str:
    """The path of a new draft."""
    page = await browser.get("/desk/content/new/news")
    answer = await send(browser, page, "/desk/content/new/news", **NEWS | changes)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def test_two_people_publish_a_text_and_one_withdraws_it(desk: Staff) -> None:
    li, wang = await desk.log_in("li"), await desk.log_in("wang")
    assert (await li.get("/desk/")).headers["location"] == "/desk/content"
    path = await written(li)
    page = await li.get(path)
    assert "<strong>七月</strong>起 &lt;script&gt;x&lt;/script&gt;" in page.text
    assert 'value="approve"' not in page.text
    assert (await acted(li, path, "submit")).status_code == 303
    assert 'value="approve"' in (await wang.get(path)).text
    assert (await acted(wang, path, "approve", remark="好")).status_code == 303
    assert await desk.world.titles() == []
    assert (await acted(li, path, "publish")).status_code == 303
    assert await desk.world.titles() == ["调整营业时间"]
    page = await wang.get(path)
    assert page.text.count("<td>好</td>") == 1
    assert "approved by wang" in page.text
    assert (await acted(wang, path, "withdraw")).status_code == 303
    assert await desk.world.titles() == []
    assert [(name, by) for name, by, _ in desk.world.acts if name != "desk-login"] == [
        ("content-save", "li"), ("content-submit", "li"), ("content-approve", "wang"), ("content-publish", "li"),
        ("content-withdraw", "wang"),
    ]  # fmt: skip


async def test_who_wrote_it_cannot_approve_it_though_the_form_be_made_by_hand(desk: Staff) -> None:
    wang = await desk.log_in("wang")
    path = await written(wang)
    await acted(wang, path, "submit")
    page = await wang.get(path)
    assert "a second person does" in page.text
    refused = await acted(wang, path, "approve")
    assert (refused.status_code, "a second person does" in refused.text) == (409, True)


async def test_a_role_has_its_pages_and_acts_alone(desk: Staff) -> None:
    li, zhao = await desk.log_in("li"), await desk.log_in("zhao")
    path = await written(li)
    assert (await zhao.get("/desk/content/new/news")).status_code == 403
    assert (await zhao.get(path + "/edit")).status_code == 403
    assert "/desk/content/new/" not in (await zhao.get("/desk/content")).text
    assert (await acted(zhao, path, "submit")).status_code == 409
    assert (await acted(zhao, path, "save")).status_code == 404
    assert (await zhao.post(path + "/act", data={"act": "withdraw", "version": "1", "changes": "0"})).status_code == 403
    for wrong in ("/desk/content/x", "/desk/content/x/edit", "/desk/content/new/x"):
        assert (await li.get(wrong)).status_code == 404
    assert (await desk.browser().get("/desk/content")).headers["location"] == "/desk/login"


async def test_what_is_wrong_is_said_in_the_form_which_keeps_what_was_written(desk: Staff) -> None:
    li = await desk.log_in("li")
    page = await li.get("/desk/content/new/outlet")
    fields = {"name": "云河", "area": "9", "address": "路", "latitude": "91", "longitude": "x", "services": "一\r\n二"}
    said = await send(li, page, "/desk/content/new/outlet", **fields, do="save")
    assert (said.status_code, "Longitude: is not a number" in said.text) == (422, True)
    assert "一\n二</textarea>" in said.text
    said = await send(li, page, "/desk/content/new/outlet", **fields | {"longitude": "114"}, do="save")
    assert "Latitude: Input should be less than or equal to 90" in said.text
    good = fields | {"longitude": "114", "latitude": "30"}
    said = await send(li, page, "/desk/content/new/outlet", **good, publish_at="soon", do="save")
    assert "Publish at: a time is written" in said.text
    assert (await send(li, page, "/desk/content/new/outlet", **good, do="save")).status_code == 303


async def test_a_form_sent_twice_is_one_text_and_a_preview_is_none(desk: Staff) -> None:
    li = await desk.log_in("li")
    page = await li.get("/desk/content/new/news")
    shown = await send(li, page, "/desk/content/new/news", **NEWS | {"number": "", "do": "preview"})
    assert "<strong>七月</strong>" in shown.text
    assert (await li.get("/desk/content")).text.count("/desk/content/0") == 0
    where = {
        (await send(li, page, "/desk/content/new/news", **NEWS | {"number": ""})).headers["location"] for _ in range(2)
    }
    assert len(where) == 1
    found, _ = await desk.world.content.newest("", "")
    assert [one.number for one in found] == ["1"]


async def test_of_two_who_write_at_the_same_time_the_second_is_told_and_loses_nothing(desk: Staff) -> None:
    li, wang = await desk.log_in("li"), await desk.log_in("wang")
    path = await written(li)
    theirs, mine = await wang.get(path + "/edit"), await li.get(path + "/edit")
    assert (await send(wang, theirs, path + "/edit", **NEWS | {"title": "二"})).status_code == 303
    previewed = await send(li, mine, path + "/edit", **NEWS | {"title": "三", "do": "preview"})
    told = await send(li, previewed, path + "/edit", **NEWS | {"title": "三"})
    assert (told.status_code, "meanwhile" in told.text, 'value="三"' in told.text) == (409, True, True)
    assert (await desk.world.content.newest("", ""))[0][0].heading == "二"


async def test_a_version_that_follows_has_no_times_of_the_one_before(desk: Staff) -> None:
    li, wang = await desk.log_in("li"), await desk.log_in("wang")
    path = await written(li, withdraw_at="2030-01-01T08:00")
    for browser, act in ((li, "submit"), (wang, "approve"), (li, "publish")):
        await acted(browser, path, act)
    page = await li.get(path + "/edit")
    assert 'name="withdraw_at" value=""' in page.text
    await send(li, page, path + "/edit", **NEWS | {"title": "二"})
    assert await desk.world.titles() == ["调整营业时间"]
    assert "2030-01-01 08:00" in (await li.get(path + "?version=1")).text
    assert "an earlier version is published" in (await li.get("/desk/content?kind=news")).text
    assert "There is none." in (await li.get("/desk/content?stage=in-review")).text


async def test_bodies_are_bounded_for_who_is_not_known_too(desk: Staff) -> None:
    browser = desk.browser()
    large = await browser.post("/desk/login", content=b"x" * (server.MOST_BYTES + 1))
    assert large.status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"

    assert (await browser.post("/desk/login", content=pieces())).status_code == 413
    assert (await browser.get("/")).headers["location"] == "/desk/"


def test_every_text_of_the_pages_is_translated() -> None:
    assert lacking(WORDS, (TEMPLATES,), (texts, life, records, times)) == []
    said = {entry.label for kind in KINDS.values() for entry in kind.entries} | {kind.title for kind in KINDS.values()}
    said |= {f"act-{act}" for act in Act} | {f"kind-{name}" for name in KINDS} | set(Stage)
    said |= {"Desk of the bridge", "planned", "fault"}
    assert sorted(text for text in said if WORDS.said(text, Language.CHINESE) == text) == []
    codes = {f"act-{act}" for act in Act} | {f"kind-{name}" for name in KINDS}
    assert sorted(text for text in codes if WORDS.said(text, Language.ENGLISH) == text) == []
    assert words is not None


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"host": "10.1.2.3"}, "https"), ({"host": "0.0.0.0"}, "not every interface"), ({"host": "::"}, "not every"),
        ({"certificate": "x"}, "belong together"), ({"networks": ["10.0.0.1/8"]}, "host bits"),
    ],
)  # fmt: skip
def test_beyond_loopback_it_is_served_by_https_on_one_address(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        DeskSection.model_validate(values)
    assert DeskSection().host == "127.0.0.1"

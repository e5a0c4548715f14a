"""The desk's pages: who is let in, how long, and what each may do."""

import base64
import json
import re

import httpx
import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from dmz_front.desk import pages, words, work
from dmz_front.settings import DeskSection
from protocol.desk import pages as frame
from protocol.desk import staff
from protocol.desk.login import LogIn
from protocol.desk.pages import TEMPLATES
from protocol.desk.sessions import Sessions
from protocol.desk.staff import Credentials
from protocol.envelope import Opened
from protocol.lifecycle import State
from scripts.tools.testbed.layout import ROOT
from tests.support.desk_words import lacking
from tests.unit.dmz_front.harness import Harness, Say

pytestmark = pytest.mark.anyio

ACCOUNT = "3210000000003"
PNG = base64.b64encode(b"\x89PNG picture").decode()
ISSUED = {
    "account": ACCOUNT, "url": f"https://pay.example.cn/q/1-{ACCOUNT}-HQV5GA0GVGWX", "host": "pay.example.cn",
    "kid": "1", "generation": 1, "issued_at": "2026-07-01T09:30:00+08:00", "png": PNG,
}  # fmt: skip
RECORD = {
    "account": ACCOUNT, "generation": 1,
    "codes": [{"kid": "1", "generation": 1, "issued_at": "2026-07-01T09:30:00+08:00", "by": "desk:wang",
               "batch": "", "good": True}],
}  # fmt: skip


class Browser:
    """A browser with its cookies."""

    def __init__(self, harness: Harness, address: str = "127.0.0.1") -> None:
        transport = httpx.ASGITransport(harness.front.api, client=(address, 50000))
        self.client = httpx.AsyncClient(transport=transport, base_url="https://front")
        self.harness = harness

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(f"/desk{path}", headers=headers)

    async def send(self, page: httpx.Response, path: str, **fields: str) -> httpx.Response:
        """Send a form of a page."""
        hidden = dict(re.findall(r'<input type="hidden" name="(token|once)" value="([^"]*)">', page.text))
        return await self.client.post(f"/desk{path}", data=hidden | fields)

    async def log_in(self, who: str, made: Credentials, **changes: str) -> httpx.Response:
        page = await self.get("/login")
        fields = {"name": who, "password": made.password, "code": code(made, self.harness.clock())} | changes
        return await self.send(page, "/login", **fields)


def code(made: Credentials, now_ms: int) -> str:
    return TOTP(base64.b32decode(made.secret), 6, SHA1(), 30).generate(now_ms // 1000).decode()


@pytest.fixture
async def desk(harness: Harness) -> Harness:
    harness.options["desk"] = {"enabled": True}
    await harness.start()
    harness.bridge.script = answers
    return harness


def answers(opened: Opened) -> Say | None:
    body = json.loads(opened.payload) if opened.attributes.type != "attachment" else {}
    match opened.attributes.type:
        case "qr-issue":
            if body["account"] == "3210000000007":
                return Say(State.REFUSED, "account-closed")
            return Say(result=json.dumps(ISSUED | {"account": body["account"]}).encode())
        case "qr-lookup":
            return Say(result=json.dumps(RECORD).encode())
        case "qr-revoke":
            said = {"account": ACCOUNT, "generation": 2, "good_until": "2026-09-29T09:30:00+08:00"}
            return Say(result=json.dumps(said).encode())
        case _:
            return Say(State.REFUSED, "no-such-batch")


async def member(harness: Harness, name: str = "wang", *roles: str) -> Credentials:
    wanted = roles or staff.ROLES
    return await harness.front.store.write(lambda one: staff.add(one, name, wanted, harness.clock()))


async def inside(desk: Harness, *roles: str) -> Browser:
    browser = Browser(desk)
    answer = await browser.log_in("wang", await member(desk, "wang", *roles))
    assert (answer.status_code, answer.headers["location"]) == (303, "/desk/")
    return browser


async def test_both_factors_are_needed_and_what_was_wrong_is_not_said(desk: Harness) -> None:
    made = await member(desk)
    browser = Browser(desk)
    pages = [
        await browser.log_in("wang", made, password="x"),
        await browser.log_in("wang", made, code="000000"),
        await browser.log_in("nobody", made),
        await browser.log_in("../x", made),
    ]
    texts = {re.sub(r'value="[^"]*"', "", page.text) for page in pages}
    assert len(texts) == 1
    assert {page.status_code for page in pages} == {403}
    assert (await browser.get("/")).headers["location"] == "/desk/login"
    assert (await browser.log_in("wang", made)).status_code == 303
    assert (await browser.get("/")).status_code == 200


async def test_a_code_of_the_second_factor_is_taken_once(desk: Harness) -> None:
    made = await member(desk)
    assert (await Browser(desk).log_in("wang", made)).status_code == 303
    assert (await Browser(desk).log_in("wang", made)).status_code == 403


async def test_an_account_is_locked_for_longer_each_time_whoever_tries(desk: Harness) -> None:
    made = await member(desk)
    for number in range(staff.FREE_FAILURES):
        await Browser(desk, f"127.0.0.{number + 1}").log_in("wang", made, password="x")
    known = await desk.front.store.read(lambda one: staff.member(one, "wang"))
    assert known is not None
    assert known.locked_until == desk.clock() + 30_000
    assert (await Browser(desk, "127.0.0.9").log_in("wang", made)).status_code == 403
    desk.clock.now += 30_001
    assert (await Browser(desk, "127.0.0.9").log_in("wang", made)).status_code == 303
    assert [staff.locked_ms(n) for n in (4, 5, 6, 7, 100)] == [0, 30_000, 60_000, 120_000, 3_600_000]


async def test_one_address_tries_ten_times_a_minute(desk: Harness) -> None:
    made = await member(desk)
    assert desk.front.desk is not None
    desk.front.desk.log_in._now = lambda: 0.0
    statuses = [(await Browser(desk).log_in("nobody", made)).status_code for _ in range(11)]
    assert statuses == [403] * 10 + [429]


async def test_a_network_of_ipv6_tries_as_one_address_does(desk: Harness) -> None:
    desk.options["desk"] = {"enabled": True, "networks": ("2001:db8::/32",)}
    await desk.restart()
    made = await member(desk)
    assert desk.front.desk is not None
    desk.front.desk.log_in._now = lambda: 0.0
    browsers = [Browser(desk, f"2001:db8::{number:x}") for number in range(1, 12)]
    assert [(await one.log_in("nobody", made)).status_code for one in browsers] == [403] * 10 + [429]


async def test_an_address_of_ipv4_is_known_on_a_socket_of_ipv6(desk: Harness) -> None:
    assert (await Browser(desk, "::ffff:127.0.0.1").get("/login")).status_code == 200
    assert (await Browser(desk, "::ffff:192.0.2.7").get("/login")).status_code == 404


@pytest.mark.parametrize("token", ["", "-"])
async def test_a_log_in_that_another_site_sends_is_none(desk: Harness, token: str) -> None:
    made = await member(desk)
    fields = {"name": "wang", "password": made.password, "code": code(made, desk.clock()), "token": token}
    answer = await Browser(desk).client.post("/desk/login", data=fields)  # SameSite=Strict: without our cookie
    assert answer.status_code == 403
    assert "__Host-desk=" not in answer.headers.get("set-cookie", "")


async def test_other_networks_see_nothing_and_it_is_off_by_default(desk: Harness) -> None:
    answer = await Browser(desk, "192.0.2.7").get("/login")
    assert answer.status_code == 404
    assert "password" not in answer.text
    desk.options.pop("desk")
    await desk.restart()
    assert (await Browser(desk).get("/login")).json()["code"] == "not-found"


async def test_pages_and_cookies_are_strict(desk: Harness) -> None:
    browser = Browser(desk)
    page = await browser.get("/login", **{"accept-language": "zh"})
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert "<script" not in page.text
    assert 'lang="zh"' in page.text
    answer = await browser.log_in("wang", await member(desk))
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("__Host-desk="))
    for word in ("Secure", "HttpOnly", "SameSite=strict", "Path=/"):
        assert word in cookie
    assert "Domain" not in cookie
    assert (await browser.get("/?lang=en")).headers["content-language"] == "en"
    assert (await browser.get("/")).headers["content-language"] == "en"  # it stays


async def test_another_language_leads_to_the_page_that_is_shown(desk: Harness) -> None:
    wrong = await Browser(desk).log_in("nobody", await member(desk, "li"))
    assert 'href="?lang=zh"' in wrong.text  # GET /desk/login
    browser = await inside(desk)
    chosen = await browser.get("/lookup?lang=en&day=2026-11-29&day=2026-11-30")
    assert 'href="?day=2026-11-29&amp;day=2026-11-30&amp;lang=zh"' in chosen.text
    assert 'lang="en" hreflang' not in chosen.text  # the one that is spoken is no link
    assert '<a href="/desk/lookup" aria-current="page">' in chosen.text
    looked_up = await browser.send(chosen, "/lookup", account=ACCOUNT)
    issued = await browser.send(await browser.get("/"), "/issue", account=ACCOUNT)
    for page, leads in ((looked_up, "/lookup?lang=zh"), (issued, "/?lang=zh")):
        assert f'href="{leads.removeprefix("/lookup") if "lookup" in leads else "/desk" + leads}"' in page.text
        assert (await browser.get(leads)).status_code == 200


def test_what_a_field_must_look_like_is_said_where_the_browser_says_that_it_does_not() -> None:
    for folder in (pages.FILES, TEMPLATES, ROOT / "intranet_bridge/desk/templates"):
        for file in folder.rglob("*.html"):
            for field in re.findall(r"<input[^>]* pattern=[^>]*>", file.read_text()):
                assert ' title="' in field, f"{file.name}: {field}"


async def test_a_form_without_the_sessions_token_is_refused(desk: Harness) -> None:
    browser = await inside(desk)
    before = len(desk.bridge.taken)
    for fields in ({"account": ACCOUNT}, {"account": ACCOUNT, "token": "x"}):
        assert (await browser.client.post("/desk/issue", data=fields)).status_code == 403
    assert len(desk.bridge.taken) == before
    page = await Browser(desk).get("/login")
    answer = await Browser(desk).send(page, "/login", name="wang", password="x", code="123456")  # another browser
    assert answer.status_code == 403


async def test_one_account_is_shown_and_its_code_downloaded(desk: Harness) -> None:
    browser = await inside(desk)
    home = await browser.get("/")
    page = await browser.send(home, "/issue", account=ACCOUNT)
    assert f'download="{ACCOUNT}.png" href="data:image/png;base64,{PNG}"' in page.text
    assert "pay.example.cn" in page.text
    asked = desk.bridge.taken[-1]
    assert asked.attributes.source == "front-1/desk"
    assert json.loads(asked.payload) == {"account": ACCOUNT, "image": True, "by": "wang"}
    sent = len(desk.bridge.taken)
    assert ACCOUNT in (await browser.send(home, "/issue", account=ACCOUNT)).text  # the same form again
    assert len(desk.bridge.taken) == sent
    closed = await browser.send(await browser.get("/?lang=en"), "/issue", account="3210000000007")
    assert "the account is closed" in closed.text
    bad = await browser.send(await browser.get("/"), "/issue", account="<script>")
    assert "no account number" in bad.text
    assert "&lt;script&gt;" in bad.text
    assert "<script>" not in bad.text


async def test_what_was_issued_is_looked_up_and_revoked(desk: Harness) -> None:
    browser = await inside(desk)
    page = await browser.send(await browser.get("/lookup?lang=en"), "/lookup", account=ACCOUNT)
    assert "desk:wang" in page.text
    done = await browser.send(page, "/revoke", account=ACCOUNT)
    assert "2026-09-29 09:30" in done.text
    assert json.loads(desk.bridge.taken[-2].payload) == {"account": ACCOUNT, "now": False, "by": "wang"}
    page = await browser.send(await browser.get("/lookup"), "/lookup", account=ACCOUNT)
    done = await browser.send(page, "/revoke", account=ACCOUNT, now="yes")
    assert "lead nowhere now" in done.text


async def test_a_sheet_to_print_has_each_account_once_and_names_what_has_no_code(desk: Harness) -> None:
    browser = await inside(desk)
    text = f"{ACCOUNT}\n{ACCOUNT} 3210000000004\n3210000000007"
    page = await browser.send(await browser.get("/print?lang=en"), "/print", accounts=text)
    assert page.text.count("<figure>") == 2
    assert "3210000000007: the account is closed" in page.text


@pytest.mark.parametrize(
    ("roles", "may", "may_not"),
    [
        (("lookup",), ["/lookup"], ["/batches", "/print", "/template.xlsx"]),
        (("issue",), ["/batches", "/print", "/template.xlsx"], ["/lookup"]),
        (("revoke",), ["/lookup"], ["/batches"]),
    ],
)
async def test_a_role_has_its_pages_alone(
    desk: Harness, roles: tuple[str, ...], may: list[str], may_not: list[str]
) -> None:
    browser = await inside(desk, *roles)
    assert {(await browser.get(path)).status_code for path in may} == {200}
    assert {(await browser.get(path)).status_code for path in may_not} == {403}
    if "revoke" not in roles:
        page = await browser.get("/print" if "issue" in roles else "/lookup")
        assert (await browser.send(page, "/revoke", account=ACCOUNT)).status_code == 403


async def test_a_session_ends_by_log_out_by_a_reset_and_by_a_second_log_in(desk: Harness) -> None:
    browser = await inside(desk)
    other = Browser(desk)
    desk.clock.now += 60_000
    made = await desk.front.store.write(lambda one: staff.reset(one, "wang", (), desk.clock()))
    assert (await browser.get("/")).headers["location"] == "/desk/login"
    assert (await other.log_in("wang", made)).status_code == 303
    desk.clock.now += 60_000
    assert (await browser.log_in("wang", made)).status_code == 303
    assert (await other.get("/")).headers["location"] == "/desk/login"  # one at a time
    await browser.send(await browser.get("/"), "/logout")
    assert (await browser.get("/")).headers["location"] == "/desk/login"
    desk.clock.now += 60_000
    assert (await browser.log_in("wang", made)).status_code == 303
    await desk.front.store.write(lambda one: staff.disable(one, "wang", desk.clock()))
    assert (await browser.get("/")).headers["location"] == "/desk/login"


def test_sessions_end_when_idle_and_after_their_longest_time() -> None:
    now = [0.0]
    limits = DeskSection(idle_minutes=15, longest_hours=1, one_session=False)
    sessions = Sessions(limits, lambda: now[0])
    idle, busy = (sessions.begin("wang", frozenset(), 0) for _ in range(2))
    for _ in range(4):
        now[0] += 14 * 60
        assert sessions.find(busy) is not None
    assert sessions.find(idle) is None
    now[0] += 5 * 60
    assert sessions.find(busy) is None
    assert len(sessions) == 0


async def test_the_table_alone_gives_neither_factor(desk: Harness) -> None:
    made = await member(desk)
    row = await desk.front.store.read(lambda one: one.execute(staff.STAFF.select()).one())
    stored = repr(tuple(row)).encode() + bytes(row.second) + bytes(row.verifier)
    assert base64.b32decode(made.secret) not in stored
    assert made.password.encode() not in stored
    assert made.password not in repr(made)


def test_every_text_of_the_pages_is_translated() -> None:
    assert lacking(words.WORDS, (pages.FILES, TEMPLATES), (pages, work, frame)) == []


async def test_log_in_is_looked_at_two_at_once(desk: Harness) -> None:
    import asyncio

    made = await member(desk)
    login = LogIn(desk.front.store, desk.clock)
    said = await asyncio.gather(
        *(login.attempt("wang", made.password, "1", f"10.0.0.{n}") for n in range(4)), return_exceptions=True
    )
    assert [type(one).__name__ for one in said] == ["NoneType", "NoneType", "TooMany", "TooMany"]


async def test_a_member_chooses_a_password_and_keeps_the_second_factor(desk: Harness) -> None:
    browser, made = Browser(desk), await member(desk)
    await browser.log_in("wang", made)
    desk.clock.now += 60_000
    chosen = {"password": made.password, "code": code(made, desk.clock())}
    page = await browser.get("/password?lang=en")
    for new, again, why in (
        ("short", "short", "12 characters"), ("wang-is-my-name", "wang-is-my-name", "not your name"),
        ("a long sentence", "a long sentense", "twice the same"),
    ):  # fmt: skip
        said = await browser.send(page, "/password", **chosen, new=new, again=again)
        assert (said.status_code, why in said.text) == (422, True)
    good = {"new": "a long sentence", "again": "a long sentence"}
    assert (await browser.send(page, "/password", **chosen | {"password": "x"}, **good)).status_code == 403
    assert (await browser.send(page, "/password", **chosen, **good)).status_code == 200
    assert (await browser.get("/")).status_code == 200  # this browser stays in
    desk.clock.now += 60_000
    assert (await Browser(desk).log_in("wang", made)).status_code == 403
    assert (await Browser(desk).log_in("wang", made, password="a long sentence")).status_code == 303


async def test_a_new_password_ends_other_sessions_and_failures_count(desk: Harness) -> None:
    desk.options["desk"] = {"enabled": True, "one_session": False}
    await desk.restart()
    browser, other, made = Browser(desk), Browser(desk), await member(desk)
    for one in (browser, other):
        desk.clock.now += 60_000
        await one.log_in("wang", made)
    desk.clock.now += 60_000
    page = await browser.get("/password")
    fields = {"code": code(made, desk.clock()), "new": "a long sentence", "again": "a long sentence"}
    await browser.send(page, "/password", **fields, password="x")
    known = await desk.front.store.read(lambda one: staff.member(one, "wang"))
    assert known is not None
    assert known.failures == 1
    await browser.send(page, "/password", **fields, password=made.password)
    assert (await other.get("/")).headers["location"] == "/desk/login"
    assert (await browser.get("/")).status_code == 200

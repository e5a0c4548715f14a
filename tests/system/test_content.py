"""Texts that the bridge publishes: written by one, approved by another, seen at the front, withdrawn; in a browser too.

`DMZ_BRIDGE_SCREENSHOTS` names a folder for the browser's pictures.
"""

import json
import re
import tomllib
from http.cookies import SimpleCookie
from typing import Any

import httpx

from scripts.tools.testbed.testbed import Testbed
from tests.support.desks import picture, totp
from tests.support.testbeds import PLAIN, ctl


def desk_of(testbed: Testbed) -> str:
    port = tomllib.loads((testbed.config / "intranet_bridge.toml").read_text())["desk"]["port"]
    return f"http://127.0.0.1:{port}"


def member(testbed: Testbed, name: str, *roles: str) -> Any:
    words = [word for role in roles for word in ("--role", role)]
    return json.loads(testbed.ctl("desk", "staff", "add", name, *words, "--side", "bridge", "--json"))


class Browser:
    """Keeps cookies as a browser does on loopback, where `Secure` ones go by plain HTTP."""

    def __init__(self, testbed: Testbed, staff: Any) -> None:
        self.http = httpx.Client(base_url=desk_of(testbed), trust_env=False, verify=PLAIN, timeout=30)
        self.cookies: dict[str, str] = {}
        fields = {"name": staff["name"], "password": staff["password"], "code": totp(staff["secret"])}
        assert self.send("/desk/login", "/desk/login", **fields).headers["location"] == "/desk/"

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "Accept-Language": "en",
        }
        answer = self.http.request(method, path, headers=headers, **more)
        for line in answer.headers.get_list("set-cookie"):
            self.cookies |= {name: one.value for name, one in SimpleCookie(line).items()}
        return answer

    def send(self, page: str, path: str, **fields: str) -> httpx.Response:
        """Send a form of a page."""
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.ask("GET", page).text))
        return self.ask("POST", path, data=hidden | fields)


def policies(http: httpx.Client) -> list[Any]:
    answer = http.post("/v1/policy-texts", json={})
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["result"]["policies"]
    return found


def test_what_a_second_person_approves_is_seen_at_the_front_until_it_is_withdrawn(
    testbed: Testbed, http: httpx.Client
) -> None:
    li = Browser(testbed, member(testbed, "li", "edit", "review"))
    wang = Browser(testbed, member(testbed, "wang", "review"))
    rows = [{"kind": "policy", "number": "ZC1", "title": "阶梯电价", "body": "**一**、0.4883元 <b>x</b>"}]
    file = testbed.folder / "policies.json"
    file.write_text(json.dumps([rows[0] | {"title": ""}], ensure_ascii=False))
    wrong = ctl(testbed, "content", "import", str(file))
    assert (wrong.returncode, f"{file}:1: title: " in wrong.stderr) == (1, True)
    page = "/desk/content/new/policy"
    path = li.send(page, page, **rows[0] | {"do": "save"}).headers["location"]

    def act(browser: Browser, wanted: str) -> int:
        return browser.send(path, f"{path}/act", act=wanted).status_code

    assert act(li, "submit") == 303
    assert act(li, "approve") == 409  # who wrote it
    assert policies(http) == []
    assert act(wang, "approve") == 303
    assert act(li, "publish") == 303
    (found,) = policies(http)
    assert (found["policy"], found["body"]) == ("ZC1", "一、0.4883元 <b>x</b>")
    assert found["body_html"] == "<p><strong>一</strong>、0.4883元 &lt;b&gt;x&lt;/b&gt;</p>"
    (listed,) = json.loads(testbed.ctl("content", "list", "--kind", "policy", "--json"))
    assert (listed["stage"], listed["authors"], listed["reviewer"]) == ("published", ["li"], "wang")
    out = testbed.folder / "exported.csv"
    testbed.ctl("content", "export", "policy", "--format", "csv", "--out", str(out))
    assert "0 new, 0 changed, 1 as they were" in testbed.ctl("content", "import", str(out))
    assert "ZC1" in testbed.ctl("content", "show", "policy", "ZC1") + testbed.ctl("content", "list")
    assert act(wang, "withdraw") == 303
    assert policies(http) == []
    acts = testbed.ctl("audit", "show", "--side", "bridge")
    assert all(f"content-{name}" in acts for name in ("save", "submit", "approve", "publish", "withdraw"))


def test_staff_write_and_review_in_a_browser(testbed: Testbed, browser: Any) -> None:
    errors: list[str] = []

    def entered(name: str, size: tuple[int, int], language: str, *roles: str) -> Any:
        staff = member(testbed, name, *roles)
        view = {"width": size[0], "height": size[1]}
        page = browser.new_context(viewport=view, locale=language, base_url=desk_of(testbed)).new_page()
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.goto("/")
        picture(page, f"content-{name}-1-login")
        for field, value in (("name", staff["name"]), ("password", staff["password"]), ("code", totp(staff["secret"]))):
            page.fill(f"[name={field}]", value)
        page.click("main button")
        page.wait_for_url("**/desk/content")
        return page

    wide = entered("zhao", (1280, 800), "zh-CN", "edit")
    wide.goto("/desk/content/new/outage")
    wide.fill("[name=begin]", "2026-07-24T08:00")
    wide.fill("[name=areas]", "990104 北桥区: 人民路, 学府路\n990106 新港区")
    wide.fill("[name=reason]", "计划检修：变电站主变检修")
    picture(wide, "content-zhao-2-outage")
    wide.click("[name=do][value=save]")
    wide.wait_for_selector(".stage.draft")
    wide.goto("/desk/content/new/news")
    wide.fill("[name=title]", "关于调整部分营业厅营业时间的公告")
    wide.fill("[name=category]", "公告")
    text = "七月起：\n\n1. 北桥、南塘营业厅**周六照常营业**；\n2. 学府路营业厅周末休息。\n\n"
    text += "| 营业厅 | 时间 |\n|---|---|\n| 云河 | 08:30–17:30 |"
    wide.fill("[name=body]", text)
    wide.click("[name=do][value=preview]")
    wide.wait_for_selector("article.text table")
    picture(wide, "content-zhao-3-form")
    wide.click("[name=do][value=save]")
    wide.wait_for_selector(".stage.draft")
    wide.click("[name=act][value=submit]")
    wide.wait_for_selector(".stage.in-review")
    picture(wide, "content-zhao-4-text")

    phone = entered("qian", (390, 844), "en-US", "edit", "review")
    picture(phone, "content-qian-2-list")
    phone.click("td.title a")
    phone.wait_for_selector("article.text")
    phone.fill("[name=remark]", "the hours are right")
    picture(phone, "content-qian-3-text")
    phone.click("[name=act][value=approve]")
    phone.wait_for_selector(".stage.approved")
    phone.click("[name=act][value=publish]")
    phone.wait_for_selector(".stage.published")
    picture(phone, "content-qian-4-published")
    for path in ("/desk/content", "/desk/content/new/outlet", "/desk/password", "/desk/content/new/faq"):
        phone.goto(path)
        assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        picture(phone, f"content-qian-5{path.replace('/', '-')}")
    wide.goto("/desk/content")
    picture(wide, "content-zhao-5-list")
    phone.click("header form button")
    phone.wait_for_url("**/desk/login")
    phone.goto("/desk/content")
    assert phone.url.endswith("/desk/login")
    assert errors == []

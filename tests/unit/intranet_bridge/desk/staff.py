"""Members of staff with browsers, at a desk of the bridge."""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from intranet_bridge.desk.money.common import TOOLS
from intranet_bridge.desk.server import application
from intranet_bridge.desk.texts import TEMPLATES
from intranet_bridge.desk.words import WORDS
from intranet_bridge.desk_section import DeskSection
from protocol.desk import staff
from protocol.desk.login import LogIn
from protocol.desk.pages import Desk, Furniture, Page
from protocol.desk.sessions import Sessions
from protocol.runtime.store import Store

NOW = 1_795_586_400_000
"""2026-11-25, 14:00 in China."""


class Staff:
    """A desk with these pages."""

    def __init__(self, store: Store, roles: Mapping[str, Sequence[str]], now: Callable[[], int] = lambda: NOW) -> None:
        self.store, self.roles, self.now = store, roles, now
        self.acts: list[tuple[str, str, dict[str, Any]]] = []
        self.app: Any = None

    def open(self, pages: Sequence[Page]) -> "Staff":
        """Itself, with pages."""
        section = DeskSection(enabled=True)
        self.desk = Desk(
            section, Furniture("Desk of the bridge", pages, TEMPLATES, WORDS, TOOLS),
            sessions=Sessions(section, lambda: 0.0), log_in=LogIn(self.store, self.now), act=self.act,
        )  # fmt: skip
        self.app = application(self.desk)
        return self

    async def act(self, name: str, by: str, /, **details: Any) -> None:
        """The audit."""
        self.acts.append((name, by, details))

    def done(self) -> list[tuple[str, str]]:
        """Acts but the log-ins: what, and by whom."""
        return [(name, by) for name, by, _ in self.acts if name != "desk-login"]

    def browser(self) -> httpx.AsyncClient:
        """Of nobody yet."""
        transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 50000))
        return httpx.AsyncClient(transport=transport, base_url="https://bridge", headers={"accept-language": "en"})

    async def log_in(self, name: str) -> httpx.AsyncClient:
        """A member's browser."""
        made = await self.store.write(
            lambda one: staff.add(one, name, self.roles[name], self.now(), staff.BRIDGE_ROLES)
        )
        code = TOTP(base64.b32decode(made.secret), 6, SHA1(), 30).generate(self.now() // 1000).decode()
        browser = self.browser()
        page = await browser.get("/desk/login")
        answer = await send(browser, page, "/desk/login", name=name, password=made.password, code=code)
        assert answer.headers["location"] == "/desk/"
        return browser


async def send(browser: httpx.AsyncClient, page: httpx.Response, path: str, **fields: str) -> httpx.Response:
    """Send a form of a page."""
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
    return await browser.post(path, data=hidden | fields)

"""Desks as staff use them: the authenticator, a logged-in browser, and pictures. Imports nothing of the product."""

import base64
import hmac
import json
import os
import struct
import time
import tomllib
from typing import Any

from scripts.tools.testbed.testbed import Testbed


def totp(secret: str) -> str:
    """RFC 6238, as an authenticator has it."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // 30), "sha1")
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def picture(page: Any, name: str) -> None:
    """A page as it looks, where somebody wants pictures."""
    if folder := os.environ.get("DMZ_BRIDGE_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def logged_in(testbed: Testbed, browser: Any, name: str, *roles: str) -> tuple[Any, list[str]]:
    """A new member of staff at the desk, and what the browser complains of."""
    added = ["desk", "staff", "add", name, *(word for role in roles for word in ("--role", role))]
    staff = json.loads(testbed.ctl(*added, "--side", "bridge", "--json"))
    port = tomllib.loads((testbed.config / "intranet_bridge.toml").read_text())["desk"]["port"]
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, locale="zh-CN", base_url=f"http://127.0.0.1:{port}"
    )
    page, errors = context.new_page(), []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.goto("/")
    for field, value in (("name", staff["name"]), ("password", staff["password"]), ("code", totp(staff["secret"]))):
        page.fill(f"[name={field}]", value)
    page.click("main button")
    page.wait_for_url("**/desk/today")
    return page, errors


def fits(page: Any) -> bool:
    """Nothing is cut off: the page is as wide as the window, and in the tables that fit a phone (`slim`) each amount
    stands beside its name. Wider ones are moved sideways, with a shade where there is more.
    """
    asked = (
        "document.documentElement.scrollWidth <= window.innerWidth && "
        "[...document.querySelectorAll('.wide:has(> table.slim)')].every(one => one.scrollWidth <= one.clientWidth)"
    )
    return bool(page.evaluate(asked))


def unharmed(page: Any, path: str, name: str) -> None:
    """A page in both languages, wide and narrow, light and dark: nothing is cut off, and no word is left out."""
    for language, width, scheme in (("en", 1280, "light"), ("en", 390, "dark"), ("zh", 390, "light")):
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme=scheme)
        answer = page.goto(f"{path}{'&' if '?' in path else '?'}lang={language}")
        assert answer.headers["content-language"] == language
        assert "script" not in answer.headers["content-security-policy"]  # default-src 'none'
        assert fits(page), (path, language, width)
        picture(page, f"{name}-{language}-{width}")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(color_scheme="light")

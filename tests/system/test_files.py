"""Files of platforms through the whole chain: a real SFTP server and broker, and both programs killed on the way; then
what an accountant sees of them in a browser.

`DMZ_BRIDGE_SCREENSHOTS` names a folder for the browser's pictures.
"""

import hashlib
import json
import os
import sqlite3
import tomllib
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.processes import free_port
from scripts.tools.testbed.testbed import Testbed
from tests.support.desks import picture, totp
from tests.support.sftp import SftpServer, openssh
from tests.support.testbeds import ctl, eventually, running_testbed

NAME = "SDDL_DSDZ_37101_20261124.txt"
STATEMENT = r"SDDL_DSDZ_[0-9]{5}_[0-9]{8}\.txt"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with openssh(tmp_path_factory.mktemp("sftp")) as server:
        yield server


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory, server: SftpServer) -> Iterator[Testbed]:
    """Of its own: it is killed, and files are turned on."""
    front: dict[str, Any] = {
        "delivery.resend_after_s": 2,
        "files.enabled": True,
        "files.window": 2,
        "files.servers": {"bank": server.settings()},
        "files.sources": {
            "statements": {
                "server": "bank", "folder": f"{server.folder}/out", "archive": f"{server.folder}/out/archive",
                "profiles": {"utility-dsdz": STATEMENT}, "complete": "marker", "poll_s": 1,
            }
        },
    }  # fmt: skip
    bridge = {
        "presence_interval_s": 0.5, "files.enabled": True,
        "files.profiles": {"utility-dsdz": {"names": STATEMENT}},
        "desk.enabled": True, "desk.port": free_port(),
        "settlement.companies": {"power-yunhe": {}},
        "settlement.statements.files": {"utility-dsdz": {"profile": "utility-dsdz", "company": "power-yunhe"}},
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("files")
    with running_testbed(folder, settings={"dmz_front": front, "intranet_bridge": bridge}) as testbed:
        yield testbed


def lay(server: SftpServer, name: str, content: bytes) -> None:
    (server.folder / "out" / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (server.folder / "out" / f"{name}.ok").write_text(f"{digest} {len(content)}\n")


def files(testbed: Testbed, side: str) -> list[dict[str, Any]]:
    told = ctl(testbed, "files", "list", "--side", side, "--json")
    rows: list[dict[str, Any]] = json.loads(told.stdout) if told.stdout else []
    return rows


def arrived(testbed: Testbed) -> int:
    """Chunks that the bridge has, read from its database: nobody is asked who is being killed."""
    with sqlite3.connect(f"file:{testbed.folder}/data/bridge.sqlite3?mode=ro", uri=True, timeout=5) as database:
        return int(database.execute("SELECT count(*) FROM file_chunks").fetchone()[0])


def test_a_file_arrives_once_though_both_sides_are_killed(testbed: Testbed, server: SftpServer) -> None:
    content = os.urandom(30_000_000)
    lay(server, NAME, content)
    eventually(lambda: arrived(testbed) > 5, what="the beginning of the file")
    testbed.kill("bridge")
    before = arrived(testbed)
    testbed.start("bridge")
    eventually(lambda: arrived(testbed) > before + 5, what="more of it")
    testbed.kill("front")
    testbed.start("front")
    eventually((server.folder / "out" / "archive" / NAME).exists, what="the archived file")
    [row] = eventually(lambda: [one for one in files(testbed, "bridge") if one["state"] == "accepted"])
    assert (row["name"], row["bytes"], row["sha256"]) == (NAME, len(content), hashlib.sha256(content).hexdigest())
    assert arrived(testbed) == row["chunks"] == row["have"]
    assert not [one for one in (server.folder / "out").iterdir() if one.is_file()]
    eventually(lambda: [one["state"] for one in files(testbed, "front")] == ["archived"])
    for side in ("front", "bridge"):
        for file in (testbed.folder / "data").glob(f"{side}.sqlite3*"):
            assert content[:64] not in file.read_bytes(), file


SAMPLES = ROOT / "tests" / "data" / "settlement"


def seen(page: Any, path: str, text: str) -> None:
    """Look again until the bridge has read and matched what came."""

    def there() -> bool:
        page.goto(path)
        return text in page.content()

    eventually(there, what=f"{text} at {path}")


def test_an_accountant_finds_what_is_red_and_resolves_it(testbed: Testbed, server: SftpServer, browser: Any) -> None:
    """A statement that is refused, one that is matched and leaves differences, and one that comes again otherwise."""
    day = f"{datetime.now(timezone(timedelta(hours=8))) - timedelta(1):%Y%m%d}"  # yesterday's statements come today

    def sample(path: Path) -> bytes:
        return path.read_bytes().replace(b"20261124", day.encode())

    good, wrong, right = sample(SAMPLES / NAME), f"SDDL_DSDZ_37102_{day}.txt", f"SDDL_DSDZ_37103_{day}.txt"
    lay(server, wrong, good.replace(b"211.57", b"211.58"))
    lay(server, right, good)
    added = ["desk", "staff", "add", "zhao", "--role", "settle", "--role", "approve", "--side", "bridge", "--json"]
    staff = json.loads(testbed.ctl(*added))
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
    seen(page, "/desk/files?state=refused", wrong)
    page.click(f"text={wrong}")
    page.wait_for_selector("text=211.58")
    picture(page, "money-file")
    seen(page, "/desk/today", "份文件被拒绝")
    picture(page, "money-today")
    seen(page, "/desk/files?state=matched", right)
    seen(page, "/desk/items?state=held", "挂起</span>")
    page.click("td.id a")
    page.fill("[name=note]", "已与平台核实")
    picture(page, "money-item")
    page.click(".acts button")
    page.wait_for_selector(".badge.good")
    lay(server, right, sample(SAMPLES / "resend" / NAME))
    seen(page, "/desk/files?state=conflicting-resend", right)
    page.click("td.id a")
    page.wait_for_selector("tr.now")
    picture(page, "money-resend")
    page.click("button[value=leave]")
    page.wait_for_selector(".badge.bad")
    page.goto("/desk/ledger")
    page.click("section button")
    page.wait_for_selector("section .notice")
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("today", "files", "runs", "items?state=", "ledger"):
        page.goto(f"/desk/{path}{'&' if '?' in path else '?'}lang=en")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        picture(page, f"money-phone-{path.partition('?')[0]}")
    assert errors == []
    acts = testbed.ctl("audit", "show", "--side", "bridge", "--limit", "1000")
    assert all(act in acts for act in ("settle-resolve", "settle-refuse", "ledger-verified"))

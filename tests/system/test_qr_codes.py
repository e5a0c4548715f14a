"""Customers' QR codes on a whole installation: issued on the bridge's host and at the desk, scanned at the front.

The desk is used as staff use it, in a real Chromium; without one that part is skipped. `DMZ_BRIDGE_SCREENSHOTS` names a
folder for its pictures.
"""

import base64
import csv
import hashlib
import io
import json
import re
import subprocess
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest
import zxingcpp
from PIL import Image

from scripts.tools.testbed.layout import BIN
from scripts.tools.testbed.testbed import Testbed
from tests.support.desks import picture, totp
from tests.support.testbeds import LOOPBACK, PLAIN, ctl, eventually, running_testbed

SHEET = Path(__file__).parents[1] / "data" / "qr" / "qr_accounts.xlsx"
BASE = "https://pay.example.cn/q/"
ACCOUNT = "3210000000003"
TAKEN = "3210000000001"


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    folder = tmp_path_factory.mktemp("qr")
    keys = folder / "qr.keys"
    subprocess.run([str(BIN / "bridgectl"), "qr", "keys", "--add", "1", "--file", str(keys)], check=True, timeout=60)
    settings = {
        "intranet_bridge": {
            "presence_interval_s": 0.5,
            "qr.base": BASE, "qr.utility": "power-yunhe", "qr.keys": str(keys), "qr.account_digits": 13,
            "qr.check_accounts": "realtime-charge-query", "qr.pages.bill": "https://pay.example.cn/bill",
        },
        "dmz_front": {"landing.enabled": True, "desk.enabled": True, "landing.scans_a_minute": 1000},
    }  # fmt: skip
    with running_testbed(folder / "installation", settings=settings) as testbed:
        yield testbed


@pytest.fixture(scope="module")
def phone(testbed: Testbed) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=testbed.front_url, trust_env=False, verify=PLAIN, timeout=30) as phone:
        yield phone


def decoded(png: bytes) -> str:
    found: Any = zxingcpp.read_barcode(Image.open(io.BytesIO(png)))
    return str(found.text)


def scanned(phone: httpx.Client, url: str) -> httpx.Response:
    return phone.get("/q/" + url.removeprefix(BASE))


def redeemed(testbed: Testbed, phone: httpx.Client, ticket: str, key: str) -> Any:
    headers = {"Authorization": f"Bearer {testbed.app_key}", "Idempotency-Key": key}
    return phone.post("/v1/qr-ticket", json={"ticket": ticket}, headers=headers).json()


def test_a_code_is_issued_scanned_redeemed_once_and_revoked(testbed: Testbed, phone: httpx.Client) -> None:
    picture = testbed.folder / "one.png"
    made = json.loads(testbed.ctl("qr", "issue", ACCOUNT, "--out", str(picture), "--json"))
    url = decoded(picture.read_bytes())
    assert url == made["url"]
    assert url.startswith(f"{BASE}1-{ACCOUNT}-")
    answer = scanned(phone, url)
    assert answer.status_code == 302
    page, _, ticket = answer.headers["location"].partition("?ticket=")
    assert page == "https://pay.example.cn/bill"
    told = redeemed(testbed, phone, ticket, "redeem-1")
    assert (told["status"], told["result"]["account"]) == ("succeeded", ACCOUNT)
    assert redeemed(testbed, phone, ticket, "redeem-1")["result"] == told["result"]
    assert redeemed(testbed, phone, ticket, "redeem-2")["refusal"]["code"] == "no-such-ticket"

    forged = scanned(phone, url[:-1] + ("0" if url[-1] != "0" else "1"))
    neighbour = scanned(phone, url.replace(ACCOUNT, "3210000000004"))
    assert forged.status_code == neighbour.status_code == scanned(phone, "x").status_code == 404
    assert forged.text == neighbour.text == scanned(phone, "x").text

    assert "issue a new one" in testbed.ctl("qr", "revoke", ACCOUNT, "--now")
    assert scanned(phone, url).status_code == 404
    for log in testbed.logs.glob("*.log"):
        text = log.read_text(errors="replace")
        assert url.removeprefix(BASE) not in text
        assert ticket not in text


def test_a_sheet_on_the_bridges_host_becomes_a_zip(testbed: Testbed) -> None:
    target = testbed.folder / "codes.zip"
    told = ctl(testbed, "qr", "batch", str(SHEET), "--out", str(target))
    assert told.returncode == 1, told.stderr  # rows without a code
    with zipfile.ZipFile(target) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("result.csv").decode("utf-8-sig"))))
        verdicts = {row["row"]: row["result"] for row in rows}
        assert verdicts["14"] == "account-closed"  # the marketing system says so
        assert (verdicts["2"], verdicts["6"], verdicts["11"]) == ("ok", "scientific", "formula")
        assert decoded(archive.read(f"{TAKEN}.png")).startswith(f"{BASE}1-{TAKEN}-")


def asked(testbed: Testbed, phone: httpx.Client, operation: str, **body: Any) -> Any:
    headers = {"Authorization": f"Bearer {testbed.app_key}", "Idempotency-Key": f"{operation}-{uuid.uuid4()}"}
    return phone.post(f"/v1/{operation}", json=body, headers=headers)


def sheet_of(count: int) -> bytes:
    book = openpyxl.Workbook()
    page: Any = book.active
    page.append(["用户编号"])
    for number in range(count):
        page.append([f"{3210000000001 + number}"])
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def uploaded(testbed: Testbed, phone: httpx.Client, data: bytes) -> str:
    headers = {"Authorization": f"Bearer {testbed.app_key}"}
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    declared = {"length": len(data), "sha256": hashlib.sha256(data).hexdigest(), "media_type": kind}
    begun = phone.post("/v1/attachments", json=declared, headers=headers).raise_for_status()
    part = headers | {"Content-Type": "application/partial-upload", "Upload-Offset": "0"}
    phone.patch(begun.headers["location"], content=data, headers=part).raise_for_status()
    return str(begun.json()["attachment"])


def test_a_batch_goes_on_after_the_bridge_was_killed(testbed: Testbed, phone: httpx.Client) -> None:
    """The simulator's 200 customers have their codes, but those whose account is closed. Nobody has two."""
    faults = f"{testbed.marketing_url}/faults"  # slow enough for a batch to be met in its middle
    slow = {"latency_ms": 300, "paths": ["/api/pq/realtime"]}
    httpx.put(faults, json=slow, **LOOPBACK).raise_for_status()
    sheet = uploaded(testbed, phone, sheet_of(200))
    refused = asked(testbed, phone, "theft-report", place="x", description="x", attachments=[sheet])
    assert (refused.status_code, refused.json()["code"]) == (422, "attachment-not-taken")
    batch = asked(testbed, phone, "qr-batch", sheet=sheet).json()["result"]["batch"]

    def state() -> Any:
        return asked(testbed, phone, "qr-batch-state", batch=batch).json().get("result", {})

    eventually(lambda: 0 < state().get("done", 0) < 200 or None)
    testbed.kill("bridge")
    httpx.delete(faults, **LOOPBACK).raise_for_status()
    testbed.start("bridge")
    done = eventually(lambda: (found := state()).get("state") == "done" and found)
    verdicts = {one["verdict"]: one["rows"] for one in done["verdicts"]}
    assert set(verdicts) == {"ok", "account-closed"}
    assert sum(verdicts.values()) == 200
    parts = (
        asked(testbed, phone, "qr-batch-part", batch=batch, part=part).json()["result"]["data"]
        for part in range(done["parts"])
    )
    data = b"".join(map(base64.b64decode, parts))
    assert hashlib.sha256(data).hexdigest() == done["sha256"]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert len(names) == len(set(names)) == verdicts["ok"] + 1  # and result.csv
    assert "3210000000007.png" not in names


# --- the desk, in a browser ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "language"),
    [("wide", {"width": 1280, "height": 800}, "zh-CN"), ("phone", {"width": 390, "height": 844}, "en-US")],
)
def test_staff_use_the_desk_in_a_browser(
    testbed: Testbed, browser: Any, name: str, size: dict[str, int], language: str, tmp_path: Path
) -> None:
    roles = [word for role in ("issue", "lookup", "revoke") for word in ("--role", role)]
    staff = json.loads(testbed.ctl("desk", "staff", "add", f"wang-{name}", *roles, "--json"))
    context = browser.new_context(
        viewport=size, locale=language, accept_downloads=True, base_url=testbed.front_url, has_touch=name == "phone"
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)

    page.goto("/desk/")
    assert page.url.endswith("/desk/login")
    picture(page, f"{name}-1-login")
    page.fill("[name=name]", staff["name"])
    page.fill("[name=password]", staff["password"])
    page.fill("[name=code]", totp(staff["secret"]))
    page.click("main button")
    page.wait_for_url("**/desk/")

    page.fill("[name=account]", TAKEN)
    page.click("main button")
    page.wait_for_selector("section.code img")
    picture(page, f"{name}-2-code")
    with page.expect_download() as download:
        page.click("section.code a.button")
    assert download.value.suggested_filename == f"{TAKEN}.png"
    assert decoded(Path(download.value.path()).read_bytes()).startswith(f"{BASE}1-{TAKEN}-")
    assert decoded(page.locator("section.code").screenshot()).startswith(f"{BASE}1-{TAKEN}-")  # off the screen

    page.goto("/desk/batches")
    with page.expect_download() as download:
        page.click("a[href='/desk/template.xlsx']")
    assert Path(download.value.path()).read_bytes().startswith(b"PK")
    page.set_input_files("[name=sheet]", SHEET)
    picture(page, f"{name}-3-upload")
    page.click("main button")
    page.wait_for_selector("a[href$='/codes.zip']", timeout=60_000)
    picture(page, f"{name}-4-batch")
    with page.expect_download() as download:
        page.click("a[href$='/codes.zip']")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert "result.csv" in archive.namelist()
        assert decoded(archive.read(f"{TAKEN}.png")).startswith(f"{BASE}1-{TAKEN}-")

    page.goto("/desk/print")
    page.fill("[name=accounts]", "\n".join(f"32100000000{number:02}" for number in range(1, 13)))
    page.click("main button")
    page.wait_for_selector(".sheet figure")
    assert page.locator(".sheet figure").count() == 11  # the seventh is closed
    picture(page, f"{name}-5-print")
    page.emulate_media(media="print")
    assert page.locator("header").is_hidden()
    picture(page, f"{name}-5-print-on-paper")
    page.emulate_media(media="screen")

    page.goto("/desk/lookup")
    page.fill("[name=account]", TAKEN)
    page.click("main button")
    page.wait_for_selector("table")
    assert f"desk:{staff['name']}" in page.inner_text("table")
    picture(page, f"{name}-6-lookup")
    page.check("[name=now]")
    page.click(".danger button")
    page.wait_for_selector(".notice")
    picture(page, f"{name}-7-revoked")

    page.click("header form button")
    page.wait_for_url("**/desk/login")
    page.goto("/desk/lookup")
    assert page.url.endswith("/desk/login")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert [said for said in errors if not re.search("status of 4", said)] == []
    context.close()

"""Files of platforms through the whole chain: a real SFTP server and broker, and both programs killed on the way; then
what an accountant sees of them in a browser.

`DMZ_BRIDGE_SCREENSHOTS` names a folder for the browser's pictures.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.channel_simulator import bank
from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.processes import free_port
from scripts.tools.testbed.testbed import Testbed
from tests.support.desks import fits, logged_in, picture, unharmed
from tests.support.sftp import SftpServer, openssh
from tests.support.testbeds import client, command, ctl, eventually, query, running_testbed

NAME = "SDDL_DSDZ_37101_20261124.txt"
STATEMENT = r"SDDL_DSDZ_[0-9]{5}_[0-9]{8}\.txt"
ANSWER = r"SDDL_REDKKK_[0-9]{5}_[0-9]{8}\.txt"
CHINA = timezone(timedelta(hours=8))
COMPANY, ARRANGEMENT = "power-yunhe", "bank-a"


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
                "profiles": {"utility-dsdz": STATEMENT, "redkkk": ANSWER}, "complete": "marker", "poll_s": 1,
            }
        },
        "files.targets": {"bank": {"server": "bank", "folder": f"{server.folder}/in"}},
    }  # fmt: skip
    bridge = {
        "presence_interval_s": 0.5, "files.enabled": True,
        "files.profiles": {"utility-dsdz": {"names": STATEMENT}, "redkkk": {"names": ANSWER}},
        "files.targets": {"bank": "front-1"},
        "desk.enabled": True, "desk.port": free_port(),
        "settlement.companies": {COMPANY: {}},
        "settlement.statements.files": {"utility-dsdz": {"profile": "utility-dsdz", "company": COMPANY}},
        "settlement.clearing.channels": {"utility": {"statements": ["utility-dsdz"], "company": COMPANY}},
        "settlement.withholding": {
            ARRANGEMENT: {
                "org": "SDDL", "unit": "37101", "bank": "013", "company": COMPANY, "days": [another_day()],
                "seal_at": "00:00", "target": "bank", "request_profile": "dkkk", "answer_profile": "redkkk",
            }
        },
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("files")
    with running_testbed(folder, settings={"dmz_front": front, "intranet_bridge": bridge}) as testbed:
        yield testbed


def another_day() -> int:
    """A day of the month that is neither today nor tomorrow: batches of it wait."""
    return min((datetime.now(CHINA) + timedelta(7)).day, 28)


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
    archived = server.folder / "out" / "archive" / NAME
    eventually(lambda: arrived(testbed) > before + 5 or archived.exists(), what="more of it")
    testbed.kill("front")
    testbed.start("front")
    eventually(archived.exists, what="the archived file")
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
    day = f"{datetime.now(CHINA) - timedelta(1):%Y%m%d}"  # yesterday's statements come today

    def sample(path: Path) -> bytes:
        return path.read_bytes().replace(b"20261124", day.encode())

    good, wrong, right = sample(SAMPLES / NAME), f"SDDL_DSDZ_37102_{day}.txt", f"SDDL_DSDZ_37103_{day}.txt"
    lay(server, wrong, good.replace(b"211.57", b"211.58"))
    lay(server, right, good)
    page, errors = logged_in(testbed, browser, "zhao", "settle", "approve")
    seen(page, "/desk/files?state=refused", wrong)
    page.click(f"text={wrong}")
    page.wait_for_selector("text=211.58")
    picture(page, "money-file")
    seen(page, "/desk/today", "份文件被拒绝")
    picture(page, "money-today")
    seen(page, "/desk/files?state=matched", right)
    seen(page, "/desk/items?state=held", "挂起</span>")
    page.click("td a")
    page.fill("[name=note]", "已与平台核实")
    picture(page, "money-item")
    page.click(".acts button")
    page.wait_for_selector(".badge.good")
    page.goto("/desk/items?state=")
    with page.expect_download() as download:
        page.click("text=下载（XLSX）")
    assert Path(download.value.path()).read_bytes().startswith(b"PK")
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
        assert fits(page), path
        picture(page, f"money-phone-{path.partition('?')[0]}")
    assert errors == []
    acts = testbed.ctl("audit", "show", "--side", "bridge", "--limit", "1000")
    assert all(act in acts for act in ("settle-resolve", "settle-refuse", "ledger-verified", "items-downloaded"))


def owing(http: Any, as_of: date | None = None) -> Iterator[tuple[str, str, int]]:
    """Accounts that owe a month's bill: account, month, fen with the penalty of that day, or of today."""
    for number in range(20, 120):
        asked = {"account": f"32100000{number:05}"} | ({"as_of": str(as_of)} if as_of else {})
        found = http.post("/v1/arrears-query", json=asked).json()
        for bill in found.get("result", {}).get("unpaid", [])[-1:]:
            yield f"32100000{number:05}", bill["month"], bill["amount"] + bill["penalty"]


def test_an_accountant_has_a_bank_charge_and_judges_its_answer(
    testbed: Testbed, server: SftpServer, browser: Any
) -> None:
    """An extra batch, its bytes, the bank's answer with a line charged and one refused."""
    with client(testbed) as http:
        found = owing(http)
        bills, asked = [next(found) for _ in range(2)], 0
        for (account, month, _), card in zip(bills, ("6222020000000000123", "6222020000000000131"), strict=True):
            terms = {"account": account, "bank": "icbc", "bank_account": card, "holder": "示范户主"}
            signed = command(http, "withholding-sign", terms)["result"]
            bill = {"account": account, "agreement": signed["agreement"], "month": month}
            line = command(http, "withholding-charge", bill)["result"]
            asked += line["amount"] + line["penalty"]
    page, errors = logged_in(testbed, browser, "chen", "settle")
    page.goto("/desk/withholding")
    page.click("text=今天加送一批")
    assert page.inner_text("main button") == f"今天送出（{asked / 100:,.2f} 元，2 笔）"
    picture(page, "money-extra-batch")
    unharmed(page, f"/desk/withholding/extra/{ARRANGEMENT}", "money-extra-batch")
    page.goto(f"/desk/withholding/extra/{ARRANGEMENT}?lang=zh")
    refused = page.request.post(f"/desk/withholding/extra/{ARRANGEMENT}", form={"note": "银行来函", "token": "x"})
    assert refused.status == 403
    page.focus("[name=note]")  # with the keyboard alone
    page.keyboard.type("银行来函要求")
    page.keyboard.press("Enter")
    page.wait_for_url("**/desk/withholding/batches/*")
    batch = page.url.partition("?")[0]
    seen(page, batch, "已送银行")
    requests = server.folder / "in"
    [sent] = eventually(lambda: list(requests.glob("SDDL_DKKK_37101_*.txt")), what="the request at the bank's place")
    today = datetime.strptime(sent.stem[-8:], "%Y%m%d").date()  # the day of the batch, though it ends meanwhile
    assert abs(datetime.now(CHINA).date() - today) <= timedelta(1)
    with page.expect_download() as download:
        page.click("text=下载原文件")
    assert Path(download.value.path()).read_bytes() == sent.read_bytes()
    lines = [row.partition("|")[0] for row in sent.read_bytes().decode("gb18030").splitlines()[1:]]
    lay(server, *bank.answer(sent.name, sent.read_bytes(), today, {lines[1]: "余额不足"}))
    seen(page, batch, "已销账")
    assert "银行拒扣" in page.content()
    picture(page, "money-batch")
    unharmed(page, batch, "money-batch")
    page.goto("/desk/withholding/lines?state=refused&lang=zh")
    assert "余额不足" in page.content()
    unharmed(page, "/desk/withholding", "money-withholding")
    assert errors == []
    acts = testbed.ctl("audit", "show", "--side", "bridge", "--limit", "1000")
    assert all(act in acts for act in ("withholding-seal", "withholding-downloaded"))


def test_two_accountants_clear_a_day_that_came_short(testbed: Testbed, server: SftpServer, browser: Any) -> None:
    """A sheet of a statement's rows: seen, downloaded, approved, paid out; less arrives, and two people say why."""
    day = datetime.now(CHINA).date() - timedelta(2)
    transaction = f"{day:%Y%m%d}22001400000000000077"
    with client(testbed) as http:
        *_, (account, month, fen) = (one for one, _ in zip(owing(http, day), range(4), strict=False))
        payment = {
            "account": account, "amount": fen, "channel": "utility", "transaction": transaction, "months": [month],
            "paid_at": f"{day}T09:30:00+08:00", "booked_on": str(day),
        }  # fmt: skip
        told = command(http, "payment-writeoff", payment)
        assert told["status"] == "succeeded", told
        assert query(http, "payment-state", {"channel": "utility", "transaction": transaction})["state"] == "booked"
    amount = f"{fen // 100}.{fen % 100:02}"
    bill = f"{account}$R9${month.replace('-', '')}$#"
    lay(
        server, f"SDDL_DSDZ_37104_{day:%Y%m%d}.txt",
        f"{amount}|1|\n{account}|{transaction}|{day:%Y%m%d}|{amount}|1|{bill}|\n".encode(),
    )  # fmt: skip
    page, errors = logged_in(testbed, browser, "lin", "settle", "approve")
    month_page = f"/desk/clearing?month={day:%Y-%m}"
    seen(page, month_page, f"{fen / 100:,.2f}</a>")
    picture(page, "money-month")
    page.click(f"text={fen / 100:,.2f} >> nth=0")
    page.wait_for_url("**/desk/clearing/sheets/*")
    sheet = page.url
    with page.expect_download() as download:
        page.click("text=下载单位清分文件")
    table = Path(download.value.path()).read_bytes()
    assert table.startswith(b"\xef\xbb\xbf")
    assert amount.encode() in table
    page.click("main form button >> text=批准")
    page.click("main form button >> text=登记已划付")
    for value, row in (("12,5", "B-77"), ("1.00", "B-77")):
        page.fill("[name=amount]", value)
        page.fill("[name=row]", row)
        page.keyboard.press("Enter")
        page.wait_for_selector(".error" if value == "12,5" else ".badge.bad")
        if value == "12,5":  # the field is named, and what was typed stays
            assert "金额（元）：写法如 1234.50。" in page.inner_text(".error")
            assert (page.input_value("[name=amount]"), page.input_value("[name=row]")) == (value, row)
            picture(page, "money-sheet-mistyped")
    page.select_option("[name=against]", "channel")
    page.fill("[name=note]", "渠道少付")
    page.click("text=提交")
    picture(page, "money-sheet-short")
    second, complaints = logged_in(testbed, browser, "wu", "approve")
    second.goto("/desk/today")
    second.click("text=项清分调整待第二人确认")
    assert "渠道少付" in second.content()
    picture(second, "money-adjustments")
    unharmed(second, "/desk/clearing/adjustments", "money-adjustments")
    second.goto("/desk/clearing/adjustments?lang=zh")
    second.click("text=查看清分单")
    second.click("text=确认同意")
    second.wait_for_selector("text=已结清 >> nth=0")
    unharmed(second, sheet, "money-sheet")
    unharmed(second, month_page, "money-month")
    page.goto("/desk/clearing/adjustments?lang=zh")
    assert "没有待确认的调整" in page.content()
    assert [*complaints, *(one for one in errors if "422" not in one)] == []
    acts = testbed.ctl("audit", "show", "--side", "bridge", "--limit", "1000")
    for act in ("approve", "paid-out", "arrived", "adjust", "downloaded"):
        assert f"clearing-{act}" in acts

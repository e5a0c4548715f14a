"""A statement crosses and is settled: one write-off, one reversal, each once; what a person has to decide takes two."""

import json
import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.tools.testbed.layout import ROOT
from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import client, command, ctl, eventually, journal, running_testbed

CHINA = timezone(timedelta(hours=8))
NAMES = r"ICBC_PAY_[0-9]{8}\.csv"
ALONE, REFUNDED, OTHER = "3210000000003", "3210000000005", "3210000000008"


def profile() -> str:
    """The worked example of the manual."""
    page = (ROOT / "docs" / "how-to" / "statements.md").read_text("utf-8")
    found = re.search(r'```toml\n(name = "icbc-pay".*?)```', page, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drop")
    for name in ("out", "archive", "profiles"):
        (folder / name).mkdir()
    (folder / "profiles" / "icbc-pay.toml").write_text(profile(), "utf-8")
    return folder


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory, drop: Path) -> Iterator[Testbed]:
    """Of its own: files and statements are turned on."""
    front: dict[str, Any] = {
        "files.enabled": True,
        "files.sources": {
            "bank": {
                "folder": str(drop / "out"), "archive": str(drop / "archive"), "profiles": {"icbc": NAMES},
                "complete": "end-line", "end_line": "以上为全部记录", "poll_s": 1,
            }
        },
    }  # fmt: skip
    bridge: dict[str, Any] = {
        "presence_interval_s": 0.5, "files.enabled": True, "files.profiles": {"icbc": {"names": NAMES}},
        "settlement.companies": {"power-yunhe": {}},
        "settlement.statements": {
            "profiles": str(drop / "profiles"),
            "files": {"icbc": {"profile": "icbc-pay", "company": "power-yunhe", "merchants": ["ICBC"]}},
        },
    }  # fmt: skip
    settings = {"dmz_front": front, "intranet_bridge": bridge}
    with running_testbed(tmp_path_factory.mktemp("statements"), settings=settings) as testbed:
        yield testbed


def settle(testbed: Testbed, *words: str, **environment: str) -> Any:
    """What `bridgectl settle` told."""
    told = ctl(testbed, "settle", *words, "--json", **environment)
    assert told.returncode in (0, 1), told.stderr
    return json.loads(told.stdout)


def test_a_statement_is_settled(testbed: Testbed, drop: Path) -> None:
    day = datetime.now(CHINA).date() - timedelta(1)
    mine = {name: uuid.uuid4().hex[:20] for name in ("alone", "refunded", "other")}
    with client(testbed) as http:
        for name, account, amount in (("refunded", REFUNDED, 4000), ("other", OTHER, 1000)):
            written_off(http, account, amount, mine[name], day.isoformat())
    before = len(journal(testbed))
    rows = (
        (mine["alone"], ALONE, "08:00:05", "120.50", "缴费"), (mine["refunded"], REFUNDED, "09:10:07", "40.00", "缴费"),
        (mine["refunded"], REFUNDED, "09:30:00", "-40.00", "冲正"),
        (mine["other"], OTHER, "10:00:00", "2000.00", "缴费"),
    )  # fmt: skip
    lines = [f"{number};{account};{day:%Y/%m/%d} {clock};{yuan};{kind};" for number, account, clock, yuan, kind in rows]
    head = "笔数;4;金额;2120.50\r\n流水号;户号;缴费时间;金额;状态;摘要\r\n"
    content = head + "\r\n".join(lines) + "\r\n以上为全部记录\r\n"
    (drop / "out" / f"ICBC_PAY_{day:%Y%m%d}.csv").write_bytes(content.encode("gb18030"))

    def ended() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = settle(testbed, "items")
        return found if len(found) == 3 and all(one["state"] in ("done", "held") for one in found) else []

    items = eventually(ended, what="the statement's items")
    by_class = {one["what"]: one for one in items}
    assert {name: one["state"] for name, one in by_class.items()} == {
        "platform-only": "done", "refund-not-reversed": "done", "amount-differs": "held",
    }  # fmt: skip
    held = by_class["amount-differs"]
    assert (held["platform"], held["books"], held["people"]) == (200_000, 1000, 2)
    applied = [one for one in journal(testbed)[before:] if one["applied"]]
    assert sorted(one["request_id"] for one in applied) == sorted(
        [f"recon:icbc:{mine['alone']}:pay:", f"recon:icbc:{mine['refunded']}:revoke:all"]
    )
    [run] = settle(testbed, "runs")
    assert (run["state"], run["actions"], run["amount"]) == ("done", 2, 16_050)

    file = run["file"]
    assert ctl(testbed, "settle", "rerun", file).returncode == 0
    eventually(lambda: [one["state"] for one in settle(testbed, "runs")] == ["done", "done"], what="the second run")
    assert len([one for one in journal(testbed)[before:] if one["applied"]]) == 2

    for who, state in (("wang", "held"), ("wang", "held"), ("li", "resolved")):
        ctl(testbed, "settle", "resolve", held["id"], "--note", "平台已更正", SUDO_USER=who)
        assert settle(testbed, "show", held["id"])["state"] == state
    out = testbed.folder / "items.csv"
    ctl(testbed, "settle", "export", "--out", str(out))
    assert out.read_bytes().startswith(b"\xef\xbb\xbfid,day,")
    assert "amount-differs" in out.read_text("utf-8-sig")


def written_off(http: httpx.Client, account: str, amount: int, transaction: str, day: str) -> None:
    body = {
        "account": account, "amount": amount, "channel": "icbc", "transaction": transaction,
        "paid_at": f"{day}T09:10:07+08:00", "booked_on": day,
    }  # fmt: skip
    assert command(http, "payment-writeoff", body)["status"] == "succeeded"

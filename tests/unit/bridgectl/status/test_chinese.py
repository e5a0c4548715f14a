"""The screens in Chinese."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from bridgectl import language
from bridgectl.cells import width
from bridgectl.status.live import History, View, sample
from bridgectl.status.live_screen import live_screen
from bridgectl.status.observation import Observation
from bridgectl.status.screen import as_dict, screen
from bridgectl.status.troubles import troubles
from protocol.maintenance import Pause
from protocol.reports.bridge import BridgeReport
from protocol.reports.calls import InterfaceReport
from protocol.reports.daemon import CommandsReport, LinkReport, StoreReport
from protocol.reports.front import FrontReport

NOW, MINUTE = 1_800_000_000_000, 60_000
COMMON: dict[str, Any] = {
    "region": "main", "software": "1", "pid": 1, "started": NOW - 90 * MINUTE, "now": NOW,
    "commands": CommandsReport(by_state={}),
    "store": StoreReport(place="/var/lib/x.sqlite3", write_ms=3, free_bytes=50 << 30, total_bytes=100 << 30),
    "links": (LinkReport(name="queries", connected=True, since=NOW - MINUTE, connections=1, trouble=""),),
}  # fmt: skip
DOWN = InterfaceReport(
    operation="bill-query", system="marketing", circuit="open", calls=9, failures=9, failing_since=NOW - MINUTE,
    reason="connection refused",
)  # fmt: skip
SEEN = Observation(
    NOW,
    FrontReport(name="front-1", readiness={"broker": "ok"}, bridges=(), **COMMON),
    BridgeReport(
        name="bridge-1", inbox="i", interfaces=(DOWN,),
        maintenance=(Pause(operations=("work-order",), since=NOW - MINUTE, by="root (李)", reason="新版本"),), **COMMON,
    ),
)  # fmt: skip


@pytest.fixture(autouse=True)
def chinese() -> Iterator[None]:
    language.speak("zh")
    yield
    language.speak("en")


def test_a_planted_trouble_is_told_in_chinese_with_its_page() -> None:
    told = screen(SEEN, troubles(SEEN), colour=False, width=100)
    assert told.splitlines()[0].startswith("严重: ")
    assert "系统 marketing 的答复不正常：连接被拒绝（自 2027-01-15 07:59:00 UTC 起，60 秒）" in told
    assert "影响:  bill-query：查询得到 503 或 502，办理类请求等待" in told
    assert "修复:  处理该系统；bridgectl probe bill-query 显示它的答复" in told
    assert "详见:  docs/zh/runbooks/system-failing.md" in told
    assert "已运行 90 分钟" in told


def test_every_word_of_it_is_chinese_or_a_name() -> None:
    told = screen(SEEN, troubles(SEEN), colour=False, width=100)
    left = re.sub(r"docs/\S+|bridgectl \S+( \S+)?|/var/\S+|\(queries\)|root \(李\)", "", told)
    words = set(re.findall(r"[A-Za-z][A-Za-z-]+", left))
    assert words <= {
        "marketing", "bill-query", "work-order", "UTC", "GB", "dmz-front", "front-1", "front-", "intranet-bridge",
        "bridge-", "main", "queries", "open", "connection", "refused",
    }  # fmt: skip


def test_the_texts_of_a_daemon_and_of_a_trouble_line_up() -> None:
    told = screen(SEEN, troubles(SEEN), colour=False, width=100).splitlines()
    parts = [re.match(r"  (\S+)( +)", line) for line in told if re.match(r"  \S", line)]
    assert {width(found[0]) for found in parts if found} == {12}
    reasons = [re.match(r" {10}(\S+:)( +)", line) for line in told]
    assert {width(found[0]) for found in reasons if found} == {17}
    assert max(map(width, told[: told.index("dmz-front front-1，区域 main，1，已运行 90 分钟")])) <= 100


def test_the_live_screen_fits_its_width() -> None:
    console = Console(width=90, record=True, force_terminal=False)
    one = sample(None, SEEN)
    shown = live_screen(SEEN, troubles(SEEN), one, History(), View(open=True), width=90, height=40)
    with console.capture() as captured:
        console.print(shown)
    lines = captured.get().splitlines()
    assert max(map(width, lines)) <= 90
    assert any("熔断器" in line for line in lines)
    assert any(line.startswith("          修复") for line in lines)


def test_what_programs_read_is_the_same() -> None:
    before = as_dict(SEEN, troubles(SEEN))
    language.speak("en")
    after = as_dict(SEEN, troubles(SEEN))
    assert [one["key"] for one in before["troubles"]] == [one["key"] for one in after["troubles"]]
    assert after["troubles"][1]["what"] == "the system marketing does not answer as it should: connection refused"
    assert after["troubles"][1]["runbook"] == "docs/runbooks/system-failing.md"

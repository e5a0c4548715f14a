"""`bridgectl stats`: figures, files and the page, of what fronts wrote; and options that make no sense."""

import asyncio
import csv
import json
import re
import sys
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from bridgectl import language
from bridgectl.cli import app
from bridgectl.statistics.figures import Came, Figures, Reason, Statistics
from bridgectl.statistics.page import bars, days, lines, page
from dmz_front.ledger.rows import METADATA, STATISTICS
from dmz_front.statistics.counting import Statistics as Counting
from protocol.errors import BridgeError
from protocol.runtime.statistics import Bins, Counted, Kind, Took
from protocol.runtime.store import Store

DAY_MS = 86_400_000
A, B, C = "2026-03-01", "2026-03-02", "2026-03-03"


def answer(day: str, operation: str, status: int, outcome: str, number: int, application: str = "wechat") -> Counted:
    return Counted(day, operation, application, Kind.ANSWER, status, outcome, number)


def end(day: str, operation: str, outcome: str, number: int) -> Counted:
    return Counted(day, operation, "wechat", Kind.END, 0, outcome, number)


@pytest.fixture
def statistics() -> Statistics:
    return Statistics(
        A,
        C,
        (
            answer(A, "bill-query", 200, "succeeded", 60),
            answer(A, "bill-query", 200, "succeeded: kept", 30),
            answer(A, "bill-query", 200, "refused: no-such-account", 5),
            answer(A, "bill-query", 504, "marketing-timeout", 2),
            answer(C, "bill-query", 401, "unauthenticated", 3, ""),
            answer(C, "work-order", 202, "accepted", 10),
            answer(C, "work-order", 200, "refused: no-such-account", 4),
            answer(C, "work-order", 502, "marketing-failed", 1),
            answer(C, "work-order", 503, "shutting-down", 2),
            end(C, "work-order", "refused: no-such-account", 3),
            end(C, "work-order", "failed: marketing-failed", 2),
            end(C, "work-order", "succeeded", 9),
        ),
        (
            Took(A, "bill-query", "wechat", Bins({-200: 50})),
            Took(A, "bill-query", "wechat", Bins({-200: 40, 0: 10})),  # of another front
            Took(C, "work-order", "wechat", Bins({100: 10})),
        ),
    )


def test_figures_are_what_was_counted(statistics: Statistics) -> None:
    from bridgectl.statistics.figures import By

    found = statistics.by(By.OPERATION)
    bills, orders = found["bill-query",], found["work-order",]
    assert (bills.calls, bills.kept, orders.calls) == (100, 30, 17)
    assert bills.answers == {Came.SUCCEEDED: 90, Came.REFUSED: 5, Came.FAILED: 2, Came.TURNED_AWAY: 3}
    assert orders.ends == {Came.SUCCEEDED: 9, Came.REFUSED: 3, Came.FAILED: 2}
    latency = bills.latency_s()
    assert latency is not None
    assert latency[0] < 0.02 < 0.9 < latency[2] < 1.1
    assert [key for key, figures in statistics.by(By.DAY).items() if figures.calls] == [(A,), (C,)]
    assert sum(figures.calls for figures in statistics.by(By.APPLICATION).values()) == 117
    assert Figures().as_dict()["p99_ms"] is None


def test_reasons_tell_a_command_once(statistics: Statistics) -> None:
    assert statistics.reasons() == [
        Reason("bill-query", Came.REFUSED, "no-such-account", 5),
        Reason("bill-query", Came.TURNED_AWAY, "unauthenticated", 3),
        Reason("work-order", Came.REFUSED, "no-such-account", 3),
        Reason("bill-query", Came.FAILED, "marketing-timeout", 2),
        Reason("work-order", Came.FAILED, "marketing-failed", 2),
        Reason("work-order", Came.TURNED_AWAY, "shutting-down", 2),
    ]


def test_plots_fill_their_height_and_break_where_nothing_is(statistics: Statistics) -> None:
    from bridgectl.statistics.figures import By

    by_day, span = statistics.by(By.DAY), days(A, C)
    columns, most = bars(by_day, span)
    assert (span, most) == ([A, B, C], 97)
    assert {one.x for one in columns} == {0, 2}
    assert sum(one.height for one in columns if one.x == 0) == pytest.approx(100, abs=0.01)
    assert all(one.y >= 0 and one.y + one.height <= 100.01 for one in columns)
    curves, low, high = lines(by_day, span)
    assert (low, high) == (0.01, 10)
    assert [len(one.points) for one in curves] == [2, 2, 2]  # the day between has no value
    assert all(0 <= y <= 100 for one in curves for _, y, _ in one.dots)


@pytest.mark.parametrize("spoken", ["en", "zh"])
def test_the_page_needs_nothing_else(statistics: Statistics, spoken: str) -> None:
    language.speak(spoken)
    try:
        text = page(statistics, "2026-03-04 08:00")
    finally:
        language.speak("en")
    assert not re.search(r"<script|https?:|url\(|<link|<img|@import", text)
    assert ("调用" in text) == (spoken == "zh")
    for one in re.findall(r"<svg.*?</svg>", text, re.S):
        ElementTree.fromstring(one)
    empty = Statistics(A, A, (), ())
    assert "<svg" not in page(empty, "")


def test_what_is_counted_is_not_markup(statistics: Statistics) -> None:
    hostile = answer(A, "bill-query", 200, "refused: <b>&", 1, "<script>alert(1)</script>")
    text = page(Statistics(A, A, (hostile,), ()), "")
    assert "<script" not in text
    assert "<b>" not in text


# --- the command ------------------------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A front's host, with what two fronts counted today and yesterday."""
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(tmp_path / "bridgectl.toml"))
    file = tmp_path / "front.sqlite3"
    (tmp_path / "dmz_front.toml").write_text(f'[store]\nfile = "{file}"\n[control]\nsocket = "{tmp_path}/no.sock"\n')

    async def fill() -> None:
        store = Store(f"sqlite:///{file}", METADATA.create_all)
        await store.start()
        noon = datetime.now().replace(hour=12).timestamp() * 1000
        for front, ms in (("front-1", noon), ("front-2", noon - DAY_MS)):
            counting = Counting(store, STATISTICS, front, lambda ms=int(ms): ms)  # type: ignore[misc]
            for _ in range(3):
                counting.answered("bill-query", "wechat", 200, "succeeded", 0.05)
            counting.answered("bill-query", "", 401, "unauthenticated", 0.0001)
            counting.ended("work-order", "wechat", "succeeded")
            await counting.write()
        await store.close()

    asyncio.run(fill())
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["stats", *words])


def test_what_two_fronts_counted(host: Path) -> None:
    shown = run("--days", "2")
    assert shown.exit_code == 0, shown.output
    assert re.search(r"^bill-query +8 +6 +0 +0 +2 +0 +[45]\d\.?\d? ms", shown.output, re.M)
    assert re.search(r"^work-order +2 +0 +0$", shown.output, re.M)
    assert re.search(r"^2 +turned away +unauthenticated +bill-query$", shown.output, re.M)
    assert re.search(r"^\(none\) +2 ", run("--by", "application").output, re.M)
    told = json.loads(run("--days", "1", "--by", "day", "--json").output)
    assert [one["calls"] for one in told["groups"]] == [4]
    assert told["groups"][0]["day"] == told["until"] == datetime.now().date().isoformat()
    assert "nothing was counted" in run("--until", "2020-01-01").output


def test_files_hold_each_day_and_application(host: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    shown = run("--csv", str(host / "s.csv"), "--parquet", str(host / "s.parquet"))
    assert shown.exit_code == 0, shown.output
    with (host / "s.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    rows = parquet.read_table(host / "s.parquet").to_pylist()
    assert len(lines) == len(rows) == 6
    assert [(one["day"], one["application"], int(one["calls"])) for one in lines] == [
        (one["day"], one["application"], one["calls"]) for one in rows
    ]
    assert {one["p50_ms"] is None for one in rows} == {True, False}


def test_without_the_library_parquet_says_what_to_do(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    shown = run("--parquet", str(host / "s.parquet"))
    assert isinstance(shown.exception, BridgeError)
    assert "dmz-bridge[parquet]" in str(shown.exception)


def test_the_report_is_written(host: Path) -> None:
    assert run("report", str(host / "r.html"), "--days", "2").exit_code == 0
    assert "bill-query" in (host / "r.html").read_text(encoding="utf-8")
    shown = run("report", str(host / "no" / "r.html"))
    assert isinstance(shown.exception, BridgeError)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "yesterday"), "--since"),
        (("--since", "2026-03-02", "--until", "2026-03-01"), "is after"),
        (("--since", "2026-03-02", "--days", "3"), "exclude"),
        (("--since", "1970-01-01"), "at most"),
        (("--until", "0001-01-01"), "--days"),
    ],
)
def test_spans_that_make_no_sense(host: Path, words: tuple[str, ...], said: str) -> None:
    shown = run(*words)
    assert shown.exit_code == 2, shown.output
    assert said in shown.output


def test_a_database_of_an_older_release(host: Path) -> None:
    (host / "front.sqlite3").unlink()
    shown = run()
    assert isinstance(shown.exception, BridgeError)
    assert "--migrate" in str(shown.exception)

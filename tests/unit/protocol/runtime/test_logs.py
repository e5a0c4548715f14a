"""Lines as they are written: JSON in service, text on a terminal, never long, with the journal's priority."""

import io
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog

from protocol.errors import BridgeError
from protocol.runtime import logs, request_log
from protocol.runtime.logs import MOST_BYTES, configure, logger, rendered
from protocol.runtime.request_log import RequestLog
from protocol.runtime.store_health import said


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    request_log.write_to(request_log._to_stderr)


def stderr(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Standard error from here on. (Not a fixture: pytest sets its own between a test's set-up and its call.)"""
    made = io.StringIO()
    monkeypatch.setattr("sys.stderr", made)
    return made


def test_a_line_is_one_json_object(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stderr(monkeypatch)
    configure("info")
    logger("some.module").warning("quarantined", queue="q", reason="营销", request_id="r")
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "quarantined", "queue": "q", "reason": "营销", "request_id": "r", "level": "warning",
        "logger": "some.module",
    }  # fmt: skip


def test_what_is_below_the_level_costs_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stderr(monkeypatch)
    configure("warning")
    logger("m").info("ready")
    assert stream.getvalue() == ""


def test_no_line_is_long_and_what_was_cut_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stderr(monkeypatch)
    configure("info")
    log = logger("m")
    log.error("a", reason="x" * 50_000, request_id="r")
    log.error("b", reason="营" * 50_000, others=["y" * 300] * 100)
    log.error("c", **{f"field{number}": "z" * 100 for number in range(300)}, request_id="r")
    lines = stream.getvalue().splitlines()
    assert all(len(line.encode()) <= MOST_BYTES for line in lines)
    first, second, third = (json.loads(line) for line in lines)
    assert first["reason"] == "x" * 400 + "...(+49600)"
    assert re.fullmatch(r"营+\.\.\.\(\+49\d+\)", second["reason"])
    assert (third["event"], third["request_id"], third["left_out"] > 290) == ("c", "r", True)


def test_a_short_line_is_not_touched() -> None:
    line = {"event": "a", "reason": "x" * 1_000, "level": "info"}
    assert json.loads(rendered(line)) == line


def inner(depth: int) -> None:
    if depth:
        inner(depth - 1)
    raise TypeError("nothing of use\nand a second line")


def test_a_traceback_is_its_last_frames_in_one_field(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stderr(monkeypatch)
    configure("info")
    try:
        try:
            inner(50)
        except TypeError as error:
            raise BridgeError("outer") from error
    except BridgeError:
        logger("m").exception("query-failed")
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert re.match(r"BridgeError: outer at runtime/test_logs\.py:\d+ test_a_traceback_is", told["exception"])
    assert told["exception"].endswith("; from TypeError: nothing of use")
    assert "exc_info" not in told
    with pytest.raises(TypeError, match="nothing") as caught:
        inner(50)
    assert logs.told(caught.value).count(" < ") == 4


ACCOUNT = "3210000000003"


@pytest.mark.parametrize(
    "defect",
    [
        lambda: int(f"{ACCOUNT}x"),
        lambda: dict[str, str]()[ACCOUNT],
        lambda: Decimal(f"{ACCOUNT} fen") or None,
        lambda: json.loads(f'{{"account": "{ACCOUNT}"')["account"],
        lambda: f"{ACCOUNT}\u8425".encode("ascii"),
        lambda: SimpleNamespace().__getattribute__("account"),
    ],
)
def test_of_a_defect_the_log_has_what_and_where_and_nothing_of_a_customer(
    defect: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = stderr(monkeypatch)
    configure("info")
    try:
        try:
            defect()
        except Exception as error:
            raise RuntimeError(f"of {ACCOUNT}") from error
    except RuntimeError as error:
        caught = error
        logger("m").error("adapter-failed", exc_info=error, reason=said(error))
    told = json.loads(stream.getvalue())
    assert told["exception"].startswith("RuntimeError at runtime/test_logs.py:")
    assert type(caught.__cause__).__name__ in told["exception"]
    assert told["reason"] == "RuntimeError"
    assert ACCOUNT not in stream.getvalue()


def test_the_journal_is_told_the_priority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "journal").open("w+") as journal:
        found = os.fstat(journal.fileno())
        monkeypatch.setattr("sys.stderr", journal)
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        configure("debug")
        log = logger("m")
        for level in ("debug", "info", "warning", "error", "critical"):
            getattr(log, level)("ready")
        RequestLog("status", 1, lambda: 0).command("outcome-recorded", "r", "prepay", "succeeded", "", None, 0)
        journal.seek(0)
        lines = journal.read().splitlines()
    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>", "<2>", "<6>"]
    assert all(json.loads(line[3:]) for line in lines)


def test_a_stream_that_is_not_the_journal_s_has_no_priorities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = stderr(monkeypatch)
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")  # inherited: standard error was directed elsewhere
    configure("info")
    logger("m").info("ready")
    assert stream.getvalue().startswith("{")


def test_a_terminal_is_told_in_text(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stderr(monkeypatch)
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    configure("info")
    logger("m").warning("link-lost", broker="mq", reason="why")
    assert "\x1b[" in stream.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    stream.truncate(0)
    structlog.reset_defaults()
    configure("info")
    logger("n").warning("link-lost", broker="mq", reason="why")
    RequestLog("status", 1, lambda: 0).command("outcome-recorded", "r-1", "prepay", "succeeded", "", None, 0)
    told = stream.getvalue()
    assert "\x1b[" not in told
    assert re.search(r"\[warning +\] link-lost .*broker=mq .*reason=why", told)
    assert re.search(r"\[info +\] outcome-recorded .*request_id=r-1", told)
    assert "{" not in told


def test_the_format_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stderr(monkeypatch)
    configure("info", style="console")
    logger("m").info("ready")
    assert not stream.getvalue().startswith("{")


def test_a_repeated_fault_is_one_line_and_its_count_comes_with_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stderr(monkeypatch)
    configure("info")
    log = logger("m")
    for number in range(10):
        log.warning("envelope-refused", queue="q", reason="unknown-key", request_id=str(number))
    assert stream.getvalue().count("\n") == 1
    logs._emit({"event": "envelope-refused", "level": "warning", "logger": "m", "queue": "q", "repeated": 9})
    last = json.loads(stream.getvalue().splitlines()[-1])
    assert (last["repeated"], last["level"], last["logger"]) == (9, "warning", "m")

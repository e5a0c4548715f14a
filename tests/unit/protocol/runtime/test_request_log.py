"""One line of a request's hop: which requests get one, what is in it, and what is remembered of all."""

import json
import logging
import time
from collections.abc import Iterator

import pytest

from protocol.runtime import request_log
from protocol.runtime.request_log import MOST_LINES, RequestLog
from tests.unit.clock import NOW, Clock

IDS = [f"019c936e-3800-7ca9-baa5-{number * 0x9E3779B1 % 0xFFFFFFFFFFFF:012x}" for number in range(2000)]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    written: list[str] = []
    monkeypatch.setattr(request_log, "write", written.append)
    logger = logging.getLogger(request_log.__name__)
    before = logger.level
    logger.setLevel(logging.INFO)
    yield written
    logger.setLevel(before)


def test_a_line_says_what_became_of_it(lines: list[str], clock: Clock) -> None:
    log = RequestLog("status", 0, clock)
    log.failed("request-answered", IDS[0], "bill-query", "no-answer-in-time", time.perf_counter(), 504, "why")
    log.command("outcome-recorded", IDS[1], "work-order", "refused", "no-such-account", None, 0)
    first, second = (json.loads(line) for line in lines)
    names = ("event", "request_id", "operation", "outcome", "code", "status", "reason")
    assert {name: first[name] for name in names} == {
        "event": "request-answered", "request_id": IDS[0], "operation": "bill-query", "outcome": "failed",
        "code": "no-answer-in-time", "status": 504, "reason": "why",
    }  # fmt: skip
    assert (first["level"], first["timestamp"][-1]) == ("info", "Z")
    assert second.keys() == {"event", "request_id", "operation", "outcome", "code", "level", "logger", "timestamp"}
    assert all(line.endswith("\n") and len(line) < 2000 for line in lines)


@pytest.mark.parametrize(("share", "least", "most"), [(0, 0, 0), (0.1, 140, 260), (1, 2000, 2000)])
def test_of_answered_queries_a_share_is_logged_the_same_on_both_sides(
    lines: list[str], clock: Clock, share: float, least: int, most: int
) -> None:
    for side in (RequestLog("status", share, clock), RequestLog("attempts", share, clock)):
        for id in IDS:
            side.sampled("answered", id, "bill-query", "succeeded", 0.003, 200)
    logged = [json.loads(line)["request_id"] for line in lines]
    assert least <= len(logged) // 2 <= most
    assert logged[: len(logged) // 2] == logged[len(logged) // 2 :]


def test_an_outage_fills_no_disk_and_what_is_left_out_is_counted(lines: list[str], clock: Clock) -> None:
    log = RequestLog("status", 0, clock)
    for id in IDS:
        log.failed("answered", id, "bill-query", "no-bridge", time.perf_counter(), 502)
    assert len(lines) == MOST_LINES
    assert next(iter(log.samples("left_out")))[3] == len(IDS) - MOST_LINES
    clock.now += 1000
    log.failed("answered", IDS[0], "bill-query", "no-bridge", time.perf_counter(), 502)
    assert len(lines) == MOST_LINES + 1
    for id in IDS:  # a command is never left out
        log.command("finished", id, "work-order", "succeeded", "", None, 1)
    assert len(lines) == MOST_LINES + 1 + len(IDS)


def test_the_latest_are_remembered_whether_logged_or_not(lines: list[str], clock: Clock) -> None:
    log = RequestLog("status", 0, clock)
    log.sampled("request-answered", IDS[0], "bill-query", "succeeded", 0.003, 200)
    clock.now += 5
    log.command("outcome-recorded", IDS[0], "bill-query", "succeeded", "", None, 0)
    assert [(hop["at"], hop["event"]) for hop in log.of(IDS[0])] == [
        (NOW, "request-answered"), (NOW + 5, "outcome-recorded"),
    ]  # fmt: skip
    assert log.of("nobody") == []


def test_nothing_is_written_where_info_is_not_wanted(lines: list[str], clock: Clock) -> None:
    logging.getLogger(request_log.__name__).setLevel(logging.WARNING)
    RequestLog("status", 1, clock).command("finished", IDS[0], "work-order", "succeeded", "", None, 1)
    assert lines == []

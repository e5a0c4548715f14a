"""A fault that repeats is one line, and then one a minute with its count."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from protocol.runtime.repetitions import WINDOW_S, Repetitions


class Log:
    """What reaches the log, with a clock and a timer that tests move."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.at = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.repetitions = Repetitions(
            self.lines.append, now=lambda: self.at, later=lambda s, call: self.timers.append((self.at + s, call))
        )

    def say(self, event: str, **fields: Any) -> None:
        line = {"event": event, "level": "warning", "logger": "x", **fields}
        with contextlib.suppress(structlog.DropEvent):
            self.lines.append(dict(self.repetitions(None, "warning", line)))

    def go_to(self, at: float) -> None:
        while self.timers and self.timers[0][0] <= at:
            self.at, call = self.timers.pop(0)
            call()
        self.at = at


@pytest.fixture
def log() -> Log:
    return Log()


def refused(log: Log, queue: str = "q", reason: str = "unknown-key", request_id: str = "") -> None:
    log.say("envelope-refused", queue=queue, reason=reason, request_id=request_id)


def test_the_first_is_said_at_once_and_the_others_are_counted(log: Log) -> None:
    for number in range(30):
        log.go_to(number * 2)
        refused(log, request_id=str(number))
    assert [line["request_id"] for line in log.lines] == ["0"]
    log.go_to(WINDOW_S)
    assert [(line["request_id"], line.get("repeated")) for line in log.lines] == [("0", None), ("29", 29)]
    assert (log.lines[1]["event"], log.lines[1]["level"], log.lines[1]["logger"]) == (
        "envelope-refused",
        "warning",
        "x",
    )


def test_a_fault_that_goes_on_is_one_line_a_minute(log: Log) -> None:
    for number in range(300):
        log.go_to(number)
        refused(log)
    log.go_to(400)
    assert [line.get("repeated", 1) for line in log.lines] == [1, 59, 60, 60, 60, 60]
    assert sum(line.get("repeated", 1) for line in log.lines) == 300
    assert not log.timers  # at rest nothing runs


def test_another_fault_is_another_line(log: Log) -> None:
    refused(log)
    refused(log, queue="other")
    refused(log, reason="tampered")
    assert len(log.lines) == 3


def test_what_is_about_one_request_is_never_counted(log: Log) -> None:
    for number in range(5):
        log.say("command-held", request_id=str(number), operation="prepay", code="x", reason="y")
        log.say("no-such-event", reason="y")
    assert len(log.lines) == 10


def test_a_fault_that_comes_again_later_is_said_at_once(log: Log) -> None:
    refused(log)
    log.go_to(WINDOW_S + 1)
    refused(log)
    assert [line.get("repeated") for line in log.lines] == [None, None]


def test_what_was_counted_is_told_at_the_end(log: Log) -> None:
    refused(log)
    refused(log)
    log.repetitions.flush(all_of_them=True)
    assert [line.get("repeated") for line in log.lines] == [None, 1]


def test_a_flood_of_kinds_is_bounded(log: Log) -> None:
    for number in range(3_000):
        refused(log, queue=str(number))
    assert len(log.repetitions._faults) <= 1_000
    assert len(log.lines) == 3_000

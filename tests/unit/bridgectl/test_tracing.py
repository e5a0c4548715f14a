"""A request's life: what daemons report and logs say, as events."""

from typing import Any

from bridgectl.tracing import Event, events_of, events_of_log
from protocol.administration import CommandReport, DecisionReport, TraceReport
from tests.unit.clock import NOW

ID = "019c936e-3800-7ca9-baa5-af0979b3d5ac"
BRIDGE = CommandReport(
    side="bridge", id=ID, operation="work-order", state="succeeded", source="front-1/wechat", owner="bridge-1",
    recorded=NOW, calling=NOW + 5, attempts=2, updated=NOW + 9, replied=NOW + 12,
)  # fmt: skip


def test_a_command_at_the_bridge() -> None:
    report = TraceReport(
        side="bridge", name="bridge-1", command=BRIDGE,
        decisions=(DecisionReport(choice="call-again", by="root", at=NOW + 4, note="was away"),),
        hops=({"at": NOW + 9, "event": "command-finished", "request_id": ID, "outcome": "succeeded", "attempts": 2},),
    )  # fmt: skip
    assert sorted(events_of(report), key=lambda event: event.at) == [
        Event(NOW, "bridge bridge-1", "received in the inbox", "work-order of front-1/wechat, bridge-1 has it"),
        Event(NOW + 4, "bridge bridge-1", "decided", "call-again by root: was away"),
        Event(NOW + 5, "bridge bridge-1", "called the marketing system", "attempt 2"),
        Event(NOW + 9, "bridge bridge-1", "inbox says succeeded", ""),
        Event(NOW + 9, "bridge bridge-1", "command-finished", "outcome succeeded, attempts 2"),
        Event(NOW + 12, "bridge bridge-1", "reply on the broker", ""),
    ]


def test_a_command_at_the_front_that_was_sent_again() -> None:
    row = CommandReport(
        side="front", id=ID, operation="work-order", state="held", code="undelivered", source="front-1/wechat",
        owner="front-1", recorded=NOW, sent=NOW + 60, sends=3, updated=NOW + 99,
    )  # fmt: skip
    found = list(events_of(TraceReport(side="front", name="front-1", command=row)))
    assert [(event.what, event.more) for event in found] == [
        ("accepted in the ledger", "work-order of front-1/wechat"),
        ("on the broker", "sent 3 times"),
        ("ledger says held", "undelivered"),
    ]


def test_lines_of_a_log_that_are_about_it_alone() -> None:
    line: dict[str, Any] = {
        "timestamp": "2026-02-25T06:13:20.007Z",
        "event": "command-waits",
        "request_id": ID,
        "next": "inquire",
    }
    others: list[dict[str, Any]] = [
        line | {"request_id": "another"},
        line | {"timestamp": "today"},
        {"event": "x"},
        line | {"request_id": 7},
    ]
    [event] = events_of_log([line, *others], ID, "bridge")
    assert (event.where, event.what, event.more) == ("log bridge", "command-waits", "next inquire")
    assert event.at == 1_772_000_000_007
    assert len(list(events_of_log([{**line, "request_id": "", "request_ids": [ID]}], ID, "bridge"))) == 1
    assert len(event.more) <= 200

"""What the simulator says unasked: each push until it is answered, with the same id and words, over its own death."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from intranet_bridge.pushes.bodies import push_of
from scripts.tools.marketing_simulator.pushing.content import LatestBill, chosen, push
from scripts.tools.marketing_simulator.pushing.plan import Kind, PushPlan, PushPlanError
from scripts.tools.marketing_simulator.pushing.record import Answer, Made, PushRecord, outcomes
from tests.support.testbeds import eventually
from tests.unit.marketing_simulator.test_process import RunningSimulator, StartSimulator, start_simulator

__all__ = ["start_simulator"]

NOW = datetime(2026, 1, 15, 1, 0, tzinfo=UTC)
BILL = LatestBill(202512, 13579, "2026-01-25")
URL = "http://127.0.0.1:1/v1/pushes"
MINE = ["3210000000001", "3210000000002"]


class Bridge:
    """Takes pushes, and loses every third answer after it has taken them."""

    def __init__(self) -> None:
        self.took: dict[str, Any] = {}
        """By id, in the order of acceptance."""
        self.other_words: list[str] = []
        self.requests = self.repeated = 0
        self.tokens: set[str] = set()
        self.down = threading.Event()
        bridge, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = json.loads(self.rfile.read(int(self.headers["content-length"])))["pushes"]
                with lock:
                    answers = bridge.take(said, self.headers.get("authorization", ""))
                if answers is None:
                    return
                body = json.dumps({"pushes": answers}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/pushes"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, pushes: list[dict[str, Any]], token: str) -> list[dict[str, Any]] | None:
        if self.down.is_set():
            return None
        self.requests += 1
        self.tokens.add(token)
        answers = []
        for one in pushes:
            known = self.took.setdefault(one["id"], one)
            if known != one:
                self.other_words.append(one["id"])
            self.repeated += known is not one
            answers.append({"id": one["id"], "outcome": "accepted" if known is one else "repeated", "notices": 1})
        return answers if self.requests % 3 else None


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    bridge = Bridge()
    yield bridge
    bridge.server.shutdown()
    bridge.server.server_close()


def state(simulator: RunningSimulator) -> Any:
    return simulator.send("GET", "/pushes")[1]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_is_a_push_to_the_bridge(kind: Kind) -> None:
    assert push_of(push(7, kind, MINE, BILL, NOW)).kind == kind.value


def test_the_same_number_is_always_about_the_same() -> None:
    plan = PushPlan(url=URL, accounts=tuple(MINE), kinds=(Kind.BILL_ISSUED, Kind.OUTAGE_PLANNED))
    some = [chosen(number, plan, 20) for number in range(100)]
    assert some == [chosen(number, plan, 20) for number in range(100)]
    assert {kind for kind, _ in some} == set(plan.kinds)
    assert {account for _, accounts in some for account in accounts} == set(MINE)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"url": "ftp://x"}, "url"),
        ({"rate": -1}, "rate"),
        ({"kinds": ["bill"]}, "kinds.0"),
        ({"kinds": []}, "kinds"),
        ({"accounts": ["1"]}, "accounts.0"),
        ({"again": 2}, "again"),
        ({"batch": 0}, "batch"),
        ({"twise": 1}, "twise"),
    ],
)
def test_a_wrong_plan_is_refused_by_the_fields_name(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(PushPlanError) as refused:
        PushPlan.parse(json.dumps({"url": URL} | changed))
    assert refused.value.field == field


def test_an_answer_that_is_a_refusal_is_not_hidden_by_a_later_one(tmp_path: Path) -> None:
    record = PushRecord(tmp_path / "pushes")
    record.add([(Made(number, "{}"), MINE) for number in (1, 2, 3)], by_plan=True)
    record.sent([1, 2], [Answer(1, "id-used"), Answer(2, "repeated")], "now")
    record.sent([1, 2], [Answer(1, "repeated"), Answer(2, "accepted", 2)], "now")
    assert [made.number for made in record.unanswered()] == [3]
    assert outcomes(record._connection) == {"id-used": 1, "accepted": 1}
    record.close()


def test_all_arrive_in_order_though_answers_are_lost_and_the_simulator_is_killed(
    start_simulator: StartSimulator, bridge: Bridge, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("a-token\n")
    simulator = start_simulator()
    plan = {
        "url": bridge.url, "token_file": str(tmp_path / "token"), "rate": 2000, "count": 600, "accounts": MINE,
        "batch": 20, "again": 0.2, "twice": 0.2,
    }  # fmt: skip
    assert simulator.send("PUT", "/pushes", plan)[0] == 200
    eventually(lambda: len(bridge.took) >= 100, 30)
    bridge.down.set()
    eventually(lambda: state(simulator)["unanswered"] > 0, 30)
    simulator.process.kill()
    simulator.process.wait()
    assert len(bridge.took) < 600

    simulator = start_simulator()
    bridge.down.clear()
    eventually(lambda: (state(simulator)["made"], state(simulator)["unanswered"]) == (600, 0), 30)
    journal = simulator.send("GET", "/pushes/journal")[1]
    assert [one["push"] for one in journal] == list(bridge.took.values())  # none is lost, and the order is theirs
    assert bridge.other_words == []
    assert bridge.repeated > 50  # of lost answers, and on purpose
    assert bridge.tokens == {"Bearer a-token"}
    assert {one["outcome"] for one in journal} <= {"accepted", "repeated"}

    def all_are_counted() -> bool:  # what is said again on purpose goes on for a moment after the last answer
        attempts = sum(one["attempts"] for one in simulator.send("GET", "/pushes/journal")[1])
        return bool(state(simulator)["attempts"] == attempts > 600)

    eventually(all_are_counted, 30)


def test_one_is_said_by_hand_and_by_the_command_lines_url(start_simulator: StartSimulator, bridge: Bridge) -> None:
    simulator = start_simulator("--push-url", bridge.url)
    status, told = simulator.send("POST", "/pushes", {"kind": "bill-issued", "account": MINE[0]})
    assert status == 200
    eventually(lambda: told["id"] in bridge.took, 30)
    assert bridge.took[told["id"]]["data"]["account"] == MINE[0]
    for wrong, field in (({"kind": "x"}, "kind"), ({"kind": "bill-issued", "account": "1"}, "account"), ([], "(body)")):
        status, told = simulator.send("POST", "/pushes", wrong)
        assert (status, told["field"]) == (400, field)


def test_nothing_is_said_before_there_is_somewhere_to_say_it(start_simulator: StartSimulator) -> None:
    status, told = start_simulator().send("POST", "/pushes", {"kind": "bill-issued", "account": MINE[0]})
    assert (status, told["field"]) == (400, "(body)")

"""`bridgectl pause`, `resume`, `drain` and `circuit`: what they ask the daemon, what they print, how they exit."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bridgectl import daemons, probing
from bridgectl.cli import app
from protocol.maintenance import Pause
from protocol.messages import Role
from protocol.reports.bridge import BridgeReport
from protocol.reports.calls import InterfaceReport
from protocol.reports.daemon import CommandsReport, DrainReport, StoreReport

PAUSE = Pause(operations=("bill-query",), since=1_800_000_000_000, until=1_800_000_060_000, by="root (li)", reason="x")
SINCE = "2027-01-15 08:00:00 UTC"


class Asked:
    """A daemon that answers with what it is told to, in turn, and then the same."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers, self.questions = list(answers), list[tuple[Role, str, dict[str, Any]]]()

    def tell(self, role: Role, _path: Path, question: str, _timeout_s: float = 1, **more: Any) -> Any:
        self.questions.append((role, question, more))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Asked:
    one = Asked({"pauses": [PAUSE.model_dump(mode="json")]})
    monkeypatch.setattr(daemons, "tell", one.tell)
    monkeypatch.setattr(daemons, "one", lambda role, _given=None: (role or Role.BRIDGE, Path("x")))
    monkeypatch.setenv("SUDO_USER", "li")
    return one


def ran(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_pause_says_what_is_paused_then(daemon: Asked) -> None:
    done = ran("pause", "bill-query", "--for", "2h", "--reason", "x")
    [(role, question, more)] = daemon.questions
    until = more.pop("until")
    assert abs(until - time.time() * 1000 - 7_200_000) < 30_000
    assert (role, question) == (Role.BRIDGE, "pause")
    assert more == {"operations": ["bill-query"], "every": False, "sudo_user": "li", "reason": "x"}
    assert done.exit_code == 0
    for words in ("intranet-bridge: paused now", "bill-query", SINCE, "root (li)"):
        assert words in done.stdout


def test_pause_at_the_front_of_all_without_an_end(daemon: Asked) -> None:
    assert ran("pause", "--all", "--side", "front", "--json").exit_code == 0
    assert daemon.questions == [
        (Role.FRONT, "pause", {"operations": [], "every": True, "sudo_user": "li", "until": 0, "reason": ""})
    ]


def test_resume(daemon: Asked) -> None:
    daemon.answers = [{"pauses": []}]
    done = ran("resume", "--all")
    assert (done.exit_code, done.stdout) == (0, "intranet-bridge: nothing is paused now\n")
    assert daemon.questions == [(Role.BRIDGE, "resume", {"operations": [], "every": True, "sudo_user": "li"})]


@pytest.mark.parametrize(
    "words",
    [
        ("pause",), ("pause", "--all", "bill-query"), ("resume",), ("pause", "--all", "--for", "2 hours"),
        ("pause", "--all", "--until", "later"), ("pause", "--all", "--until", "03:30", "--for", "2h"),
        ("pause", "--all", "--for", "9999999999999d"), ("pause", "--all", "--reason", "x" * 201),
    ],
)  # fmt: skip
def test_what_is_no_sentence_asks_nobody(daemon: Asked, words: tuple[str, ...]) -> None:
    done = ran(*words)
    assert done.exit_code == 2
    assert not isinstance(done.exception, (ValueError, OverflowError))
    assert daemon.questions == []


def told(**running: int) -> dict[str, Any]:
    report = DrainReport(since=1, by="root", running=running)
    return {"drain": report.model_dump(mode="json"), "safe": report.safe}


def test_drain_waits_until_it_is_safe(daemon: Asked) -> None:
    daemon.answers = [told(commands=1), told(commands=1), told(commands=0)]
    done = ran("drain")
    assert done.exit_code == 0
    assert "safe to stop (systemctl stop intranet-bridge)" in done.stdout
    assert [more for _, _, more in daemon.questions] == [{"undo": False, "sudo_user": "li"}, *2 * [{"look": True}]]


def test_drain_says_what_is_still_in_hand_when_its_patience_ends(daemon: Asked) -> None:
    daemon.answers = [told(queries=0, commands=2)]
    done = ran("drain", "--wait", "0", "--side", "front")
    assert (done.exit_code, done.stdout) == (1, "dmz-front takes nothing new; still in hand: 2 commands\n")


def test_drain_undone(daemon: Asked) -> None:
    daemon.answers = [{"drain": None, "safe": False}]
    done = ran("drain", "--undo")
    assert (done.exit_code, done.stdout) == (0, "intranet-bridge takes work\n")


NOW_MS = 1_800_000_000_000
OPEN = InterfaceReport(
    operation="bill-query", system="marketing", circuit="open", failing_since=NOW_MS, opened=NOW_MS,
    next_probe=NOW_MS + 3_600_000, fault="interface", reason="connect: Connection refused",
)  # fmt: skip
CLOSED = InterfaceReport(operation="work-order", system="marketing", circuit="closed")


def circuits(monkeypatch: pytest.MonkeyPatch, *interfaces: InterfaceReport, paused: bool = False) -> None:
    report = BridgeReport(
        name="bridge-1", region="main", software="", pid=1, started=1, now=1, links=(), inbox="i",
        store=StoreReport(place="x"), commands=CommandsReport(by_state={}), interfaces=interfaces,
        maintenance=(PAUSE,) if paused else (),
    )  # fmt: skip
    monkeypatch.setattr(probing, "bridge_report", lambda _path: report)


@pytest.mark.usefixtures("daemon")
def test_circuits_that_are_open_are_shown_with_cause_and_next_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    soon = round(time.time() * 1000) + 3_600_000
    circuits(monkeypatch, OPEN.model_copy(update={"next_probe": soon}), CLOSED)
    done = ran("circuit", "show")
    assert done.exit_code == 2
    for words in ("bill-query", SINCE, "in 3", "interface", "connect: Connection refused"):
        assert words in done.stdout
    assert "work-order" not in done.stdout
    assert ran("circuit", "show", "work-order").exit_code == 0
    assert [one["circuit"] for one in json.loads(ran("circuit", "show", "--all", "--json").stdout)] == [
        "open",
        "closed",
    ]
    assert ran("circuit", "show", "nothing").exit_code == 2


@pytest.mark.usefixtures("daemon")
def test_circuits_that_are_paused_or_half_open_or_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    circuits(monkeypatch, OPEN, paused=True)
    done = ran("circuit", "show")
    assert (done.exit_code, "after maintenance" in done.stdout) == (0, True)
    circuits(monkeypatch, OPEN.model_copy(update={"circuit": "half-open", "next_probe": 0}))
    done = ran("circuit", "show")
    assert (done.exit_code, "by the next call" in done.stdout) == (1, True)
    circuits(monkeypatch, CLOSED)
    assert ran("circuit", "show").stdout == "all 1 circuits are closed, and no interface fails\n"


def test_a_circuit_is_closed_by_the_running_bridge(daemon: Asked) -> None:
    daemon.answers = [{"operation": "bill-query"}]
    assert ran("circuit", "close", "bill-query").exit_code == 0
    assert daemon.questions == [(Role.BRIDGE, "close-circuit", {"operation": "bill-query", "sudo_user": "li"})]

"""`bridgectl requests`: what it asks the daemon of this host, what it prints, and what it refuses by itself."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bridgectl.cli import app
from bridgectl.control import NotRunning
from protocol.administration import (
    CommandDetail,
    CommandReport,
    DecisionReport,
    Evidence,
    MatchReport,
    NotDecided,
    TraceReport,
)
from protocol.errors import BridgeError, ConfigurationError
from protocol.runtime.control import ControlSocket, Peer

NOW = 1_770_000_000_000
HELD = CommandReport(
    side="bridge", id="request-1", operation="work-order", state="held", code="held", note="its outcome is unknown",
    source="front-1/wechat", owner="bridge-1", recorded=NOW, attempts=2, decide="here",
)  # fmt: skip
DETAIL = CommandDetail(
    command=HELD,
    decisions=(DecisionReport(choice="call-again", by="root", at=NOW, note="was away"),),
    evidence=Evidence(came_to="absent", detail="it has no such request"),
    request='{"address":"人民路1号"}',
)


class Daemon:
    """Answers in a thread of its own, and notes what it was asked."""

    def __init__(self, path: Path) -> None:
        self.asked: list[dict[str, Any]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        answers = {
            "commands": self._list, "command": self._show, "resolve": self._resolve, "resolve-matching": self._matching,
            "resend-matching": self._matching, "trace": self._trace,
        }  # fmt: skip
        self._socket = ControlSocket(path, answers)
        asyncio.run_coroutine_threadsafe(self._socket.start(), self._loop).result(5)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._socket.close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _matching(self, request: Mapping[str, Any], _who: Peer) -> Any:
        self.asked.append(dict(request))
        if request.get("dry_run", True):
            return MatchReport(by_operation={"work-order": 3}).model_dump(mode="json")
        if not request["after"]:
            return MatchReport(decided=("r1", "r2"), next="r2").model_dump(mode="json")
        return MatchReport(failures=(NotDecided(id="r3", because="it is calling"),)).model_dump(mode="json")

    async def _list(self, request: Mapping[str, Any], _who: Peer) -> Any:
        self.asked.append(dict(request))
        return [HELD.model_dump(mode="json")]

    async def _show(self, request: Mapping[str, Any], _who: Peer) -> Any:
        self.asked.append(dict(request))
        told = DETAIL.model_dump(mode="json")
        return told if request["reveal"] else told | {"request": ""}

    async def _trace(self, request: Mapping[str, Any], _who: Peer) -> Any:
        self.asked.append(dict(request))
        return TraceReport(side="bridge", name="bridge-1", command=HELD).model_dump(mode="json")

    async def _resolve(self, request: Mapping[str, Any], who: Peer) -> Any:
        self.asked.append(dict(request))
        assert who.uid == os.geteuid()
        if request["id"] != "request-1":
            raise BridgeError("the inbox has no request of this id")
        return HELD.model_copy(update={"state": "succeeded", "decide": ""}).model_dump(mode="json")


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    socket = tmp_path / "control.sock"
    (tmp_path / "intranet_bridge.toml").write_text(f'[control]\nsocket = "{socket}"\n')
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(tmp_path / "bridgectl.toml"))
    monkeypatch.delenv("SUDO_USER", raising=False)
    daemon = Daemon(socket)
    yield daemon
    daemon.close()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["requests", *words])


def test_list(daemon: Daemon) -> None:
    shown = run("list")
    assert shown.exit_code == 0, shown.exception
    for words in ("request-1", "work-order", "front-1/wechat", "held", "here", "its outcome is unknown"):
        assert words in shown.output
    [row] = json.loads(run("list", "--json", "--state", "all", "--limit", "7").output)
    assert (row["id"], row["recorded"], row["calling"]) == ("request-1", "2026-02-02T02:40:00+00:00", None)
    assert daemon.asked[0] == {
        "ask": "commands", "states": ["held", "unknown"], "limit": 100, "operations": [], "before": 0,
    }  # fmt: skip
    assert (len(daemon.asked[1]["states"]), daemon.asked[1]["limit"]) == (10, 7)


def test_a_trace_has_what_was_asked_only_where_it_is_to_be_revealed(daemon: Daemon, tmp_path: Path) -> None:
    def traced(*more: str) -> Result:
        return CliRunner().invoke(app, ["trace", "request-1", "--no-journal", *more])

    plain = traced()
    assert (plain.exit_code, "人民路" in plain.output) == (0, False)
    assert [one["ask"] for one in daemon.asked] == ["trace"]
    told = json.loads(traced("--reveal", "--json").output)
    [opened] = [one for one in told if one["what"] == "was asked"]
    assert (opened["where"], opened["more"], opened["at"]) == ("bridge bridge-1", DETAIL.request, NOW)
    assert (daemon.asked[-1]["ask"], daemon.asked[-1]["inquire"]) == ("command", False)
    (tmp_path / "intranet_bridge.toml").rename(tmp_path / "dmz_front.toml")  # now it is a front that answers
    assert "sealed for the bridge" in traced("--reveal").stderr
    assert daemon.asked[-1]["ask"] == "trace"


def test_show(daemon: Daemon) -> None:
    shown = run("show", "request-1")
    assert shown.exit_code == 0, shown.exception
    for words in (
        "it is not there: it has no such request",
        "call-again by root at 2026-02-02T02:40:00+00:00: was away",
    ):
        assert words in shown.output
    assert "人民路" not in shown.output
    assert "人民路" in run("show", "request-1", "--show", "--no-ask").output
    assert "人民路" in json.loads(run("show", "request-1", "--show", "--json").output)["request"]
    assert [(one["reveal"], one["inquire"]) for one in daemon.asked[:2]] == [(False, True), (True, False)]


def test_resolve(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")
    done = run("resolve", "request-1", "--applied", "--result", '{"work_order": "1"}', "--note", "seen there")
    assert done.exit_code == 0, done.exception
    assert "request-1 is succeeded" in done.output
    [asked] = daemon.asked
    assert asked == {
        "ask": "resolve", "id": "request-1", "choice": "applied", "note": "seen there",
        "result": '{"work_order": "1"}', "sudo_user": "alice", "force": False,
    }  # fmt: skip
    for choice in ("not-applied", "call-again", "ask-again"):
        assert run("resolve", "request-1", f"--{choice}", "--note", "n", "--json").exit_code == 0
        assert daemon.asked[-1]["choice"] == choice


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["request-1", "--note", "n"], "exactly one"),
        (["request-1", "--applied", "--not-applied", "--note", "n"], "exactly one"),
        (["request-1", "--not-applied", "--result", "{}", "--note", "n"], "--applied alone"),
        (["request-1", "--applied", "--result", "", "--note", "n"], "is empty"),
        (["request-1", "--applied", "--note", " "], "how you know"),
        (["request-1", "--applied"], "--note"),
        (["request-1", "--applied", "--force", "--note", "n"], "--not-applied alone"),
    ],
)
def test_what_is_refused_is_not_asked_for(daemon: Daemon, words: list[str], said: str) -> None:
    result = run("resolve", *words)
    assert (result.exit_code, said in result.output, daemon.asked) == (2, True, [])


def test_cancel(daemon: Daemon) -> None:
    done = run("cancel", "request-1", "request-9", "--note", "ordered twice")
    assert done.exit_code == 1
    assert "request-1 is taken back" in done.output
    assert "request-9: cancel was refused" in done.output  # the others are decided all the same
    assert [(one["choice"], one["note"]) for one in daemon.asked] == [("cancel", "ordered twice")] * 2
    assert run("cancel", "request-1", "--note", " ").exit_code == 2


class FrontDaemon(Daemon):
    """Its decisions are pending until they were asked about `patience` times."""

    patience, standing, because = 1, "done", ""

    async def _resolve(self, request: Mapping[str, Any], who: Peer) -> Any:
        await super()._resolve(request, who)
        return self._detail("pending", "")

    async def _show(self, request: Mapping[str, Any], _who: Peer) -> Any:
        self.asked.append(dict(request))
        self.patience -= 1
        return self._detail("pending", "") if self.patience >= 0 else self._detail(self.standing, self.because)

    def _detail(self, standing: Any, because: str) -> Any:
        mine = DecisionReport(
            choice="cancel", by="root", at=NOW, note="n", id="d-1", standing=standing, because=because
        )
        earlier = DecisionReport(choice="cancel", by="root", at=NOW, note="n", id="d-0", standing="refused")
        front = HELD.model_copy(update={"side": "front", "state": "sent"})
        return CommandDetail(command=front, decisions=(earlier, mine)).model_dump(mode="json")


@pytest.fixture
def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FrontDaemon]:
    socket = tmp_path / "control.sock"
    (tmp_path / "dmz_front.toml").write_text(f'[control]\nsocket = "{socket}"\n')
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(tmp_path / "bridgectl.toml"))
    monkeypatch.setattr("bridgectl.commands.requests._LOOK_S", 0.0)
    daemon = FrontDaemon(socket)
    yield daemon
    daemon.close()


def test_at_the_front_the_bridges_answer_is_waited_for(front: FrontDaemon) -> None:
    done = run("cancel", "request-1", "--note", "n", "--json")
    assert done.exit_code == 0, done.exception
    [one] = json.loads(done.output)
    assert (one["standing"], one["state"]) == ("done", "sent")
    front.patience, front.standing, front.because = 1, "refused", "it is calling"
    refused = run("cancel", "request-1", "--note", "n")
    assert (refused.exit_code, "was refused, and nothing was changed: it is calling" in refused.output) == (1, True)
    front.patience = 1000
    pending = run("resolve", "request-1", "--not-applied", "--force", "--note", "n", "--wait", "0")
    assert (pending.exit_code, "waits for a bridge" in pending.output) == (0, True)
    assert front.asked[-1]["force"]
    front.patience = 0
    assert "(refused: it is calling)" in run("show", "request-1").output


def test_what_is_undelivered_is_sent_again_by_a_decision(front: FrontDaemon) -> None:
    assert run("resend", "request-1", "--undelivered", "--note", "n").exit_code == 0
    assert front.asked[0]["choice"] == "resend"
    assert run("resend", "request-1", "--undelivered").exit_code == 2
    assert run("resend", "--all", "--undelivered").exit_code == 2
    asked = len(front.asked)
    counted = run("resend", "--all", "--undelivered", "--operation", "work-order", "--note", "n")
    assert (counted.exit_code, "3 commands match; nothing was done: --yes decides" in counted.output) == (0, True)
    [one] = front.asked[asked:]
    assert (one["ask"], one["choice"], one["note"], one["operations"]) == (
        "resolve-matching", "resend", "n", ["work-order"],
    )  # fmt: skip


def test_all_that_match_are_sent_again_with_yes_alone(front: FrontDaemon) -> None:
    words = ("resend", "--all", "--state", "sent", "--older-than", "1h")
    counted = run(*words)
    assert (counted.exit_code, "3 commands match; nothing was done: --yes sends" in counted.output) == (0, True)
    done = run(*words, "--yes")
    assert (done.exit_code, "2 of 3 commands sent again" in done.output, "r3: it is calling" in done.output) == (
        1, True, True,
    )  # fmt: skip
    assert [(one["ask"], one["states"], one.get("after")) for one in front.asked] == [
        ("resend-matching", ["sent"], None), ("resend-matching", ["sent"], None),
        ("resend-matching", ["sent"], ""), ("resend-matching", ["sent"], "r2"),
    ]  # fmt: skip
    for wrong in (
        ("resend",),
        ("resend", "r1", "--all"),
        ("resend", "r1", "--yes"),
        ("resend", "--all", "--state", "x"),
    ):
        assert run(*wrong).exit_code == 2


def test_all_that_match_are_counted_first_and_decided_with_yes(daemon: Daemon) -> None:
    words = ("--all", "--operation", "work-order", "--older-than", "1h", "--note", "n")
    counted = run("resolve", "--not-applied", *words)
    assert (counted.exit_code, "3 commands match; nothing was done" in counted.output) == (0, True)
    [asked] = daemon.asked
    assert (asked["operations"], asked["choice"], asked["before"] > 1_700_000_000_000) == (
        ["work-order"], "not-applied", True,
    )  # fmt: skip
    done = run("cancel", *words, "--yes")
    assert done.exit_code == 1
    assert "2 of 3 commands decided, cancel" in done.output
    assert "r3: it is calling" in done.output
    assert [one.get("after") for one in daemon.asked[1:]] == [None, "", "r2"]
    shown = json.loads(run("cancel", *words, "--yes", "--json").output)
    assert (shown["matching"], shown["decided"], shown["failures"][0]["id"]) == (3, ["r1", "r2"], "r3")
    for wrong in (
        ("cancel", "--note", "n"), ("cancel", "r1", "--all", "--note", "n"), ("cancel", "r1", "--yes", "--note", "n"),
        ("resolve", "--applied", "--all", "--result", "{}", "--note", "n"),
        ("cancel", "--all", "--older-than", "soon", "--note", "n"),
    ):  # fmt: skip
        assert run(*wrong).exit_code == 2


def test_what_the_daemon_refuses_is_said(daemon: Daemon) -> None:
    result = run("resolve", "request-9", "--applied", "--note", "n")
    assert result.exit_code == 1
    assert "request-9: applied was refused, and nothing was changed" in result.output
    assert "no request of this id" in result.output


def test_a_daemon_that_does_not_run_has_no_socket_or_is_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(tmp_path / "bridgectl.toml"))
    nowhere = run("list")
    assert isinstance(nowhere.exception, ConfigurationError)
    assert "neither daemon is configured on this host" in str(nowhere.exception)
    (tmp_path / "intranet_bridge.toml").write_text("")
    assert "has no [control] socket" in str(run("list").exception)
    (tmp_path / "intranet_bridge.toml").write_text(f'[control]\nsocket = "{tmp_path / "control.sock"}"\n')
    down = run("list")
    assert isinstance(down.exception, NotRunning)
    assert "systemctl start intranet-bridge" in str(down.exception)
    assert "dmz-front is not configured on this host" in str(run("list", "--side", "front").exception)

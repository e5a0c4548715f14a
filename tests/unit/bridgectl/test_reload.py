"""`bridgectl reload`: every daemon of the host is asked, what came of it is told, and the exit code says the worst."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bridgectl.commands.reload import app
from protocol.administration import ReloadReport
from protocol.errors import ConfigurationError, NotAsked
from protocol.runtime.control import ControlSocket, Peer

TAKEN_UP = ReloadReport(side="front", name="front-1", changed=("limits.ip_rate",), same=("link",), notes=("a note",))


class Daemon:
    """Answers in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self.answer: ReloadReport | Exception = TAKEN_UP
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._socket = ControlSocket(path, {"reload": self._reload})
        asyncio.run_coroutine_threadsafe(self._socket.start(), self._loop).result(5)

    async def _reload(self, _request: Mapping[str, Any], _who: Peer) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer.model_dump(mode="json")

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._socket.close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


@pytest.fixture
def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    socket = tmp_path / "front.sock"
    (tmp_path / "dmz_front.toml").write_text(f'[control]\nsocket = "{socket}"\n')
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(tmp_path / "bridgectl.toml"))
    daemon = Daemon(socket)
    yield daemon
    daemon.close()


def test_what_was_taken_up_is_told(front: Daemon) -> None:
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "dmz-front (front-1): taken up", "  changed  limits.ip_rate", "  note     a note", "  same     link",
    ]  # fmt: skip


def test_what_waits_for_a_restart_is_exit_code_1(front: Daemon) -> None:
    front.answer = TAKEN_UP.model_copy(update={"changed": (), "restart": ("http.port",)})
    done = CliRunner().invoke(app, ["front"])
    assert done.exit_code == 1
    assert "restart  http.port" in done.stdout
    [told] = json.loads(CliRunner().invoke(app, ["front", "--json"]).stdout)
    assert (told["program"], told["code"], told["restart"]) == ("dmz-front", 1, ["http.port"])


def test_a_wrong_configuration_is_told_with_its_place_and_is_exit_code_2(front: Daemon) -> None:
    front.answer = ConfigurationError("limits.backlgo: Extra inputs are not permitted", file="x.toml", line=3)
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 2
    assert "nothing has changed: x.toml:3: limits.backlgo" in done.stderr


def test_a_daemon_that_does_not_run_is_exit_code_3(front: Daemon, tmp_path: Path) -> None:
    (tmp_path / "intranet_bridge.toml").write_text(f'[control]\nsocket = "{tmp_path}/none.sock"\n')
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 3
    assert "intranet-bridge: not asked: intranet-bridge does not run" in done.stderr
    assert "dmz-front (front-1): taken up" in done.stdout
    alone = CliRunner().invoke(app, ["front"])
    assert alone.exit_code == 0


def test_a_host_without_daemons_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGECTL_CONFIG", str(tmp_path / "bridgectl.toml"))
    assert isinstance(CliRunner().invoke(app, []).exception, NotAsked)

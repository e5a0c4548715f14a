"""A daemon: started in a written order, stopped in the reverse, and systemd is told."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from protocol.errors import ConfigurationError, LinkDown
from protocol.runtime import logs
from protocol.runtime.daemon import Daemon, notify, run

LOG: list[str] = []


@pytest.fixture(autouse=True)
def log() -> Iterator[list[str]]:
    LOG.clear()
    interval = sys.getswitchinterval()
    yield LOG
    sys.setswitchinterval(interval)
    gc.enable()
    gc.unfreeze()


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def heard(listener: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(listener.recv(100).decode())
        except BlockingIOError:
            return found


async def started(name: str) -> None:
    LOG.append(f"start {name}")


def stops(name: str) -> None:
    LOG.append(f"stop {name}")


async def stops_later(name: str) -> None:
    LOG.append(f"stop {name}")


@pytest.mark.anyio
async def test_the_order() -> None:
    daemon = Daemon()
    await daemon.start("a", started("a"), lambda: stops("a"))
    await daemon.start("b", started("b"), lambda: stops_later("b"))
    await daemon.start("c", None, lambda: stops("c"))
    await daemon.start("d", started("d"), None)
    await daemon.stop()
    assert LOG == ["start a", "start b", "start d", "stop c", "stop b", "stop a"]
    await daemon.stop()
    assert len(LOG) == 6


@pytest.mark.anyio
async def test_one_that_does_not_stop_keeps_no_other() -> None:
    def fails() -> None:
        LOG.append("fails")
        raise RuntimeError("stuck")

    daemon = Daemon()
    await daemon.start("a", None, lambda: stops("a"))
    await daemon.start("b", None, fails)
    await daemon.start("c", None, lambda: stops("c"))
    await daemon.stop()
    assert LOG == ["stop c", "fails", "stop a"]


@pytest.mark.anyio
async def test_what_did_not_start_is_not_stopped() -> None:
    async def fails() -> None:
        raise ConfigurationError("port taken")

    daemon = Daemon()
    await daemon.start("a", started("a"), lambda: stops("a"))
    with pytest.raises(ConfigurationError):
        await daemon.start("b", fails(), lambda: stops("b"))
    await daemon.stop()
    assert LOG == ["start a", "stop a"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_is_told_to_systemd_and_ends_on_a_signal(systemd: socket.socket, number: signal.Signals) -> None:
    states: list[list[str]] = []

    def last() -> None:
        states.append(heard(systemd))
        stops("a")

    async def compose(daemon: Daemon) -> None:
        await daemon.start("a", started("a"), last)
        assert heard(systemd) == []
        os.kill(os.getpid(), number)  # as early as can be: still ready first, then the drain

    run(compose)
    assert LOG == ["start a", "stop a"]
    assert states == [["READY=1", "STOPPING=1"]]


def test_a_start_that_fails_stops_what_was_started(systemd: socket.socket, capsys: pytest.CaptureFixture[str]) -> None:
    async def compose(daemon: Daemon) -> None:
        await daemon.start("a", started("a"), lambda: stops("a"))
        raise ConfigurationError("is not there", file="/etc/x.toml", line=3)

    with pytest.raises(SystemExit) as caught:
        run(compose)
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == "error: /etc/x.toml:3: is not there"  # after the logs
    assert LOG == ["start a", "stop a"]
    assert heard(systemd) == []


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("a bug\nin two lines"), "cannot start: a bug (RuntimeError;"),
        (OSError(13, "Permission denied", "/etc/x"), "cannot start: /etc/x: Permission denied (PermissionError;"),
        (
            DBAPIError("SELECT secret", {"key": "secret"}, Exception("the database said")),
            "cannot start: the database said",
        ),
        (LinkDown("no broker"), "cannot start: no broker"),
        (AssertionError(), "cannot start: AssertionError"),
    ],
)
def test_what_nobody_foresaw_at_start_is_one_line(
    error: Exception, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def compose(daemon: Daemon) -> None:
        logs.configure("info")
        await daemon.start("a", None, lambda: stops("a"))
        raise error

    with pytest.raises(SystemExit) as caught:
        run(compose)
    assert caught.value.code == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].startswith(f"error: {text}")
    assert "Traceback" not in said.err + said.out
    assert "secret" not in said.err + said.out
    assert LOG == ["stop a"]


def test_notify(systemd: socket.socket) -> None:
    notify("STATUS=fine")
    assert heard(systemd) == ["STATUS=fine"]


def test_notify_to_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"dmz-bridge-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify("READY=1")
        assert heard(listener) == ["READY=1"]


def test_a_listener_that_is_gone_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("STOPPING=1")


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def test_what_a_start_makes_is_not_searched_for_garbage_and_what_comes_after_is() -> None:
    async def compose(daemon: Daemon) -> None:
        LOG.append(f"composed with it {gc.isenabled()}")

        def ready() -> None:
            LOG.append(f"ready with it {gc.isenabled()}, {gc.get_freeze_count() > 1000}")
            os.kill(os.getpid(), signal.SIGTERM)

        asyncio.get_running_loop().call_soon(ready)

    gc.disable()
    run(compose)
    assert LOG == ["composed with it False", "ready with it True, True"]

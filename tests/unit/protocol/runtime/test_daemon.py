"""A daemon: started in a written order, stopped in the reverse, and systemd is told."""

import asyncio
import gc
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import DBAPIError

from protocol.errors import BridgeError, ConfigurationError, LinkDown
from protocol.runtime import logs
from protocol.runtime.daemon import Daemon, run
from tests.unit.protocol.runtime.notified import heard

LOG: list[str] = []


@pytest.fixture(autouse=True)
def log() -> Iterator[list[str]]:
    LOG.clear()
    interval = sys.getswitchinterval()
    yield LOG
    sys.setswitchinterval(interval)
    gc.enable()
    gc.unfreeze()


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


class Watched:
    def standing(self) -> str:
        return "it stands still"


@pytest.mark.anyio
async def test_what_must_go_on_is_watched_once_it_has_started() -> None:
    async def fails() -> None:
        raise ConfigurationError("port taken")

    daemon, part = Daemon(), Watched()
    await daemon.start("a", started("a"), None, part)
    with pytest.raises(ConfigurationError):
        await daemon.start("b", fails(), None, Watched())
    assert daemon.vitals == {"a": part}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_is_told_to_systemd_and_ends_on_a_signal(systemd: socket.socket, number: signal.Signals) -> None:
    states: list[list[str]] = []

    def last() -> None:
        states.append(heard(systemd))
        stops("a")

    async def compose(daemon: Daemon) -> None:
        await daemon.start("a", started("a"), last)
        assert not any("READY" in one for one in heard(systemd))
        os.kill(os.getpid(), number)  # as early as can be: still ready first, then the drain

    run(compose)
    assert LOG == ["start a", "stop a"]
    states[0] = [one for one in states[0] if not one.startswith("EXTEND_TIMEOUT_USEC=")]
    assert states == [["READY=1", "STATUS=ready", "STOPPING=1"]]


def test_sighup_reloads_and_systemd_is_told_of_it(systemd: socket.socket) -> None:
    LOG.append("begin")
    told: list[str] = []

    async def compose(daemon: Daemon) -> None:
        async def again() -> None:
            told.extend(heard(systemd))
            LOG.append("reload")

        daemon.on_reload, daemon.summary = again, lambda: "3 operations"
        os.kill(os.getpid(), signal.SIGHUP)  # as early as can be: it comes after the start
        ending.append(asyncio.create_task(end(daemon)))

    async def end(daemon: Daemon) -> None:
        while not any("UTC" in one for one in told):
            await asyncio.sleep(0)
            told.extend(heard(systemd))
        os.kill(os.getpid(), signal.SIGTERM)

    ending: list[asyncio.Task[None]] = []
    before_us = time.monotonic_ns() // 1000
    run(compose)
    assert LOG == ["begin", "reload"]
    ready, beat, reloading, done, *_ = [one for one in told if not one.startswith("EXTEND")]
    assert (ready, beat) == ("READY=1", "STATUS=3 operations")
    found = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=([0-9]+)\nSTATUS=reloading", reloading)
    assert found
    assert before_us < int(found[1]) < time.monotonic_ns() // 1000
    assert re.fullmatch(r"READY=1\nSTATUS=3 operations; reloaded 20[0-9: -]+ UTC", done)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "word"),
    [(ConfigurationError("is not there", file="/etc/x"), "/etc/x: is not there"), (KeyError("secret"), "KeyError")],
)
async def test_a_reload_that_is_refused_is_over_too(systemd: socket.socket, error: Exception, word: str) -> None:
    async def fails() -> None:
        raise error

    daemon = Daemon()
    daemon.on_reload = fails
    with pytest.raises(type(error)):
        await daemon.reload()
    first, second = heard(systemd)
    assert first.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert second.startswith("READY=1\nSTATUS=ready; reload refused 20")
    assert second.endswith(f"UTC: {word}")


@pytest.mark.anyio
async def test_reloads_wait_for_each_other(systemd: socket.socket) -> None:
    async def slow() -> None:
        LOG.append("begin")
        await asyncio.sleep(0)
        LOG.append("end")

    daemon = Daemon()
    daemon.on_reload = slow
    await asyncio.gather(daemon.reload(), daemon.reload())
    assert LOG == ["begin", "end"] * 2
    assert [one.split("=")[0] for one in heard(systemd)] == ["RELOADING", "READY"] * 2


@pytest.mark.anyio
async def test_a_daemon_that_cannot_reload_says_so() -> None:
    with pytest.raises(BridgeError, match="restart it"):
        await Daemon().reload()


@pytest.mark.anyio
async def test_what_takes_long_asks_systemd_for_time(systemd: socket.socket) -> None:
    async def slow() -> None:
        await asyncio.sleep(0)

    daemon = Daemon()
    daemon.patience_s = 50
    await daemon.start("store", slow(), slow)
    await daemon.stop()
    extension = "EXTEND_TIMEOUT_USEC=30000000"
    assert heard(systemd) == [f"{extension}\nSTATUS=starting: store", f"{extension}\nSTATUS=stopping: store"]


def test_a_start_that_fails_stops_what_was_started(systemd: socket.socket, capsys: pytest.CaptureFixture[str]) -> None:
    async def compose(daemon: Daemon) -> None:
        await daemon.start("a", started("a"), lambda: stops("a"))
        raise ConfigurationError("is not there", file="/etc/x.toml", line=3)

    with pytest.raises(SystemExit) as caught:
        run(compose)
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == "error: /etc/x.toml:3: is not there"  # after the logs
    assert LOG == ["start a", "stop a"]
    assert not any("READY" in one or "STOPPING=1" in one for one in heard(systemd))


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

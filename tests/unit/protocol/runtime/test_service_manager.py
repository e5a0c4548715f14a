"""The notify protocol, over real datagram sockets."""

import asyncio
import os
import re
import socket
from pathlib import Path

import pytest

from protocol.runtime.service_manager import extended, notify, reloading, status, watchdog_s
from tests.unit.protocol.runtime.notified import heard


def test_assignments_are_one_datagram(systemd: socket.socket) -> None:
    notify("READY=1", status("fine"))
    assert heard(systemd) == ["READY=1\nSTATUS=fine"]


def test_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.timeout(60)
def test_a_listener_that_does_not_read_holds_up_nothing(systemd: socket.socket) -> None:
    for _ in range(10_000):
        notify("WATCHDOG=1")
    assert 0 < len(heard(systemd)) < 10_000


def test_without_a_service_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def test_a_status_is_one_line() -> None:
    assert status("a\nREADY=1\r b") == "STATUS=a READY=1 b"
    assert len(status("x" * 1000)) < 250


def test_each_reload_is_told_from_the_one_before() -> None:
    first, second = reloading(), reloading()
    assert first[0] == second[0] == "RELOADING=1"
    assert re.fullmatch("MONOTONIC_USEC=[0-9]+", first[1])
    assert int(first[1].partition("=")[2]) <= int(second[1].partition("=")[2])


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),  # meant for who started us
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "x"}, None),
    ],
)
def test_how_often_a_beat_is_wanted(environment: dict[str, str], seconds: float | None) -> None:
    assert watchdog_s(environment) == seconds


@pytest.mark.anyio
async def test_time_is_asked_for_as_long_as_it_goes_on_and_no_longer(systemd: socket.socket) -> None:
    asked: list[str] = []
    async with extended("migrating", step_s=0.003):
        while len(asked) < 3:
            await asyncio.sleep(0.001)
            asked += heard(systemd)
    assert set(asked) == {"EXTEND_TIMEOUT_USEC=3000\nSTATUS=migrating"}
    heard(systemd)
    await asyncio.sleep(0.01)
    assert heard(systemd) == []


@pytest.mark.anyio
async def test_there_is_a_most_that_is_asked_for(systemd: socket.socket) -> None:
    async with extended("draining", most_s=0.002, step_s=0.003):
        async with asyncio.timeout(60):
            while any(task.get_name() == "extension" for task in asyncio.all_tasks()):  # noqa: ASYNC110 - the task that asks ends by itself
                await asyncio.sleep(0.001)
    assert len(heard(systemd)) == 2

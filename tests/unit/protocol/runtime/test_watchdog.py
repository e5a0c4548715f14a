"""The beat that feeds the watchdog: while all goes on that must, and from the loop alone."""

import asyncio
import socket
import threading
import time
from pathlib import Path
from unittest import mock

import pytest

from protocol.link.connection import Connection
from protocol.link.session import StompLink
from protocol.link.settings import LinkSettings
from protocol.runtime.jobs import Jobs
from protocol.runtime.store import Store
from protocol.runtime.watchdog import Watchdog, ended
from tests.unit.protocol.runtime.notified import heard


class Part:
    def __init__(self) -> None:
        self.wrong = ""

    def standing(self) -> str:
        return self.wrong


def test_it_is_fed_while_nothing_stands_still(systemd: socket.socket) -> None:
    store, link = Part(), Part()
    said = ["connected"]
    watchdog = Watchdog(30.0, {"store": store, "link": link}, lambda: said[0])
    watchdog.beat()
    watchdog.beat()
    assert heard(systemd) == ["WATCHDOG=1\nSTATUS=connected", "WATCHDOG=1"]
    said[0] = "not connected"  # no reason to be killed
    watchdog.beat()
    assert heard(systemd) == ["WATCHDOG=1\nSTATUS=not connected"]
    store.wrong = "its thread has ended"
    watchdog.beat()
    assert heard(systemd) == ["WATCHDOG=1"]  # it may pass: a clock that jumped
    watchdog.beat()
    watchdog.beat()
    assert heard(systemd) == ["STATUS=standing still: store: its thread has ended"]
    link.wrong = "nobody connects any more"
    watchdog.beat()
    assert "WATCHDOG" not in heard(systemd)[0]
    store.wrong = link.wrong = ""
    watchdog.beat()
    assert heard(systemd) == ["WATCHDOG=1\nSTATUS=not connected"]


def test_the_drain_ends_its_parts_and_is_not_killed_for_it(systemd: socket.socket) -> None:
    part = Part()
    watchdog = Watchdog(30.0, {"link": part}, lambda: "fine")
    watchdog.beat()
    watchdog.watching, part.wrong = False, "ended"
    heard(systemd)
    watchdog.beat()
    assert heard(systemd) == ["WATCHDOG=1"]


def test_without_a_watchdog_there_is_the_line_for_people(systemd: socket.socket) -> None:
    watchdog = Watchdog(None, {}, lambda: "fine")
    watchdog.beat()
    watchdog.beat()
    assert heard(systemd) == ["STATUS=fine"]


def test_a_summary_that_fails_does_not_keep_the_food_away(systemd: socket.socket) -> None:
    watchdog = Watchdog(30.0, {}, lambda: str(1 // 0))
    watchdog.beat()
    assert heard(systemd) == ["WATCHDOG=1"]


@pytest.mark.parametrize(("period", "pause"), [(None, 5.0), (3.0, 1.0), (60.0, 5.0)])
def test_how_often_it_beats(period: float | None, pause: float) -> None:
    assert Watchdog(period, {}, str).pause_s == pause


@pytest.mark.anyio
async def test_a_loop_that_is_stuck_does_not_beat(systemd: socket.socket) -> None:
    watchdog = Watchdog(0.03, {}, lambda: "")
    beating = asyncio.get_running_loop().create_task(watchdog.run())
    async with asyncio.timeout(60):
        beats = 0
        while beats < 3:
            await asyncio.sleep(0.001)
            beats += len(heard(systemd))
    threading.Event().wait(0.2)
    assert heard(systemd) == []
    beating.cancel()


@pytest.mark.anyio
async def test_a_task_that_has_ended_stands_still() -> None:
    task = asyncio.get_running_loop().create_task(asyncio.sleep(0))
    assert ended(None, "x") == ended(task, "x") == ""
    await task
    assert ended(task, "the renewal") == "the renewal has ended"


@pytest.mark.anyio
async def test_a_store_whose_writer_died_stands_still(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/x.sqlite3", lambda _: None)
    await store.start()
    assert store.standing() == ""
    await store.close()  # as good as its death: the thread is gone
    assert store.standing() == "the thread that writes has ended"


@pytest.mark.anyio
async def test_a_scheduler_that_begins_nothing_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, began = Jobs(), asyncio.Event()

    async def job() -> None:
        began.set()

    jobs.every(0.01, "sweep", job)
    assert jobs.standing() == ""  # not started yet
    jobs.start()
    await began.wait()
    assert jobs.standing() == ""
    now = time.time()
    monkeypatch.setattr("protocol.runtime.jobs.time.time", lambda: now + 120)
    assert jobs.standing() == "the scheduler begins nothing: sweep"
    await jobs.close()
    await asyncio.sleep(0)
    assert jobs.standing().startswith("the watch over the clock has ended")


@pytest.mark.anyio
async def test_a_link_that_nobody_keeps_up_stands_still() -> None:
    link = StompLink(LinkSettings((("localhost", 1),), None, insecure=True))
    assert link.standing() == ""
    with mock.patch.object(Connection, "open", side_effect=asyncio.CancelledError):  # ends the task, as a defect would
        await link.start()
        while not link.standing():  # noqa: ASYNC110 - a turn or two of the loop
            await asyncio.sleep(0)
    assert link.standing() == "nobody connects any more"
    await link.close()
    assert link.standing() == ""

"""Housekeeping by the clock: each job alone, never twice at once, and a failure is not its end."""

import ast
import asyncio
import re
import time
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from protocol.runtime import jobs as jobs_module
from protocol.runtime.jobs import Jobs
from scripts.tools.testbed.layout import ROOT

pytestmark = pytest.mark.anyio

SOON = 0.001


class Ticks:
    """Counts its runs; `at(n)` is reached at the n-th."""

    def __init__(self) -> None:
        self.count = 0
        self._more = asyncio.Event()

    async def __call__(self) -> None:
        self.count += 1
        self._more.set()

    async def at(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.count < count:
                self._more.clear()
                await self._more.wait()


async def test_a_job_that_fails_is_run_again() -> None:
    ticks, jobs = Ticks(), Jobs()

    async def fails() -> None:
        await ticks()
        raise RuntimeError("this time")

    jobs.every(SOON, "fails", fails)
    jobs.start()
    await ticks.at(3)
    jobs.stop()


async def test_a_job_that_hangs_is_not_started_twice_and_holds_up_no_other() -> None:
    ticks, jobs, runs, never = Ticks(), Jobs(), [], asyncio.Event()

    async def hangs() -> None:
        runs.append(1)
        await never.wait()

    jobs.every(SOON, "hangs", hangs)
    jobs.every(SOON, "other", ticks)
    jobs.start()
    await ticks.at(10)
    assert runs == [1]
    jobs.stop()
    never.set()


async def test_nothing_runs_before_start_or_after_stop() -> None:
    ticks, jobs = Ticks(), Jobs()
    jobs.every(SOON, "ticks", ticks)
    jobs.stop()  # not started: nothing to stop
    assert ticks.count == 0
    jobs.start()
    await ticks.at(1)
    jobs.stop()
    count, other, others = ticks.count, Ticks(), Jobs()
    others.every(SOON, "other", other)
    others.start()
    await other.at(5)
    others.stop()
    assert ticks.count <= count + 1  # one may have begun already


async def test_two_jobs_of_one_name_are_a_mistake() -> None:
    jobs = Jobs()
    jobs.start()
    jobs.every(3600, "x", Ticks())
    with pytest.raises(ValueError, match="already"):
        jobs.every(3600, "x", Ticks())
    jobs.stop()


async def test_the_end_is_quiet_while_a_job_runs(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    ticks, jobs, ended = Ticks(), Jobs(), []

    async def slow() -> None:
        await ticks()
        await asyncio.sleep(SOON * 5)
        ended.append(1)

    jobs.every(SOON, "slow", slow)
    jobs.start()
    await ticks.at(1)
    await jobs.close()
    await asyncio.sleep(SOON)
    assert ended == [1]
    assert not [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"]
    assert "Traceback" not in "".join(capsys.readouterr())


async def test_a_job_that_does_not_end_is_cancelled_quietly(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protocol.runtime.jobs._END_S", SOON)
    ticks, jobs = Ticks(), Jobs()

    async def hangs() -> None:
        await ticks()
        await asyncio.Event().wait()

    jobs.every(SOON, "hangs", hangs)
    jobs.start()
    await ticks.at(1)
    await jobs.close()
    await asyncio.sleep(SOON)
    assert not [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"]


async def test_what_becomes_due_by_a_jump_of_the_clock_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be run with that clock: what deletes the old would take all for old. Nor is each turn that was missed by
    it gone through: of this job there are 2,680,200,000.
    """
    monkeypatch.setattr(jobs_module, "_LOOK_S", 0.05)
    ahead = timedelta()

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + ahead

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Wrong)
    monkeypatch.setattr(jobs_module, "time", SimpleNamespace(time=lambda: time.time() + ahead.total_seconds()))
    often, rarely, jobs = Ticks(), Ticks(), Jobs()
    jobs.every(SOON, "often", often)
    jobs.every(3600, "rarely", rarely)
    jobs.start()
    await often.at(3)
    ahead = timedelta(days=31, minutes=30)
    await often.at(often.count + 3)
    assert rarely.count == 0
    await jobs.close()


async def test_a_clock_put_forward_and_back_between_two_looks_keeps_no_job_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it leaves behind: a next run that was reckoned while the clock was ahead."""
    monkeypatch.setattr(jobs_module, "_LOOK_S", 0.01)
    ticks, jobs = Ticks(), Jobs()
    jobs.every(0.05, "job", ticks)
    jobs.start()
    ahead = datetime.now(UTC) + timedelta(minutes=10)
    with capture_logs() as logs:
        jobs._scheduler.modify_job("job", next_run_time=ahead)
        before = ticks.count
        await ticks.at(before + 2)
    assert [entry["event"] for entry in logs] == ["clock-jumped"]
    jobs.stop()


def test_the_watchdog_sees_the_clock_of_every_part() -> None:
    """Each that has jobs says what stands still of them; that it is asked is written where the daemon starts it."""
    making = {
        f"{path.relative_to(ROOT)}:{part.name}": {one.name for one in part.body if isinstance(one, ast.FunctionDef)}
        for package in ("dmz_front", "intranet_bridge")
        for path in (ROOT / package).rglob("*.py")
        for part in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(part, ast.ClassDef) and re.search(r"_jobs\b.* = .*\bJobs\(\)", ast.unparse(part))
    }
    assert len(making) > 10
    assert {name for name, methods in making.items() if "standing" not in methods} == set()

"""Backups by the clock: one when it is due, so many kept, a failure told once and in the report."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dmz_front.store import MIGRATIONS
from protocol.runtime.backup import BackupSection, Owner, kept, verified
from protocol.runtime.backups import Backups
from protocol.runtime.settings import StoreSection
from protocol.runtime.store_engine import engine

pytestmark = pytest.mark.anyio
OWNER = Owner(program="dmz-front", instance="front-1", region="main", software="1")
HOUR_MS = 3_600_000


class Clock:
    now = 1_795_950_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> StoreSection:
    section = StoreSection(file=tmp_path / "front.sqlite3")
    database = engine(section.address())
    MIGRATIONS.prepare(database)
    database.dispose()
    return section


async def test_one_is_made_when_it_is_due_and_the_oldest_go(store: StoreSection, tmp_path: Path) -> None:
    clock, folder = Clock(), tmp_path / "deep" / "backup"
    backups = Backups(BackupSection(folder=folder, every_hours=1, keep=2), store, OWNER, clock)
    assert (backups.report().last, backups.report().every_hours) == (0, 1)
    made = []
    for minutes in (0, 59, 1, 60, 60):
        clock.now += minutes * 60_000
        await backups.look()
        made.append(len(kept(folder, OWNER)))
    assert made == [1, 1, 2, 2, 2]
    assert backups.report().last == clock.now
    for file, manifest in kept(folder, OWNER):
        assert verified(file) == manifest
        assert file.stat().st_mode & 0o777 == 0o600
    assert len(list(folder.iterdir())) == 4
    again = Backups(BackupSection(folder=folder, every_hours=1), store, OWNER, clock)  # a restart makes none
    await again.look()
    assert len(kept(folder, OWNER)) == 2


async def test_none_is_made_without_a_folder(store: StoreSection) -> None:
    backups = Backups(BackupSection(), store, OWNER, Clock())
    await backups.look()
    assert backups.report().folder == ""


async def test_a_failure_is_told_once_and_is_over_when_one_is_made(store: StoreSection, tmp_path: Path) -> None:
    clock, folder = Clock(), tmp_path / "backup"
    folder.write_text("a file is in its place")
    backups = Backups(BackupSection(folder=folder), store, OWNER, clock)
    with capture_logs() as logs:
        for _ in range(3):
            await backups.look()
    assert [log["event"] for log in logs] == ["backup-failed"]
    assert backups.report().trouble
    folder.unlink()
    await backups.look()
    assert (backups.report().trouble, backups.report().last) == ("", clock.now)


async def test_a_damaged_database_is_not_taken_for_a_backup(store: StoreSection, tmp_path: Path) -> None:
    assert store.file is not None
    with closing(sqlite3.connect(store.file)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with store.file.open("r+b") as content:
        content.seek(4096 * 3)
        content.write(b"\xa5" * 4096 * 8)
    backups = Backups(BackupSection(folder=tmp_path / "backup"), store, OWNER, Clock())
    await backups.look()
    assert "damaged" in backups.report().trouble or "malformed" in backups.report().trouble
    assert list((tmp_path / "backup").iterdir()) == []

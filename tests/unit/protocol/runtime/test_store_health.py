"""Databases in trouble, each really made: a full disk, a lock that lasts, overwritten pages, a server that is gone."""

import asyncio
import contextlib
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, LargeBinary, MetaData, String, Table, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from structlog.testing import capture_logs

from protocol.errors import ConfigurationError
from protocol.runtime.daemon import start_failure
from protocol.runtime.jobs import Jobs
from protocol.runtime.store import Store
from protocol.runtime.store_health import Damaged, Ill, Unwritten
from tests.support.postgres import server_or_skip

pytestmark = pytest.mark.anyio

METADATA = MetaData()
ORDERS = Table("orders", METADATA, Column("id", String(36), primary_key=True), Column("envelope", LargeBinary))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB; skips for who may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a disk of its own needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


async def opened(file: Path) -> Store:
    store = Store(f"sqlite:///{file}", METADATA.create_all)
    await store.start()
    return store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await opened(tmp_path / "front.sqlite3")
    yield store
    await store.close()


def order(id: str, size: int = 2000) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        connection.execute(ORDERS.insert(), {"id": id, "envelope": bytes(size)})

    return work


async def count(store: Store) -> int:
    return int(await store.read(lambda connection: connection.execute(select(func.count(ORDERS.c.id))).scalar_one()))


def ill(store: Store) -> Ill | None:
    return store.trouble.ill if store.trouble else None


async def test_a_full_disk_is_trouble_until_there_is_room_again(small_disk: Path) -> None:
    store = await opened(small_disk / "front.sqlite3")
    await store.write(order("first"))
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_200_000))
    kept = 1
    with capture_logs() as logs:
        while ill(store) is None:
            with contextlib.suppress(SQLAlchemyError):
                await store.write(order(str(kept)))
                kept += 1
    assert ill(store) is Ill.FULL
    report = await store.report(1)
    assert (report.ill, report.free_bytes is not None and report.free_bytes < 1 << 20) == ("full", True)
    await store.write(lambda connection: connection.execute(text("PRAGMA user_version = 0")))
    assert ill(store) is Ill.FULL  # what is small may fit where an order does not
    await store.prove()
    assert ill(store) is Ill.FULL
    ballast.unlink()
    await store.prove()
    assert ill(store) is None
    assert [log["event"] for log in logs] == ["store-failing"]
    await store.write(order("after"))
    assert await count(store) == kept + 1
    tables = await store.read(lambda connection: connection.exec_driver_sql("SELECT name FROM sqlite_master").all())
    assert "store_proof" not in {row[0] for row in tables}
    await store.close()


async def test_a_database_that_may_not_grow_is_full(store: Store) -> None:
    await store.write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 10").scalar())
    with pytest.raises(SQLAlchemyError):
        await store.write(order("big", 100_000))
    await store.prove()
    assert ill(store) is Ill.FULL
    await store.write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 100000").scalar())
    await store.prove()
    assert ill(store) is None


async def test_who_waits_no_longer_for_a_lock_is_left_out_and_the_others_are_done(store: Store, tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "front.sqlite3", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    asked = time.monotonic()
    stays = asyncio.ensure_future(store.write(order("stays")))
    with pytest.raises(Unwritten):
        await store.gather(lambda connection, _: [order("gives up")(connection)], (None,), patience_s=2.3)
    assert time.monotonic() - asked < 9  # and not the 10 s that the database waits
    assert ill(store) is Ill.LOCKED
    assert (await store.report(0.2)).ill == "locked"
    holder.execute("ROLLBACK")
    holder.close()
    await stays
    assert ill(store) is None
    found = await store.read(lambda connection: list(connection.execute(select(ORDERS.c.id)).scalars()))
    assert found == ["stays"]


async def test_what_waited_for_the_lock_and_was_given_up_meanwhile_is_not_done(store: Store, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "front.sqlite3", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unwritten):
            await store.gather(lambda connection, _: [order("given up")(connection)], (None,), patience_s=0.05)
        holder.execute("ROLLBACK")  # while the same attempt still waits
    await store.write(order("after"))
    assert await count(store) == 1


async def test_a_lock_that_lasts_fails_all_who_wait_at_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protocol.runtime.store.LOCK_PATIENCE_S", 0.3)
    with closing(sqlite3.connect(tmp_path / "front.sqlite3", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        results = await asyncio.gather(*(store.write(order(str(id))) for id in range(30)), return_exceptions=True)
        assert time.monotonic() - began < 0.3 * 30  # not each by itself
        assert all(isinstance(result, SQLAlchemyError) for result in results)
        assert ill(store) is Ill.LOCKED
        holder.execute("ROLLBACK")
    await store.prove()
    assert ill(store) is None


def overwrite(file: Path, first_page: int = 2) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = database.execute("PRAGMA page_count").fetchone()[0]
    with file.open("r+b") as content:
        content.seek(4096 * (first_page - 1))
        content.write(b"\xa5" * 4096 * (pages - first_page + 1))


async def test_overwritten_pages_are_damage_and_stay_it(store: Store, tmp_path: Path) -> None:
    for id in range(300):
        await store.write(order(str(id)))
    await store.close()
    file = tmp_path / "front.sqlite3"
    again = await opened(file)
    overwrite(file)

    async def reads() -> None:
        await count(again)

    with capture_logs() as logs:
        with pytest.raises(Damaged, match=r"front.sqlite3 is damaged \(database disk image is malformed\): restore"):
            await count(again)
        jobs = Jobs()
        await jobs.now_and_every(1, "applications", reads)
        for _ in range(5):
            await jobs._guarded("applications", reads)
    assert again.damaged
    assert [log["event"] for log in logs] == ["store-failing", "housekeeping-failed"]
    assert not any(log.get("exc_info") for log in logs)
    await again.prove()
    assert again.damaged
    assert (await again.report(30)).ill == "damaged"
    await again.close()


async def test_what_a_start_says_of_a_damaged_database_names_file_and_page(tmp_path: Path) -> None:
    file = tmp_path / "front.sqlite3"
    store = await opened(file)
    for id in range(300):
        await store.write(order(str(id)))
    await store.close()
    overwrite(file)
    again = await opened(file)
    with pytest.raises(Damaged) as caught:  # of a later step: the schema itself can be read
        await count(again)
    assert str(file) in start_failure(caught.value)
    assert "docs/runbooks/database-damaged.md" in start_failure(caught.value)
    await again.close()
    overwrite(file, 1)
    with pytest.raises(ConfigurationError, match=r"front.sqlite3 is damaged .*database-damaged.md"):
        await Store(f"sqlite:///{file}", METADATA.create_all).start()


async def test_a_server_that_is_gone_is_trouble_until_it_is_back() -> None:
    with server_or_skip() as server:
        store = Store(server.database(), METADATA.create_all)
        await store.start()
        await store.write(order("first"))
        await asyncio.to_thread(server.stop)
        with pytest.raises(SQLAlchemyError):
            await count(store)
        assert ill(store) is Ill.UNREACHABLE
        assert (await store.report(30)).ill == "unreachable"
        await store.prove()
        assert ill(store) is Ill.UNREACHABLE
        await asyncio.to_thread(server.start)
        await store.prove()
        assert ill(store) is None
        await store.close()

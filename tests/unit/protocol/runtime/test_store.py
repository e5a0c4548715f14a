"""Group commit: many callers, few commits; each failure its own caller's; and a commit is on the disk."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, bindparam, func, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from protocol.errors import ConfigurationError
from protocol.runtime.store import GROUP_LIMIT, Store, engine, insert_new

pytestmark = pytest.mark.anyio

METADATA = MetaData()
THINGS = Table("things", METADATA, Column("id", Integer, primary_key=True), Column("name", String(10), nullable=False))
INSERT = THINGS.insert()
RENAME = THINGS.update().where(THINGS.c.id == bindparam("of")).values(name=bindparam("to"))


class Gate:
    """Holds the writer inside a transaction, so that what is asked meanwhile forms the next group."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, _connection: Connection) -> None:
        self.entered.set()
        assert self.open.wait(10)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'things.sqlite3'}", METADATA)
    await store.start()
    yield store
    await store.close()


async def held(store: Store) -> tuple[Gate, "asyncio.Task[None]"]:
    gate = Gate()
    task = asyncio.ensure_future(store.write(gate))
    await asyncio.to_thread(gate.entered.wait)
    return gate, task


def insert(id: int, name: str = "x") -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(INSERT, {"id": id, "name": name})
        return id

    return work


async def names(store: Store) -> dict[int, str]:
    rows = await store.read(lambda connection: connection.execute(select(THINGS)).all())
    return {row.id: row.name for row in rows}


async def test_work_returns_its_result_when_it_is_on_disk(store: Store, tmp_path: Path) -> None:
    assert await store.write(insert(7)) == 7
    other = sqlite3.connect(tmp_path / "things.sqlite3")  # as another process would see it
    assert other.execute("SELECT id FROM things").fetchall() == [(7,)]
    other.close()


async def test_many_callers_share_a_commit(store: Store) -> None:
    gate, first = await held(store)
    callers = [asyncio.ensure_future(store.write(insert(number))) for number in range(200)]
    await asyncio.sleep(0)
    assert store.commits == 0
    gate.open.set()
    assert await asyncio.gather(*callers) == list(range(200))
    await first
    assert store.commits == 2


async def test_a_group_has_a_limit(store: Store) -> None:
    gate, first = await held(store)
    callers = [asyncio.ensure_future(store.write(insert(number))) for number in range(GROUP_LIMIT + 1)]
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(first, *callers)
    assert store.commits == 3
    assert len(await names(store)) == GROUP_LIMIT + 1


async def test_one_that_fails_fails_alone_and_the_others_are_done_again(store: Store) -> None:
    await store.write(insert(3))
    runs: list[int] = []

    def counted(number: int) -> Callable[[Connection], int]:
        def work(connection: Connection) -> int:
            runs.append(number)
            return insert(number)(connection)

        return work

    gate, first = await held(store)
    callers = [asyncio.ensure_future(store.write(counted(number))) for number in range(6)]
    await asyncio.sleep(0)
    gate.open.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    await first
    assert isinstance(results[3], IntegrityError)
    assert [result for result in results if not isinstance(result, Exception)] == [0, 1, 2, 4, 5]
    assert set(await names(store)) == set(range(6))
    assert runs == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5]  # the group up to the failure, then each by itself
    assert runs.count(0) == 2


async def test_half_done_work_leaves_nothing(store: Store) -> None:
    def half(connection: Connection) -> None:
        insert(1)(connection)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        await store.write(half)
    assert await names(store) == {}
    assert await store.write(insert(1)) == 1


async def test_a_commit_that_fails_is_the_callers_failure(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_connection: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(store._engine.dialect, "do_commit", fail)
        with pytest.raises((SQLAlchemyError, sqlite3.Error), match="disk I/O error"):
            await store.write(insert(1))
    assert await names(store) == {}
    assert await store.write(insert(2)) == 2  # the writer lives on
    assert set(await names(store)) == {2}


async def test_equal_statements_are_joined_and_order_is_kept(store: Store) -> None:
    gate, first = await held(store)
    waits = [
        asyncio.ensure_future(wait)
        for wait in (
            store.execute(INSERT, {"id": 1, "name": "a"}, {"id": 2, "name": "a"}),
            store.execute(INSERT, {"id": 3, "name": "a"}),
            store.execute(RENAME, {"of": 1, "to": "b"}),
            store.write(insert(4)),
        )
    ]
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(first, *waits)
    assert await names(store) == {1: "b", 2: "a", 3: "a", 4: "x"}
    assert store.commits == 2
    assert store.rows_written == 6  # the items of the group that held them up are counted too


async def test_a_batch_is_done_once_for_all_who_bring_items_and_answers_each_its_own(store: Store) -> None:
    calls: list[list[int]] = []

    def double(_connection: Connection, items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        return [item * 2 for item in items]

    gate, first = await held(store)
    callers = [asyncio.ensure_future(store.gather(double, items)) for items in ([1, 2], [3], [4, 5, 6])]
    await asyncio.sleep(0)
    gate.open.set()
    await first
    assert await asyncio.gather(*callers) == [[2, 4], [6], [8, 10, 12]]
    assert calls == [[1, 2, 3, 4, 5, 6]]
    assert list(await store.gather(double, [])) == []
    assert len(calls) == 1


async def test_insert_new_skips_what_conflicts_even_within_one_call(store: Store) -> None:
    rows = [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}, {"id": 2, "name": "c"}]
    assert await store.write(lambda connection: insert_new(connection, THINGS, rows)) == {1, 2}
    assert await store.write(lambda connection: insert_new(connection, THINGS, rows)) == set()
    assert await names(store) == {1: "a", 2: "c"}


async def test_a_joined_statement_that_fails_fails_only_its_own(store: Store) -> None:
    gate, first = await held(store)
    waits = [asyncio.ensure_future(store.execute(INSERT, {"id": id, "name": "a"})) for id in (1, 2, 2, 3)]
    await asyncio.sleep(0)
    gate.open.set()
    results = await asyncio.gather(*waits, return_exceptions=True)
    await first
    assert [type(result) for result in results] == [type(None), type(None), IntegrityError, type(None)]
    assert set(await names(store)) == {1, 2, 3}


async def test_a_caller_that_is_gone_harms_nobody(store: Store) -> None:
    gate, first = await held(store)
    gone = asyncio.ensure_future(store.write(insert(1)))
    stays = asyncio.ensure_future(store.write(insert(2)))
    await asyncio.sleep(0)
    gone.cancel()
    gate.open.set()
    assert await stays == 2
    await first
    assert set(await names(store)) == {1, 2}  # written all the same


async def test_reads_go_on_while_a_write_is_open(store: Store) -> None:
    await store.write(insert(1))
    gate, first = await held(store)
    assert set(await names(store)) == {1}
    gate.open.set()
    await first


async def test_close_finishes_what_waits(store: Store, tmp_path: Path) -> None:
    gate, first = await held(store)
    waiting = [asyncio.ensure_future(store.write(insert(number))) for number in range(20)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    gate.open.set()
    await closing
    assert await asyncio.gather(*waiting) == list(range(20))
    await first
    again = Store(f"sqlite:///{tmp_path / 'things.sqlite3'}", METADATA)
    await again.start()
    assert len(await names(again)) == 20
    await again.close()


async def test_a_commit_survives_a_power_cut(store: Store) -> None:
    """WAL alone is not enough: with synchronous=NORMAL the last commits may be lost. Both threads' connections."""

    def pragmas(connection: Connection) -> dict[str, object]:
        wanted = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted}

    expected = {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 10_000, "foreign_keys": 1}
    for _ in range(2):
        assert await store.write(pragmas) == expected
        assert await store.read(pragmas) == expected


async def test_two_stores_on_one_file_wait_for_each_other(store: Store, tmp_path: Path) -> None:
    other = Store(f"sqlite:///{tmp_path / 'things.sqlite3'}", METADATA)
    await other.start()

    def count_then_insert(connection: Connection) -> int:
        count = connection.execute(select(func.count()).select_from(THINGS)).scalar_one()
        connection.execute(INSERT, {"id": count, "name": "x"})
        return int(count)

    # read-then-write in one transaction: a deferred BEGIN would fail or lose an update here
    found = await asyncio.gather(*(one.write(count_then_insert) for _ in range(20) for one in (store, other)))
    assert sorted(found) == list(range(40))
    await other.close()


async def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    bad = Store(f"sqlite:///{tmp_path / 'no-folder' / 'x.sqlite3'}", METADATA)
    with pytest.raises(ConfigurationError, match="the database cannot be opened: unable to open"):
        await bad.start()
    await bad.close()
    (tmp_path / "text.sqlite3").write_text("this is not a database, whatever its name says" * 50)
    with pytest.raises(ConfigurationError, match="not a database"):
        await Store(f"sqlite:///{tmp_path / 'text.sqlite3'}", METADATA).start()


@pytest.mark.parametrize("url", ["nothing", "oracle9i://x", "sqlite+nothing:///x"])
def test_a_url_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigurationError, match="the database URL cannot be used"):
        engine(url)


async def test_parameters_never_show_in_errors(store: Store) -> None:
    await store.write(insert(1, "secret"))
    with pytest.raises(IntegrityError) as caught:
        await store.write(insert(1, "secret"))
    assert "secret" not in str(caught.value)


async def test_others_cannot_read_the_database_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        store = Store(f"sqlite:///{tmp_path / 'private.sqlite3'}", METADATA)
        await store.start()
        await store.write(insert(1))
        for ending in ("", "-wal", "-shm"):
            assert os.stat(f"{tmp_path}/private.sqlite3{ending}").st_mode & 0o777 == 0o600  # noqa: PTH116
        await store.close()
    finally:
        os.umask(before)

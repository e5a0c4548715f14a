"""Group commit: many callers, few commits; each failure its own caller's; and a commit is on the disk."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, bindparam, func, select
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from protocol.errors import ConfigurationError, Fenced
from protocol.runtime.store import GROUP_LIMIT, Store
from protocol.runtime.store_engine import engine
from protocol.runtime.store_health import Ill, said
from protocol.runtime.store_statements import insert_new
from protocol.runtime.timeouts import Timeouts
from tests.support.postgres import Postgres, server_or_skip

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
        assert self.open.wait(60)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """On SQLite, and on PostgreSQL where there is one."""
    store = Store(database_url, METADATA.create_all)
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


async def test_work_returns_its_result_when_it_is_on_disk(store: Store, database_url: str) -> None:
    assert await store.write(insert(7)) == 7
    other = engine(database_url)  # as another process would see it
    with other.connect() as connection:
        assert connection.execute(select(THINGS.c.id)).all() == [(7,)]
    other.dispose()


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


@pytest.mark.parametrize(("way", "second"), [("read", "new"), ("snapshot", "old")])
async def test_what_several_statements_read_fits_together_on_a_snapshot(store: Store, way: str, second: str) -> None:
    await store.write(insert(1, "old"))
    loop, name = asyncio.get_running_loop(), select(THINGS.c.name)

    def twice(connection: Connection) -> list[str]:
        found = [connection.execute(name).scalar_one()]
        rename = store.write(lambda other: other.execute(RENAME, {"of": 1, "to": "new"}))
        asyncio.run_coroutine_threadsafe(rename, loop).result(60)
        return [*found, connection.execute(name).scalar_one()]

    assert await getattr(store, way)(twice) == ["old", second]
    assert await store.snapshot(lambda connection: connection.execute(name).scalar_one()) == "new"
    with pytest.raises(ZeroDivisionError):
        await store.snapshot(lambda connection: connection.execute(name).scalar_one() and 1 // 0)
    await store.write(insert(2))
    assert await store.snapshot(lambda connection: len(connection.execute(name).all())) == 2


async def test_reads_go_on_while_a_write_is_open(store: Store) -> None:
    await store.write(insert(1))
    gate, first = await held(store)
    assert set(await names(store)) == {1}
    gate.open.set()
    await first


async def test_close_finishes_what_waits(store: Store, database_url: str) -> None:
    gate, first = await held(store)
    waiting = [asyncio.ensure_future(store.write(insert(number))) for number in range(20)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    gate.open.set()
    await closing
    assert await asyncio.gather(*waiting) == list(range(20))
    await first
    again = Store(database_url, METADATA.create_all)
    await again.start()
    assert len(await names(again)) == 20
    await again.close()


async def test_a_commit_survives_a_power_cut(tmp_path: Path) -> None:
    """WAL alone is not enough: with synchronous=NORMAL the last commits may be lost. Both threads' connections."""
    store = Store(f"sqlite:///{tmp_path / 'things.sqlite3'}", METADATA.create_all)
    await store.start()

    def pragmas(connection: Connection) -> dict[str, object]:
        wanted = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted}

    expected = {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 250, "foreign_keys": 1}
    for _ in range(2):
        assert await store.write(pragmas) == expected
        assert await store.read(pragmas) == expected
    await store.close()


async def test_two_stores_on_one_file_wait_for_each_other(tmp_path: Path) -> None:
    store, other = (Store(f"sqlite:///{tmp_path / 'things.sqlite3'}", METADATA.create_all) for _ in range(2))
    await store.start()
    await other.start()

    def count_then_insert(connection: Connection) -> int:
        count = connection.execute(select(func.count()).select_from(THINGS)).scalar_one()
        connection.execute(INSERT, {"id": count, "name": "x"})
        return int(count)

    # read-then-write in one transaction: a deferred BEGIN would fail or lose an update here
    found = await asyncio.gather(*(one.write(count_then_insert) for _ in range(20) for one in (store, other)))
    assert sorted(found) == list(range(40))
    await store.close()
    await other.close()


async def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    bad = Store(f"sqlite:///{tmp_path / 'no-folder' / 'x.sqlite3'}", METADATA.create_all)
    with pytest.raises(ConfigurationError, match="the database cannot be opened: unable to open"):
        await bad.start()
    await bad.close()
    (tmp_path / "text.sqlite3").write_text("this is not a database, whatever its name says" * 50)
    with pytest.raises(ConfigurationError, match="not a database"):
        await Store(f"sqlite:///{tmp_path / 'text.sqlite3'}", METADATA.create_all).start()


async def test_parameters_never_show_in_errors(store: Store) -> None:
    await store.write(insert(1, "secret"))
    with pytest.raises(IntegrityError) as caught:
        await store.write(insert(1, "secret"))
    assert "secret" not in str(caught.value)


async def test_a_guard_that_is_fenced_fails_its_whole_group_and_writes_nothing(store: Store) -> None:
    guarded: list[int] = []

    def fence(_connection: Connection) -> None:
        guarded.append(1)
        raise Fenced("taken")

    gate, first = await held(store)
    store.guard = fence
    callers = [asyncio.ensure_future(store.write(insert(number))) for number in range(20)]
    await asyncio.sleep(0)
    gate.open.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    await first
    assert [type(result) for result in results] == [Fenced] * 20
    assert len(guarded) == 1  # not each by itself once more
    store.guard = None
    assert await names(store) == {}


# --- PostgreSQL -------------------------------------------------------------------------------------------


@pytest.fixture
async def remote(postgres: Postgres) -> AsyncIterator[tuple[Store, Callable[[], int]]]:
    """A store on PostgreSQL, and what ends all its sessions as a restart of the server would."""
    url = postgres.database()
    store = Store(url, METADATA.create_all)
    await store.start()

    def cut() -> int:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        return len(postgres.query(url, ended + " AND pid <> pg_backend_pid()"))

    yield store, cut
    await store.close()


async def test_a_lost_connection_is_no_callers_failure(remote: tuple[Store, Callable[[], int]]) -> None:
    store, cut = remote
    for round in range(3):
        await store.write(insert(round))
        assert set(await names(store)) == set(range(round + 1))
        assert cut() >= 1
    gate, first = await held(store)
    callers = [asyncio.ensure_future(store.write(insert(number))) for number in range(10, 30)]
    await asyncio.sleep(0)
    cut()  # in the middle of a transaction
    gate.open.set()
    assert await asyncio.gather(*callers) == list(range(10, 30))
    await first
    assert set(await names(store)) == {0, 1, 2, *range(10, 30)}


async def test_a_commit_that_was_done_before_the_connection_broke_is_done_again(
    remote: tuple[Store, Callable[[], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, cut = remote
    commit, breaks = store._engine.dialect.do_commit, iter([True])

    def done_and_cut(connection: Any) -> None:
        commit(connection)
        if next(breaks, False):
            cut()
            connection.execute("SELECT 1")  # raises as a COMMIT whose answer is lost

    monkeypatch.setattr(store._engine.dialect, "do_commit", done_and_cut)
    rows = [{"id": 1, "name": "a"}]
    assert await store.write(lambda connection: insert_new(connection, THINGS, rows)) == set()  # there already
    assert await names(store) == {1: "a"}


async def test_a_server_that_is_away_is_said_to_all_at_once(tmp_path: Path) -> None:
    with server_or_skip() as server:
        store = Store(server.database(), METADATA.create_all)
        await store.start()
        await store.write(insert(1))
        await asyncio.to_thread(server.stop)
        results = await asyncio.gather(*(store.write(insert(id)) for id in range(10, 50)), return_exceptions=True)
        assert all(isinstance(result, OperationalError) for result in results)
        with pytest.raises(OperationalError):
            await names(store)
        await asyncio.to_thread(server.start)
        assert await store.write(insert(2)) == 2
        assert set(await names(store)) == {1, 2}
        await store.close()


async def test_two_processes_that_wait_for_each_other_both_get_their_way(postgres: Postgres) -> None:
    url = postgres.database()
    one, two = Store(url, METADATA.create_all), Store(url, METADATA.create_all)
    await one.start()
    await two.start()
    await one.write(insert(1))
    await one.write(insert(2))
    both = threading.Barrier(2, timeout=60)
    runs: list[str] = []

    def rename(name: str, first: int, second: int) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            runs.append(name)
            connection.execute(RENAME, {"of": first, "to": name})
            if runs.count(name) == 1:
                both.wait()
            connection.execute(RENAME, {"of": second, "to": name})

        return work

    await asyncio.gather(one.write(rename("one", 1, 2)), two.write(rename("two", 2, 1)))
    assert len(runs) >= 3  # the server ended one of them at least once, and it was done again
    assert len(set((await names(one)).values())) == 1
    await one.close()
    await two.close()


async def test_what_takes_too_long_is_ended_by_the_server_and_a_look_at_many_rows_is_not(postgres: Postgres) -> None:
    def slow(connection: Connection) -> str:
        connection.exec_driver_sql("SELECT pg_sleep(0.5)")
        return "done"

    store = Store(postgres.database(), METADATA.create_all, Timeouts(statement_s=0.1))
    await store.start()
    with pytest.raises(OperationalError, match="statement timeout"):
        await store.read(slow)
    assert store.trouble is None  # one read says nothing of the whole database
    assert await store.scan(slow) == "done"
    gate, holding = await held(store)
    group = [store.write(insert(1)), store.write(slow), store.write(insert(2))]
    waiting = [asyncio.ensure_future(work) for work in group]
    await asyncio.sleep(0)
    gate.open.set()
    failed = await asyncio.gather(*waiting, return_exceptions=True)
    await holding
    # not each by itself: of a server that is that slow each would take as long again
    assert [said(error) for error in failed if isinstance(error, Exception)] == [
        "canceling statement due to statement timeout"
    ] * 3
    assert store.trouble is not None
    assert await names(store) == {}
    await store.write(insert(1))
    assert store.trouble is None
    await store.close()


async def test_a_lock_that_another_session_holds_is_told_in_time_and_what_waited_is_written_when_it_is_free(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protocol.runtime.store.LOCK_PATIENCE_S", 0.3)
    url = postgres.database()
    store = Store(url, METADATA.create_all, Timeouts(lock_s=0.1))
    await store.start()
    await store.write(insert(1, "one"))
    with postgres.connect(url) as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE things")
        with pytest.raises(OperationalError, match="lock timeout"):
            await store.execute(RENAME, {"of": 1, "to": "two"})
        assert store.trouble is not None
        assert store.trouble.ill is Ill.LOCKED
        other.execute("ROLLBACK")
    assert await names(store) == {1: "one"}
    await store.execute(RENAME, {"of": 1, "to": "two"})
    assert await names(store) == {1: "two"}
    assert store.trouble is None
    await store.close()


async def test_a_transaction_that_says_nothing_is_ended_and_done_again(postgres: Postgres) -> None:
    runs: list[int] = []

    def stopped(connection: Connection) -> int:
        runs.append(1)
        found = insert(len(runs))(connection)
        if len(runs) == 1:
            time.sleep(0.5)  # as a process that SIGSTOP has stopped
        connection.execute(select(THINGS))
        return found

    store = Store(postgres.database(), METADATA.create_all, Timeouts(idle_s=0.1))
    await store.start()
    assert await store.write(stopped) == 2
    assert list(await names(store)) == [2]
    await store.close()


def password_in(passfile: Path) -> str:
    return passfile.read_text().strip().rpartition(":")[2]


async def test_the_password_file_is_used_and_shows_nowhere(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.database()
    password = password_in(Path(url.partition("passfile=")[2].replace("%2F", "/")))
    empty = tmp_path / "empty"
    empty.touch(mode=0o600)
    store = Store(url.partition("passfile=")[0] + f"passfile={empty}", METADATA.create_all)
    with pytest.raises(ConfigurationError, match="password") as caught:
        await store.start()
    assert password not in str(caught.value) + repr(store._engine)
    await store.close()

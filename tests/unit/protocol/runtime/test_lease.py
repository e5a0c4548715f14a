"""The lease: one process a name, no write by who lost it, and the dead's rows to exactly one of the living."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from operator import methodcaller
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, Connection, MetaData, String, Table, select

from protocol.errors import ConfigurationError, Fenced
from protocol.runtime.lease import Clocks, Lease, ProcessLock, database_now, instances, only_one
from protocol.runtime.store import Store
from tests.unit.done_twice import written_twice

pytestmark = pytest.mark.anyio

METADATA = MetaData()
INSTANCES = instances(METADATA)
JOBS = Table("jobs", METADATA, Column("id", BigInteger, primary_key=True), Column("owner", String(64), nullable=False))
LEASE_S = 10.0
START = 1_000_000


class World:
    """Instances on one database, with one clock for the database and for each process; time stands."""

    def __init__(self, url: str) -> None:
        self.url, self.time_s = url, 0.0
        self.stores: list[Store] = []
        self.lost: list[str] = []

    async def instance(self, name: str, *, alone: bool = False, same_host: bool = False) -> Lease:
        store = Store(self.url, METADATA.create_all)
        await store.start()
        self.stores.append(store)
        lease = Lease(
            store, INSTANCES, name, LEASE_S, alone=alone, lost=lambda: self.lost.append(name),
            clocks=Clocks(lambda: self.time_s, lambda _: START + int(self.time_s * 1000)),
        )  # fmt: skip
        if not same_host:
            lease._lock.close()
            lease._lock = Elsewhere()
        return lease

    async def holding(self, name: str, **more: bool) -> Lease:
        lease = await self.instance(name, **more)
        await lease.take()
        assert lease._renewing is not None
        lease._renewing.cancel()  # renewed by hand: time stands
        return lease


class Elsewhere(ProcessLock):
    """A host of its own."""

    def __init__(self) -> None:
        self._host, self._socket, self.text = "", None, f"host-{id(self)}/lock"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    world = World(database_url)
    yield world
    for store in world.stores:
        await store.close()


async def test_a_lease_whose_commit_seems_to_fail_is_taken(world: World) -> None:
    """It does not wait for itself as for another process."""
    lease = await world.instance("front-1", same_host=True)
    written_twice(lease._store)
    assert await lease._store.write(lease._try_take) is None
    other = await world.instance("front-1", same_host=True)
    assert await other._store.write(other._try_take) is not None


async def give(lease: Lease, *ids: int) -> None:
    rows = [{"id": id, "owner": lease._name} for id in ids]
    await lease._store.write(lambda connection: connection.execute(JOBS.insert(), rows))


def taker(me: str) -> Callable[[Connection, Sequence[str]], list[int]]:
    def take(connection: Connection, owners: Sequence[str]) -> list[int]:
        theirs = JOBS.c.owner.in_(owners)
        ids = list(connection.execute(select(JOBS.c.id).where(theirs).order_by(JOBS.c.id)).scalars())
        connection.execute(JOBS.update().where(theirs).values(owner=me))
        return ids

    return take


# --- holding ----------------------------------------------------------------------------------------------


async def test_a_lease_is_held_until_a_tenth_before_its_end_and_renewed_from_before_the_question(world: World) -> None:
    lease = await world.holding("a")
    world.time_s = 8.9
    assert lease.held()
    await lease.renew()
    world.time_s = 17.8
    assert lease.held()
    world.time_s = 18.0
    assert not lease.held()  # nobody may adopt before 19.9


async def test_a_living_twin_is_refused(world: World) -> None:
    first = await world.holding("a")
    second = await world.instance("a")
    taking = asyncio.ensure_future(second.take())
    await asyncio.sleep(0.1)
    assert not taking.done()
    world.time_s = 3.0
    await first.renew()
    with pytest.raises(ConfigurationError, match="another instance named a is running"):
        await asyncio.wait_for(taking, 30)
    await give(first, 1)  # and the first is not disturbed
    assert not world.lost


async def test_a_crashed_one_on_another_host_is_waited_for(world: World) -> None:
    await world.holding("a")
    second = await world.instance("a")
    taking = asyncio.ensure_future(second.take())
    world.time_s = 11.0
    await asyncio.sleep(0.6)
    assert not taking.done()  # the margin
    world.time_s = 11.1
    await asyncio.wait_for(taking, 30)
    await second.release()


async def test_a_crashed_one_on_this_host_is_succeeded_at_once_and_a_stopped_one_is_not(world: World) -> None:
    first = await world.holding("a", same_host=True)
    second = await world.instance("a", same_host=True)
    taking = asyncio.ensure_future(second.take())
    await asyncio.sleep(0.3)
    assert not taking.done()  # its lock is held: stopped or alive, but not dead
    first._lock.close()  # as the kernel does when the process ends
    await asyncio.wait_for(taking, 30)
    assert second.held()
    await second.release()


async def test_an_orderly_stop_gives_the_name_back(world: World) -> None:
    first = await world.holding("a")
    await first.release()
    assert not first.held()
    assert await (await world.holding("b")).others() == ["a"]
    second = await world.instance("a")
    await asyncio.wait_for(second.take(), 30)
    await second.release()


async def test_who_lost_its_lease_writes_nothing_more(world: World) -> None:
    """As after SIGSTOP for longer than the lease: the process knows nothing of it, and the next write says so."""
    first = await world.holding("a")
    await give(first, 1)
    world.time_s = 20.0
    second = await world.holding("a")
    with pytest.raises(Fenced):
        await give(first, 2)
    with pytest.raises(Fenced):
        await first.renew()
    await asyncio.sleep(0)
    assert set(world.lost) == {"a"}
    await give(second, 3)
    ids = await second._store.read(lambda connection: set(connection.execute(select(JOBS.c.id)).scalars()))
    assert ids == {1, 3}


async def test_callers_of_one_group_are_all_told_that_the_lease_is_lost(world: World) -> None:
    first = await world.holding("a")
    world.time_s = 20.0
    await world.holding("a")
    results = await asyncio.gather(*(give(first, id) for id in range(20)), return_exceptions=True)
    assert all(isinstance(result, Fenced) for result in results)
    assert first._store.commits == 1  # its own taking of the lease


# --- adopting ---------------------------------------------------------------------------------------------


async def test_the_living_are_not_adopted_and_the_dead_are_once(world: World) -> None:
    a, b, c = [await world.holding(name) for name in "abc"]
    await give(a, 1, 2)
    for world.time_s in (4.0, 8.0, 11.0):
        await b.renew()
        await c.renew()
        assert await b.adopt(taker("b")) is None
    world.time_s = 11.1
    taken = await asyncio.gather(b.adopt(taker("b")), c.adopt(taker("c")))
    assert sorted(ids for ids in taken if ids) == [[1, 2]]
    with pytest.raises(Fenced):
        await give(a, 3)


async def test_after_the_database_was_away_nobody_is_adopted_for_a_whole_lease(world: World) -> None:
    """All leases are over by then; who lives must get the time to renew."""
    a, b = await world.holding("a"), await world.holding("b")
    await give(a, 1)
    world.time_s = 100.0
    assert await b.adopt(taker("b")) is None  # b itself was silent
    await b.renew()
    assert await b.adopt(taker("b")) is None
    world.time_s = 105.0
    await a.renew()  # it kept its rows: nobody took them
    await give(a, 2)
    for world.time_s in (106.0, 110.5, 114.0):
        await b.renew()
        assert await b.adopt(taker("b")) is None
    assert not world.lost


async def test_one_that_comes_back_while_it_is_adopted_keeps_out_or_keeps_its_rows(world: World) -> None:
    """The dead's return and its adoption exclude each other, whichever commits first."""
    for round in range(5):
        world.time_s = round * 1000.0
        names = [f"dead-{round}", f"alive-{round}"]
        dead, alive = [await world.holding(name) for name in names]
        await give(dead, round)
        world.time_s += 9
        await alive.renew()
        world.time_s += 6
        returned, adopted = await asyncio.gather(dead.renew(), alive.adopt(taker(names[1])), return_exceptions=True)
        owner = await alive._store.read(methodcaller("scalar", select(JOBS.c.owner).where(JOBS.c.id == round)))
        assert not isinstance(adopted, BaseException)
        if isinstance(returned, Fenced):
            assert owner == names[1]
        else:
            assert returned is None
            assert owner == names[0]


async def test_owners_of_a_time_before_the_table_are_adopted_too(world: World) -> None:
    a = await world.holding("a")
    await a._store.write(lambda connection: connection.execute(JOBS.insert(), {"id": 1, "owner": "older"}))
    await a.know(["older", "a"])
    world.time_s = 9.9
    await a.renew()
    world.time_s = 10.0
    assert await a.adopt(taker("a")) == [1]


async def test_who_is_alone_adopts_at_once(world: World) -> None:
    await give(await world.holding("old-name"), 1)
    lease = await world.holding("new-name", alone=True)
    assert await lease.adopt(taker("new-name")) == [1]


async def test_the_real_clocks(world: World) -> None:
    store = (await world.instance("a"))._store
    first = await store.read(database_now)
    assert abs(first - time.time() * 1000) < 60_000
    assert await store.read(database_now) >= first
    lease = Lease(store, INSTANCES, "real", 6.0, alone=False, lost=lambda: world.lost.append("real"))
    await lease.take()
    ends = select(INSTANCES.c.lease_until).where(INSTANCES.c.name == "real")

    async def until() -> int:
        return int(await store.read(lambda connection: connection.execute(ends).scalar_one()))

    before = await until()
    async with asyncio.timeout(60):
        while await until() == before:  # noqa: ASYNC110 - a third of it later it is renewed
            await asyncio.sleep(0.05)
    assert lease.held()
    await lease.release()
    assert not world.lost


def test_one_process_an_sqlite_file(tmp_path: Path) -> None:
    path = tmp_path / "front.sqlite3"
    with only_one(path, "dmz-front"), pytest.raises(ConfigurationError, match="another dmz-front is running"):
        only_one(path, "dmz-front")
    only_one(path, "dmz-front").close()

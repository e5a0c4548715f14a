"""Poison messages: named on disk before they are opened, one at a time, and not opened a fourth time."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import MetaData, select

from protocol.errors import PoisonMessage
from protocol.link.port import Delivery
from protocol.runtime.poison import PoisonMessages, poison_table
from protocol.runtime.store import Store
from tests.unit.clock import NOW, Clock
from tests.unit.done_twice import written_twice

pytestmark = pytest.mark.anyio
METADATA = MetaData()
TABLE = poison_table(METADATA)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    store = Store(database_url, METADATA.create_all)
    await store.start()
    yield store
    await store.close()


async def process(store: Store, clock: Clock) -> PoisonMessages:
    """A new process: what was in memory is gone."""
    suspects = PoisonMessages(store, TABLE, clock)
    await suspects.start()
    return suspects


async def named(store: Store) -> list[int]:
    return list(await store.read(lambda connection: connection.execute(select(TABLE.c.opened)).scalars().all()))


async def test_what_passes_leaves_nothing_behind(store: Store, clock: Clock) -> None:
    suspects = await process(store, clock)
    for envelope in (b"a", b"b", b"c"):
        await suspects.take(envelope)
        assert await named(store) == [1]  # one at a time
    await suspects.passed()
    await suspects.passed()
    assert await named(store) == []


async def test_one_death_counts_as_one_though_the_commit_that_names_it_seems_to_fail(
    store: Store, clock: Clock
) -> None:
    written_twice(store)
    for deaths in (1, 2):
        suspects = await process(store, clock)
        await suspects.take(b"guilty")  # and the process dies
        assert await named(store) == [deaths]


async def test_in_hand_at_three_deaths_it_is_not_taken_again(store: Store, clock: Clock) -> None:
    """The first time it was opened it was not marked redelivered, and nobody named it."""
    for _ in range(2):
        suspects = await process(store, clock)
        await suspects.take(b"innocent")
        await suspects.take(b"guilty")  # and the process dies
    suspects = await process(store, clock)
    await suspects.take(b"innocent")
    with pytest.raises(PoisonMessage):
        await suspects.take(b"guilty")
    await suspects.take(b"another")
    await suspects.passed()
    assert await named(store) == [3]
    for each in (suspects, await process(store, clock)):
        each.check(b"innocent")
        with pytest.raises(PoisonMessage):
            each.check(b"guilty")  # however it arrives


async def test_the_same_again_in_the_same_process_is_no_death(store: Store, clock: Clock) -> None:
    """A delivery is gone through again when the database failed in the middle of it."""
    suspects = await process(store, clock)
    for _ in range(5):
        await suspects.take(b"a")
    assert await named(store) == [1]


FRESH = Delivery("/queue/q", b"", {}, 1, "1")
AGAIN = Delivery("/queue/q", b"", {"redelivered": "true"}, 1, "2")


async def test_careful_with_what_came_before_and_with_what_comes_meanwhile(store: Store, clock: Clock) -> None:
    suspects = await process(store, clock)
    assert not suspects.careful(FRESH)
    assert [suspects.careful(each) for each in (AGAIN, FRESH)] == [True, True]
    async with suspects.turn():
        pass
    assert suspects.careful(FRESH)  # the first of three waits no more
    for _ in range(2):
        async with suspects.turn():
            pass
    assert not suspects.careful(FRESH)


async def test_a_turn_that_fails_is_over(store: Store, clock: Clock) -> None:
    suspects = await process(store, clock)
    assert suspects.careful(AGAIN)
    with pytest.raises(OSError, match="disk"):
        async with suspects.turn():
            raise OSError("disk full")
    assert not suspects.careful(FRESH)


async def test_after_a_death_a_copy_that_is_not_marked_is_suspected_too(store: Store, clock: Clock) -> None:
    await (await process(store, clock)).take(b"guilty")  # and the process dies
    suspects = await process(store, clock)
    assert suspects.careful(FRESH)
    async with suspects.turn():
        await suspects.take(b"guilty")
    assert not suspects.careful(FRESH)


async def test_it_is_forgotten_when_no_message_can_be_so_old(store: Store, clock: Clock) -> None:
    suspects = await process(store, clock)
    await suspects.take(b"a")
    await suspects.forget(NOW)
    assert await named(store) == [1]
    await suspects.forget(NOW + 1)
    assert await named(store) == []

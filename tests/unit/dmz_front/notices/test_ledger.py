"""Who asks for notices with the place of the last one misses none, whichever front wrote it down."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, select

from dmz_front.ledger.rows import METADATA
from dmz_front.notices.ledger import Arrived, NoticeLedger
from dmz_front.notices.rows import NOTICES, PLACES
from protocol.notices import Dispatch, NoticeKind
from protocol.runtime.store import Store
from tests.unit.clock import Clock
from tests.unit.held_up import held_up

pytestmark = pytest.mark.anyio


def arrived(id: str) -> Arrived:
    dispatch = Dispatch.model_construct(
        application="wechat", stream=id, sequence=1, kind=NoticeKind.BILL_ISSUED, at="", data={}
    )
    return Arrived(id, dispatch, b"sealed")


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[list[Store]]:
    stores = [Store(database_url, METADATA.create_all) for _ in range(2)]
    for one in stores:
        await one.start()
    yield stores
    for one in stores:
        await one.close()


async def test_a_notice_that_is_committed_late_has_a_later_place(
    stores: list[Store], database_url: str, clock: Clock
) -> None:
    fronts = [NoticeLedger(store, f"front-{n}", lambda _: "", clock) for n, store in enumerate(stores, 1)]
    await fronts[0].record([arrived("before")])
    recorded, commit = threading.Event(), threading.Event()

    def held(connection: Connection) -> None:
        fronts[0]._record(connection, [arrived("slow")])
        recorded.set()
        assert commit.wait(60)

    slow = asyncio.ensure_future(stores[0].write(held))
    await asyncio.to_thread(recorded.wait)
    quick = asyncio.ensure_future(fronts[1].record([arrived("quick")]))
    try:
        await held_up(database_url, quick)
        seen = await fronts[1].page("wechat", 0, 10)
    finally:
        commit.set()
    await asyncio.gather(slow, quick)
    seen += await fronts[1].page("wechat", seen[-1][0], 10)
    assert [id for _, id, _ in seen] == ["before", "slow", "quick"]


async def test_a_ledger_that_is_put_back_gives_no_place_that_was_passed_already(
    stores: list[Store], clock: Clock
) -> None:
    front = NoticeLedger(stores[0], "front-1", lambda _: "", clock)
    await front.record([arrived("copied")])

    def copied(connection: Connection) -> int:
        return int(connection.execute(select(PLACES.c.last)).scalar_one())

    def put_back(connection: Connection) -> None:
        connection.execute(NOTICES.delete().where(NOTICES.c.id != "copied"))
        connection.execute(PLACES.update().values(last=last))

    last = await stores[0].read(copied)
    await front.record([arrived("gone"), arrived("gone too")])
    passed = (await front.page("wechat", 0, 10))[-1][0]
    await stores[0].write(put_back)
    clock.now += 1
    await front.record([arrived("after")])
    assert [id for _, id, _ in await front.page("wechat", passed, 10)] == ["after"]


async def test_places_go_on_though_the_clock_was_set_back(stores: list[Store], clock: Clock) -> None:
    front = NoticeLedger(stores[0], "front-1", lambda _: "", clock)
    await front.record([arrived("one"), arrived("two")])
    clock.now -= 3_600_000
    passed = (await front.page("wechat", 0, 10))[-1][0]
    await front.record([arrived("three")])
    assert [id for _, id, _ in await front.page("wechat", passed, 10)] == ["three"]

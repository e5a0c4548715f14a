"""The inbox's identity: made once, told in presence, and commands for another inbox are not taken."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select

from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.inbox.rows import INBOX, METADATA, Received
from intranet_bridge.intake.conflict import InboxConflict
from intranet_bridge.marketing import Answered
from protocol.destinations import commands, queries
from protocol.frames import pack
from protocol.lifecycle import State
from protocol.link.port import Outgoing
from protocol.runtime.store import Store
from tests.unit.clock import Clock
from tests.unit.intranet_bridge.harness import BILL_BODY, DONE, Stage, until, wall

QUEUE = commands("main")


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch)


async def put(stage: Stage, **headers: str) -> str:
    id, envelope = stage.envelope()
    await stage.link.send(Outgoing(QUEUE, pack([envelope]), persistent=True, headers=headers))
    return id


def test_it_is_made_once_and_told(stage: Stage) -> None:
    async def play() -> None:
        await stage.open()
        await stage.start()
        first = stage.bridge.inbox.id
        assert len(first) == 36
        await until(lambda: stage.presences)
        assert {(presence.inbox, presence.inbox_shared) for presence in stage.presences} == {(first, False)}
        await stage.kill()
        await stage.start()
        assert stage.bridge.inbox.id == first
        subscriptions = list(stage.bridge.links["commands"]._consumers.values())  # type: ignore[attr-defined]
        assert [one.subscription.headers["selector"] for one in subscriptions] == [
            f"inbox = '{first}' OR inbox IS NULL"
        ]
        await stage.stop()

    asyncio.run(play())


def test_what_is_for_another_inbox_is_left_where_it_is(stage: Stage) -> None:
    """By a broker that knows no selectors."""

    async def play() -> None:
        await stage.open()
        await stage.start()
        other = await put(stage, inbox="11111111-1111-4111-8111-111111111111", inbox_since="0")
        ours = await put(stage, inbox=stage.bridge.inbox.id, inbox_since="0")
        old = await put(stage)
        for id in (ours, old):
            assert (await stage.reply(id)).state is State.SUCCEEDED
        assert await stage.row(other) is None
        assert stage.broker.depth(QUEUE) == 1  # it is not acknowledged
        assert stage.bridge.command_intake.misaddressed == 1
        await stage.kill()

    asyncio.run(play())


@pytest.mark.parametrize("there", [True, False])
def test_what_another_inbox_may_have_had_is_inquired_about_first(stage: Stage, there: bool) -> None:
    async def play() -> None:
        await stage.open()
        await stage.start()
        marketing = stage.marketing["work-order"]
        if there:
            marketing.findings = [Answered(DONE)]
        id = await put(stage, inbox=stage.bridge.inbox.id, inbox_since=str(wall() + 60_000))
        assert (await stage.reply(id)).state is State.SUCCEEDED
        assert marketing.inquiries == [id]
        assert marketing.calls == ([] if there else [id])
        await stage.kill()

    asyncio.run(play())


# --- a conflict, as fronts tell of it on queries ------------------------------------------------------------

OTHER = "22222222-2222-4222-8222-222222222222"


@pytest.mark.parametrize(("meant", "calls_allowed"), [("ours", True), (OTHER, False), ("", False)])
def test_a_conflict_stops_calls_of_the_wrong_inbox(meant: str, calls_allowed: bool) -> None:
    now = [0.0]
    conflict = InboxConflict(lambda: "ours", lambda: now[0])
    assert (conflict.active, conflict.calls_allowed) == (False, True)
    conflict.heard(meant)
    assert (conflict.active, conflict.calls_allowed) == (True, calls_allowed)
    now[0] = 10.0
    assert (conflict.active, conflict.calls_allowed) == (False, True)


def test_no_command_is_called_while_another_inbox_is_meant(stage: Stage) -> None:
    async def play() -> None:
        await stage.open()
        await stage.start()
        query = stage.envelope("bill-query", BILL_BODY)[1]
        message = Outgoing(queries("main"), pack([query]), headers={"inbox": OTHER})
        await stage.link.send(message)
        await until(lambda: stage.bridge.conflict.active)
        id = await stage.command()
        await until(lambda: stage.bridge.workers.steps["work-order", "retry"] > 1)
        assert stage.marketing["work-order"].calls == []
        stage.bridge.conflict.heard(stage.bridge.inbox.id)
        assert (await stage.reply(id)).state is State.SUCCEEDED
        await stage.kill()

    asyncio.run(play())


def test_after_a_start_with_the_clock_set_back_what_is_given_comes_after_what_another_region_has(
    database_url: str, clock: Clock
) -> None:
    """It is done there in the order of its recording here."""

    async def play() -> None:
        store = Store(database_url, METADATA.create_all)
        await store.start()
        for id in ("first", "second"):
            inbox = Inbox(store, "bridge-1", clock)
            await inbox.start()
            row = Received(id, "work-order", "front-1/wechat", "k", "local:x", 0, b"", state=State.ACCEPTED)
            await inbox.record([row])
            clock.now -= 3_600_000
        ids = select(INBOX.c.id).order_by(INBOX.c.sequence)
        assert await store.read(lambda connection: connection.execute(ids).scalars().all()) == ["first", "second"]
        await store.close()

    asyncio.run(play())


def test_what_two_bridges_give_another_region_is_in_the_order_of_its_giving_though_their_clocks_differ(
    database_url: str,
) -> None:
    async def play() -> None:
        clocks = Clock(1_700_000_000_000 + 3_600_000), Clock(1_700_000_000_000)
        stores = [Store(database_url, METADATA.create_all) for _ in clocks]
        if database_url.startswith("sqlite"):
            stores[1] = stores[0]
        for store in set(stores):
            await store.start()
        ahead, behind = (
            Inbox(store, f"bridge-{number}", clock)
            for number, (store, clock) in enumerate(zip(stores, clocks, strict=True), 1)
        )
        for number, inbox in enumerate((behind, ahead, behind, ahead, behind)):
            row = Received(f"o-{number}", "work-order", "b/s", "to:east:key", "local:x", 0, b"x", state=State.ACCEPTED)
            await inbox.record([row])
        of = select(INBOX.c.id).order_by(INBOX.c.sequence)
        in_order = await stores[0].read(lambda connection: list(connection.execute(of).scalars()))
        assert in_order == [f"o-{number}" for number in range(5)]
        for store in set(stores):
            await store.close()

    asyncio.run(play())

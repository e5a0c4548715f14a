"""An inbox, or a front's ledger, that was put back as an older copy: what came between is not done twice."""

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridgectl.databases import Place
from bridgectl.restoring import restore
from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.inbox.inbox import put_back as put_back_rows
from intranet_bridge.inbox.rows import DECISIONS, HISTORY, INSTANCES
from intranet_bridge.intake.repetition import CODE, gap_of
from intranet_bridge.marketing import Absent, Answered
from intranet_bridge.store import MIGRATIONS
from protocol.destinations import commands
from protocol.errors import BridgeError
from protocol.frames import pack
from protocol.lifecycle import State
from protocol.link.port import Outgoing
from protocol.messages import uuid7
from protocol.runtime.backup import Owner, back_up, manifest_of, verified
from protocol.runtime.control import Peer
from protocol.runtime.history import Gap, History
from protocol.runtime.lease import only_one
from protocol.runtime.region_inbox import GAP_HEADER
from protocol.runtime.settings import StoreSection
from protocol.runtime.store import Store
from tests.support.postgres import server_or_skip
from tests.unit.intranet_bridge.harness import DONE, ORDER, ORDER_BODY, Stage, until, wall

pytestmark = pytest.mark.anyio

OWNER = Owner(program="intranet-bridge", instance="bridge-1", region="main", software="1")


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path, monkeypatch)
    await stage.open()
    yield stage
    await stage.stop()


def body(content: str) -> bytes:
    return ORDER_BODY.replace(ORDER.example["content"].encode(), content.encode())


async def sent(stage: Stage, operation: str, **changes: Any) -> tuple[str, bytes]:
    id, envelope = stage.envelope(operation, **changes)
    await stage.send(envelope)
    return id, envelope


async def settled(stage: Stage, id: str) -> None:
    await stage.reply(id)
    await stage.until_replied(id)


def put_back(stage: Stage, copy: Path) -> None:
    """As `bridgectl restore` does."""
    restore(Place(stage.settings().store, OWNER), copy, verified(copy), wall())


def by_hand(stage: Stage, copy: Path) -> None:
    """As somebody who knows of no such command."""
    for part in ("-wal", "-shm"):
        (stage.folder / f"bridge.sqlite3{part}").unlink(missing_ok=True)
    shutil.copyfile(copy, stage.folder / "bridge.sqlite3")


@pytest.mark.parametrize("way", [put_back, by_hand])
async def test_what_an_older_inbox_has_forgotten_is_asked_for_or_held_and_never_called_again(
    stage: Stage, tmp_path: Path, way: Any
) -> None:
    await stage.start()
    before, _ = await sent(stage, "work-order")
    await settled(stage, before)
    copy, manifest = back_up(stage.settings().store, OWNER, tmp_path / "copy", wall())
    assert (manifest.commands, manifest.inbox, manifest.highest) == (1, stage.bridge.inbox.id, before)
    asked_for = await sent(stage, "work-order")
    absent = await sent(stage, "work-order")
    delicate = await sent(stage, "delicate")
    for id, _ in (asked_for, absent, delicate):
        await settled(stage, id)
    await stage.bridge.history.mark()
    await stage.stop()

    way(stage, copy)
    stage.replies.clear()
    called = {name: list(one.calls) for name, one in stage.marketing.items()}
    stage.marketing["work-order"].findings = [Answered(DONE), Absent()]
    await stage.start()
    assert stage.bridge.history.gap is not None
    await stage.send(asked_for[1])
    assert (await stage.reply(asked_for[0])).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == called["work-order"]
    await stage.send(absent[1])  # the marketing system does not know it: so it was not applied, and is now
    assert (await stage.reply(absent[0])).state is State.SUCCEEDED
    assert stage.marketing["work-order"].calls == [*called["work-order"], absent[0]]
    await stage.send(delicate[1])
    assert (await stage.reply(delicate[0])).state is State.HELD
    assert stage.marketing["delicate"].calls == called["delicate"]
    assert await stage.state(before) == State.SUCCEEDED
    after, _ = await sent(stage, "delicate", time=wall() + 300_000)  # sealed well after it was put back
    assert (await stage.reply(after)).state is State.SUCCEEDED


async def test_what_an_older_inbox_had_not_called_may_have_been_called(stage: Stage, tmp_path: Path) -> None:
    stage.changes["commands.workers"] = 1
    await stage.start()
    first, _ = await sent(stage, "delicate")
    await settled(stage, first)
    await stage.stop()
    with closing(sqlite3.connect(tmp_path / "bridge.sqlite3")) as database:  # as it was before the call
        database.execute("UPDATE inbox SET state = 'received', attempts = 0, reply = NULL, replied_at = NULL")
        envelope = stage.envelope("delicate", id=first)[1]
        database.execute("UPDATE inbox SET envelope = ?", (envelope,))
        database.commit()
    copy, _ = back_up(stage.settings().store, OWNER, tmp_path / "copy", wall())
    put_back(stage, copy)
    stage.replies.clear()
    await stage.start()
    assert (await stage.reply(first)).state is State.HELD
    assert stage.marketing["delicate"].calls == [first]
    row = await stage.row(first)
    assert row.note


async def test_a_running_bridge_is_not_touched_and_an_altered_copy_is_none(stage: Stage, tmp_path: Path) -> None:
    await stage.start()
    copy, _ = back_up(stage.settings().store, OWNER, tmp_path / "copy", wall())
    with only_one(tmp_path / "bridge.sqlite3", "intranet-bridge"), pytest.raises(BridgeError, match="is running on"):
        put_back(stage, copy)
    with copy.open("r+b") as content:
        content.seek(5000)
        content.write(b"x")
    with pytest.raises(BridgeError, match="is not what was written"):
        verified(copy)
    with pytest.raises(BridgeError, match="is there already"):
        back_up(stage.settings().store, OWNER, copy, wall())


async def test_a_link_that_lies_where_a_copy_is_made_leads_nowhere(stage: Stage) -> None:
    """The folder may be a service's own, and root makes the copy."""
    await stage.start()
    folder, others = stage.folder / "copies", stage.folder / "others"
    folder.mkdir()
    others.write_text("root's")
    for name in ("copy.part", "copy.json"):
        (folder / name).symlink_to(others)
    copy, _ = back_up(stage.settings().store, OWNER, folder / "copy", wall())
    assert others.read_text() == "root's"
    assert not copy.is_symlink()
    assert manifest_of(copy).stat().st_mode & 0o077 == 0


async def test_what_a_ledger_has_forgotten_is_held_when_it_is_asked_for_again(stage: Stage) -> None:
    await stage.start()
    done, _ = await sent(stage, "work-order", body=body("lights out"))
    await stage.reply(done)
    gap = {GAP_HEADER: f"{wall() - 60_000}-{wall()}"}

    async def again(content: str, **changes: Any) -> str:
        id, envelope = stage.envelope("work-order", body(content), id=_later(), **changes)
        await stage.link.send(Outgoing(commands("main"), pack([envelope]), True, 0, gap))
        return id

    other = await again("no water")
    assert (await stage.reply(other)).state is State.SUCCEEDED
    whose = await again("lights out", source="front-1/another")
    assert (await stage.reply(whose)).state is State.SUCCEEDED
    repeated = await again("lights out")
    reply = await stage.reply(repeated)
    assert (reply.state, reply.code) == (State.HELD, CODE)
    row = await stage.row(repeated)
    assert done in row.note
    assert stage.marketing["work-order"].calls == [done, other, whose]
    await stage.bridge.administration.resolve(
        {"id": repeated, "choice": "call-again", "note": "a second lamp"},
        Peer(0, 1),
    )
    await until(lambda: repeated in stage.marketing["work-order"].calls)


async def test_postgresql_is_dumped_and_put_back_with_its_mark(tmp_path: Path) -> None:
    with server_or_skip() as server:
        section = StoreSection(url=server.database())

        async def opened() -> tuple[Store, History, Inbox]:
            store = Store(section.address(), MIGRATIONS.prepare)
            await store.start()
            history, inbox = History(store, HISTORY, None, 10**9, wall), Inbox(store, "bridge-1", wall)
            await history.open(put_back_rows)
            await inbox.start()
            return store, history, inbox

        store, history, inbox = await opened()
        identity = inbox.id
        assert history.gap is None
        copy, manifest = back_up(section, OWNER, tmp_path, wall())
        assert (manifest.database, manifest.inbox, manifest.commands) == ("postgresql", identity, 0)
        await store.write(lambda connection: connection.execute(DECISIONS.insert().values(DECISION)).rowcount)
        with_lease = INSTANCES.insert().values(name="bridge-1", incarnation=1, lease_until=2 * wall(), place="")
        await store.write(lambda connection: connection.execute(with_lease).rowcount)
        with pytest.raises(BridgeError, match="is running on this database: bridge-1"):
            restore(Place(section, OWNER), copy, verified(copy), wall())
        await store.write(lambda connection: connection.execute(INSTANCES.delete()).rowcount)
        await store.close()
        assert restore(Place(section, OWNER), copy, verified(copy), wall()).notes == ()
        store, history, inbox = await opened()
        assert history.gap is not None
        assert inbox.id == identity
        assert await store.read(lambda connection: connection.execute(DECISIONS.select()).all()) == []
        await store.close()


DECISION = {"request": "r", "decided_at": 1, "choice": "applied", "decided_by": "me", "note": "n"}


def _later() -> str:
    return uuid7(wall() + 1000, os.urandom(10))


@pytest.mark.parametrize("said", ["", "1", "1-", "-1", "a-b", "1-2-3", "9" * 20 + "-1"])
def test_a_header_that_no_front_writes_says_nothing(said: str) -> None:
    assert gap_of({GAP_HEADER: said}, GAP_HEADER) is None
    assert gap_of({GAP_HEADER: "5-7"}, GAP_HEADER) == Gap(5, 7)

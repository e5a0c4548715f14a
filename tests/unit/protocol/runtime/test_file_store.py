"""Who reads on from the last file that was decided passes none over, whoever decides, and by whichever clock; and what
files count for where room is limited.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData

from protocol.file_transfer import MAX_BYTES, FileManifest
from protocol.runtime.file_store import AWAITED_MS, Direction, FileRow, FileState, FileStore, Held, file_tables
from protocol.runtime.store import Store
from tests.unit.clock import NOW, Clock
from tests.unit.few_parameters import ROWS, few_parameters
from tests.unit.held_up import held_up

pytestmark = pytest.mark.anyio
METADATA = MetaData()
TABLES = file_tables(METADATA)


class Bridge:
    """One process on the database, with a clock of its own."""

    def __init__(self, url: str, ahead_ms: int) -> None:
        self.store = Store(url, METADATA.create_all)
        self.files = FileStore(self.store, TABLES, "front-1", Clock(NOW + ahead_ms), lambda content, _id, _no: content)

    async def whole(self, name: str) -> str:
        manifest = FileManifest.of("bank", name, "daily", 1, "0" * 64)
        row = await self.files.begin(manifest, Direction.INWARD, FileState.WHOLE)
        return row.id

    async def accept(self, id: str) -> bool:
        return await self.files.move(id, {FileState.WHOLE}, FileState.ACCEPTED)

    async def after(self, cursor: tuple[int, str]) -> list[tuple[int, str]]:
        found = await self.files.listed(states={FileState.ACCEPTED}, decided_after=cursor)
        return [(row.decided_at, row.id) for row in found]


@pytest.fixture
async def bridges(database_url: str) -> AsyncIterator[list[Bridge]]:
    bridges = [Bridge(database_url, 0), Bridge(database_url, 5)]
    for one in bridges:
        await one.store.start()
    yield bridges
    for one in bridges:
        await one.store.close()


async def test_a_file_whose_acceptance_is_committed_late_comes_after_those_committed_before(
    bridges: list[Bridge], database_url: str
) -> None:
    first, second = bridges
    ids = [await first.whole("a.txt"), await first.whole("b.txt")]
    decided, commit = threading.Event(), threading.Event()

    def held(connection: Connection) -> None:
        first.files._move(connection, ids[0], {FileState.WHOLE}, FileState.ACCEPTED, "")
        decided.set()
        assert commit.wait(60)

    slow = asyncio.ensure_future(first.store.write(held))
    await asyncio.to_thread(decided.wait)
    quick = asyncio.ensure_future(second.accept(ids[1]))
    try:
        await held_up(database_url, quick)
        seen = await second.after((0, ""))
    finally:
        commit.set()
    await slow
    assert await quick
    seen += await second.after(seen[-1] if seen else (0, ""))
    assert [id for _, id in seen] == ids


async def test_a_file_accepted_by_a_clock_that_is_behind_comes_after_those_accepted_before(
    bridges: list[Bridge],
) -> None:
    behind, ahead = bridges
    ids = [await ahead.whole("a.txt"), await ahead.whole("b.txt"), await ahead.whole("c.txt")]
    for bridge, id in zip((ahead, behind, behind), ids, strict=True):
        assert await bridge.accept(id)
    seen: list[tuple[int, str]] = []
    while found := await ahead.after(seen[-1] if seen else (0, "")):
        seen.append(found[0])
    assert [id for _, id in seen] == ids
    assert len({at for at, _ in seen}) == len(ids)


async def test_more_files_are_forgotten_than_a_statement_takes_parameters(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/db", METADATA.create_all)
    few_parameters(store)
    await store.start()
    files = FileStore(store, TABLES, "front-1", Clock(NOW), lambda content, _id, _no: content)
    row = {
        "direction": "inward", "front": "front-1", "peer": "bank", "name": "a", "place_name": "a", "profile": "daily",
        "size": 1, "sha256": "", "chunks": 1, "have": 0, "state": "accepted", "code": "", "attempt": 1, "arrivals": 1,
        "created_at": 1, "updated_at": 1, "decided_at": 1,
    }  # fmt: skip
    for at in range(ROWS + 1):  # the last one is young
        later = {"decided_at": NOW} if at == ROWS else {}
        await store.execute(TABLES.files.insert(), row | {"id": f"f{at}"} | later)
    assert await files.forget(NOW) == ROWS
    assert await files.counts() == {("inward", "accepted"): 1}
    await store.close()


async def announced(
    bridge: Bridge, name: str, size: int, front: str = "front-1", code: str = ""
) -> tuple[FileRow, Held]:
    """A file that is begun; and what was held before."""
    found: list[Held] = []

    def judged(held: Held) -> str:
        found.append(held)
        return code

    manifest = FileManifest.of("bank", name, "daily", size, "0" * 64)
    row = await bridge.files.begin(manifest, Direction.INWARD, FileState.RECEIVING, front=front, refusal=judged)
    return row, found[0]


async def test_what_was_refused_takes_up_no_room(bridges: list[Bridge]) -> None:
    bridge = bridges[0]
    await announced(bridge, "a.txt", MAX_BYTES, code="unknown-profile")
    row, held = await announced(bridge, "b.txt", 1)
    assert held == Held()
    await bridge.files.add(row.id, 1, b"x")
    await bridge.files.move(row.id, {FileState.RECEIVING}, FileState.REFUSED, "digest")
    assert (await announced(bridge, "c.txt", 1, code="name"))[1] == Held(1)  # until its content goes
    await bridge.files.drop(row.id)
    assert (await announced(bridge, "d.txt", 1, code="name"))[1] == Held()


async def test_what_passes_through_takes_up_no_room(bridges: list[Bridge]) -> None:
    """A relay keeps nothing of what it brings inward."""
    bridge = bridges[0]
    manifest = FileManifest.of("bank", "a.txt", "daily", MAX_BYTES, "0" * 64)
    await bridge.files.begin(manifest, Direction.INWARD, FileState.SENDING)
    assert (await announced(bridge, "b.txt", 1))[1] == Held()


async def test_what_is_awaited_counts_for_the_front_that_announced_it(bridges: list[Bridge]) -> None:
    bridge = bridges[0]
    await announced(bridge, "a.txt", 100)
    row, held = await announced(bridge, "b.txt", 10, front="front-2")
    assert held == Held(100, awaited=0)
    assert (await announced(bridge, "c.txt", 1, front="front-2"))[1] == Held(110, awaited=10)
    await bridge.files.add(row.id, 1, b"x")
    await bridge.files.move(row.id, {FileState.RECEIVING}, FileState.ACCEPTED)
    assert (await announced(bridge, "d.txt", 1, front="front-2"))[1] == Held(111, awaited=1)


async def test_what_is_awaited_is_forgotten_when_its_messages_are(bridges: list[Bridge], database_url: str) -> None:
    bridge = bridges[0]
    await announced(bridge, "a.txt", 100)
    later = Bridge(database_url, AWAITED_MS)
    await later.store.start()
    assert await later.files.forget(0) == 0
    await later.store.close()
    later = Bridge(database_url, AWAITED_MS + 1)
    await later.store.start()
    assert await later.files.forget(0) == 1
    await later.store.close()
    assert (await announced(bridge, "b.txt", 1))[1] == Held()

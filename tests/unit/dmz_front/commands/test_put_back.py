"""A front whose ledger was put back as an older copy: it says so on frames, and of ids it has forgotten."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bridgectl.databases import Place
from bridgectl.restoring import restore, seen
from protocol.messages import uuid7
from protocol.runtime.backup import Owner, back_up, checksum, manifest_of, verified
from protocol.runtime.history import History
from protocol.runtime.region_inbox import GAP_HEADER
from protocol.runtime.settings import StoreSection
from tests.unit.dmz_front.harness import Harness, turns

pytestmark = pytest.mark.anyio
OWNER = Owner(program="dmz-front", instance="front-1", region="main", software="1")


async def opened(harness: Harness) -> None:
    """As the front does at its start."""
    await harness.front.history.open(lambda _: None)


async def test_an_older_ledger_says_what_it_has_forgotten(harness: Harness, tmp_path: Path) -> None:
    await harness.start()
    await opened(harness)
    file = harness.front.settings.store.file
    assert file is not None
    store = StoreSection(file=file)
    known = await harness.order(key="before")
    copy, manifest = back_up(store, OWNER, tmp_path / "copy", harness.clock())
    assert (manifest.commands, manifest.highest) == (1, known.json()["request_id"])
    forgotten = (await harness.order(key="forgotten")).json()["request_id"]
    await harness.stop(bridge=False)
    with closing(sqlite3.connect(file)) as database:
        columns = "(name, key_hash, scopes, networks, rate, created_at, revoked_at, sandbox)"
        key = ("kiosk", b"k" * 32, "[]", "[]", 0.0, 1, 2, False)
        database.execute(f"INSERT INTO applications {columns} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", key)
        database.commit()
    with closing(sqlite3.connect(copy)) as database:
        database.execute(
            f"INSERT INTO applications {columns} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*key[:6], None, key[7])
        )
        database.commit()
    place = Place(store, OWNER)
    manifest_of(copy).write_text(manifest.model_copy(update={"sha256": checksum(copy)}).model_dump_json())
    assert seen(place, manifest) == []
    assert "the region other" in seen(place, manifest.model_copy(update={"region": "other"}))[0]
    done = restore(place, copy, verified(copy), harness.clock())
    assert done.revoked == 1
    assert done.kept is not None
    with closing(sqlite3.connect(done.kept)) as database:
        assert database.execute("SELECT count(*) FROM requests").fetchone() == (2,)

    await harness._start_front()
    await opened(harness)
    await turns()
    assert (await harness.status(known.json()["request_id"])).status_code == 200
    lost = await harness.status(forgotten)
    assert (lost.status_code, lost.json()["code"]) == (410, "record-lost")
    old = uuid7(harness.clock() - 86_400_000, bytes(10))
    assert (await harness.status(old)).status_code == 404
    harness.bridge.announce(inbox="aaaaaaaa-0000-4000-8000-000000000000")
    await turns()
    await harness.front.inbox.read()
    await harness.order(key="after")
    gap = harness.front.history.gap
    assert gap is not None
    assert harness.bridge.headers[-1][GAP_HEADER] == f"{gap.since}-{gap.until}"


async def test_the_mark_tells_a_copy_from_the_original_and_a_start_from_neither(harness: Harness) -> None:
    await harness.start()
    history: History = harness.front.history
    await opened(harness)
    for _ in range(3):
        await history.mark()
    await opened(harness)
    assert history.gap is None
    table = history._table
    await harness.front.store.write(lambda connection: connection.execute(table.update().values(beat=2)).rowcount)
    await opened(harness)
    assert history.gap is not None
    assert history._file is not None
    history._file.write_text("torn")
    history._gap = None
    await opened(harness)
    assert history._mark.generation == 1

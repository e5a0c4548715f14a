"""Files across the boundary, both sides whole: what is laid down comes to the bridge once, and the other way, whoever
dies meanwhile.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dmz_front.relay.places import LocalPlace, PlaceError
from intranet_bridge.files.rows import FILES
from intranet_bridge.files.service import Files, ReceivedFile
from protocol.chunks import CHUNK_BYTES
from protocol.errors import BridgeError
from protocol.runtime.control import Peer
from protocol.runtime.file_store import FileState
from tests.unit.carried import Sides, until

pytestmark = pytest.mark.anyio
STATEMENT = r"SDDL_DSDZ_[0-9]{5}_[0-9]{8}\.txt"
NAME = "SDDL_DSDZ_37101_20261124.txt"


@pytest.fixture
async def sides(tmp_path: Path) -> AsyncIterator[Sides]:
    for folder in ("drop", "archive", "out"):
        (tmp_path / folder).mkdir()
    relay: dict[str, Any] = {
        "sources": {
            "bank": {
                "folder": str(tmp_path / "drop"), "archive": str(tmp_path / "archive"), "complete": "marker",
                "profiles": {"utility-dsdz": STATEMENT}, "poll_s": 1,
            }
        },
        "targets": {"bank-requests": {"folder": str(tmp_path / "out"), "marker": True}},
        "window": 3,
    }  # fmt: skip
    bridge: dict[str, Any] = {
        "profiles": {"utility-dsdz": {"names": STATEMENT}},
        "targets": {"bank-requests": "front-1"},
        "window": 3,
    }
    sides = Sides(tmp_path, relay, bridge)
    await sides.start_bridge()
    await sides.start_front()
    try:
        yield sides
    finally:
        await sides.close()


def lay(sides: Sides, content: bytes, name: str = NAME, marked: bool = True) -> str:
    """Lay a file into the drop directory, as a platform does."""
    digest = hashlib.sha256(content).hexdigest()
    (sides.folder / "drop" / name).write_bytes(content)
    if marked:
        (sides.folder / "drop" / f"{name}.ok").write_text(f"{digest} {len(content)}\n")
    for source in sides.relay.sources.values():
        source.hurry()
    return digest


async def whole(files: Files, id: str) -> bytes:
    return b"".join([data async for data in files.content(id)])


async def received(sides: Sides, count: int = 1) -> list[ReceivedFile]:
    async def there() -> list[ReceivedFile]:
        found = await sides.files.received()
        return found if len(found) >= count else []

    found: list[ReceivedFile] = await until(there)
    return found


def names_in(sides: Sides, folder: str) -> set[str]:
    return {one.name for one in (sides.folder / folder).iterdir()}


async def archived(sides: Sides, *names: str) -> None:
    await until(lambda: set(names) <= names_in(sides, "archive"))


async def test_what_comes_after_the_clock_was_set_back_is_read_after_what_was_there(sides: Sides) -> None:
    """Who reads on from the last file does not pass it over."""
    files, later = sides.files.files, NAME.replace("20261124", "20261125")
    clock = files._clock
    files._clock = lambda: clock() + 30_000
    lay(sides, b"first")
    (first,) = await received(sides)
    files._clock = clock
    lay(sides, b"second", later)
    await received(sides, 2)
    assert [one.name for one in await sides.files.received("", (first.accepted_at, first.id))] == [later]


async def test_a_file_comes_to_the_bridge_and_is_archived_then(sides: Sides) -> None:
    told: list[ReceivedFile] = []
    sides.files.listeners.append(told.append)
    content = os.urandom(3 * CHUNK_BYTES + 17)
    digest = lay(sides, content)
    (file,) = await received(sides)
    assert (file.source, file.name, file.profile, file.size, file.sha256) == (
        "bank", NAME, "utility-dsdz", len(content), digest,
    )  # fmt: skip
    assert await whole(sides.files, file.id) == content
    assert [one.id for one in told] == [file.id]
    await archived(sides, NAME, f"{NAME}.ok")
    assert not names_in(sides, "drop")
    assert (sides.folder / "archive" / NAME).read_bytes() == content
    await until(lambda: sides.relay.sources["bank"].archived == 1)
    row = await sides.relay.files.find(file.id)
    assert row is not None
    assert row.state is FileState.ARCHIVED


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])
async def test_of_any_length(sides: Sides, size: int) -> None:
    content = os.urandom(size)
    lay(sides, content)
    (file,) = await received(sides)
    assert await whole(sides.files, file.id) == content


async def test_nothing_of_it_is_in_clear_in_either_database(sides: Sides) -> None:
    content = b"3210000000001|" * 40_000
    lay(sides, content)
    await received(sides)
    await archived(sides, NAME, f"{NAME}.ok")
    for side in ("front", "bridge"):
        for file in sides.folder.glob(f"{side}.sqlite3*"):
            assert b"3210000000001" not in file.read_bytes(), file


async def test_a_file_whose_marker_says_another_digest_is_left(sides: Sides) -> None:
    lay(sides, b"half a fi", marked=False)
    marker = sides.folder / "drop" / f"{NAME}.ok"
    marker.write_text(f"{hashlib.sha256(b'half a file').hexdigest()} 11\n")
    source = sides.relay.sources["bank"]
    for _ in range(3):
        await source.look()
    assert await sides.files.received() == []
    assert await sides.relay.files.listed() == []
    (sides.folder / "drop" / NAME).write_bytes(b"half a file")
    source.hurry()
    (file,) = await received(sides)
    assert await whole(sides.files, file.id) == b"half a file"


async def test_name_with_inner_blank(sides: Sides) -> None:
    with_blank = "SDDL_DSDZ_ 37101_20261124.txt"
    lay(sides, b"content", with_blank)
    (file,) = await received(sides)
    assert file.name == NAME
    await archived(sides, NAME, f"{NAME}.ok")
    row = await sides.relay.files.find(file.id)
    assert row is not None
    assert row.place_name == with_blank


async def test_the_same_file_again_is_no_second_one(sides: Sides) -> None:
    content = os.urandom(1000)
    lay(sides, content)
    (file,) = await received(sides)
    await archived(sides, NAME, f"{NAME}.ok")
    before = await sides.files.files.find(file.id)
    assert before is not None
    lay(sides, content)
    await until(lambda: not names_in(sides, "drop"))
    assert [one.id for one in await sides.files.received()] == [file.id]
    after = await sides.files.files.find(file.id)
    assert after is not None
    assert after.arrivals > before.arrivals
    lay(sides, content)  # and once more: each is kept in the archive
    await until(lambda: not names_in(sides, "drop"))
    assert len([one for one in names_in(sides, "archive") if not one.endswith(".ok")]) == 3


async def test_the_same_name_with_other_content_is_another_file(sides: Sides) -> None:
    lay(sides, b"first")
    await received(sides)
    await archived(sides, NAME, f"{NAME}.ok")
    lay(sides, b"second")
    first, second = await received(sides, 2)
    assert first.id != second.id
    assert first.name == second.name
    assert await whole(sides.files, second.id) == b"second"


async def test_kills_of_either_side_in_the_middle(sides: Sides) -> None:
    """Whoever dies: the file comes whole, once; and what was there already does not come again."""
    content = os.urandom(40 * CHUNK_BYTES)
    lay(sides, content)

    async def some() -> bool:
        rows = await sides.files.files.listed()
        return bool(rows) and rows[0].have >= 5

    await until(some)
    await sides.kill_bridge()
    await sides.start_bridge()

    async def more() -> bool:
        rows = await sides.files.files.listed()
        return rows[0].have >= 15

    await until(more)
    await sides.kill_front()
    (before,) = await sides.files.files.listed()
    assert before.state is FileState.RECEIVING
    await sides.start_front()
    (file,) = await received(sides)
    assert await whole(sides.files, file.id) == content
    assert sides.relay.sending.sent < 40 - 10  # of this relay: it went on where the other was
    await archived(sides, NAME, f"{NAME}.ok")


async def test_a_kill_between_acceptance_and_archiving(sides: Sides) -> None:
    source = sides.relay.sources["bank"]
    (sides.folder / "archive").rmdir()
    lay(sides, b"content")
    await received(sides)
    await until(lambda: source.standing.state == "failing")
    await sides.kill_front()
    (sides.folder / "archive").mkdir()
    await sides.start_front()
    await archived(sides, NAME, f"{NAME}.ok")
    assert len(await sides.files.received()) == 1


async def test_a_bridge_that_is_away_is_sent_nothing(sides: Sides) -> None:
    sides.taken = False
    lay(sides, b"content")
    await sides.relay.sources["bank"].look()
    assert sides.relay.sending.sent == 0
    assert (sides.folder / "drop" / NAME).exists()
    sides.taken = True
    sides.relay.sources["bank"].hurry()
    await received(sides)


async def test_what_the_bridge_refuses_stays_where_it_is_until_an_operator_says_otherwise(sides: Sides) -> None:
    sides.files.section = sides.files.section.model_copy(update={"profiles": {}})
    lay(sides, b"content")

    async def refused() -> Any:
        return await sides.relay.files.listed(states={FileState.REFUSED})

    (row,) = await until(refused)
    assert row.code == "unknown-profile"
    sent = sides.relay.sending.sent
    await sides.relay.sources["bank"].look()
    assert sides.relay.sending.sent == sent
    assert (sides.folder / "drop" / NAME).exists()
    await sides.relay.count()
    assert [one.name for one in sides.relay.report().refused] == [NAME]
    sides.files.section = sides.files.section.model_validate(
        {"enabled": True, "profiles": {"utility-dsdz": {"names": STATEMENT}}}
    )
    await sides.relay.resend({"id": row.id}, Peer(0, 0))
    (file,) = await received(sides)
    assert file.id == row.id
    with pytest.raises(BridgeError, match="only a refused one"):
        await sides.relay.resend({"id": row.id}, Peer(0, 0))


async def test_a_file_is_laid_down_for_a_platform_with_its_marker(sides: Sides) -> None:
    content = os.urandom(5 * CHUNK_BYTES + 3)
    id = await sides.files.submit("bank-requests", "withholding", "SDDL_DKKK_37101_20261125.txt", content)
    laid = sides.folder / "out" / "SDDL_DKKK_37101_20261125.txt"
    await until(laid.exists)
    assert laid.read_bytes() == content
    marker = laid.with_name(laid.name + ".ok")
    await until(marker.exists)
    assert marker.read_text() == f"{hashlib.sha256(content).hexdigest()} {len(content)}\n"

    async def done() -> bool:
        row = await sides.files.files.find(id)
        return row is not None and row.state is FileState.ACCEPTED

    await until(done)
    assert [one.name for one in (sides.folder / "out").iterdir() if one.name.startswith(".")] == []
    assert await sides.files.submit("bank-requests", "withholding", laid.name, content) == id  # nothing more of it
    assert sides.relay.targets["bank-requests"].laid == 1


async def test_kills_of_either_side_on_the_way_out(sides: Sides) -> None:
    content = os.urandom(40 * CHUNK_BYTES)
    id = await sides.files.submit("bank-requests", "withholding", "batch.txt", content)

    async def some() -> bool:
        row = await sides.relay.files.find(id)
        return row is not None and row.have >= 5

    await until(some)
    await sides.kill_bridge()
    await sides.start_bridge()

    async def more() -> bool:
        row = await sides.relay.files.find(id)
        return row is not None and row.have >= 15

    await until(more)
    await sides.kill_front()
    await sides.start_front()
    laid = sides.folder / "out" / "batch.txt"
    await until(laid.exists)
    assert laid.read_bytes() == content

    async def done() -> bool:
        row = await sides.files.files.find(id)
        return row is not None and row.state is FileState.ACCEPTED

    await until(done)
    assert sides.relay.targets["bank-requests"].laid == 1


async def test_a_relay_that_does_not_answer_keeps_back_no_files_of_another(sides: Sides) -> None:
    sides.files.section = sides.files.section.model_copy(
        update={"targets": {**sides.files.section.targets, "elsewhere": "front-2"}}
    )
    for number in range(sides.files.section.window):
        await sides.files.submit("elsewhere", "withholding", f"batch-{number}.txt", b"nobody reads it")
    await sides.files.submit("bank-requests", "withholding", "batch.txt", b"content")
    await until((sides.folder / "out" / "batch.txt").exists)


async def test_a_file_that_cannot_be_laid_down_keeps_no_other_back(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, write = sides.relay.targets["bank-requests"], LocalPlace.write

    async def refused(place: LocalPlace, name: str, content: AsyncIterator[bytes]) -> None:
        if "first" in name:
            raise PlaceError("Permission denied")
        await write(place, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(LocalPlace, "write", refused)
        await sides.files.submit("bank-requests", "withholding", "first.txt", b"1")
        await until(lambda: target.standing.state == "failing")
        await sides.files.submit("bank-requests", "withholding", "second.txt", b"2")
        await until((sides.folder / "out" / "second.txt").exists)
    await until((sides.folder / "out" / "first.txt").exists)


async def test_a_file_that_cannot_be_read_keeps_no_other_back(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = LocalPlace.reading

    def refused(place: LocalPlace, name: str) -> Any:
        if name == NAME:
            raise PlaceError("Permission denied")
        return reading(place, name)

    monkeypatch.setattr(LocalPlace, "reading", refused)
    later = NAME.replace("2026", "2027")
    assert later > NAME
    lay(sides, b"content")
    lay(sides, b"of another day", later)
    (file,) = await received(sides)
    assert file.name == later
    await until(lambda: sides.relay.sources["bank"].standing.state == "failing")


async def test_a_loop_of_a_place_that_has_ended_is_seen(sides: Sides) -> None:
    assert sides.relay.standing() == ""
    sides.relay._tasks[0].cancel()
    await until(sides.relay.standing)
    assert "loop has ended" in sides.relay.standing()


async def test_another_file_of_that_name_is_not_written_over(sides: Sides) -> None:
    other = sides.folder / "out" / "batch.txt"
    other.write_bytes(b"theirs")
    id = await sides.files.submit("bank-requests", "withholding", "batch.txt", b"ours")

    async def refused() -> bool:
        row = await sides.files.files.find(id)
        return row is not None and row.state is FileState.REFUSED and row.code == "target-exists"

    await until(refused)
    assert other.read_bytes() == b"theirs"
    other.unlink()
    await sides.files.resend({"id": id}, Peer(0, 0))
    await until(other.exists)
    assert other.read_bytes() == b"ours"


async def test_a_target_that_nobody_knows(sides: Sides) -> None:
    with pytest.raises(BridgeError, match="there is no nobody"):
        await sides.files.submit("nobody", "withholding", "batch.txt", b"")
    sides.files.section = sides.files.section.model_copy(update={"targets": {"unset": "front-1"}})
    id = await sides.files.submit("unset", "withholding", "batch.txt", b"x")

    async def refused() -> bool:
        row = await sides.files.files.find(id)
        return row is not None and row.code == "unknown-target"

    await until(refused)


async def test_a_chunk_that_was_altered_at_rest_is_not_read(sides: Sides) -> None:
    lay(sides, os.urandom(2 * CHUNK_BYTES))
    (file,) = await received(sides)
    store = sides._stores["bridge"]
    swapped = FILES.chunks.update().where(FILES.chunks.c.number == 2).values(content=os.urandom(CHUNK_BYTES))
    await store.write(lambda connection: connection.execute(swapped).rowcount)
    with pytest.raises(BridgeError):
        await whole(sides.files, file.id)
    await asyncio.sleep(0)

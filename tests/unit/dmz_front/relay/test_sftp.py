"""The relay at real SFTP servers: OpenSSH's for what it does, asyncssh's for what goes wrong in between."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from dmz_front.files_section import FileServerSection
from dmz_front.relay.outward import Laid, lay_down
from dmz_front.relay.places import HostKeyChanged, PlaceError, Unreachable
from dmz_front.relay.sftp import opened
from protocol.chunks import CHUNK_BYTES
from protocol.runtime.file_store import Direction, FileRow, FileState
from tests.support.sftp import SftpServer, new_key, openssh, pin
from tests.unit.carried import Sides, until

pytestmark = pytest.mark.anyio
NAME = "SDDL_DSDZ_37101_20261124.txt"
STATEMENT = r"SDDL_DSDZ_[0-9]{5}_[0-9]{8}\.txt"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    folder = tmp_path / "sftp"
    folder.mkdir()
    with openssh(folder) as server:
        yield server


def section(server: SftpServer, **changes: Any) -> FileServerSection:
    return FileServerSection.model_validate(server.settings() | changes)


def relay(server: SftpServer, **source: Any) -> dict[str, Any]:
    return {
        "servers": {"bank": server.settings() | {"connect_timeout_s": 10}},
        "sources": {
            "statements": {
                "server": "bank", "folder": f"{server.folder}/out", "archive": f"{server.folder}/out/archive",
                "profiles": {"utility-dsdz": STATEMENT}, "poll_s": 1, "steady_s": 1,
            } | source
        },
        "targets": {"requests": {"server": "bank", "folder": f"{server.folder}/in", "marker": True}},
    }  # fmt: skip


BRIDGE = {"profiles": {"utility-dsdz": {"names": STATEMENT}}, "targets": {"requests": "front-1"}}


@pytest.fixture
async def sides(server: SftpServer, tmp_path: Path) -> AsyncIterator[Sides]:
    sides = Sides(tmp_path, relay(server), BRIDGE)
    await sides.start_bridge()
    try:
        yield sides
    finally:
        await sides.close()


async def test_from_a_server_to_the_bridge_and_back(server: SftpServer, sides: Sides) -> None:
    content = bytes(range(256)) * 3_000
    (server.folder / "out" / NAME).write_bytes(content)
    await sides.start_front()
    (file,) = await until(sides.files.received)
    assert b"".join([data async for data in sides.files.content(file.id)]) == content
    await until((server.folder / "out" / "archive" / NAME).exists)
    assert not (server.folder / "out" / NAME).exists()
    await sides.files.submit("requests", "withholding", "batch.txt", content)
    marker = server.folder / "in" / "batch.txt.ok"
    await until(marker.exists)
    assert (server.folder / "in" / "batch.txt").read_bytes() == content
    assert marker.read_text().split() == [hashlib.sha256(content).hexdigest(), str(len(content))]
    assert {one.name for one in (server.folder / "in").iterdir()} == {"batch.txt", "batch.txt.ok"}


async def test_partial_upload_not_read(server: SftpServer, sides: Sides) -> None:
    """A file that grows is not taken before it has stood still; nor is one under a name of what is being written."""
    growing = server.folder / "out" / NAME
    (server.folder / "out" / f"{NAME}.part").write_bytes(b"never")
    growing.write_bytes(b"first half, ")
    await sides.start_front()
    source = sides.relay.sources["statements"]
    now = 0.0
    source._now = lambda: now
    for _ in range(3):
        now += 10
        with growing.open("ab") as file:
            file.write(b"more, ")
        await source.look()
        assert await sides.files.received() == []
    with growing.open("ab") as file:
        file.write(b"end")
    await source.look()
    now += 10
    source.hurry()
    (file,) = await until(sides.files.received)
    assert b"".join([data async for data in sides.files.content(file.id)]).endswith(b"end")
    await until(lambda: source.archived == 1)
    assert (server.folder / "out" / f"{NAME}.part").exists()
    assert len(await sides.files.received()) == 1


async def test_host_key_change_stops(server: SftpServer, sides: Sides, tmp_path: Path) -> None:
    await sides.start_front()
    source = sides.relay.sources["statements"]
    await until(lambda: source.standing.state == "ok")
    other = new_key(tmp_path / "sftp" / "other_key")
    pin(server.known_hosts, server.port, other)  # as if the server had changed: what it shows is not what is pinned
    await source.look()
    (report,) = [one for one in sides.relay.report().places if one.name == "statements"]
    assert report.state == "host-key-changed"
    tried, connect = 0, source._opened

    def counted() -> Any:
        nonlocal tried
        tried += 1
        return connect()

    source._opened = counted
    (server.folder / "out" / NAME).write_bytes(b"content")
    for _ in range(3):
        await source.look()
    assert tried == 0
    assert await sides.files.received() == []
    pin(server.known_hosts, server.port, tmp_path / "sftp" / "host_key")
    await source.look()
    assert source.standing.state == "ok"
    await until(sides.files.received)


async def test_no_way_without_a_pinned_key(server: SftpServer) -> None:
    server.known_hosts.write_text("")
    with pytest.raises(HostKeyChanged):
        async with opened(section(server), "/"):
            pass
    server.known_hosts.unlink()
    with pytest.raises(Unreachable, match="known_hosts"):
        async with opened(section(server), "/"):
            pass


async def test_a_server_with_another_kind_of_key(server: SftpServer, tmp_path: Path) -> None:
    """It has only an RSA key now, and an Ed25519 one is pinned."""
    kind = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    line = kind.export_public_key().decode().strip()
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {line}\n")
    with pytest.raises(HostKeyChanged):
        async with opened(section(server), "/"):
            pass


async def test_a_key_that_is_not_let_in(server: SftpServer, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="PermissionDenied"):
        async with opened(section(server, key=str(new_key(tmp_path / "stranger"))), "/"):
            pass


async def test_a_folder_that_is_not_there(server: SftpServer) -> None:
    async with opened(section(server), f"{server.folder}/nowhere") as place:
        with pytest.raises(PlaceError):
            await place.list()


async def test_a_folder_with_too_many_entries_is_not_listed(
    server: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        (server.folder / "out" / f"{number}.txt").touch()
    async with opened(section(server), f"{server.folder}/out") as place:
        assert len(await place.list()) == 200
        monkeypatch.setattr("dmz_front.relay.sftp.MOST_ENTRIES", 100)
        with pytest.raises(PlaceError, match="more than "):
            await place.list()
        (server.folder / "out" / NAME).touch()
        assert await place.find(NAME) is not None  # the connection goes on


async def test_nothing_is_renamed_over_another_file(server: SftpServer) -> None:
    for name in ("a", "b"):
        (server.folder / "in" / name).write_text(name)
    async with opened(section(server), f"{server.folder}/in") as place:
        with pytest.raises(PlaceError):
            await place.rename("a", "b")
    assert (server.folder / "in" / "b").read_text() == "b"


async def test_a_link_is_no_file(server: SftpServer) -> None:
    (server.folder / "secret").write_text("x")
    (server.folder / "out" / NAME).symlink_to(server.folder / "secret")
    async with opened(section(server), f"{server.folder}/out") as place:
        assert await place.list() == []


# --- what goes wrong in between --------------------------------------------------------------------------------------


class LosingReply(asyncssh.SFTPServer):
    """Renames, and is gone before it can say so; once."""

    lost = 0

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        super().rename(oldpath, newpath)
        if newpath.endswith(b"batch.txt") and not LosingReply.lost:
            LosingReply.lost += 1
            self.channel.get_connection().abort()
            raise asyncssh.SFTPConnectionLost("gone")


@pytest.fixture
async def losing(tmp_path: Path) -> AsyncIterator[SftpServer]:
    folder, LosingReply.lost = tmp_path / "losing", 0
    folder.mkdir()
    (folder / "served" / "in").mkdir(parents=True)
    host, client = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    host.write_private_key(str(folder / "host_key"))
    host.write_public_key(str(folder / "host_key.pub"))
    client.write_private_key(str(folder / "client_key"))
    client.write_public_key(str(folder / "authorized_keys"))
    listener = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[str(folder / "host_key")], sftp_factory=LosingReply,
        authorized_client_keys=str(folder / "authorized_keys"),
    )  # fmt: skip
    port = listener.get_port()
    pin(folder / "known_hosts", port, folder / "host_key")
    try:
        yield SftpServer("127.0.0.1", port, "utility", folder / "client_key", folder / "known_hosts", folder / "served")
    finally:
        listener.close()
        await listener.wait_closed()


def row(content: bytes) -> FileRow:
    return FileRow(
        "0", Direction.OUTWARD, "front-1", "requests", "batch.txt", "batch.txt", "p", len(content),
        hashlib.sha256(content).hexdigest(), 1, 1, FileState.WHOLE, "", 0, 1, 0, 0, 0,
    )  # fmt: skip


async def test_rename_reply_lost(losing: SftpServer) -> None:
    content = b"ours" * CHUNK_BYTES
    written = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal written
        written += 1
        for at in range(0, len(content), CHUNK_BYTES):
            yield content[at : at + CHUNK_BYTES]

    with pytest.raises(PlaceError):
        async with opened(section(losing), f"{losing.folder}/in") as place:
            await lay_down(place, row(content), pieces, with_marker=True)
    assert LosingReply.lost == 1
    async with opened(section(losing), f"{losing.folder}/in") as place:
        assert await lay_down(place, row(content), pieces, with_marker=True) is Laid.DONE
        assert written == 1  # it was there: only compared
        other = content.replace(b"o", b"O")
        assert await lay_down(place, row(other), pieces, with_marker=True) is Laid.TARGET_EXISTS
    assert (losing.folder / "in" / "batch.txt").read_bytes() == content
    assert {one.name for one in (losing.folder / "in").iterdir()} == {"batch.txt", "batch.txt.ok"}

"""What a file is on its way, and which names are names."""

import hashlib

import pytest

from protocol.chunks import CHUNK_BYTES
from protocol.errors import Malformed
from protocol.file_transfer import (
    MAX_BYTES,
    MAX_CHUNKS,
    BadName,
    Chunk,
    FileManifest,
    Progress,
    Stage,
    checked_chunk,
    chunks_of,
    clean_name,
    file_id,
    last_line,
    marker,
    parsed_id,
    read_marker,
    unfinished,
)

DIGEST = hashlib.sha256(b"x").hexdigest()


def test_a_manifest_is_read_as_it_was_written() -> None:
    said = FileManifest.of("bank", "statement.txt", "utility-dsdz", 2 * CHUNK_BYTES + 1, DIGEST)
    assert said.chunks == 3
    assert b'"bytes":' in said.payload()
    assert FileManifest.from_payload(said.payload()) == said


@pytest.mark.parametrize(
    ("change", "by"),
    [
        (b'"chunks":1', b'"chunks":2'),
        (b'"bytes":1', b'"bytes":536870913'),
        (b'"name":"a.txt"', b'"name":"b.txt"'),
        (b'"name":"a.txt"', b'"name":"../a.txt"'),
        (b'"peer":"bank"', b'"peer":"Bank"'),
        (b'"profile":"p"', b'"more":1,"profile":"p"'),
    ],
)
def test_no_manifest(change: bytes, by: bytes) -> None:
    said = FileManifest.of("bank", "a.txt", "p", 1, DIGEST).payload()
    assert change in said
    with pytest.raises(Malformed):
        FileManifest.from_payload(said.replace(change, by))


def test_the_same_file_has_the_same_id_and_no_other_has() -> None:
    same = {file_id("bank", "a", DIGEST) for _ in range(2)}
    others = {file_id("bank", "b", DIGEST), file_id("other", "a", DIGEST), file_id("bank", "a", "0" * 64)}
    assert len(same) == 1
    assert len(same | others) == 4
    assert parsed_id(f"{same.pop()}:{MAX_CHUNKS}")[1] == MAX_CHUNKS


def test_half_a_gigabyte_fits_the_numbers() -> None:
    assert chunks_of(MAX_BYTES) == MAX_CHUNKS <= 9999
    assert chunks_of(0) == 0


@pytest.mark.parametrize(("position", "size"), [(0, CHUNK_BYTES - 1), (1, CHUNK_BYTES), (CHUNK_BYTES, CHUNK_BYTES)])
def test_a_chunk_lies_where_its_number_says(position: int, size: int) -> None:
    good = Chunk(0, bytes(CHUNK_BYTES)).payload()
    assert checked_chunk(good, 2 * CHUNK_BYTES, 1).data == bytes(CHUNK_BYTES)
    with pytest.raises(Malformed):
        checked_chunk(Chunk(position, bytes(size)).payload(), 2 * CHUNK_BYTES, 1)


@pytest.mark.parametrize("name", [".a", "a.tmp", "a.PART", "a.txt.filepart", ".a.txt.tmp"])
def test_what_is_being_written_is_not_read(name: str) -> None:
    assert unfinished(name)
    assert not unfinished("a.txt")


def test_blanks_are_no_part_of_a_name() -> None:
    assert clean_name("SDDL_REDKKK_ 37101_20261125.txt") == "SDDL_REDKKK_37101_20261125.txt"
    assert clean_name("\u3000对账 单.txt ") == "对账单.txt"


@pytest.mark.parametrize(
    "name",
    ["../a", "a/b", "a\\b", "..", ".", " ", "", "a\n.txt", "a\0", "a\x7f", "a\u202etxt", "\udcb0\udca1.txt", "x" * 201,
     "电" * 90, " .a"],
)  # fmt: skip
def test_no_name(name: str) -> None:
    with pytest.raises(BadName):
        clean_name(name)


def test_a_marker_is_read_as_it_was_written() -> None:
    assert read_marker(marker(DIGEST, 17)) == (DIGEST, 17)
    assert read_marker(DIGEST.upper().encode() + b"  *17") == (DIGEST, 17)
    for half in (b"", DIGEST.encode(), DIGEST[:40].encode() + b" 17", b"\xef\xbc\x91" * 64 + b" 17"):
        assert read_marker(half) is None


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_the_last_line(encoding: str) -> None:
    text = "a\r\n#导出时间：[2026年11月25日 09:00:00]\r\n\r\n".encode(encoding)
    assert last_line(text) == "#导出时间：[2026年11月25日 09:00:00]"
    assert last_line(text[:-8]) != last_line(text)
    assert last_line("东".encode(encoding)[:1]) == ""


def test_progress() -> None:
    said = Progress(file_id=file_id("bank", "a", DIGEST), number=3, stage=Stage.REFUSED, code="digest", have=2)
    assert Progress.from_payload(said.payload()) == said
    assert said.decided
    assert not said.model_copy(update={"stage": Stage.UNKNOWN}).decided
    with pytest.raises(Malformed):
        Progress.from_payload(b'{"file_id":"x"}')

"""The messages of the attachments' lane."""

from dataclasses import replace

import pytest

from protocol.attachments import (
    CHUNK_BYTES,
    MAX_BYTES,
    MAX_CHUNKS,
    SEALED_BYTES,
    TYPE,
    Chunk,
    Manifest,
    Receipt,
    message_id,
    parsed_id,
)
from protocol.envelope import Kind, Sealer
from protocol.errors import Malformed
from protocol.keyring import Keyring
from protocol.media import Fault, MediaType
from protocol.messages import WIRE_VERSION, Attributes, Role
from protocol.operations import CATALOGUE
from tests.unit.clock import NOW

ID = "01a20058-c569-7555-97ad-5f35eb5182d8"


def test_the_type_is_no_operation() -> None:
    assert TYPE not in CATALOGUE


def test_messages_are_read_as_they_were_written() -> None:
    manifest = Manifest(length=7, sha256="0" * 64, media_type=MediaType.PNG)
    assert Manifest.from_payload(manifest.payload()) == manifest
    chunk = Chunk(5, b"content")
    assert Chunk.from_payload(chunk.payload()) == chunk
    assert parsed_id(message_id(ID, MAX_CHUNKS)) == (ID, MAX_CHUNKS)
    assert Receipt.from_result(b'{"whole":true,"fault":"digest"}') == Receipt(whole=True, fault=Fault.DIGEST)


def test_no_envelope_is_longer_than_it_may_be(front_keyring: Keyring) -> None:
    longest = Attributes(
        message_id(ID, MAX_CHUNKS),
        "s" * 160,
        TYPE,
        NOW,
        "s" * 64,
        "t" * 64,
        NOW + 1,
        "r" * 160,
        "a" * 64,
        WIRE_VERSION,
    )
    chunk = Chunk(MAX_BYTES - CHUNK_BYTES, bytes(CHUNK_BYTES))
    ring = replace(front_keyring, group="g" * 64)
    sealed = Sealer(ring, Role.BRIDGE).seal(Kind.REQUEST, longest, chunk.payload(), now_ms=NOW)
    assert SEALED_BYTES - 512 < len(sealed) <= SEALED_BYTES


@pytest.mark.parametrize("id", ["", ID, f"{ID}:", f"{ID}:x", f"{ID}:-1", f"{ID}:{MAX_CHUNKS + 1}", f"{ID.upper()}:1"])
def test_other_ids_are_refused(id: str) -> None:
    with pytest.raises(Malformed):
        parsed_id(id)


@pytest.mark.parametrize(
    "payload",
    [b"", bytes(8), Chunk(0, bytes(CHUNK_BYTES + 1)).payload(), Chunk(MAX_BYTES, b"x").payload(), b"\xff" * 9],
)
def test_other_chunks_are_refused(payload: bytes) -> None:
    with pytest.raises(Malformed):
        Chunk.from_payload(payload)


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"length":0,"sha256":"","media_type":"text/html"}'])
def test_other_manifests_and_receipts_are_refused(payload: bytes) -> None:
    with pytest.raises(Malformed):
        Manifest.from_payload(payload)
    with pytest.raises(Malformed):
        Receipt.from_result(payload)

"""Files of whole statements and batches across the boundary, each as one manifest and numbered chunks. Pure.

Attachments are a customer's and belong to a command; these belong to nobody's request: a platform lays them down for
us, or we for it. Each message is sealed by itself (chunks.py), and the manifest goes first::

    inward    relay  ─ bridge.file.<region>: request `file`          ─► bridge
              relay  ◄─ bridge.reply.command.<front>: reply `file`   ─ bridge
    outward   bridge ─ front.file.<front>: reply `file`              ─► relay
              bridge ◄─ bridge.file.<region>: request `file-receipt` ─ relay

Who receives answers each message when it has it on disk, with how it stands (`Progress`). `have` is how many chunks are
there without a gap, so that a sender which knows nothing any more goes on where it was. A file's id is made of where it
is from, its name and its digest: the same file is never two.
"""

import hashlib
import re
import unicodedata
import uuid
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from protocol.chunks import CHUNK_BYTES, Chunk, message_id, split_id
from protocol.errors import Malformed
from protocol.operations.fields import Model

__all__ = ["CHUNK_BYTES", "Chunk", "message_id"]

TYPE = "file"
"""The `type` attribute; no operation of the catalogue is called so."""
RECEIPT = "file-receipt"
"""That of what a relay says of a file on its way outward."""
MAX_BYTES = 512 * 1024 * 1024
MAX_CHUNKS = -(-MAX_BYTES // CHUNK_BYTES)
LONGEST_NAME = 200
"""Characters of a file's name."""
UNFINISHED = (".tmp", ".part", ".filepart")
"""Ends of names that are still being written."""
MARKER = ".ok"
"""End of the name of a file that says that the one before it is whole: `sha256 bytes`."""

Part = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$")]
"""A name of the configuration: lower-case letters, digits, inner hyphens."""
FileId = Annotated[str, StringConstraints(pattern="^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]

_SEPARATORS = re.compile(r"[/\\]")
_DIGEST_LINE = re.compile(rb"\s*([0-9A-Fa-f]{64})[ \t]+\*?([0-9]{1,12})\s*")


class BadName(ValueError):
    """A file's name that is not one: it would lead elsewhere, or cannot be shown."""


class Stage(StrEnum):
    """How a file stands at who receives it."""

    UNKNOWN = "unknown"
    """Its manifest is not there (any more): begin with that."""
    RECEIVING = "receiving"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    """For good; `code` says why."""


class FileManifest(Model):
    """What a file is."""

    model_config = ConfigDict(populate_by_name=True)

    file_id: FileId
    peer: Part
    """Where it is from, or for, as the relay's configuration calls it."""
    name: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]
    profile: Part
    """What kind of file it is."""
    size: Annotated[int, Field(alias="bytes", ge=0, le=MAX_BYTES)]
    """Bytes."""
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    chunks: Annotated[int, Field(ge=0, le=MAX_CHUNKS)]
    attempt: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Grows when an operator has a refused file sent again."""

    @classmethod
    def of(cls, peer: str, name: str, profile: str, size: int, sha256: str, attempt: int = 0) -> "FileManifest":
        """Of a file whose content is known. Raises ValueError for what is none."""
        return cls(
            file_id=file_id(peer, name, sha256), peer=peer, name=name, profile=profile, size=size, sha256=sha256,
            chunks=chunks_of(size), attempt=attempt,
        )  # fmt: skip

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.chunks != chunks_of(self.size):
            raise ValueError("chunks: not as many as the file has")
        if clean_name(self.name) != self.name:
            raise ValueError("name: has blanks")
        if self.file_id != file_id(self.peer, self.name, self.sha256):
            raise ValueError("file_id: is another file's")
        return self

    def payload(self) -> bytes:
        """What is sealed."""
        return self.model_dump_json(by_alias=True).encode()

    @classmethod
    def from_payload(cls, payload: bytes) -> "FileManifest":
        """Read what `payload` wrote. Raises Malformed."""
        try:
            return cls.model_validate_json(payload)
        except ValidationError as error:
            raise Malformed("not a manifest of a file") from error


class Progress(BaseModel):
    """How a file stands, said in answer to one of its messages."""

    # Unknown fields are ignored on purpose: a newer side may say more than an older one knows.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    file_id: FileId
    number: Annotated[int, Field(ge=0, le=MAX_CHUNKS)]
    """The message that is answered; 0 too of one that was not asked for."""
    stage: Annotated[Stage, Field(strict=False)]
    code: Annotated[str, StringConstraints(pattern="^[a-z0-9-]{0,40}$")] = ""
    """Why it is refused."""
    have: Annotated[int, Field(ge=0, le=MAX_CHUNKS)] = 0
    """Chunks that are there, from the first without a gap."""

    def payload(self) -> bytes:
        """What is sealed."""
        return self.model_dump_json().encode()

    @classmethod
    def from_payload(cls, payload: bytes) -> "Progress":
        """Read what `payload` wrote. Raises Malformed."""
        try:
            return cls.model_validate_json(payload)
        except ValidationError as error:
            raise Malformed("does not say how a file stands") from error

    @property
    def decided(self) -> bool:
        """Nothing more is to be sent."""
        return self.stage in (Stage.ACCEPTED, Stage.REFUSED)


def chunks_of(size: int) -> int:
    """How many chunks a file has. An empty one has none."""
    return -(-size // CHUNK_BYTES)


def file_id(peer: str, name: str, sha256: str) -> str:
    """The id of a file: the same for the same content under the same name from the same place."""
    digest = hashlib.sha256("\0".join(("dmz-bridge file 1", peer, name, sha256)).encode()).digest()
    value = bytearray(digest[:16])
    value[6], value[8] = value[6] & 0x0F | 0x80, value[8] & 0x3F | 0x80  # RFC 9562, 5.8: version 8
    return str(uuid.UUID(bytes=bytes(value)))


def parsed_id(id: str) -> tuple[str, int]:
    """File and number. Raises Malformed."""
    return split_id(id, MAX_CHUNKS)


def checked_chunk(payload: bytes, size: int, number: int) -> Chunk:
    """The chunk with this number of a file so long. Raises Malformed."""
    chunk = Chunk.of(payload, MAX_BYTES)
    expected = min(CHUNK_BYTES, size - (number - 1) * CHUNK_BYTES)
    if chunk.position != (number - 1) * CHUNK_BYTES or len(chunk.data) != expected:
        raise Malformed("not the chunk it says it is")
    return chunk


def unfinished(name: str) -> bool:
    """Whether it is being written, or nothing for us: a dot in front, `.tmp`, `.part`, `.filepart`."""
    return name.startswith(".") or name.lower().endswith(UNFINISHED)


def clean_name(name: str) -> str:
    """`name` without the blanks in it: some banks pad a field (`SDDL_REDKKK_ 37101_20261125.txt`).

    Raises BadName for one that is too long, or holds separators of paths, characters that cannot be shown, or bytes
    that are no text.
    """
    if _SEPARATORS.search(name) or name.strip(". ") == "":
        raise BadName("separator")
    for character in name:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            raise BadName("control character")
    cleaned = "".join(name.split())
    if not 0 < len(cleaned) <= LONGEST_NAME or len(cleaned.encode()) > 255 - len("..ok.tmp"):
        raise BadName("length")
    if cleaned.startswith("."):
        raise BadName("dot")
    return cleaned


def marker(sha256: str, size: int) -> bytes:
    """What a marker says."""
    return f"{sha256} {size}\n".encode()


def read_marker(content: bytes) -> tuple[str, int] | None:
    """Digest and bytes; None if it says neither: it may be half written."""
    found = _DIGEST_LINE.fullmatch(content)
    return None if found is None else (found[1].decode().lower(), int(found[2]))


def last_line(tail: bytes) -> str:
    """The last line of a file that is not empty, from its end: UTF-8, else GB 18030. Empty: there is none, or it is no
    text (a character was cut).
    """
    line = tail.rstrip().rpartition(b"\n")[2].strip()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return line.decode(encoding).strip()
        except UnicodeDecodeError:
            continue
    return ""

"""Files on their way to the bridge: each as one manifest and numbered chunks, every one sealed by itself. Pure.

A message of the attachments' lane is an envelope of kind request, type `attachment`, id `<attachment>:<number>`::

    number 0, the manifest         JSON: length, SHA-256 (hex) and media type of the whole file
    number 1, 2, …, a chunk        offset  size
                                      0      8  where its bytes begin in the file, unsigned, big-endian
                                      8      …  the bytes, at most CHUNK_BYTES

They may come in any order and more than once. The bridge answers each, when it has it on disk, with a reply of the
same type and id, state succeeded, whose result says whether the file is whole there and what is wrong with it::

    {"whole": true, "fault": null}      fault: null, "type", "damaged" or "digest" (media.py)

The front keeps a message until that reply is here, and sends it again after a while.
"""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from protocol.chunks import CHUNK_BYTES as CHUNK_BYTES
from protocol.chunks import SEALED_BYTES as SEALED_BYTES
from protocol.chunks import Chunk as Piece
from protocol.chunks import message_id as message_id
from protocol.chunks import split_id
from protocol.errors import Malformed
from protocol.media import Fault, MediaType
from protocol.operations.fields import Model
from protocol.operations.operation import Operation

TYPE = "attachment"
"""The `type` attribute; no operation of the catalogue is called so."""
MAX_FILES = 10
MAX_BYTES = 20 * 1024 * 1024
"""Of all files of one command together."""
MIN_CHUNK_BYTES = 32 * 1024
"""Of every chunk but a file's last: so a file has at most MAX_BYTES / MIN_CHUNK_BYTES + 1 of them."""
MAX_CHUNKS = MAX_BYTES // MIN_CHUNK_BYTES + 1

FAULT_CODES = {
    Fault.TYPE: "attachment-type",
    Fault.DAMAGED: "attachment-damaged",
    Fault.DIGEST: "attachment-digest",
}
"""What a caller is told of each fault."""

Length = Annotated[int, Field(ge=1, le=MAX_BYTES, description="Bytes")]
Digest = Annotated[
    str, StringConstraints(pattern="^[0-9a-f]{64}$"), Field(description="SHA-256, 64 hexadecimal digits in lower case")
]


class Manifest(Model):
    """What a file is said to be by who uploads it."""

    length: Length
    sha256: Digest
    media_type: Annotated[MediaType, Field(strict=False)]

    def payload(self) -> bytes:
        """The bytes that are sealed."""
        return self.model_dump_json().encode()

    @classmethod
    def from_payload(cls, payload: bytes) -> "Manifest":
        """Read what `payload` wrote. Raises Malformed."""
        try:
            return cls.model_validate_json(payload)
        except ValidationError as error:
            raise Malformed("not a manifest of an attachment") from error


class Chunk(Piece):
    """A part of an attachment."""

    @classmethod
    def from_payload(cls, payload: bytes) -> "Chunk":
        """Read what `payload` wrote. Raises Malformed."""
        piece = Piece.of(payload, MAX_BYTES)
        return cls(piece.position, piece.data)


class Receipt(Model):
    """What the bridge says of a file when it has stored a message of it."""

    whole: bool
    """All of it is there, and was looked at."""
    fault: Annotated[Fault, Field(strict=False)] | None = None

    @classmethod
    def from_result(cls, result: bytes) -> "Receipt":
        """Read a reply's result. Raises Malformed."""
        try:
            return cls.model_validate_json(result)
        except ValidationError as error:
            raise Malformed("not a receipt of an attachment") from error


def parsed_id(id: str) -> tuple[str, int]:
    """Attachment and number. Raises Malformed."""
    return split_id(id, MAX_CHUNKS)


def named(operation: Operation, asked: BaseModel) -> dict[str, str]:
    """The attachments that a request names, in their order: id → the field that names it, dotted."""
    found: dict[str, str] = {}
    for field in operation.attachments:
        value = getattr(asked, field)
        if isinstance(value, str):
            found.setdefault(value, field)
        else:
            for at, id in enumerate(value or ()):
                found.setdefault(id, f"{field}.{at}")
    return found

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

import re
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from protocol.errors import Malformed
from protocol.media import Fault, MediaType
from protocol.operations.fields import Model
from protocol.operations.operation import Operation
from protocol.values import immutable

TYPE = "attachment"
"""The `type` attribute; no operation of the catalogue is called so."""
MAX_FILES = 10
MAX_BYTES = 20 * 1024 * 1024
"""Of all files of one command together."""
SEALED_BYTES = 192 * 1024
"""No envelope is longer. What it holds beside the chunk takes less than a KB, whatever the attributes are."""
CHUNK_BYTES = SEALED_BYTES - 1024
MIN_CHUNK_BYTES = 32 * 1024
"""Of every chunk but a file's last: so a file has at most MAX_BYTES / MIN_CHUNK_BYTES + 1 of them."""
MAX_CHUNKS = MAX_BYTES // MIN_CHUNK_BYTES + 1

FAULT_CODES = {
    Fault.TYPE: "attachment-type",
    Fault.DAMAGED: "attachment-damaged",
    Fault.DIGEST: "attachment-digest",
}
"""What a caller is told of each fault."""

_ID = re.compile("([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([0-9]{1,4})")
_POSITION = 8

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


@immutable
class Chunk:
    """A part of a file."""

    position: int
    data: bytes

    def payload(self) -> bytes:
        """The bytes that are sealed."""
        return self.position.to_bytes(_POSITION, "big") + self.data

    @classmethod
    def from_payload(cls, payload: bytes) -> "Chunk":
        """Read what `payload` wrote. Raises Malformed."""
        chunk = cls(int.from_bytes(payload[:_POSITION], "big"), payload[_POSITION:])
        if not (0 < len(chunk.data) <= CHUNK_BYTES and chunk.position + len(chunk.data) <= MAX_BYTES):
            raise Malformed("not a chunk of an attachment")
        return chunk


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


def message_id(attachment: str, number: int) -> str:
    """The id of a message: 0 is the manifest."""
    return f"{attachment}:{number}"


def parsed_id(id: str) -> tuple[str, int]:
    """Attachment and number. Raises Malformed."""
    found = _ID.fullmatch(id)
    if found is None or int(found[2]) > MAX_CHUNKS:
        raise Malformed("not the id of an attachment's message")
    return found[1], int(found[2])


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

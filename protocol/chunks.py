"""A file in pieces, none longer than a sealed message may be: what attachments and files share. Pure.

A message's id is `<file>:<number>`. Number 0 is the manifest, and says what the whole is; 1, 2, … are the pieces::

    offset  size
         0     8  where its bytes begin in the file, unsigned, big-endian
         8     …  the bytes, at most CHUNK_BYTES
"""

import re

from protocol.errors import Malformed
from protocol.values import immutable

SEALED_BYTES = 192 * 1024
"""No envelope is longer. What it holds beside the chunk takes less than a KB, whatever the attributes are."""
CHUNK_BYTES = SEALED_BYTES - 1024

_ID = re.compile("([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([0-9]{1,4})")
_POSITION = 8


@immutable
class Chunk:
    """A part of a file."""

    position: int
    data: bytes

    def payload(self) -> bytes:
        """The bytes that are sealed."""
        return self.position.to_bytes(_POSITION, "big") + self.data

    @classmethod
    def of(cls, payload: bytes, longest: int) -> "Chunk":
        """Read what `payload` wrote, of a file of at most `longest` bytes. Raises Malformed."""
        chunk = cls(int.from_bytes(payload[:_POSITION], "big"), payload[_POSITION:])
        if not (0 < len(chunk.data) <= CHUNK_BYTES and chunk.position + len(chunk.data) <= longest):
            raise Malformed("not a chunk of a file")
        return chunk


def message_id(file: str, number: int) -> str:
    """The id of a message: 0 is the manifest."""
    return f"{file}:{number}"


def split_id(id: str, most: int) -> tuple[str, int]:
    """File and number, which is at most `most`. Raises Malformed."""
    found = _ID.fullmatch(id)
    if found is None or int(found[2]) > most:
        raise Malformed("not the id of a file's message")
    return found[1], int(found[2])

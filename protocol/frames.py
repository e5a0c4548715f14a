"""A message on the broker carries one or more sealed envelopes. Pure.

    offset  size  field
    0       1     0xD7, the mark of a frame of this product
    1       1     version, 0x01
    2       1     count of envelopes, 1 to 64
    3       4     length of the first envelope, bytes, unsigned, big-endian, at least 1
    7       n     the first envelope
    ...           (length, envelope) again, count times, and nothing after the last

Each envelope stands alone: its own id, deadline, signature. The frame is not signed; taking it apart wrongly can
only yield envelopes that do not open.
"""

from struct import Struct

from protocol.errors import Malformed, UnknownVersion

MARK = 0xD7
VERSION = 1
MAX_ENVELOPES = 64

_HEAD = Struct("!BBB")
_LENGTH = Struct("!I")
MEMBER_OVERHEAD = _LENGTH.size
"""Bytes a frame adds to each envelope."""


def pack(envelopes: list[bytes]) -> bytes:
    """The frame that carries `envelopes`. Raises ValueError for none, too many, or an empty one."""
    count = len(envelopes)
    if not 1 <= count <= MAX_ENVELOPES:
        raise ValueError(f"a frame carries 1 to {MAX_ENVELOPES} envelopes, not {count}")
    parts = [_HEAD.pack(MARK, VERSION, count)]
    for envelope in envelopes:
        if not envelope:
            raise ValueError("an envelope is not empty")
        parts += (_LENGTH.pack(len(envelope)), envelope)
    return b"".join(parts)


def unpack(frame: bytes) -> list[bytes]:
    """The envelopes of a frame. Raises UnknownVersion for another version, Malformed for any other shape."""
    size = len(frame)
    if size < _HEAD.size:
        raise Malformed("the frame is cut off")
    mark, version, count = _HEAD.unpack_from(frame)
    if mark != MARK:
        raise Malformed("not a frame of this product")
    if version != VERSION:
        raise UnknownVersion(f"frame version {version}")
    if not 1 <= count <= MAX_ENVELOPES:
        raise Malformed(f"the frame claims {count} envelopes")
    envelopes = []
    at = _HEAD.size
    for _ in range(count):
        start = at + _LENGTH.size
        if start > size:
            raise Malformed("the frame is cut off")
        (length,) = _LENGTH.unpack_from(frame, at)
        at = start + length
        if not length or at > size:
            raise Malformed("an envelope of the frame is empty or cut off")
        envelopes.append(frame[start:at])
    if at != size:
        raise Malformed("the frame goes on after its last envelope")
    return envelopes

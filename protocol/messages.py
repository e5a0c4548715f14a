"""Request, Reply, Presence: what crosses the boundary, as frozen values.

The attributes are those of CloudEvents 1.0 (id, source, type, time, subject, traceparent) plus `deadline`
and `reply_to`. Attributes travel authenticated but readable, so nothing that tells of a customer may be in
them: `subject` is a keyed pseudonym, and bodies are sealed (see envelope.py).
"""

import math
import re
from dataclasses import field
from enum import StrEnum

from protocol.errors import Malformed, OutOfRange
from protocol.lifecycle import State
from protocol.values import immutable

WIRE_VERSION = 3
"""The latest wire version this program speaks; it reads all from LOWEST_VERSION on (protocol/README.md, Versions)."""
LOWEST_VERSION = 1
"""What every program reads: for who does not know the other side yet, and for presence."""


ID = re.compile(r"[0-9A-Za-z._:-]{1,64}")
"""What an id looks like. It is written into header lines, rows and logs."""
_FRONT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MAX_TIME_MS = 10**15 - 1
"""The latest instant that can be said, epoch ms: far beyond any date, and far within 64 bits."""
HORIZON_MS = 3_660 * 24 * 3_600_000
"""A deadline is at most ten years after the message's own time."""
AHEAD_MS = 12 * 3_600_000
"""A command may be dated so far ahead. A front whose clock was wrong for a moment has accepted commands that nobody
may refuse for it: they would wait for the clock, and later ones of their key would overtake them. It costs nothing
but memory: the inbox remembers for so much longer than messages live (see settings)."""
CODE_LENGTH = 64
DETAIL_LENGTH = 4_000

_RETRY = re.compile(rb'\{"retry_after_s":([0-9]{1,9})\}')
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def fitted(text: str, most: int) -> str:
    """`text` as every database, log and header line can hold it: at most `most` characters, and a replacement
    character (U+FFFD) for each control character and lone surrogate. It may come from a marketing system's answer.
    """
    return _UNWRITABLE.sub("\ufffd", text[:most])


class Role(StrEnum):
    """Who holds a key or a certificate."""

    FRONT = "front"
    BRIDGE = "bridge"
    MONITOR = "monitor"
    OPERATOR = "operator"
    BROKER = "broker"


@immutable
class Attributes:
    """The readable, authenticated part of an envelope."""

    id: str
    """Request id (RFC 9562 UUIDv7); a reply carries the id of its request."""
    source: str
    """Who sent it: `front-1/wechat` (instance/application) or `bridge-1`."""
    type: str
    """Operation name, as in the catalogue."""
    time: int
    """When it was made, milliseconds since the epoch by the sender's clock."""
    subject: str = ""
    """Pseudonym of the ordering key, or empty: requests with the same subject are done in order."""
    traceparent: str = ""
    """W3C Trace Context, passed on unchanged."""
    deadline: int = 0
    """After this instant (epoch ms) nobody waits any more; 0 means none."""
    reply_to: str = ""
    """The reply destination of the front that asked; empty in replies."""
    after: str = ""
    """Commands, from version 2: id of the unfinished command of the same subject that was accepted last before this
    one, or empty if there was none. Version 1 cannot say it. Queries: `no-cache` if their caller wants no kept answer
    (freshness.py)."""
    version: int = LOWEST_VERSION
    """Wire version of the envelope: of the one it was read from, or is to be sealed in."""
    group: str = ""
    """The group of fronts that it is of, or for: that of its key. Said from version 3 on; empty: of all fronts."""


@immutable
class Request:
    """An operation asked for; `body` is the caller's JSON as it was validated, byte for byte."""

    attributes: Attributes
    body: bytes = field(repr=False)


@immutable
class Reply:
    """What became of a request.

    `state` is one of the states an outcome may have (see lifecycle.py); `code` is a stable word (`""` on
    success, the business code of a refusal, the reason of a failure); `detail` a sentence for people;
    `result` the answer's JSON, byte for byte as the caller will get it (empty when there is none).
    """

    attributes: Attributes
    state: State
    code: str = ""
    detail: str = field(default="", repr=False)
    result: bytes = field(default=b"", repr=False)

    def payload(self) -> bytes:
        """The bytes that are sealed: three lines of text, then the result.

        ::

            state LF code LF detail LF result...

        Code and detail are made to fit what `from_payload` takes: they may be a marketing system's words.
        """
        if not (self.code or self.detail):
            return f"{self.state}\n\n\n".encode() + self.result
        code, detail = fitted(self.code, CODE_LENGTH), fitted(" ".join(self.detail.split()), DETAIL_LENGTH)
        return f"{self.state}\n{code}\n{detail}\n".encode() + self.result

    @classmethod
    def from_payload(cls, attributes: Attributes, payload: bytes) -> "Reply":
        """Read what `payload` wrote. Raises Malformed, OutOfRange."""
        try:
            state, code, detail, result = payload.split(b"\n", 3)
            reply = cls(attributes, State(state.decode()), code.decode(), detail.decode(), result)
        except ValueError as error:
            raise Malformed("reply payload is not state, code, detail, result") from error
        if reply.code != fitted(reply.code, CODE_LENGTH) or len(reply.detail) > DETAIL_LENGTH:
            raise OutOfRange("the code or the detail of the reply is too long", request=attributes.id)
        return reply


def retry_after(seconds: float) -> bytes:
    """The result of a failed reply that says when it may be tried again; empty if never."""
    return b'{"retry_after_s":%d}' % math.ceil(seconds) if seconds > 0 else b""


def retry_after_of(reply: Reply) -> float | None:
    """What `retry_after` wrote, seconds up to a day; None if the reply does not say."""
    found = _RETRY.fullmatch(reply.result)
    return min(float(found[1]), 86_400.0) if found else None


def is_front_id(id: str) -> bool:
    """Whether it is a UUID, as fronts make them. A bridge's own commands have ids that are none (`{order}-{line}`)."""
    return _FRONT_ID.fullmatch(id) is not None


def uuid7(now_ms: int, entropy: bytes) -> str:
    """A time-ordered unique id (RFC 9562 section 5.7) from a clock reading and 10 random bytes."""
    return _uuid7((now_ms & 0xFFFF_FFFF_FFFF) << _RANDOM_BITS | int.from_bytes(entropy[:10], "big") & _RANDOM)


class GrowingIds:
    """UUIDv7 ids each greater than the one before, also within a millisecond and when the clock is put back
    (RFC 9562 section 6.2, method 2): what was accepted later sorts later.
    """

    def __init__(self) -> None:
        self._last = -1

    def next(self, now_ms: int, entropy: bytes) -> str:
        """The next id, from a clock reading and 10 random bytes."""
        random = int.from_bytes(entropy[:10], "big") & _RANDOM
        value = (now_ms & 0xFFFF_FFFF_FFFF) << _RANDOM_BITS | random
        self._last = value if value > self._last else self._last + 1 + (random & 0xFFFF_FFFF)
        return _uuid7(self._last)


_RANDOM_BITS = 74
_RANDOM = (1 << _RANDOM_BITS) - 1


def _uuid7(value: int) -> str:
    """From 48 bits of time and 74 random ones; version and variant are put between."""
    time, high, low = value >> _RANDOM_BITS, value >> 62 & 0xFFF, value & (1 << 62) - 1
    text = f"{time << 80 | 0x7 << 76 | high << 64 | 0x2 << 62 | low:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

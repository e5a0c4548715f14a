"""STOMP 1.2 frames to bytes and back. Pure: no I/O, no clock; one `Splitter` for each connection.

    COMMAND LF  *( key ":" value LF )  LF  body NUL  *( LF )          (EOL may also be CR LF)

The frames are stomp.py's own `Frame`. Its encoder and parser are not used: `convert_frame` sorts and encodes
line by line, `parse_frame` runs three regular expressions a header, together more than half of the time of a
round trip; and both leave undone what the specification demands (keys unescaped, unknown escapes accepted).
Source: https://stomp.github.io/stomp-specification-1.2.html, "Augmented BNF" and "Value Encoding".
"""

import re
from collections.abc import Iterator

from protocol.errors import LinkError
from protocol.link.stomppy import Frame

MAX_HEADER_BYTES = 64 * 1024
"""A header block larger than this is an attack or a fault (ActiveMQ itself stops a header line at 10 KiB)."""

_HEADER_END = re.compile(rb"\n\r?\n")
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_PLAIN = {"r": "\r", "n": "\n", "c": ":", "\\": "\\"}
_PLAIN_KEYS = frozenset(
    {"destination", "content-length", "receipt", "persistent", "expires", "id", "ack", "activemq.prefetchSize"}
)
"""Keys known to need no escapes: `Protocol12` escapes values only."""
_UNESCAPED_COMMANDS = frozenset({"CONNECT", "CONNECTED", "STOMP"})


class ProtocolViolation(LinkError):
    """The peer sent bytes that are not STOMP 1.2, or a frame larger than the bound: the connection is over."""


class Received(Frame):  # type: ignore[misc]  # stomp.py is untyped
    """A frame as received. Unlike its parent it makes no second copy of the headers."""

    def __init__(self, cmd: str, headers: dict[str, str], body: bytes) -> None:
        self.cmd, self.headers, self.body = cmd, headers, body


def encode(frame: Frame) -> bytes:
    """The bytes of a frame whose header *values* `Protocol12` has escaped. The body is bytes, or empty.

    Raises ValueError if a header would break out of its line, which only CONNECT's can: it knows no escapes
    (STOMP 1.2, "Value Encoding").
    """
    headers = frame.headers
    if frame.cmd in _UNESCAPED_COMMANDS:
        head = "".join([f"{key}:{value}\n" for key, value in headers.items()])
    else:
        head = "".join([f"{key if key in _PLAIN_KEYS else escape(key)}:{value}\n" for key, value in headers.items()])
    if head.count("\n") != len(headers) or "\r" in head:
        raise ValueError(f"a header of {frame.cmd} holds a line end: one of {', '.join(map(repr, headers))}")
    return b"%b\n%b\n%b\0" % (frame.cmd.encode(), head.encode(), frame.body or b"")


def escape(text: str) -> str:
    """`text` as it stands in a header key or value of any frame but CONNECT and CONNECTED."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    return text.replace("\r", "\\r").replace("\n", "\\n").replace(":", "\\c")


def unescape(text: str) -> str:
    """The inverse of `escape`. Raises ProtocolViolation for an escape the specification does not define."""
    if "\\\\" not in text:  # the usual case: ActiveMQ's message ids hold \\c and nothing else
        plain = text.replace("\\c", ":")
        if "\\" not in plain:
            return plain
    return _ESCAPE.sub(_plain, text)


def _plain(match: re.Match[str]) -> str:
    try:
        return _PLAIN[match[1]]
    except KeyError:
        raise ProtocolViolation("undefined escape in a header") from None


def parse_head(block: bytes) -> tuple[str, dict[str, str]]:
    """Command and headers of a header block (without the empty line). A repeated header's first value counts."""
    try:
        text = block.decode()
        if "\r" in text:
            text = text.replace("\r\n", "\n").removesuffix("\r")
        lines = text.split("\n")
        command = lines[0]
        # Backwards, so that the first of repeated headers is written last and stays (STOMP 1.2, "Repeated Header").
        headers: dict[str, str] = dict([line.split(":", 1) for line in lines[:0:-1]])
    except ValueError as error:  # a line without a colon, or not UTF-8 (UnicodeDecodeError is a ValueError)
        raise ProtocolViolation(f"malformed header block: {type(error).__name__}") from None
    if "\\" in text and command not in _UNESCAPED_COMMANDS:
        if any("\\" in key for key in headers):
            headers = {unescape(key): value for key, value in headers.items()}
        for key, value in headers.items():
            if "\\" in value:
                headers[key] = unescape(value)
    return command, headers


_Head = tuple[str, dict[str, str], int]
"""Command, headers, offset of the body."""


class Splitter:
    """Cuts a stream of bytes into frames, at a cost linear in the bytes however they are chunked.

    Between calls it keeps at most one incomplete frame, so its memory is bounded by `max_frame_bytes`.
    """

    __slots__ = ("_head", "_kept", "_max", "_need", "_scanned")

    def __init__(self, max_frame_bytes: int) -> None:
        self._max = max_frame_bytes
        self._kept = bytearray()  # the incomplete frame
        self._head: tuple[str, dict[str, str], int] | None = None  # its parsed head and its body's offset, if here
        self._need = 0  # it cannot be complete before this many bytes are here
        self._scanned = 0  # the terminator being looked for (of head or body) is not before this offset

    @property
    def buffered(self) -> int:
        """Bytes of the incomplete frame."""
        return len(self._kept)

    def feed(self, data: bytes) -> Iterator[Received]:
        """The frames that `data` completes. Raises ProtocolViolation; the splitter is of no use after that."""
        if not self._kept:
            return self._cut(data)
        self._kept += data
        if len(self._kept) < self._need:
            return iter(())
        return self._cut(self._kept)

    def _cut(self, data: bytes | bytearray) -> Iterator[Received]:
        start, size = 0, len(data)
        head, scanned = self._head, self._scanned
        while True:
            need = 0
            if head is None:
                while start < size and data[start] in b"\r\n":  # heart-beats, and EOLs after a frame
                    start += 1
                head = self._find_head(data, start, max(start, scanned))
                if head is None:
                    scanned = max(start, size - 2)  # it may begin in the last two bytes ("\n\r" + "\n")
                    break
                scanned = head[2]
            command, headers, body = head
            length = headers.get("content-length")
            if length is None:
                stop = data.find(b"\0", scanned)
                scanned, complete = size, stop >= 0
                if not complete:
                    stop = size
            else:
                stop = body + _number(length)
                need, complete = stop + 1 - start, stop < size
            if stop - start > self._max:
                raise ProtocolViolation(f"frame larger than {self._max} bytes")
            if not complete:
                break
            if data[stop]:
                raise ProtocolViolation("no NUL after content-length bytes of body")
            yield Received(command, headers, bytes(data[body:stop]))
            start, head, scanned = stop + 1, None, 0
        self._need, self._scanned = need, scanned - start
        self._head = head and (head[0], head[1], head[2] - start)
        self._kept = data if isinstance(data, bytearray) and not start else bytearray(data[start:])

    def _find_head(self, data: bytes | bytearray, start: int, scanned: int) -> _Head | None:
        """The parsed head of the frame at `start` and its body's offset; None while it is incomplete."""
        end = data.find(b"\n\n", scanned)
        body = end + 2
        # A CR can only be part of an EOL here (values escape it): then the empty line may hold one too.
        if data.find(b"\r", start, end if end >= 0 else len(data)) >= 0:
            match = _HEADER_END.search(data, max(start, scanned - 1))
            end, body = match.span() if match else (-1, -1)
        if (end if end >= 0 else len(data)) - start > MAX_HEADER_BYTES:
            raise ProtocolViolation("header block too large")
        if end < 0:
            return None
        return *parse_head(bytes(data[start:end])), body


def _number(text: str) -> int:
    """A content-length. `int` alone would take signs, spaces and underscores."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise ProtocolViolation("content-length is not a number")
    return int(text)

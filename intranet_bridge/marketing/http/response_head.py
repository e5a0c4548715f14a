"""A response head that the strict parser refuses, written again so that it can be read: pure.

llhttp stays strict, for what it takes without a word the next program on the way may take differently. When it
refuses a head, the head is read here once more; what cannot change where the answer ends is forgiven, and the
connection is closed after the answer in any case, so nothing misread can reach the next one:

============================================  ================================================================
line feeds alone                              RFC 9112 §2.2: a recipient may take them for line ends
folded lines                                  RFC 9112 §5.2: the fold is replaced by a blank
the same ``Content-Length`` twice, "7, 7"     RFC 9112 §6.3: one valid value
``Content-Length`` and ``Transfer-Encoding``  RFC 9112 §6.3: the latter counts
blanks before the colon, before the status    RFC 9112 §5.1: removed
line; a line that is no field; control
characters in a value
============================================  ================================================================

Refused: two different lengths, one that is no number or beyond 64 bits, a carriage return alone (a line end to some).

The leniencies that llhttp itself offers, and why they are as they are:

================================  ==============================================================================
lenient_headers                   off: it also lets NUL and bare CR into values; folds are mended here
lenient_chunked_length            off: mended here, where the connection is known to end
lenient_keep_alive                off: the next answer after ``Connection: close`` would be somebody else's
lenient_data_after_close          off: the same
lenient_transfer_encoding         off: ``chunked`` that is not last says nothing about the end
lenient_version                   off: what is not HTTP/1.x is framed in another way
lenient_optional_lf_after_cr      off: a bare CR ends a line for some and not for others
lenient_optional_cr_before_lf     off: mended here
lenient_optional_crlf_after_chunk off: where a chunk ends is the framing itself
lenient_spaces_after_chunk_size   on: blanks after a chunk's size (old servers pad it) have no other reading
================================  ==============================================================================
"""

import re

HEAD_LIMIT = 64 * 1024
"""Bytes of a head, interim answers before it included."""

_END = re.compile(rb"\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9][ \t]+([1-5][0-9]{2})(?:[ \t][^\r\n]*)?")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_LENGTH = re.compile(rb"0*[0-9]{1,18}")
_KEPT = (b"content-type", b"content-encoding", b"set-cookie")


class BadHead(Exception):
    """Not forgiven. `status` is what the status line says all the same, or 0."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


def repaired(received: bytes) -> bytes | None:
    """The first final head in `received`, plain and with what follows it; None while it is not all there.

    Only the fields this client reads are kept. Raises BadHead.
    """
    rest = received.lstrip(b"\r\n \t")
    while True:
        if not rest.startswith(b"HTTP/1."[: len(rest)]):
            raise BadHead("it does not begin with HTTP/1")
        end = _END.search(rest)
        if end is None:
            return None
        head, rest = rest[: end.start()], rest[end.end() :]
        first, *lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
        status_line = _STATUS_LINE.fullmatch(first)
        if status_line is None:
            raise BadHead("its status line cannot be read")
        status = int(status_line[1])
        if status == 101:
            raise BadHead("an upgrade that was not asked for")
        if status >= 200:
            return b"HTTP/1.0 %d X\r\n%b\r\n%b" % (status, _fields(lines, status), rest)


def _fields(lines: list[bytes], status: int) -> bytes:
    fields: list[list[bytes]] = []
    for line in lines:
        if b"\r" in line:
            raise BadHead("a carriage return alone", status)
        if line[:1] in (b" ", b"\t"):
            if fields:
                fields[-1][1] += b" " + line.strip()
            continue
        name, colon, value = line.partition(b":")
        name = name.strip().lower()
        # a line that is no field ends the field before it: what is folded into it is dropped with it
        fields.append([name if colon and _TOKEN.fullmatch(name) else b"", value.strip()])
    lengths = {part.strip() for name, value in fields if name == b"content-length" for part in value.split(b",")}
    codings = [part.strip() for name, value in fields if name == b"transfer-encoding" for part in value.split(b",")]
    codings = [coding for coding in codings if coding and coding.lower() != b"identity"]
    kept = [(name, _CONTROL.sub(b" ", value)) for name, value in fields if name in _KEPT]
    if codings:
        kept.append((b"transfer-encoding", b", ".join(codings)))
    elif lengths:
        if not all(_LENGTH.fullmatch(length) for length in lengths):
            raise BadHead("a Content-Length that is no length", status)
        if len({length.lstrip(b"0") for length in lengths}) > 1:
            raise BadHead("two different Content-Length", status)
        length = lengths.pop()
        kept.append((b"content-length", length))
    return b"".join(b"%b: %b\r\n" % field for field in kept)

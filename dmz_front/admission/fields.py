"""The fields (headers) of a request, parsed in one place for all who read one (RFC 9110 section 5).

Blanks around a value are no part of it. A field that may come once and came twice is refused, even if both lines are
equal: whoever stands between may have believed the other. Lines of any other field are one list.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from dmz_front.problems.details import Problem

OWS = b" \t"
"""Optional white space (RFC 9110 section 5.6.3)."""

SINGLE = {
    b"authorization": "Authorization",
    b"content-length": "Content-Length",
    b"content-type": "Content-Type",
    b"host": "Host",
    b"idempotency-key": "Idempotency-Key",
}
"""Fields of one value, and how they are written. (Two `traceparent` are no reason to refuse: W3C Trace Context
section 4.3 has the trace begin anew, which it does, as a list is not a valid one.)
"""

_QUOTED_PAIR = re.compile(rb"\\(.)")


def parse(lines: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The fields by their lower-case names. Raises Problem 400 for a single-valued field that came twice."""
    found = {name: value.strip(OWS) for name, value in lines}
    return found if len(found) == len(lines) else _joined(lines)


def _joined(lines: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in lines:
        value = value.strip(OWS)
        if name not in found:
            found[name] = value
        elif name in SINGLE:
            raise Problem(400, "malformed-header", f"{SINGLE[name]} was sent more than once")
        elif value:
            found[name] = found[name] + b", " + value if found[name] else value
    return found


def split(value: bytes, separator: int) -> Iterator[bytes]:
    """The parts of a value between separators outside of quoted strings, without blanks; empty ones are left out."""
    start, at, quoted = 0, 0, False
    while at < len(value):
        byte = value[at]
        if byte == 0x22:  # "
            quoted = not quoted
        elif byte == 0x5C and quoted:  # \ takes the next byte with it
            at += 1
        elif byte == separator and not quoted:
            if part := value[start:at].strip(OWS):
                yield part
            start = at + 1
        at += 1
    if part := value[start:].strip(OWS):
        yield part


def unquoted(value: bytes) -> bytes:
    """A token as it is; what stands in a quoted string (RFC 9110 section 5.6.4)."""
    if len(value) >= 2 and value[:1] == value[-1:] == b'"':
        return _QUOTED_PAIR.sub(rb"\1", value[1:-1])
    return value


def named(part: bytes) -> tuple[bytes, bytes]:
    """`name=value` as its lower-case name and its unquoted value, which is empty if there is none."""
    name, _, value = part.partition(b"=")
    return name.rstrip(OWS).lower(), unquoted(value.lstrip(OWS))


def media_type(value: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """A media type in lower case and its parameters in their order (RFC 9110 section 8.3.1)."""
    kind, _, rest = value.partition(b";")
    return kind.strip(OWS).lower(), [named(part) for part in split(rest, 0x3B)]


def tokens(fields: Mapping[bytes, bytes], name: bytes) -> list[bytes]:
    """The elements of a list-valued field in lower case; none if it is not there."""
    value = fields.get(name)
    return [part.lower() for part in split(value, 0x2C)] if value else []

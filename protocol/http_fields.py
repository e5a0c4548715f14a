"""What the values of HTTP's fields (headers) are made of (RFC 9110 section 5.6)."""

import re
from collections.abc import Iterator, Mapping

OWS = b" \t"
"""Optional white space (RFC 9110 section 5.6.3)."""

_QUOTED_PAIR = re.compile(rb"\\(.)")


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

"""The fields (headers) of a request, parsed in one place for all who read one (RFC 9110 section 5).

Blanks around a value are no part of it. A field that may come once and came twice is refused, even if both lines are
equal: whoever stands between may have believed the other. Lines of any other field are one list. What their values are
made of is in protocol/http_fields.py.
"""

from collections.abc import Sequence

from dmz_front.problems.details import Problem
from protocol.http_fields import OWS, media_type, named, split, tokens, unquoted

__all__ = ["SINGLE", "media_type", "named", "parse", "split", "tokens", "unquoted"]

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

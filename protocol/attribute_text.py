"""The attributes of an envelope as bytes: printable ASCII, a line each, every one within its limits. Pure."""

import re

from protocol.destinations import NAME
from protocol.errors import Malformed, OutOfRange
from protocol.messages import HORIZON_MS, ID, Attributes

_LIMITS = {
    "id": ID.pattern,
    "source": r"[ -~]{0,160}",
    "type": r"[!-~]{1,64}",
    "time": r"[0-9]{1,15}",
    "subject": r"[!-~]{0,64}",
    "traceparent": r"[!-~]{0,64}",
    "deadline": r"[0-9]{1,15}",
    "reply_to": r"[!-~]{0,160}",
    "after": rf"(?:{ID.pattern})?",
    "group": rf"(?:{NAME.pattern})?",
}
"""What an attribute may be, by its name; they travel in this order. Times end at MAX_TIME_MS."""
_COUNTS = {1: 8, 2: 9, 3: 10}
"""How many of them a version has."""
_SHAPES = {
    version: re.compile(r"\n".join(f"({limit})" for limit in tuple(_LIMITS.values())[:number]))
    for version, number in _COUNTS.items()
}


def encoded(a: Attributes, group: str) -> bytes:
    """`group` in place of the attributes' own."""
    text = f"{a.id}\n{a.source}\n{a.type}\n{a.time}\n{a.subject}\n{a.traceparent}\n{a.deadline}\n{a.reply_to}"
    if a.version > 1:
        text += f"\n{a.after}\n{group}" if a.version > 2 else f"\n{a.after}"
    elif a.after:
        raise Malformed("version 1 has no predecessor")
    if not _SHAPES[a.version].fullmatch(text) or a.deadline > a.time + HORIZON_MS:
        raise _beyond(a.version, text)
    return text.encode()


def decoded(version: int, data: bytes, group: str = "") -> Attributes:
    """`group`: of the key, for a version that does not say it."""
    text = data.decode("ascii", "replace")
    found = _SHAPES[version].fullmatch(text)
    if found is None:
        raise _beyond(version, text)
    id_, source, type_, time_text, subject, traceparent, deadline_text, reply_to, *rest = found.groups()
    time, deadline = int(time_text), int(deadline_text)
    if deadline > time + HORIZON_MS:
        raise _beyond(version, text)
    after = rest[0] if rest else ""
    if version > 2:
        group = rest[1]
    return Attributes(id_, source, type_, time, subject, traceparent, deadline, reply_to, after, version, group)


def _beyond(version: int, text: str) -> Malformed:
    """Which attribute is beyond its limits. Without its value: it may be anything."""
    fields = text.split("\n")
    if len(fields) != _COUNTS[version]:
        return Malformed("the attributes are not the fields of this version")
    named = fields[0] if ID.fullmatch(fields[0]) else ""
    for (name, limit), value in zip(_LIMITS.items(), fields, strict=False):
        if not re.fullmatch(limit, value):
            return OutOfRange(f"{name} is too long, too large or has characters it may not have", request=named)
    return OutOfRange("the deadline is more than ten years away", request=named)

"""How a message that cannot be acted on is set aside: one way for both sides, and one that always fits.

A letter must never be refused for what is in it, or whoever can write to a queue could stop it: the sender of a
letter waits for its receipt before it acknowledges the original.

What nobody can open or act on is not kept, or whoever can write to a queue could fill the broker's disk with noise: its
letter is a digest, by which a captured message is known again, and says why it cannot be sent again. Nothing is lost
by that: a front has the command in its ledger, and sends it again until it is answered.
"""

import json
from hashlib import sha256

from protocol.destinations import dead_letters
from protocol.errors import (
    BadSignature,
    ForAnother,
    Malformed,
    NotAdmitted,
    OutOfRange,
    Tampered,
    UnknownKey,
    UnknownVersion,
    WrongGroup,
    WrongKind,
)
from protocol.link.port import Outgoing

LONGEST = 512 * 1024
"""Bytes kept of a body. Our own frames end at 256 KB; what is longer was never ours, and its beginning is enough."""

UNOPENED = frozenset(
    error.reason
    for error in (
        Malformed,
        OutOfRange,
        UnknownVersion,
        UnknownKey,
        BadSignature,
        Tampered,
        WrongKind,
        NotAdmitted,
        WrongGroup,
        ForAnother,
    )
)
"""Reasons for which only a digest is kept."""


def dead_letter(queue: str, body: bytes, reason: str) -> Outgoing:
    """The letter for a message of `queue`; `reason` is an EnvelopeError's, or as stable a word."""
    headers = {"reason": reason}
    if reason in UNOPENED:
        return Outgoing(
            dead_letters(queue), digest_of(body, reason), persistent=True, headers=headers | {"kept": "digest"}
        )
    if len(body) > LONGEST:
        headers["truncated-from"] = str(len(body))
    return Outgoing(dead_letters(queue), body[:LONGEST], persistent=True, headers=headers)


def digest_of(body: bytes, reason: str) -> bytes:
    """What is kept instead of a body: JSON with its SHA-256 and its size."""
    return json.dumps(
        {
            "reason": reason,
            "sha256": sha256(body).hexdigest(),
            "size": len(body),
            "redrive": "not possible: a body that cannot be opened is not kept; fronts send their commands again",
        }
    ).encode()

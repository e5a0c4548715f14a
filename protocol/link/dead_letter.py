"""How a message that cannot be acted on is set aside: one way for both sides, and one that always fits.

A letter must never be refused for what is in it, or whoever can write to a queue could stop it: the sender of a
letter waits for its receipt before it acknowledges the original.
"""

from protocol.destinations import dead_letters
from protocol.link.port import Outgoing

LONGEST = 512 * 1024
"""Bytes kept of a body. Our own frames end at 256 KB; what is longer was never ours, and its beginning is enough."""


def dead_letter(queue: str, body: bytes, reason: str) -> Outgoing:
    """The letter for a message of `queue`; `reason` is an EnvelopeError's, or as stable a word."""
    headers = {"reason": reason}
    if len(body) > LONGEST:
        headers["truncated-from"] = str(len(body))
    return Outgoing(dead_letters(queue), body[:LONGEST], persistent=True, headers=headers)

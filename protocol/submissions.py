"""What a bridge has its front route to another region's bridge: a sealed envelope that the front cannot read. Pure.

::

    bridge ─► front.submit.<front> ─► front ─► bridge.command.<region> ─► that region's bridge; and back likewise

A reply-envelope of type `submission`, sealed to the front, whose result is ``region LF envelope``. The envelope within
is sealed by one bridge for another (peers.py). The front checks the region against its configuration and puts the
envelope on that region's queue of commands as it is; it acknowledges after the broker's receipt. So it goes at least
once, in order mostly, and who gets it knows it by its request's id.
"""

from dataclasses import field

from protocol.destinations import NAME
from protocol.errors import Malformed
from protocol.values import immutable

TYPE = "submission"
"""The `type` attribute; no operation of the catalogue is called so."""


@immutable
class Submission:
    """One envelope, and where it is to go."""

    region: str
    envelope: bytes = field(repr=False)

    def payload(self) -> bytes:
        """The bytes that are sealed to the front."""
        return self.region.encode() + b"\n" + self.envelope

    @classmethod
    def from_payload(cls, payload: bytes) -> "Submission":
        """Read what `payload` wrote. Raises Malformed."""
        region, _, envelope = payload.partition(b"\n")
        name = region.decode("ascii", "replace")
        if not NAME.fullmatch(name) or not envelope:
            raise Malformed("not a submission")
        return cls(name, envelope)
